"""Cities that misbehave: answers that never end, that are too large, that lead elsewhere, and key sets that hold anything at all.

Each costs bounded time and memory, and is refused as the city's fault.
"""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import SocketFactoryType, web
from aiohttp.test_utils import TestServer
from jwt.algorithms import RSAAlgorithm

from broker.errors import HomeUnreachable
from broker.fetch import DEFAULT_LIMIT, Fetcher, FetchError, RefusedAddress, TimedOut, TooLarge, open_fetcher
from broker.oidc import jose
from broker.oidc.errors import UnknownKey
from broker.oidc.jose import MAX_KEYS, KeySetUnusable
from tests.unit.oidc.parties import EC_KEY, FOREIGN_KEY, RSA_KEY, CitySide, public_jwk

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONFIGURATION = "/.well-known/openid-configuration"
ENDPOINTS = {
    "/token": "token_endpoint",
    "/jwks": "jwks_uri",
    "/userinfo": "userinfo_endpoint",
    "/par": "pushed_authorization_request_endpoint",
}
HUNDRED_MEGABYTES = 100 * 1024 * 1024
# Generous: the buffers of both ends are in this process.
MEMORY = 16 * 1024 * 1024

each_endpoint = pytest.mark.parametrize("path", [CONFIGURATION, *ENDPOINTS])


@asynccontextmanager
async def misbehaving(home: CitySide, path: str, handler: Handler) -> AsyncIterator[None]:
    """Another server that answers ``path`` badly. The city's metadata leads there; its issuer, where it is the metadata."""
    app = web.Application()
    app.router.add_route("*", path, handler)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    if path == CONFIGURATION:
        home.city.issuer = str(server.make_url("")).rstrip("/")
    else:
        home.city.metadata = {ENDPOINTS[path]: str(server.make_url(path))}
    try:
        yield
    finally:
        await server.close()


async def refused_as_unreachable(home: CitySide) -> FetchError | TimeoutError:
    """Why nothing came of it. TimeoutError: the deadline of the whole step was the first to pass."""
    with pytest.raises(HomeUnreachable) as caught:
        await home.log_in()
    cause = caught.value.__cause__
    assert isinstance(cause, FetchError | TimeoutError)
    return cause


@asynccontextmanager
async def impatient(home: CitySide, wire: SocketFactoryType, seconds: float = 0.3) -> AsyncIterator[None]:
    """The broker waits no longer than this."""
    async with open_fetcher(development=True, timeout_seconds=seconds, make_socket=wire) as fetcher:
        home.restart(fetcher)
        yield


# --- without end ------------------------------------------------------------------------------------------------------


async def streaming(
    request: web.Request, chunk: bytes, total: int | None = None, pause: float = 0
) -> web.StreamResponse:
    """``total`` octets, or without end."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    sent = 0
    try:
        while total is None or sent < total:
            await response.write(chunk)
            sent += len(chunk)
            await asyncio.sleep(pause)
    except ConnectionError:
        pass
    return response


async def huge(request: web.Request) -> web.StreamResponse:
    return await streaming(request, b" " * 65536)


async def dripping(request: web.Request) -> web.StreamResponse:
    """One octet at a time: each arrives soon, the whole never."""
    return await streaming(request, b" ", pause=0.01)


async def silent(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


@each_endpoint
async def test_an_endpoint_that_never_stops_sending_is_cut_off(home: CitySide, path: str) -> None:
    async with misbehaving(home, path, huge):
        assert isinstance(await refused_as_unreachable(home), TooLarge)


@each_endpoint
@pytest.mark.parametrize("handler", [dripping, silent])
async def test_an_endpoint_that_never_finishes_is_given_up(
    home: CitySide, path: str, handler: Handler, wire: SocketFactoryType
) -> None:
    async with impatient(home, wire), misbehaving(home, path, handler):
        assert isinstance(await refused_as_unreachable(home), TimedOut | TimeoutError)


async def test_all_calls_of_one_login_have_one_deadline(home: CitySide, wire: SocketFactoryType) -> None:
    """Each call alone would be quick enough; together they are not."""

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        tokens = {"access_token": "a", "token_type": "Bearer", "id_token": home.city.sign(home.city.claims)}
        return web.json_response({**tokens, "sub": "sub-1", "keys": home.city.jwks})

    async with impatient(home, wire, 0.5), misbehaving(home, "/token", slow):
        token_endpoint = dict(home.city.metadata)
        async with misbehaving(home, "/userinfo", slow):
            home.city.metadata |= token_endpoint
            with pytest.raises(HomeUnreachable):
                await home.log_in()


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 10_000, id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536, id="one_header"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, id="interim_answers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"y" * 65536, id="a_chunk_extension"),
    ],
)
async def test_an_answer_that_never_gets_to_its_body_is_given_up(
    home: CitySide, begin: bytes, more: bytes, wire: SocketFactoryType
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(begin)
            while True:
                writer.write(more)
                await writer.drain()
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1")
    home.city.issuer = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, impatient(home, wire):
        tracemalloc.start()
        try:
            await refused_as_unreachable(home)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < MEMORY


@each_endpoint
async def test_of_a_hundred_megabytes_no_more_than_the_limit_is_kept(home: CitySide, path: str) -> None:
    sent: list[int] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        async def counted(chunk: bytes) -> None:
            await written(chunk)
            sent.append(len(chunk))

        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        written = response.write
        try:
            for _ in range(HUNDRED_MEGABYTES // 65536):
                await counted(b" " * 65536)
        except ConnectionError:
            pass
        return response

    async with misbehaving(home, path, answer):
        tracemalloc.start()
        try:
            assert isinstance(await refused_as_unreachable(home), TooLarge)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < MEMORY
    assert sum(sent) < HUNDRED_MEGABYTES / 2


async def test_a_body_of_exactly_the_limit_is_read(home: CitySide) -> None:
    async def padded(_: web.Request) -> web.Response:
        return web.Response(body=json.dumps({"keys": home.city.jwks}).encode().ljust(DEFAULT_LIMIT))

    async with misbehaving(home, "/jwks", padded):
        assert await home.log_in()


# --- elsewhere --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def resolving(address: str, wire: SocketFactoryType) -> AsyncIterator[tuple[Fetcher, list[str]]]:
    """Every name stands for ``address``; and the names that were asked for."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return [address]

    async with open_fetcher(development=True, resolve=resolve, make_socket=wire) as fetcher:
        yield fetcher, asked


