"""FEDERATION.md, "Rules of access, in this order": each rule, its refusal and its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from broker.attributes.trace import TraceStep, Verdict
from broker.errors import (
    AccessRefused,
    MfaNotProven,
    NoAgreement,
    RequiredAttributeMissing,
    RequirementNotMet,
    StatusDoesNotAdmit,
)
from broker.federation.access import RULES, admit, may_reach, organisations_admitted, require_attributes
from broker.federation.model import (
    AccessException,
    Agreement,
    AgreementId,
    Federation,
    IdentityProvider,
    IdentityProviderId,
    OidcClient,
    OidcProvider,
    Organisation,
    OrganisationId,
    Protocol,
    RegisteredAttribute,
    Requirements,
    Service,
    ServiceId,
    Status,
    SubjectRule,
)
from broker.login.identity import Identity
from broker.login.steps import Release

PORI, ULVILA, HARJAVALTA = OrganisationId("pori"), OrganisationId("ulvila"), OrganisationId("harjavalta")
ROOMS = ServiceId("rooms")
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MAIL = {"mail": ("aino@pori.fi",)}


def an_agreement(**changes: Any) -> Agreement:
    fields: dict[str, Any] = {
        "id": AgreementId("pact"),
        "name": {"en": "Pact"},
        "parties": frozenset({PORI, ULVILA}),
        "services": frozenset({ROOMS}),
        "valid_from": date(2026, 1, 1),
        "valid_until": date(2026, 12, 31),
        "signed": {PORI: date(2025, 12, 10), ULVILA: date(2025, 12, 15)},
    }
    return Agreement(**(fields | changes))


def a_service(**changes: Any) -> Service:
    """Ulvila's, in production, without requirements."""
    fields: dict[str, Any] = {
        "id": ROOMS,
        "protocol": Protocol.OIDC,
        "owner": ULVILA,
        "name": {"en": "Rooms"},
        "status": Status.PRODUCTION,
        "client": OidcClient(client_id="rooms"),
    }
    return Service(**(fields | changes))


def a_federation(*agreements: Agreement, without_idp: frozenset[str] = frozenset()) -> Federation:
    organisations = {
        id: Organisation(
            id=id, name={"fi": id}, scopes=(f"{id}.fi",), mail_domains=frozenset({f"{id}.fi"}), municipality_code="609"
        )
        for id in (PORI, ULVILA, HARJAVALTA)
    }
    idps = {
        IdentityProviderId(f"{id}-idp"): IdentityProvider(
            id=IdentityProviderId(f"{id}-idp"),
            protocol=Protocol.OIDC,
            organisations=(id,),
            dialect="entra-oidc",
            subject=SubjectRule(keyspace=id),
            oidc=OidcProvider(issuer=f"https://{id}.example", client_id="broker"),
        )
        for id in organisations
        if id not in without_idp
    }
    return Federation(
        revision=1,
        organisations=organisations,
        identity_providers=idps,
        services={},
        agreements={each.id: each for each in agreements},
    )


def a_person(
    attributes: Mapping[str, tuple[str, ...]] = MAIL, organisation: str = PORI, *, mfa: bool = False
) -> Identity:
    return Identity(
        organisation=OrganisationId(organisation),
        idp=IdentityProviderId("idp"),
        keyspace="k",
        key="1",
        attributes=attributes,
        authn_instant=NOW,
        mfa=mfa,
    )


def test_the_rules_are_those_of_the_page_in_its_order() -> None:
    assert [rule.__name__ for rule in RULES] == [
        "status_admits",
        "own_service_or_agreement_in_force",
        "guests_are_admitted",
        "requirements_hold",
        "mfa_is_proven",
    ]


def test_a_person_whom_every_rule_admits_leaves_a_trace_of_every_rule() -> None:
    trace: list[TraceStep] = []

    admit(a_person(), a_service(), a_federation(an_agreement()), NOW, trace)

    assert [step.subject for step in trace] == [rule.__name__ for rule in RULES]
    assert {step.verdict for step in trace} == {Verdict.PASSED}
    assert trace[1].note == "by agreement pact"


# --- status -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.DRAFT, Status.RETIRED])
@pytest.mark.parametrize("organisation", [PORI, ULVILA])
def test_status_draft_and_retired_admit_nobody_not_even_the_owner(status: Status, organisation: str) -> None:
    with pytest.raises(StatusDoesNotAdmit) as refusal:
        admit(a_person(organisation=organisation), a_service(status=status), a_federation(an_agreement()), NOW, [])

    assert refusal.value.context == {"organisation": organisation, "service": "rooms", "rule": "status_admits"}


