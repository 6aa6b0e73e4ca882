"""Ulvila: the demo city whose login service is an OpenID Provider with Entra ID's claims. It is idpyoidc's own.

The login page's links carry the authorization request along, so the city remembers nothing between the two.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping
from threading import Lock
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from cryptojwt.key_jar import KeyJar, build_keyjar
from idpyoidc.server import Server
from idpyoidc.server.configure import OPConfiguration
from idpyoidc.server.exception import ClientAuthenticationError

from broker.demo.page import Party, demo_application, message_page, render
from broker.demo.people import ULVILA_DIRECTORY, Person, find_person, people_of
from broker.demo.world import PreparedDemo, base_url, kept_file

PARTY = Party(id="ulvila", kind="demo_city", name={"en": "City of Ulvila", "fi": "Ulvilan kaupunki"})
CLIENT_ID = "broker"
# Entra ID's tenant and object ids are GUIDs; these are made from names so that they stay the same from run to run.
TENANT = str(uuid.uuid5(uuid.NAMESPACE_DNS, "ulvila.demo.example"))
_ACR = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
_METHOD = "choose_person"
_OURS = ("person", "lang")
_ID_TOKEN_CLAIMS = (
    "acct",
    "amr",
    "email",
    "employeeid",
    "family_name",
    "given_name",
    "name",
    "oid",
    "preferred_username",
    "roles",
    "tid",
    "upn",
    "ver",
    "xms_edov",
)
_USERINFO_CLAIMS = ("email", "family_name", "given_name", "name")
_ENTRA_ROLES: Mapping[str, str] = {
    "employee": "Staff.Employee",
    "office-holder": "Staff.OfficeHolder",
    "elected-official": "Council.Member",
}

# What idpyoidc hands out is untyped.
Idpyoidc = Any


class ChoosePerson:
    """idpyoidc's authentication method: nobody is ever signed in already, and our own page asks who it is."""

    def __init__(self, upstream_get: object = None, **kwargs: object) -> None:
        self.kwargs = kwargs

    def authenticated_as(self, client_id: str, cookie: object = None, **kwargs: object) -> tuple[None, int]:
        return None, 0

    def __call__(self, **kwargs: object) -> str:
        return _METHOD


class OidcCity:
    """idpyoidc's provider behind an aiohttp application."""

    def __init__(self, prepared: PreparedDemo, broker_base_url: str) -> None:
        self._issuer = base_url(prepared.ports.ulvila)
        self._server = _provider(self._issuer, prepared)
        # Its session manager is not made for several threads.
        self._lock = Lock()
        self.register(CLIENT_ID, prepared.environment["ULVILA_CLIENT_SECRET"], f"{broker_base_url}/oidc/callback")

    def register(self, client_id: str, secret: str, redirect_uri: str) -> None:
        self._server.context.cdb[client_id] = _client(client_id, secret, redirect_uri)

    def application(self) -> web.Application:
        app = demo_application()
        app.router.add_get("/", self._index)
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/jwks.json", self._jwks)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        app.router.add_get("/userinfo", self._userinfo)
        app.router.add_post("/userinfo", self._userinfo)
        return app

    async def _index(self, request: web.Request) -> web.Response:
        return message_page(request, PARTY, "city_start", status=200)

    async def _jwks(self, request: web.Request) -> web.Response:
        return web.json_response(self._server.keyjar.export_jwks())

    async def _discovery(self, request: web.Request) -> web.Response:
        return await asyncio.to_thread(self._endpoint, "provider_config", {}, _http_info(request))

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        return await asyncio.to_thread(self._endpoint, "token", form, _http_info(request))

    async def _userinfo(self, request: web.Request) -> web.Response:
        return await asyncio.to_thread(self._endpoint, "userinfo", {}, _http_info(request))

    async def _authorize(self, request: web.Request) -> web.Response:
        query = {name: value for name, value in request.query.items() if name not in _OURS}
        person = find_person(ULVILA_DIRECTORY, request.query.get("person", ""))
        answer = await asyncio.to_thread(self._authorization, query, _http_info(request), person)
        if answer == _METHOD:
            return render(request, PARTY, "city.html", people=_links(request, query))
        if answer is None:
            return message_page(request, PARTY, "bad_request", status=400)
        return web.Response(status=303, headers={"Location": answer})

    def _authorization(self, query: Mapping[str, str], http: Mapping[str, Any], person: Person | None) -> str | None:
        """Where to send the browser; ``_METHOD`` when a person must be chosen; None when the request is not in order."""
        endpoint = self._server.get_endpoint("authorization")
        with self._lock:
            request = _parsed(endpoint, query, http)
            if "error" in request:
                return None
            if person is None:
                result = endpoint.process_request(request, http_info={"cookie": []})
                if "http_response" in result:
                    return str(result["http_response"])
            else:
                method = self._server.context.authn_broker[_METHOD]["method"]
                session = endpoint.create_session(request, person.id, _ACR, int(time.time()), method)
                result = endpoint.authz_part2(request=request, session_id=session)
            return str(endpoint.do_response(request=request, **result)["response"])

    def _endpoint(self, name: str, message: Mapping[str, str], http: Mapping[str, Any]) -> web.Response:
        endpoint = self._server.get_endpoint(name)
        with self._lock:
            request = _parsed(endpoint, message, http)
            result = request if "error" in request else endpoint.process_request(request)
            if "error" in result:
                status = 401 if result["error"] in ("invalid_client", "invalid_token") else 400
                return web.json_response({"error": result["error"]}, status=status)
            answer = endpoint.do_response(request=request, **result)
        return web.Response(text=str(answer["response"]), content_type="application/json")


