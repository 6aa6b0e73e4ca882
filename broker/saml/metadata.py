"""Partners' metadata: octets → frozen descriptors, read once for each content (saml-metadata 2.4).

Only what is used is looked at: real metadata (AD FS) carries roles of other protocols that no SAML schema knows.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa

from broker.federation.documents import MetadataFacts, UnreadableMetadata
from broker.saml import names
from broker.saml.encryption import EncryptionKey
from broker.saml.names import ds, md, saml
from broker.saml.signature import UnusableKey, VerificationKey, public_key, verification_key
from broker.saml.xml import Element, XmlRefused, instant, is_true, line_of, local_name, parse, text_of
from broker.settings import is_loopback

METADATA_LIMIT = 16 * 1024 * 1024
ENTITY_ID_LIMIT = 1024
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    binding: str
    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedEndpoint:
    """``is_default`` None: the metadata does not say (saml-metadata 2.2.3 makes a difference)."""

    binding: str
    location: str
    index: int
    is_default: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedAttribute:
    name: str
    name_format: str | None = None
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeConsumingService:
    """A set of attributes that a service may ask for by its index (saml-metadata 2.4.4.1)."""

    index: int
    requested_attributes: tuple[RequestedAttribute, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpDescriptor:
    """A service. ``want_assertions_signed`` None: its metadata does not say.

    ``encryption_key``: set when a KeyDescriptor says use="encryption"; then assertions are encrypted for it.
    ``signing_methods``: the algorithms that it verifies, in its order of preference; none when it does not say.
    ``subject_id_requirement``: subject-id, pairwise-id, any or none (subject-id-attr 1.0, 4), None when it does not say.
    """

    entity_id: str
    valid_until: datetime | None
    signing_keys: tuple[VerificationKey, ...]
    encryption_key: EncryptionKey | None
    authn_requests_signed: bool
    want_assertions_signed: bool | None
    assertion_consumer_services: tuple[IndexedEndpoint, ...]
    artifact_resolution_services: tuple[IndexedEndpoint, ...]
    single_logout_services: tuple[Endpoint, ...]
    name_id_formats: tuple[str, ...]
    attribute_consuming_services: tuple[AttributeConsumingService, ...]
    signing_methods: tuple[str, ...]
    subject_id_requirement: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdpDescriptor:
    """A city's identity provider."""

    entity_id: str
    valid_until: datetime | None
    signing_keys: tuple[VerificationKey, ...]
    want_authn_requests_signed: bool
    artifact_resolution_services: tuple[IndexedEndpoint, ...]
    single_sign_on_services: tuple[Endpoint, ...]
    single_logout_services: tuple[Endpoint, ...]
    name_id_formats: tuple[str, ...]

    @property
    def single_sign_on_service(self) -> Endpoint:
        """By Redirect if it is offered, else by POST."""
        for binding in _SSO_BINDINGS:
            found = self.single_sign_on_service_by(binding)
            if found is not None:
                return found
        raise AssertionError("read_idp refuses a descriptor without one")

    def single_sign_on_service_by(self, binding: str) -> Endpoint | None:
        return next((each for each in self.single_sign_on_services if each.binding == binding), None)


def read_facts(content: bytes, role: Literal["idp", "sp"]) -> MetadataFacts:
    """Once the file is proven to be usable in that role. Raises: UnreadableMetadata."""
    found: IdpDescriptor | SpDescriptor = read_idp(content) if role == "idp" else read_sp(content)
    return MetadataFacts(
        entity_id=found.entity_id,
        valid_until=found.valid_until,
        signs=bool(found.signing_keys),
        encrypts=isinstance(found, SpDescriptor) and found.encryption_key is not None,
        resolves_artifacts=any(each.binding == names.BINDING_SOAP for each in found.artifact_resolution_services),
    )


