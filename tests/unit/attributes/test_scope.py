"""attributes.md 1.5, 1.6 and 7; promise P3: an organisation asserts only its own scopes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broker.attributes.mapping import map_attributes
from broker.attributes.scope import hold_to_scopes, home_organisation
from broker.attributes.trace import TraceStep, Verdict
from broker.errors import ForeignScope, OrganisationUndecided
from broker.federation.model import Federation, Organisation, OrganisationFrom, OrganisationId

BOTH = (OrganisationId("pori"), OrganisationId("ulvila"))


@pytest.mark.parametrize("eppn", ["a@pori.fi", "a@PORI.FI"])
def test_7_an_identifier_in_an_own_scope_is_accepted(
    eppn: str, pori: Organisation, trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    mapped = map_attributes(an_assertion({"eduPersonPrincipalName": (eppn,)}), an_idp(), trace)

    assert hold_to_scopes(mapped, pori, trace)["eppn"] == ("a@pori.fi",)


@pytest.mark.parametrize(
    "eppn",
    [
        pytest.param("a@ulvila.fi", id="another_city"),
        pytest.param("a@evil.pori.fi", id="subdomain"),
        pytest.param("a@pori.fi.evil", id="suffix_added"),
        pytest.param("a@xpori.fi", id="prefix_added"),
        pytest.param("a@pori.fi@ulvila.fi", id="two_ats"),
        pytest.param("a@ulvila.fi@pori.fi", id="two_ats_own_last"),
        pytest.param("a@рori.fi", id="cyrillic_letter"),
        pytest.param("a@ｐori.fi", id="fullwidth_letter"),
        pytest.param("a@po\u200bri.fi", id="zero_width"),
        pytest.param("a@pori.fi\n", id="trailing_newline"),
        pytest.param("a@pori.fi.", id="trailing_dot"),
        pytest.param("a@", id="empty_scope"),
    ],
)
@pytest.mark.parametrize("source", ["eduPersonPrincipalName", "subject-id"])
def test_7_an_identifier_in_a_foreign_scope_refuses_the_login(
    eppn: str, source: str, pori: Organisation, trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    mapped = map_attributes(an_assertion({source: (eppn,)}), an_idp(), trace)

    with pytest.raises(ForeignScope) as refusal:
        hold_to_scopes(mapped, pori, trace)

    assert refusal.value.context["organisation"] == "pori"
    assert refusal.value.context["attribute"] in {"eppn", "subjectId"}
    assert eppn not in refusal.value.detail
    assert trace[-1].verdict is Verdict.FAILED


def test_1_5_a_pairwise_id_of_the_home_is_held_to_its_scopes_too(pori: Organisation, trace: list[TraceStep]) -> None:
    with pytest.raises(ForeignScope):
        hold_to_scopes({"pairwiseId": ("a@ulvila.fi",)}, pori, trace)


@pytest.mark.parametrize(
    ("name", "own", "foreign"),
    [
        ("affiliation", "employee@pori.fi", "employee@ulvila.fi"),
        ("affiliation", "employee@pori.fi", "employee@evil.pori.fi"),
        ("externalAffiliation", "member@pori.fi", "member@ulvila.fi"),
        ("mail", "a@pori.fi", "a@gmail.example"),
        ("mailLocalAddress", "a@pori.fi", "a@gmail.example"),
        ("personalUniqueCode", "urn:schac:personalUniqueCode:fi:pori.fi:1", "urn:schac:personalUniqueCode:fi:ulvila.fi:1"),
        ("entitlement", "urn:x:a:group:b#pori.fi", "urn:x:a:group:b#ulvila.fi"),
    ],
)  # fmt: skip
def test_1_5_any_other_value_in_a_foreign_scope_is_dropped_and_said_so(
    name: str, own: str, foreign: str, pori: Organisation, trace: list[TraceStep]
) -> None:
    assert hold_to_scopes({name: (foreign, own)}, pori, trace)[name] == (own,)
    assert name not in hold_to_scopes({name: (foreign,)}, pori, trace)

    dropped = [step for step in trace if step.verdict is Verdict.DROPPED]
    assert [step.note[:6] for step in dropped] == ["1 of 2", "1 of 1"]


def test_mail_may_be_in_a_registered_mail_domain_that_is_no_scope(pori: Organisation, trace: list[TraceStep]) -> None:
    school = replace(pori, mail_domains=frozenset({"edu.pori.fi"}))

    held = hold_to_scopes({"mail": ("a@edu.pori.fi", "a@pori.fi")}, school, trace)

    assert held["mail"] == ("a@edu.pori.fi",)
    assert held["mailVerified"] == ("true",)


@pytest.mark.parametrize("mapped", [{"mail": ("a@gmail.example",)}, {}])
def test_2_2_nothing_is_said_of_mail_that_is_not_there(
    mapped: dict[str, tuple[str, ...]], pori: Organisation, trace: list[TraceStep]
) -> None:
    assert hold_to_scopes(mapped, pori, trace) == {}


def test_2_4_unscoped_affiliations_get_the_primary_scope(pori: Organisation, trace: list[TraceStep]) -> None:
    two = replace(pori, scopes=("pori.fi", "edu.pori.fi"))

    held = hold_to_scopes({"affiliationUnscoped": ("employee", "member")}, two, trace)

    assert held["affiliation"] == ("employee@pori.fi", "member@pori.fi")


def test_a_dropped_affiliation_does_not_come_back_unscoped(pori: Organisation, trace: list[TraceStep]) -> None:
    mapped = {"affiliation": ("employee@ulvila.fi",), "affiliationUnscoped": ("employee",)}

    held = hold_to_scopes(mapped, pori, trace)

    assert "affiliation" not in held
    assert "affiliationUnscoped" not in held


def test_1_6_the_registry_wins_over_what_the_home_says_of_the_organisation(
    pori: Organisation, trace: list[TraceStep]
) -> None:
    held = hold_to_scopes({"homeOrganization": ("ulvila.fi",), "organizationName": ("Porin kaupunki",)}, pori, trace)

    assert held == {}
    assert [step.subject for step in trace if step.rule == "registry_wins"] == ["homeOrganization"]


def test_unknown_stays_unknown(pori: Organisation, trace: list[TraceStep]) -> None:
    assert hold_to_scopes({"entitlement": ()}, pori, trace)["entitlement"] == ()


# --- whose staff -----------------------------------------------------------------------------------------------------


def test_of_one_organisation_nothing_decides(
    federation: Federation, trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    assert home_organisation(an_assertion(), {}, an_idp(), federation, trace) == "pori"


@pytest.mark.parametrize("value", ["ulvila", "ulvila.fi", "ULVILA.FI", "x@ulvila.fi", " x@Ulvila.fi "])
def test_an_attribute_decides_by_id_scope_or_scoped_value(
    value: str, federation: Federation, trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    idp = an_idp(organisations=BOTH, organisation_from=OrganisationFrom(source="unit"))

    assert home_organisation(an_assertion({"Unit": (value,)}), {}, idp, federation, trace) == "ulvila"


def test_a_canonical_attribute_may_decide(
    federation: Federation, trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    idp = an_idp(organisations=BOTH, organisation_from=OrganisationFrom(source="eppn"))

    assert home_organisation(an_assertion(), {"eppn": ("a@pori.fi",)}, idp, federation, trace) == "pori"


def test_a_table_may_decide(federation: Federation, trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    rule = OrganisationFrom(source="company", table={"001": BOTH[0], "002": BOTH[1]})
    idp = an_idp(organisations=BOTH, organisation_from=rule)

    assert home_organisation(an_assertion({"company": ("002",)}), {}, idp, federation, trace) == "ulvila"
    with pytest.raises(OrganisationUndecided):
        home_organisation(an_assertion({"company": ("ulvila",)}), {}, idp, federation, trace)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param((), id="nothing"),
        pytest.param(("tampere.fi",), id="not_served"),
        pytest.param(("x@evil.pori.fi",), id="subdomain"),
        pytest.param(("x@рori.fi",), id="cyrillic"),
        pytest.param(("pori", "ulvila"), id="two_organisations"),
        pytest.param(("pori", "tampere"), id="one_of_them_not_served"),
        pytest.param(("a@pori.fi@ulvila.fi",), id="two_ats"),
        pytest.param(("",), id="empty"),
    ],
)
def test_an_undecided_organisation_is_refused(
    values: tuple[str, ...], federation: Federation, trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    idp = an_idp(organisations=BOTH, organisation_from=OrganisationFrom(source="unit"))

    with pytest.raises(OrganisationUndecided) as refusal:
        home_organisation(an_assertion({"unit": values}), {}, idp, federation, trace)

    assert refusal.value.context == {"identity_provider": "idp", "attribute": "unit"}


def test_p3_of_several_organisations_one_is_foreign_to_the_other(pori: Organisation, trace: list[TraceStep]) -> None:
    with pytest.raises(ForeignScope):
        hold_to_scopes({"eppn": ("a@ulvila.fi",)}, pori, trace)
