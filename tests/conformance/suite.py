"""What the OpenID Foundation's conformance suite does, module by module: a client that asks and checks everything, and a person who
logs in at a city. It shares no code with the broker.

The suite's clients register themselves, as in its variant with dynamic registration.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt

from broker.keys import keyring
from broker.oidc.jose import Signer
from broker.oidc.op.initial_access import InitialAccessTokens, admission
from tests.bench import oidc
from tests.bench.parties import OIDC_CITY, User
from tests.stories.town import Answer, Browser, Town

CALLBACK, SECOND_CALLBACK = "https://suite.example/test/a/callback", "https://suite.example/test/a/callback?dummy=1"
PERSON = User(number=1, scope=f"{OIDC_CITY}.fi")
SCOPES = "openid profile email"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    client_id: str
    secret: str
    method: str

    def authenticated(self, form: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """The form and the headers of a request to the token endpoint."""
        if self.method == "client_secret_post":
            return {**form, "client_id": self.client_id, "client_secret": self.secret}, {}
        return form, {"Authorization": oidc.basic(self.client_id, self.secret)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What an endpoint for programs answered."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error(self) -> str:
        assert 400 <= self.status < 500, self
        return str(self.body["error"])


@dataclass
class Suite:
    """``mode``: the response mode of every authorization request."""

    town: Town
    client: Registered
    second: Registered
    by_post: Registered
    mode: str = "query"
    nonces: list[str] = field(default_factory=list)

    @classmethod
    async def register(cls, town: Town) -> Suite:
        methods = ("client_secret_basic", "client_secret_basic", "client_secret_post")
        return cls(town, *[await _registered(town, method) for method in methods])

    # --- the authorization endpoint ----------------------------------------------------------------------------------

    def request(self, **changes: str | None) -> str:
        """The address of an authorization request as the suite makes it, changed; None leaves a parameter out."""
        return f"/oidc/authorize?{urlencode(self.parameters(**changes))}"

    def parameters(self, **changes: str | None) -> dict[str, str]:
        good = {
            "client_id": self.client.client_id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": SCOPES,
            "state": "state-1",
            "nonce": "nonce-1",
            "response_mode": self.mode if self.mode != "query" else None,
            # How the suite's automation would choose on the page.
            "organisation": OIDC_CITY,
        }
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    async def at_city(self, browser: Browser, **changes: str | None) -> str:
        """The broker's request to the city."""
        sent = await browser.get(self.request(**changes))
        assert sent.status == 303, (sent.status, sent.reason, sent.text[:500])
        return sent.location

    async def log_in(self, browser: Browser | None = None, **changes: str | None) -> dict[str, str]:
        """The whole way: the parameters that come back."""
        browser = browser or self.town.browser()
        return await self.come_back(browser, await self.at_city(browser, **changes))

    async def come_back(self, browser: Browser, asked: str) -> dict[str, str]:
        return self.answered(await browser.get(self.town.city.log_in(asked, PERSON)))

    async def refuse(self, browser: Browser, asked: str, error: str) -> dict[str, str]:
        """The city says no."""
        state = parse_qs(urlsplit(asked).query)["state"][0]
        back = urlencode({"error": error, "state": state, "iss": self.town.parties.issuer})
        return self.answered(await browser.get(f"/oidc/callback?{back}"))

    def answered(self, answer: Answer, callback: str = CALLBACK) -> dict[str, str]:
        """The parameters at the client, by the response mode that was asked for; state and iss are right."""
        if self.mode == "form_post":
            action, fields = answer.form()
            assert action == callback, answer.text[:500]
            found = fields
        else:
            assert answer.status == 303, (answer.status, answer.reason, answer.text[:500])
            assert answer.location.startswith(callback), answer.location
            found = answer.parameters()
        assert found["state"] == "state-1"
        assert found["iss"] == self.town.base
        return found

    # --- the other endpoints ------------------------------------------------------------------------------------------

    async def ask(self, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> Reply:
        async with self.town.session.request(
            method, self.town.base + path, data=form, headers=headers, allow_redirects=False
        ) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json"
            return Reply(status=answer.status, headers=dict(answer.headers), body=json.loads(text) if is_json else text)

    async def exchange(self, code: str, client: Registered | None = None, **changes: str | None) -> Reply:
        good = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        given = {name: value for name, value in {**good, **changes}.items() if value is not None}
        form, headers = (client or self.client).authenticated(given)
        return await self.ask("POST", "/oidc/token", form, **headers)

    async def tokens(
        self, answered: dict[str, str], client: Registered | None = None, nonce: str | None = "nonce-1"
    ) -> dict[str, Any]:
        """The token response, with every check that the suite makes in every module."""
        reply = await self.exchange(answered["code"], client)
        return await self.check_tokens(reply, client or self.client, nonce)

    async def check_tokens(self, reply: Reply, client: Registered, nonce: str | None) -> dict[str, Any]:
        assert reply.status == 200, reply
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.body["token_type"] == "Bearer"
        assert reply.body["expires_in"] > 0
        claims = await self.check_id_token(reply.body["id_token"], reply.body["access_token"], client, nonce)
        return {**reply.body, "claims": claims}

    async def check_id_token(
        self, token: str, access_token: str, client: Registered, nonce: str | None
    ) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        keys = (await self.ask("GET", "/oidc/jwks")).body["keys"]
        assert len({each["kid"] for each in keys}) == len(keys)
        (jwk,) = [each for each in keys if each["kid"] == header["kid"]]
        claims: dict[str, Any] = jwt.decode(
            token,
            jwt.PyJWK.from_dict({**jwk, "alg": "RS256"}),
            algorithms=["RS256"],
            audience=client.client_id,
            issuer=self.town.base,
            options={"require": ["exp", "iat", "sub"]},
        )
        assert claims.get("nonce") == nonce
        assert claims["at_hash"] == _half_hash(access_token)
        # Claims of the person come from userinfo.
        assert not {"name", "email"} & claims.keys()
        assert claims["sid"]
        return claims

    async def userinfo(self, access_token: str, method: str = "GET") -> dict[str, Any]:
        reply = await self.ask(method, "/oidc/userinfo", Authorization=f"Bearer {access_token}")
        assert reply.status == 200, reply
        assert reply.headers["Content-Type"].startswith("application/json")
        return dict(reply.body)

    async def happy(self, **changes: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """The ID token's claims, and userinfo's; it is one person."""
        nonce = changes.get("nonce", "nonce-1")
        tokens = await self.tokens(await self.log_in(**changes), nonce=nonce)
        told = await self.userinfo(tokens["access_token"])
        assert told["sub"] == tokens["claims"]["sub"]
        return tokens["claims"], told


async def _registered(town: Town, method: str) -> Registered:
    decided = {
        "owner": OIDC_CITY,
        "name": {"en": "Suite"},
        "attributes": [{"name": name, "purpose": {"en": "Test"}} for name in ("mail", "displayName")],
        "testers": [PERSON.mail],
    }
    signer = Signer(keyring.load(town.ground.certs))
    tokens = InitialAccessTokens(issuer=town.base, signer=signer, clock=lambda: datetime.now(UTC))
    members = {
        "redirect_uris": [CALLBACK, SECOND_CALLBACK],
        "token_endpoint_auth_method": method,
        "grant_types": ["authorization_code", "refresh_token"],
    }
    headers = {"Authorization": f"Bearer {tokens.make(admission(decided), timedelta(hours=1))}"}
    async with town.session.post(f"{town.base}/oidc/register", json=members, headers=headers) as answer:
        found = await answer.json()
        assert answer.status == 201, found
    return Registered(client_id=found["client_id"], secret=found["client_secret"], method=method)


def _half_hash(value: str) -> str:
    digest = hashlib.sha256(value.encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def entropy_is_enough(code: str) -> bool:
    """Of at least 128 bits in base64url."""
    return re.fullmatch(r"[A-Za-z0-9_-]{22,}", code) is not None
