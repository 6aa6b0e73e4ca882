"""attributes.md 4; saml-core 3.3.2.2.1; OIDC Core 3.1.2.1 (acr_values)."""

from __future__ import annotations

from typing import Any

import pytest

from broker.attributes.assurance import (
    FALLBACK,
    REFEDS_MFA,
    REFEDS_SFA,
    answer_context,
    contexts_to_request,
    needs_mfa,
    understand,
)
from broker.attributes.errors import ContextNotMet
from broker.attributes.trace import TraceStep, Verdict
from broker.errors import MfaNotProven
from broker.federation.model import AssuranceRule, Protocol, Requirements
from broker.federation.quirks import QUIRKS, Quirk
from broker.login.request import Comparison

LOA2, LOA3 = "http://ftn.ficora.fi/2017/loa2", "http://ftn.ficora.fi/2017/loa3"
MULTIPLE = "http://schemas.microsoft.com/claims/multipleauthn"
METHODS = "http://schemas.microsoft.com/claims/authnmethodsreferences"
MFA = AssuranceRule(mfa=True)


@pytest.mark.parametrize("signal", [REFEDS_MFA, MULTIPLE, LOA3, FALLBACK])
def test_4_a_signal_proves_nothing_until_an_operator_has_seen_proof(
    signal: str, trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    assert understand(an_assertion(authn_context=signal), an_idp(), trace) == (None, False)
    assert trace[0].verdict is Verdict.NOT_MAPPED


def test_a_registered_context_proves_its_level(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    idp = an_idp(assurance={"urn:x": AssuranceRule(level=LOA2)})

    assert understand(an_assertion(authn_context="urn:x"), idp, trace) == (LOA2, False)


def test_a_registered_method_proves_several_factors(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    idp = an_idp(assurance={"mfa": MFA})

    assert understand(an_assertion(authn_methods=("pwd", "mfa")), idp, trace) == (REFEDS_MFA, True)


def test_adfs_tells_its_methods_in_an_attribute(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    idp = an_idp("adfs", assurance={MULTIPLE: MFA})

    assert understand(an_assertion({METHODS.upper(): ("urn:x", MULTIPLE)}), idp, trace) == (REFEDS_MFA, True)


def test_of_several_levels_the_strongest_holds(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    idp = an_idp(assurance={"a": AssuranceRule(level=LOA3), "b": MFA, "c": AssuranceRule(level=REFEDS_SFA)})

    assert understand(an_assertion(authn_context="c", authn_methods=("a", "b")), idp, trace) == (LOA3, True)


# --- what the city is asked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requested", "asked"),
    [
        pytest.param((), (), id="nothing"),
        pytest.param((FALLBACK,), (), id="what_every_login_meets"),
        pytest.param((REFEDS_MFA,), (MULTIPLE,), id="mfa_in_the_citys_words"),
        pytest.param((REFEDS_MFA, FALLBACK), (MULTIPLE, FALLBACK), id="mfa_preferred"),
        pytest.param((LOA2,), ("urn:city:loa2",), id="level_in_the_citys_words"),
        pytest.param((LOA3,), (LOA3,), id="a_standard_level_passed_on"),
        pytest.param(("urn:unknown",), (), id="unknown"),
    ],
)
def test_the_city_is_asked_in_its_own_words(
    requested: tuple[str, ...], asked: tuple[str, ...], an_idp: Any, a_request: Any, a_service: Any
) -> None:
    idp = an_idp(assurance={MULTIPLE: MFA, "mfa": MFA, "urn:city:loa2": AssuranceRule(level=LOA2)})

    assert contexts_to_request(a_request(requested_contexts=requested), a_service(), idp) == (asked, Comparison.EXACT)


def test_a_service_that_requires_mfa_has_it_asked_for(an_idp: Any, a_request: Any, a_service: Any) -> None:
    idp, service = an_idp(assurance={MULTIPLE: MFA}), a_service(require=Requirements(mfa=True))

    asked = contexts_to_request(a_request(requested_contexts=(FALLBACK,)), service, idp)
    assert asked == ((MULTIPLE,), Comparison.EXACT)


@pytest.mark.parametrize("comparison", [Comparison.MINIMUM, Comparison.BETTER, Comparison.MAXIMUM])
def test_core_3_3_2_2_1_the_comparison_is_passed_on(
    comparison: Comparison, an_idp: Any, a_request: Any, a_service: Any
) -> None:
    request = a_request(requested_contexts=(REFEDS_MFA,), comparison=comparison)
    idp = an_idp(protocol=Protocol.SAML, assurance={MULTIPLE: MFA})

    assert contexts_to_request(request, a_service(), idp) == ((MULTIPLE,), comparison)


@pytest.mark.parametrize(
    ("comparison", "asked"),
    [
        pytest.param(Comparison.MINIMUM, ("urn:city:loa2", "urn:city:loa3"), id="minimum"),
        pytest.param(Comparison.BETTER, ("urn:city:loa3",), id="better"),
        pytest.param(Comparison.MAXIMUM, ("urn:city:sfa", "urn:city:loa2"), id="maximum"),
    ],
)
@pytest.mark.parametrize(
    "city", [{"protocol": Protocol.OIDC}, {"protocol": Protocol.SAML, "quirks": frozenset({"exact-only"})}]
)
def test_a_city_that_knows_no_comparison_gets_the_levels_that_satisfy_it(
    city: Any,
    comparison: Comparison,
    asked: tuple[str, ...],
    an_idp: Any,
    a_request: Any,
    a_service: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(QUIRKS, "exact-only", Quirk(why="an example", comparisons=False))
    levels = {"urn:city:sfa": REFEDS_SFA, "urn:city:loa2": LOA2, "urn:city:loa3": LOA3}
    idp = an_idp(assurance={name: AssuranceRule(level=level) for name, level in levels.items()}, **city)
    request = a_request(requested_contexts=(LOA2,), comparison=comparison)

    assert contexts_to_request(request, a_service(), idp) == (asked, Comparison.EXACT)


@pytest.mark.parametrize("quirk", ["adfs-no-requested-authn-context", "entra-id-no-requested-authn-context"])
def test_a_product_that_takes_no_context_is_asked_for_none(
    quirk: str, an_idp: Any, a_request: Any, a_service: Any
) -> None:
    idp = an_idp(protocol=Protocol.SAML, assurance={MULTIPLE: MFA}, quirks=frozenset({quirk}))
    for service in (a_service(), a_service(require=Requirements(mfa=True))):
        request = a_request(requested_contexts=(REFEDS_MFA,), comparison=Comparison.MINIMUM)
        assert contexts_to_request(request, service, idp) == ((), Comparison.EXACT)


@pytest.mark.parametrize(
    ("request_", "needed"),
    [
        pytest.param({"requested_contexts": (REFEDS_MFA,)}, True, id="a_demand"),
        pytest.param({"requested_contexts": (REFEDS_MFA,), "comparison": Comparison.MINIMUM}, True, id="or_more"),
        pytest.param({"requested_contexts": (REFEDS_MFA,), "comparison": Comparison.MAXIMUM}, False, id="or_less"),
        pytest.param({"requested_contexts": (REFEDS_MFA,), "comparison": Comparison.BETTER}, False, id="not_this_one"),
        pytest.param({"requested_contexts": (REFEDS_MFA, FALLBACK)}, False, id="or_a_password"),
        pytest.param({"requested_contexts": (REFEDS_MFA,), "protocol": Protocol.OIDC}, False, id="a_wish"),
        pytest.param({}, False, id="nothing"),
    ],
)
def test_several_factors_are_needed_where_a_login_without_them_will_be_refused(
    request_: dict[str, Any],
    needed: bool,
    a_request: Any,
    a_service: Any,
    an_identity: Any,
    trace: list[TraceStep],
) -> None:
    request = a_request(**{"protocol": Protocol.SAML, **request_})
    assert needs_mfa(request, a_service()) is needed
    assert needs_mfa(request, a_service(require=Requirements(mfa=True)))
    if needed:
        with pytest.raises(MfaNotProven):
            answer_context(an_identity(authn_context=None, mfa=False), request, a_service(), trace)


# --- what the service is told -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proven", "mfa", "requested", "comparison", "told"),
    [
        (None, False, (), Comparison.EXACT, FALLBACK),
        (REFEDS_MFA, True, (), Comparison.EXACT, REFEDS_MFA),
        (LOA2, False, (), Comparison.EXACT, LOA2),
        (REFEDS_MFA, True, (REFEDS_MFA,), Comparison.EXACT, REFEDS_MFA),
        (REFEDS_MFA, True, (FALLBACK,), Comparison.EXACT, FALLBACK),
        (LOA3, True, (REFEDS_MFA, LOA3), Comparison.EXACT, REFEDS_MFA),
        (None, False, (REFEDS_MFA, FALLBACK), Comparison.EXACT, FALLBACK),
        (LOA2, False, (LOA2,), Comparison.EXACT, LOA2),
        (LOA3, False, (LOA2,), Comparison.MINIMUM, LOA3),
        (REFEDS_MFA, True, (REFEDS_MFA,), Comparison.MINIMUM, REFEDS_MFA),
        (None, False, (FALLBACK,), Comparison.MINIMUM, FALLBACK),
        (LOA3, False, (LOA2,), Comparison.BETTER, LOA3),
        (None, False, (REFEDS_MFA,), Comparison.MAXIMUM, FALLBACK),
    ],
)
def test_3_3_2_2_1_the_service_is_told_a_context_that_holds(
    proven: str | None,
    mfa: bool,
    requested: tuple[str, ...],
    comparison: Comparison,
    told: str,
    trace: list[TraceStep],
    an_identity: Any,
    a_request: Any,
    a_service: Any,
) -> None:
    request = a_request(requested_contexts=requested, comparison=comparison)

    assert answer_context(an_identity(authn_context=proven, mfa=mfa), request, a_service(), trace) == told


@pytest.mark.parametrize(
    ("proven", "requested", "comparison", "fault"),
    [
        (None, (REFEDS_MFA,), Comparison.EXACT, MfaNotProven),
        (LOA3, (REFEDS_MFA,), Comparison.EXACT, MfaNotProven),
        (LOA3, (REFEDS_MFA,), Comparison.MINIMUM, MfaNotProven),
        (None, (LOA2,), Comparison.EXACT, ContextNotMet),
        (LOA3, (LOA2,), Comparison.EXACT, ContextNotMet),
        (REFEDS_SFA, (LOA2,), Comparison.MINIMUM, ContextNotMet),
        (LOA2, (LOA2,), Comparison.BETTER, ContextNotMet),
        (LOA2, (REFEDS_SFA, "urn:unknown"), Comparison.BETTER, ContextNotMet),
        (LOA3, (LOA2,), Comparison.MAXIMUM, ContextNotMet),
        (None, ("urn:unknown",), Comparison.MINIMUM, ContextNotMet),
    ],
)
def test_3_3_2_2_1_a_demand_that_is_not_met_is_refused(
    proven: str | None,
    requested: tuple[str, ...],
    comparison: Comparison,
    fault: type[Exception],
    trace: list[TraceStep],
    an_identity: Any,
    a_request: Any,
    a_service: Any,
) -> None:
    request = a_request(requested_contexts=requested, comparison=comparison)

    with pytest.raises(fault) as refusal:
        answer_context(an_identity(authn_context=proven), request, a_service(), trace)

    assert type(refusal.value) is fault
    assert trace[-1].verdict is Verdict.FAILED


def test_acr_values_of_openid_connect_are_only_a_wish(
    trace: list[TraceStep], an_identity: Any, a_request: Any, a_service: Any
) -> None:
    request = a_request(requested_contexts=(REFEDS_MFA,), protocol=Protocol.OIDC)

    assert answer_context(an_identity(), request, a_service(), trace) == FALLBACK


@pytest.mark.parametrize("protocol", list(Protocol))
def test_4_mfa_that_the_registry_requires_is_never_silently_passed(
    protocol: Protocol, trace: list[TraceStep], an_identity: Any, a_request: Any, a_service: Any
) -> None:
    service = a_service(require=Requirements(mfa=True))

    with pytest.raises(MfaNotProven):
        answer_context(an_identity(authn_context=LOA3), a_request(protocol=protocol), service, trace)
    assert answer_context(an_identity(mfa=True), a_request(protocol=protocol), service, trace) == REFEDS_MFA
