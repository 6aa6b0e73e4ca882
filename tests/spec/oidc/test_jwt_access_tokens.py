"""RFC 9068: access tokens as JWTs, for the clients that register them."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from broker.login.edges import RefusedRequest
from broker.oidc.errors import InvalidRequest
from tests.unit.oidc.parties import BASE_URL, NOW, REFRESHING, ServiceSide, error_of, json_of


@pytest.fixture
def telling(side: ServiceSide) -> ServiceSide:
    """The service registered access tokens that tell what they are."""
    side.register(access_token_format="jwt")
    return side


def read(side: ServiceSide, token: str) -> dict[str, Any]:
    """As a resource server does (4), with the published keys."""
    header = jwt.get_unverified_header(token)
    assert header["typ"] == "at+jwt"
    return side.id_token(token)


async def test_2_2_it_says_for_whom_about_whom_and_for_how_long(telling: ServiceSide) -> None:
    claims = read(telling, (await telling.tokens())["access_token"])
    now = int(NOW.timestamp())
    assert len(claims.pop("jti")) >= 43
    assert claims == {
        "iss": BASE_URL,
        "aud": "rooms",
        "client_id": "rooms",
        "sub": "pairwise@ulvila.fi",
        "scope": "openid email profile",
        "iat": now,
        "exp": now + 600,
        "auth_time": now - 300,
        "acr": "https://refeds.org/profile/sfa",
        "amr": ["pwd"],
    }


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_2_1_signed_as_the_client_registered(side: ServiceSide, algorithm: str) -> None:
    side.register(access_token_format="jwt", id_token_signed_response_alg=algorithm)
    token = (await side.tokens())["access_token"]
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert await side.is_active(token)


async def test_the_binding_stands_in_it(telling: ServiceSide) -> None:
    prover = await telling.prove()
    token = (await telling.tokens())["access_token"]
    assert read(telling, token)["cnf"] == {"jkt": prover.thumbprint}


async def test_5_an_access_token_is_no_id_token_and_an_id_token_opens_nothing(telling: ServiceSide) -> None:
    tokens = await telling.tokens()
    assert not await telling.is_active(tokens["id_token"])
    with pytest.raises(RefusedRequest) as refused:
        await telling.begin(id_token_hint=tokens["access_token"])
    assert isinstance(refused.value.fault, InvalidRequest)


async def test_the_id_in_it_alone_opens_nothing(telling: ServiceSide) -> None:
    token = (await telling.tokens())["access_token"]
    assert not await telling.is_active(read(telling, token)["jti"])


async def test_one_of_another_signer_opens_nothing(telling: ServiceSide) -> None:
    token = (await telling.tokens())["access_token"]
    head, _, signature = token.split(".")
    other = (await telling.tokens())["access_token"].split(".")[1]
    assert not await telling.is_active(f"{head}.{other}.{signature}")


async def test_it_ends_with_its_time_by_revocation_and_by_its_code(telling: ServiceSide) -> None:
    token = (await telling.tokens())["access_token"]
    assert json_of(await telling.introspect(token))["active"]
    await telling.revoke(token)
    assert json_of(await telling.introspect(token)) == {"active": False}

    code = await telling.code()
    token = json_of(await telling.exchange(code))["access_token"]
    assert error_of(await telling.exchange(code)) == "invalid_grant"
    assert not await telling.is_active(token)

    token = (await telling.tokens())["access_token"]
    telling.clock.advance(minutes=10)
    assert not await telling.is_active(token)


async def test_a_refreshed_one_is_another(side: ServiceSide) -> None:
    side.register(access_token_format="jwt", grant_types=REFRESHING)
    first = await side.tokens()
    second = await side.refreshed(first["refresh_token"])
    assert read(side, first["access_token"])["jti"] != read(side, second["access_token"])["jti"]
    assert await side.is_active(second["access_token"])
