"""What a demo city or service learns of the broker, at first use: so the order in which they start does not matter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from aiohttp import ClientError, ClientSession, ClientTimeout

_Partner = TypeVar("_Partner")
_PATIENCE = ClientTimeout(total=10)


class PartnerUnreachable(Exception):
    """The broker does not answer, or not with what was asked for."""


class Lazily(Generic[_Partner]):
    """Makes a value once, when it is first asked for; an attempt that failed is made again."""

    def __init__(self, make: Callable[[], Awaitable[_Partner]]) -> None:
        self._make = make
        self._made: _Partner | None = None
        self._lock = asyncio.Lock()

    async def __call__(self) -> _Partner:
        async with self._lock:
            if self._made is None:
                self._made = await self._make()
            return self._made


async def fetch_metadata(url: str) -> str:
    """The broker's SAML metadata. Raises: PartnerUnreachable."""
    try:
        async with ClientSession(timeout=_PATIENCE) as session, session.get(url) as response:
            response.raise_for_status()
            return await response.text()
    except (ClientError, TimeoutError) as error:
        raise PartnerUnreachable(url) from error
