"""P2 over HTTP: a message is used once, by the browser that began the login, for the city that was asked."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from broker.state import record_names
from broker.web.cookies import new_browser
from tests.bench import oidc, saml
from tests.bench.parties import OIDC_CITY, SAML_CITY
from tests.stories.town import NEIGHBOUR, Answer, Browser, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")


def changed(url: str, **changes: str | None) -> str:
    """The address with parameters changed; None leaves one out."""
    address, _, query = url.partition("?")
    fields = {name: values[0] for name, values in parse_qs(query).items()} | changes
    return f"{address}?{urlencode({name: value for name, value in fields.items() if value is not None})}"


def state_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]


async def finish_saml(town: Town, browser: Browser, form: dict[str, str]) -> Answer:
    return await browser.post(town.seen.saml_sp.address, form)


def is_answered(answer: Answer) -> bool:
    """Whether the OIDC service gets its code."""
    return answer.status == 303 and "code" in answer.parameters()


# --- state and RelayState ----------------------------------------------------------------------------------------------

TAMPERED = {
    "last_letter": lambda id: id[:-1] + ("A" if id[-1] != "A" else "B"),
    "cut": lambda id: id[:-1],
    "longer": lambda id: id + "A",
    "case": lambda id: id.swapcase(),
    "blank": lambda id: id + " ",
    "null": lambda id: id + "\0",
    "of_nobody": lambda id: "x" * 43,
    "path": lambda id: f"../{id}",
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
async def test_a_tampered_state_finds_no_login_and_harms_none(town: Town, tamper: object) -> None:
    browser = town.browser()
    url = await town.at_oidc_city(browser)

    answer = await browser.get(changed(url, state=tamper(state_of(url))))

    await town.refused(answer, "login_used_or_expired")
    assert is_answered(await browser.get(url))


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
async def test_a_tampered_relay_state_finds_no_login_and_harms_none(town: Town, tamper: object) -> None:
    browser = town.browser()
    form = town.saml_answer(await town.at_saml_city(browser))

    answer = await finish_saml(town, browser, form | {"RelayState": tamper(form["RelayState"])})

    await town.refused(answer, "login_used_or_expired")
    assert is_answered(await finish_saml(town, browser, form))


async def test_the_state_of_one_s_own_other_login_does_not_take_this_one_s_code(town: Town) -> None:
    browser = town.browser()
    first, second = await town.at_oidc_city(browser), await town.at_oidc_city(browser)

    answer = await browser.get(changed(first, state=state_of(second)))

    await town.refused(answer, "oidc_token_refused")


async def test_the_relay_state_of_one_s_own_other_login_does_not_take_this_one_s_response(town: Town) -> None:
    browser = town.browser()
    first, second = await town.at_saml_city(browser), await town.at_saml_city(browser)

    answer = await finish_saml(town, browser, town.saml_answer(replace(first, relay_state=second.relay_state)))

    await town.refused(answer, "saml_wrong_in_response_to")


# --- another browser ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cookie", ["", "planted", "own", "guessed"])
async def test_login_csrf_another_browser_cannot_finish_a_login(town: Town, cookie: str) -> None:
    attacker, victim = town.browser(), town.browser()
    by_oidc = await town.at_oidc_city(attacker)
    by_saml = town.saml_answer(await town.at_saml_city(attacker))
    if cookie == "own":
        await victim.get(town.ask_oidc())
    elif cookie:
        victim.cookies = {"broker-browser": "x" * 43 if cookie == "planted" else new_browser()}

    for answer in (await victim.get(by_oidc), await finish_saml(town, victim, by_saml)):
        event = await town.refused(answer, "other_browser")
        assert event.kind == "request.refused"
        assert event.service == ""

    # The one who began them may still finish them: a stranger can take no login away.
    assert is_answered(await attacker.get(by_oidc))
    assert is_answered(await finish_saml(town, attacker, by_saml))


@pytest.mark.parametrize("way", ["", "/choose?organisation=bench-saml", "/again", "/back"])
async def test_another_browser_sees_no_page_of_a_login(town: Town, way: str) -> None:
    page = await town.browser().get(town.ask_oidc())
    here = page.link_to("choose").partition("/choose")[0]

    answer = await town.browser().get(here + way)

    await town.refused(answer, "other_browser")
    assert "Bench OIDC service" not in answer.text


# --- once ---------------------------------------------------------------------------------------------------------------


async def test_a_replayed_code_or_response_is_refused(town: Town) -> None:
    browser = town.browser()
    by_oidc = await town.at_oidc_city(browser)
    by_saml = town.saml_answer(await town.at_saml_city(browser))
    assert is_answered(await browser.get(by_oidc))
    assert is_answered(await finish_saml(town, browser, by_saml))

    for answer in (await browser.get(by_oidc), await finish_saml(town, browser, by_saml)):
        await town.refused(answer, "login_used_or_expired")


async def test_a_replayed_response_in_a_new_login_is_refused(town: Town) -> None:
    browser = town.browser()
    form = town.saml_answer(await town.at_saml_city(browser))
    assert is_answered(await finish_saml(town, browser, form))
    again = await town.at_saml_city(browser)

    answer = await finish_saml(town, browser, form | {"RelayState": again.relay_state})

    await town.refused(answer, "saml_wrong_in_response_to")


async def test_saml_profiles_4_1_4_5_one_assertion_is_not_used_in_two_responses(town: Town) -> None:
    """Where nothing else would notice: the new login is made to wait for the answer to the first one's request."""
    browser = town.browser()
    received = await town.at_saml_city(browser)
    form = town.saml_answer(received)
    first = await finish_saml(town, browser, form)
    assert is_answered(first)
    renewed = await town.at_saml_city(browser)
    store, name = town.broker.store, record_names.transaction(renewed.relay_state)
    record = await store.take(name) or b""
    forged = re.sub(rb'"request_id":"[^"]+"', b'"request_id":"' + received.id.encode() + b'"', record)
    await store.put(name, forged, timedelta(minutes=1))

    answer = await finish_saml(town, browser, form | {"RelayState": renewed.relay_state})

    await town.refused(answer, "message_replayed")


