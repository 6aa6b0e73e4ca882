"""P10: a city that is down, slow or answers nonsense. The person is told within ten seconds which city's service failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from aiohttp import web

from tests.bench.parties import HOST, OIDC_CITY, User
from tests.stories.town import Answer, Browser, Town

OpenTown = Callable[..., AbstractAsyncContextManager[Town]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TIMEOUT_SECONDS = 0.5
# Generous: what is held to is the setting, and that nobody waits for ever.
PATIENCE_SECONDS = 10


# --- ways to fail -----------------------------------------------------------------------------------------------------------


async def silent(request: web.Request) -> web.StreamResponse:
    """Accepts, and never answers."""
    await asyncio.sleep(30)
    return web.Response()


async def half(request: web.Request) -> web.StreamResponse:
    """Begins, and never ends."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"issuer":')
    await asyncio.sleep(30)
    return response


async def broken_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    assert request.transport is not None
    request.transport.close()
    return response


async def huge(request: web.Request) -> web.StreamResponse:
    """A hundred megabytes, or as much as is taken."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    try:
        for _ in range(1600):
            await response.write(b" " * 65536)
    except ConnectionError:
        pass
    return response


def saying(body: str, *, status: int = 200, kind: str = "application/json", **headers: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(text=body, status=status, content_type=kind, headers=headers)

    return handle


NONSENSE: dict[str, Handler] = {
    "silent": silent,
    "half_an_answer": half,
    "broken_off": broken_off,
    "a_hundred_megabytes": huge,
    "html": saying("<html><h1>Maintenance</h1></html>", kind="text/html"),
    "error_page": saying("<html><h1>503</h1></html>", status=503, kind="text/html"),
    "not_found": saying("{}", status=404),
    "nothing": saying(""),
    "a_list": saying("[1, 2]"),
    "wrong_json": saying('{"issuer": 7, "keys": "none", "access_token": []}'),
    "deep_json": saying("[" * 100_000),
    "redirect": saying("", status=302, Location="http://127.0.0.1:9/"),
    "octets": saying("\0\ufffd" * 100),
}
ENDPOINTS = ("/.well-known/openid-configuration", "/city/token", "/city/jwks", "/city/userinfo")


@asynccontextmanager
async def failing(town: Town, path: str, handler: Handler) -> AsyncIterator[None]:
    town.city.trouble[path] = handler
    try:
        yield
    finally:
        town.city.trouble.clear()


async def told(town: Town, answer: Answer) -> None:
    """The page names the city whose service failed, gives a code, and leads on."""
    assert (answer.status, answer.reason) == (502, "home_unreachable")
    assert not answer.location
    (event,) = await town.events(answer.reference)
    assert (event.kind, event.reason) == ("login.refused", "home_unreachable")
    assert (event.organisation, event.identity_provider) == (OIDC_CITY, f"{OIDC_CITY}-idp")
    assert event.detail["whose"] == "home"
    # The name of the bench's OIDC city.
    assert "Bench" in answer.page.xpath("string(//h1)")
    assert answer.link_to("again")
    assert answer.link_to("back")


async def finish_after(town: Town, browser: Browser, refused: Answer) -> None:
    """The same login goes on once the city is well again."""
    page = await browser.get(refused.link_to("again"))
    sent = await browser.get(next(each for each in page.links() if each.endswith(f"={OIDC_CITY}")))
    done = await browser.get(town.city.log_in(sent.location, User(number=1, scope=f"{OIDC_CITY}.fi")))
    assert "code" in done.parameters()


# --- the city's OpenID Provider ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("handler", NONSENSE.values(), ids=NONSENSE)
async def test_P10_a_city_that_cannot_even_be_asked(town_with: OpenTown, handler: Handler) -> None:
    async with town_with(upstream_timeout_seconds=TIMEOUT_SECONDS) as town:
        browser = town.browser()
        async with failing(town, ENDPOINTS[0], handler), asyncio.timeout(PATIENCE_SECONDS):
            refused = await browser.get(town.ask_oidc(organisation=OIDC_CITY))
            await told(town, refused)
        await finish_after(town, browser, refused)


@pytest.mark.parametrize("path", ENDPOINTS[1:])
async def test_P10_a_city_that_fails_after_the_person_logged_in(town_with: OpenTown, path: str) -> None:
    async with town_with(upstream_timeout_seconds=TIMEOUT_SECONDS) as town:
        for name, handler in NONSENSE.items():
            if (path, name) == ("/city/userinfo", "wrong_json"):
                # That is an object, of another person: oidc_wrong_subject.
                continue
            browser = town.browser()
            back = await town.at_oidc_city(browser)
            async with failing(town, path, handler), asyncio.timeout(PATIENCE_SECONDS):
                refused = await browser.get(back)
            assert refused.reason == "home_unreachable", name
            await told(town, refused)
            # The code is not taken twice.
            assert (await browser.get(back)).reason == "out_of_order"
        await finish_after(town, browser, refused)


async def test_P10_a_city_that_is_down(town_with: OpenTown) -> None:
    async with town_with(upstream_timeout_seconds=TIMEOUT_SECONDS) as town:
        browser = town.browser()
        back = await town.at_oidc_city(browser)
        await town.stop_city()

        async with asyncio.timeout(PATIENCE_SECONDS):
            await told(town, await browser.get(back))
            # What is known of the city is kept: its own page will say that it is down.
            assert (await town.browser().get(town.ask_oidc(organisation=OIDC_CITY))).status == 303
        # The other cities are not touched.
        await town.logins().log_in("saml-saml", 1)
        await town.logins().log_in("oidc-saml", 1)


async def test_P10_a_city_that_never_was_up(town_with: OpenTown) -> None:
    async with town_with(upstream_timeout_seconds=TIMEOUT_SECONDS) as town:
        await town.stop_city()

        async with asyncio.timeout(PATIENCE_SECONDS):
            await told(town, await town.browser().get(town.ask_oidc(organisation=OIDC_CITY)))


async def test_P10_a_city_that_takes_the_connection_and_says_nothing(town_with: OpenTown) -> None:
    """Not even an HTTP server: a machine that hangs."""
    hanging = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hanging.wait()
        writer.close()

    async with town_with(upstream_timeout_seconds=TIMEOUT_SECONDS) as town:
        await town.stop_city()
        server = await asyncio.start_server(hang, HOST, int(town.parties.base.rpartition(":")[2]))
        async with server:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answers = await asyncio.gather(
                    *(town.browser().get(town.ask_oidc(organisation=OIDC_CITY)) for _ in range(20))
                )
            hanging.set()
        for answer in answers:
            await told(town, answer)


async def test_P10_after_five_who_waited_in_vain_nobody_waits_any_more(town_with: OpenTown) -> None:
    visits = 0
    hanging = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        await hanging.wait()
        writer.close()

    async with town_with(upstream_timeout_seconds=TIMEOUT_SECONDS) as town:
        await town.stop_city()
        server = await asyncio.start_server(hang, HOST, int(town.parties.base.rpartition(":")[2]))
        async with server:
            for _ in range(5):
                await told(town, await town.browser().get(town.ask_oidc(organisation=OIDC_CITY)))
            assert visits == 5
            for _ in range(5):
                await told(town, await town.browser().get(town.ask_oidc(organisation=OIDC_CITY)))
            assert visits == 5
            # The other cities are not touched.
            await town.logins().log_in("saml-saml", 1)
            await town.logins().log_in("oidc-saml", 1)
            hanging.set()


async def test_P10_a_slow_city_keeps_nobody_else_waiting(town_with: OpenTown) -> None:
    async with town_with(upstream_timeout_seconds=5) as town:
        town.city.trouble["/city/token"] = silent
        browsers = [town.browser() for _ in range(10)]
        backs = [await town.at_oidc_city(each) for each in browsers]
        hanging = [asyncio.ensure_future(each.get(back)) for each, back in zip(browsers, backs, strict=True)]
        await asyncio.sleep(0.1)

        async with asyncio.timeout(3):
            await town.logins().log_in("saml-saml", 1)

        assert not any(each.done() for each in hanging)
        for each in hanging:
            each.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_P10_a_city_that_is_slow_but_not_too_slow_is_waited_for(town_with: OpenTown) -> None:
    async with town_with(upstream_timeout_seconds=5) as town:
        town.city.delay = 0.3
        browser = town.browser()

        assert "code" in (await browser.get(await town.at_oidc_city(browser))).parameters()


async def test_the_service_is_told_in_its_own_words_when_the_person_gives_up(town_with: OpenTown) -> None:
    async with town_with(upstream_timeout_seconds=TIMEOUT_SECONDS) as town:
        await town.stop_city()
        browser = town.browser()
        refused = await browser.get(town.ask_oidc(organisation=OIDC_CITY))

        told_service = await browser.get(refused.link_to("back"))

        assert told_service.parameters()["error"] == "temporarily_unavailable"
        assert told_service.parameters()["error_description"] == "home_unreachable"
