"""mod_auth_mellon, or a client of OpenID Connect, as a service ← the broker ← oidc-provider as a city, on loopback."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlencode, urljoin

import pytest
import requests
from lxml import etree

from tests.interop import towns as federation
from tests.interop.oidc_provider import MFA, ONE_TIME, PASSWORD
from tests.interop.towns import CITIES, CLIENT, Towns, answer, prompt
from tests.interop.visitor import Page, Visitor

PEOPLE = {"pori": "aino", "ulvila": "eero", "harjavalta": "irja", "kokemaki": "kaisa"}
NAMES = {"pori": "Aino Ä. & Co <Virtanen>", "ulvila": "Eero Mäkelä"}
STATUS_CODE = "{urn:oasis:names:tc:SAML:2.0:protocol}StatusCode"
# auth_time has whole seconds.
A_SECOND = 1.1

in_each_city = pytest.mark.parametrize("city", CITIES)


@pytest.fixture(scope="module")
def towns() -> Iterator[Towns]:
    # The web server's user must reach the files, which pytest's own folders do not allow.
    folder = Path(tempfile.mkdtemp(prefix="interop-"))
    folder.chmod(0o755)
    try:
        with federation.running(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def log_in(towns: Towns, city: str, visitor: Visitor | None = None, person: str = "", **asked: str) -> Page:
    """At the client of OpenID Connect."""
    visitor = visitor or towns.visitor()
    return towns.log_in(visitor, visitor.open(towns.authorization(city, **asked)), person or PEOPLE[city])


def begin_strong(towns: Towns, visitor: Visitor, city: str) -> Page:
    """At the SAML service that asks for several factors, up to the city's page, or to what comes without one."""
    return towns.choose(visitor, visitor.open(f"{towns.service}/mfa/"), city)


def seen(page: Page) -> dict[str, str]:
    """What the application behind mellon knows."""
    assert page.status == 200, (page.url, page.status, page.reason, page.text[:2000])
    found: dict[str, str] = json.loads(page.text)
    return found


def status_codes(visitor: Visitor) -> list[str]:
    """Of the broker's newest Response to the SAML service."""
    response = etree.fromstring(b64decode(visitor.carried[-1]["SAMLResponse"]))
    return [code.get("Value", "").rpartition(":")[2] for code in response.iter(STATUS_CODE)]


def key_kinds(issuer: str) -> list[str]:
    return [key["kty"] for key in requests.get(f"{issuer}/jwks", timeout=10).json()["keys"]]


def stopped_at_the_broker(towns: Towns, city: str) -> tuple[Visitor, str]:
    """A browser that logged in at the city and did not yet carry the answer to the broker; and the answer's address."""
    visitor = Visitor(stops=lambda url: url.startswith(towns.callback))
    page = log_in(towns, city, visitor)
    visitor.stops = lambda url: url.startswith(CLIENT)
    return visitor, page.url


# --- a login ----------------------------------------------------------------------------------------------------------


def test_the_client_gets_the_person_s_claims_from_the_city_s_userinfo(towns: Towns) -> None:
    """Pori: client_secret_basic, an ID token by RS256."""
    assert key_kinds(towns.issuers["pori"]) == ["RSA"]

    found = towns.claims(log_in(towns, "pori"))

    assert (found["name"], found["email"]) == (NAMES["pori"], "aino@pori.fi")
    assert (found["iss"], found["nonce"]) == (towns.broker, "n")


def test_rfc7523_the_broker_proves_itself_by_its_key_and_takes_es256(towns: Towns) -> None:
    """Ulvila: private_key_jwt with /oidc/jwks; the only key that it can sign an ID token by is of a curve."""
    assert key_kinds(towns.issuers["ulvila"]) == ["EC"]

    found = towns.claims(log_in(towns, "ulvila"))

    assert (found["name"], found["email"]) == (NAMES["ulvila"], "eero@ulvila.fi")
    assert found["amr"] == ["pwd"]


def test_rfc9126_4_the_browser_carries_client_id_and_the_name_of_a_pushed_request_alone(towns: Towns) -> None:
    """Kokemäki: private_key_jwt at both endpoints, with the issuer as its audience."""
    found = requests.get(f"{towns.issuers['kokemaki']}/.well-known/openid-configuration", timeout=10).json()
    assert found["require_pushed_authorization_requests"] is True
    visitor = towns.visitor()

    claims = towns.claims(log_in(towns, "kokemaki", visitor))

    assert claims["email"] == "kaisa@kokemaki.fi"
    carried = towns.asked(visitor, "kokemaki")
    assert carried.keys() == {"client_id", "request_uri"}
    assert carried["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")


