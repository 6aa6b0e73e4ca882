"""P8: every URL given by others is asked through one guarded way out. No packet of these tests leaves loopback."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import SocketFactoryType, web
from aiohttp.test_utils import TestServer
from yarl import URL

from broker.breaker import FAILURES, Breaker
from broker.fetch import (
    Fetcher,
    FetchError,
    Guard,
    NotReachable,
    RefusedAddress,
    RefusedUrl,
    Suspended,
    TimedOut,
    TooLarge,
    UnexpectedStatus,
    open_fetcher,
)

FORBIDDEN = [
    "0.0.0.0",  # noqa: S104 - never bound to
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.5",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "64:ff9b::a00:1",
    "2001::1",
    "2001:db8::1",
    "2002:a00:1::1",
    "fc00::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


class Names:
    """A resolver that knows what it is told, and notes what it was asked."""

    def __init__(self, **known: Sequence[str]) -> None:
        self.known = known
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.known:
            raise OSError("no such host")
        return self.known[host]


class Server:
    """A server on loopback that counts who comes."""

    def __init__(self) -> None:
        self.visits: list[web.Request] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/good", self._good)
        app.router.add_post("/form", self._form)
        app.router.add_get("/elsewhere", self._elsewhere)
        app.router.add_get("/endless", self._endless)
        app.router.add_get("/slow", self._slow)
        app.router.add_get("/cookie", self._cookie)
        return app

    async def _good(self, request: web.Request) -> web.Response:
        self.visits.append(request)
        return web.json_response({"ok": True})

    async def _form(self, request: web.Request) -> web.Response:
        return web.json_response(dict(await request.post()), status=400)

    async def _elsewhere(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/good")

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            self.visits.append(request)
        return response

    async def _slow(self, request: web.Request) -> web.StreamResponse:
        """One octet at a time: each arrives soon, the whole never."""
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.01)
        except ConnectionError:
            return response

    async def _cookie(self, request: web.Request) -> web.Response:
        self.visits.append(request)
        response = web.Response()
        response.set_cookie("a", "b")
        return response


@pytest.fixture
async def fetcher(wire: SocketFactoryType) -> AsyncIterator[Fetcher]:
    async with open_fetcher(development=True, timeout_seconds=5, resolve=Names(), make_socket=wire) as opened:
        yield opened


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Server, str]]:
    served = Server()
    server = TestServer(served.application(), host="127.0.0.1")
    await server.start_server()
    try:
        yield served, str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


@pytest.mark.parametrize("address", FORBIDDEN)
def test_P8_addresses_that_are_not_of_the_public_internet_are_refused(address: str) -> None:
    with pytest.raises(RefusedAddress):
        Guard().check_address("host", ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_P8_addresses_of_the_public_internet_are_allowed(address: str) -> None:
    Guard().check_address("host", ipaddress.ip_address(address))


def test_P8_a_network_can_be_allowed_and_only_that_network() -> None:
    guard = Guard(allowed_networks=(ipaddress.ip_network("10.20.0.0/16"),))

    guard.check_address("idp.pori.internal", ipaddress.ip_address("10.20.1.1"))
    with pytest.raises(RefusedAddress):
        guard.check_address("idp.pori.internal", ipaddress.ip_address("10.21.1.1"))


def test_P8_development_opens_loopback_and_nothing_else() -> None:
    guard = Guard(development=True)

    guard.check_address("localhost", ipaddress.ip_address("127.0.0.1"))
    with pytest.raises(RefusedAddress):
        guard.check_address("intranet", ipaddress.ip_address("10.0.0.1"))


@pytest.mark.parametrize(
    "url",
    [
        "http://city.example/",
        "ftp://city.example/",
        "file:///etc/passwd",
        "https://user@city.example/",
        "https://user:password@city.example/",
        "https:///path",
        "city.example",
        "//city.example/",
        "",
        "https://[::1",
        "https://city.example:99999/",
        "https://city.example/ HTTP/1.1\r\nX: y",
        "https://city.example/ä",
    ],
)
async def test_P8_only_https_with_a_host_alone(url: str, wire: SocketFactoryType) -> None:
    names = Names()
    async with open_fetcher(resolve=names, make_socket=wire) as fetcher:
        with pytest.raises(RefusedUrl):
            await fetcher.get(url)
    assert names.asked == []


@pytest.mark.parametrize("host", ["city.example", "localhost.city.example", "127.0.0.2"])
def test_P8_http_is_for_loopback_in_development(host: str) -> None:
    with pytest.raises(RefusedUrl):
        Guard(development=True).check_url(URL(f"http://{host}/"))


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/", "https://[fe80::1]/"])
async def test_P8_a_host_that_is_an_address_is_checked_without_a_resolver(url: str, wire: SocketFactoryType) -> None:
    async with open_fetcher(resolve=Names(), make_socket=wire) as fetcher:
        with pytest.raises(RefusedAddress):
            await fetcher.get(url)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
async def test_P8_other_spellings_of_an_address_reach_nothing(host: str, wire: SocketFactoryType) -> None:
    async with open_fetcher(resolve=Names(**{host: ["127.0.0.1"]}), make_socket=wire) as fetcher:
        with pytest.raises(FetchError):
            await fetcher.get(f"https://{host}/")


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["1.1.1.1", "10.0.0.1"], ["::ffff:127.0.0.1"]])
async def test_P8_a_name_that_resolves_inwards_is_refused_before_any_connection(
    addresses: list[str], wire: SocketFactoryType
) -> None:
    async with (
        serving() as (server, _),
        open_fetcher(resolve=Names(**{"city.example": addresses}), make_socket=wire) as fetcher,
    ):
        with pytest.raises(RefusedAddress):
            await fetcher.get("https://city.example/good")
    assert server.visits == []


async def test_P8_the_connection_goes_to_the_address_that_was_checked(wire: SocketFactoryType) -> None:
    """DNS rebinding: a second question would get another answer, so there is none."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    visits = 0

    async def rebinding(host: str, port: int) -> Sequence[str]:
        return next(answers)

    def visited(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        writer.close()

    listener = await asyncio.start_server(visited, "127.0.0.1")
    port = listener.sockets[0].getsockname()[1]
    allowed = (ipaddress.ip_network("127.0.0.1/32"),)
    async with listener, open_fetcher(resolve=rebinding, allowed_networks=allowed, make_socket=wire) as fetcher:
        # It speaks no TLS: what matters is that the connection came here.
        with pytest.raises(NotReachable):
            await fetcher.get(f"https://city.example:{port}/good")
    assert visits == 1
    assert next(answers) == ["10.0.0.1"]


async def test_an_answer_comes_back_with_its_type(fetcher: Fetcher) -> None:
    async with serving() as (server, base):
        found = await fetcher.get(f"{base}/good", authorization="Bearer t")

    assert (found.content_type, found.body) == ("application/json", b'{"ok": true}')
    assert server.visits[0].headers["Authorization"] == "Bearer t"


async def test_names_under_localhost_are_loopback_in_development(fetcher: Fetcher) -> None:
    async with serving() as (_, base):
        assert (await fetcher.get(f"{base.replace('127.0.0.1', 'pori.localhost')}/good")).body


async def test_a_form_is_sent_and_an_error_status_keeps_its_body(fetcher: Fetcher) -> None:
    async with serving() as (_, base):
        with pytest.raises(UnexpectedStatus) as refused:
            await fetcher.post_form(f"{base}/form", {"a": "ä&b"})

    assert (refused.value.status, refused.value.body) == (400, b'{"a": "\\u00e4&b"}')


async def test_P8_redirects_are_not_followed(fetcher: Fetcher) -> None:
    async with serving() as (server, base):
        with pytest.raises(UnexpectedStatus) as refused:
            await fetcher.get(f"{base}/elsewhere")

    assert refused.value.status == 302
    assert server.visits == []


async def test_P8_an_answer_that_never_ends_is_cut_at_the_limit(fetcher: Fetcher) -> None:
    async with serving() as (_, base):
        with pytest.raises(TooLarge):
            await fetcher.get(f"{base}/endless", limit=100_000)


async def test_P8_the_whole_answer_has_one_timeout(fetcher: Fetcher) -> None:
    async with serving() as (_, base):
        with pytest.raises(TimedOut):
            await fetcher.get(f"{base}/slow", timeout_seconds=0.1)


async def test_P8_no_cookie_is_kept(fetcher: Fetcher) -> None:
    async with serving() as (server, base):
        await fetcher.get(f"{base}/cookie")
        await fetcher.get(f"{base}/cookie")

    assert "Cookie" not in server.visits[1].headers


async def test_P8_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, wire: SocketFactoryType) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with serving() as (_, base), open_fetcher(development=True, make_socket=wire) as fetcher:
        assert (await fetcher.get(f"{base}/good")).body


