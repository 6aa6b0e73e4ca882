"""CurrentSubjects: what this process makes identifiers by, kept equal to the newest migration."""

from __future__ import annotations

import asyncio

import structlog

from broker.attributes.identifiers import Subjects
from broker.identifiers.errors import KeptIdentitiesUnreadable
from broker.identifiers.ledger import Ledger
from broker.keys.keyring import SubjectKeys

log = structlog.get_logger(__name__)


class CurrentSubjects:
    """Called, it gives the snapshot."""

    def __init__(self, ledger: Ledger, keys: SubjectKeys) -> None:
        self._ledger = ledger
        self._snapshot = Subjects(keys=keys)
        self._tried = 0

    def __call__(self) -> Subjects:
        return self._snapshot

    async def load(self) -> None:
        """At the start. Raises: KeptIdentitiesUnreadable (promise P9)."""
        self._snapshot = await self._ledger.subjects()
        self._tried = self._snapshot.number

    async def refresh(self) -> bool:
        """Whether a newer one was taken into use. One that cannot be read leaves the last good one, and says so."""
        if await self._ledger.newest() == self._tried:
            return False
        number, moves, rows = await self._ledger.rows()
        self._tried = number
        try:
            self._snapshot = await asyncio.to_thread(self._ledger.read, number, moves, rows)
        except KeptIdentitiesUnreadable as fault:
            log.error("identifiers.not_usable", number=number, reason=fault.code)
            return False
        log.info("identifiers.migration", number=number, people=len(rows))
        return True
