"""A Response that no request of ours asked for: a person comes from the portal of their city (saml-profiles 4.1.5).

It only says which city to ask. Were its assertion believed, anybody could log somebody else's browser in as themselves
(login CSRF), and nothing would bind it to that browser; so the city is asked as in every other login, and answers from its
session without a page.
"""

from __future__ import annotations

from collections.abc import Mapping

from broker.federation.model import Federation, IdentityProvider, Protocol
from broker.saml.errors import UnreadableResponse, UnsolicitedFromHome
from broker.saml.names import saml, samlp
from broker.saml.sp import assertion_consumer_service
from broker.saml.xml import Element, XmlRefused, child_text, parse_message


def read(message: Mapping[str, str], federation: Federation, acs: str) -> IdentityProvider:
    """Raises: UnreadableResponse, UnsolicitedFromHome."""
    octets = assertion_consumer_service.read(message)
    if not isinstance(octets, bytes):
        raise UnsolicitedFromHome("an unsolicited answer comes by POST")
    try:
        response = parse_message(octets)
        check_unsolicited(response, acs)
        issuer = child_text(response, saml("Issuer"))
    except XmlRefused as error:
        raise UnreadableResponse(str(error), check=error.code) from error
    idp = federation.identity_providers_by_entity_id.get((Protocol.SAML, issuer or ""))
    if idp is None:
        raise UnsolicitedFromHome("no identity provider is called as its Issuer")
    if not idp.unsolicited:
        raise UnsolicitedFromHome("the registration does not allow it", identity_provider=idp.id)
    return idp


def check_unsolicited(response: Element, acs: str) -> None:
    """saml-profiles 4.1.5: a Response to us without InResponseTo. Raises: UnsolicitedFromHome."""
    if response.tag != samlp("Response") or response.get("Version") != "2.0":
        raise UnsolicitedFromHome("not a Response of SAML 2.0")
    if response.get("InResponseTo") is not None:
        raise UnsolicitedFromHome("it answers a request")
    if response.get("Destination") != acs:
        raise UnsolicitedFromHome("Destination is not our AssertionConsumerService")
