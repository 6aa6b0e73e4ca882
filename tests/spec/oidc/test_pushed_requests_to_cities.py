"""RFC 9126, the asking side; and how we prove ourselves to a city (OIDC Core 9, Discovery 3, RFC 7523)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest

from broker.errors import HomeUnreachable
from broker.keys.keyring import KeyUse
from broker.oidc import pkce
from broker.oidc.errors import ClientAuthenticationUnsupported, PushRefused
from tests.unit.oidc.parties import BASE_URL, CITY_CLIENT_ID, CITY_SECRET, CitySide

BY_KEY = {"client_auth": "private_key_jwt", "client_secret": None}
BY_POST = {"client_auth": "client_secret_post"}


@pytest.fixture
def pushing(home: CitySide) -> CitySide:
    """A city that takes pushed requests."""
    home.city.metadata = {"pushed_authorization_request_endpoint": f"{home.city.issuer}/par"}
    return home


def carried(home: CitySide) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(home.url).query, strict_parsing=True))


def claims_of(home: CitySide, form: dict[str, str]) -> tuple[dict[str, Any], str]:
    """The assertion's claims and algorithm, verified by our published keys."""
    assertion = form["client_assertion"]
    header = jwt.get_unverified_header(assertion)
    [key] = [key for key in home.keys.published(KeyUse.OIDC_SIGNING) if key.kid == header["kid"]]
    options = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
    claims = jwt.decode(assertion, key.private.public_key(), algorithms=[header["alg"]], options=options)
    return claims, header["alg"]


# --- what is pushed, and what the browser carries ---------------------------------------------------------------------------


async def test_rfc9126_4_the_browser_carries_client_id_and_request_uri_and_nothing_else(pushing: CitySide) -> None:
    await pushing.depart()
    assert pushing.url.startswith(f"{pushing.city.issuer}/authorize?")
    assert carried(pushing) == {"client_id": CITY_CLIENT_ID, "request_uri": "urn:ietf:params:oauth:request_uri:r&1"}


async def test_rfc9126_2_1_the_whole_request_is_pushed(pushing: CitySide) -> None:
    transaction = await pushing.depart(force_authn=True, requested_contexts=("a",))
    path, form, _ = pushing.city.asked[-1]
    assert path == "/par"
    assert form == {
        "response_type": "code",
        "client_id": CITY_CLIENT_ID,
        "redirect_uri": f"{BASE_URL}/oidc/callback",
        "scope": "openid profile",
        "state": transaction.id,
        "nonce": transaction.upstream["nonce"],
        "code_challenge": pkce.challenge_of(transaction.upstream["code_verifier"]),
        "code_challenge_method": "S256",
        "prompt": "login",
        "max_age": "0",
        "acr_values": "a",
    }


async def test_rfc9126_a_login_by_a_pushed_request(pushing: CitySide) -> None:
    assert await pushing.log_in()
    assert pushing.city.paths() == ["/.well-known/openid-configuration", "/par", "/token", "/jwks", "/userinfo"]


async def test_rfc9126_5_a_city_that_demands_pushed_requests_gets_them(pushing: CitySide) -> None:
    pushing.city.metadata["require_pushed_authorization_requests"] = True
    await pushing.depart()
    assert carried(pushing).keys() == {"client_id", "request_uri"}


async def test_rfc9126_5_a_city_that_demands_what_it_does_not_offer_is_of_no_use(home: CitySide) -> None:
    home.city.metadata = {"require_pushed_authorization_requests": True}
    with pytest.raises(HomeUnreachable) as caught:
        await home.depart()
    assert "require_pushed_authorization_requests" in caught.value.detail


async def test_rfc6749_3_1_the_query_of_an_authorization_endpoint_is_kept_beside_request_uri(pushing: CitySide) -> None:
    pushing.city.metadata["authorization_endpoint"] = f"{pushing.city.issuer}/authorize?p=policy"
    await pushing.depart()
    assert carried(pushing).keys() == {"p", "client_id", "request_uri"}


# --- the city's answer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("invalid_client", "invalid_client"),
        ("invalid_request", "invalid_request"),
        ("invalid_scope", "invalid_scope"),
        ("<script>", "an unknown error"),
        (["invalid_client"], "an unknown error"),
    ],
)
async def test_rfc9126_2_3_a_refused_push_is_the_citys_answer_and_its_error_is_told(
    pushing: CitySide, status: int, error: object, told: str
) -> None:
    pushing.city.push_status = status
    pushing.city.push_answer = {"error": error, "error_description": "aino@ulvila.fi"}
    with pytest.raises(PushRefused) as caught:
        await pushing.depart()
    assert caught.value.detail == f"pushed authorization request: {told}"


@pytest.mark.parametrize("status", [200, 302, 403, 404, 405, 413, 429, 500, 503])
async def test_rfc9126_2_3_any_other_status_is_a_city_that_is_not_well(pushing: CitySide, status: int) -> None:
    pushing.city.push_status = status
    with pytest.raises(HomeUnreachable):
        await pushing.depart()


@pytest.mark.parametrize("request_uri", [None, "", 7, ["urn:x"], "urn:x\n", "urn:ä", "u" * 2049])
async def test_rfc9126_2_2_an_answer_without_a_usable_request_uri_is_nonsense(
    pushing: CitySide, request_uri: object
) -> None:
    pushing.city.push_answer = {"request_uri": request_uri}
    with pytest.raises(HomeUnreachable):
        await pushing.depart()


