"""The SingleSignOnService: a service's AuthnRequest, read and checked (saml-profiles 4.1.4.1, saml-core 3.4.1).

Until the AssertionConsumerService is verified against the service's metadata, a refusal is a page of ours (promise P5);
from then on it is ``RefusedRequest``, which goes back to the service in its own protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from broker.errors import MalformedMessage, ServiceFault, UnknownService, UnregisteredAddress
from broker.federation.documents import UnreadableMetadata
from broker.federation.model import Federation, Protocol, Service
from broker.login.edges import RefusedRequest
from broker.login.request import Comparison, Hints, LoginRequest
from broker.saml import bindings, names
from broker.saml.bindings import Detached
from broker.saml.errors import (
    InvalidNameIdPolicy,
    MetadataUnusable,
    ProxyCountExceeded,
    RequestExpired,
    RequestSignatureInvalid,
    RequestUnsupported,
    RequestWrongDestination,
    ServiceMetadataExpired,
    UnsupportedAuthnContext,
    UnsupportedBinding,
)
from broker.saml.metadata import IndexedEndpoint, SpDescriptor, read_sp
from broker.saml.names import saml, samlp
from broker.saml.signature import SignatureRefused, is_signed, verify, verify_detached
from broker.saml.xml import Element, XmlRefused, child_text, instant, is_true, parse_message, text_of

LIFETIME = timedelta(minutes=5)
"""How long after IssueInstant an AuthnRequest begins a login."""
ORGANISATION = "organisation"
"""The parameter of our address that names the home organisation; it is no part of the message."""
MOST_HINTS = 64

# The keys of LoginRequest.reply.
ACS, REQUEST_ID, RELAY_STATE, NAME_ID_FORMATS = "acs", "request_id", "relay_state", "name_id_formats"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and when a request arrives. ``location``: the address of the SingleSignOnService, without a query."""

    location: str
    federation: Federation
    now: datetime
    skew: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """An AuthnRequest out of its binding, believed in nothing yet. ``enveloped``: a signature inside it counts (POST)."""

    element: Element
    relay_state: str | None
    organisation: str | None
    detached: Detached | None = None
    enveloped: bool = False

    @property
    def signed(self) -> bool:
        return self.detached is not None or (self.enveloped and is_signed(self.element))


def read_redirect(raw_query: str, place: Place) -> LoginRequest:
    """``raw_query``: as it was sent, not decoded. Raises: MalformedMessage, UnknownService, UnregisteredAddress,
    RequestSignatureInvalid, RequestWrongDestination, RefusedRequest."""
    try:
        received = bindings.read_redirect(raw_query, "SAMLRequest")
        incoming = Incoming(
            # saml-bindings 3.4.4.1: a signature inside the message has no meaning in this binding.
            element=parse_message(received.octets),
            relay_state=received.relay_state,
            organisation=received.other.get(ORGANISATION),
            detached=received.detached,
        )
    except (bindings.BindingRefused, XmlRefused) as error:
        raise MalformedMessage(f"AuthnRequest: {error}") from error
    return check(incoming, place)


def read_post(form: Mapping[str, str], raw_query: str, place: Place) -> LoginRequest:
    """``form``: each field once. ``raw_query``: of the address that was posted to. Raises: as ``read_redirect``."""
    try:
        incoming = Incoming(
            element=parse_message(bindings.read_post(form.get("SAMLRequest", ""))),
            relay_state=bindings.checked_relay_state(form.get("RelayState")),
            organisation=bindings.read_query(raw_query).get(ORGANISATION),
            enveloped=True,
        )
    except (bindings.BindingRefused, XmlRefused) as error:
        raise MalformedMessage(f"AuthnRequest: {error}") from error
    return check(incoming, place)


def check(incoming: Incoming, place: Place) -> LoginRequest:
    """The checked request. Raises: as ``read_redirect``."""
    try:
        return _check(incoming, place)
    except XmlRefused as error:
        raise MalformedMessage(f"AuthnRequest: {error}") from error


