"""RFC 9126: pushed authorization requests. RFC 9101, OpenID Connect Core 6.1: signed request objects by value."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest

from broker.errors import Fault, UnknownService
from broker.login.edges import RefusedRequest
from broker.oidc import pkce
from broker.oidc.errors import InvalidRequest, InvalidRequestObject, InvalidRequestUri
from broker.oidc.op.http import ClientRequest
from tests.unit.oidc.parties import (
    BASE_URL,
    EC_KEY,
    FOREIGN_KEY,
    NOW,
    REDIRECT_URI,
    RSA_KEY,
    SECRET,
    VERIFIER,
    ServiceSide,
    basic,
    error_of,
    fields_of,
    json_of,
    public_jwk,
    request_pairs,
)

PREFIX = "urn:ietf:params:oauth:request_uri:"
KEYS = json.dumps({"keys": [public_jwk(RSA_KEY, kid="r1", alg="RS256"), public_jwk(EC_KEY, kid="e1", alg="ES256")]})
DROPPED = object()


async def refusal(side: ServiceSide, pairs: list[tuple[str, str]]) -> Fault | RefusedRequest:
    with pytest.raises((Fault, RefusedRequest)) as caught:
        await side.begin(pairs)
    return caught.value


def by_reference(request_uri: str, client_id: str = "rooms", **more: str) -> list[tuple[str, str]]:
    return [("client_id", client_id), ("request_uri", request_uri), *more.items()]


# --- RFC 9126 -----------------------------------------------------------------------------------------------------------


async def test_rfc9126_2_2_a_reference_that_cannot_be_guessed(side: ServiceSide) -> None:
    found = json_of(await side.push())
    assert found["request_uri"].startswith(PREFIX)
    assert len(found["request_uri"].removeprefix(PREFIX)) == 43
    assert found["expires_in"] == 90


async def test_rfc9126_4_the_reference_stands_for_what_was_pushed(side: ServiceSide) -> None:
    pushed = await side.pushed(state="pushed", scope="openid email")
    request = await side.begin(by_reference(pushed, state="outside", scope="openid profile", nonce="outside"))

    code = fields_of(await side.answer(request))
    tokens = json_of(await side.exchange(code["code"]))

    assert code["state"] == "pushed"
    assert tokens["scope"] == "openid email"
    assert side.id_token(tokens["id_token"])["nonce"] == "n-1"


async def test_rfc9126_7_3_it_may_be_loaded_again_until_a_code_was_given_for_it(side: ServiceSide) -> None:
    pushed = await side.pushed()
    for _ in range(3):
        request = await side.begin(by_reference(pushed))
    await side.answer(request)
    assert isinstance(await refusal(side, by_reference(pushed)), InvalidRequestUri)


async def test_rfc9126_2_2_it_expires(side: ServiceSide) -> None:
    pushed = await side.pushed()
    side.clock.advance(seconds=90)
    assert isinstance(await refusal(side, by_reference(pushed)), InvalidRequestUri)


@pytest.mark.parametrize("client_id", ["other", "nobody"])
async def test_rfc9126_2_2_it_belongs_to_its_client(side: ServiceSide, client_id: str) -> None:
    assert isinstance(await refusal(side, by_reference(await side.pushed(), client_id)), InvalidRequestUri)


async def test_rfc9126_4_an_unknown_one(side: ServiceSide) -> None:
    assert isinstance(await refusal(side, by_reference(PREFIX + "x")), InvalidRequestUri)
    assert isinstance(await refusal(side, [("request_uri", await side.pushed())]), InvalidRequestUri)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uri": "https://evil.example"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"request_uri": PREFIX + "x"}, "invalid_request"),
        ({"request": "x"}, "invalid_request_object"),
        ({"prompt": "none login"}, "invalid_request"),
    ],
)
async def test_rfc9126_2_3_what_is_wrong_is_said_at_once(
    side: ServiceSide, changes: dict[str, str | None], error: str
) -> None:
    assert error_of(await side.push(**changes)) == error


async def test_rfc9126_2_1_the_client_is_authenticated(side: ServiceSide) -> None:
    assert error_of(await side.push(basic("rooms", "wrong")), 401) == "invalid_client"
    assert error_of(await side.push(None), 401) == "invalid_client"


async def test_rfc9126_2_1_in_its_own_name(side: ServiceSide) -> None:
    assert error_of(await side.push(client_id="other"), 401) == "invalid_client"
    assert (await side.push(client_id=None)).status == 201


async def test_rfc9126_2_1_a_public_client_pushes_too(side: ServiceSide) -> None:
    side.register(token_endpoint_auth_method="none", client_secret=None)
    assert (await side.push(None)).status == 201


async def test_P7_a_secret_in_the_form_is_not_kept(side: ServiceSide) -> None:
    side.register(token_endpoint_auth_method="client_secret_post")
    assert (await side.push(None, client_secret=SECRET)).status == 201
    kept = [json.loads(value) for (kind, _), (value, _) in side.grants.records.items() if kind == "pushed_request"]
    assert kept
    assert "client_secret" not in dict(kept[0]["pairs"])


async def test_rfc9126_6_a_client_that_always_pushes(side: ServiceSide) -> None:
    side.register(require_pushed_authorization_requests=True)
    found = await refusal(side, request_pairs())
    assert isinstance(found, RefusedRequest)
    assert isinstance(found.fault, InvalidRequest)
    assert (await side.begin(by_reference(await side.pushed()))).service == "rooms"


# --- RFC 9101 -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def signing(side: ServiceSide) -> ServiceSide:
    side.register(jwks=KEYS)
    return side


def request_object(
    key: Any = RSA_KEY, algorithm: str = "RS256", kid: str = "r1", typ: str = "JWT", **changes: Any
) -> str:
    """A good one, changed; ``DROPPED`` leaves a member out."""
    good = {
        "iss": "rooms",
        "aud": BASE_URL,
        "client_id": "rooms",
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": "openid email",
        "state": "signed",
        "code_challenge": pkce.challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        "max_age": 600,
        "claims": {"userinfo": {"name": None}},
    }
    claims = {name: value for name, value in {**good, **changes}.items() if value is not DROPPED}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"typ": typ, "kid": kid})


def outer(text: str, **more: str) -> list[tuple[str, str]]:
    return [("client_id", "rooms"), ("request", text), *more.items()]


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA_KEY, "RS256", "r1"), (EC_KEY, "ES256", "e1")])
@pytest.mark.parametrize("typ", ["JWT", "oauth-authz-req+jwt"])
async def test_rfc9101_4_the_parameters_of_a_signed_object(
    signing: ServiceSide, key: Any, algorithm: str, kid: str, typ: str
) -> None:
    request = await signing.begin(outer(request_object(key, algorithm, kid, typ)))
    assert request.max_age is not None
    assert request.max_age.total_seconds() == 600
    code = fields_of(await signing.answer(request))
    assert code["state"] == "signed"
    tokens = json_of(await signing.exchange(code["code"]))
    assert json_of(await signing.userinfo(f"Bearer {tokens['access_token']}")).keys() == {
        "sub",
        "email",
        "email_verified",
        "name",
    }


async def test_rfc9101_6_3_what_stands_beside_it_does_not_count(signing: ServiceSide) -> None:
    request = await signing.begin(outer(request_object(), scope="openid profile", state="open", nonce="open"))
    assert request.reply["state"] == "signed"
    assert "nonce" not in request.reply
    assert json.loads(request.reply["scopes"]) == ["openid", "email"]


now = int(NOW.timestamp())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"client_id": "other"}, id="client_id"),
        pytest.param({"client_id": DROPPED}, id="no_client_id"),
        pytest.param({"iss": "other"}, id="iss"),
        pytest.param({"iss": DROPPED}, id="no_iss"),
        pytest.param({"aud": "https://elsewhere.example"}, id="aud"),
        pytest.param({"aud": DROPPED}, id="no_aud"),
        pytest.param({"exp": now - 61}, id="exp"),
        pytest.param({"nbf": now + 61}, id="nbf"),
        pytest.param({"exp": "x"}, id="exp_of_another_type"),
        pytest.param({"request": "x"}, id="request_inside"),
        pytest.param({"request_uri": "https://x"}, id="request_uri_inside"),
        pytest.param({"scope": ["openid"]}, id="a_list"),
        pytest.param({"state": True}, id="a_boolean"),
    ],
)
async def test_rfc9101_6_a_wrong_object(signing: ServiceSide, changes: dict[str, Any]) -> None:
    assert isinstance(await refusal(signing, outer(request_object(**changes))), InvalidRequestObject)


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [
        pytest.param(FOREIGN_KEY, "RS256", "r1", id="foreign_key"),
        pytest.param(None, "none", "r1", id="none"),
        pytest.param("s" * 64, "HS256", "r1", id="hmac"),
        pytest.param(RSA_KEY, "RS256", "e1", id="another_key_s_kid"),
    ],
)
async def test_rfc9101_6_2_a_wrong_signature(signing: ServiceSide, key: Any, algorithm: str, kid: str) -> None:
    assert isinstance(await refusal(signing, outer(request_object(key, algorithm, kid))), InvalidRequestObject)


async def test_rfc9101_6_2_a_client_without_keys(side: ServiceSide) -> None:
    assert isinstance(await refusal(side, outer(request_object())), InvalidRequestObject)


async def test_an_id_token_of_ours_is_no_request_object(side: ServiceSide) -> None:
    token = (await side.tokens())["id_token"]
    side.register(jwks=KEYS)
    assert isinstance(await refusal(side, outer(token)), InvalidRequestObject)


async def test_the_registered_algorithm_alone(signing: ServiceSide) -> None:
    signing.register(jwks=KEYS, request_object_signing_alg="ES256")
    assert isinstance(await refusal(signing, outer(request_object())), InvalidRequestObject)


async def test_core_3_1_2_6_the_service_is_told_where_its_own_address_stands_beside_it(signing: ServiceSide) -> None:
    found = await refusal(signing, outer("x", redirect_uri=REDIRECT_URI, state="s"))
    assert isinstance(found, RefusedRequest)
    assert isinstance(found.fault, InvalidRequestObject)
    assert found.request.reply["redirect_uri"] == REDIRECT_URI


async def test_P5_an_address_inside_or_beside_it_that_is_not_registered_gets_nothing(signing: ServiceSide) -> None:
    inside = await refusal(signing, outer(request_object(redirect_uri="https://evil.example")))
    beside = await refusal(signing, outer("x", redirect_uri="https://evil.example"))
    for found in (inside, beside):
        assert isinstance(found, Fault)


async def test_an_unknown_client(side: ServiceSide) -> None:
    assert isinstance(await refusal(side, [("client_id", "nobody"), ("request", "x")]), UnknownService)


async def test_rfc9101_10_5_a_client_that_always_signs(signing: ServiceSide) -> None:
    signing.register(jwks=KEYS, require_signed_request_object=True)
    found = await refusal(signing, request_pairs())
    assert isinstance(found, RefusedRequest)
    assert isinstance(found.fault, InvalidRequest)
    assert error_of(await signing.push()) == "invalid_request"
    assert (await signing.begin(outer(request_object()))).service == "rooms"


async def test_rfc9126_3_a_signed_object_may_be_pushed(signing: ServiceSide) -> None:
    signing.register(jwks=KEYS, require_signed_request_object=True)
    good = request_object()
    fields = (("request", good),)
    asked = ClientRequest(authorization=basic("rooms", SECRET), fields=fields)
    answer = await signing.provider.push(asked, signing.federation)
    assert answer.status == 201, answer.body
    request = await signing.begin(by_reference(json_of(answer)["request_uri"]))
    assert request.reply["state"] == "signed"
