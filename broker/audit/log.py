"""DatabaseAuditLog: the AuditLog port. No answer leaves before its record is durable (promise P6)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from broker.audit.events import AuditEvent
from broker.audit.writer import AuditWriter, Entry, entry
from broker.errors import AuditUnavailable

# What one transaction takes at most: it holds the write lock meanwhile.
LARGEST_BATCH = 500

_Waiting = tuple[Entry, "asyncio.Future[None]"]


class DatabaseAuditLog:
    """Group commit: while one batch is on its way to the disk, the next one gathers; each waits for its own.

    ``start`` before the first ``append``. ``close`` writes what waits, and refuses what comes later.
    """

    def __init__(self, writer: AuditWriter) -> None:
        self._writer = writer
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        """Raises: AuditUnavailable."""
        await self._writer.open()
        self._task = asyncio.create_task(self._write(), name="audit log")

    async def append(self, event: AuditEvent) -> None:
        """Returns when the record is durable and chained. Cancelled or not, the event is recorded.

        Raises: AuditUnavailable; TypeError or ValueError, when ``event.detail`` is not JSON-able.
        """
        prepared = entry(event)
        if self._task is None or self._task.done() or self._closing:
            raise AuditUnavailable("the log is closed")
        durable = asyncio.get_running_loop().create_future()
        self._waiting.append((prepared, durable))
        self._wake.set()
        await durable

    async def close(self) -> None:
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await self._writer.close()

    async def _write(self) -> None:
        try:
            while self._waiting or not self._closing:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    batch = self._waiting[:LARGEST_BATCH]
                    del self._waiting[:LARGEST_BATCH]
                    await self._write_batch(batch)
        finally:
            # Reached early only if this task was cancelled or failed: then nobody may wait for ever.
            _fail(self._waiting, "the log is closed")

    async def _write_batch(self, batch: Sequence[_Waiting]) -> None:
        try:
            await self._writer.write([prepared for prepared, _ in batch])
        except AuditUnavailable as fault:
            _fail(batch, fault.detail)
        except BaseException:
            # Cancelled, or an error that nobody foresaw: not known to be durable is not durable.
            _fail(batch, "not known to be durable")
            raise
        else:
            for _, durable in batch:
                if not durable.done():
                    durable.set_result(None)


def _fail(batch: Sequence[_Waiting], detail: str) -> None:
    for _, durable in batch:
        if not durable.done():
            durable.set_exception(AuditUnavailable(detail))
