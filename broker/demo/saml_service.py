"""Shared wiki: the demo service that speaks SAML 2.0. It is pysaml2's own service provider."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.response import StatusError
from saml2.samlp import response_from_string

from broker.demo import saml_peer
from broker.demo.page import Party, demo_application, message_page, render
from broker.demo.partner import Lazily, PartnerUnreachable, fetch_metadata
from broker.demo.service import START, organisations_to_name
from broker.demo.visits import Received, Table, Visits
from broker.demo.world import PreparedDemo, base_url

PARTY = Party(id="shared-wiki", kind="demo_service", name={"en": "Shared wiki", "fi": "Yhteinen wiki"})


class SamlService:
    """pysaml2's service provider behind an aiohttp application."""

    def __init__(self, prepared: PreparedDemo, broker_base_url: str) -> None:
        self._base = base_url(prepared.ports.shared_wiki)
        self._keys = prepared.shared_wiki
        self._identity_provider = f"{broker_base_url}/saml/idp/metadata"
        self._client = Lazily(self._start)
        self._visits = Visits("demo_wiki")

    def application(self) -> web.Application:
        app = demo_application()
        app.router.add_get(START, self._index)
        app.router.add_get("/login", self._login)
        app.router.add_get("/received", self._received)
        app.router.add_get("/received.json", self._received_json)
        app.router.add_get(saml_peer.SERVICE_ENTITY_ID, self._metadata)
        app.router.add_post(saml_peer.SERVICE_ACS, self._assertion_consumer_service)
        return app

    async def _start(self) -> saml_peer.Pysaml2:
        metadata = await fetch_metadata(self._identity_provider)
        return await asyncio.to_thread(saml_peer.service_provider, self._base, self._keys, metadata)

    async def _index(self, request: web.Request) -> web.Response:
        return render(request, PARTY, "service.html", organisations=organisations_to_name(request))

    async def _metadata(self, request: web.Request) -> web.Response:
        body = await asyncio.to_thread(saml_peer.service_metadata, self._base, self._keys)
        return web.Response(body=body, content_type="application/samlmetadata+xml")

    async def _login(self, request: web.Request) -> web.Response:
        try:
            client = await self._client()
        except PartnerUnreachable:
            return message_page(request, PARTY, "trouble", status=502, start=START)
        request_id, url = await asyncio.to_thread(_authn_request, client)
        if "organisation" in request.query:
            # Outside what is signed: the signature covers SAMLRequest, RelayState and SigAlg (saml-bindings 3.4.4.1).
            url = f"{url}&{urlencode({'organisation': request.query['organisation']})}"
        visit = self._visits.begin(request)
        visit.began[request_id] = START
        response = web.Response(status=303, headers={"Location": url})
        self._visits.keep(response, visit)
        return response

    async def _assertion_consumer_service(self, request: web.Request) -> web.Response:
        form = await request.post()
        try:
            client = await self._client()
        except PartnerUnreachable:
            return message_page(request, PARTY, "trouble", status=502, start=START)
        visit = self._visits.begin(request)
        visit.received = await asyncio.to_thread(receive, client, str(form.get("SAMLResponse", "")), visit.began)
        response = web.Response(status=303, headers={"Location": "/received"})
        self._visits.keep(response, visit)
        return response

    async def _received(self, request: web.Request) -> web.Response:
        visit = self._visits.of(request)
        if visit is None or visit.received is None:
            return web.Response(status=303, headers={"Location": START})
        return render(request, PARTY, "received.html", received=visit.received)

    async def _received_json(self, request: web.Request) -> web.Response:
        visit = self._visits.of(request)
        if visit is None or visit.received is None:
            raise web.HTTPNotFound
        return web.json_response(visit.received.as_json())


def _authn_request(client: saml_peer.Pysaml2) -> tuple[str, str]:
    """The request's ID, and the broker's address with the request in it."""
    request_id, info = client.prepare_for_authenticate(
        binding=BINDING_HTTP_REDIRECT, response_binding=BINDING_HTTP_POST, sign=True
    )
    return str(request_id), str(dict(info["headers"])["Location"])


def receive(client: saml_peer.Pysaml2, encoded: str, began: dict[str, str]) -> Received:
    """Judges the response by pysaml2; each request that this browser began is answered once."""
    try:
        response = client.parse_authn_request_response(encoded, BINDING_HTTP_POST, outstanding=began)
    except StatusError:
        return _refusal(client, encoded)
    except Exception as error:  # noqa: BLE001 - whatever pysaml2's checks raise: nobody is let in
        return Received(error=(type(error).__name__,), message="The response did not pass pysaml2's checks.")
    if response is None:
        return Received(error=("NoResponse",), message="There was no SAML response to read.")
    began.pop(response.in_response_to, None)
    return _person(response)


def _refusal(client: saml_peer.Pysaml2, encoded: str) -> Received:
    """The StatusCode, the ones inside it, and the message (saml-core 3.2.2). pysaml2's exception has the innermost only."""
    status = response_from_string(client.unravel(encoded, BINDING_HTTP_POST)).status
    codes: list[str] = []
    code: Any = status.status_code
    while code is not None:
        codes.append(str(code.value))
        code = code.status_code
    return Received(error=tuple(codes), message=str(status.status_message.text) if status.status_message else "")


def _person(response: saml_peer.Pysaml2) -> Received:
    attributes = {str(name): tuple(str(value) for value in values) for name, values in response.ava.items()}
    context, authorities, instant = response.authn_info()[0]
    facts: list[tuple[str, tuple[str, ...]]] = [
        ("Issuer", (str(response.issuer()),)),
        ("NameID", (str(response.name_id.text),)),
        ("NameID Format", (str(response.name_id.format),)),
        ("AuthnContextClassRef", (str(context),)),
        ("AuthnInstant", (str(instant),)),
        ("AuthenticatingAuthority", tuple(str(each) for each in authorities)),
    ]
    return Received(
        name=next((attributes[name][0] for name in ("displayName", "cn", "mail") if attributes.get(name)), "?"),
        subject=str(response.name_id.text),
        attributes=attributes,
        tables=(
            Table(title="AttributeStatement", rows=tuple(sorted(attributes.items()))),
            Table(title="Assertion", rows=tuple(facts)),
        ),
    )
