"""RedisStore: the short-lived state of any number of hosts, in Redis (6.2 or later) or Valkey.

Each method is one command, which Redis does as a whole. Redis must not be set to evict records before their time
(``maxmemory-policy`` other than ``noeviction``): an evicted message could be used twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio import Redis, Sentinel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from broker.errors import StateUnavailable
from broker.state import record_names
from broker.state.errors import StateUrlWrong
from broker.state.store import milliseconds

SENTINEL = "redis+sentinel"

_CONNECT_SECONDS = 2.0
# With reconnection and, with Sentinel, the search for the master. A person waits for several of these at the worst.
_LONGEST_SECONDS = 4.0
_CONNECTIONS = 100
_PROBE_LIFETIME = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelUrl:
    """``redis+sentinel://[user:password@]host:port,host:port/service[/db][?sentinel_password=…&tls=true]``."""

    sentinels: tuple[tuple[str, int], ...]
    service: str
    db: int = 0
    username: str | None = None
    password: str | None = None
    sentinel_password: str | None = None
    tls: bool = False


class RedisStore:
    """A RecordStore. Connects at first use.

    A command whose connection was lost is sent once more. If it had been done already, ``add`` answers False and
    ``take`` None: the login is refused, and nothing is used twice.
    """

    def __init__(self, url: str) -> None:
        """Raises: StateUrlWrong."""
        self._sentinel: Sentinel | None = None
        try:
            if urlsplit(url).scheme == SENTINEL:
                self._sentinel, self._redis = _by_sentinel(parse_sentinel_url(url))
            else:
                self._redis = Redis.from_url(url, **_options())
        except ValueError as error:
            # The error may quote the URL, and so its password.
            raise StateUrlWrong("not a Redis URL") from error
        self._slots = asyncio.Semaphore(_CONNECTIONS)

    async def put(self, name: str, value: bytes, lifetime: timedelta) -> None:
        expires = milliseconds(lifetime)
        await self._do(lambda: self._redis.set(name, value, px=expires))

    async def add(self, name: str, value: bytes, lifetime: timedelta) -> bool:
        expires = milliseconds(lifetime)
        return bool(await self._do(lambda: self._redis.set(name, value, px=expires, nx=True)))

    async def get(self, name: str) -> bytes | None:
        return _octets(await self._do(lambda: self._redis.get(name)))

    async def take(self, name: str) -> bytes | None:
        return _octets(await self._do(lambda: self._redis.getdel(name)))

    async def remove(self, name: str) -> None:
        await self._do(lambda: self._redis.delete(name))

    async def ping(self) -> None:
        # A write: a replica, or a Redis that is full, still answers PING.
        await self.put(record_names.probe(), b"", _PROBE_LIFETIME)

    async def close(self) -> None:
        await self._redis.aclose()
        for sentinel in self._sentinel.sentinels if self._sentinel else ():
            await sentinel.aclose()

    async def _do(self, command: Callable[[], Awaitable[object]]) -> object:
        try:
            async with asyncio.timeout(_LONGEST_SECONDS), self._slots:
                return await command()
        except (RedisError, OSError) as error:
            raise StateUnavailable(type(error).__name__) from error


def parse_sentinel_url(url: str) -> SentinelUrl:
    """Raises: ValueError."""
    parts = urlsplit(url)
    user, _, hosts = parts.netloc.rpartition("@")
    username, _, password = user.partition(":")
    service, _, db = parts.path.lstrip("/").partition("/")
    query = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    if parts.scheme != SENTINEL or not service or query.keys() - {"sentinel_password", "tls"}:
        raise ValueError("not a Sentinel URL")
    return SentinelUrl(
        sentinels=tuple(_address(host) for host in hosts.split(",")),
        service=service,
        db=int(db or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
        sentinel_password=query.get("sentinel_password"),
        tls=query.get("tls") == "true",
    )


def _address(text: str) -> tuple[str, int]:
    parts: SplitResult = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("a host is missing")
    return parts.hostname, parts.port or 26379


def _by_sentinel(url: SentinelUrl) -> tuple[Sentinel, Redis]:
    options = {**_options(), "password": url.sentinel_password, "ssl": url.tls}
    sentinel = Sentinel(url.sentinels, sentinel_kwargs=options)  # type: ignore[no-untyped-call]  # redis-py's own gap
    redis: Redis = sentinel.master_for(
        url.service, db=url.db, username=url.username, password=url.password, ssl=url.tls, **_options()
    )
    return sentinel, redis


def _options() -> dict[str, Any]:
    return {
        # A command is timed once, around all of it: redis-py's own timers, around each write and read, cost as much as the rest.
        "socket_timeout": None,
        "socket_connect_timeout": _CONNECT_SECONDS,
        # A connection that the server closed while it was idle. Not after a timeout: that would double the wait.
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        "protocol": 2,
    }


def _octets(value: object) -> bytes | None:
    assert value is None or isinstance(value, bytes)
    return value
