"""Builders of valid things: a test changes one field and shows only that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.attributes.identifiers import Subjects
from broker.attributes.trace import TraceStep
from broker.federation.model import (
    Federation,
    IdentityProvider,
    IdentityProviderId,
    OidcClient,
    OidcProvider,
    Organisation,
    OrganisationId,
    Protocol,
    RegisteredAttribute,
    Service,
    ServiceId,
    Status,
    SubjectRule,
)
from broker.keys.keyring import SubjectKeys
from broker.login.identity import Identity, VerifiedAssertion
from broker.login.request import LoginRequest

Build = Callable[..., Any]


@pytest.fixture
def trace() -> list[TraceStep]:
    return []


@pytest.fixture
def keys() -> SubjectKeys:
    return SubjectKeys(subject=b"s" * 32, pairwise=b"p" * 32)


@pytest.fixture
def subjects(keys: SubjectKeys) -> Subjects:
    """Nobody's identifiers ever changed."""
    return Subjects(keys=keys)


@pytest.fixture
def pori() -> Organisation:
    return Organisation(
        id=OrganisationId("pori"),
        name={"fi": "Porin kaupunki", "sv": "Björneborgs stad"},
        municipality_code="609",
        business_id="0137323-9",
        organization_type="municipality",
        scopes=("pori.fi",),
        mail_domains=frozenset({"pori.fi"}),
    )


@pytest.fixture
def ulvila() -> Organisation:
    return Organisation(id=OrganisationId("ulvila"), name={"fi": "Ulvilan kaupunki"}, scopes=("ulvila.fi",))


@pytest.fixture
def federation(pori: Organisation, ulvila: Organisation) -> Federation:
    return Federation(
        revision=1,
        organisations={pori.id: pori, ulvila.id: ulvila},
        identity_providers={},
        services={},
        agreements={},
    )


@pytest.fixture(scope="session")
def an_idp() -> Build:
    def build(dialect: str = "ldap-basic", **changes: Any) -> IdentityProvider:
        issuer = changes.pop("issuer", "https://login.example/9c1d0000-0000-4000-8000-00000000beef/v2.0")
        fields: dict[str, Any] = {
            "id": IdentityProviderId("idp"),
            "protocol": Protocol.OIDC,
            "organisations": (OrganisationId("pori"),),
            "dialect": dialect,
            "subject": SubjectRule(keyspace="idp"),
            "oidc": OidcProvider(issuer=issuer, client_id="broker"),
        }
        return IdentityProvider(**(fields | changes))

    return build


@pytest.fixture(scope="session")
def an_assertion() -> Build:
    def build(attributes: Mapping[str, tuple[str, ...]] | None = None, **changes: Any) -> VerifiedAssertion:
        fields: dict[str, Any] = {
            "idp": IdentityProviderId("idp"),
            "subject": "stable-key",
            "attributes": attributes or {},
        }
        return VerifiedAssertion(**(fields | changes))

    return build


@pytest.fixture(scope="session")
def an_identity() -> Build:
    def build(attributes: Mapping[str, tuple[str, ...]] | None = None, **changes: Any) -> Identity:
        fields: dict[str, Any] = {
            "organisation": OrganisationId("pori"),
            "idp": IdentityProviderId("idp"),
            "keyspace": "pori-hr",
            "key": "10417",
            "attributes": attributes or {},
            "authn_instant": datetime(2026, 3, 1, tzinfo=UTC),
        }
        return Identity(**(fields | changes))

    return build


@pytest.fixture(scope="session")
def a_service() -> Build:
    def build(*attributes: str, **changes: Any) -> Service:
        required = changes.pop("required", ())
        client_id = changes.pop("client_id", "rooms")
        fields: dict[str, Any] = {
            "id": ServiceId("rooms"),
            "protocol": Protocol.OIDC,
            "owner": OrganisationId("ulvila"),
            "name": {"en": "Rooms"},
            "attributes": tuple(
                RegisteredAttribute(name=name, purpose={"en": "Because"}, required=name in required)
                for name in attributes
            ),
            "status": Status.PRODUCTION,
            "client": OidcClient(client_id=client_id),
        }
        return Service(**(fields | changes))

    return build


@pytest.fixture(scope="session")
def a_request() -> Build:
    def build(**changes: Any) -> LoginRequest:
        fields: dict[str, Any] = {"service": ServiceId("rooms"), "protocol": Protocol.SAML, "reply": {}}
        return LoginRequest(**(fields | changes))

    return build