@lru_cache(maxsize=4096)
def read_sp(content: bytes) -> SpDescriptor:
    """Raises: UnreadableMetadata."""
    entity, role = _role(content, "SPSSODescriptor", "a service provider", "IDPSSODescriptor")
    keys = tuple(_signing_keys(role))
    authn_requests_signed = _boolean(role, "AuthnRequestsSigned") or False
    if authn_requests_signed and not keys:
        raise UnreadableMetadata("it says AuthnRequestsSigned, but has no certificate for signing", line_of(role))
    consumers = tuple(_indexed(each) for each in role.iterfind(md("AssertionConsumerService")))
    if not any(each.binding in RESPONSE_BINDINGS for each in consumers):
        raise UnreadableMetadata(
            "it has no AssertionConsumerService with the HTTP-POST or HTTP-Artifact binding", line_of(role)
        )
    return SpDescriptor(
        entity_id=_entity_id(entity),
        valid_until=_valid_until(entity, role),
        signing_keys=keys,
        encryption_key=_encryption_key(role),
        authn_requests_signed=authn_requests_signed,
        want_assertions_signed=_boolean(role, "WantAssertionsSigned"),
        # Those by other bindings (PAOS, SAML 1) are none to answer at.
        assertion_consumer_services=tuple(each for each in consumers if each.binding in RESPONSE_BINDINGS),
        artifact_resolution_services=_artifact_resolution_services(role),
        single_logout_services=_endpoints(role, "SingleLogoutService"),
        name_id_formats=_name_id_formats(role),
        attribute_consuming_services=tuple(_attribute_consuming_services(role)),
        signing_methods=_signing_methods(entity, role),
        subject_id_requirement=_subject_id_requirement(entity),
    )


@lru_cache(maxsize=4096)
def read_idp(content: bytes) -> IdpDescriptor:
    """Raises: UnreadableMetadata."""
    entity, role = _role(content, "IDPSSODescriptor", "an identity provider", "SPSSODescriptor")
    keys = tuple(_signing_keys(role))
    if not keys:
        raise UnreadableMetadata(
            "it has no certificate for signing (KeyDescriptor with X509Certificate)", line_of(role)
        )
    services = _endpoints(role, "SingleSignOnService")
    if not any(each.binding in _SSO_BINDINGS for each in services):
        raise UnreadableMetadata(
            "it has no SingleSignOnService with the HTTP-Redirect or HTTP-POST binding", line_of(role)
        )
    return IdpDescriptor(
        entity_id=_entity_id(entity),
        valid_until=_valid_until(entity, role),
        signing_keys=keys,
        want_authn_requests_signed=_boolean(role, "WantAuthnRequestsSigned") or False,
        artifact_resolution_services=_artifact_resolution_services(role),
        single_sign_on_services=services,
        single_logout_services=_endpoints(role, "SingleLogoutService"),
        name_id_formats=_name_id_formats(role),
    )


SUBJECT_ID_REQUIREMENTS = ("subject-id", "pairwise-id", "any", "none")
RESPONSE_BINDINGS = (names.BINDING_POST, names.BINDING_ARTIFACT)
"""saml-profiles 4.1.4.3: how a Response may reach a service."""
_SSO_BINDINGS = (names.BINDING_REDIRECT, names.BINDING_POST)


