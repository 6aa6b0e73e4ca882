"""RFC 7009: token revocation. RFC 7662 and RFC 9701: token introspection."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from dataclasses import replace

import jwt
import pytest

from tests.unit.oidc.parties import (
    BASE_URL,
    NOW,
    OTHER_CLIENT,
    SECRET,
    ServiceSide,
    basic,
    error_of,
    federation_of,
    json_of,
)

OTHER = basic("other", "other secret")
SIGNED = "application/token-introspection+jwt"


# --- RFC 7009 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "nonsense"])
async def test_rfc7009_2_1_an_access_token_is_given_back_whatever_the_hint(side: ServiceSide, hint: str | None) -> None:
    token = (await side.tokens())["access_token"]
    answer = await side.revoke(token, token_type_hint=hint)
    assert (answer.status, answer.body) == (200, b"")
    assert not await side.is_active(token)


@pytest.mark.parametrize("given", ["access_token", "refresh_token"])
async def test_rfc7009_2_1_with_either_token_the_whole_grant_ends(refreshing: ServiceSide, given: str) -> None:
    first = await refreshing.tokens()
    second = await refreshing.refreshed(first["refresh_token"])

    assert (await refreshing.revoke(second[given])).status == 200

    for each in (first, second):
        assert not await refreshing.is_active(each["access_token"])
    assert error_of(await refreshing.refresh(second["refresh_token"])) == "invalid_grant"


async def test_rfc7009_2_2_an_unknown_token_is_answered_the_same(side: ServiceSide) -> None:
    assert (await side.revoke("unknown")).status == 200
    token = (await side.tokens())["access_token"]
    await side.revoke(token)
    assert (await side.revoke(token)).status == 200


@pytest.mark.parametrize("given", ["access_token", "refresh_token"])
async def test_rfc7009_2_1_another_client_ends_nothing(refreshing: ServiceSide, given: str) -> None:
    tokens = await refreshing.tokens()
    assert (await refreshing.revoke(tokens[given], OTHER)).status == 200
    assert await refreshing.is_active(tokens["access_token"])
    await refreshing.refreshed(tokens["refresh_token"])


async def test_rfc7009_2_1_the_client_is_authenticated(side: ServiceSide) -> None:
    token = (await side.tokens())["access_token"]
    answer = await side.revoke(token, basic("rooms", "wrong"))
    assert error_of(answer, 401) == "invalid_client"
    assert "Basic" in answer.headers["WWW-Authenticate"]
    assert error_of(await side.revoke(token, None), 401) == "invalid_client"
    assert await side.is_active(token)


async def test_rfc7009_2_1_a_public_client_names_itself(side: ServiceSide) -> None:
    side.register(token_endpoint_auth_method="none", client_secret=None)
    token = json_of(await side.exchange(await side.code(), None, client_id="rooms"))["access_token"]
    assert (await side.revoke(token, None, client_id="rooms")).status == 200
    assert not await side.is_active(token)


async def test_rfc7009_2_2_1_no_token(side: ServiceSide) -> None:
    assert error_of(await side.revoke(None)) == "invalid_request"


# --- RFC 7662 -----------------------------------------------------------------------------------------------------------


async def test_rfc7662_2_2_what_an_access_token_is_worth(side: ServiceSide) -> None:
    token = (await side.tokens())["access_token"]
    answer = await side.introspect(token)
    now = int(NOW.timestamp())
    assert json_of(answer) == {
        "active": True,
        "iss": BASE_URL,
        "client_id": "rooms",
        "sub": "pairwise@ulvila.fi",
        "scope": "openid email profile",
        "token_type": "Bearer",
        "iat": now,
        "exp": now + 600,
    }
    assert answer.headers["Cache-Control"] == "no-store"


async def test_rfc7662_2_2_what_a_refresh_token_is_worth(refreshing: ServiceSide) -> None:
    found = json_of(await refreshing.introspect((await refreshing.tokens())["refresh_token"]))
    assert (found["active"], found["sub"]) == (True, "pairwise@ulvila.fi")
    assert found["exp"] == int(NOW.timestamp()) + 12 * 3600
    assert "token_type" not in found


async def test_rfc7662_2_2_nothing_is_said_of_what_has_ended(refreshing: ServiceSide) -> None:
    tokens = await refreshing.tokens()
    refreshing.clock.advance(minutes=10)
    assert json_of(await refreshing.introspect(tokens["access_token"])) == {"active": False}
    await refreshing.revoke(tokens["refresh_token"])
    assert json_of(await refreshing.introspect(tokens["refresh_token"])) == {"active": False}
    assert json_of(await refreshing.introspect("unknown")) == {"active": False}


@pytest.mark.parametrize("given", ["access_token", "refresh_token"])
async def test_rfc7662_4_nothing_is_said_of_another_client_s(refreshing: ServiceSide, given: str) -> None:
    tokens = await refreshing.tokens()
    assert json_of(await refreshing.introspect(tokens[given], OTHER)) == {"active": False}


async def test_rfc7662_2_1_who_asks_is_authenticated(side: ServiceSide) -> None:
    token = (await side.tokens())["access_token"]
    assert error_of(await side.introspect(token, None), 401) == "invalid_client"
    assert error_of(await side.introspect(token, basic("rooms", "wrong")), 401) == "invalid_client"
    assert error_of(await side.introspect(None)) == "invalid_request"


async def test_rfc7662_2_1_a_public_client_cannot_ask(side: ServiceSide) -> None:
    public = replace(OTHER_CLIENT, client_secret=None, token_endpoint_auth_method="none")
    token = (await side.tokens())["access_token"]
    side.federation = federation_of(public)
    assert error_of(await side.introspect(token, None, client_id="other"), 401) == "invalid_client"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_rfc9701_5_a_signed_answer_for_who_asks_for_it(side: ServiceSide, algorithm: str) -> None:
    side.register(id_token_signed_response_alg=algorithm)
    tokens = await side.tokens()

    answer = await side.introspect(tokens["access_token"], accept=SIGNED)

    assert (answer.status, answer.headers["Content-Type"]) == (200, SIGNED)
    text = answer.body.decode()
    assert json.loads(urlsafe_b64decode(text.split(".")[0] + "=="))["typ"] == "token-introspection+jwt"
    claims = side.id_token(text)
    assert (claims["iss"], claims["aud"]) == (BASE_URL, "rooms")
    assert claims["token_introspection"]["active"] is True
    assert "sub" not in claims
    assert "exp" not in claims


async def test_rfc9701_8_1_a_signed_answer_is_no_id_token(side: ServiceSide) -> None:
    text = (await side.introspect((await side.tokens())["access_token"], accept=SIGNED)).body.decode()
    assert jwt.get_unverified_header(text)["typ"] != "JWT"
    assert SECRET not in text
