"""The only way out to a URL that somebody gave us (promise P8): guarded, bounded, timed.

https only, no redirect, no proxy, no cookie. A host's addresses are checked after it is resolved, and the connection goes
to an address that was checked: a name that changes between the two (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import ClassVar

import aiohttp
from aiohttp import SocketFactoryType
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from broker.breaker import Breaker, Outcome
from broker.settings import is_loopback

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as text, for a connection to a port. Raises: OSError, when there are none."""

DEFAULT_TIMEOUT_SECONDS = 8.0
DEFAULT_LIMIT = 256 * 1024
"""Octets of an answer's body."""

# A POST is not sent again when a kept connection turns out to be closed, so ours are given up before servers do it.
_KEEPALIVE_SECONDS = 3
_CONNECTIONS_PER_HOST = 50
_CHUNK = 64 * 1024
_URL = re.compile(r"https?://[!-~]{1,8000}")
# Special by IANA's registries, which the tables of some Python versions lack; and IPv6 that stands for IPv4 by a translator.
_SPECIAL = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/23",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)


class FetchError(Exception):
    """Nothing usable came back. The text names the host at most, never a whole URL, which may hold a secret.

    ``outcome``: what that says of the partner's reach.
    """

    reason: ClassVar[str] = "failed"
    outcome: ClassVar[Outcome] = Outcome.UNKNOWN

    def __init__(self, host: str) -> None:
        super().__init__(f"{host}: {self.reason}")
        self.host = host


class RefusedUrl(FetchError):
    """Not https, or not a URL with a host and nothing else before it."""

    reason = "the URL is not allowed"


class RefusedAddress(FetchError):
    """The host is, or resolves to, an address that is not of the public internet."""

    reason = "the address is not allowed"


class NotReachable(FetchError):
    """No such host, no connection, no TLS that we trust, or it broke off."""

    reason = "not reachable"
    outcome = Outcome.UNREACHABLE


class TimedOut(FetchError):
    reason = "timed out"
    outcome = Outcome.UNREACHABLE


class Suspended(FetchError):
    """The partner could not be reached lately, and is not asked for a moment (``breaker.py``)."""

    reason = "not asked, because it could not be reached lately"


class TooLarge(FetchError):
    reason = "the answer is too large"
    outcome = Outcome.REACHED


class UnexpectedStatus(FetchError):
    """Any status but the one of success; redirects too, which are never followed. ``body`` is the partner's: judge it before
    use."""

    reason = "unexpected status"
    outcome = Outcome.REACHED

    def __init__(self, host: str, status: int, body: bytes) -> None:
        super().__init__(host)
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer with the status of success. ``content_type``: lower-case, without parameters."""

    content_type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Which URLs and addresses may be asked. ``development``: loopback too, there also by http."""

    development: bool = False
    allowed_networks: tuple[Network, ...] = ()

    def check_url(self, url: URL) -> str:
        """The host. Raises: RefusedUrl, RefusedAddress (a host that is an address is never resolved)."""
        host = url.host or ""
        by_http = url.scheme == "http" and self.development and is_loopback(host)
        if not host or url.user is not None or url.password is not None or not (url.scheme == "https" or by_http):
            raise RefusedUrl(host)
        try:
            address = ip_address(host)
        except ValueError:
            return host
        self.check_address(host, address)
        return host

    def check_address(self, host: str, address: Address) -> None:
        """Raises: RefusedAddress."""
        known = any(_is_in(address, network) for network in self.allowed_networks)
        if not (known or _is_public(address) or (self.development and address.is_loopback)):
            raise RefusedAddress(host)


