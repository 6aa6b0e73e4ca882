"""Organisation, IdentityProvider, Service, Agreement, Federation: frozen snapshots, made by ``documents.py``.

Everything that decides about a login reads these and nothing else. A snapshot is never changed: a new revision is a new
Federation. Words and meanings: FEDERATION.md in the reference documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from typing import NewType
from zoneinfo import ZoneInfo

OrganisationId = NewType("OrganisationId", str)
IdentityProviderId = NewType("IdentityProviderId", str)
ServiceId = NewType("ServiceId", str)
AgreementId = NewType("AgreementId", str)

LANGUAGES = ("fi", "sv", "en")
FAPI2_ALGORITHMS = ("PS256", "ES256", "EdDSA")
"""FAPI 2.0 Security Profile 5.4.1: without PKCS#1 v1.5."""
# Dates of agreements are Finnish calendar dates.
HOME_ZONE = ZoneInfo("Europe/Helsinki")

Texts = Mapping[str, str]
"""A text by language code: some of ``fi``, ``sv``, ``en``; at least one."""


def text_in(texts: Texts, language: str) -> str:
    """The text in ``language``, else in the first of fi, en, sv that there is; "" when there is none."""
    for wanted in (language, "fi", "en", "sv"):
        if wanted in texts:
            return texts[wanted]
    return ""


class Protocol(StrEnum):
    SAML = "saml"
    OIDC = "oidc"


