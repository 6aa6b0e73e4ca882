"""GrantRecords: the GrantStore port on a RecordStore. The secret that a client holds is stored only as its hash."""

from __future__ import annotations

from datetime import timedelta

from broker.state import record_names
from broker.state.store import RecordStore


class GrantRecords:
    def __init__(self, store: RecordStore) -> None:
        self._store = store

    async def put(self, kind: str, secret: str, value: bytes, lifetime: timedelta) -> None:
        await self._store.put(record_names.grant(kind, secret), value, lifetime)

    async def get(self, kind: str, secret: str) -> bytes | None:
        return await self._store.get(record_names.grant(kind, secret))

    async def take(self, kind: str, secret: str) -> bytes | None:
        return await self._store.take(record_names.grant(kind, secret))

    async def remove(self, kind: str, secret: str) -> None:
        await self._store.remove(record_names.grant(kind, secret))