def _parsed(endpoint: Idpyoidc, message: Mapping[str, str], http: Mapping[str, Any]) -> Idpyoidc:
    """The checked request, or a mapping with ``error``."""
    try:
        return endpoint.parse_request(dict(message), http_info=http)
    except ClientAuthenticationError:
        return {"error": "invalid_client"}
    except Exception:  # noqa: BLE001 - whatever else idpyoidc's checks raise means that the request is not in order
        return {"error": "invalid_request"}


def _links(request: web.Request, query: Mapping[str, str]) -> list[tuple[Person, str]]:
    kept_query = dict(query) | ({"lang": request.query["lang"]} if "lang" in request.query else {})
    return [
        (person, f"/authorize?{urlencode(kept_query | {'person': person.id})}")
        for person in people_of(ULVILA_DIRECTORY)
    ]


def _http_info(request: web.Request) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in request.headers.items() if name.lower() == "authorization"}
    return {"headers": headers, "method": request.method, "url": str(request.url), "cookie": []}


def claims_of(person: Person) -> dict[str, object]:
    """What Ulvila's directory says of the person, by Entra ID's claim names."""
    claims: dict[str, object] = {
        "oid": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{person.id}.ulvila.demo.example")),
        "tid": TENANT,
        "ver": "2.0",
        "acct": 0,
        "upn": person.user_name,
        "preferred_username": person.user_name,
        "name": person.name,
        "given_name": person.given_name,
        "family_name": person.surname,
        "employeeid": person.employee_number,
        "roles": [_ENTRA_ROLES[person.person_type]],
        "amr": ["pwd", "mfa"] if person.mfa else ["pwd"],
    }
    return claims | ({"email": person.mail, "xms_edov": True} if person.mail else {})


def _keys(prepared: PreparedDemo) -> Idpyoidc:
    def new() -> bytes:
        made = build_keyjar([{"type": "RSA", "use": ["sig"]}])
        return json.dumps(made.export_jwks(private=True)).encode()

    keyjar = KeyJar()
    keyjar.import_jwks(json.loads(kept_file(prepared.ulvila_keys, new)), "")
    return keyjar


def _client(client_id: str, secret: str, redirect_uri: str) -> dict[str, object]:
    """A client's registration, in idpyoidc's words."""
    return {
        "client_id": client_id,
        "client_secret": secret,
        # Subject identifiers are made with it: another one would give everybody a new ``sub``.
        "client_salt": client_id,
        "redirect_uris": [(redirect_uri, {})],
        "response_types_supported": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
        "allowed_scopes": ["openid", "profile", "email"],
    }


def _provider(issuer: str, prepared: PreparedDemo) -> Idpyoidc:
    server = Server(OPConfiguration(_configuration(issuer)), keyjar=_keys(prepared))
    server.context.provider_info.pop("jwks", None)
    server.context.provider_info["jwks_uri"] = f"{issuer}/jwks.json"
    return server


def _configuration(issuer: str) -> dict[str, object]:
    return {
        "issuer": issuer,
        "entity_id": issuer,
        "claims_supported": ["sub", *_ID_TOKEN_CLAIMS],
        "scopes_supported": ["openid", "profile", "email"],
        "preference": {
            "grant_types_supported": ["authorization_code"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_modes_supported": ["query"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        },
        "endpoint": _endpoints(),
        "authentication": {_METHOD: {"acr": _ACR, "class": ChoosePerson, "kwargs": {}}},
        "userinfo": {
            "class": "idpyoidc.server.user_info.UserInfo",
            "kwargs": {"db": {person.id: claims_of(person) for person in people_of(ULVILA_DIRECTORY)}},
        },
        "authz": {"class": "idpyoidc.server.authz.AuthzHandling", "kwargs": {"grant_config": _grants()}},
        "token_handler_args": {
            "code": {"kwargs": {"lifetime": 120}},
            "token": {"kwargs": {"lifetime": 600}},
            "id_token": {
                "class": "idpyoidc.server.token.id_token.IDToken",
                "kwargs": {"lifetime": 600, "base_claims": dict.fromkeys(_ID_TOKEN_CLAIMS)},
            },
        },
        "add_on": {
            "pkce": {"function": "idpyoidc.server.oauth2.add_on.pkce.add_support", "kwargs": {"essential": True}}
        },
        "cookie_handler": {
            "class": "idpyoidc.server.cookie_handler.CookieHandler",
            # Its cookies are never set: the city keeps nobody signed in.
            "kwargs": {"crypt_config": None, "name": {"session": "demo_ulvila"}},
        },
    }


def _endpoints() -> dict[str, object]:
    oidc = "idpyoidc.server.oidc"
    return {
        "provider_info": {
            "path": ".well-known/openid-configuration",
            "class": f"{oidc}.provider_config.ProviderConfiguration",
            "kwargs": {"client_authn_method": None},
        },
        "authorization": {
            "path": "authorize",
            "class": f"{oidc}.authorization.Authorization",
            "kwargs": {
                "client_authn_method": None,
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
            },
        },
        "token": {
            "path": "token",
            "class": f"{oidc}.token.Token",
            "kwargs": {"client_authn_method": ["client_secret_basic"]},
        },
        "userinfo": {
            "path": "userinfo",
            "class": f"{oidc}.userinfo.UserInfo",
            "kwargs": {"client_authn_method": ["bearer_header"], "base_claims": dict.fromkeys(_USERINFO_CLAIMS)},
        },
    }


def _grants() -> dict[str, object]:
    return {
        "usage_rules": {
            "authorization_code": {
                "supports_minting": ["access_token", "id_token"],
                "max_usage": 1,
                "expires_in": 120,
            },
            "access_token": {"expires_in": 600},
        },
        "expires_in": 3600,
    }
