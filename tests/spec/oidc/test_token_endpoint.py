"""RFC 6749 2.3, 4.1.3 and 5, RFC 7636, OpenID Connect Core 2 and 3.1.3: the token endpoint."""

from __future__ import annotations

import base64
import hashlib
import json
from urllib.parse import quote

import pytest

from broker.oidc import pkce
from broker.oidc.op.http import ClientRequest
from tests.unit.oidc.parties import (
    BASE_URL,
    NOW,
    REDIRECT_URI,
    SECRET,
    VERIFIER,
    ServiceSide,
    basic,
    error_of,
    fields_of,
    json_of,
)

# --- 3.1.3.3 Successful Token Response ------------------------------------------------------------------------------


async def test_core_3_1_3_3_a_code_becomes_tokens(side: ServiceSide) -> None:
    answer = await side.exchange(await side.code())

    found = json_of(answer)
    assert answer.status == 200
    assert (found["token_type"], found["expires_in"], found["scope"]) == ("Bearer", 600, "openid email profile")
    assert len(found["access_token"]) == 43
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")


async def test_core_2_the_id_token_says_who_logged_in_when_how_and_for_whom(side: ServiceSide) -> None:
    tokens = await side.tokens()

    now = int(NOW.timestamp())
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    claims = side.id_token(tokens["id_token"])
    assert len(claims.pop("sid")) >= 22
    assert claims == {
        "iss": BASE_URL,
        "sub": "pairwise@ulvila.fi",
        "aud": "rooms",
        "iat": now,
        "exp": now + 300,
        "auth_time": now - 300,
        "nonce": "n-1",
        "acr": "https://refeds.org/profile/sfa",
        "amr": ["pwd"],
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
        f"{BASE_URL}/ns/attr/home_issuer": "https://login.ulvila.example",
    }


async def test_core_2_without_a_nonce_there_is_none_and_without_methods_no_amr(side: ServiceSide) -> None:
    code = fields_of(await side.answer(await side.begin(nonce=None), authn_methods=()))["code"]
    claims = side.id_token(json_of(await side.exchange(code))["id_token"])
    assert not {"nonce", "amr"} & claims.keys()


@pytest.mark.parametrize(
    ("subject_type", "subject"), [("pairwise", "pairwise@ulvila.fi"), ("public", "subject@ulvila.fi")]
)
async def test_core_8_the_registered_subject_type_decides_sub(
    side: ServiceSide, subject_type: str, subject: str
) -> None:
    side.register(subject_type=subject_type)
    tokens = await side.tokens()
    assert side.id_token(tokens["id_token"])["sub"] == subject
    assert json_of(await side.userinfo(f"Bearer {tokens['access_token']}"))["sub"] == subject


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
async def test_core_2_the_registered_algorithm_signs_and_the_kid_is_published(
    side: ServiceSide, algorithm: str
) -> None:
    side.register(id_token_signed_response_alg=algorithm)
    token = (await side.tokens())["id_token"]

    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert header["alg"] == algorithm
    (key,) = [each for each in json_of(side.provider.jwks())["keys"] if each["kid"] == header["kid"]]
    assert key.get("alg", algorithm) == algorithm
    assert side.id_token(token)["sub"] == "pairwise@ulvila.fi"


# --- 5.2 Error Response, 4.1.3 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "unauthorized_client"),
        ({"code": None}, "invalid_request"),
        ({"code": "unknown"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": "https://rooms.example/callback/"}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_grant"),
        ({"code_verifier": "w" * 43}, "invalid_grant"),
    ],
)
async def test_rfc6749_5_2_a_wrong_request_is_told_its_error(
    side: ServiceSide, changes: dict[str, str | None], error: str
) -> None:
    assert error_of(await side.exchange(await side.code(), **changes)) == error


async def test_rfc6749_4_1_2_an_expired_code_is_an_invalid_grant(side: ServiceSide) -> None:
    code = await side.code()
    side.clock.advance(seconds=60)
    assert error_of(await side.exchange(code)) == "invalid_grant"