def test_rfc9126_5_a_request_that_was_not_pushed_is_refused_by_that_city(towns: Towns) -> None:
    asked = {"client_id": "broker", "response_type": "code", "scope": "openid", "redirect_uri": towns.callback}
    visitor = towns.visitor()

    visitor.open(f"{towns.issuers['kokemaki']}/auth?{urlencode(asked)}")

    assert "Pushed Authorization Request" in towns.answered(visitor)["error_description"]


def test_rfc6749_5_2_a_city_that_knows_another_secret_refuses_the_broker(towns: Towns) -> None:
    page = log_in(towns, "harjavalta")

    assert (page.status, page.reason) == (400, "oidc_token_refused")
    assert page.url.startswith(towns.callback)


def test_the_saml_service_gets_the_person_s_attributes(towns: Towns) -> None:
    visitor = towns.visitor()

    found = seen(towns.log_in(visitor, visitor.open(f"{towns.service}/plain/"), "eero"))

    assert (found["MELLON_mail"], found["MELLON_displayName"]) == ("eero@ulvila.fi", NAMES["ulvila"])


def test_the_pairwise_identifier_is_the_same_at_each_login(towns: Towns) -> None:
    """Made of what the scope ``personnel`` releases, which is no standard one."""
    found = []
    for visitor in (towns.visitor(), towns.visitor()):
        page = towns.log_in(visitor, visitor.open(f"{towns.service}/plain/"), "eero")
        found.append(seen(page)["MELLON_pairwiseId"])

    assert found[0] == found[1]
    assert found[0].endswith("@ulvila.fi")
    assert "eero" not in found[0]


def test_P3_a_user_name_of_another_city_is_refused(towns: Towns) -> None:
    assert "code" in answer(log_in(towns, "pori"))

    page = log_in(towns, "pori", person="outi")

    assert (page.status, page.reason) == (403, "foreign_scope")


def test_an_address_that_the_city_does_not_prove_as_Entra_ID_does_is_not_taken(towns: Towns) -> None:
    """The dialect ``entra-oidc`` does not count email_verified."""
    page = log_in(towns, "pori", person="urho")

    assert page.reason == "required_attribute_missing"


def test_core_3_1_2_1_a_login_hint_of_the_city_s_own_domain_reaches_its_page(towns: Towns) -> None:
    visitor = towns.visitor()
    page = visitor.open(towns.authorization("ulvila", login_hint="eero@ulvila.fi"))

    assert page.url.startswith(towns.issuers["ulvila"])
    assert page.form().fields["login"] == "eero@ulvila.fi"


# --- again, silently, and more strongly -------------------------------------------------------------------------------------


def test_a_second_service_of_the_browser_needs_no_second_password(towns: Towns) -> None:
    visitor = towns.visitor()
    log_in(towns, "ulvila", visitor)

    assert seen(visitor.open(f"{towns.service}/plain/"))["MELLON_mail"] == "eero@ulvila.fi"


@in_each_city
@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}], ids=["prompt_login", "max_age_0"])
def test_core_3_1_2_1_a_forced_login_is_a_new_login_at_the_city(towns: Towns, city: str, asked: dict[str, str]) -> None:
    visitor = towns.visitor()
    first = towns.claims(log_in(towns, city, visitor))
    time.sleep(A_SECOND)

    second = towns.claims(log_in(towns, city, visitor, **asked))

    assert (towns.asked(visitor, city)["prompt"], towns.asked(visitor, city)["max_age"]) == ("login", "0")
    assert second["auth_time"] > first["auth_time"]
    assert second["sub"] == first["sub"]


def test_core_3_1_2_1_a_login_older_than_max_age_is_made_anew(towns: Towns) -> None:
    visitor = towns.visitor()
    first = towns.claims(log_in(towns, "pori", visitor))
    # Older than a second by a whole one.
    time.sleep(1 + A_SECOND)

    second = towns.claims(log_in(towns, "pori", visitor, max_age="1"))

    assert towns.asked(visitor, "pori")["max_age"] == "1"
    assert "prompt" not in towns.asked(visitor, "pori")
    assert second["auth_time"] >= first["auth_time"] + 2


def test_core_3_1_2_1_a_login_within_max_age_is_enough(towns: Towns) -> None:
    visitor = towns.visitor()
    first = towns.claims(log_in(towns, "pori", visitor))
    time.sleep(A_SECOND)

    page = visitor.open(towns.authorization("pori", max_age="3600"))

    assert towns.asked(visitor, "pori")["max_age"] == "3600"
    assert towns.claims(page)["auth_time"] == first["auth_time"]


