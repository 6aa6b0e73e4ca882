"""FAPI 2.0 Security Profile 5.3.2: what a client that registered it is held to, beyond what everybody is."""

from __future__ import annotations

import itertools
import json
from typing import Any

import jwt
import pytest

from broker.login.edges import RefusedRequest
from broker.oidc.errors import InvalidRequest
from broker.oidc.op.client_assertion import TYPE
from broker.oidc.op.http import HttpAnswer
from tests.unit.oidc.parties import (
    BASE_URL,
    EC_KEY,
    NOW,
    REFRESHING,
    RSA_KEY,
    Prover,
    ServiceSide,
    error_of,
    fields_of,
    json_of,
    public_jwk,
)

KEYS = {"keys": [public_jwk(RSA_KEY, kid="r1"), public_jwk(EC_KEY, kid="e1", alg="ES256")]}
DROPPED = object()
_ids = itertools.count()


@pytest.fixture
async def bank(side: ServiceSide) -> ServiceSide:
    """A client as ``client_build`` makes one of a registration with security_profile: fapi2."""
    side.register(
        security_profile="fapi2",
        client_secret=None,
        token_endpoint_auth_method="private_key_jwt",
        jwks=json.dumps(KEYS),
        dpop_bound_access_tokens=True,
        require_pkce=True,
        require_pushed_authorization_requests=True,
        id_token_signed_response_alg="ES256",
        grant_types=REFRESHING,
    )
    return side


def proof(key: Any = EC_KEY, algorithm: str = "ES256", kid: str = "e1", **changes: Any) -> dict[str, str]:
    """The client's proof of itself, a new one each time; ``DROPPED`` leaves a claim out."""
    now = int(NOW.timestamp())
    good = {"iss": "rooms", "sub": "rooms", "aud": BASE_URL, "jti": f"j-{next(_ids)}", "iat": now, "exp": now + 60}
    claims = {name: value for name, value in {**good, **changes}.items() if value is not DROPPED}
    text = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})
    return {"client_assertion_type": TYPE, "client_assertion": text}


async def with_a_key(side: ServiceSide) -> ServiceSide:
    """From now on each request shows a DPoP proof."""
    side.prover = Prover(clock=side.clock)
    answer = await side.push(None, **proof())
    assert error_of(answer) == "use_dpop_nonce"
    side.prover.nonce = answer.headers["DPoP-Nonce"]
    return side


async def pushed_code(side: ServiceSide) -> str:
    answer = await side.push(None, **proof())
    assert answer.status == 201, answer.body
    request = await side.begin([("client_id", "rooms"), ("request_uri", json_of(answer)["request_uri"])])
    return fields_of(await side.answer(request))["code"]


async def tokens(side: ServiceSide) -> dict[str, Any]:
    answer = await side.exchange(await pushed_code(side), None, **proof())
    assert answer.status == 200, answer.body
    return json_of(answer)


# --- the happy path -------------------------------------------------------------------------------------------------------


async def test_the_whole_of_it_from_the_pushed_request_to_userinfo(bank: ServiceSide) -> None:
    await with_a_key(bank)
    found = await tokens(bank)
    assert found["token_type"] == "DPoP"
    assert jwt.get_unverified_header(found["id_token"])["alg"] == "ES256"
    assert (await bank.userinfo(f"DPoP {found['access_token']}")).status == 200
    assert (await bank.userinfo(f"Bearer {found['access_token']}")).status == 401


async def test_5_3_2_1_13_a_clock_that_is_ten_seconds_ahead(bank: ServiceSide) -> None:
    ahead = int(NOW.timestamp()) + 10
    assert (await bank.push(None, **proof(iat=ahead, nbf=ahead))).status == 201


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA_KEY, "PS256", "r1"), (EC_KEY, "ES256", "e1")])
async def test_5_4_1_the_algorithms_that_are_taken(bank: ServiceSide, key: Any, algorithm: str, kid: str) -> None:
    assert (await bank.push(None, **proof(key, algorithm, kid))).status == 201


# --- refused ----------------------------------------------------------------------------------------------------------------


async def test_5_3_2_2_3_a_request_that_was_not_pushed(bank: ServiceSide) -> None:
    with pytest.raises(RefusedRequest) as refused:
        await bank.begin()
    assert isinstance(refused.value.fault, InvalidRequest)


