"""The shape of each kind of document, as pydantic models: what a document may hold, before anything is looked up elsewhere.

Formats: FEDERATION.md in the reference documentation. The words are checked here; that they fit together is checked in
``documents.py``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from cryptography.x509 import Name
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from broker.attributes import dialects, transforms, values
from broker.attributes.assurance import STRENGTH
from broker.attributes.release import BUNDLES
from broker.federation.model import Status
from broker.federation.quirks import QUIRKS

ID_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$"
LANGUAGE_PATTERN = "^(fi|sv|en)$"
GENERATED = "generated:"
GENERATED_PATTERN = r"^generated:[A-Za-z0-9_-]{22,86}$"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _one_or_several(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _known_dialect(name: str) -> str:
    if name not in dialects.names():
        raise ValueError(f"no such dialect; there are {', '.join(dialects.names())}")
    return name


def _known_transform(name: str) -> str:
    try:
        transforms.find(name)
    except KeyError:
        known = ", ".join([*transforms.TRANSFORMS, transforms.SCOPE + "DOMAIN"])
        raise ValueError(f"no such transform; there are {known}") from None
    return name


def _known_level(level: str) -> str:
    if level not in STRENGTH:
        raise ValueError(f"no level of the schema; there are {', '.join(STRENGTH)}")
    return level


def _known_quirk(name: str) -> str:
    if name not in QUIRKS:
        raise ValueError(f"no quirk that is known here; there are {', '.join(QUIRKS)}")
    return name


def _known_category(category: str) -> str:
    if category not in BUNDLES:
        raise ValueError(f"no entity category that is known here; there are {', '.join(BUNDLES)}")
    return category


def _scope(value: str) -> str:
    if value != (lowered := values.domain(value)):
        raise ValueError(f"must be lower-case: {lowered}")
    return value


def _phone(value: str) -> str:
    """For people to read: checked, and kept as it is written."""
    values.phone(value)
    return values.text(value)


def _tester(value: str) -> str:
    tester = values.eppn(value)
    values.domain(values.scope_of(tester))
    return tester.lower()


def _web_address(value: str) -> str:
    """https anywhere, http on this machine only; without a fragment, a wildcard or a password."""
    try:
        address = urlsplit(value)
        host = address.hostname or ""
        address.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        raise ValueError("not a web address") from None
    if not _is_plain(value) or not host or address.scheme not in ("https", "http"):
        raise ValueError("must be a web address: https://…")
    if address.scheme == "http" and not _is_loopback(host):
        raise ValueError("must be https; http is for this machine alone (127.0.0.1, localhost)")
    if "#" in value:
        raise ValueError("must have no fragment (#…)")
    if "*" in value:
        raise ValueError("must be exact: no wildcard (*)")
    if address.username is not None or address.password is not None:
        raise ValueError("must hold no user name or password")
    return value


def _issuer(value: str) -> str:
    """OIDC Discovery 2: without query and fragment."""
    if "?" in _web_address(value):
        raise ValueError("an issuer has no query (?…)")
    return value


def _https(value: str) -> str:
    if not _web_address(value).startswith("https:"):
        raise ValueError("must be https")
    return value


def _client_id(value: str) -> str:
    """RFC 6749 A.1: visible ASCII; without blanks, because it stands in URLs and logs."""
    if not 1 <= len(value) <= 255 or not _is_plain(value):
        raise ValueError("must be 1 to 255 visible ASCII characters without blanks")
    return value


def _distinguished_name(value: str) -> str:
    """RFC 4514."""
    try:
        Name.from_rfc4514_string(value)
    except ValueError:
        raise ValueError("must be a distinguished name: CN=…,O=…,C=FI (RFC 4514)") from None
    return value


def _ip_address(value: str) -> str:
    return str(ipaddress.ip_address(value))


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable() and " " not in value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked_by(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(check)


Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Text = Annotated[str, _checked_by(values.text)]
Language = Annotated[str, StringConstraints(pattern=LANGUAGE_PATTERN)]
Texts = Annotated[dict[Language, Text], Field(min_length=1)]
WebAddress = Annotated[str, _checked_by(_web_address)]
Several = BeforeValidator(_one_or_several)
Plain = Annotated[str, Field(min_length=1)]


class ContactModel(_Model):
    role: Literal["helpdesk", "operations", "technical", "security", "privacy", "coordinator"]
    name: Text = ""
    email: Annotated[str, _checked_by(values.mail)] = ""
    phone: Annotated[str, _checked_by(_phone)] = ""
    hours: Texts | None = None


class OrganisationModel(_Model):
    kind: Literal["organisation"]
    id: Id
    name: Texts
    short_name: Texts | None = None
    municipality_code: Annotated[str, _checked_by(values.municipality_code)] | None = None
    business_id: Annotated[str, _checked_by(values.business_id)] | None = None
    organization_type: Annotated[str, _checked_by(values.organization_type)] | None = None
    scopes: list[Annotated[str, _checked_by(_scope)]] = []
    mail_domains: list[Annotated[str, _checked_by(_scope)]] = []
    contacts: list[ContactModel] = []
    withhold: list[str] = []


class AttributeRuleModel(_Model):
    """Either ``from`` or ``constant``."""

    sources: Annotated[list[Plain], Several] = Field(default=[], alias="from")
    transforms: list[Annotated[str, _checked_by(_known_transform)]] = []
    split: Plain | None = None
    table: dict[str, str] | None = None
    constant: Annotated[list[Plain], Several] = []


class SubjectModel(_Model):
    keyspace: Id | None = None
    source: Plain | None = Field(default=None, alias="from")


class OrganisationFromModel(_Model):
    source: Plain = Field(alias="from")
    table: dict[str, Id] | None = None


class AssuranceModel(_Model):
    level: Annotated[str, _checked_by(_known_level)] | None = None
    mfa: bool = False


class _IdentityProviderModel(_Model):
    kind: Literal["identity-provider"]
    id: Id
    organisations: Annotated[list[Id], Field(min_length=1)]
    organisation_from: OrganisationFromModel | None = None
    dialect: Annotated[str, _checked_by(_known_dialect)]
    subject: SubjectModel = SubjectModel()
    attributes: dict[str, AttributeRuleModel] = {}
    assurance: dict[str, AssuranceModel] = {}


class SamlIdentityProviderModel(_IdentityProviderModel):
    protocol: Literal["saml"]
    metadata: Plain
    quirks: list[Annotated[str, _checked_by(_known_quirk)]] | None = None
    unsolicited: bool = False
    artifact: bool = False
    sha1_until: date | None = None


class OidcIdentityProviderModel(_IdentityProviderModel):
    protocol: Literal["oidc"]
    issuer: Annotated[str, _checked_by(_issuer)]
    client_id: Annotated[str, _checked_by(_client_id)]
    client_secret: Plain | None = None
    client_auth: Literal["client_secret_basic", "client_secret_post", "private_key_jwt"] = "client_secret_basic"
    scopes: list[Plain] = ["openid"]


class RegisteredAttributeModel(_Model):
    name: str
    purpose: Texts
    required: bool = False


class RequireModel(_Model):
    """``mfa``, and canonical attributes with the values of which one must be there."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, Annotated[list[Plain], Several, Field(min_length=1)]] = Field(init=False)
    mfa: bool = False