@pytest.mark.parametrize("name", ENDPOINTS.values())
@pytest.mark.parametrize("host", ["169.254.169.254", "10.0.0.1", "[fd00::1]", "[::ffff:10.0.0.1]"])
async def test_P8_an_endpoint_at_a_private_address_is_not_asked(
    home: CitySide, name: str, host: str, wire: SocketFactoryType
) -> None:
    home.city.metadata = {name: f"https://{host}/latest"}
    async with resolving("127.0.0.1", wire) as (fetcher, asked):
        home.restart(fetcher)
        assert isinstance(await refused_as_unreachable(home), RefusedAddress)
    assert asked == []


@pytest.mark.parametrize("name", ENDPOINTS.values())
async def test_P8_an_endpoint_whose_name_stands_for_a_private_address_is_not_asked(
    home: CitySide, name: str, wire: SocketFactoryType
) -> None:
    home.city.metadata = {name: "https://inner.ulvila.example/latest"}
    async with resolving("10.0.0.1", wire) as (fetcher, asked):
        home.restart(fetcher)
        assert isinstance(await refused_as_unreachable(home), RefusedAddress)
    assert asked == ["inner.ulvila.example"]


async def test_P8_an_issuer_whose_name_stands_for_a_private_address_is_not_asked(
    home: CitySide, wire: SocketFactoryType
) -> None:
    home.city.issuer = "https://login.ulvila.example"
    async with resolving("10.0.0.1", wire) as (fetcher, asked):
        home.restart(fetcher)
        assert isinstance(await refused_as_unreachable(home), RefusedAddress)
    assert asked == ["login.ulvila.example"]


@each_endpoint
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_P8_a_redirect_is_followed_nowhere(
    home: CitySide, path: str, status: int, wire: SocketFactoryType
) -> None:
    async def elsewhere(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "https://inner.ulvila.example/"})

    async with resolving("10.0.0.1", wire) as (fetcher, asked):
        home.restart(fetcher)
        async with misbehaving(home, path, elsewhere):
            await refused_as_unreachable(home)
    assert asked == []


# --- key sets ---------------------------------------------------------------------------------------------------------


async def test_a_jwks_of_ten_thousand_keys_is_refused(home: CitySide) -> None:
    home.city.jwks = [{"kty": "RSA", "kid": str(number)} for number in range(10_000)]
    with pytest.raises(HomeUnreachable):
        await home.log_in()


@pytest.mark.parametrize("count", [MAX_KEYS + 1, 10_000])
def test_a_jwks_of_too_many_keys_is_refused_however_small_they_are(count: int) -> None:
    with pytest.raises(KeySetUnusable):
        jose.read_key_set(json.dumps({"keys": [{}] * count}).encode())


async def test_a_jwks_of_as_many_keys_as_may_be_is_taken(home: CitySide) -> None:
    others = [public_jwk(EC_KEY, kid=str(number)) for number in range(MAX_KEYS - 1)]
    home.city.jwks = [*others, public_jwk(RSA_KEY, kid="k1")]
    assert await home.log_in()


async def test_broken_keys_beside_a_good_one_do_no_harm(home: CitySide) -> None:
    home.city.jwks = [
        {"kty": "RSA", "kid": "k0", "n": 1, "e": []},
        {"kty": "EC", "crv": "P-256", "kid": "k2", "x": "", "y": ""},
        {"kty": ["RSA"]},
        public_jwk(RSA_KEY, kid="k1"),
    ]
    assert await home.log_in()


@pytest.mark.parametrize("jwk", [{"kty": "RSA", "n": 1, "e": []}, {"kty": "RSA"}, {"kty": "RSA", "n": "", "e": ""}])
async def test_a_broken_key_of_the_very_kid_is_no_key(home: CitySide, jwk: dict[str, Any]) -> None:
    home.city.jwks = [{**jwk, "kid": "k1"}]
    with pytest.raises(UnknownKey):
        await home.log_in()


@pytest.mark.parametrize("second", [RSA_KEY, FOREIGN_KEY], ids=["the_same_key", "another_key"])
async def test_of_two_keys_with_one_kid_none_is_meant(home: CitySide, second: Any) -> None:
    home.city.jwks = [public_jwk(RSA_KEY, kid="k1"), public_jwk(second, kid="k1")]
    with pytest.raises(UnknownKey):
        await home.log_in()


async def test_rfc7517_4_2_two_keys_with_one_kid_are_told_apart_by_what_they_are_for(home: CitySide) -> None:
    home.city.jwks = [
        public_jwk(FOREIGN_KEY, kid="k1", use="enc"),
        public_jwk(EC_KEY, kid="k1"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "k1"},
        public_jwk(RSA_KEY, kid="k1", use="sig"),
    ]
    assert await home.log_in()


async def test_a_private_key_in_the_jwks_verifies_as_its_public_half(home: CitySide) -> None:
    """Its owner has lost it to everybody, which no relying party can mend; nothing private of it is kept here."""
    home.city.jwks = [{**RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True), "key_ops": ["sign"], "kid": "k1"}]
    assert await home.log_in()