@pytest.mark.parametrize("name", ["mail", "eppn"])
def test_status_test_admits_named_testers(name: str) -> None:
    service = a_service(status=Status.TEST, testers=frozenset({"aino@pori.fi"}))

    admit(a_person({name: ("Aino@pori.fi",)}), service, a_federation(an_agreement()), NOW, [])


@pytest.mark.parametrize("attributes", [{"mail": ("other@pori.fi",)}, {}, {"displayName": ("aino@pori.fi",)}])
def test_status_test_admits_nobody_else(attributes: Mapping[str, tuple[str, ...]]) -> None:
    service = a_service(status=Status.TEST, testers=frozenset({"aino@pori.fi"}))

    with pytest.raises(StatusDoesNotAdmit):
        admit(a_person(attributes), service, a_federation(an_agreement()), NOW, [])


def test_a_named_tester_still_needs_an_agreement() -> None:
    service = a_service(status=Status.TEST, testers=frozenset({"aino@pori.fi"}))

    with pytest.raises(NoAgreement):
        admit(a_person(), service, a_federation(), NOW, [])


# --- own service, or an agreement in force ---------------------------------------------------------------------------------


def test_an_organisations_staff_always_reach_its_own_services() -> None:
    admit(a_person(organisation=ULVILA), a_service(), a_federation(), NOW, [])


IN_FORCE = [
    pytest.param({}, id="by_service"),
    pytest.param({"services": frozenset(), "owners": frozenset({ULVILA})}, id="by_owner"),
    pytest.param({"valid_from": date(2026, 6, 1)}, id="first_day"),
    pytest.param({"valid_until": date(2026, 6, 1)}, id="last_day"),
    pytest.param({"signed": {PORI: date(2026, 6, 1), ULVILA: date(2026, 6, 1)}}, id="signed_today"),
]
NOT_IN_FORCE = [
    pytest.param({"signed": {PORI: date(2025, 12, 10)}}, "pact", "not signed by ulvila", id="not_signed"),
    pytest.param({"signed": {}}, "pact", "not signed by pori, ulvila", id="signed_by_nobody"),
    pytest.param(
        {"signed": {PORI: date(2025, 12, 10), ULVILA: date(2026, 6, 2)}},
        "pact",
        "not signed by all until 2026-06-02",
        id="signed_tomorrow",
    ),
    pytest.param({"valid_from": date(2026, 6, 2)}, "pact", "not valid before 2026-06-02", id="not_yet_valid"),
    pytest.param({"valid_until": date(2026, 5, 31)}, "pact", "ended on 2026-05-31", id="ended"),
    pytest.param({"services": frozenset({ServiceId("wiki")})}, None, "covers", id="another_service"),
    pytest.param({"services": frozenset(), "owners": frozenset({PORI})}, None, "covers", id="another_owner"),
    pytest.param(
        {"parties": frozenset({PORI, HARJAVALTA}), "signed": {PORI: date(2025, 1, 1), HARJAVALTA: date(2025, 1, 1)}},
        None,
        "covers",
        id="owner_is_no_party",
    ),
    pytest.param(
        {"parties": frozenset({ULVILA, HARJAVALTA}), "signed": {ULVILA: date(2025, 1, 1), HARJAVALTA: date(2025, 1, 1)}},
        None,
        "covers",
        id="home_is_no_party",
    ),
]  # fmt: skip


@pytest.mark.parametrize("changes", IN_FORCE)
def test_an_agreement_in_force_admits(changes: Mapping[str, Any]) -> None:
    federation = a_federation(an_agreement(**changes))

    admit(a_person(), a_service(), federation, NOW, [])
    assert organisations_admitted(a_service(), federation, NOW) == (PORI, ULVILA)


@pytest.mark.parametrize(("changes", "agreement", "why"), NOT_IN_FORCE)
def test_without_an_agreement_in_force_the_nearest_one_is_named(
    changes: Mapping[str, Any], agreement: str | None, why: str
) -> None:
    federation, trace = a_federation(an_agreement(**changes)), list[TraceStep]()

    with pytest.raises(NoAgreement) as refusal:
        admit(a_person(), a_service(), federation, NOW, trace)

    assert refusal.value.context.get("agreement") == agreement
    assert why in refusal.value.detail
    assert trace[-1].verdict is Verdict.FAILED
    assert trace[-1].note == refusal.value.detail
    assert not may_reach(PORI, a_service(), federation, NOW)


def test_of_several_agreements_one_in_force_is_enough() -> None:
    ended = an_agreement(id=AgreementId("a-old"), valid_until=date(2026, 1, 31))

    admit(a_person(), a_service(), a_federation(ended, an_agreement()), NOW, [])