async def test_rfc6749_5_2_a_grant_that_is_not_registered_is_unauthorized(side: ServiceSide) -> None:
    code = await side.code()
    side.register(grant_types=("refresh_token",))
    assert error_of(await side.exchange(code)) == "unauthorized_client"


# --- 2.3 Client Authentication ----------------------------------------------------------------------------------------


async def test_rfc6749_2_3_1_basic_with_the_form_encoding_and_without(side: ServiceSide) -> None:
    encoded = basic("rooms", quote(SECRET, safe="-_.~"))
    for header in (encoded, encoded.replace("Basic", "bAsIc"), basic("rooms", SECRET)):
        assert (await side.exchange(await side.code(), header)).status == 200


async def test_rfc6749_2_3_1_the_secret_in_the_form_where_that_is_registered(side: ServiceSide) -> None:
    side.register(token_endpoint_auth_method="client_secret_post")
    answer = await side.exchange(await side.code(), None, client_id="rooms", client_secret=SECRET)
    assert answer.status == 200


async def test_rfc6749_2_1_a_public_client_names_itself(side: ServiceSide) -> None:
    side.register(token_endpoint_auth_method="none", client_secret=None)
    assert (await side.exchange(await side.code(), None, client_id="rooms")).status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"rooms").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        basic("rooms", "wrong"),
        basic("rooms", ""),
        basic("nobody", SECRET),
        basic("other", SECRET),
        "Bearer " + SECRET,
    ],
)
async def test_rfc6749_5_2_a_client_that_does_not_prove_itself_gets_401_and_a_challenge(
    side: ServiceSide, authorization: str | None
) -> None:
    fields = (("grant_type", "authorization_code"), ("code", await side.code()), ("redirect_uri", REDIRECT_URI))
    answer = await side.provider.token(ClientRequest(authorization=authorization, fields=fields), side.federation)
    assert error_of(answer, 401) == "invalid_client"
    assert answer.headers["WWW-Authenticate"] == f'Basic realm="{BASE_URL}"'


@pytest.mark.parametrize(
    ("registered", "authorization", "fields"),
    [
        ("client_secret_basic", None, {"client_id": "rooms", "client_secret": SECRET}),
        ("client_secret_basic", None, {"client_id": "rooms"}),
        ("client_secret_post", basic("rooms", SECRET), {}),
        ("client_secret_post", None, {"client_id": "rooms"}),
        ("none", basic("rooms", SECRET), {}),
        ("none", None, {"client_id": "rooms", "client_secret": SECRET}),
        ("client_secret_basic", basic("rooms", SECRET), {"client_id": "other"}),
    ],
)
async def test_core_9_only_the_registered_method_counts(
    side: ServiceSide, registered: str, authorization: str | None, fields: dict[str, str]
) -> None:
    side.register(token_endpoint_auth_method=registered)
    answer = await side.exchange(await side.code(), authorization, **fields)
    assert error_of(answer, 401) == "invalid_client"


async def test_rfc6749_2_3_two_methods_at_once_are_an_invalid_request(side: ServiceSide) -> None:
    answer = await side.exchange(await side.code(), client_id="rooms", client_secret=SECRET)
    assert error_of(answer) == "invalid_request"


async def test_a_confidential_client_without_a_registered_secret_has_none_that_fits(side: ServiceSide) -> None:
    side.register(client_secret=None)
    assert error_of(await side.exchange(await side.code(), basic("rooms", "")), 401) == "invalid_client"


# --- RFC 7636 ---------------------------------------------------------------------------------------------------------


def test_rfc7636_appendix_b() -> None:
    assert (
        pkce.challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


@pytest.mark.parametrize("verifier", ["v" * 42, "v" * 129, "v" * 42 + "\n", "v" * 43 + "\n", "v" * 42 + "ä", ""])
def test_rfc7636_4_1_a_verifier_has_43_to_128_unreserved_characters(verifier: str) -> None:
    assert not pkce.proves(verifier, pkce.challenge_of(VERIFIER))


async def test_rfc7636_4_6_without_a_challenge_and_without_a_verifier_for_a_confidential_client(
    side: ServiceSide,
) -> None:
    code = await side.code(code_challenge=None, code_challenge_method=None)
    assert (await side.exchange(code, code_verifier=None)).status == 200
