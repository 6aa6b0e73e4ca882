"""What an AuthnRequest asks of the login and of its answer (saml-core 3.4.1), in neutral words.

Read once the service's address is verified: what cannot be done goes back to the service as the status of its protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from broker.attributes.release import may_get
from broker.federation.model import Service
from broker.login.request import Comparison, LoginRequest
from broker.saml import names
from broker.saml.errors import (
    InvalidNameIdPolicy,
    ProxyCountExceeded,
    UnknownAttributeConsumingService,
    UnsupportedAuthnContext,
)
from broker.saml.metadata import SpDescriptor
from broker.saml.names import saml, samlp
from broker.saml.xml import Element, is_true, number, text_of

MOST_NAMED = 64
"""How many identity providers, or requesters, of one request are looked at."""
NAME_ID_FORMATS = "name_id_formats"
"""The key of LoginRequest.reply that holds what ``name_id_formats`` found, separated by blanks."""


def of(
    request: Element, login: LoginRequest, service: Service, sp: SpDescriptor, canonical_names: Mapping[str, str]
) -> LoginRequest:
    """``login`` with all that the request asks. Raises: a ServiceFault for each thing that cannot be done."""
    contexts, comparison = requested_authn_context(request, service)
    formats = name_id_formats(request, service, sp)
    return replace(
        login,
        reply={**login.reply, NAME_ID_FORMATS: " ".join(formats)},
        hints=replace(login.hints, identity_providers=idp_list(request)),
        force_authn=is_true(request.get("ForceAuthn")),
        requested_contexts=contexts,
        comparison=comparison,
        attributes=requested_attributes(request, service, sp, canonical_names),
        needs_pairwise_id=needs_pairwise_id(sp),
        requesters=requester_ids(request),
        proxy_count=proxy_count(request, service),
    )


_GIVEN_FORMATS = (names.PERSISTENT, names.TRANSIENT, names.EMAIL_ADDRESS)


def name_id_formats(request: Element, service: Service, sp: SpDescriptor) -> tuple[str, ...]:
    """saml-core 3.4.1.1: the one that is asked for; else what is offered anyway. Raises: InvalidNameIdPolicy."""
    policy = request.find(samlp("NameIDPolicy"))
    wanted = names.UNSPECIFIED
    if policy is not None:
        wanted = policy.get("Format", names.UNSPECIFIED)
        if policy.get("SPNameQualifier", sp.entity_id) != sp.entity_id:
            raise InvalidNameIdPolicy("SPNameQualifier is another service", service=service.id)
    if wanted == names.UNSPECIFIED:
        return offered_name_id_formats(service, sp)
    if wanted not in _given_formats(service):
        raise InvalidNameIdPolicy("a Format that this service does not get", service=service.id)
    return (wanted,)


def offered_name_id_formats(service: Service, sp: SpDescriptor) -> tuple[str, ...]:
    """Those of the metadata that we can give, in its order; else persistent, which a service can tell people apart by and
    nobody can link. An address only where it is registered."""
    given = _given_formats(service)
    return tuple(each for each in sp.name_id_formats if each in given) or (names.PERSISTENT,)


def _given_formats(service: Service) -> list[str]:
    return [each for each in _GIVEN_FORMATS if each != names.EMAIL_ADDRESS or may_get(service, "mail")]


def needs_pairwise_id(sp: SpDescriptor) -> bool:
    """subject-id-attr 1.0, 4."""
    return sp.subject_id_requirement in ("pairwise-id", "any")


def requested_authn_context(request: Element, service: Service) -> tuple[tuple[str, ...], Comparison]:
    """saml-core 3.3.2.2.1: exact is the default. Raises: UnsupportedAuthnContext."""
    wanted = request.find(samlp("RequestedAuthnContext"))
    if wanted is None:
        return (), Comparison.EXACT
    if wanted.find(saml("AuthnContextDeclRef")) is not None:
        raise UnsupportedAuthnContext("AuthnContextDeclRef", service=service.id)
    contexts = tuple(text_of(each) for each in wanted.iterchildren(saml("AuthnContextClassRef")))
    return contexts, Comparison(wanted.get("Comparison", Comparison.EXACT))


def requested_attributes(
    request: Element, service: Service, sp: SpDescriptor, canonical_names: Mapping[str, str]
) -> tuple[str, ...] | None:
    """saml-core 3.4.1: the canonical names of the set that AttributeConsumingServiceIndex names; None without an index.

    Raises: UnknownAttributeConsumingService.
    """
    index = request.get("AttributeConsumingServiceIndex")
    if index is None:
        return None
    for each in sp.attribute_consuming_services:
        if each.index == number(index):
            wanted = (canonical_names.get(attribute.name) for attribute in each.requested_attributes)
            return tuple(dict.fromkeys(name for name in wanted if name is not None))
    raise UnknownAttributeConsumingService("not an AttributeConsumingService of the metadata", service=service.id)


def idp_list(request: Element) -> tuple[str, ...]:
    """saml-core 3.4.1.3: the identity providers that the service names, as hints."""
    path = f"{samlp('Scoping')}/{samlp('IDPList')}/{samlp('IDPEntry')}"
    return tuple(each.get("ProviderID", "") for each in request.findall(path)[:MOST_NAMED])


def requester_ids(request: Element) -> tuple[str, ...]:
    """saml-core 3.4.1.2: on whose behalf the service asks, when it is a proxy itself."""
    return tuple(text_of(each) for each in request.findall(f"{samlp('Scoping')}/{samlp('RequesterID')}")[:MOST_NAMED])


def proxy_count(request: Element, service: Service) -> int | None:
    """saml-core 3.4.1.5.1: one less than the service allows, since we are a proxy. Raises: ProxyCountExceeded."""
    scoping = request.find(samlp("Scoping"))
    allowed = None if scoping is None else scoping.get("ProxyCount")
    if allowed is None:
        return None
    if number(allowed) == 0:
        raise ProxyCountExceeded("ProxyCount is 0", service=service.id)
    return number(allowed) - 1