async def test_5_3_2_2_4_a_push_without_client_authentication(bank: ServiceSide) -> None:
    assert error_of(await bank.push(None), 401) == "invalid_client"


async def test_5_3_2_2_5_a_push_without_pkce(bank: ServiceSide) -> None:
    without = {"code_challenge": None, "code_challenge_method": None}
    assert error_of(await bank.push(None, **without, **proof())) == "invalid_request"


async def test_5_3_2_2_6_a_push_without_a_redirect_uri(bank: ServiceSide) -> None:
    assert error_of(await bank.push(None, redirect_uri=None, **proof())) == "invalid_request"


@pytest.mark.parametrize(
    "audience",
    [f"{BASE_URL}/oidc/token", f"{BASE_URL}/oidc/par", [BASE_URL], [BASE_URL, f"{BASE_URL}/oidc/par"], DROPPED],
)
async def test_5_3_2_1_8_another_audience_than_the_issuer_as_a_string(bank: ServiceSide, audience: object) -> None:
    assert error_of(await bank.push(None, **proof(aud=audience)), 401) == "invalid_client"


@pytest.mark.parametrize("claim", ["iat", "nbf"])
async def test_5_3_2_1_13_more_than_a_minute_in_the_future(bank: ServiceSide, claim: str) -> None:
    far = {claim: int(NOW.timestamp()) + 61}
    assert error_of(await bank.push(None, **proof(**far)), 401) == "invalid_client"


@pytest.mark.parametrize("changes", [{"sub": DROPPED}, {"exp": int(NOW.timestamp()) - 300}, {"exp": DROPPED}])
async def test_an_assertion_without_sub_or_out_of_date(bank: ServiceSide, changes: dict[str, Any]) -> None:
    assert error_of(await bank.push(None, **proof(**changes)), 401) == "invalid_client"


async def test_5_4_1_rs256(bank: ServiceSide) -> None:
    assert error_of(await bank.push(None, **proof(RSA_KEY, "RS256", "r1")), 401) == "invalid_client"


async def test_5_4_1_a_request_object_by_rs256(bank: ServiceSide) -> None:
    now = int(NOW.timestamp())
    claims = {"iss": "rooms", "client_id": "rooms", "aud": BASE_URL, "exp": now + 60, "response_type": "code"}
    request = jwt.encode(claims, RSA_KEY, algorithm="RS256", headers={"kid": "r1"})
    assert error_of(await bank.push(None, request=request, **proof())) == "invalid_request_object"


async def test_5_3_2_1_4_a_token_that_is_bound_to_nothing(bank: ServiceSide) -> None:
    code = await pushed_code(bank)
    assert error_of(await bank.exchange(code, None, **proof())) == "invalid_dpop_proof"


async def test_rfc9449_10_a_code_that_was_pushed_for_with_another_key(bank: ServiceSide) -> None:
    code = await pushed_code(await with_a_key(bank))
    assert bank.prover is not None
    bank.prover = Prover(clock=bank.clock, nonce=bank.prover.nonce)
    assert error_of(await bank.exchange(code, None, **proof())) == "invalid_grant"


# --- 5.3.2.1 (9): refresh tokens ------------------------------------------------------------------------------------------


async def refresh(side: ServiceSide, token: str, **changes: Any) -> HttpAnswer:
    return await side.refresh(token, None, **(proof() | changes))


async def test_refresh_tokens_do_not_rotate(bank: ServiceSide) -> None:
    token = (await tokens(await with_a_key(bank)))["refresh_token"]
    for _ in range(3):
        found = json_of(await refresh(bank, token))
        assert "refresh_token" not in found
        assert (await bank.userinfo(f"DPoP {found['access_token']}")).status == 200


async def test_one_that_was_revoked_is_refused(bank: ServiceSide) -> None:
    token = (await tokens(await with_a_key(bank)))["refresh_token"]
    await bank.revoke(token, None, **proof())
    assert error_of(await refresh(bank, token)) == "invalid_grant"


async def test_it_needs_the_client_and_a_key(bank: ServiceSide) -> None:
    token = (await tokens(await with_a_key(bank)))["refresh_token"]
    assert error_of(await bank.refresh(token, None, client_id="rooms"), 401) == "invalid_client"
    bank.prover = None
    assert error_of(await refresh(bank, token)) == "invalid_dpop_proof"