class ExceptionModel(_Model):
    """One person whom no agreement admits, by a name as of a tester. Both days included, Finnish time."""

    person: Annotated[str, _checked_by(_tester)]
    valid_from: date | None = None
    valid_until: date
    reason: Plain


class _ServiceModel(_Model):
    kind: Literal["service"]
    id: Id
    owner: Id
    name: Texts
    url: WebAddress | None = None
    attributes: list[RegisteredAttributeModel] = []
    entity_categories: list[Annotated[str, _checked_by(_known_category)]] = []
    require: RequireModel = RequireModel()
    # A member of an enumeration is asked for by its value: strict mode would want the member itself.
    status: Annotated[Status, Field(strict=False)] = Status.DRAFT
    testers: list[Annotated[str, _checked_by(_tester)]] = []
    exceptions: list[ExceptionModel] = []


class SamlServiceModel(_ServiceModel):
    protocol: Literal["saml"]
    metadata: Plain
    sign_requests: bool = False
    unsolicited: bool = False
    cbc: bool = False


def _public_keys(value: dict[str, Any]) -> dict[str, Any]:
    """RFC 7517 5: a JWK Set of public keys. Whether each can be used is seen when it is."""
    keys = value.get("keys")
    if not isinstance(keys, list) or not keys or not all(isinstance(each, dict) and each.get("kty") for each in keys):
        raise ValueError("must be a JWK Set: keys: [{kty: …}]")
    if any(each.keys() & _PRIVATE_MEMBERS or each["kty"] == "oct" for each in keys):
        raise ValueError("holds a private or shared key: only public keys are registered; take this one out of use")
    return value


