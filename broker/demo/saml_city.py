"""Pori: the demo city whose identity provider speaks SAML 2.0 and names its claims as AD FS does. It is pysaml2's own.

The login page's links carry the AuthnRequest along, so the city remembers nothing between the two.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.saml import AUTHN_PASSWORD_PROTECTED
from saml2.samlp import STATUS_NO_PASSIVE

from broker.demo import saml_peer
from broker.demo.page import Party, demo_application, message_page, post_page, render
from broker.demo.partner import Lazily, PartnerUnreachable, fetch_metadata
from broker.demo.people import PORI_DIRECTORY, Person, find_person, people_of
from broker.demo.world import PreparedDemo, base_url

PARTY = Party(id="pori", kind="demo_city", name={"en": "City of Pori", "fi": "Porin kaupunki"})
# AD FS says so when a second factor was used.
MULTIPLE_FACTORS = "http://schemas.microsoft.com/claims/multipleauthn"
_REDIRECT_PARAMETERS = ("SAMLRequest", "RelayState", "SigAlg", "Signature")


class BadAuthnRequest(Exception):
    """Not from a known service provider, not signed by it, or not meant for us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A SAML response and where it goes, by the HTTP-POST binding."""

    url: str
    response: str


class SamlCity:
    """pysaml2's identity provider behind an aiohttp application."""

    def __init__(self, prepared: PreparedDemo, broker_base_url: str) -> None:
        self._base = base_url(prepared.ports.pori)
        self._keys = prepared.pori
        self._service_provider = f"{broker_base_url}/saml/sp/metadata"
        self._server = Lazily(self._start)

    def application(self) -> web.Application:
        app = demo_application()
        app.router.add_get("/", self._index)
        app.router.add_get(saml_peer.CITY_METADATA, self._metadata)
        app.router.add_get(saml_peer.CITY_SSO, self._single_sign_on)
        return app

    async def _start(self) -> saml_peer.Pysaml2:
        metadata = await fetch_metadata(self._service_provider)
        return await asyncio.to_thread(saml_peer.identity_provider, self._base, self._keys, metadata)

    async def _index(self, request: web.Request) -> web.Response:
        return message_page(request, PARTY, "city_start", status=200)

    async def _metadata(self, request: web.Request) -> web.Response:
        body = await asyncio.to_thread(saml_peer.city_metadata, self._base, self._keys)
        return web.Response(body=body, content_type="application/samlmetadata+xml")

    async def _single_sign_on(self, request: web.Request) -> web.Response:
        try:
            server = await self._server()
            authn_request = await asyncio.to_thread(read, server, request.query)
        except PartnerUnreachable:
            return message_page(request, PARTY, "trouble", status=502)
        except BadAuthnRequest:
            return message_page(request, PARTY, "bad_request", status=400)
        person = find_person(PORI_DIRECTORY, request.query.get("person", ""))
        if person is not None:
            reply = await asyncio.to_thread(answer, server, authn_request, person)
        elif authn_request.message.is_passive == "true":
            reply = await asyncio.to_thread(refuse_passive, server, authn_request)
        else:
            return render(request, PARTY, "city.html", people=_links(request))
        fields = {"SAMLResponse": reply.response}
        if "RelayState" in request.query:
            fields["RelayState"] = request.query["RelayState"]
        return post_page(request, PARTY, url=reply.url, fields=fields)


def _links(request: web.Request) -> list[tuple[Person, str]]:
    query = [(name, request.query[name]) for name in (*_REDIRECT_PARAMETERS, "lang") if name in request.query]
    return [
        (person, f"{saml_peer.CITY_SSO}?{urlencode([*query, ('person', person.id)])}")
        for person in people_of(PORI_DIRECTORY)
    ]


def read(server: saml_peer.Pysaml2, query: Mapping[str, str]) -> saml_peer.Pysaml2:
    """The AuthnRequest, its signature verified against the service provider's metadata. Raises: BadAuthnRequest."""
    try:
        request = server.parse_authn_request(
            query.get("SAMLRequest", ""),
            BINDING_HTTP_REDIRECT,
            relay_state=query.get("RelayState"),
            sigalg=query.get("SigAlg"),
            signature=query.get("Signature"),
        )
    # pysaml2 raises whatever its parsers raise; each means that the request is refused.
    except Exception as error:
        raise BadAuthnRequest from error
    if request is None:
        raise BadAuthnRequest
    return request


def answer(server: saml_peer.Pysaml2, authn_request: saml_peer.Pysaml2, person: Person) -> Reply:
    arguments = _reply_arguments(server, authn_request)
    response = server.create_authn_response(
        identity=claims_of(person),
        in_response_to=arguments["in_response_to"],
        destination=arguments["destination"],
        sp_entity_id=arguments["sp_entity_id"],
        name_id_policy=arguments["name_id_policy"],
        userid=person.id,
        authn={"class_ref": MULTIPLE_FACTORS if person.mfa else AUTHN_PASSWORD_PROTECTED},
        sign_response=True,
        sign_assertion=True,
    )
    return _reply(arguments, response)


def refuse_passive(server: saml_peer.Pysaml2, authn_request: saml_peer.Pysaml2) -> Reply:
    arguments = _reply_arguments(server, authn_request)
    response = server.create_error_response(
        arguments["in_response_to"],
        arguments["destination"],
        (STATUS_NO_PASSIVE, "Somebody must choose a person."),
        sign=True,
    )
    return _reply(arguments, response)


def _reply_arguments(server: saml_peer.Pysaml2, authn_request: saml_peer.Pysaml2) -> dict[str, Any]:
    arguments: dict[str, Any] = server.response_args(authn_request.message, [BINDING_HTTP_POST])
    return arguments


def _reply(arguments: Mapping[str, Any], response: object) -> Reply:
    encoded = b64encode(str(response).encode()).decode("ascii")
    return Reply(url=str(arguments["destination"]), response=encoded)


def claims_of(person: Person) -> dict[str, list[str]]:
    """What Pori's directory says of the person, by the short names of ``saml_peer.CLAIMS``."""
    claims = {
        "upn": [person.user_name],
        "givenName": [person.given_name],
        "surname": [person.surname],
        "name": [person.name],
        "windowsAccountName": [f"PORI\\{person.user_name.partition('@')[0]}"],
        "employeeId": [person.employee_number],
        "personType": [person.person_type],
    }
    return claims | ({"emailAddress": [person.mail]} if person.mail else {})
