"""ReplayRecords: the ReplayCache port on a RecordStore."""

from __future__ import annotations

from datetime import timedelta

from broker.state import record_names
from broker.state.store import RecordStore


class ReplayRecords:
    def __init__(self, store: RecordStore) -> None:
        self._store = store

    async def first_use(self, issuer: str, message_id: str, lifetime: timedelta) -> bool:
        """True to exactly one caller within ``lifetime``, which must be positive. Raises: StateUnavailable."""
        return await self._store.add(record_names.message(issuer, message_id), b"", lifetime)
