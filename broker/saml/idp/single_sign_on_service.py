"""The SingleSignOnService: a service's AuthnRequest, read and checked (saml-profiles 4.1.4.1, saml-core 3.4.1).

Until the AssertionConsumerService is verified against the service's metadata, a refusal is a page of ours (promise P5);
from then on it is ``RefusedRequest``, which goes back to the service in its own protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.errors import MalformedMessage, ServiceFault, UnknownService, UnregisteredAddress
from broker.federation.documents import UnreadableMetadata
from broker.federation.model import Federation, Protocol, Service
from broker.login.edges import RefusedRequest
from broker.login.request import Hints, LoginRequest
from broker.saml import bindings
from broker.saml.bindings import Detached
from broker.saml.errors import (
    MetadataUnusable,
    RequestExpired,
    RequestSignatureInvalid,
    RequestUnsupported,
    RequestWrongDestination,
    ServiceMetadataExpired,
    UnsupportedBinding,
)
from broker.saml.idp import asked
from broker.saml.metadata import IndexedEndpoint, SpDescriptor, read_sp
from broker.saml.names import saml, samlp
from broker.saml.signature import SignatureRefused, is_signed, verify, verify_detached
from broker.saml.xml import Element, XmlRefused, child_text, instant, is_true, number, parse_message

LIFETIME = timedelta(minutes=5)
"""How long after IssueInstant an AuthnRequest begins a login."""
ORGANISATION = "organisation"
"""The parameter of our address that names the home organisation; it is no part of the message."""

# The keys of LoginRequest.reply; another is ``asked.NAME_ID_FORMATS``.
ACS, ACS_BINDING, REQUEST_ID, RELAY_STATE = "acs", "acs_binding", "request_id", "relay_state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and when a request arrives. ``location``: the address of the SingleSignOnService, without a query.
    ``canonical_names``: SAML's Name of an attribute → the schema's."""

    location: str
    canonical_names: Mapping[str, str]
    federation: Federation
    now: datetime
    skew: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """An AuthnRequest out of its binding, believed in nothing yet. ``enveloped``: a signature inside it counts (POST,
    Artifact). ``by_artifact``: it was fetched from the service; ``vouched``: by an answer whose signature was verified."""

    element: Element
    relay_state: str | None
    organisation: str | None
    detached: Detached | None = None
    enveloped: bool = False
    by_artifact: bool = False
    vouched: bool = False

    @property
    def signed(self) -> bool:
        return self.vouched or self.detached is not None or (self.enveloped and is_signed(self.element))


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
    check_destination(request, incoming.signed and not incoming.by_artifact, service, place.location)
    login = _login_request(incoming, service, assertion_consumer_service(request, service, sp))
    try:
        check_protocol_binding(request, service, login.reply[ACS_BINDING])
        check_issue_instant(request, service, place)
        check_supported(request, service)
        return asked.of(request, login, service, sp, place.canonical_names)
    except ServiceFault as fault:
        raise RefusedRequest(fault, login) from fault


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
    """Signed where the metadata says AuthnRequestsSigned or the registration sign_requests, and good wherever signed.
    Without keys in the metadata a signature proves nothing and the request counts as unsigned.

    Raises: RequestSignatureInvalid.
    """
    if not incoming.signed or not sp.signing_keys:
        if sp.authn_requests_signed or service.sign_requests:
            raise RequestSignatureInvalid("not signed, as it must be", check="unsigned", service=service.id)
        return
    try:
        if incoming.detached is None and is_signed(incoming.element):
            verify(incoming.element, sp.signing_keys)
        elif incoming.detached is not None:
            detached = incoming.detached
            verify_detached(detached.octets, detached.algorithm, detached.signature, sp.signing_keys)
    except SignatureRefused as error:
        raise RequestSignatureInvalid(str(error), check=error.code, service=service.id) from error


def check_destination(request: Element, needed: bool, service: Service, location: str) -> None:
    """saml-bindings 3.4.5.2, 3.5.5.2: needed where a signed message came by the browser. It may carry the query that names the organisation. Raises: RequestWrongDestination."""
    destination = request.get("Destination")
    if destination is None and not needed:
        return
    if destination is None or destination.partition("?")[0] != location:
        raise RequestWrongDestination("Destination is not our SingleSignOnService", service=service.id)


def assertion_consumer_service(request: Element, service: Service, sp: SpDescriptor) -> IndexedEndpoint:
    """P5, saml-core 3.4.1: by its exact address, by its index, or the default. Raises: UnregisteredAddress."""
    url, index = request.get("AssertionConsumerServiceURL"), request.get("AssertionConsumerServiceIndex")
    if url is not None and index is not None:
        raise UnregisteredAddress("both AssertionConsumerServiceURL and -Index", service=service.id)
    found = [
        each
        for each in sp.assertion_consumer_services
        if (url is None or each.location == url) and (index is None or each.index == number(index))
    ]
    if not found:
        raise UnregisteredAddress("not an AssertionConsumerService of the metadata", service=service.id)
    wanted = request.get("ProtocolBinding")
    return default_of([each for each in found if each.binding == wanted] or found)


def reply_to(acs: IndexedEndpoint, relay_state: str | None) -> dict[str, str]:
    """Where and how the answer goes, as LoginRequest.reply holds it."""
    reply = {ACS: acs.location, ACS_BINDING: acs.binding}
    return reply if relay_state is None else {**reply, RELAY_STATE: relay_state}


def default_of(endpoints: Sequence[IndexedEndpoint]) -> IndexedEndpoint:
    """saml-metadata 2.2.3: the first default, else the first not forbidden to be it, else the first."""
    for wanted in (True, None):
        for each in endpoints:
            if each.is_default is wanted:
                return each
    return endpoints[0]


# --- from then on ------------------------------------------------------------------------------------------------------------


def check_protocol_binding(request: Element, service: Service, binding: str) -> None:
    """saml-core 3.4.1: the binding that is asked for is one by which that address takes responses. Raises: UnsupportedBinding."""
    if request.get("ProtocolBinding", binding) != binding:
        raise UnsupportedBinding("no such AssertionConsumerService by this ProtocolBinding", service=service.id)


def check_issue_instant(request: Element, service: Service, place: Place) -> None:
    """saml-core 3.2.1. Raises: RequestExpired."""
    issued = instant(request.get("IssueInstant", ""))
    if not place.now - LIFETIME - place.skew <= issued <= place.now + place.skew:
        raise RequestExpired("IssueInstant is too old or in the future", service=service.id)


def check_supported(request: Element, service: Service) -> None:
    """What the service demands and we do not do. Raises: RequestUnsupported."""
    if request.get("Version") != "2.0":
        raise RequestUnsupported("another version than 2.0", service=service.id)
    if request.find(saml("Subject")) is not None:
        raise RequestUnsupported("Subject: a certain person is asked for", service=service.id)
    if request.find(saml("Conditions")) is not None:
        raise RequestUnsupported("Conditions: an assertion of a certain kind is asked for", service=service.id)


def _login_request(incoming: Incoming, service: Service, acs: IndexedEndpoint) -> LoginRequest:
    """As much as a refusal needs to reach the service."""
    request = incoming.element
    reply = {**reply_to(acs, incoming.relay_state), REQUEST_ID: request.get("ID", "")}
    return LoginRequest(
        service=service.id,
        protocol=Protocol.SAML,
        reply=reply,
        hints=Hints(organisation=incoming.organisation or None),
        passive=is_true(request.get("IsPassive")),
    )
