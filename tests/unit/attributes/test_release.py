"""attributes.md 1.6, 1.8, 2 and 4; promise P4: a service gets only what it registered with a purpose."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from broker.attributes.identifiers import Subjects
from broker.attributes.release import BUNDLES, CODE_OF_CONDUCT, as_asked, release
from broker.attributes.schema import ATTRIBUTES
from broker.attributes.trace import TraceStep, Verdict
from broker.federation.model import Organisation, OrganisationId
from broker.login.request import LoginRequest
from broker.login.steps import Release

PERSON = {
    "displayName": ("Aino Korhonen",),
    "givenName": ("Aino",),
    "surname": ("Korhonen",),
    "mail": ("aino@pori.fi",),
    "mailVerified": ("true",),
    "eppn": ("aino@pori.fi",),
    "employeeNumber": ("10417",),
    "affiliation": ("employee@pori.fi",),
    "affiliationUnscoped": ("employee",),
    "assurance": ("https://refeds.org/assurance",),
}
TODAY = date(2026, 3, 1)
PERSONALIZED = "https://refeds.org/category/personalized"


def _why(trace: list[TraceStep], name: str) -> str:
    [note] = [step.note for step in trace if step.subject == name and step.verdict is Verdict.WITHHELD]
    return note


def test_p4_a_service_gets_what_it_registered_and_nothing_else(
    pori: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    given = release(an_identity(PERSON), a_service("displayName"), pori, subjects, TODAY, trace)

    assert given.attributes == {"displayName": ("Aino Korhonen",)}


def test_each_attribute_is_told_with_its_reason(
    pori: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    release(an_identity(PERSON), a_service("displayName", "phone", "personType"), pori, subjects, TODAY, trace)

    assert TraceStep(stage="release", subject="displayName", verdict=Verdict.RELEASED, rule="registered") in trace
    assert _why(trace, "mail") == "the service did not register it"
    assert _why(trace, "phone") == "the home did not send it, or it did not pass the checks"
    assert {step.subject for step in trace} >= {*PERSON, "subjectId", "pairwiseId", "homeOrganization"}


@pytest.mark.parametrize("category", sorted(set(BUNDLES) - {CODE_OF_CONDUCT}))
def test_4_an_entity_category_brings_its_bundle(
    category: str, pori: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    given = release(an_identity(PERSON), a_service(entity_categories=(category,)), pori, subjects, TODAY, trace)

    assert given.attributes.keys() - {"mailVerified"} == set(BUNDLES[category])


def test_4_the_code_of_conduct_alone_releases_what_is_required(
    pori: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    service = a_service("displayName", "eppn", required=("eppn",), entity_categories=(CODE_OF_CONDUCT,))

    assert release(an_identity(PERSON), service, pori, subjects, TODAY, trace).attributes.keys() == {"eppn"}


def test_what_the_home_organisation_forbids_is_withheld_from_others(
    pori: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    strict = replace(pori, withhold=frozenset({"displayName"}))

    assert release(an_identity(PERSON), a_service("displayName"), strict, subjects, TODAY, trace).attributes == {}
    assert _why(trace, "displayName") == "the home organisation does not allow it"


def test_what_the_home_organisation_forbids_its_own_services_get(
    pori: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    strict = replace(pori, withhold=frozenset({"displayName"}))
    own = a_service("displayName", owner=OrganisationId("pori"))

    assert "displayName" in release(an_identity(PERSON), own, strict, subjects, TODAY, trace).attributes


def test_2_1_an_employee_number_is_never_released_without_its_organisation(
    pori: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    service = a_service("employeeNumber")

    assert release(an_identity(PERSON), service, pori, subjects, TODAY, trace).attributes == {
        "employeeNumber": ("10417",),
        "homeOrganization": ("pori.fi",),
    }
    strict = replace(pori, withhold=frozenset({"homeOrganization"}))
    assert release(an_identity(PERSON), service, strict, subjects, TODAY, trace).attributes == {}


def test_1_8_a_national_id_is_released_to_nobody(
    pori: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    person = an_identity(PERSON | {"nationalId": ("131052-308T",)})

    assert release(person, a_service("nationalId"), pori, subjects, TODAY, trace).attributes == {}
    assert _why(trace, "nationalId") == "restricted: released to no service"


def test_1_6_facts_of_the_organisation_come_from_the_registry(
    pori: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    names = ("homeOrganization", "homeOrganizationType", "organizationType", "organizationName", "businessId")
    person = an_identity(PERSON | {"homeOrganization": ("ulvila.fi",)})

    assert release(person, a_service(*names, "municipalityCode"), pori, subjects, TODAY, trace).attributes == {
        "homeOrganization": ("pori.fi",),
        "homeOrganizationType": ("urn:schac:homeOrganizationType:int:other",),
        "organizationType": ("municipality",),
        "organizationName": ("Porin kaupunki", "Björneborgs stad"),
        "organizationName#sv": ("Björneborgs stad",),
        "businessId": ("0137323-9",),
        "municipalityCode": ("609",),
    }


def test_a_fact_that_the_registry_lacks_is_not_released(
    ulvila: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    assert release(an_identity(), a_service("businessId"), ulvila, subjects, TODAY, trace).attributes == {}
    assert _why(trace, "businessId") == "the registry does not have it"


def test_aliases_hold_the_values_of_what_they_are_older_words_for(
    pori: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    service = a_service("uniqueId", "subjectId", "commonName", "externalAffiliation")

    given = release(an_identity(PERSON), service, pori, subjects, TODAY, trace)

    assert given.attributes["uniqueId"] == given.attributes["subjectId"] == (given.subject_id,)
    assert given.attributes["commonName"] == PERSON["displayName"]
    assert given.attributes["externalAffiliation"] == PERSON["affiliation"]


def test_2_1_the_homes_subject_id_is_passed_on_and_its_pairwise_id_is_not(
    pori: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    person = an_identity({"subjectId": ("a1@pori.fi",), "pairwiseId": ("for-the-broker@pori.fi",)})

    given = release(person, a_service("subjectId", "pairwiseId"), pori, subjects, TODAY, trace)

    assert given.subject_id == "a1@pori.fi"
    assert given.attributes["pairwiseId"] == (given.pairwise_id,) != ("for-the-broker@pori.fi",)


def test_identifiers_are_always_computed_and_released_only_when_registered(
    pori: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    given = release(an_identity(), a_service(), pori, subjects, TODAY, trace)

    assert given.attributes == {}
    assert given.subject_id.endswith("@pori.fi")
    assert given.pairwise_id != given.subject_id


def test_unknown_is_not_released_and_told_apart_from_not_sent(
    pori: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    assert (
        release(an_identity({"entitlement": ()}), a_service("entitlement"), pori, subjects, TODAY, trace).attributes
        == {}
    )
    assert _why(trace, "entitlement") == "unknown: the home could not say"


def test_no_release_holds_what_no_rule_released(
    pori: Organisation, subjects: Subjects, trace: list[TraceStep], an_identity: Any, a_service: Any
) -> None:
    service = a_service("phone", "mail", entity_categories=(PERSONALIZED,))

    given = release(an_identity(PERSON), service, pori, subjects, TODAY, trace)

    released = {step.subject for step in trace if step.verdict is Verdict.RELEASED}
    assert given.attributes.keys() == released
    assert {step.subject for step in trace} <= set(ATTRIBUTES)


# --- what one request asks of it ----------------------------------------------------------------------------------------


def asked(released: Release, request: LoginRequest, trace: list[TraceStep]) -> set[str]:
    return set(as_asked(released, request, trace).attributes)


def test_core_3_4_1_a_request_may_ask_for_fewer(
    an_identity: Any, a_service: Any, a_request: Any, pori: Organisation, subjects: Subjects, trace: list[TraceStep]
) -> None:
    released = release(an_identity(PERSON), a_service("displayName", "mail"), pori, subjects, TODAY, trace)

    assert asked(released, a_request(), trace) == {"displayName", "mail", "mailVerified"}
    assert asked(released, a_request(attributes=("mail", "phone")), trace) == {"mail", "mailVerified"}
    assert trace[-1].subject == "displayName"
    assert trace[-1].verdict is Verdict.WITHHELD


def test_P4_a_request_gets_the_pairwise_identifier_and_no_other(
    an_identity: Any, a_service: Any, a_request: Any, pori: Organisation, subjects: Subjects, trace: list[TraceStep]
) -> None:
    released = release(an_identity(PERSON), a_service("displayName"), pori, subjects, TODAY, trace)
    given = as_asked(released, a_request(needs_pairwise_id=True), trace)

    assert given.attributes == {**released.attributes, "pairwiseId": (released.pairwise_id,)}
    assert asked(released, a_request(attributes=("subjectId",), needs_pairwise_id=True), trace) == {"pairwiseId"}
