"""OpenID Connect Core 3.1.2.1, 3.1.3.1 and 9, Discovery 4, RFC 9207: what we ask of a city, and how we read its response."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import jwt
import pytest
from aiohttp import SocketFactoryType

from broker.errors import Fault, HomeRefused, HomeUnreachable, NoPassive
from broker.fetch import open_fetcher
from broker.keys.keyring import KeyUse
from broker.oidc import pkce
from broker.oidc.errors import CallbackMalformed, HomeContextNotMet, TokenRequestRefused, WrongCallbackIssuer
from broker.oidc.rp.discovery import MetadataUnusable, read_metadata
from tests.unit.oidc.parties import BASE_URL, CITY_CLIENT_ID, CITY_SECRET, CitySide

ISSUER = "https://login.ulvila.example/tenant/v2.0"


def query_of(url: str) -> dict[str, str]:
    found = parse_qs(urlsplit(url).query, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values())
    return {name: values[0] for name, values in found.items()}


# --- the authorization request ----------------------------------------------------------------------------------------


async def test_core_3_1_2_1_code_with_pkce_state_and_nonce_always(home: CitySide) -> None:
    transaction = await home.depart()

    query = query_of(home.url)
    assert home.url.startswith(f"{home.city.issuer}/authorize?")
    assert query.pop("nonce") == transaction.upstream["nonce"]
    assert query.pop("code_challenge") == pkce.challenge_of(transaction.upstream["code_verifier"])
    assert query == {
        "response_type": "code",
        "client_id": CITY_CLIENT_ID,
        "redirect_uri": f"{BASE_URL}/oidc/callback",
        "scope": "openid profile",
        "state": transaction.id,
        "code_challenge_method": "S256",
    }


async def test_core_15_5_2_nonce_and_verifier_are_new_each_time(home: CitySide) -> None:
    first, second = await home.depart(), await home.depart()
    for name in ("nonce", "code_verifier"):
        assert first.upstream[name] != second.upstream[name]
        assert len(first.upstream[name]) == 43


@pytest.mark.parametrize(
    ("step", "asked"),
    [
        ({"force_authn": True}, {"prompt": "login", "max_age": "0"}),
        ({"passive": True}, {"prompt": "none"}),
        ({"max_age": timedelta(minutes=5)}, {"max_age": "300"}),
        ({"requested_contexts": ("a", "b")}, {"acr_values": "a b"}),
        ({"login_hint": "aino@ulvila.fi"}, {"login_hint": "aino@ulvila.fi"}),
    ],
)
async def test_core_3_1_2_1_what_the_service_asked_reaches_the_city(
    home: CitySide, step: dict[str, Any], asked: dict[str, str]
) -> None:
    await home.depart(**step)
    assert asked.items() <= query_of(home.url).items()


async def test_rfc6749_3_1_the_query_of_an_authorization_endpoint_is_kept(home: CitySide) -> None:
    home.city.metadata = {"authorization_endpoint": f"{home.city.issuer}/authorize?p=policy"}
    await home.depart()
    assert query_of(home.url)["p"] == "policy"


MFA = "https://refeds.org/profile/mfa"
STRONG = {"claims_parameter_supported": True, "acr_values_supported": [MFA, "urn:city:pwd"]}


async def test_core_5_5_1_1_a_second_factor_that_is_needed_is_asked_for_as_an_essential_acr(home: CitySide) -> None:
    home.city.metadata = STRONG
    await home.depart(needs_mfa=True, requested_contexts=(MFA, "urn:unknown"))
    asked = query_of(home.url)
    assert json.loads(asked["claims"]) == {"id_token": {"acr": {"essential": True, "values": [MFA]}}}
    assert "acr_values" not in asked


@pytest.mark.parametrize(
    ("metadata", "step"),
    [
        pytest.param({}, {}, id="the_city_says_nothing"),
        pytest.param({"claims_parameter_supported": True}, {}, id="it_names_no_acr"),
        pytest.param({**STRONG, "acr_values_supported": ["urn:city:pwd"]}, {}, id="it_names_another_acr"),
        pytest.param({**STRONG, "claims_parameter_supported": False}, {}, id="it_takes_no_claims"),
        pytest.param({**STRONG, "claims_parameter_supported": "true"}, {}, id="it_does_not_say_so_in_json"),
        pytest.param(STRONG, {"needs_mfa": False}, id="it_is_a_wish"),
    ],
)
async def test_core_5_5_1_1_else_it_stays_a_wish(
    home: CitySide, metadata: dict[str, Any], step: dict[str, Any]
) -> None:
    home.city.metadata = metadata
    await home.depart(**{"needs_mfa": True, "requested_contexts": (MFA,), **step})
    asked = query_of(home.url)
    assert asked["acr_values"] == MFA
    assert "claims" not in asked


async def test_core_5_5_1_1_nothing_is_asked_for_where_no_context_is_registered(home: CitySide) -> None:
    home.city.metadata = STRONG
    await home.depart(needs_mfa=True)
    assert not {"claims", "acr_values"} & query_of(home.url).keys()


# --- the callback -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("issuer", ["https://evil.example", "", "HTTP://127.0.0.1"])
async def test_rfc9207_2_4_another_issuer_is_refused_before_the_code_is_used(home: CitySide, issuer: str) -> None:
    transaction = await home.depart()
    with pytest.raises(WrongCallbackIssuer):
        await home.arrive(transaction, iss=issuer)
    assert "/token" not in home.city.paths()


@pytest.mark.parametrize("promised", [True, False, None])
async def test_rfc9207_2_4_the_issuer_that_was_asked_is_taken(home: CitySide, promised: bool | None) -> None:
    home.city.metadata = {"authorization_response_iss_parameter_supported": promised}
    assert await home.arrive(await home.depart(), iss=home.city.issuer)


@pytest.mark.parametrize("iss", ["https://evil.example", None])
async def test_rfc9207_2_an_error_is_held_to_its_issuer_too(home: CitySide, iss: str | None) -> None:
    home.city.metadata = {"authorization_response_iss_parameter_supported": True}
    transaction = await home.depart()
    with pytest.raises(WrongCallbackIssuer):
        await home.arrive(transaction, code=None, error="access_denied", iss=iss)


async def test_rfc9207_2_4_a_missing_issuer_is_refused_where_it_is_promised(home: CitySide) -> None:
    assert await home.arrive(await home.depart(), iss=None)

    home.city.metadata = {"authorization_response_iss_parameter_supported": True}
    home.restart()
    transaction = await home.depart()
    with pytest.raises(WrongCallbackIssuer):
        await home.arrive(transaction, iss=None)


@pytest.mark.parametrize("code", [None, "", "c" * 8193, "c\n", "ä"])
async def test_rfc6749_4_1_2_a_response_without_a_usable_code_is_refused(home: CitySide, code: str | None) -> None:
    transaction = await home.depart()
    with pytest.raises(CallbackMalformed):
        await home.arrive(transaction, code=code)


@pytest.mark.parametrize(
    ("error", "passive", "fault"),
    [
        ("access_denied", False, HomeRefused),
        ("login_required", False, HomeRefused),
        ("login_required", True, NoPassive),
        ("interaction_required", True, NoPassive),
        ("access_denied", True, HomeRefused),
        ("server_error", False, HomeUnreachable),
        ("temporarily_unavailable", True, HomeUnreachable),
        ("unmet_authentication_requirements", False, HomeContextNotMet),
        ("unmet_authentication_requirements", True, HomeContextNotMet),
        ("<script>", False, HomeRefused),
    ],
)
async def test_rfc6749_4_1_2_1_the_citys_refusal_is_understood(
    home: CitySide, error: str, passive: bool, fault: type[Fault]
) -> None:
    transaction = await home.depart(passive=passive)
    with pytest.raises(fault) as caught:
        await home.arrive(transaction, code=None, error=error, error_description="secret")
    assert type(caught.value) is fault
    assert "secret" not in caught.value.detail
    assert "<" not in caught.value.detail


# --- the token request ------------------------------------------------------------------------------------------------


async def test_core_3_1_3_1_the_code_is_exchanged_with_its_verifier(home: CitySide) -> None:
    transaction = await home.depart()
    await home.arrive(transaction)

    form = dict(home.city.asked[1][1])
    assert form == {
        "grant_type": "authorization_code",
        "code": "c-1",
        "redirect_uri": f"{BASE_URL}/oidc/callback",
        "code_verifier": transaction.upstream["code_verifier"],
    }


async def test_rfc6749_2_3_1_client_secret_basic_is_form_encoded(home: CitySide) -> None:
    await home.log_in()

    header = home.city.asked[1][2]
    assert header is not None
    client_id, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    assert (unquote_plus(client_id), unquote_plus(secret)) == (CITY_CLIENT_ID, CITY_SECRET)
    assert (client_id, secret) == ("broker+at+ulvila", "city%27s+secret")


async def test_core_9_client_secret_post(home: CitySide) -> None:
    await home.log_in(registered={"client_auth": "client_secret_post"})

    _, form, header = home.city.asked[1]
    assert header is None
    assert (form["client_id"], form["client_secret"]) == (CITY_CLIENT_ID, CITY_SECRET)


async def test_core_9_private_key_jwt_is_signed_by_our_published_key_for_this_endpoint(home: CitySide) -> None:
    await home.log_in(registered={"client_auth": "private_key_jwt", "client_secret": None})

    _, form, header = home.city.asked[1]
    assert header is None
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    kid = jwt.get_unverified_header(form["client_assertion"])["kid"]
    [key] = [key for key in home.keys.published(KeyUse.OIDC_SIGNING) if key.kid == kid]
    claims = jwt.decode(
        form["client_assertion"],
        key.private.public_key(),
        algorithms=["RS256"],
        audience=f"{home.city.issuer}/token",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["iss"] == claims["sub"] == CITY_CLIENT_ID
    assert claims["exp"] - claims["iat"] == 60
    assert claims["jti"]


@pytest.mark.parametrize(("status", "fault"), [(400, TokenRequestRefused), (401, TokenRequestRefused)])
async def test_rfc6749_5_2_a_refused_code_is_the_citys_answer(home: CitySide, status: int, fault: type[Fault]) -> None:
    home.city.token_status, home.city.token_answer = status, {"error": "invalid_grant"}
    with pytest.raises(fault) as caught:
        await home.log_in()
    assert caught.value.detail == "token endpoint: invalid_grant"


@pytest.mark.parametrize("status", [302, 403, 404, 429, 500, 503])
async def test_a_city_that_is_not_well_is_unreachable(home: CitySide, status: int) -> None:
    home.city.token_status = status
    with pytest.raises(HomeUnreachable):
        await home.log_in()


@pytest.mark.parametrize(
    "answer",
    [
        {"access_token": None},
        {"access_token": "a\nb"},
        {"access_token": "ä"},
        {"id_token": None},
        {"id_token": {}},
        {"token_type": "mac"},
        {"token_type": None},
    ],
)
async def test_core_3_1_3_3_what_is_no_token_response_is_nonsense(home: CitySide, answer: dict[str, object]) -> None:
    home.city.token_answer = answer
    with pytest.raises(HomeUnreachable):
        await home.log_in()


@pytest.mark.parametrize("content_type", ["application/jwt", "text/html"])
async def test_core_5_3_2_userinfo_that_is_not_json_is_nonsense(home: CitySide, content_type: str) -> None:
    home.city.userinfo_type = content_type
    with pytest.raises(HomeUnreachable):
        await home.log_in()


# --- Discovery 4 ------------------------------------------------------------------------------------------------------


def document(**changes: object) -> bytes:
    good = {
        "issuer": ISSUER,
        "authorization_endpoint": "https://login.ulvila.example/authorize",
        "token_endpoint": "https://login.ulvila.example/token",
        "jwks_uri": "https://keys.ulvila.example/jwks",
    }
    return json.dumps({**good, **changes}).encode()


def test_discovery_4_2_the_endpoints_are_read() -> None:
    found = read_metadata(document(authorization_response_iss_parameter_supported=True), ISSUER)
    assert found.jwks_uri == "https://keys.ulvila.example/jwks"
    assert found.userinfo_endpoint is None
    assert found.sends_issuer


@pytest.mark.parametrize(
    "issuer", [ISSUER + "/", ISSUER.upper(), "https://login.evil.example/tenant/v2.0", None, ISSUER[:-1]]
)
def test_discovery_4_3_the_issuer_must_be_exactly_the_registered_one(issuer: object) -> None:
    with pytest.raises(MetadataUnusable):
        read_metadata(document(issuer=issuer), ISSUER)


@pytest.mark.parametrize(
    "name",
    [
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "userinfo_endpoint",
        "pushed_authorization_request_endpoint",
    ],
)
@pytest.mark.parametrize(
    "url",
    [
        "http://login.ulvila.example/x",
        "javascript:alert(1)",
        "/x",
        "https://",
        "https://x/\r\n",
        7,
        "https://x/#f",
        "https://login.ulvila.example@x/",
        "https://user:password@x/",
        "https://@x/",
        "https://x:99999/",
        "https://[::1/",
    ],
)
def test_discovery_3_endpoints_are_https(name: str, url: object) -> None:
    with pytest.raises(MetadataUnusable):
        read_metadata(document(**{name: url}), ISSUER)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"\xff", b"[" * 100_000, b'{"issuer": NaN}'])
def test_discovery_4_2_nonsense_is_refused(body: bytes) -> None:
    with pytest.raises(MetadataUnusable):
        read_metadata(body, ISSUER)


def test_discovery_3_a_provider_without_the_code_flow_is_of_no_use() -> None:
    with pytest.raises(MetadataUnusable):
        read_metadata(document(response_types_supported=["id_token"]), ISSUER)


async def test_discovery_4_the_metadata_is_asked_for_once_an_hour(home: CitySide) -> None:
    for _ in range(3):
        await home.depart()
    assert home.city.paths() == ["/.well-known/openid-configuration"]

    home.city.clock.advance(minutes=61)
    await home.depart()
    assert home.city.paths() == ["/.well-known/openid-configuration"] * 2


async def test_P9_a_failing_refresh_keeps_the_last_good_copy(home: CitySide) -> None:
    await home.depart()
    home.city.clock.advance(hours=2)
    home.city.metadata = {"issuer": "https://evil.example"}
    assert await home.depart()


async def test_a_city_that_is_down_is_unreachable(home: CitySide) -> None:
    home.city.issuer = "http://127.0.0.1:1"
    with pytest.raises(HomeUnreachable):
        await home.depart()


async def test_P8_a_city_is_asked_by_http_in_development_only(home: CitySide, wire: SocketFactoryType) -> None:
    async with open_fetcher(development=False, make_socket=wire) as fetcher:
        home.restart(fetcher)
        with pytest.raises(HomeUnreachable):
            await home.depart()
    assert home.city.paths() == []