# --- client authentication --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("registered", [{}, BY_POST, BY_KEY], ids=["basic", "post", "key"])
async def test_rfc9126_2_we_prove_ourselves_as_at_the_token_endpoint(
    pushing: CitySide, registered: dict[str, Any]
) -> None:
    await pushing.log_in(registered=registered)

    pushed, exchanged = ((form, header) for path, form, header in pushing.city.asked if path in ("/par", "/token"))
    assert pushed[1] == exchanged[1]
    for form in (pushed[0], exchanged[0]):
        assert ("client_secret" in form) == (registered == BY_POST)
        assert ("client_assertion" in form) == (registered == BY_KEY)


async def test_rfc9126_2_the_assertions_are_for_the_issuer_alone_and_each_is_new(pushing: CitySide) -> None:
    await pushing.log_in(registered=BY_KEY)

    found = [claims_of(pushing, dict(form))[0] for path, form, _ in pushing.city.asked if path in ("/par", "/token")]
    assert [claims["aud"] for claims in found] == [pushing.city.issuer] * 2
    assert found[0]["jti"] != found[1]["jti"]


async def test_core_9_without_pushed_requests_the_assertion_is_for_the_token_endpoint(home: CitySide) -> None:
    """Entra ID documents no other audience."""
    await home.log_in(registered=BY_KEY)
    [form] = [form for path, form, _ in home.city.asked if path == "/token"]
    assert claims_of(home, dict(form))[0]["aud"] == f"{home.city.issuer}/token"


@pytest.mark.parametrize(
    ("taken", "registered", "sent"),
    [
        (None, {}, "basic"),
        (None, BY_POST, "post"),
        (["client_secret_post", "client_secret_basic"], {}, "basic"),
        (["client_secret_post", "client_secret_basic"], BY_POST, "post"),
        (["client_secret_post"], {}, "post"),
        (["private_key_jwt", "client_secret_basic"], BY_POST, "basic"),
    ],
)
async def test_discovery_3_the_secret_is_sent_as_the_city_takes_it(
    home: CitySide, taken: list[str] | None, registered: dict[str, Any], sent: str
) -> None:
    home.city.metadata = {"token_endpoint_auth_methods_supported": taken}
    await home.log_in(registered=registered)

    [(form, header)] = [(form, header) for path, form, header in home.city.asked if path == "/token"]
    assert (header is not None) == (sent == "basic")
    assert form.get("client_secret") == (None if sent == "basic" else CITY_SECRET)


@pytest.mark.parametrize(
    ("taken", "registered"),
    [
        (["client_secret_basic", "client_secret_post"], BY_KEY),
        (["private_key_jwt"], {}),
        (["tls_client_auth", "none"], BY_POST),
        ([], {}),
    ],
)
async def test_discovery_3_without_a_common_method_nobody_is_sent_to_log_in_for_nothing(
    home: CitySide, taken: list[str], registered: dict[str, Any]
) -> None:
    home.city.metadata = {"token_endpoint_auth_methods_supported": taken}
    with pytest.raises(ClientAuthenticationUnsupported) as caught:
        await home.depart(registered=registered)
    assert "token_endpoint_auth_methods_supported" in caught.value.detail
    assert CITY_SECRET not in caught.value.detail


@pytest.mark.parametrize(
    ("taken", "used"),
    [
        (None, "RS256"),
        (["ES256", "RS256"], "RS256"),
        (["PS256", "ES256"], "PS256"),
        (["HS256", "ES256"], "ES256"),
        (["EdDSA", "ES512"], "EdDSA"),
    ],
)
async def test_discovery_3_the_assertion_is_signed_by_an_algorithm_that_both_know(
    home: CitySide, taken: list[str] | None, used: str
) -> None:
    home.city.metadata = {"token_endpoint_auth_signing_alg_values_supported": taken}
    await home.log_in(registered=BY_KEY)
    [form] = [form for path, form, _ in home.city.asked if path == "/token"]
    assert claims_of(home, dict(form))[1] == used


@pytest.mark.parametrize("taken", [["HS256"], ["RS512", "ES512"], ["none"], []])
async def test_discovery_3_without_a_common_algorithm_nobody_is_sent_to_log_in_for_nothing(
    home: CitySide, taken: list[str]
) -> None:
    home.city.metadata = {"token_endpoint_auth_signing_alg_values_supported": taken}
    with pytest.raises(ClientAuthenticationUnsupported):
        await home.depart(registered=BY_KEY)
    # It matters to keys alone.
    assert await home.log_in()


@pytest.mark.parametrize(
    "name",
    [
        "response_types_supported",
        "token_endpoint_auth_methods_supported",
        "token_endpoint_auth_signing_alg_values_supported",
    ],
)
@pytest.mark.parametrize("listed", ["code", {"code": True}, [["code"]], [None], 7])
async def test_discovery_3_what_must_be_a_list_of_texts_is_one(home: CitySide, name: str, listed: object) -> None:
    home.city.metadata = {name: listed}
    with pytest.raises(HomeUnreachable) as caught:
        await home.depart()
    assert name in caught.value.detail
