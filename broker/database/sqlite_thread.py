"""SqliteThread: one SQLite connection in a thread of its own, for what every login does.

aiosqlite hands each statement to its thread and back. Here a whole operation is handed over, and everything that was
queued while the thread was busy becomes one transaction and one wake-up of the event loop (group commit).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from broker.database import sqlite_file

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]

# A transaction of this many operations holds the file's write lock for some ten milliseconds.
LARGEST_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Queued:
    operation: Operation[Any]
    writes: bool
    future: asyncio.Future[Any]


class SqliteThread:
    """All of a batch is committed, or none of it: an operation that fails undoes the others of its batch.

    ``prepare`` is run on each new connection. The file must be there (``sqlite_file.create``); when it is removed or
    replaced, operations fail until there is one again: a connection to a removed file would go on writing to nowhere.
    """

    def __init__(
        self, file: Path, *, synchronous: sqlite_file.Synchronous, prepare: Operation[None] | None = None
    ) -> None:
        self._file = file
        self._synchronous = synchronous
        self._prepare = prepare
        self._queue: SimpleQueue[_Queued | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=f"sqlite {file.name}", daemon=True)
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._open = False

    async def open(self) -> None:
        """Raises: sqlite3.Error."""
        self._loop = asyncio.get_running_loop()
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        self._open = True
        self._thread.start()
        try:
            await self.run(lambda connection: None, writes=False)
        except sqlite3.Error:
            await self.close()
            raise

    async def run(self, operation: Operation[T], *, writes: bool = True) -> T:
        """Returns what ``operation`` returned, after its transaction was committed. Raises: sqlite3.Error."""
        if not self._open:
            raise sqlite3.ProgrammingError("the connection is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Queued(operation=operation, writes=writes, future=future))
        return await future

    async def close(self) -> None:
        """Finishes what is queued."""
        if self._open:
            self._open = False
            self._queue.put(None)
            await self._stopped

    # --- in the thread -------------------------------------------------------------------------------------------

    def _work(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._next_batch()
            if batch:
                self._deliver(batch, *self._outcome(batch))
        self._disconnect()
        self._in_loop(self._stopped.set_result, None)

    def _next_batch(self) -> tuple[list[_Queued], bool]:
        """Waits for one operation, and takes what else is queued. True: there will be no more."""
        batch: list[_Queued] = []
        queued = self._queue.get()
        while queued is not None:
            batch.append(queued)
            if len(batch) == LARGEST_BATCH:
                return batch, False
            try:
                queued = self._queue.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _outcome(self, batch: list[_Queued]) -> tuple[list[Any], Exception | None]:
        try:
            return self._in_transaction(batch), None
        # Whatever it is, it is for those who wait: a thread that died of it would leave them waiting for ever.
        except Exception as error:  # noqa: BLE001, handed on whole
            return [], error

    def _in_transaction(self, batch: list[_Queued]) -> list[Any]:
        connection = self._connected()
        # A lock is taken at once if there is something to write: one taken later could fail without waiting.
        connection.execute("BEGIN IMMEDIATE" if any(queued.writes for queued in batch) else "BEGIN")
        try:
            results = [queued.operation(connection) for queued in batch]
            connection.execute("COMMIT")
        except Exception:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return results

    def _connected(self) -> sqlite3.Connection:
        try:
            inode = os.stat(self._file).st_ino
        except OSError as error:
            self._disconnect()
            raise sqlite3.OperationalError("the database file is not there") from error
        if self._connection is not None and inode == self._inode:
            return self._connection
        self._disconnect()
        self._connection, self._inode = sqlite_file.connect(self._file, self._synchronous), 0
        if self._prepare is not None:
            self._prepare(self._connection)
        # Only now: a connection whose preparation failed is not used.
        self._inode = inode
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _deliver(self, batch: list[_Queued], results: list[Any], error: Exception | None) -> None:
        self._in_loop(_settle, [queued.future for queued in batch], results, error)

    def _in_loop(self, callback: Callable[..., None], *arguments: object) -> None:
        # When the loop is closed, nobody waits any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)


def _settle(futures: list[asyncio.Future[Any]], results: list[Any], error: Exception | None) -> None:
    # A future whose caller was cancelled is done already.
    if error is not None:
        for future in futures:
            if not future.done():
                future.set_exception(error)
        return
    for future, result in zip(futures, results, strict=True):
        if not future.done():
            future.set_result(result)
