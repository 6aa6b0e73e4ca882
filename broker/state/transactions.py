"""TransactionRecords: the TransactionStore port on a RecordStore."""

from __future__ import annotations

from broker.errors import LoginUsedOrExpired
from broker.login.ports import Clock
from broker.login.transaction import LoginTransaction, TransactionId
from broker.state import record_names
from broker.state.store import RecordStore
from broker.state.transaction_json import from_octets, to_octets


class TransactionRecords:
    """Every method may also raise StateUnavailable; ``get`` and ``take`` RecordUnreadable."""

    def __init__(self, store: RecordStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def put(self, transaction: LoginTransaction) -> None:
        """Raises: LoginUsedOrExpired, when its time is over."""
        lifetime = transaction.expires_at - self._clock()
        if lifetime.total_seconds() <= 0:
            raise LoginUsedOrExpired("expired")
        await self._store.put(record_names.transaction(transaction.id), to_octets(transaction), lifetime)

    async def get(self, id: TransactionId) -> LoginTransaction:
        """Raises: LoginUsedOrExpired."""
        return self._read(id, await self._store.get(record_names.transaction(id)))

    async def take(self, id: TransactionId) -> LoginTransaction:
        """Raises: LoginUsedOrExpired, to all but one caller."""
        return self._read(id, await self._store.take(record_names.transaction(id)))

    def _read(self, id: TransactionId, octets: bytes | None) -> LoginTransaction:
        if octets is None:
            raise LoginUsedOrExpired("not there")
        transaction = from_octets(id, octets)
        # The store's clock may be behind ours.
        if self._clock() >= transaction.expires_at:
            raise LoginUsedOrExpired("expired")
        return transaction
