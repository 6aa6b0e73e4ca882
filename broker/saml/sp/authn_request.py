"""Our AuthnRequest to a city (saml-core 3.4.1, saml-profiles 4.1.4.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from broker.login.edges import Delivery, FormPost, Redirect
from broker.login.request import Comparison
from broker.saml import bindings, names
from broker.saml.canonical import Node, canonical, element
from broker.saml.metadata import Endpoint
from broker.saml.signature import Signer
from broker.saml.xml import write_instant

LONGEST_URL = 8000
"""RFC 9110 4.1: what every recipient should take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoping:
    """saml-core 3.4.1.2: on whose behalf we ask, and how many more identity providers may stand behind the city's."""

    requesters: tuple[str, ...] = ()
    proxy_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthnRequest:
    """``destination``: where it goes, and by which binding; ``by_post``: where else, if it is too long for a Redirect.
    ``response_binding``: how it is answered. ``contexts``: AuthnContextClassRefs, compared by ``comparison`` (saml-core
    3.3.2.2.1)."""

    id: str
    issuer: str
    destination: Endpoint
    assertion_consumer_service: str
    issued_at: datetime
    response_binding: str = names.BINDING_POST
    force_authn: bool = False
    passive: bool = False
    contexts: tuple[str, ...] = ()
    comparison: Comparison = Comparison.EXACT
    name_id_policy: bool = True
    scoping: Scoping | None = None
    by_post: Endpoint | None = None


def delivery(request: AuthnRequest, relay_state: str, signer: Signer) -> Delivery:
    """Signed beside the message by Redirect, inside it by POST."""
    node, endpoint = write(request), request.destination
    if endpoint.binding == names.BINDING_REDIRECT:
        url = bindings.write_redirect(endpoint.location, "SAMLRequest", canonical(node), relay_state, signer)
        if len(url) <= LONGEST_URL or request.by_post is None:
            return Redirect(url=url)
        return delivery(replace(request, destination=request.by_post), relay_state, signer)
    message = bindings.write_post(signer.enveloped(node, after=1).text)
    return FormPost(url=endpoint.location, fields={"SAMLRequest": message, "RelayState": relay_state})


def write(request: AuthnRequest) -> Node:
    """NameIDPolicy names no Format: AD FS and Entra ID refuse those that they are not set up for. AllowCreate lets a city
    make a persistent identifier at the person's first login."""
    return element(
        "samlp:AuthnRequest",
        {
            "ID": request.id,
            "Version": "2.0",
            "IssueInstant": write_instant(request.issued_at),
            "Destination": request.destination.location,
            "AssertionConsumerServiceURL": request.assertion_consumer_service,
            "ProtocolBinding": request.response_binding,
            "ForceAuthn": "true" if request.force_authn else None,
            "IsPassive": "true" if request.passive else None,
        },
        element("saml:Issuer", None, request.issuer),
        element("samlp:NameIDPolicy", {"AllowCreate": "true"}) if request.name_id_policy else None,
        _requested_authn_context(request) if request.contexts else None,
        _scoping(request.scoping) if request.scoping else None,
    )


def _requested_authn_context(request: AuthnRequest) -> Node:
    references = (element("saml:AuthnContextClassRef", None, context) for context in request.contexts)
    return element("samlp:RequestedAuthnContext", {"Comparison": request.comparison}, *references)


def _scoping(scoping: Scoping) -> Node:
    count = None if scoping.proxy_count is None else str(scoping.proxy_count)
    requesters = (element("samlp:RequesterID", None, each) for each in scoping.requesters)
    return element("samlp:Scoping", {"ProxyCount": count}, *requesters)