def test_of_several_not_in_force_the_one_not_ended_is_named() -> None:
    ended = an_agreement(id=AgreementId("z-old"), valid_until=date(2026, 1, 31))
    unsigned = an_agreement(id=AgreementId("a-new"), signed={})

    with pytest.raises(NoAgreement) as refusal:
        admit(a_person(), a_service(), a_federation(ended, unsigned), NOW, [])

    assert refusal.value.context["agreement"] == "a-new"


@pytest.mark.parametrize(
    ("now", "admitted"),
    [
        pytest.param(datetime(2026, 12, 31, 21, 59, tzinfo=UTC), True, id="last_minute_in_finland"),
        pytest.param(datetime(2026, 12, 31, 22, 0, tzinfo=UTC), False, id="new_year_in_finland"),
        pytest.param(datetime(2025, 12, 31, 22, 0, tzinfo=UTC), True, id="first_minute_in_finland"),
        pytest.param(datetime(2025, 12, 31, 21, 59, tzinfo=UTC), False, id="old_year_in_finland"),
    ],
)
def test_agreements_run_by_the_finnish_calendar(now: datetime, admitted: bool) -> None:
    assert may_reach(PORI, a_service(), a_federation(an_agreement()), now) is admitted


# --- what the service requires ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("require", "attributes"),
    [
        ({"affiliation": {"employee"}}, {"affiliation": ("member@pori.fi", "employee@pori.fi")}),
        ({"personType": {"teacher", "employee"}}, {"personType": ("teacher",)}),
        ({"municipalityCode": {"609"}}, {}),
        ({"personType": {"guest"}}, {"personType": ("guest",)}),
    ],
)
def test_a_requirement_that_holds_admits(
    require: Mapping[str, set[str]], attributes: Mapping[str, tuple[str, ...]]
) -> None:
    service = a_service(require=_requirements(require))

    admit(a_person(attributes), service, a_federation(an_agreement()), NOW, [])


@pytest.mark.parametrize(
    ("require", "attributes", "attribute", "why"),
    [
        ({"affiliation": {"employee"}}, {"affiliation": ("affiliate@pori.fi",)}, "affiliation", "has no accepted value"),
        ({"affiliation": {"employee"}}, {}, "affiliation", "is not there"),
        ({"entitlement": {"urn:x"}}, {"entitlement": ()}, "entitlement", "is unknown: the home could not say"),
        ({"municipalityCode": {"886"}}, {}, "municipalityCode", "has no accepted value"),
        ({}, {"personType": ("guest",)}, "personType", "a guest"),
        ({"affiliation": {"affiliate"}}, {"personType": ("guest",), "affiliation": ("affiliate@pori.fi",)}, "personType", "a guest"),
    ],
)  # fmt: skip
def test_a_requirement_that_does_not_hold_refuses(
    require: Mapping[str, set[str]], attributes: Mapping[str, tuple[str, ...]], attribute: str, why: str
) -> None:
    service = a_service(require=_requirements(require))

    with pytest.raises(RequirementNotMet) as refusal:
        admit(a_person(attributes), service, a_federation(an_agreement()), NOW, [])

    assert refusal.value.context["attribute"] == attribute
    assert why in refusal.value.detail


def test_required_mfa_must_be_proven() -> None:
    service, federation = a_service(require=Requirements(mfa=True)), a_federation(an_agreement())

    admit(a_person(mfa=True), service, federation, NOW, [])
    with pytest.raises(MfaNotProven):
        admit(a_person(mfa=False), service, federation, NOW, [])


@pytest.mark.parametrize(
    ("service", "agreements", "fault"),
    [
        pytest.param({"status": Status.DRAFT}, (), StatusDoesNotAdmit, id="status_before_agreement"),
        pytest.param({"require": Requirements(mfa=True)}, (), NoAgreement, id="agreement_before_requirements"),
        pytest.param(
            {"require": Requirements(mfa=True, attributes={"title": frozenset({"x"})})},
            (an_agreement(),),
            RequirementNotMet,
            id="attributes_before_mfa",
        ),
    ],
)
def test_the_first_rule_that_fails_is_the_reason(
    service: Mapping[str, Any], agreements: tuple[Agreement, ...], fault: type[AccessRefused]
) -> None:
    with pytest.raises(AccessRefused) as refusal:
        admit(a_person(), a_service(**service), a_federation(*agreements), NOW, [])

    assert type(refusal.value) is fault


