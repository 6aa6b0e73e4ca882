"""The demo's people through the heart, without any wire: the shipped documents say what ``Person.refused`` says."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.attributes.identifiers import Subjects
from broker.demo import oidc_city, saml_city, saml_peer
from broker.demo.check import services
from broker.demo.people import PEOPLE, PORI_DIRECTORY, Person
from broker.demo.world import Ports, PreparedDemo, prepare, shipped_metadata
from broker.federation.documents import build, read_folder, secret_resolver
from broker.federation.model import Federation, IdentityProviderId, Protocol, ServiceId
from broker.keys.client_secrets import ClientSecrets
from broker.keys.keyring import SubjectKeys
from broker.login import decide
from broker.login.identity import VerifiedAssertion
from broker.login.request import LoginRequest
from broker.login.steps import Answer, ChooseOrganisation, Refuse
from broker.login.transaction import LIFETIME, LoginTransaction, Stage, new_reference_code, new_transaction_id
from broker.saml.metadata import read_facts

NOW = datetime(2026, 11, 24, 9, 14, tzinfo=UTC)
KEYS = SubjectKeys(subject=secrets.token_bytes(32), pairwise=secrets.token_bytes(32))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> PreparedDemo:
    return prepare(tmp_path_factory.mktemp("demo"), Ports(), shipped_metadata())


@pytest.fixture(scope="module")
def federation(demo: PreparedDemo) -> Federation:
    return build(
        read_folder(demo.documents),
        revision=1,
        read_metadata=read_facts,
        secret=secret_resolver(demo.environment, Path(demo.folder), ClientSecrets(lambda: b"")),
    )


def an_assertion(person: Person) -> VerifiedAssertion:
    if person.directory == PORI_DIRECTORY:
        claims = {saml_peer.CLAIMS[name]: tuple(values) for name, values in saml_city.claims_of(person).items()}
        context = saml_city.MULTIPLE_FACTORS if person.mfa else None
        return VerifiedAssertion(
            idp=IdentityProviderId(person.directory), subject=person.id, attributes=claims, authn_context=context
        )
    sent = oidc_city.claims_of(person)
    texts = {
        name: tuple(value) if isinstance(value, list) else (value if isinstance(value, str) else str(value).lower(),)
        for name, value in sent.items()
    }
    methods = texts.pop("amr")
    return VerifiedAssertion(
        idp=IdentityProviderId(person.directory), subject=person.id, attributes=texts, authn_methods=methods
    )


def a_transaction(service: str, protocol: Protocol) -> LoginTransaction:
    return LoginTransaction(
        id=new_transaction_id(),
        reference=new_reference_code(),
        browser="",
        request=LoginRequest(service=ServiceId(service), protocol=protocol, reply={}),
        stage=Stage.AT_IDP,
        begun_at=NOW,
        expires_at=NOW + LIFETIME,
    )


@pytest.mark.parametrize("service", ["shared-wiki", "meeting-rooms"])
@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.id)
def test_each_login_ends_as_the_login_page_says(
    person: Person, service: str, demo: PreparedDemo, federation: Federation
) -> None:
    transaction = a_transaction(service, federation.services[ServiceId(service)].protocol)

    step = decide.receive(
        transaction, an_assertion(person), federation, Subjects(keys=KEYS), NOW, timedelta(seconds=60)
    )

    if service in person.refused:
        assert isinstance(step, Refuse)
        assert step.fault.code == person.refused[service]
    else:
        assert isinstance(step, Answer)
        assert step.organisation == person.organisation
        assert step.release.attributes["mail"] == (person.mail,)
        assert step.release.attributes["displayName"] == (person.name,)
        assert (step.authn_context == "https://refeds.org/profile/mfa") is person.mfa


@pytest.mark.parametrize("service", ["shared-wiki", "meeting-rooms"])
def test_the_page_offers_the_two_cities_whose_agreement_is_in_force(service: str, federation: Federation) -> None:
    request = LoginRequest(
        service=ServiceId(service), protocol=federation.services[ServiceId(service)].protocol, reply={}
    )

    step = decide.begin(request, federation, NOW)

    assert isinstance(step, ChooseOrganisation)
    assert set(step.organisations) == {"pori", "ulvila"}


def test_the_demo_goes_through_every_reason_that_it_promises() -> None:
    reasons = {reason for person in PEOPLE for reason in person.refused.values()}
    assert reasons == {"no_agreement", "required_attribute_missing", "foreign_scope", "requirement_not_met"}


def test_the_check_knows_every_service_of_the_documents(demo: PreparedDemo, federation: Federation) -> None:
    assert {service.id for service in services(demo)} == set(federation.services)