async def test_two_workers_share_what_was_used(town: Town) -> None:
    browser = town.browser()
    async with town.second_worker() as other:
        by_oidc = await town.at_oidc_city(browser)
        by_saml = town.saml_answer(await town.at_saml_city(browser))
        there = by_oidc.replace(town.base, other, 1)
        assert there != by_oidc

        # Begun here, finished there, and used up here.
        assert is_answered(await browser.get(there))
        assert is_answered(await browser.post(f"{other}/saml/sp/acs", by_saml))
        for answer in (await browser.get(by_oidc), await finish_saml(town, browser, by_saml)):
            await town.refused(answer, "login_used_or_expired")


async def test_of_twenty_at_once_at_two_workers_one_gets_in(town: Town) -> None:
    browser = town.browser()
    async with town.second_worker() as other:
        form = town.saml_answer(await town.at_saml_city(browser))
        places = [f"{base}/saml/sp/acs" for base in (town.base, other)] * 10

        answers = await asyncio.gather(*(browser.post(place, form) for place in places))

    assert sum(is_answered(each) for each in answers) == 1
    assert {each.reason for each in answers if not is_answered(each)} == {"login_used_or_expired"}


async def _code(town: Town, browser: Browser) -> str:
    return (await browser.get(await town.at_oidc_city(browser))).parameters()["code"]


async def _exchange(town: Town, base: str, code: str, **changes: str) -> Answer:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": town.parties.redirect_uri,
        "code_verifier": "v" * 43,
        **changes,
    }
    basic = oidc.basic("bench-service", "bench-secret-of-no-value-0123456789")
    return await town.browser().post(f"{base}/oidc/token", form, Authorization=basic)


async def test_rfc6749_4_1_2_our_own_code_is_used_once_at_two_workers_and_its_tokens_end_with_a_second_use(
    town: Town,
) -> None:
    code = await _code(town, town.browser())
    async with town.second_worker() as other:
        first = await _exchange(town, town.base, code)
        assert first.status == 200
        bearer = f"Bearer {oidc_json(first)['access_token']}"
        assert (await town.browser().get(f"{other}/oidc/userinfo", Authorization=bearer)).status == 200

        second = await _exchange(town, other, code)

        assert (second.status, oidc_json(second)["error"]) == (400, "invalid_grant")
        assert (await town.browser().get("/oidc/userinfo", Authorization=bearer)).status == 401


async def test_of_twenty_that_bring_our_code_at_once_one_gets_tokens(town: Town) -> None:
    code = await _code(town, town.browser())
    async with town.second_worker() as other:
        answers = await asyncio.gather(*(_exchange(town, base, code) for base in [town.base, other] * 10))

    assert sorted({each.status for each in answers}) == [200, 400]
    assert sum(each.status == 200 for each in answers) == 1


@pytest.mark.parametrize("changes", [{"code_verifier": "w" * 43}, {"redirect_uri": "https://evil.example/cb"}])
async def test_a_stolen_code_is_worth_nothing_and_is_burnt(town: Town, changes: dict[str, str]) -> None:
    code = await _code(town, town.browser())

    stolen = await _exchange(town, town.base, code, **changes)
    honest = await _exchange(town, town.base, code)

    assert [oidc_json(each)["error"] for each in (stolen, honest)] == ["invalid_grant", "invalid_grant"]


def oidc_json(answer: Answer) -> dict[str, str]:
    assert answer.headers["Cache-Control"] == "no-store"
    return dict(json.loads(answer.text))


# --- unsolicited, and of another city ------------------------------------------------------------------------------------


async def test_an_answer_that_nobody_asked_for_is_refused(town: Town) -> None:
    received = saml.Received(id="_unasked", relay_state="x" * 43)
    form = town.saml_answer(received)

    await town.refused(await finish_saml(town, town.browser(), form), "login_used_or_expired")
    del form["RelayState"]
    await town.refused(await finish_saml(town, town.browser(), form), "unsolicited_answer")
    await town.refused(await town.browser().get("/oidc/callback?code=x"), "unsolicited_answer")


