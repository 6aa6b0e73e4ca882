"""MemoryStore: the short-lived state of a single process, for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from heapq import heappop, heappush

from broker.state.store import milliseconds


class MemoryStore:
    """A RecordStore. Expired records are removed as others are stored, those that expired first before all others."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """``monotonic``: seconds of a clock that never goes back."""
        self._monotonic = monotonic
        self._records: dict[str, tuple[float, bytes]] = {}
        self._expiries: list[tuple[float, str]] = []

    async def put(self, name: str, value: bytes, lifetime: timedelta) -> None:
        expires = self._monotonic() + milliseconds(lifetime) / 1000
        self._remove_expired()
        self._records[name] = (expires, value)
        heappush(self._expiries, (expires, name))

    async def add(self, name: str, value: bytes, lifetime: timedelta) -> bool:
        if self._live(name) is not None:
            return False
        await self.put(name, value, lifetime)
        return True

    async def get(self, name: str) -> bytes | None:
        return self._live(name)

    async def take(self, name: str) -> bytes | None:
        value = self._live(name)
        self._records.pop(name, None)
        return value

    async def remove(self, name: str) -> None:
        self._records.pop(name, None)

    async def ping(self) -> None:
        """Always there."""

    async def close(self) -> None:
        self._records.clear()
        self._expiries.clear()

    def _live(self, name: str) -> bytes | None:
        expires, value = self._records.get(name, (0.0, None))
        return value if expires > self._monotonic() else None

    def _remove_expired(self) -> None:
        now = self._monotonic()
        while self._expiries and self._expiries[0][0] <= now:
            expires, name = heappop(self._expiries)
            # The record may be gone, or have been stored anew with a later end.
            if name in self._records and self._records[name][0] == expires:
                del self._records[name]
