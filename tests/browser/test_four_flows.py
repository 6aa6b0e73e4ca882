"""The four protocol pairs by hand in a browser, with scripts and without, and the refusals on the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broker.demo.people import MEETING_ROOMS, PEOPLE, SHARED_WIKI, Person
from broker.errors import fault_class
from tests.browser.servers import Demo
from tests.browser.visitor import REFERENCE, Visitor

AINO = next(person for person in PEOPLE if person.id == "aino-korhonen")
JUHANI = next(person for person in PEOPLE if person.id == "juhani-makela")
PAIRS = [
    pytest.param(AINO, SHARED_WIKI, id="SAML-to-SAML"),
    pytest.param(AINO, MEETING_ROOMS, id="SAML-to-OIDC"),
    pytest.param(JUHANI, SHARED_WIKI, id="OIDC-to-SAML"),
    pytest.param(JUHANI, MEETING_ROOMS, id="OIDC-to-OIDC"),
]
REFUSALS = [
    pytest.param(person, service, reason, id=f"{person.id}-{service}")
    for person in PEOPLE
    for service, reason in person.refused.items()
]
SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without-scripts"])


@SCRIPTS
@pytest.mark.parametrize(("person", "service_id"), PAIRS)
def test_a_person_arrives_at_the_service_with_their_attributes(
    visitor_with: Callable[..., Visitor], demo: Demo, person: Person, service_id: str, scripts: bool
) -> None:
    service = demo.service(service_id)
    visitor = visitor_with(scripts=scripts)
    visitor.begin(service)
    assert visitor.origin == demo.broker
    visitor.choose(person.choose)
    assert visitor.origin == {"pori": demo.pori, "ulvila": demo.ulvila}[person.organisation]
    visitor.be(person)
    visitor.arrive(service)
    assert visitor.page.url == f"{service.base}/received"
    shown = visitor.received()
    assert shown[service.mail] == person.mail
    assert shown[service.display_name] == person.name
    assert shown[service.home_organization] == f"{person.organisation}.fi"
    assert visitor.complaints == []


@pytest.mark.parametrize(("person", "service_id", "reason"), REFUSALS)
def test_P7_a_refused_person_sees_the_reason_and_no_data_and_the_service_is_told(
    visitor: Visitor, demo: Demo, person: Person, service_id: str, reason: str
) -> None:
    service = demo.service(service_id)
    visitor.log_in(service, person)
    assert visitor.origin == demo.broker
    assert visitor.reason == reason
    assert visitor.document.status == fault_class(reason).http_status
    assert REFERENCE.fullmatch(visitor.reference)
    page = visitor.page.content() + visitor.page.url
    assert not [value for value in values_of(person) if value in page]
    visitor.go_back(service)
    assert codes_at_service(visitor) == codes_of(reason, service_id)
    assert visitor.complaints == []


@pytest.mark.parametrize("service_id", [SHARED_WIKI, MEETING_ROOMS])
def test_back_tells_the_service_without_scripts_too(
    visitor_with: Callable[..., Visitor], demo: Demo, service_id: str
) -> None:
    person = next(each for each in PEOPLE if service_id in each.refused)
    service = demo.service(service_id)
    visitor = visitor_with(scripts=False)
    visitor.log_in(service, person)
    visitor.go_back(service)
    assert codes_at_service(visitor) == codes_of(person.refused[service_id], service_id)


def codes_at_service(visitor: Visitor) -> list[str]:
    return visitor.page.locator(".refused p > code").all_inner_texts()


def codes_of(reason: str, service_id: str) -> list[str]:
    """The protocol's own words for the refusal (saml-core 3.2.2.2, RFC 6749 4.1.2.1)."""
    fault = fault_class(reason)
    return [fault.oauth_error] if service_id == MEETING_ROOMS else list(fault.saml_status)


def values_of(person: Person) -> list[str]:
    named = [person.given_name, person.surname, person.employee_number, person.user_name]
    return [*named, person.mail] if person.mail else named
