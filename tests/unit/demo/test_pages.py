"""P11 for the demo's own pages: strict headers, two languages, nothing inline, no script needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession
from lxml import html

from broker.demo.run import start_cities_and_services
from broker.demo.world import PreparedDemo, base_url

PARTIES = ("pori", "ulvila", "shared_wiki", "meeting_rooms")


@pytest.fixture
async def running(prepared: PreparedDemo) -> AsyncIterator[PreparedDemo]:
    demo = await start_cities_and_services(prepared, base_url(prepared.ports.broker))
    yield prepared
    await demo.stop()


def _address(prepared: PreparedDemo, party: str) -> str:
    return base_url(getattr(prepared.ports, party))


async def _ulvila_s_login_page(browser: ClientSession, prepared: PreparedDemo, **more: str) -> html.HtmlElement:
    query = {
        "response_type": "code",
        "client_id": "broker",
        "redirect_uri": f"{base_url(prepared.ports.broker)}/oidc/callback",
        "scope": "openid",
        "state": "a-state",
        "nonce": "a-nonce",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    async with browser.get(f"{_address(prepared, 'ulvila')}/authorize", params=query | more) as response:
        assert response.status == 200
        page = html.document_fromstring(await response.text(), base_url=str(response.url))
    page.make_links_absolute()
    return page


@pytest.mark.parametrize("party", PARTIES)
async def test_every_page_has_strict_headers_and_nothing_inline(
    running: PreparedDemo, browser: ClientSession, party: str
) -> None:
    async with browser.get(f"{_address(running, party)}/") as response:
        policy = response.headers["Content-Security-Policy"]
        page = html.document_fromstring(await response.text())

    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    assert page.xpath("//style | //*[@style] | //script[not(@src)] | //@*[starts-with(name(), 'on')]") == []


@pytest.mark.parametrize("language", ["en", "fi"])
@pytest.mark.parametrize("party", PARTIES)
async def test_every_page_says_in_its_language_that_it_is_a_demo_and_whose(
    running: PreparedDemo, browser: ClientSession, party: str, language: str
) -> None:
    async with browser.get(f"{_address(running, party)}/", headers={"Accept-Language": language}) as response:
        page = html.document_fromstring(await response.text())

    assert page.get("lang") == language
    assert len(page.xpath("//h1")) == 1
    assert "Demo" in page.xpath("string(//header)")
    assert "Demo" in page.xpath("string(//title)") or "demo" in page.xpath("string(//title)")


async def test_the_language_link_of_a_login_page_keeps_the_request(
    running: PreparedDemo, browser: ClientSession
) -> None:
    page = await _ulvila_s_login_page(browser, running)
    finnish = page.xpath("string(//a[@hreflang='fi']/@href)")

    async with browser.get(finnish) as response:
        page = html.document_fromstring(await response.text())

    assert page.xpath("string(//h1)") == "Kuka olet tänään?"
    link = page.xpath("string(//main//a/@href)")
    assert parse_qs(urlsplit(link).query)["state"] == ["a-state"]


async def test_the_login_page_lists_four_people_and_says_what_happens_to_each(
    running: PreparedDemo, browser: ClientSession
) -> None:
    page = await _ulvila_s_login_page(browser, running)

    entries = page.xpath("//main//li")
    assert len(entries) == 4
    assert all(entry.xpath("string(.//small)").strip() for entry in entries)


async def test_a_login_page_s_links_are_links_and_not_forms(running: PreparedDemo, browser: ClientSession) -> None:
    """A form's redirects on through the broker would be held to form-action by browsers."""
    page = await _ulvila_s_login_page(browser, running)

    assert page.forms == []


@pytest.mark.parametrize("party", ["shared_wiki", "meeting_rooms"])
async def test_a_service_says_so_when_the_broker_is_not_there(
    running: PreparedDemo, browser: ClientSession, party: str
) -> None:
    async with browser.get(f"{_address(running, party)}/login") as response:
        assert response.status == 502
        assert "not answering" in await response.text()


async def test_pori_says_so_when_the_broker_is_not_there(running: PreparedDemo, browser: ClientSession) -> None:
    async with browser.get(f"{_address(running, 'pori')}/adfs/ls/?SAMLRequest=x") as response:
        assert response.status == 502


@pytest.mark.parametrize("party", PARTIES)
async def test_nothing_but_the_static_files_is_served_from_there(
    running: PreparedDemo, browser: ClientSession, party: str
) -> None:
    async with browser.get(f"{_address(running, party)}/static/demo.css") as response:
        assert (response.status, response.content_type) == (200, "text/css")
    async with browser.get(f"{_address(running, party)}/static/..%2fpage.py") as response:
        assert response.status == 404


async def test_the_shared_wiki_judges_no_answer_while_it_cannot_know_the_broker(
    running: PreparedDemo, browser: ClientSession
) -> None:
    async with browser.post(f"{_address(running, 'shared_wiki')}/saml/acs", data={"SAMLResponse": "x"}) as response:
        assert response.status == 502


async def test_a_taken_port_stops_the_start_and_leaves_nothing_listening(
    prepared: PreparedDemo, browser: ClientSession
) -> None:
    first = await start_cities_and_services(prepared, base_url(prepared.ports.broker))
    with pytest.raises(OSError, match="address already in use"):
        await start_cities_and_services(prepared, base_url(prepared.ports.broker))
    await first.stop()

    again = await start_cities_and_services(prepared, base_url(prepared.ports.broker))
    await again.stop()