@in_each_city
def test_core_3_1_2_6_a_passive_login_without_a_session_is_login_required(towns: Towns, city: str) -> None:
    visitor = towns.visitor()

    page = visitor.open(towns.authorization(city, prompt="none"))

    assert towns.asked(visitor, city)["prompt"] == "none"
    assert towns.answered(visitor)["error"] == "login_required"
    assert answer(page)["error"] == "login_required"
    assert "code" not in answer(page)


def test_saml_core_3_2_2_2_login_required_of_the_city_is_NoPassive_for_a_saml_service(towns: Towns) -> None:
    visitor = towns.visitor()
    wanted = urlencode({"ReturnTo": f"{towns.service}/plain/", "IsPassive": "true"})

    visitor.open(f"{towns.service}/plain/mellon/login?{wanted}")

    assert towns.answered(visitor)["error"] == "login_required"
    assert status_codes(visitor) == ["Responder", "NoPassive"]


def test_core_3_1_2_1_a_passive_login_of_who_is_logged_in(towns: Towns) -> None:
    visitor = towns.visitor()
    first = towns.claims(log_in(towns, "pori", visitor))

    again = towns.claims(visitor.open(towns.authorization("pori", prompt="none")))

    assert towns.asked(visitor, "pori")["prompt"] == "none"
    assert (again["sub"], again["auth_time"]) == (first["sub"], first["auth_time"])


def test_core_3_1_2_6_a_passive_login_of_who_has_not_agreed_yet(towns: Towns) -> None:
    visitor = towns.visitor()
    page = visitor.open(towns.authorization("pori"))
    page = visitor.submit(page, login="aino", password=PASSWORD)
    assert prompt(page) == "consent"

    page = visitor.open(towns.authorization("pori", prompt="none"))

    assert towns.answered(visitor)["error"] == "consent_required"
    assert answer(page)["error"] == "login_required"


@in_each_city
def test_core_2_a_service_that_asks_for_mfa_gets_it_by_acr(towns: Towns, city: str) -> None:
    visitor = towns.visitor()
    page = begin_strong(towns, visitor, city)

    found = seen(towns.log_in(visitor, page, PEOPLE[city], ONE_TIME))

    assert towns.asked(visitor, city)["acr_values"] == MFA
    assert found["MELLON_mail"] == f"{PEOPLE[city]}@{city}.fi"
    # Lasso hands a value out as it stands in the XML.
    assert unescape(found["MELLON_displayName"]) == NAMES[city]


@in_each_city
def test_core_2_a_service_that_asks_for_mfa_and_gets_no_acr(towns: Towns, city: str) -> None:
    visitor = towns.visitor()
    page = begin_strong(towns, visitor, city)

    page = towns.log_in(visitor, page, PEOPLE[city], one_time="")

    assert (page.url.startswith(towns.broker), page.reason) == (True, "mfa_not_proven")


def test_a_city_that_steps_up_asks_who_is_logged_in_for_a_second_factor(towns: Towns) -> None:
    visitor = towns.visitor()
    log_in(towns, "ulvila", visitor)

    page = begin_strong(towns, visitor, "ulvila")

    assert seen(towns.log_in(visitor, page, "eero", ONE_TIME))["MELLON_mail"] == "eero@ulvila.fi"


def test_a_city_that_does_not_step_up_answers_from_its_session_and_is_not_enough(towns: Towns) -> None:
    """oidc-provider as it is: acr_values is a wish (OIDC Core 3.1.2.1)."""
    visitor = towns.visitor()
    log_in(towns, "pori", visitor)

    page = begin_strong(towns, visitor, "pori")

    assert (page.url.startswith(towns.broker), page.reason) == (True, "mfa_not_proven")


def test_core_5_5_1_1_an_essential_acr_makes_oidc_provider_ask_who_is_logged_in_for_a_second_factor(
    towns: Towns,
) -> None:
    """Kokemäki: by its policy as it is."""
    visitor = towns.visitor()
    log_in(towns, "kokemaki", visitor)

    page = begin_strong(towns, visitor, "kokemaki")

    assert seen(towns.log_in(visitor, page, "kaisa", ONE_TIME))["MELLON_mail"] == "kaisa@kokemaki.fi"


def test_core_5_5_1_1_who_cannot_meet_an_essential_acr_is_asked_again_and_may_cancel(towns: Towns) -> None:
    visitor = towns.visitor()
    page = begin_strong(towns, visitor, "kokemaki")
    page = towns.log_in(visitor, page, "kaisa", one_time="")
    assert prompt(page) == "login"

    page = visitor.submit(page, cancel="yes")

    assert (page.url.startswith(towns.broker), page.reason) == (True, "home_refused")