class Fetcher:
    """One for the whole process, with one pool of connections; ``toward`` and ``until`` give others that share it."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        guard: Guard,
        timeout_seconds: float,
        breaker: Breaker | None = None,
        deadline: asyncio.Timeout | None = None,
    ) -> None:
        self._session = session
        self._guard = guard
        self.timeout_seconds = timeout_seconds
        self._breaker = breaker
        self._deadline = deadline

    def toward(self, breaker: Breaker) -> Fetcher:
        """The way to the one partner whose breaker this is."""
        return Fetcher(self._session, self._guard, self.timeout_seconds, breaker)

    def until(self, deadline: asyncio.Timeout) -> Fetcher:
        """For calls inside this timeout: whom it interrupts is waiting for a partner that does not answer."""
        return Fetcher(self._session, self._guard, self.timeout_seconds, self._breaker, deadline)

    async def get(
        self,
        url: str,
        *,
        limit: int = DEFAULT_LIMIT,
        timeout_seconds: float | None = None,
        authorization: str | None = None,
    ) -> Fetched:
        """``limit``: octets of the body. ``authorization``: that header's value. Raises: FetchError."""
        return await self._fetch("GET", url, limit, timeout_seconds, authorization)

    async def post_form(
        self,
        url: str,
        fields: Mapping[str, str],
        *,
        limit: int = DEFAULT_LIMIT,
        timeout_seconds: float | None = None,
        authorization: str | None = None,
        success: int = 200,
    ) -> Fetched:
        """Sends ``fields`` as application/x-www-form-urlencoded. ``success``: the status of a good answer. Raises: FetchError."""
        return await self._fetch("POST", url, limit, timeout_seconds, authorization, fields, success=success)

    async def post(
        self, url: str, body: bytes, *, content_type: str, headers: Mapping[str, str], limit: int = DEFAULT_LIMIT
    ) -> Fetched:
        """Sends ``body`` as it is. Raises: FetchError."""
        sent = {"Content-Type": content_type, **headers}
        return await self._fetch("POST", url, limit, None, None, body, sent)

    async def _fetch(
        self,
        method: str,
        text: str,
        limit: int,
        timeout_seconds: float | None,
        authorization: str | None,
        data: Mapping[str, str] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        success: int = 200,
    ) -> Fetched:
        url = _parsed(text)
        host = self._guard.check_url(url)
        with self._counted(host):
            try:
                async with (
                    asyncio.timeout(timeout_seconds or self.timeout_seconds),
                    self._session.request(
                        method,
                        url,
                        data=data,
                        headers={"Authorization": authorization} if authorization else headers,
                        allow_redirects=False,
                    ) as response,
                ):
                    body = await _read(response, host, limit)
            except TimeoutError as error:
                raise TimedOut(host) from error
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise NotReachable(host) from error
            if response.status != success:
                raise UnexpectedStatus(host, response.status, body)
        return Fetched(content_type=response.content_type.lower(), body=body)

    @contextmanager
    def _counted(self, host: str) -> Iterator[None]:
        """Tells the breaker what came of a call. Raises: Suspended."""
        if self._breaker is None:
            yield
            return
        attempt = self._breaker.begin()
        if attempt is None:
            raise Suspended(host)
        outcome = Outcome.UNKNOWN
        try:
            yield
            outcome = Outcome.REACHED
        except FetchError as error:
            outcome = error.outcome
            raise
        except asyncio.CancelledError:
            # By the deadline, the partner was too slow; else somebody gave up, which says nothing of the partner.
            if self._deadline is not None and self._deadline.expired():
                outcome = Outcome.UNREACHABLE
            raise
        finally:
            self._breaker.end(attempt, outcome)


@asynccontextmanager
async def open_fetcher(
    *,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    development: bool = False,
    allowed_networks: tuple[Network, ...] = (),
    resolve: Resolve | None = None,
    make_socket: SocketFactoryType | None = None,
) -> AsyncIterator[Fetcher]:
    """A Fetcher, closed at the end of the block. ``resolve``, ``make_socket``: default, the system's."""
    guard = Guard(development=development, allowed_networks=allowed_networks)
    connector = aiohttp.TCPConnector(
        resolver=_GuardedResolver(resolve or _system_resolve, guard),
        use_dns_cache=False,
        limit=0,
        limit_per_host=_CONNECTIONS_PER_HOST,
        keepalive_timeout=_KEEPALIVE_SECONDS,
        socket_factory=make_socket,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        # What arrives is counted as it arrives: no compression that makes much of little.
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "kuntasilta"},
        timeout=aiohttp.ClientTimeout(total=None),
    ) as session:
        yield Fetcher(session, guard, timeout_seconds)


class _GuardedResolver(AbstractResolver):
    """Hands aiohttp only addresses that were checked, so that it connects to no other."""

    def __init__(self, resolve: Resolve, guard: Guard) -> None:
        self._resolve = resolve
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """One wrong address among several refuses the host. Raises: RefusedAddress, OSError."""
        # glibc resolves "localhost" alone; RFC 6761 section 6.3 means the names below it too.
        texts = ("127.0.0.1",) if is_loopback(host) else await self._resolve(host, port)
        addresses = [ip_address(text) for text in texts]
        for address in addresses:
            self._guard.check_address(host, address)
        return [_result(host, port, address) for address in addresses]

    async def close(self) -> None:
        """Holds nothing."""


def _result(host: str, port: int, address: Address) -> ResolveResult:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=str(address), port=port, family=family, proto=0, flags=flags)


async def _system_resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


async def _read(response: aiohttp.ClientResponse, host: str, limit: int) -> bytes:
    """Stops at the first octet too many, whatever Content-Length promised. Raises: TooLarge."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > limit:
            raise TooLarge(host)
    return bytes(body)


def _parsed(text: str) -> URL:
    """As it is written, octet by octet, so it must be written as RFC 3986 says. Raises: RefusedUrl."""
    if not _URL.fullmatch(text):
        raise RefusedUrl("")
    try:
        url = URL(text, encoded=True)
        # Parsed when first asked for.
        _ = url.host, url.port
    except ValueError as error:
        raise RefusedUrl("") from error
    return url


def _is_public(address: Address) -> bool:
    """Whether the address is of the public internet. An IPv4 address written as IPv6 counts as itself."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return _is_public(address.ipv4_mapped)
    if any(_is_in(address, network) for network in _SPECIAL):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _is_in(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network