@pytest.mark.parametrize(
    ("other", "reason"), [("_another", "saml_wrong_in_response_to"), ("", "saml_unreadable_response")]
)
async def test_an_answer_to_another_request_is_refused_in_a_running_login(town: Town, other: str, reason: str) -> None:
    browser = town.browser()
    received = await town.at_saml_city(browser)

    answer = await finish_saml(town, browser, town.saml_answer(replace(received, id=other)))

    # An empty InResponseTo is against the schema already.
    await town.refused(answer, reason)


async def test_a_response_of_another_city_than_the_one_asked_is_refused(town: Town) -> None:
    """A registered city, its signature good, its answer to our very request: but it was not asked."""
    browser = town.browser()
    received = await town.at_saml_city(browser)

    answer = await finish_saml(
        town, browser, town.saml_answer(received, parties=town.ground.neighbour, scope=f"{NEIGHBOUR}.fi")
    )

    event = await town.refused(answer, "saml_wrong_issuer")
    assert (event.organisation, event.identity_provider) == (SAML_CITY, f"{SAML_CITY}-idp")


async def test_a_city_that_speaks_in_the_name_of_another_is_refused(town: Town) -> None:
    browser = town.browser()
    received = await town.at_saml_city(browser)
    forged = replace(town.parties, city_key=town.ground.neighbour.city_key)

    answer = await finish_saml(town, browser, town.saml_answer(received, parties=forged))

    await town.refused(answer, "saml_signature_invalid")


async def test_after_the_person_chose_another_city_the_first_one_s_answer_no_longer_fits(town: Town) -> None:
    browser = town.browser()
    page = await browser.get(town.ask_oidc())
    choose = page.link_to("choose").partition("?")[0]
    first = await browser.get(f"{choose}?organisation={SAML_CITY}")
    received = saml.read_authn_request(first.location, town.parties, town.seen.saml_sp)
    await browser.get(f"{choose}?organisation={NEIGHBOUR}")

    answer = await finish_saml(town, browser, town.saml_answer(received))

    await town.refused(answer, "saml_wrong_in_response_to")


async def test_a_saml_response_does_not_answer_an_oidc_login_nor_the_other_way_round(town: Town) -> None:
    browser = town.browser()
    by_oidc = await town.at_oidc_city(browser)
    by_saml = await town.at_saml_city(browser)

    crossed = town.saml_answer(replace(by_saml, relay_state=state_of(by_oidc)))
    await town.refused(await finish_saml(town, browser, crossed), "out_of_order")
    await town.refused(await browser.get(changed(by_oidc, state=by_saml.relay_state)), "out_of_order")


@pytest.mark.parametrize("iss", ["https://login.pori.example", "", None, "the city's entityID"])
async def test_rfc9207_2_4_mix_up_a_code_in_the_name_of_another_issuer_is_not_sent_anywhere(
    town: Town, iss: str | None
) -> None:
    browser = town.browser()
    url = await town.at_oidc_city(browser)
    given = town.ground.neighbour.city_entity_id if iss == "the city's entityID" else iss

    answer = await browser.get(changed(url, iss=given))

    event = await town.refused(answer, "oidc_wrong_callback_issuer")
    assert event.organisation == OIDC_CITY
    # Nobody but the city itself, which still waits for it, knows the code.
    assert parse_qs(urlsplit(url).query)["code"][0] in town.city._codes


async def test_P3_a_city_vouches_only_for_its_own(town: Town) -> None:
    browser = town.browser()
    form = town.saml_answer(await town.at_saml_city(browser), scope=f"{NEIGHBOUR}.fi")

    event = await town.refused(await finish_saml(town, browser, form), "foreign_scope")

    assert event.organisation == SAML_CITY


async def test_P1_a_changed_assertion_is_refused(town: Town) -> None:
    browser = town.browser()
    form = town.saml_answer(await town.at_saml_city(browser))
    response = b64decode(form["SAMLResponse"])
    changed_response = response.replace(b"user1@", b"user2@")
    assert changed_response != response

    form["SAMLResponse"] = b64encode(changed_response).decode()

    await town.refused(await finish_saml(town, browser, form), "saml_signature_invalid")


async def test_a_login_refused_for_a_forged_answer_may_be_finished_by_the_honest_one(town: Town) -> None:
    browser = town.browser()
    received = await town.at_saml_city(browser)
    refused = await finish_saml(town, browser, {"SAMLResponse": "eA==", "RelayState": received.relay_state})
    await town.refused(refused, "saml_unreadable_response")

    page = await browser.get(refused.link_to("again"))
    sent = await browser.get(f"{page.link_to('choose').partition('?')[0]}?organisation={SAML_CITY}")
    again = saml.read_authn_request(sent.location, town.parties, town.seen.saml_sp)

    assert is_answered(await finish_saml(town, browser, town.saml_answer(again)))