# --- somebody says no ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["login", "consent"])
def test_rfc6749_4_1_2_1_who_cancels_at_the_city_comes_back_to_the_client_with_access_denied(
    towns: Towns, where: str
) -> None:
    visitor = towns.visitor()
    page = visitor.open(towns.authorization("pori"))
    if where == "consent":
        page = visitor.submit(page, login="aino", password=PASSWORD)
    assert prompt(page) == where

    page = visitor.submit(page, cancel="yes")

    assert towns.answered(visitor)["error"] == "access_denied"
    assert page.reason == "home_refused"
    assert answer(back_to_the_service(visitor, page))["error"] == "access_denied"


def test_saml_core_3_2_2_2_who_cancels_at_the_city_is_AuthnFailed_for_a_saml_service(towns: Towns) -> None:
    visitor = towns.visitor()

    page = visitor.submit(visitor.open(f"{towns.service}/plain/"), cancel="yes")
    assert page.reason == "home_refused"
    page = back_to_the_service(visitor, page)

    assert status_codes(visitor) == ["Responder", "AuthnFailed"]
    assert page.url.startswith(towns.service)


def back_to_the_service(visitor: Visitor, page: Page) -> Page:
    """By the link of the broker's page that says why."""
    (link,) = page.tree.xpath("//p[@class='acts']/a[starts-with(., 'Back to ')]/@href")
    return visitor.open(urljoin(page.url, str(link)))


# --- what is changed on the way ---------------------------------------------------------------------------------------------


@in_each_city
def test_rfc9207_the_city_names_itself_in_its_answer(towns: Towns, city: str) -> None:
    issuer = towns.issuers[city]
    found = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=10).json()
    assert found["authorization_response_iss_parameter_supported"] is True
    visitor = towns.visitor()

    log_in(towns, city, visitor)
    assert towns.answered(visitor)["iss"] == issuer


@pytest.mark.parametrize("iss", ["another", "none"])
def test_rfc9207_an_answer_in_another_city_s_name_is_refused(towns: Towns, iss: str) -> None:
    visitor, url = stopped_at_the_broker(towns, "pori")
    changed = federation.query(url)
    if iss == "another":
        changed["iss"] = towns.issuers["ulvila"]
    else:
        del changed["iss"]

    page = visitor.open(f"{towns.callback}?{urlencode(changed)}")

    assert (page.status, page.reason) == (400, "oidc_wrong_callback_issuer")


def test_rfc7636_the_city_gives_nothing_for_a_code_of_another_login(towns: Towns) -> None:
    """A stolen code in a login of the thief's own: the broker has another code_verifier for that."""
    _, theirs = stopped_at_the_broker(towns, "pori")
    thief, own = stopped_at_the_broker(towns, "pori")
    mixed = federation.query(own) | {"code": federation.query(theirs)["code"]}

    page = thief.open(f"{towns.callback}?{urlencode(mixed)}")

    assert (page.status, page.reason) == (400, "oidc_token_refused")


def test_P2_the_city_s_answer_is_of_no_use_again_nor_in_another_browser(towns: Towns) -> None:
    visitor, url = stopped_at_the_broker(towns, "ulvila")

    stranger = towns.visitor().open(url)
    assert (stranger.url.startswith(towns.broker), stranger.status) == (True, 400)
    assert "code" in answer(visitor.open(url))
    again = visitor.open(url)
    assert (again.status, again.reason) == (400, "login_used_or_expired")


# --- the city's session ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("city", ["pori", "ulvila"])
def test_back_channel_logout_2_who_logs_out_at_the_city_keeps_no_refresh_token(towns: Towns, city: str) -> None:
    visitor, stays = towns.visitor(), towns.visitor()
    token, others = (towns.tokens(log_in(towns, city, each))["refresh_token"] for each in (visitor, stays))
    first = towns.ask(grant_type="refresh_token", refresh_token=token)
    assert first.status_code == 200, first.text

    done = visitor.submit(visitor.open(f"{towns.issuers[city]}/session/end"), logout="yes")
    assert done.status == 200, done.text

    after = towns.ask(grant_type="refresh_token", refresh_token=first.json()["refresh_token"])
    assert (after.status_code, after.json()["error"]) == (400, "invalid_grant")
    # The same person in another browser has another session there.
    assert towns.ask(grant_type="refresh_token", refresh_token=others).status_code == 200
