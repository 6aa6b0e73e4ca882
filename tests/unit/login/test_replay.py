"""A recorded login, decided anew by other documents: by names and verdicts, never by a guess.

The records are made by real decisions, of a person of Pori at a service of Ulvila.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.attributes import trace as traces
from broker.attributes.identifiers import Subjects
from broker.federation.model import (
    AccessException,
    AssuranceRule,
    AttributeRule,
    Federation,
    IdentityProviderId,
    RegisteredAttribute,
    Requirements,
    Service,
    ServiceId,
    Status,
)
from broker.keys.keyring import SubjectKeys
from broker.login import decide
from broker.login.identity import VerifiedAssertion
from broker.login.replay import Change, Recorded, replay
from broker.login.request import LoginRequest
from broker.login.steps import Answer, Refuse
from broker.login.transaction import LIFETIME, LoginTransaction, ReferenceCode, Stage, TransactionId
from tests.unit.federation.test_access import NOW, PORI, ROOMS, a_federation, a_service, an_agreement

IDP = IdentityProviderId("pori-idp")
KEYS = SubjectKeys(subject=b"s" * 32, pairwise=b"p" * 32)
SENT: Mapping[str, tuple[str, ...]] = {
    "email": ("aino@pori.fi",),
    "xms_edov": ("true",),
    "name": ("Aino",),
    "upn": ("aino@pori.fi",),
    "employeeid": ("17",),
    "jobTitle": ("Opettaja",),
}
NUMBER = AttributeRule(attribute="employeeNumber", sources=("employeeid",))
TITLE = AttributeRule(attribute="title", sources=("jobTitle",))


def registered(*names: str, required: tuple[str, ...] = ()) -> tuple[RegisteredAttribute, ...]:
    return tuple(RegisteredAttribute(name=each, purpose={"en": "x"}, required=each in required) for each in names)


def federation(
    *rules: AttributeRule,
    pori: dict[str, Any] | None = None,
    idp: dict[str, Any] | None = None,
    agreement: dict[str, Any] | None = None,
    **service: Any,
) -> Federation:
    """``pori``, ``idp``, ``agreement``, ``service``: changes of each."""
    made = a_federation(an_agreement(**(agreement or {})))
    given = {"attributes": registered("mail", "displayName", "homeOrganization"), **service}
    home = replace(made.organisations[PORI], **(pori or {}))
    login = replace(made.identity_providers[IDP], **{"attributes": rules, **(idp or {})})
    return replace(
        made,
        organisations={**made.organisations, PORI: home},
        identity_providers={**made.identity_providers, IDP: login},
        services={ROOMS: a_service(**given)},
    )


def recorded(before: Federation, sent: Mapping[str, tuple[str, ...]] = SENT, *methods: str, **request: Any) -> Recorded:
    """The record of a login by these documents."""
    assertion = VerifiedAssertion(
        idp=IDP, subject="tenant/object", attributes=sent, authn_instant=NOW, authn_methods=methods
    )
    service: Service = before.services[ROOMS]
    transaction = LoginTransaction(
        id=TransactionId("t"),
        reference=ReferenceCode("K7M2-9QXA"),
        browser="",
        request=LoginRequest(service=ROOMS, protocol=service.protocol, reply={}, **request),
        stage=Stage.AT_IDP,
        begun_at=NOW,
        expires_at=NOW + LIFETIME,
        idp=IDP,
        organisation=PORI,
    )
    step = decide.receive(transaction, assertion, before, Subjects(keys=KEYS), NOW, timedelta(seconds=60))
    trace: Any = traces.members(step.trace)["trace"]
    return Recorded(
        reference="K7M2-9QXA",
        service=ROOMS,
        organisation=PORI,
        identity_provider=IDP,
        reason=step.fault.code if isinstance(step, Refuse) else "",
        released=frozenset(step.release.attributes) if isinstance(step, Answer) else frozenset(),
        trace=tuple({name: str(value) for name, value in each.items()} for each in trace),
        before=before,
    )


def changed(record: Recorded, after: Federation) -> tuple[Change, str]:
    found = replay(record, after, NOW)
    return found.change, found.why


BEFORE = federation()
RECORD = recorded(BEFORE)


def test_by_the_same_documents_nothing_changes() -> None:
    for each in (
        federation(),
        federation(NUMBER, TITLE, attributes=registered("employeeNumber", "title", "mail", required=("mail",))),
        federation(status=Status.DRAFT),
        federation(agreement={"signed": {}}),
        federation(require=Requirements(mfa=True)),
        federation(require=Requirements(attributes={"affiliation": frozenset({"employee"})})),
        federation(attributes=registered("employeeNumber", required=("employeeNumber",))),
        federation(attributes=registered("organizationName", "mail", "pairwiseId", "subjectId")),
        federation(attributes=registered("mail"), pori={"withhold": frozenset({"mail"})}),
    ):
        assert changed(recorded(each), each)[0] is Change.SAME, recorded(each).reason


def test_what_the_request_asked_for_is_no_change() -> None:
    for asked in ({"attributes": ("mail",)}, {"needs_pairwise_id": True}):
        assert changed(recorded(BEFORE, SENT, **asked), BEFORE) == (Change.SAME, "")


def test_identifiers_kept_in_the_scope_of_a_merged_organisation_are_refused_without_it() -> None:
    step = {"stage": "identifiers", "subject": "kept", "verdict": "passed", "rule": "harjavalta.fi", "note": ""}
    with_it, without = federation(pori={"scopes": ("pori.fi", "harjavalta.fi")}), federation()
    record = recorded(with_it)
    kept = replace(record, trace=(*record.trace, step))
    refused = replace(kept, reason="kept_scope_lost", released=frozenset())

    assert changed(kept, with_it) == (Change.SAME, "")
    assert changed(kept, without) == (Change.REFUSED, "kept_scope_lost")
    assert changed(refused, without) == (Change.SAME, "kept_scope_lost")
    assert changed(refused, with_it) == (Change.ADMITTED, "kept_scope_lost")


def test_the_older_identifier_beside_the_new_one_hangs_on_no_document_but_its_registration() -> None:
    before = federation(attributes=registered("mail", "previousPairwiseId"))
    record = recorded(before)
    step = {
        "stage": "release",
        "subject": "previousPairwiseId",
        "verdict": "released",
        "rule": "registered",
        "note": "",
    }
    both = replace(record, released=record.released | {"previousPairwiseId"}, trace=(*record.trace[:-1], step))

    assert changed(record, before) == (Change.SAME, "")
    assert changed(both, before) == (Change.SAME, "")
    assert changed(both, federation(attributes=registered("mail"))) == (Change.RELEASE, "-previousPairwiseId")


# --- the release -------------------------------------------------------------------------------------------------------------


def test_more_and_fewer_attributes_are_named() -> None:
    after = federation(attributes=registered("mail", "eppn", "homeOrganization"))
    assert changed(RECORD, after) == (Change.RELEASE, "+eppn -displayName")


def test_what_the_organisation_withholds_from_now_on() -> None:
    after = federation(pori={"withhold": frozenset({"mail"})})
    assert changed(RECORD, after) == (Change.RELEASE, "-mail")


def test_a_rule_that_is_gone_takes_its_attribute_along() -> None:
    before = federation(NUMBER, attributes=registered("employeeNumber"))
    record = recorded(before)
    assert record.released == {"employeeNumber", "homeOrganization"}
    assert changed(record, federation(attributes=registered("employeeNumber"))) == (Change.RELEASE, "-employeeNumber")


def test_a_constant_is_there_whoever_it_is() -> None:
    language = AttributeRule(attribute="preferredLanguage", constant=("fi",))
    after = federation(language, attributes=registered("mail", "displayName", "homeOrganization", "preferredLanguage"))
    assert changed(RECORD, after) == (Change.RELEASE, "+preferredLanguage")


def test_a_new_rule_for_what_the_city_sends_cannot_be_told() -> None:
    """Whether the value passes the check is in no record."""
    after = federation(TITLE, attributes=registered("mail", "displayName", "homeOrganization", "title"))
    assert changed(RECORD, after) == (Change.UNKNOWN, "whether title would pass")


def test_a_new_rule_for_what_the_city_does_not_send_gives_nothing() -> None:
    department = AttributeRule(attribute="department", sources=("officeName",))
    wanting = {"attributes": registered("mail", "displayName", "homeOrganization", "department")}
    assert changed(RECORD, federation(department, **wanting)) == (Change.SAME, "")
    needing = {"attributes": registered("mail", "department", required=("department",))}
    assert changed(RECORD, federation(department, **needing)) == (Change.REFUSED, "required_attribute_missing")


def test_a_required_attribute_by_a_new_rule_cannot_be_told() -> None:
    after = federation(NUMBER, attributes=registered("mail", "employeeNumber", required=("employeeNumber",)))
    assert changed(RECORD, after) == (Change.UNKNOWN, "whether employeeNumber would pass")


def test_a_required_attribute_that_was_there_unasked() -> None:
    after = federation(attributes=registered("mail", "displayName", "homeOrganization", "eppn", required=("eppn",)))
    assert changed(RECORD, after) == (Change.RELEASE, "+eppn")


# --- who may come ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ({"agreement": {"valid_until": date(2026, 5, 31)}}, "no_agreement"),
        ({"agreement": {"signed": {}}}, "no_agreement"),
        ({"agreement": {"services": frozenset({ServiceId("another")})}}, "no_agreement"),
        ({"status": Status.RETIRED}, "service_status"),
        ({"require": Requirements(mfa=True)}, "mfa_not_proven"),
        ({"require": Requirements(attributes={"personType": frozenset({"employee"})})}, "requirement_not_met"),
        ({"idp": {"organisations": ()}}, "identity_provider_removed"),
    ],
)
def test_who_would_be_refused_is_told_by_the_rule(after: dict[str, Any], why: str) -> None:
    assert changed(RECORD, federation(**after)) == (Change.REFUSED, why)


def test_a_service_that_was_removed() -> None:
    assert changed(RECORD, replace(BEFORE, services={})) == (Change.REFUSED, "unknown_service")


@pytest.mark.parametrize(
    "before",
    [
        {"agreement": {"signed": {}}},
        {"status": Status.DRAFT},
        {"attributes": registered("mail", "employeeNumber", required=("employeeNumber",))},
    ],
)
def test_who_was_refused_would_be_let_in(before: dict[str, Any]) -> None:
    record = recorded(federation(NUMBER, **before) if "attributes" not in before else federation(**before))
    assert record.reason
    assert changed(record, federation(NUMBER, attributes=registered("mail")))[0] is Change.ADMITTED


def test_another_reason_than_before_is_told() -> None:
    record = recorded(federation(agreement={"signed": {}}))
    assert changed(record, federation(status=Status.RETIRED)) == (Change.REFUSED, "service_status")


def test_mfa_by_another_signal_that_the_login_had() -> None:
    proof = {"idp": {"assurance": {"otp": AssuranceRule(mfa=True)}}}
    demanding = {"require": Requirements(mfa=True)}
    refused = recorded(federation(**demanding), SENT, "pwd", "otp")
    assert refused.reason == "mfa_not_proven"
    assert changed(refused, federation(**proof, **demanding))[0] is Change.ADMITTED
    let_in = recorded(federation(**proof, **demanding), SENT, "pwd", "otp")
    assert changed(let_in, federation(**demanding)) == (Change.REFUSED, "mfa_not_proven")


def test_a_requirement_of_other_values_cannot_be_told() -> None:
    kind = AttributeRule(attribute="personType", sources=("kind",))
    sent = {**SENT, "kind": ("teacher",)}
    before = federation(kind, require=Requirements(attributes={"personType": frozenset({"teacher"})}))
    record = recorded(before, sent)
    assert record.reason == ""
    assert changed(record, before) == (Change.SAME, "")
    after = federation(kind, require=Requirements(attributes={"personType": frozenset({"employee"})}))
    assert changed(record, after) == (Change.UNKNOWN, "whether what the service requires holds")


def test_a_service_that_is_tested_cannot_be_told_unless_it_was_so_before() -> None:
    tested = federation(status=Status.TEST, testers=frozenset({"aino@pori.fi"}))
    assert changed(RECORD, tested) == (Change.UNKNOWN, "whether the person is a tester")
    assert changed(recorded(tested), tested) == (Change.SAME, "")
    others = federation(status=Status.TEST, testers=frozenset({"outi@pori.fi"}))
    assert changed(recorded(tested), others)[0] is Change.UNKNOWN


def test_whether_a_person_is_an_exception_cannot_be_told() -> None:
    exception = AccessException(person="aino@pori.fi", valid_until=date(2026, 6, 30), reason="substitute")
    after = federation(agreement={"signed": {}}, exceptions=(exception,))
    assert changed(RECORD, after) == (Change.UNKNOWN, "whether the person is an exception")
    ended = replace(exception, valid_until=date(2026, 5, 31))
    assert changed(RECORD, federation(agreement={"signed": {}}, exceptions=(ended,))) == (
        Change.REFUSED,
        "no_agreement",
    )


def test_a_guest_is_refused_where_no_guests_are_admitted_any_more() -> None:
    admitting = federation(require=Requirements(attributes={"personType": frozenset({"guest"})}))
    record = recorded(admitting, {**SENT, "acct": ("1",)})
    assert record.reason == ""
    assert changed(record, federation()) == (Change.REFUSED, "requirement_not_met")


def test_what_no_document_decided_stays_as_it_was() -> None:
    """A city that was down, a person who cancelled."""
    record = replace(RECORD, reason="home_unreachable", released=frozenset(), trace=())
    assert changed(record, federation(status=Status.RETIRED)) == (Change.SAME, "")


# --- whatever the documents are -----------------------------------------------------------------------------------------------------

NAMES = (
    "mail",
    "displayName",
    "homeOrganization",
    "eppn",
    "employeeNumber",
    "title",
    "department",
    "affiliation",
    "pairwiseId",
)
KIND = AttributeRule(attribute="personType", sources=("kind",))
DEPARTMENT = AttributeRule(
    attribute="department",
    sources=("officeName",),
)
LANGUAGE = AttributeRule(attribute="preferredLanguage", constant=("fi",))


@st.composite
def documents(draw: st.DrawFn) -> Federation:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    needed = draw(st.sampled_from([(), tuple(names[:1])]))
    rules = draw(
        st.lists(st.sampled_from([NUMBER, TITLE, KIND, DEPARTMENT, LANGUAGE]), unique_by=lambda each: each.attribute)
    )
    demands = {"affiliation": frozenset({"employee"})}
    return federation(
        *rules,
        attributes=registered(*names, required=needed),
        status=draw(st.sampled_from([Status.PRODUCTION, Status.PRODUCTION, Status.TEST, Status.RETIRED])),
        testers=draw(st.sampled_from([frozenset({"aino@pori.fi"}), frozenset({"outi@pori.fi"})])),
        require=draw(st.sampled_from([Requirements(), Requirements(mfa=True), Requirements(attributes=demands)])),
        pori={"withhold": draw(st.sampled_from([frozenset(), frozenset({"mail"}), frozenset({"homeOrganization"})]))},
        idp={"assurance": draw(st.sampled_from([{}, {"otp": AssuranceRule(mfa=True)}])), "attributes": tuple(rules)},
        agreement=draw(st.sampled_from([{}, {}, {"signed": {}}])),
    )


@given(documents(), documents(), st.sampled_from([SENT, {**SENT, "kind": ("teacher",)}, {"upn": ("aino@pori.fi",)}]))
@settings(max_examples=300, deadline=None)
def test_it_says_what_a_login_would_come_to_or_that_it_cannot_be_told(
    before: Federation, after: Federation, sent: Mapping[str, tuple[str, ...]]
) -> None:
    was, would_be = recorded(before, sent, "pwd", "otp"), recorded(after, sent, "pwd", "otp")
    found = replay(was, after, NOW)
    if found.change is Change.SAME:
        assert (was.reason, was.released) == (would_be.reason, would_be.released)
    elif found.change is Change.REFUSED:
        assert would_be.reason == found.why
    elif found.change is Change.ADMITTED:
        assert (bool(was.reason), would_be.reason) == (True, "")
    elif found.change is Change.RELEASE:
        names = (frozenset(name.partition("#")[0] for name in each.released) for each in (was, would_be))
        old, new = names
        signs = [*(f"+{name}" for name in sorted(new - old)), *(f"-{name}" for name in sorted(old - new))]
        assert found.why == " ".join(signs)
