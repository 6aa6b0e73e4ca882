"""A client that is not ours: Authlib asks, joserfc reads. Its HTTP is handed to the provider's functions, so no packet is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet
from requests.adapters import BaseAdapter

from broker.login.edges import Redirect
from broker.oidc.op.http import ClientRequest
from tests.unit.oidc.parties import BASE_URL, NOW, REDIRECT_URI, VERIFIER, ServiceSide, json_of

# Authlib does not form-encode it for the header (RFC 6749 2.3.1).
SECRET = "a+b%20c:d"


class ToTheProvider(BaseAdapter):
    """The transport of ``requests``, which ends in our functions."""

    def __init__(self, side: ServiceSide) -> None:
        super().__init__()
        self._side = side

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        fields = parse_qsl(str(request.body or ""), keep_blank_values=True)
        header = request.headers.get("Authorization")
        ours = ClientRequest(authorization=None if header is None else str(header), fields=tuple(fields))
        provider = self._side.provider
        endpoint = {"/oidc/token": provider.token, "/oidc/userinfo": provider.userinfo}[urlsplit(str(request.url)).path]
        answer = asyncio.run(endpoint(ours, self._side.federation))
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response._content = answer.body
        response.request = request
        return response

    def close(self) -> None:
        """Holds nothing."""


def session_of(side: ServiceSide, method: str) -> OAuth2Session:
    session = OAuth2Session(
        "rooms",
        SECRET,
        scope="openid email",
        redirect_uri=REDIRECT_URI,
        token_endpoint_auth_method=method,
        code_challenge_method="S256",
    )
    session.mount(BASE_URL, ToTheProvider(side))
    return session


def log_in(side: ServiceSide, session: OAuth2Session) -> Mapping[str, Any]:
    url, state = session.create_authorization_url(f"{BASE_URL}/oidc/authorize", nonce="n-1", code_verifier=VERIFIER)
    request = asyncio.run(side.begin(parse_qsl(urlsplit(url).query)))
    delivery = asyncio.run(side.answer(request))
    assert isinstance(delivery, Redirect)
    tokens: Mapping[str, Any] = session.fetch_token(
        f"{BASE_URL}/oidc/token", authorization_response=delivery.url, state=state, code_verifier=VERIFIER
    )
    return tokens


def check_id_token(side: ServiceSide, tokens: Mapping[str, Any]) -> CodeIDToken:
    keys = KeySet.import_key_set(json_of(side.provider.jwks()))  # type: ignore[arg-type]  # a plain dictionary is one
    token = jwt.decode(tokens["id_token"], keys, algorithms=["RS256", "ES256"])
    params = {"nonce": "n-1", "client_id": "rooms", "access_token": tokens["access_token"], "max_age": 600}
    options = {"iss": {"essential": True, "value": BASE_URL}, "aud": {"essential": True, "value": "rooms"}}
    claims = CodeIDToken(token.claims, token.header, options, params)
    claims.validate(now=int(NOW.timestamp()))
    return claims


def test_authlib_logs_in_with_the_secret_in_the_header(side: ServiceSide) -> None:
    side.register(client_secret=SECRET)
    session = session_of(side, "client_secret_basic")
    tokens = log_in(side, session)

    assert check_id_token(side, tokens)["sub"] == "pairwise@ulvila.fi"
    assert session.get(f"{BASE_URL}/oidc/userinfo").json()["email"] == "aino@ulvila.fi"


def test_authlib_logs_in_with_the_secret_in_the_form_and_es256(side: ServiceSide) -> None:
    side.register(
        client_secret=SECRET, token_endpoint_auth_method="client_secret_post", id_token_signed_response_alg="ES256"
    )
    assert check_id_token(side, log_in(side, session_of(side, "client_secret_post")))["aud"] == "rooms"
