"""A service owner builds against the broker: what the service gets, and what tells its developers that it asked wrongly."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime

import jwt
import pytest
from lxml import etree

from broker.attributes.schema import saml_name
from tests.bench import oidc, saml
from tests.bench.parties import OIDC_CITY, SAML_CITY, SECRET, User
from tests.stories.town import Answer, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def code(town: Town, **ask: str | None) -> str:
    browser = town.browser()
    sent = await browser.get(town.ask_oidc(organisation=OIDC_CITY, **ask))
    done = await browser.get(town.city.log_in(sent.location, User(number=1, scope=f"{OIDC_CITY}.fi")))
    return done.parameters()["code"]


async def exchange(town: Town, authorization: str | None = "", /, **changes: str) -> Answer:
    """``authorization``: "" is the right one; None, none."""
    form = {
        "grant_type": "authorization_code",
        "code": changes.get("code") or await code(town),
        "redirect_uri": town.parties.redirect_uri,
        "code_verifier": "v" * 43,
        **changes,
    }
    header = oidc.basic("bench-service", SECRET) if authorization == "" else authorization
    headers = {} if header is None else {"Authorization": header}
    return await town.browser().post("/oidc/token", form, **headers)


# --- what the service gets ---------------------------------------------------------------------------------------------


async def test_P4_an_oidc_service_gets_what_it_registered_of_the_scopes_that_it_asks_for(town: Town) -> None:
    tokens = json.loads((await exchange(town)).text)
    userinfo = await town.browser().get("/oidc/userinfo", Authorization=f"Bearer {tokens['access_token']}")

    claims = json.loads(userinfo.text)
    assert claims == {
        "sub": claims["sub"],
        "email": f"user1@{OIDC_CITY}.fi",
        "email_verified": True,
        "name": "User 1",
    }
    id_token = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert set(id_token) - {f"{town.base}/ns/attr/home_issuer"} == {
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "auth_time",
        "nonce",
        "acr",
        "at_hash",
        "sid",
    }
    assert id_token["sub"] == claims["sub"]


async def test_P4_a_scope_that_was_not_asked_for_gives_nothing(town: Town) -> None:
    tokens = json.loads((await exchange(town, code=await code(town, scope="openid"))).text)
    userinfo = await town.browser().get("/oidc/userinfo", Authorization=f"Bearer {tokens['access_token']}")

    assert set(json.loads(userinfo.text)) == {"sub"}


async def test_P4_a_claim_that_was_not_registered_is_not_given_whoever_asks_for_it(town: Town) -> None:
    wanted = json.dumps({"userinfo": {"family_name": {"essential": True}, "phone_number": None, "email": None}})
    scopes = "openid profile email phone organization affiliation"
    tokens = json.loads((await exchange(town, code=await code(town, scope=scopes, claims=wanted))).text)
    userinfo = await town.browser().get("/oidc/userinfo", Authorization=f"Bearer {tokens['access_token']}")

    assert set(json.loads(userinfo.text)) == {"sub", "email", "email_verified", "name"}


async def test_P4_a_saml_service_gets_what_it_registered(town: Town) -> None:
    browser = town.browser()
    sent = await browser.get(town.ask_saml(more=f"&organisation={SAML_CITY}"))
    received = saml.read_authn_request(sent.location, town.parties, town.seen.saml_sp)
    done = await browser.post(town.seen.saml_sp.address, town.saml_answer(received))

    _, fields = done.form()
    response = etree.fromstring(b64decode(fields["SAMLResponse"]))
    given = {each.get("Name") for each in response.iterfind(".//saml:Attribute", saml.NS)}
    assert {saml.MAIL, saml.DISPLAY_NAME} <= given
    assert not {name for name, _ in filter(None, [saml_name("employeeNumber", town.base)])} & given
    # mail, displayName, and what goes with the address: whether it was proven.
    assert len(given) <= 3


async def test_a_service_reads_all_addresses_and_keys_from_the_broker_itself(town: Town) -> None:
    found = json.loads((await town.browser().get("/.well-known/openid-configuration")).text)

    assert found["issuer"] == town.base
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"):
        assert found[name].startswith(f"{town.base}/oidc/")
    assert {key["use"] for key in json.loads((await town.browser().get("/oidc/jwks")).text)["keys"]} == {"sig"}

    metadata = await town.browser().get("/saml/idp/metadata")
    root = etree.fromstring(metadata.text.encode())
    assert root.get("entityID") == f"{town.base}/saml/idp/metadata"
    assert datetime.fromisoformat(root.get("validUntil", "")) > datetime.now(UTC)
    assert root.find("ds:Signature", saml.NS) is not None


async def test_core_5_3_a_client_in_a_browser_may_ask_from_another_origin(town: Town) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    preflight = await town.browser().send("OPTIONS", "/oidc/token", headers=asked)
    refused = await town.browser().post(
        "/oidc/token", {"grant_type": "authorization_code"}, Origin="https://app.example"
    )
    elsewhere = await town.browser().send("OPTIONS", "/oidc/authorize", headers=asked)

    assert (preflight.status, preflight.headers["Access-Control-Allow-Origin"]) == (204, "*")
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, "*")
    assert elsewhere.status == 405
    assert "Access-Control-Allow-Origin" not in elsewhere.headers


# --- asked wrongly -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "error", "status"),
    [
        (oidc.basic("bench-service", "wrong"), "invalid_client", 401),
        (oidc.basic("bench-service", ""), "invalid_client", 401),
        (oidc.basic("nobody", SECRET), "invalid_client", 401),
        (oidc.basic("own-service", SECRET), "invalid_client", 401),
        ("Bearer x", "invalid_client", 401),
        ("Basic !!!", "invalid_client", 401),
        (None, "invalid_client", 401),
    ],
    ids=["wrong_secret", "no_secret", "unknown", "another_client", "bearer", "malformed", "none"],
)
async def test_rfc6749_5_2_a_client_that_does_not_prove_itself_gets_no_tokens_and_keeps_its_code(
    town: Town, header: str | None, error: str, status: int
) -> None:
    held = await code(town)

    answer = await exchange(town, header, code=held)

    assert (answer.status, json.loads(answer.text)["error"]) == (status, error)
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert answer.headers["Cache-Control"] == "no-store"
    assert SECRET not in answer.text
    # Nobody but the client itself can burn its code.
    assert (await exchange(town, code=held)).status == 200


async def test_a_secret_in_the_form_is_not_the_method_that_was_registered(town: Town) -> None:
    answer = await exchange(town, None, client_id="bench-service", client_secret=SECRET)

    assert json.loads(answer.text) == {"error": "invalid_client", "error_description": "oidc_invalid_client"}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code": "unknown"}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:9/x"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
    ],
)
async def test_rfc6749_5_2_what_else_is_wrong_is_said_in_the_standard_s_words(
    town: Town, changes: dict[str, str], error: str
) -> None:
    answer = await exchange(town, **changes)

    assert (answer.status, json.loads(answer.text)["error"]) == (400, error)


@pytest.mark.parametrize("token", ["", "unknown", "a b"])
async def test_rfc6750_3_1_a_wrong_token_opens_nothing(town: Town, token: str) -> None:
    answer = await town.browser().get("/oidc/userinfo", Authorization=f"Bearer {token}")

    assert answer.status in (400, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")
    in_query = await town.browser().get("/oidc/userinfo?access_token=unknown")
    assert in_query.status == 401


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        ({"scope": "profile"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"request": "eyJ"}, "invalid_request_object"),
    ],
)
async def test_oidc_core_3_1_2_6_what_is_wrong_in_the_request_comes_back_to_the_registered_address(
    town: Town, ask: dict[str, str | None], error: str
) -> None:
    answer = await town.browser().get(town.ask_oidc(**ask))

    assert answer.location.partition("?")[0] == town.parties.redirect_uri
    assert (answer.parameters()["error"], answer.parameters()["state"]) == (error, "st-1")


async def test_P5_an_unregistered_address_is_a_page_that_tells_the_owner_which_service_it_is(town: Town) -> None:
    by_oidc = await town.browser().get(town.ask_oidc(redirect_uri="http://127.0.0.1:9/other"))
    by_saml = await town.browser().get(town.ask_saml(AssertionConsumerServiceURL="http://127.0.0.1:9/other"))

    for page, service in ((by_oidc, "bench-oidc-service"), (by_saml, "bench-saml-service")):
        event = await town.refused(page, "unregistered_address")
        assert service in page.page.xpath("//details//code/text()")
        assert event.detail["context"] == {"service": service}


async def test_a_code_for_a_service_by_form_post_leaves_by_a_page_of_ours(town: Town) -> None:
    """OAuth 2.0 Form Post Response Mode: the code is in no address."""
    browser = town.browser()
    sent = await browser.get(town.ask_oidc(organisation=OIDC_CITY, response_mode="form_post"))
    done = await browser.get(town.city.log_in(sent.location, User(number=1, scope=f"{OIDC_CITY}.fi")))

    action, fields = done.form()
    assert done.status == 200
    assert action == town.parties.redirect_uri
    assert set(fields) == {"code", "state", "iss"}
    assert "form-action https: http:" in done.headers["Content-Security-Policy"]
    assert (await exchange(town, code=fields["code"])).status == 200
