"""The bench's own OpenID Connect: a service (relying party) that asks, a city (OpenID Provider) that answers. PyJWT."""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jwt
from aiohttp import web

from tests.bench.errors import WrongAnswerError, expect
from tests.bench.parties import CITY_CLIENT_ID, CLIENT_ID, SECRET, Parties, User

Keys = Mapping[str, jwt.PyJWK]
"""The broker's public keys by ``kid``."""


# --- the service -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An authorization request on its way. ``verifier``: PKCE, RFC 7636."""

    state: str
    nonce: str
    verifier: str
    url: str


def authorization_request(parties: Parties, endpoint: str, organisation: str) -> Asked:
    """Code flow with PKCE, state and nonce, the organisation named beforehand."""
    state, nonce, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(16), secrets.token_urlsafe(32)
    query = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": parties.redirect_uri,
        "scope": "openid profile email",
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
        "organisation": organisation,
    }
    return Asked(state=state, nonce=nonce, verifier=verifier, url=f"{endpoint}?{urlencode(query)}")


def check_redirect(location: str, parties: Parties, asked: Asked, issuer: str) -> str:
    """The broker's answer at the service: state (OAuth 4.1.2) and issuer (RFC 9207). Returns the code."""
    address, _, query = location.partition("?")
    expect("redirect URI", address, parties.redirect_uri)
    answer = dict(parse_qsl(query, strict_parsing=True))
    expect("error", answer.get("error"), None)
    expect("state", answer.get("state"), asked.state)
    expect("iss", answer.get("iss"), issuer)
    return answer.get("code", "")


def token_request(parties: Parties, asked: Asked, code: str) -> tuple[dict[str, str], dict[str, str]]:
    """The form and the headers of the code's exchange, with client_secret_basic."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": parties.redirect_uri,
        "code_verifier": asked.verifier,
    }
    return form, {"Authorization": basic(CLIENT_ID, SECRET)}


def check_id_token(id_token: str, keys: Keys, asked: Asked, issuer: str) -> str:
    """OIDC Core 3.1.3.7. Returns the ``sub``. Raises: WrongAnswerError."""
    try:
        key = keys[jwt.get_unverified_header(id_token)["kid"]]
        claims = jwt.decode(
            id_token,
            key,
            algorithms=["RS256", "ES256"],
            audience=CLIENT_ID,
            issuer=issuer,
            leeway=5,
            options={"require": ["exp", "iat", "sub", "nonce"]},
        )
    except (jwt.InvalidTokenError, KeyError) as error:
        raise WrongAnswerError(f"ID token: {error!r}") from error
    expect("nonce", claims["nonce"], asked.nonce)
    return str(claims["sub"])


def check_userinfo(claims: Mapping[str, Any], subject: str, user: User) -> None:
    """OIDC Core 5.3.2: the same person, and the one who logged in. Raises: WrongAnswerError."""
    expect("sub of userinfo", claims.get("sub"), subject)
    expect("email", claims.get("email"), user.mail)
    expect("name", claims.get("name"), f"User {user.number}")


# --- the city --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a code of the city stands for."""

    nonce: str
    redirect_uri: str
    challenge: str
    user: User


