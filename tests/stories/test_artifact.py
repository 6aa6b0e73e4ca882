"""A city that hands out an artifact: the broker fetches the answer behind it, once, from that city alone (saml-bindings 3.6)."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
import pytest_asyncio
from aiohttp import web
from lxml import etree

from tests.bench import saml
from tests.stories.town import NEIGHBOUR, NEIGHBOUR_ARTIFACTS, Answer, Browser, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


class Resolution:
    """The neighbour's ArtifactResolutionService. ``message``: what it hands out. ``status``: of its HTTP answer."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.message = ""
        self.status = 200
        self.asked: list[etree._Element] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        resolve = etree.fromstring(await request.read()).find(f".//{{{saml.SAMLP}}}ArtifactResolve")
        assert resolve is not None
        self.asked.append(resolve)
        instant = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = (
            f'<s:Envelope xmlns:s="{SOAP}"><s:Body><samlp:ArtifactResponse xmlns:samlp="{saml.SAMLP}" ID="_ar"'
            f' Version="2.0" IssueInstant="{instant}" InResponseTo="{resolve.get("ID")}">'
            f'<saml:Issuer xmlns:saml="{saml.SAML}">{self.town.ground.neighbour.city_entity_id}</saml:Issuer>'
            f'<samlp:Status><samlp:StatusCode Value="{saml.SUCCESS}"/></samlp:Status>{self.message}'
            "</samlp:ArtifactResponse></s:Body></s:Envelope>"
        )
        return web.Response(status=self.status, text=body, content_type="text/xml")

    async def at_city(self, browser: Browser) -> saml.Received:
        """The person is at the city, whose answer to the broker's request is ready to be fetched."""
        received = await self.town.at_saml_city(browser, id=NEIGHBOUR)
        form = self.town.saml_answer(received, parties=self.town.ground.neighbour, scope=f"{NEIGHBOUR}.fi")
        self.message = b64decode(form["SAMLResponse"]).decode()
        return received


@pytest_asyncio.fixture(loop_scope="module")
async def resolution(town: Town) -> AsyncIterator[Resolution]:
    found = Resolution(town)
    town.city.trouble[NEIGHBOUR_ARTIFACTS] = found.answer
    yield found
    del town.city.trouble[NEIGHBOUR_ARTIFACTS]


def artifact(entity_id: str) -> str:
    source = hashlib.sha1(entity_id.encode()).digest()  # noqa: S324 - saml-bindings 3.6.4.2 says so
    return b64encode(b"\x00\x04\x00\x01" + source + b"h" * 20).decode()


async def hand_over(town: Town, browser: Browser, received: saml.Received, *, by: str = "GET") -> Answer:
    """What the city sends through the browser."""
    text = artifact(town.ground.neighbour.city_entity_id)
    if by == "POST":
        form = {"SAMLart": text, "RelayState": received.relay_state}
        return await browser.post("/saml/sp/acs", form)
    return await browser.get(f"/saml/sp/acs?SAMLart={quote(text, safe='')}&RelayState={received.relay_state}")


@pytest.mark.parametrize("by", ["GET", "POST"])
async def test_a_person_is_let_in_by_an_artifact(town: Town, resolution: Resolution, by: str) -> None:
    browser = town.browser()
    received = await resolution.at_city(browser)

    done = await hand_over(town, browser, received, by=by)

    assert done.location.startswith(town.parties.redirect_uri)
    assert "code" in done.parameters()
    [asked] = resolution.asked
    assert asked.find(f"{{{saml.DS}}}Signature") is not None


async def test_P2_an_artifact_ends_a_login_once(town: Town, resolution: Resolution) -> None:
    browser = town.browser()
    received = await resolution.at_city(browser)
    await hand_over(town, browser, received)

    await town.refused(await hand_over(town, browser, received), "login_used_or_expired")
    assert len(resolution.asked) == 1


async def test_P2_another_browser_gets_nothing_fetched(town: Town, resolution: Resolution) -> None:
    received = await resolution.at_city(town.browser())

    await town.refused(await hand_over(town, town.browser(), received), "other_browser")
    assert resolution.asked == []


async def test_a_city_that_is_down_and_comes_back(town: Town, resolution: Resolution) -> None:
    browser = town.browser()
    received = await resolution.at_city(browser)
    resolution.status = 500

    refused = await hand_over(town, browser, received)

    assert (refused.status, refused.reason) == (502, "home_unreachable")
    resolution.status = 200
    again = await browser.get(refused.link_to("again"))
    sent = await browser.get(next(each for each in again.links() if each.endswith(f"={NEIGHBOUR}")))
    received = saml.read_authn_request(sent.location, town.ground.neighbour, town.seen.saml_sp)
    form = town.saml_answer(received, parties=town.ground.neighbour, scope=f"{NEIGHBOUR}.fi")
    resolution.message = b64decode(form["SAMLResponse"]).decode()
    assert "code" in (await hand_over(town, browser, received)).parameters()


async def test_P2_the_answer_to_another_login_behind_the_artifact(town: Town, resolution: Resolution) -> None:
    first, second = town.browser(), town.browser()
    await resolution.at_city(first)
    message = resolution.message
    received = await resolution.at_city(second)
    resolution.message = message

    await town.refused(await hand_over(town, second, received), "saml_wrong_in_response_to")
