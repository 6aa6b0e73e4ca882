"""OpenID Connect Core 5.3 and RFC 6750: the userinfo endpoint."""

from __future__ import annotations

import pytest

from broker.oidc.op.http import HttpAnswer
from tests.unit.oidc.parties import BASE_URL, OTHER_CLIENT, ServiceSide, federation_of, json_of


def challenge_of(answer: HttpAnswer, status: int) -> str:
    assert answer.status == status
    return answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("scope", "claims"),
    [
        ("openid", set()),
        ("openid email", {"email", "email_verified"}),
        ("openid profile", {"name"}),
        ("openid email profile affiliation", {"email", "email_verified", "name", "eduperson_scoped_affiliation"}),
    ],
)
async def test_core_5_4_a_scope_asks_for_its_claims(side: ServiceSide, scope: str, claims: set[str]) -> None:
    token = (await side.tokens(scope=scope))["access_token"]
    assert json_of(await side.userinfo(f"Bearer {token}")).keys() == claims | {"sub"}


async def test_core_5_3_2_values_have_their_types(side: ServiceSide) -> None:
    token = (await side.tokens(scope="openid email affiliation"))["access_token"]
    answer = await side.userinfo(f"Bearer {token}")
    assert json_of(answer) == {
        "sub": "pairwise@ulvila.fi",
        "email": "aino@ulvila.fi",
        "email_verified": True,
        "eduperson_scoped_affiliation": ["employee@ulvila.fi"],
    }
    assert answer.headers["Cache-Control"] == "no-store"


async def test_rfc6750_2_1_2_2_the_token_comes_in_the_header_or_in_the_form(side: ServiceSide) -> None:
    token = (await side.tokens())["access_token"]
    in_header = await side.userinfo(f"bearer {token}")
    in_form = await side.userinfo(None, (("access_token", token),))
    assert in_header.body == in_form.body
    assert in_header.status == in_form.status == 200


@pytest.mark.parametrize("authorization", [None, "Basic cm9vbXM6eA=="])
async def test_rfc6750_3_1_without_a_token_the_challenge_has_no_error(
    side: ServiceSide, authorization: str | None
) -> None:
    bearer, dpop = f'Bearer realm="{BASE_URL}"', f'DPoP realm="{BASE_URL}", algs="PS256 ES256 EdDSA"'
    assert challenge_of(await side.userinfo(authorization), 401) == f"{bearer}, {dpop}"


@pytest.mark.parametrize("token", ["unknown", "x" * 4000])
async def test_rfc6750_3_1_an_unknown_token_is_invalid(side: ServiceSide, token: str) -> None:
    assert 'error="invalid_token"' in challenge_of(await side.userinfo(f"Bearer {token}"), 401)


async def test_rfc6750_3_1_an_expired_token_is_invalid(side: ServiceSide) -> None:
    token = (await side.tokens())["access_token"]
    side.clock.advance(minutes=10)
    assert 'error="invalid_token"' in challenge_of(await side.userinfo(f"Bearer {token}"), 401)


@pytest.mark.parametrize("authorization", ["Bearer ", "Bearer a b", "Bearer ä"])
async def test_rfc6750_3_1_a_malformed_header_is_an_invalid_request(side: ServiceSide, authorization: str) -> None:
    assert 'error="invalid_request"' in challenge_of(await side.userinfo(authorization), 400)


async def test_rfc6750_2_two_ways_at_once_are_an_invalid_request(side: ServiceSide) -> None:
    token = (await side.tokens())["access_token"]
    answer = await side.userinfo(f"Bearer {token}", (("access_token", token),))
    assert 'error="invalid_request"' in challenge_of(answer, 400)


async def test_a_token_ends_with_the_registration_of_its_service(side: ServiceSide) -> None:
    token = (await side.tokens())["access_token"]
    side.federation = federation_of(OTHER_CLIENT)
    assert challenge_of(await side.userinfo(f"Bearer {token}"), 401)