def _check(incoming: Incoming, place: Place) -> LoginRequest:
    request = incoming.element
    if request.tag != samlp("AuthnRequest"):
        raise MalformedMessage("not an AuthnRequest")
    service = known_service(request, place.federation)
    sp = descriptor_of(service, place.now)
    check_signature(incoming, service, sp)
    check_destination(request, incoming.signed, service, place.location)
    acs = assertion_consumer_service(request, service, sp)
    login = _login_request(incoming, service, acs)
    try:
        check_issue_instant(request, service, place)
        check_supported(request, service)
        formats = name_id_formats(request, service, sp)
    except ServiceFault as fault:
        raise RefusedRequest(fault, login) from fault
    return replace(login, reply={**login.reply, NAME_ID_FORMATS: " ".join(formats)})


# --- until the address is verified -----------------------------------------------------------------------------------------


def known_service(request: Element, federation: Federation) -> Service:
    """saml-profiles 4.1.4.1: Issuer is there, and registered. Raises: UnknownService."""
    issuer = child_text(request, saml("Issuer"))
    service = federation.services_by_entity_id.get((Protocol.SAML, issuer or ""))
    if service is None:
        raise UnknownService("no service has the entityID that the AuthnRequest names as its Issuer")
    return service


def descriptor_of(service: Service, now: datetime) -> SpDescriptor:
    """Raises: ServiceMetadataExpired, MetadataUnusable."""
    assert service.metadata is not None, "the registry gives a SAML service its metadata"
    try:
        sp = read_sp(service.metadata.content)
    except UnreadableMetadata as error:
        raise MetadataUnusable(str(error), service=service.id) from error
    if sp.valid_until is not None and sp.valid_until <= now:
        raise ServiceMetadataExpired("validUntil has passed", service=service.id)
    return sp


def check_signature(incoming: Incoming, service: Service, sp: SpDescriptor) -> None:
    """Signed where the metadata says AuthnRequestsSigned, and good wherever signed. Without keys in the metadata a
    signature proves nothing and the request counts as unsigned. Raises: RequestSignatureInvalid."""
    if not incoming.signed:
        if sp.authn_requests_signed:
            raise RequestSignatureInvalid("not signed, but AuthnRequestsSigned", check="unsigned", service=service.id)
        return
    if not sp.signing_keys:
        return
    try:
        if incoming.detached is None:
            verify(incoming.element, sp.signing_keys)
        else:
            detached = incoming.detached
            verify_detached(detached.octets, detached.algorithm, detached.signature, sp.signing_keys)
    except SignatureRefused as error:
        raise RequestSignatureInvalid(str(error), check=error.code, service=service.id) from error


def check_destination(request: Element, signed: bool, service: Service, location: str) -> None:
    """saml-bindings 3.4.5.2, 3.5.5.2. It may carry the query that names the organisation. Raises: RequestWrongDestination."""
    destination = request.get("Destination")
    if destination is None and not signed:
        return
    if destination is None or destination.partition("?")[0] != location:
        raise RequestWrongDestination("Destination is not our SingleSignOnService", service=service.id)


def assertion_consumer_service(request: Element, service: Service, sp: SpDescriptor) -> IndexedEndpoint:
    """P5, saml-core 3.4.1: by its exact address, by its index, or the default. Raises: UnregisteredAddress."""
    offered = sp.post_assertion_consumer_services
    url, index = request.get("AssertionConsumerServiceURL"), request.get("AssertionConsumerServiceIndex")
    if url is not None and index is not None:
        raise UnregisteredAddress("both AssertionConsumerServiceURL and -Index", service=service.id)
    if url is None and index is None:
        return sp.default_assertion_consumer_service
    for each in offered:
        if each.location == url or (index is not None and each.index == int(index)):
            return each
    raise UnregisteredAddress("not an AssertionConsumerService by HTTP-POST of the metadata", service=service.id)


# --- from then on ------------------------------------------------------------------------------------------------------------