SigningAlgorithm = Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
ClientAuthenticationMethod = Literal[
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
    "none",
]
GrantType = Literal[
    "authorization_code",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
]
OurSigningAlgorithm = Literal["RS256", "PS256", "ES256", "EdDSA"]
KeyEncryption = Literal["RSA-OAEP-256", "RSA-OAEP", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"]
ContentEncryption = Literal["A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM"]
_PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


class ClientModel(_Model):
    """The words of RFC 7591 and 7592, and ``require_pkce``, ``access_token_format``, ``security_profile``.

    ``registration_access_token``: of a service that registered itself, and may change that."""

    client_id: Annotated[str, _checked_by(_client_id)]
    client_secret: Plain | None = None
    registration_access_token: Annotated[str, StringConstraints(pattern=GENERATED_PATTERN)] | None = None
    redirect_uris: list[WebAddress] = []
    token_endpoint_auth_method: ClientAuthenticationMethod = "client_secret_basic"
    token_endpoint_auth_signing_alg: SigningAlgorithm | None = None
    request_object_signing_alg: SigningAlgorithm | None = None
    require_signed_request_object: bool = False
    jwks: Annotated[dict[str, Any], AfterValidator(_public_keys)] | None = None
    jwks_uri: WebAddress | None = None
    require_pushed_authorization_requests: bool = False
    grant_types: list[GrantType] = ["authorization_code"]
    response_types: list[Literal["code"]] = ["code"]
    scope: str | None = None
    subject_type: Literal["pairwise", "public"] = "pairwise"
    sector_identifier_uri: WebAddress | None = None
    id_token_signed_response_alg: OurSigningAlgorithm = "RS256"
    id_token_encrypted_response_alg: KeyEncryption | None = None
    id_token_encrypted_response_enc: ContentEncryption = "A128CBC-HS256"
    userinfo_signed_response_alg: OurSigningAlgorithm | None = None
    userinfo_encrypted_response_alg: KeyEncryption | None = None
    userinfo_encrypted_response_enc: ContentEncryption = "A128CBC-HS256"
    dpop_bound_access_tokens: bool = False
    tls_client_certificate_bound_access_tokens: bool = False
    tls_client_auth_subject_dn: Annotated[str, _checked_by(_distinguished_name)] | None = None
    tls_client_auth_san_dns: Annotated[str, _checked_by(values.domain)] | None = None
    tls_client_auth_san_uri: Plain | None = None
    tls_client_auth_san_ip: Annotated[str, _checked_by(_ip_address)] | None = None
    tls_client_auth_san_email: Annotated[str, _checked_by(values.mail)] | None = None
    require_pkce: bool = False
    access_token_format: Literal["opaque", "jwt"] = "opaque"
    default_max_age: Annotated[int, Field(ge=0, le=999_999_999)] | None = None
    default_acr_values: list[Plain] = []
    security_profile: Literal["fapi2"] | None = None
    client_uri: WebAddress | None = None
    logo_uri: WebAddress | None = None
    policy_uri: WebAddress | None = None
    tos_uri: WebAddress | None = None
    contacts: Annotated[list[Text], Field(max_length=20)] = []
    initiate_login_uri: Annotated[str, _checked_by(_https)] | None = None


class OidcServiceModel(_ServiceModel):
    protocol: Literal["oidc"]
    client: ClientModel


class AgreementModel(_Model):
    kind: Literal["agreement"]
    id: Id
    name: Texts
    parties: Annotated[list[Id], Field(min_length=2)]
    services: list[Id] = []
    owners: list[Id] = []
    valid_from: date
    valid_until: date
    signed: dict[Id, date] = {}


IdentityProviderModel = SamlIdentityProviderModel | OidcIdentityProviderModel
ServiceModel = SamlServiceModel | OidcServiceModel
DocumentModel = OrganisationModel | IdentityProviderModel | ServiceModel | AgreementModel

MODELS: dict[str, dict[str | None, type[DocumentModel]]] = {
    "organisation": {None: OrganisationModel},
    "identity-provider": {"saml": SamlIdentityProviderModel, "oidc": OidcIdentityProviderModel},
    "service": {"saml": SamlServiceModel, "oidc": OidcServiceModel},
    "agreement": {None: AgreementModel},
}
"""The model of each kind of document, by ``protocol`` where the kind has one."""