class Status(StrEnum):
    """A service's life. draft: nobody; test: named testers; production: all; retired: nobody."""

    DRAFT = "draft"
    TEST = "test"
    PRODUCTION = "production"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    role: str
    name: str = ""
    email: str = ""
    phone: str = ""
    hours: Texts = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """``scopes``: exact, lower-case; the first is the primary scope. ``mail_domains``: scopes, when not given."""

    id: OrganisationId
    name: Texts
    short_name: Texts = field(default_factory=dict)
    municipality_code: str | None = None
    business_id: str | None = None
    organization_type: str | None = None
    scopes: tuple[str, ...] = ()
    mail_domains: frozenset[str] = frozenset()
    contacts: tuple[Contact, ...] = ()
    withhold: frozenset[str] = frozenset()
    """Canonical attributes that this organisation forbids to be released to other organisations' services."""

    def contact(self, *roles: str) -> Contact | None:
        """The first contact with the first of these roles that has one."""
        for role in roles:
            for contact in self.contacts:
                if contact.role == role:
                    return contact
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataFile:
    """A SAML metadata file of the registry: its path inside the documents folder, its octets, the entityID in it, and the moment
    until which it may be used, if it says so."""

    path: str
    content: bytes
    entity_id: str
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeRule:
    """How one canonical attribute is made from what the identity provider sends.

    ``sources``: source names, the first that has a value wins. ``join``, ``split``: separators. ``table``: from source
    value to canonical value, others are dropped. ``transforms``: names of the closed set in ``attributes/mapping.py``.
    ``constant``: instead of a source.
    """

    attribute: str
    sources: tuple[str, ...] = ()
    transforms: tuple[str, ...] = ()
    split: str | None = None
    table: Mapping[str, str] | None = None
    constant: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRule:
    """``keyspace`` in which the person's key is unique, and the attribute (canonical or source name) that holds it.

    ``source`` None: the persistent NameID, ``sub`` or ``tid/oid``.
    """

    keyspace: str
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationFrom:
    """Which source attribute decides among the organisations that one identity provider serves.

    A value decides by ``table`` if there is one; else it must be an organisation's id, one of its scopes, or
    ``left@scope``.
    """

    source: str
    table: Mapping[str, OrganisationId] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssuranceRule:
    """What an incoming AuthnContextClassRef, acr or amr value proves: a schema level and, where shown, MFA."""

    level: str | None = None
    mfa: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcProvider:
    """A city's OpenID Provider. ``client_secret`` is resolved already; it is never shown (repr) and never stored."""

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    client_auth: str = "client_secret_basic"
    scopes: tuple[str, ...] = ("openid",)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityProvider:
    """A city's login service. Exactly one of ``metadata`` (SAML) and ``oidc`` is set, as ``protocol`` says.

    SAML only: ``quirks``, names of ``federation/quirks.py``. ``unsolicited``: a login may begin at its portal.
    ``artifact``: it is asked to answer by HTTP-Artifact, where its metadata says how to resolve one.
    ``sha1_until``: the last day, in Finnish time, on which its signatures may still be made by SHA-1.
    """

    id: IdentityProviderId
    protocol: Protocol
    organisations: tuple[OrganisationId, ...]
    dialect: str
    organisation_from: OrganisationFrom | None = None
    subject: SubjectRule
    attributes: tuple[AttributeRule, ...] = ()
    assurance: Mapping[str, AssuranceRule] = field(default_factory=dict)
    quirks: frozenset[str] = frozenset()
    unsolicited: bool = False
    artifact: bool = False
    sha1_until: date | None = None
    metadata: MetadataFile | None = None
    oidc: OidcProvider | None = None

    @property
    def entity_id(self) -> str:
        """The SAML entityID or the OIDC issuer."""
        if self.metadata is not None:
            return self.metadata.entity_id
        assert self.oidc is not None
        return self.oidc.issuer


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredAttribute:
    """An attribute that a service registered, with its purpose in the person's language."""

    name: str
    purpose: Texts
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a service asks of the person: ``mfa``, and for each canonical attribute the values of which one must be there.

    For ``affiliation`` the left part of the scoped value is compared.
    """

    mfa: bool = False
    attributes: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessException:
    """One person, by canonical eppn or mail, who reaches a service without an agreement; both days included, Finnish time."""

    person: str
    valid_from: date | None = None
    valid_until: date
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcClient:
    """Client metadata in the words of RFC 7591. ``client_secret`` and ``registration_access_token`` are resolved already; never
    shown, never stored. ``jwks``: the client's public keys as JSON. ``default_max_age``: seconds.

    Beyond RFC 7591: ``access_token_format``, opaque or jwt (RFC 9068); ``security_profile``, fapi2 or none.
    """

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    registration_access_token: str | None = field(default=None, repr=False)
    redirect_uris: tuple[str, ...] = ()
    token_endpoint_auth_method: str = "client_secret_basic"
    grant_types: tuple[str, ...] = ("authorization_code",)
    response_types: tuple[str, ...] = ("code",)
    scope: str | None = None
    subject_type: str = "pairwise"
    sector_identifier_uri: str | None = None
    id_token_signed_response_alg: str = "RS256"
    id_token_encrypted_response_alg: str | None = None
    id_token_encrypted_response_enc: str = "A128CBC-HS256"
    userinfo_signed_response_alg: str | None = None
    userinfo_encrypted_response_alg: str | None = None
    userinfo_encrypted_response_enc: str = "A128CBC-HS256"
    dpop_bound_access_tokens: bool = False
    tls_client_certificate_bound_access_tokens: bool = False
    tls_client_auth_subject_dn: str | None = None
    tls_client_auth_san_dns: str | None = None
    tls_client_auth_san_uri: str | None = None
    tls_client_auth_san_ip: str | None = None
    tls_client_auth_san_email: str | None = None
    require_pkce: bool = False
    client_uri: str | None = None
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    contacts: tuple[str, ...] = ()
    initiate_login_uri: str | None = None
    jwks: str | None = None
    jwks_uri: str | None = None
    token_endpoint_auth_signing_alg: str | None = None
    require_pushed_authorization_requests: bool = False
    require_signed_request_object: bool = False
    request_object_signing_alg: str | None = None
    access_token_format: str = "opaque"
    default_max_age: int | None = None
    default_acr_values: tuple[str, ...] = ()
    security_profile: str | None = None

    @property
    def fapi2(self) -> bool:
        """Whether it is held to the FAPI 2.0 Security Profile."""
        return self.security_profile == "fapi2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A shared service. Exactly one of ``metadata`` (SAML) and ``client`` (OIDC) is set, as ``protocol`` says.

    ``entity_categories``: category URIs whose bundle of attributes the service gets beside ``attributes``.
    ``testers``: (organisation, canonical eppn or mail) pairs as ``left@scope``, who may log in while ``status`` is test.
    ``exceptions``: people for whom no agreement is needed, for a time.

    SAML only: ``sign_requests``, its AuthnRequests must be signed whatever its metadata says. ``unsolicited``: a login may
    begin here, without a request of it. ``cbc``: its assertions are encrypted by AES-CBC, because it knows nothing better.
    """

    id: ServiceId
    protocol: Protocol
    owner: OrganisationId
    name: Texts
    attributes: tuple[RegisteredAttribute, ...] = ()
    entity_categories: tuple[str, ...] = ()
    require: Requirements = field(default_factory=Requirements)
    status: Status = Status.DRAFT
    testers: frozenset[str] = frozenset()
    exceptions: tuple[AccessException, ...] = ()
    url: str | None = None
    sign_requests: bool = False
    unsolicited: bool = False
    cbc: bool = False
    metadata: MetadataFile | None = None
    client: OidcClient | None = None

    @property
    def entity_id(self) -> str:
        """The SAML entityID or the OAuth client_id."""
        if self.metadata is not None:
            return self.metadata.entity_id
        assert self.client is not None
        return self.client.client_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Which organisations co-operate, on which services, from when to when (both days included, Finnish time).

    Covers ``services`` and every service owned by one of ``owners``. In force only when all ``parties`` have signed.
    """

    id: AgreementId
    name: Texts
    parties: frozenset[OrganisationId]
    services: frozenset[ServiceId] = frozenset()
    owners: frozenset[OrganisationId] = frozenset()
    valid_from: date
    valid_until: date
    signed: Mapping[OrganisationId, date] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Federation:
    """All of the above at one revision: an immutable snapshot, shared by reference."""

    revision: int
    organisations: Mapping[OrganisationId, Organisation]
    identity_providers: Mapping[IdentityProviderId, IdentityProvider]
    services: Mapping[ServiceId, Service]
    agreements: Mapping[AgreementId, Agreement]
    loaded_at: datetime | None = None

    @cached_property
    def services_by_entity_id(self) -> Mapping[tuple[Protocol, str], Service]:
        return {(service.protocol, service.entity_id): service for service in self.services.values()}

    @cached_property
    def identity_providers_by_entity_id(self) -> Mapping[tuple[Protocol, str], IdentityProvider]:
        return {(idp.protocol, idp.entity_id): idp for idp in self.identity_providers.values()}

    @cached_property
    def identity_providers_of(self) -> Mapping[OrganisationId, tuple[IdentityProvider, ...]]:
        """The identity providers that each organisation's staff may use, in the order of their ids."""
        found: dict[OrganisationId, list[IdentityProvider]] = {}
        for idp in sorted(self.identity_providers.values(), key=lambda each: each.id):
            for organisation in idp.organisations:
                found.setdefault(organisation, []).append(idp)
        return {organisation: tuple(idps) for organisation, idps in found.items()}

    @cached_property
    def organisation_by_scope(self) -> Mapping[str, OrganisationId]:
        return {scope: each.id for each in self.organisations.values() for scope in each.scopes}

    @cached_property
    def agreements_by_party(self) -> Mapping[OrganisationId, tuple[Agreement, ...]]:
        return _grouped(self.agreements.values())


def _grouped(agreements: Iterable[Agreement]) -> Mapping[OrganisationId, tuple[Agreement, ...]]:
    found: dict[OrganisationId, list[Agreement]] = {}
    for agreement in sorted(agreements, key=lambda each: each.id):
        for party in agreement.parties:
            found.setdefault(party, []).append(agreement)
    return {party: tuple(theirs) for party, theirs in found.items()}
