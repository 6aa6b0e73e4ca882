"""``oidcc-basic-certification-test-plan`` and ``oidcc-formpost-basic-…``: the OpenID Provider, one test for each module of the plans."""

from __future__ import annotations

import json
import time
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from tests.bench import oidc
from tests.conformance.suite import CALLBACK, PERSON, SECOND_CALLBACK, Suite, entropy_is_enough

pytestmark = pytest.mark.asyncio(loop_scope="module")


def asked_of(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


async def test_oidcc_server(suite: Suite) -> None:
    answered = await suite.log_in()
    assert entropy_is_enough(answered["code"])
    tokens = await suite.tokens(answered)
    assert (await suite.userinfo(tokens["access_token"]))["sub"] == tokens["claims"]["sub"]


async def test_oidcc_response_type_missing(suite: Suite) -> None:
    answer = await suite.town.browser().get(suite.request(response_type=None))
    assert suite.answered(answer)["error"] in ("invalid_request", "unsupported_response_type")


async def test_oidcc_idtoken_signature(suite: Suite) -> None:
    reply = await suite.exchange((await suite.log_in())["code"])
    assert jwt.get_unverified_header(reply.body["id_token"])["alg"] == "RS256"


async def test_oidcc_idtoken_unsigned(suite: Suite) -> None:
    """Skipped by the suite, since it is not advertised."""
    found = (await suite.ask("GET", "/.well-known/openid-configuration")).body
    assert "none" not in found["id_token_signing_alg_values_supported"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_oidcc_userinfo_get_and_post_header(suite: Suite, method: str) -> None:
    tokens = await suite.tokens(await suite.log_in())
    assert (await suite.userinfo(tokens["access_token"], method))["sub"] == tokens["claims"]["sub"]


async def test_oidcc_userinfo_post_body(suite: Suite) -> None:
    tokens = await suite.tokens(await suite.log_in())
    reply = await suite.ask("POST", "/oidc/userinfo", {"access_token": tokens["access_token"]})
    assert (reply.status, reply.body["sub"]) == (200, tokens["claims"]["sub"])


async def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(suite: Suite) -> None:
    await suite.happy(nonce=None)


@pytest.mark.parametrize(
    ("scope", "claims"),
    [("profile", {"name": str}), ("email", {"email": str, "email_verified": bool})],
)
async def test_oidcc_scope_profile_and_email(suite: Suite, scope: str, claims: dict[str, type]) -> None:
    _, told = await suite.happy(scope=f"openid {scope}")
    assert told.keys() - {"sub"} == claims.keys()
    assert all(isinstance(told[name], kind) for name, kind in claims.items())


async def test_oidcc_scope_address_and_phone(suite: Suite) -> None:
    """address is not advertised, so that the module is skipped; phone is, and a claim that is not there only warns."""
    found = (await suite.ask("GET", "/.well-known/openid-configuration")).body
    assert "address" not in found["scopes_supported"]
    _, told = await suite.happy(scope="openid phone")
    assert told.keys() <= {"sub", "phone_number"}


async def test_oidcc_scope_all(suite: Suite) -> None:
    _, told = await suite.happy(scope="openid email profile address phone")
    assert {"sub", "name", "email", "email_verified"} <= told.keys()


async def test_oidcc_alternate_happy_flow(suite: Suite) -> None:
    """The order of scopes and parameters does not matter."""
    await suite.happy(scope="email openid profile")
    reversed_order = dict(reversed(suite.parameters().items()))
    browser = suite.town.browser()
    query = "&".join(f"{name}={value}" for name, value in reversed_order.items())
    sent = await browser.get(f"/oidc/authorize?{query.replace(' ', '%20').replace('://', '%3A%2F%2F')}")
    await suite.tokens(await suite.come_back(browser, sent.location))


@pytest.mark.parametrize("display", ["page", "popup"])
async def test_oidcc_display_page_and_popup(suite: Suite, display: str) -> None:
    await suite.happy(display=display)


async def test_oidcc_prompt_login(suite: Suite) -> None:
    """The city is asked for a new login, and its auth_time is told."""
    browser = suite.town.browser()
    suite.town.city.changes = {"auth_time": int(time.time()) - 30}
    first = await suite.tokens(await suite.log_in(browser))
    suite.town.city.changes = {}
    asked = await suite.at_city(browser, prompt="login")
    assert asked_of(asked)["prompt"] == "login"
    second = await suite.tokens(await suite.come_back(browser, asked))
    assert second["claims"]["auth_time"] > first["claims"]["auth_time"]
    assert second["claims"]["sub"] == first["claims"]["sub"]


async def test_oidcc_prompt_none_not_logged_in(suite: Suite) -> None:
    browser = suite.town.browser()
    asked = await suite.at_city(browser, prompt="none")
    assert asked_of(asked)["prompt"] == "none"
    assert (await suite.refuse(browser, asked, "login_required"))["error"] == "login_required"


async def test_oidcc_prompt_none_logged_in(suite: Suite) -> None:
    browser = suite.town.browser()
    suite.town.city.changes = {"auth_time": int(time.time()) - 30}
    first = await suite.tokens(await suite.log_in(browser))
    asked = await suite.at_city(browser, prompt="none")
    assert asked_of(asked)["prompt"] == "none"
    second = await suite.tokens(await suite.come_back(browser, asked))
    assert second["claims"]["sub"] == first["claims"]["sub"]
    assert second["claims"]["auth_time"] == first["claims"]["auth_time"]


async def test_oidcc_max_age_1(suite: Suite) -> None:
    """An older login does not do; a new one is told with its auth_time."""
    browser = suite.town.browser()
    asked = await suite.at_city(browser, max_age="1")
    assert asked_of(asked)["max_age"] == "1"
    suite.town.city.changes = {"auth_time": int(time.time()) - 3600}
    refused = await browser.get(suite.town.city.log_in(asked, PERSON))
    assert refused.reason == "home_login_too_old"
    suite.town.city.changes = {}
    claims = (await suite.tokens(await suite.log_in(browser, max_age="1")))["claims"]
    assert abs(claims["auth_time"] - time.time()) < 10


async def test_oidcc_max_age_10000(suite: Suite) -> None:
    browser = suite.town.browser()
    suite.town.city.changes = {"auth_time": int(time.time()) - 30}
    first, second = [(await suite.tokens(await suite.log_in(browser, max_age="10000")))["claims"] for _ in range(2)]
    assert second["auth_time"] == first["auth_time"]


async def test_oidcc_ensure_request_with_unknown_parameter_succeeds(suite: Suite) -> None:
    await suite.happy(extra="foobar")


async def test_oidcc_id_token_hint(suite: Suite) -> None:
    browser = suite.town.browser()
    first = await suite.tokens(await suite.log_in(browser))
    second = await suite.tokens(await suite.log_in(browser, prompt="none", id_token_hint=first["id_token"]))
    assert second["claims"]["sub"] == first["claims"]["sub"]


@pytest.mark.parametrize(
    ("name", "value"), [("login_hint", "buffy@broker.example"), ("ui_locales", "se"), ("claims_locales", "se")]
)
async def test_oidcc_login_hint_ui_locales_claims_locales(suite: Suite, name: str, value: str) -> None:
    await suite.happy(**{name: value})


async def test_oidcc_ensure_request_with_acr_values_succeeds(suite: Suite) -> None:
    found = (await suite.ask("GET", "/.well-known/openid-configuration")).body
    claims, _ = await suite.happy(acr_values=" ".join(found["acr_values_supported"]))
    assert claims["acr"] in found["acr_values_supported"]


async def test_oidcc_codereuse(suite: Suite) -> None:
    answered = await suite.log_in()
    tokens = await suite.tokens(answered)
    assert (await suite.exchange(answered["code"])).error == "invalid_grant"
    # oidcc-codereuse-30seconds: what was issued has ended as well.
    reply = await suite.ask("GET", "/oidc/userinfo", Authorization=f"Bearer {tokens['access_token']}")
    assert (reply.status, reply.error) == (401, "invalid_token")


async def test_oidcc_ensure_registered_redirect_uri(suite: Suite) -> None:
    for wrong in (f"{CALLBACK}/x", f"{CALLBACK}?foo=bar", CALLBACK.replace("https", "http"), "https://evil.example/cb"):
        answer = await suite.town.browser().get(suite.request(redirect_uri=wrong))
        assert (answer.status, answer.location, answer.reason) == (400, "", "unregistered_address")


async def test_oidcc_ensure_post_request_succeeds(suite: Suite) -> None:
    browser = suite.town.browser()
    sent = await browser.post("/oidc/authorize", suite.parameters())
    await suite.tokens(await suite.come_back(browser, sent.location))


async def test_oidcc_server_client_secret_post(suite: Suite) -> None:
    client = suite.by_post
    await suite.tokens(await suite.log_in(client_id=client.client_id), client)


async def test_oidcc_request_uri_unsigned_rejected_as_unsupported(suite: Suite) -> None:
    found = (await suite.ask("GET", "/.well-known/openid-configuration")).body
    assert found["request_uri_parameter_supported"] is False
    answer = await suite.town.browser().get(suite.request(request_uri="https://suite.example/request.jwt"))
    assert suite.answered(answer)["error"] == "request_uri_not_supported"


async def test_oidcc_unsigned_request_object_rejected(suite: Suite) -> None:
    found = (await suite.ask("GET", "/.well-known/openid-configuration")).body
    assert "none" not in found["request_object_signing_alg_values_supported"]
    unsigned = jwt.encode({"client_id": suite.client.client_id}, None, algorithm="none")
    answer = await suite.town.browser().get(suite.request(request=unsigned))
    assert suite.answered(answer)["error"] in ("request_not_supported", "invalid_request_object")


async def test_oidcc_claims_essential(suite: Suite) -> None:
    wanted = json.dumps({"userinfo": {"name": {"essential": True}}})
    _, told = await suite.happy(scope="openid", claims=wanted)
    assert told["name"] == f"User {PERSON.number}"


async def test_oidcc_refresh_token(suite: Suite) -> None:
    found = (await suite.ask("GET", "/.well-known/openid-configuration")).body
    assert "refresh_token" in found["grant_types_supported"]
    tokens = await suite.tokens(await suite.log_in(scope="openid profile email offline_access", prompt="consent"))
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}

    stolen, headers = suite.second.authenticated(form)
    assert (await suite.ask("POST", "/oidc/token", stolen, **headers)).error == "invalid_grant"

    own, headers = suite.client.authenticated(form)
    refreshed = await suite.check_tokens(await suite.ask("POST", "/oidc/token", own, **headers), suite.client, None)
    for name in ("iss", "sub", "aud", "auth_time", "acr", "sid"):
        assert refreshed["claims"][name] == tokens["claims"][name]
    assert (await suite.userinfo(refreshed["access_token"]))["sub"] == tokens["claims"]["sub"]


async def test_oidcc_ensure_request_with_valid_pkce_succeeds(suite: Suite) -> None:
    verifier = "v" * 43
    challenged = {"code_challenge": oidc.challenge_of(verifier), "code_challenge_method": "S256"}
    for sent, error in ((verifier, None), ("w" * 43, "invalid_grant"), (None, "invalid_grant")):
        answered = await suite.log_in(**challenged)
        reply = await suite.exchange(answered["code"], code_verifier=sent)
        assert (reply.error if error else reply.status) == (error or 200)


# --- of oidcc-dynamic, what hangs on redirect URIs -----------------------------------------------------------------------------------


async def test_oidcc_ensure_redirect_uri_in_authorization_request(suite: Suite) -> None:
    answer = await suite.town.browser().get(suite.request(redirect_uri=None))
    assert (answer.status, answer.location) == (400, "")


async def test_oidcc_redirect_uri_query_ok(suite: Suite) -> None:
    browser = suite.town.browser()
    asked = await suite.at_city(browser, redirect_uri=SECOND_CALLBACK)
    answer = await browser.get(suite.town.city.log_in(asked, PERSON))
    found = suite.answered(answer, SECOND_CALLBACK)
    assert (await suite.exchange(found["code"], redirect_uri=SECOND_CALLBACK)).status == 200


@pytest.mark.parametrize("query", ["?dummy=2", "?dummy=1&more=2", "?", ""])
async def test_oidcc_redirect_uri_query_mismatch_and_added(suite: Suite, query: str) -> None:
    wrong = CALLBACK.replace("/callback", "/other") + query if not query else CALLBACK + query
    answer = await suite.town.browser().get(suite.request(redirect_uri=wrong))
    assert (answer.status, answer.location) == (400, "")