def _role(content: bytes, wanted: str, in_words: str, other: str) -> tuple[Element, Element]:
    """The one EntityDescriptor that has that role, and the role. Raises: UnreadableMetadata."""
    try:
        root = parse(content, METADATA_LIMIT)
    except XmlRefused as error:
        raise UnreadableMetadata(str(error), error.line) from error
    if root.tag not in (md("EntityDescriptor"), md("EntitiesDescriptor")):
        raise UnreadableMetadata("this is not SAML metadata: the root element is no EntityDescriptor", line_of(root))
    entities = list(root.iter(md("EntityDescriptor")))
    if len(entities) != 1:
        raise UnreadableMetadata(
            f"it holds {len(entities)} entities: save the one EntityDescriptor alone", line_of(root)
        )
    roles = [each for each in entities[0].iterchildren(md(wanted)) if _speaks_saml2(each)]
    if not roles:
        hint = f"; it has a {other}: is it in the right place?" if entities[0].find(md(other)) is not None else ""
        raise UnreadableMetadata(
            f"it does not describe {in_words} (no {wanted} of SAML 2.0){hint}", line_of(entities[0])
        )
    if len(roles) > 1:
        raise UnreadableMetadata(f"it has {len(roles)} descriptors of {in_words}; one is expected", line_of(roles[1]))
    return entities[0], roles[0]


def _speaks_saml2(role: Element) -> bool:
    return names.SAMLP in role.get("protocolSupportEnumeration", "").split()


def _entity_id(entity: Element) -> str:
    found = entity.get("entityID", "")
    if not found or found != found.strip() or len(found) > ENTITY_ID_LIMIT:
        raise UnreadableMetadata(f"entityID must have 1 to {ENTITY_ID_LIMIT} characters and no spaces", line_of(entity))
    return found


def _valid_until(entity: Element, role: Element) -> datetime | None:
    """The earliest one on the way to the role."""
    found = [
        _instant(element)
        for element in (*entity.iterancestors(), entity, role)
        if element.get("validUntil") is not None
    ]
    return min(found, default=None)


def _instant(element: Element) -> datetime:
    try:
        return instant(element.get("validUntil", ""))
    except XmlRefused as error:
        raise UnreadableMetadata("validUntil is not a time", line_of(element)) from error


def _signing_keys(role: Element) -> Iterable[VerificationKey]:
    for descriptor in role.iterfind(md("KeyDescriptor")):
        if descriptor.get("use") in (None, "signing"):
            for line, certificate in _certificates(descriptor):
                try:
                    yield verification_key(certificate)
                except UnusableKey as error:
                    raise UnreadableMetadata(f"a certificate cannot be used: {error}", line) from error


def _encryption_key(role: Element) -> EncryptionKey | None:
    """Who publishes a key for encryption counts on it: one that cannot be used must not mean assertions in clear."""
    found = next(iter(_encryption_keys(role)), None)
    wanted = next((each for each in role.iterfind(md("KeyDescriptor")) if each.get("use") == "encryption"), None)
    if found is None and wanted is not None:
        raise UnreadableMetadata("its KeyDescriptor for encryption has no certificate with an RSA key", line_of(wanted))
    return found


def _encryption_keys(role: Element) -> Iterable[EncryptionKey]:
    """Those that say use="encryption". One for any use is often that of a service that cannot decrypt."""
    for descriptor in role.iterfind(md("KeyDescriptor")):
        if descriptor.get("use") == "encryption":
            methods = tuple(each.get("Algorithm", "") for each in descriptor.iterfind(md("EncryptionMethod")))
            for line, certificate in _certificates(descriptor):
                try:
                    public = public_key(certificate)
                except UnusableKey as error:
                    raise UnreadableMetadata(f"a certificate cannot be used: {error}", line) from error
                if isinstance(public, rsa.RSAPublicKey):
                    yield EncryptionKey(public=public, methods=methods)


def _certificates(descriptor: Element) -> Iterable[tuple[int, bytes]]:
    for element in descriptor.iterfind(f"{ds('KeyInfo')}/{ds('X509Data')}/{ds('X509Certificate')}"):
        try:
            yield line_of(element), b64decode(_SPACES.sub("", text_of(element)), validate=True)
        except (XmlRefused, binascii.Error, ValueError) as error:
            raise UnreadableMetadata("an X509Certificate is not base64", line_of(element)) from error


def _endpoints(role: Element, name: str) -> tuple[Endpoint, ...]:
    return tuple(
        Endpoint(binding=each.get("Binding", ""), location=_location(each)) for each in role.iterfind(md(name))
    )