def check_issue_instant(request: Element, service: Service, place: Place) -> None:
    """saml-core 3.2.1. Raises: RequestExpired."""
    issued = instant(request.get("IssueInstant", ""))
    if not place.now - LIFETIME - place.skew <= issued <= place.now + place.skew:
        raise RequestExpired("IssueInstant is too old or in the future", service=service.id)


def check_supported(request: Element, service: Service) -> None:
    """What the service demands and we do not do. Raises: a ServiceFault for each."""
    if request.get("Version") != "2.0":
        raise RequestUnsupported("another version than 2.0", service=service.id)
    if request.get("ProtocolBinding", names.BINDING_POST) != names.BINDING_POST:
        raise UnsupportedBinding("ProtocolBinding is not HTTP-POST", service=service.id)
    if request.find(saml("Subject")) is not None:
        raise RequestUnsupported("Subject: a certain person is asked for", service=service.id)
    if request.find(f"{samlp('RequestedAuthnContext')}/{saml('AuthnContextDeclRef')}") is not None:
        raise UnsupportedAuthnContext("AuthnContextDeclRef", service=service.id)
    scoping = request.find(samlp("Scoping"))
    if scoping is not None and scoping.get("ProxyCount", "1").strip() == "0":
        raise ProxyCountExceeded("ProxyCount is 0", service=service.id)


_GIVEN_FORMATS = (names.PERSISTENT, names.TRANSIENT, names.EMAIL_ADDRESS)


def name_id_formats(request: Element, service: Service, sp: SpDescriptor) -> tuple[str, ...]:
    """saml-core 3.4.1.1: the one that is asked for; else those of the metadata that we can give, in its order; else
    persistent, which a service can tell people apart by and nobody can link. Raises: InvalidNameIdPolicy."""
    policy = request.find(samlp("NameIDPolicy"))
    wanted = names.UNSPECIFIED
    if policy is not None:
        wanted = policy.get("Format", names.UNSPECIFIED)
        if policy.get("SPNameQualifier", sp.entity_id) != sp.entity_id:
            raise InvalidNameIdPolicy("SPNameQualifier is another service", service=service.id)
    if wanted != names.UNSPECIFIED:
        if wanted not in _GIVEN_FORMATS:
            raise InvalidNameIdPolicy("a Format that is not given here", service=service.id)
        return (wanted,)
    offered = tuple(each for each in sp.name_id_formats if each in _GIVEN_FORMATS)
    return offered or (names.PERSISTENT,)


def _login_request(incoming: Incoming, service: Service, acs: IndexedEndpoint) -> LoginRequest:
    request = incoming.element
    reply = {ACS: acs.location, REQUEST_ID: request.get("ID", "")}
    if incoming.relay_state is not None:
        reply[RELAY_STATE] = incoming.relay_state
    contexts, comparison = _requested_authn_context(request)
    return LoginRequest(
        service=service.id,
        protocol=Protocol.SAML,
        reply=reply,
        hints=Hints(organisation=incoming.organisation or None, identity_providers=_idp_list(request)),
        force_authn=is_true(request.get("ForceAuthn")),
        passive=is_true(request.get("IsPassive")),
        requested_contexts=contexts,
        comparison=comparison,
    )


def _requested_authn_context(request: Element) -> tuple[tuple[str, ...], Comparison]:
    """saml-core 3.3.2.2.1: exact is the default."""
    asked = request.find(samlp("RequestedAuthnContext"))
    if asked is None:
        return (), Comparison.EXACT
    contexts = tuple(text_of(each) for each in asked.iterchildren(saml("AuthnContextClassRef")))
    return contexts, Comparison(asked.get("Comparison", Comparison.EXACT))


def _idp_list(request: Element) -> tuple[str, ...]:
    """saml-core 3.4.1.2: the identity providers that the service names, as hints."""
    path = f"{samlp('Scoping')}/{samlp('IDPList')}/{samlp('IDPEntry')}"
    return tuple(each.get("ProviderID", "") for each in request.findall(path)[:MOST_HINTS])