async def test_nobody_there(fetcher: Fetcher) -> None:
    with pytest.raises(NotReachable):
        await fetcher.get("http://127.0.0.1:1/")
    with pytest.raises(NotReachable):
        await fetcher.get("https://nowhere.example/")


@pytest.mark.parametrize(
    ("path", "options", "fault"),
    [
        ("/elsewhere", {}, UnexpectedStatus),
        ("/endless", {"limit": 1000}, TooLarge),
    ],
)
async def test_an_answer_that_is_of_no_use_shows_that_its_sender_can_be_reached(
    fetcher: Fetcher, path: str, options: dict[str, int], fault: type[FetchError]
) -> None:
    partner = fetcher.toward(Breaker(lambda: datetime(2026, 3, 2, tzinfo=UTC)))
    async with serving() as (_, base):
        for _ in range(FAILURES - 1):
            with pytest.raises(NotReachable):
                await partner.get("http://127.0.0.1:1/")
        with pytest.raises(fault):
            await partner.get(f"{base}{path}", **options)
        with pytest.raises(NotReachable):
            await partner.get("http://127.0.0.1:1/")
        assert (await partner.get(f"{base}/good")).body


@pytest.mark.parametrize(
    ("url", "options", "fault"),
    [("http://127.0.0.1:1/", {}, NotReachable), ("BASE/slow", {"timeout_seconds": 0.02}, TimedOut)],
)
async def test_P10_who_cannot_be_reached_is_not_asked_for_a_while_and_others_are(
    fetcher: Fetcher, url: str, options: dict[str, float], fault: type[FetchError]
) -> None:
    def clock() -> datetime:
        return datetime(2026, 3, 2, tzinfo=UTC)

    partner, other = fetcher.toward(Breaker(clock)), fetcher.toward(Breaker(clock))
    async with serving() as (server, base):
        for _ in range(FAILURES):
            with pytest.raises(fault):
                await partner.get(url.replace("BASE", base), **options)
        with pytest.raises(Suspended):
            await partner.get(f"{base}/good")
        assert server.visits == []
        assert (await other.get(f"{base}/good")).body
        assert (await fetcher.get(f"{base}/good")).body


async def test_P8_an_address_that_is_refused_says_nothing_of_its_partner(wire: SocketFactoryType) -> None:
    names = Names(**{"city.example": ["10.0.0.1"]})
    async with open_fetcher(resolve=names, make_socket=wire) as fetcher:
        partner = fetcher.toward(Breaker(lambda: datetime(2026, 3, 2, tzinfo=UTC)))
        for _ in range(FAILURES + 1):
            with pytest.raises(RefusedAddress):
                await partner.get("https://city.example/")


async def test_P7_an_error_names_the_host_and_nothing_else_of_the_url(fetcher: Fetcher) -> None:
    with pytest.raises(FetchError) as refused:
        await fetcher.get("http://127.0.0.1:1/path?token=s3cret")

    assert str(refused.value) == "127.0.0.1: not reachable"