def _boolean(element: Element, name: str) -> bool | None:
    """An xs:boolean; None when it is not there. What is neither true nor false is no way to say false."""
    value = element.get(name)
    if value is None:
        return None
    if value.strip() not in ("true", "1", "false", "0"):
        raise UnreadableMetadata(f"{name} of {local_name(element)} must be true or false", line_of(element))
    return is_true(value)


def _index(element: Element) -> int:
    index = element.get("index", "")
    if not index.isdecimal() or not index.isascii() or int(index) > 65535:
        raise UnreadableMetadata(f"{local_name(element)} needs an index from 0 to 65535", line_of(element))
    return int(index)


def _indexed(element: Element) -> IndexedEndpoint:
    return IndexedEndpoint(
        binding=element.get("Binding", ""),
        location=_location(element),
        index=_index(element),
        is_default=_boolean(element, "isDefault"),
    )


def _artifact_resolution_services(role: Element) -> tuple[IndexedEndpoint, ...]:
    return tuple(_indexed(each) for each in role.iterfind(md("ArtifactResolutionService")))


def _location(element: Element) -> str:
    location = element.get("Location", "")
    try:
        parts = urlsplit(location)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("https", "http") or parts.fragment or _SPACES.search(location):
        raise UnreadableMetadata("Location must be an https address", line_of(element))
    if parts.scheme == "http" and not is_loopback(host):
        raise UnreadableMetadata(f"{location}: must be https; http is for loopback addresses only", line_of(element))
    return location


def _name_id_formats(role: Element) -> tuple[str, ...]:
    try:
        return tuple(text_of(each) for each in role.iterfind(md("NameIDFormat")))
    except XmlRefused as error:
        raise UnreadableMetadata(str(error), error.line) from error


def _attribute_consuming_services(role: Element) -> Iterable[AttributeConsumingService]:
    for each in role.iterfind(md("AttributeConsumingService")):
        yield AttributeConsumingService(index=_index(each), requested_attributes=tuple(_requested_attributes(each)))


def _requested_attributes(service: Element) -> Iterable[RequestedAttribute]:
    for each in service.iterfind(md("RequestedAttribute")):
        yield RequestedAttribute(
            name=each.get("Name", ""),
            name_format=each.get("NameFormat"),
            is_required=_boolean(each, "isRequired") or False,
        )


def _signing_methods(entity: Element, role: Element) -> tuple[str, ...]:
    """sstc-saml-metadata-algsupport 2.3: those of the role take the place of the entity's."""
    path = f"{md('Extensions')}/{{{names.ALG}}}SigningMethod"
    found = role.findall(path) or entity.findall(path)
    return tuple(each.get("Algorithm", "") for each in found)


def _subject_id_requirement(entity: Element) -> str | None:
    """subject-id-attr 1.0, 4: an entity attribute with one value."""
    attribute = _entity_attribute(entity, names.SUBJECT_ID_REQUIREMENT)
    if attribute is None:
        return None
    try:
        values = [text_of(each) for each in attribute.iterfind(saml("AttributeValue"))]
    except XmlRefused as error:
        raise UnreadableMetadata(str(error), error.line) from error
    if len(values) != 1 or values[0] not in SUBJECT_ID_REQUIREMENTS:
        raise UnreadableMetadata(
            f"{names.SUBJECT_ID_REQUIREMENT} must have one value of {', '.join(SUBJECT_ID_REQUIREMENTS)}",
            line_of(attribute),
        )
    return values[0]


def _entity_attribute(entity: Element, name: str) -> Element | None:
    """The first of that Name (sstc-metadata-attr 2.1)."""
    path = f"{md('Extensions')}/{{{names.MDATTR}}}EntityAttributes/{saml('Attribute')}"
    return next((each for each in entity.iterfind(path) if each.get("Name") == name), None)
