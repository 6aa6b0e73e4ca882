"""RFC 8628 from outside: a screen in a meeting room that shows a code, and a person with a browser of their own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench import saml
from tests.bench.parties import SAML_CITY
from tests.stories.town import Answer, Browser, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


async def shown_by(town: Town) -> dict[str, Any]:
    """What a screen gets that was just switched on."""
    async with town.session.post(
        f"{town.base}/oidc/device_authorization", data={"client_id": "meeting-screen", "scope": "openid profile"}
    ) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


async def ask(town: Town, shown: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """What the screen gets for its device code."""
    form = {"grant_type": GRANT, "client_id": "meeting-screen", "device_code": shown["device_code"]}
    async with town.session.post(f"{town.base}/oidc/token", data=form) as answer:
        return answer.status, await answer.json()


async def confirmed(browser: Browser, shown: dict[str, Any]) -> str:
    """The link by which a person says that the device is theirs."""
    page = await browser.get(f"/device?user_code={shown['user_code'].lower()}")
    assert shown["user_code"] in page.text
    return page.link_to("sign-in")


async def at_home(town: Town, browser: Browser, link: str) -> saml.Received:
    page = await browser.get(link)
    sent = await browser.get(next(each for each in page.links() if each.endswith(f"={SAML_CITY}")))
    return saml.read_authn_request(sent.location, town.parties, town.seen.saml_sp)


async def come_back(town: Town, browser: Browser, received: saml.Received) -> Answer:
    return await browser.post(town.seen.saml_sp.address, town.saml_answer(received))


async def test_a_person_signs_in_on_the_screen(town: Town) -> None:
    shown, browser = await shown_by(town), town.browser()

    sent = await come_back(town, browser, await at_home(town, browser, await confirmed(browser, shown)))

    assert (sent.status, sent.location.partition("?")[0]) == (303, f"{town.base}/device/finish")
    done = await browser.get(sent.location)
    assert (done.status, done.location) == (303, "/device/done")
    await town.refused(await browser.get(sent.location), "oidc_device_code_ended")
    assert "close this page" in (await browser.get(done.location)).text
    status, tokens = await ask(town, shown)
    assert status == 200, tokens
    async with town.session.get(
        f"{town.base}/oidc/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}
    ) as answer:
        assert answer.status == 200


async def test_rfc8628_5_4_an_address_that_a_stranger_sends_begins_no_login(town: Town) -> None:
    """The stranger confirmed the device in a browser of their own; the victim has cookies of ours."""
    shown, victim = await shown_by(town), town.browser()
    await victim.get(town.ask_oidc())
    link = await confirmed(town.browser(), shown)

    await town.refused(await victim.get(link), "other_browser")
    await town.refused(await town.browser().get(link), "other_browser")
    assert await ask(town, shown) == (
        400,
        {"error": "authorization_pending", "error_description": "oidc_authorization_pending"},
    )


async def test_rfc8628_5_4_a_proof_for_another_device_begins_no_login(town: Town) -> None:
    one, other, browser = await shown_by(town), await shown_by(town), town.browser()
    link = await confirmed(browser, one)
    codes = [each["user_code"].replace("-", "") for each in (one, other)]

    await town.refused(await browser.get(link.replace(*codes)), "other_browser")


@pytest.mark.parametrize(
    "query", ["", "user_code=BCDFGHJK", "user_code=BCDFGHJK&proof=", "proof=%C3%A4", "user_code=a&user_code=b"]
)
async def test_P2_no_login_begins_without_a_proof(town: Town, query: str) -> None:
    browser = town.browser()
    await browser.get(town.ask_oidc())
    await town.refused(await browser.get(f"/device/sign-in?{query}"), "other_browser", "malformed_message")


async def test_rfc8628_3_3_a_used_code_is_no_code(town: Town) -> None:
    shown, browser = await shown_by(town), town.browser()
    link = await confirmed(browser, shown)
    await come_back(town, browser, await at_home(town, browser, link))

    await town.refused(await browser.get(link), "oidc_device_code_ended")
    page = await browser.get(f"/device?user_code={shown['user_code']}")
    assert "No device shows this code" in page.page.xpath("string(//title)")


async def test_P2_the_second_of_two_logins_for_one_device_is_refused(town: Town) -> None:
    shown, first, second = await shown_by(town), town.browser(), town.browser()
    both = [(each, await at_home(town, each, await confirmed(each, shown))) for each in (first, second)]

    done, late = [await come_back(town, browser, received) for browser, received in both]

    assert "/device/finish" in done.location
    await town.refused(late, "oidc_device_code_ended")


async def test_a_login_that_is_refused_ends_the_device_s_wait(town: Town) -> None:
    shown, browser = await shown_by(town), town.browser()
    received = await at_home(town, browser, await confirmed(browser, shown))
    form = town.saml_answer(received, scope="elsewhere.fi")
    refused = await browser.post(town.seen.saml_sp.address, form)
    assert refused.reason == "foreign_scope"
    assert (await ask(town, shown))[1]["error"] == "authorization_pending"

    back = await browser.get(refused.link_to("back"))

    assert back.location == f"{town.base}/device/refused"
    assert "a new code" in (await browser.get(back.location)).text


@pytest.mark.parametrize("typed", ["BCDFGHJK", "bcdf-ghjk", "<script>alert(1)</script>", "x" * 5000, "%00"])
async def test_rfc8628_3_3_a_code_that_no_device_shows(town: Town, typed: str) -> None:
    answer = await town.browser().get(f"/device?user_code={typed}")
    assert answer.status == 200
    assert answer.page.xpath("//input[@aria-invalid='true']")
    assert len(answer.page.xpath("string(//input[@name='user_code']/@value)")) <= 32
    assert "<script>alert" not in answer.text
