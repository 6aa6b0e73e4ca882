"""Meeting rooms: the demo service that speaks OpenID Connect. It is idpyoidc's own relying party."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from aiohttp import web
from cryptojwt.key_jar import KeyJar
from idpyoidc.client.rp_handler import RPHandler

from broker.demo.page import Party, demo_application, message_page, render
from broker.demo.service import START, organisations_to_name
from broker.demo.visits import Received, Table, Visits
from broker.demo.world import PreparedDemo, base_url

PARTY = Party(id="meeting-rooms", kind="demo_service", name={"en": "Meeting rooms", "fi": "Kokoushuoneet"})
CLIENT_ID = "meeting-rooms"
SCOPES = ("openid", "profile", "email", "organization", "affiliation")
# Claims about the token and the login (OpenID Connect Core 2), not about the person.
_OF_THE_TOKEN = {"iss", "aud", "azp", "exp", "iat", "nbf", "jti", "typ", "at_hash", "c_hash", "s_hash"}
_OF_THE_LOGIN = {"sub", "sid", "nonce", "auth_time", "acr", "amr"}
_HOME_ISSUER = "/ns/attr/home_issuer"

# What idpyoidc hands out is untyped.
Idpyoidc = Any


class OidcService:
    """idpyoidc's relying party behind an aiohttp application."""

    def __init__(self, prepared: PreparedDemo, broker_base_url: str) -> None:
        self._issuer = broker_base_url
        self._handler = _relying_party(
            base_url(prepared.ports.meeting_rooms), broker_base_url, prepared.environment["MEETING_ROOMS_SECRET"]
        )
        # Its session store is not made for several threads.
        self._lock = Lock()
        self._visits = Visits("demo_rooms")

    def application(self) -> web.Application:
        app = demo_application()
        app.router.add_get(START, self._index)
        app.router.add_get("/login", self._login)
        app.router.add_get("/callback", self._callback)
        app.router.add_get("/received", self._received)
        app.router.add_get("/received.json", self._received_json)
        return app

    async def _index(self, request: web.Request) -> web.Response:
        return render(request, PARTY, "service.html", organisations=organisations_to_name(request))

    async def _login(self, request: web.Request) -> web.Response:
        hint = {name: request.query[name] for name in ("organisation", "login_hint") if name in request.query}
        url = await asyncio.to_thread(self._begin, hint)
        if url is None:
            return message_page(request, PARTY, "trouble", status=502, start=START)
        visit = self._visits.begin(request)
        visit.began[_state_in(url)] = START
        response = web.Response(status=303, headers={"Location": url})
        self._visits.keep(response, visit)
        return response

    async def _callback(self, request: web.Request) -> web.Response:
        visit = self._visits.begin(request)
        if visit.began.pop(request.query.get("state", ""), None) is None:
            visit.received = Received(error=("unknown_state",), message="This browser did not begin that login.")
        else:
            visit.received = await asyncio.to_thread(self._finish, dict(request.query))
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

    def _begin(self, hint: Mapping[str, str]) -> str | None:
        """The authorization request's address; None when the broker's discovery document is not to be had."""
        with self._lock:
            try:
                return str(self._handler.begin(self._issuer, req_args=dict(hint)))
            except Exception:  # noqa: BLE001 - whatever idpyoidc's HTTP client and parsers raise means the same here
                return None

    def _finish(self, answer: dict[str, str]) -> Received:
        if "error" in answer:
            return Received(error=(answer["error"],), message=answer.get("error_description", ""))
        with self._lock:
            try:
                result = self._handler.finalize(self._issuer, answer)
            except Exception as error:  # noqa: BLE001 - whatever idpyoidc's checks raise: nobody is let in
                return Received(error=(type(error).__name__,), message="The answer did not pass idpyoidc's checks.")
        if "error" in result:
            return Received(error=(str(result["error"]),))
        return _person(result["id_token"].to_dict(), result["userinfo"].to_dict())


def _state_in(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]


def _person(id_token: Mapping[str, object], userinfo: Mapping[str, object]) -> Received:
    tables = (
        Table(title="UserInfo", rows=_rows(userinfo)),
        Table(title="ID Token", rows=_rows(id_token)),
    )
    attributes = {name: values for table in reversed(tables) for name, values in table.rows if _is_of_the_person(name)}
    name = next((attributes[claim][0] for claim in ("name", "email") if attributes.get(claim)), "?")
    return Received(name=name, subject=str(id_token["sub"]), attributes=attributes, tables=tables)


def _is_of_the_person(claim: str) -> bool:
    return claim not in _OF_THE_TOKEN | _OF_THE_LOGIN and not claim.endswith(_HOME_ISSUER)


def _rows(claims: Mapping[str, object]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((name, _texts(claims[name])) for name in sorted(claims))


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(text for each in value for text in _texts(each))
    return (value,) if isinstance(value, str) else (json.dumps(value, ensure_ascii=False),)


def _relying_party(base: str, issuer: str, secret: str) -> Idpyoidc:
    session = requests.Session()
    # A proxy of the environment has no business between two programs on one machine.
    session.trust_env = False
    client = "idpyoidc.client.oidc"
    registration = {
        "issuer": issuer,
        "client_type": "oidc",
        "client_id": CLIENT_ID,
        "client_secret": secret,
        "redirect_uris": [f"{base}/callback"],
        "response_types_supported": ["code"],
        "scopes_supported": list(SCOPES),
        "token_endpoint_auth_method": "client_secret_basic",
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "add_ons": {
            "pkce": {
                "function": "idpyoidc.client.oauth2.add_on.pkce.add_support",
                "kwargs": {"code_challenge_length": 64, "code_challenge_method": "S256"},
            }
        },
        "services": {
            "discovery": {"class": f"{client}.provider_info_discovery.ProviderInfoDiscovery"},
            "authorization": {"class": f"{client}.authorization.Authorization"},
            "accesstoken": {"class": f"{client}.access_token.AccessToken"},
            "userinfo": {"class": f"{client}.userinfo.UserInfo"},
        },
    }
    return RPHandler(
        base_url=base,
        client_configs={issuer: registration},
        keyjar=KeyJar(),
        httpc=session.request,
        httpc_params={"timeout": 10},
    )