@dataclass(kw_only=True)
class City:
    """An OpenID Provider with Entra-like claims. Codes and tokens are used once."""

    parties: Parties
    callback: str
    """The broker's redirect URI: the only one that is registered here."""
    _codes: dict[str, Grant] = field(default_factory=dict)
    _tokens: dict[str, User] = field(default_factory=dict)

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._configuration)
        app.router.add_get("/city/jwks", self._jwks)
        app.router.add_post("/city/token", self._token)
        app.router.add_get("/city/userinfo", self._userinfo)
        return app

    def log_in(self, location: str, user: User) -> str:
        """The browser at the city: reads the broker's request and returns the address that it is sent back to.

        Raises: WrongAnswerError.
        """
        address, _, query = location.partition("?")
        expect("address of the city", address, f"{self.parties.base}/city/authorize")
        asked = dict(parse_qsl(query, strict_parsing=True))
        expect("client_id", asked.get("client_id"), CITY_CLIENT_ID)
        expect("redirect_uri", asked.get("redirect_uri"), self.callback)
        expect("response_type", asked.get("response_type"), "code")
        expect("code_challenge_method", asked.get("code_challenge_method"), "S256")
        for name in ("state", "nonce", "code_challenge"):
            if not asked.get(name):
                raise WrongAnswerError(f"authorization request: no {name}")
        code = secrets.token_urlsafe(16)
        self._codes[code] = Grant(
            nonce=asked["nonce"], redirect_uri=asked["redirect_uri"], challenge=asked["code_challenge"], user=user
        )
        back = urlencode({"code": code, "state": asked["state"], "iss": self.parties.issuer})
        return f"{self.callback}?{back}"

    async def _configuration(self, _request: web.Request) -> web.Response:
        base = self.parties.base
        return web.json_response(
            {
                "issuer": self.parties.issuer,
                "authorization_endpoint": f"{base}/city/authorize",
                "token_endpoint": f"{base}/city/token",
                "userinfo_endpoint": f"{base}/city/userinfo",
                "jwks_uri": f"{base}/city/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def _jwks(self, _request: web.Request) -> web.Response:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.parties.city_key.private.public_key(), as_dict=True)
        return web.json_response({"keys": [public | {"kid": "city", "use": "sig", "alg": "RS256"}]})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        grant = self._codes.pop(str(form.get("code", "")), None)
        if grant is None or not authorised(grant, form, request.headers.get("Authorization", "")):
            return web.json_response({"error": "invalid_grant"}, status=400)
        token = secrets.token_urlsafe(16)
        self._tokens[token] = grant.user
        id_token = self._id_token(grant, datetime.now().astimezone())
        return web.json_response(
            {"access_token": token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token}
        )

    async def _userinfo(self, request: web.Request) -> web.Response:
        user = self._tokens.pop(request.headers.get("Authorization", "").removeprefix("Bearer "), None)
        if user is None:
            return web.json_response({"error": "invalid_token"}, status=401)
        return web.json_response(person(user))

    def _id_token(self, grant: Grant, now: datetime) -> str:
        claims = person(grant.user) | {
            "iss": self.parties.issuer,
            "aud": CITY_CLIENT_ID,
            "iat": now,
            "exp": now + timedelta(minutes=5),
            "auth_time": int(now.timestamp()),
            "nonce": grant.nonce,
        }
        return jwt.encode(claims, self.parties.city_key.private, algorithm="RS256", headers={"kid": "city"})


def authorised(grant: Grant, form: Mapping[str, Any], authorization: str) -> bool:
    """Whether the broker may exchange this code: its secret, its redirect URI, its PKCE verifier."""
    by_form = (form.get("client_id"), form.get("client_secret")) == (CITY_CLIENT_ID, SECRET)
    return (
        (by_form or authorization == basic(CITY_CLIENT_ID, SECRET))
        and form.get("redirect_uri") == grant.redirect_uri
        and challenge_of(str(form.get("code_verifier", ""))) == grant.challenge
    )


def person(user: User) -> dict[str, Any]:
    """The claims of one of the staff, as Entra ID names them."""
    return {
        "sub": f"sub-{user.number}",
        "oid": f"00000000-0000-4000-8000-{user.number:012}",
        "tid": "11111111-1111-4111-8111-111111111111",
        # Its address is proven, as the rule on unverified mail asks (attributes.md 5).
        "xms_edov": True,
        "preferred_username": user.mail,
        "email": user.mail,
        "name": f"User {user.number}",
        "given_name": "User",
        "family_name": str(user.number),
        "employeeid": user.employee_number,
    }


def challenge_of(verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


def basic(name: str, secret: str) -> str:
    return "Basic " + b64encode(f"{name}:{secret}".encode("ascii")).decode("ascii")