# --- required attributes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("released", "missing"),
    [
        ({"mail": ("a@pori.fi",), "eppn": ("a@pori.fi",)}, None),
        ({"mail": ("a@pori.fi",)}, "eppn"),
        ({"eppn": ("a@pori.fi",)}, "mail"),
        ({}, "mail"),
    ],
)
def test_every_required_attribute_must_be_released(
    released: Mapping[str, tuple[str, ...]], missing: str | None
) -> None:
    registered = tuple(
        RegisteredAttribute(name=name, purpose={"en": "Because"}, required=required)
        for name, required in (("mail", True), ("title", False), ("eppn", True))
    )
    service, trace = a_service(attributes=registered), list[TraceStep]()
    release = Release(subject_id="s", pairwise_id="p", attributes=released)

    if missing is None:
        require_attributes(release, service, trace)
        assert trace[-1].verdict is Verdict.PASSED
    else:
        with pytest.raises(RequiredAttributeMissing) as refusal:
            require_attributes(release, service, trace)
        assert refusal.value.context["attribute"] == missing
        assert trace[-1].verdict is Verdict.FAILED


# --- the page on which the organisation is chosen -----------------------------------------------------------------------------


def test_only_organisations_that_can_log_in_are_offered() -> None:
    federation = a_federation(an_agreement(), without_idp=frozenset({PORI}))

    assert organisations_admitted(a_service(), federation, NOW) == (ULVILA,)


@pytest.mark.parametrize("status", [Status.DRAFT, Status.RETIRED])
def test_nobody_is_offered_a_service_that_admits_nobody(status: Status) -> None:
    assert organisations_admitted(a_service(status=status), a_federation(an_agreement()), NOW) == ()


@pytest.mark.parametrize(
    ("testers", "offered"),
    [({"a@pori.fi"}, (PORI,)), ({"a@ulvila.fi", "b@pori.fi"}, (PORI, ULVILA)), ({"a@harjavalta.fi"}, ()), (set(), ())],
)
def test_a_service_in_test_is_offered_to_its_testers_organisations(testers: set[str], offered: tuple[str, ...]) -> None:
    service = a_service(status=Status.TEST, testers=frozenset(testers))

    assert organisations_admitted(service, a_federation(an_agreement()), NOW) == offered


def _requirements(attributes: Mapping[str, set[str]]) -> Requirements:
    return Requirements(attributes={name: frozenset(values) for name, values in attributes.items()})


# --- exceptions: one person, for a time ----------------------------------------------------------------------------------------

EEVA = "eeva@harjavalta.fi"


def excepted(**changes: Any) -> Service:
    """Ulvila's service, with Harjavalta's substitute, until the end of June."""
    given = {"person": EEVA, "valid_until": date(2026, 6, 30), "reason": "substitute", **changes}
    return a_service(exceptions=(AccessException(**given),))


def a_substitute(name: str = "mail", value: str = EEVA) -> Identity:
    return a_person({name: (value,)}, HARJAVALTA)


@pytest.mark.parametrize("name", ["mail", "eppn"])
def test_an_exception_stands_for_the_agreement(name: str) -> None:
    trace: list[TraceStep] = []
    admit(a_substitute(name), excepted(), a_federation(), NOW, trace)
    assert trace[1].note == "by an exception until 2026-06-30"


@pytest.mark.parametrize(
    ("person", "changes"),
    [
        (a_substitute(value="outi@harjavalta.fi"), {}),
        (a_substitute("displayName"), {}),
        (a_substitute(), {"valid_until": date(2026, 5, 31)}),
        (a_substitute(), {"valid_from": date(2026, 6, 2)}),
    ],
    ids=["another person", "a name that is no identifier", "ended", "not begun"],
)
def test_an_exception_is_for_that_person_and_time(person: Identity, changes: dict[str, Any]) -> None:
    with pytest.raises(NoAgreement):
        admit(person, excepted(**changes), a_federation(), NOW, [])


@pytest.mark.parametrize("day", [date(2026, 6, 1)])
def test_both_its_days_count(day: date) -> None:
    admit(a_substitute(), excepted(valid_from=day, valid_until=day), a_federation(), NOW, [])


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"status": Status.DRAFT}, StatusDoesNotAdmit),
        ({"require": Requirements(mfa=True)}, MfaNotProven),
        ({"require": Requirements(attributes={"personType": frozenset({"employee"})})}, RequirementNotMet),
    ],
)
def test_every_other_rule_holds(changes: dict[str, Any], refusal: type[AccessRefused]) -> None:
    with pytest.raises(refusal):
        admit(a_substitute(), replace(excepted(), **changes), a_federation(), NOW, [])


def test_the_person_s_organisation_is_offered_while_it_lasts() -> None:
    assert organisations_admitted(excepted(), a_federation(), NOW) == (HARJAVALTA, ULVILA)
    ended = excepted(valid_until=date(2026, 5, 31))
    assert organisations_admitted(ended, a_federation(), NOW) == (ULVILA,)
    assert may_reach(HARJAVALTA, excepted(), a_federation(), NOW)
    assert not may_reach(HARJAVALTA, ended, a_federation(), NOW)
