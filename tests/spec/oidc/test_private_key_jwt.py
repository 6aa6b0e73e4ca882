"""RFC 7523 2.2 and 3, RFC 7521 4.2, OpenID Connect Core 9: private_key_jwt."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.oidc import jose
from broker.oidc.op.client_assertion import TYPE
from broker.oidc.op.http import HttpAnswer
from tests.unit.oidc.parties import BASE_URL, EC_KEY, FOREIGN_KEY, NOW, RSA_KEY, ServiceSide, basic, json_of, public_jwk

JWKS_URI = "https://rooms.example/jwks"
KEYS = {"keys": [public_jwk(RSA_KEY, kid="r1", alg="RS256"), public_jwk(EC_KEY, kid="e1", alg="ES256")]}
DROPPED = object()


@pytest.fixture
def by_key(side: ServiceSide) -> ServiceSide:
    register(side)
    return side


def register(side: ServiceSide, **changes: Any) -> None:
    registration = {"jwks": json.dumps(KEYS), **changes}
    side.register(token_endpoint_auth_method="private_key_jwt", client_secret=None, **registration)


def assertion(
    key: Any = RSA_KEY, algorithm: str = "RS256", kid: str | None = "r1", typ: str = "JWT", **changes: Any
) -> str:
    """A good one, changed; ``DROPPED`` leaves a claim out."""
    now = int(NOW.timestamp())
    good = {"iss": "rooms", "sub": "rooms", "aud": BASE_URL, "jti": "j-1", "iat": now, "exp": now + 60}
    claims = {name: value for name, value in {**good, **changes}.items() if value is not DROPPED}
    headers = {"typ": typ} | ({"kid": kid} if kid else {})
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


async def exchange(side: ServiceSide, text: str | None, **changes: str | None) -> HttpAnswer:
    given: dict[str, str | None] = {"client_assertion_type": TYPE, "client_assertion": text}
    return await side.exchange(await side.code(), None, **(given | changes))


def refused(answer: HttpAnswer, status: int = 401, error: str = "invalid_client") -> None:
    assert (answer.status, json_of(answer)["error"]) == (status, error), answer.body


# --- accepted ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("audience", [BASE_URL, f"{BASE_URL}/oidc/token", [BASE_URL]])
@pytest.mark.parametrize("client_id", [None, "rooms"])
async def test_core_9_a_client_proves_itself_by_its_key(
    by_key: ServiceSide, audience: object, client_id: str | None
) -> None:
    assert (await exchange(by_key, assertion(aud=audience), client_id=client_id)).status == 200


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"), [(RSA_KEY, "RS256", "r1"), (RSA_KEY, "RS256", None), (EC_KEY, "ES256", "e1")]
)
async def test_rfc7523_3_9_by_any_of_its_registered_keys(
    by_key: ServiceSide, key: object, algorithm: str, kid: str | None
) -> None:
    assert (await exchange(by_key, assertion(key, algorithm, kid))).status == 200


async def test_the_type_of_the_later_draft_is_taken_too(by_key: ServiceSide) -> None:
    assert (await exchange(by_key, assertion(typ="client-authentication+jwt"))).status == 200


@pytest.mark.parametrize("seconds", [-8, 0, 8])
async def test_rfc7523_3_5_a_clock_that_is_a_little_off(by_key: ServiceSide, seconds: int) -> None:
    moment = int(NOW.timestamp()) + seconds
    assert (await exchange(by_key, assertion(iat=moment, nbf=moment))).status == 200


async def test_revocation_and_introspection_take_it_as_well(by_key: ServiceSide) -> None:
    token = json_of(await exchange(by_key, assertion()))["access_token"]
    given = {"client_assertion_type": TYPE}
    assert json_of(await by_key.introspect(token, None, client_assertion=assertion(jti="j-2"), **given))["active"]
    assert (await by_key.revoke(token, None, client_assertion=assertion(jti="j-3"), **given)).status == 200
    assert not await by_key.is_active(token)


# --- refused ----------------------------------------------------------------------------------------------------------

now = int(NOW.timestamp())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"iss": "other"}, id="iss"),
        pytest.param({"iss": DROPPED}, id="no_iss"),
        pytest.param({"aud": DROPPED}, id="no_aud"),
        pytest.param({"aud": "https://elsewhere.example"}, id="aud"),
        pytest.param({"aud": [BASE_URL, "https://elsewhere.example"]}, id="aud_of_two"),
        pytest.param({"aud": []}, id="aud_of_none"),
        pytest.param({"aud": BASE_URL + "/"}, id="aud_with_slash"),
        pytest.param({"exp": DROPPED}, id="no_exp"),
        pytest.param({"exp": now - 300}, id="expired"),
        pytest.param({"exp": now + 7200}, id="good_for_too_long"),
        pytest.param({"exp": "soon"}, id="exp_of_another_type"),
        pytest.param({"exp": 1e300}, id="exp_of_a_far_day"),
        pytest.param({"nbf": now + 61}, id="nbf"),
        pytest.param({"iat": now + 61}, id="iat"),
        pytest.param({"jti": DROPPED}, id="no_jti"),
        pytest.param({"jti": ""}, id="empty_jti"),
        pytest.param({"jti": 1}, id="jti_of_another_type"),
    ],
)
async def test_rfc7523_3_a_wrong_claim(by_key: ServiceSide, changes: dict[str, Any]) -> None:
    refused(await exchange(by_key, assertion(**changes)))


@pytest.mark.parametrize("subject", ["other", "nobody", DROPPED, 1])
async def test_rfc7523_3_2_sub_is_the_client(by_key: ServiceSide, subject: Any) -> None:
    refused(await exchange(by_key, assertion(sub=subject)))


async def test_rfc7521_4_2_client_id_is_the_one_of_the_assertion(by_key: ServiceSide) -> None:
    refused(await exchange(by_key, assertion(), client_id="other"))


async def test_rfc7523_3_7_it_is_used_once(by_key: ServiceSide) -> None:
    assert (await exchange(by_key, assertion())).status == 200
    refused(await exchange(by_key, assertion()))
    assert (await exchange(by_key, assertion(jti="j-2"))).status == 200


async def test_it_is_remembered_for_as_long_as_it_would_be_taken(by_key: ServiceSide) -> None:
    text = assertion(exp=now + 600)
    assert (await exchange(by_key, text)).status == 200
    by_key.clock.advance(seconds=659)
    refused(await exchange(by_key, text))


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [
        pytest.param(FOREIGN_KEY, "RS256", "r1", id="foreign_key"),
        pytest.param(RSA_KEY, "RS256", "unknown", id="unknown_kid"),
        pytest.param(RSA_KEY, "RS512", "r1", id="another_alg_than_the_key_s"),
        pytest.param("s" * 64, "HS256", "r1", id="hmac"),
        pytest.param(None, "none", "r1", id="none"),
    ],
)
async def test_rfc8725_3_1_a_wrong_key_or_algorithm(by_key: ServiceSide, key: object, algorithm: str, kid: str) -> None:
    refused(await exchange(by_key, assertion(key, algorithm, kid)))


async def test_the_registered_algorithm_alone(by_key: ServiceSide) -> None:
    register(by_key, token_endpoint_auth_signing_alg="ES256")
    refused(await exchange(by_key, assertion()))
    assert (await exchange(by_key, assertion(EC_KEY, "ES256", "e1"))).status == 200


async def test_rfc8725_3_11_an_id_token_of_ours_is_no_assertion(side: ServiceSide) -> None:
    token = (await side.tokens())["id_token"]
    register(side)
    refused(await exchange(side, token))


@pytest.mark.parametrize("type", [None, "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"])
async def test_rfc7521_4_2_client_assertion_type(by_key: ServiceSide, type: str | None) -> None:
    refused(await exchange(by_key, assertion(), client_assertion_type=type), 400, "invalid_request")


async def test_rfc7521_4_2_the_type_alone(by_key: ServiceSide) -> None:
    refused(await exchange(by_key, None), 400, "invalid_request")


async def test_rfc6749_2_3_not_two_methods_at_once(by_key: ServiceSide) -> None:
    refused(await exchange(by_key, assertion(), client_secret="x"), 400, "invalid_request")
    given = {"client_assertion_type": TYPE, "client_assertion": assertion()}
    answer = await by_key.exchange(await by_key.code(), basic("rooms", "x"), **given)
    refused(answer, 400, "invalid_request")


async def test_who_registered_a_secret_does_not_prove_itself_by_a_key(side: ServiceSide) -> None:
    side.register(jwks=json.dumps(KEYS))
    refused(await exchange(side, assertion()))


@given(text=st.text(max_size=60) | st.just("a.b.c") | st.just("e30.e30.e30"))
@settings(max_examples=60, deadline=None)
def test_whatever_is_no_jwt_is_refused(text: str) -> None:
    assert jose.unverified(text, "sub") is None


# --- jwks_uri -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def fetching(side: ServiceSide) -> ServiceSide:
    register(side, jwks=None, jwks_uri=JWKS_URI)
    side.fetcher.found[JWKS_URI] = KEYS
    return side


async def test_core_10_1_1_keys_are_fetched_once(fetching: ServiceSide) -> None:
    for id in ("1", "2", "3"):
        assert (await exchange(fetching, assertion(jti=id))).status == 200
    assert fetching.fetcher.asked == [JWKS_URI]


async def test_core_10_1_1_a_new_key_is_found_but_not_asked_for_all_the_time(fetching: ServiceSide) -> None:
    await exchange(fetching, assertion())
    fetching.fetcher.found[JWKS_URI] = {"keys": [public_jwk(NEW_KEY, kid="n1", alg="RS256")]}

    refused(await exchange(fetching, assertion(NEW_KEY, kid="n1", jti="j-2")))
    assert len(fetching.fetcher.asked) == 1, "not within the pause"
    fetching.clock.advance(seconds=31)
    assert (await exchange(fetching, assertion(NEW_KEY, kid="n1", jti="j-3"))).status == 200

    for number in range(5):
        refused(await exchange(fetching, assertion(NEW_KEY, kid=f"x{number}", jti=f"y{number}")))
    assert len(fetching.fetcher.asked) == 2


NEW_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


async def test_P9_keys_that_cannot_be_fetched_any_more_are_still_good(fetching: ServiceSide) -> None:
    await exchange(fetching, assertion())
    fetching.fetcher.found.clear()
    fetching.clock.advance(hours=2)
    later = now + int(timedelta(hours=2).total_seconds())
    assert (await exchange(fetching, assertion(jti="j-2", iat=later, exp=later + 60))).status == 200


@pytest.mark.parametrize("found", [None, [], {"keys": "x"}, {"keys": []}])
async def test_keys_that_never_could_be_fetched(fetching: ServiceSide, found: object) -> None:
    fetching.fetcher.found.clear()
    if found is not None:
        fetching.fetcher.found[JWKS_URI] = found
    refused(await exchange(fetching, assertion()))
