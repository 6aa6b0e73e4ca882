"""A login that begins at us: the service's Response answers no request of it (saml-profiles 4.1.5).

Only for services whose registration says so: whoever can make a browser open an address of ours can begin such a login.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from broker.errors import MalformedMessage, UnknownService
from broker.federation.model import Protocol, Service, ServiceId
from broker.login.request import Hints, LoginRequest
from broker.saml import bindings
from broker.saml.errors import UnsolicitedNotRegistered
from broker.saml.idp import asked
from broker.saml.idp.single_sign_on_service import Place, default_of, descriptor_of, reply_to


def begin(service_id: str, hints: Hints, relay_state: str | None, place: Place) -> LoginRequest:
    """The login that the service would have asked for by an AuthnRequest without any wish.

    ``relay_state``: what the service gets beside the Response (saml-profiles 4.1.5).
    Raises: UnknownService, UnsolicitedNotRegistered, MalformedMessage, ServiceMetadataExpired, MetadataUnusable.
    """
    request = without_wishes(registered(service_id, place), _checked(relay_state), place.now)
    return replace(request, hints=hints)


def without_wishes(service: Service, relay_state: str | None, now: datetime) -> LoginRequest:
    """As by an AuthnRequest that says nothing but who asks. Raises: ServiceMetadataExpired, MetadataUnusable."""
    sp = descriptor_of(service, now)
    acs = default_of(sp.assertion_consumer_services)
    formats = " ".join(asked.offered_name_id_formats(service, sp))
    return LoginRequest(
        service=service.id,
        protocol=Protocol.SAML,
        reply={**reply_to(acs, relay_state), asked.NAME_ID_FORMATS: formats},
        needs_pairwise_id=asked.needs_pairwise_id(sp),
    )


def registered(service_id: str, place: Place) -> Service:
    """Raises: UnknownService, UnsolicitedNotRegistered."""
    service = place.federation.services.get(ServiceId(service_id))
    if service is None:
        raise UnknownService("no service has that id")
    if not service.unsolicited:
        raise UnsolicitedNotRegistered("a login must begin at the service", service=service.id)
    return service


def _checked(relay_state: str | None) -> str | None:
    try:
        return bindings.checked_relay_state(relay_state)
    except bindings.BindingRefused as error:
        raise MalformedMessage(f"RelayState: {error}") from error
