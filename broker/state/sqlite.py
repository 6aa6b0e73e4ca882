"""SqliteStore: the short-lived state of all worker processes on one host, in an SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from broker.database import sqlite_file
from broker.database.sqlite_thread import Operation, SqliteThread
from broker.errors import StateUnavailable
from broker.state.store import milliseconds

T = TypeVar("T")

# The table is this module's own, not the migrations': the file may be another one than that of the durable state.
_TABLE = """
    CREATE TABLE IF NOT EXISTS state_records (name TEXT PRIMARY KEY, value BLOB NOT NULL, expires INTEGER NOT NULL)
    WITHOUT ROWID
"""
_INDEX = "CREATE INDEX IF NOT EXISTS state_records_expires ON state_records (expires)"
_PUT = "INSERT OR REPLACE INTO state_records (name, value, expires) VALUES (?, ?, ?)"
_ADD = """
    INSERT INTO state_records (name, value, expires) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, expires = excluded.expires WHERE expires <= ?
    RETURNING 1
"""
_GET = "SELECT value FROM state_records WHERE name = ? AND expires > ?"
_TAKE = "DELETE FROM state_records WHERE name = ? AND expires > ? RETURNING value"
_REMOVE = "DELETE FROM state_records WHERE name = ?"
_REMOVE_EXPIRED = """
    DELETE FROM state_records WHERE name IN (SELECT name FROM state_records WHERE expires <= ? LIMIT ?)
"""

# Expired records go by twice as many at a time as were stored since: they never pile up, and no login waits long.
_STORED_BETWEEN_REMOVALS = 100
_REMOVED_AT_ONCE = 200


class SqliteStore:
    """A RecordStore. What is stored survives the death of the process; a power failure only once the file was synchronised.
    In the same file as the audit log that is done by each login's audit record, before its answer leaves: a message that
    was used stays used.

    Expired records are removed as others are stored, and whenever the store is asked how it is.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        """``clock``: seconds since 1970, the same in every process."""
        self._file = file
        self._clock = clock
        self._thread = SqliteThread(file, synchronous="NORMAL", prepare=_prepare)
        self._stored = 0

    async def open(self) -> None:
        """Creates the file if need be. Raises: StateUnavailable."""
        try:
            await asyncio.to_thread(sqlite_file.create, self._file)
            await self._thread.open()
        except (OSError, sqlite3.Error) as error:
            raise StateUnavailable(f"{self._file}: {error}") from error

    async def put(self, name: str, value: bytes, lifetime: timedelta) -> None:
        now = self._now()
        row = (name, value, now + milliseconds(lifetime))
        await self._run(lambda connection: self._store(connection, now, _PUT, row))

    async def add(self, name: str, value: bytes, lifetime: timedelta) -> bool:
        now = self._now()
        row = (name, value, now + milliseconds(lifetime), now)
        return await self._run(lambda connection: self._store(connection, now, _ADD, row)) is not None

    async def get(self, name: str) -> bytes | None:
        return await self._run(lambda connection: _value(connection, _GET, name, self._now()), writes=False)

    async def take(self, name: str) -> bytes | None:
        return await self._run(lambda connection: _value(connection, _TAKE, name, self._now()))

    async def remove(self, name: str) -> None:
        await self._run(lambda connection: connection.execute(_REMOVE, (name,)))

    async def ping(self) -> None:
        await self._run(lambda connection: self._remove_expired(connection, self._now()))

    async def close(self) -> None:
        await self._thread.close()

    async def _run(self, operation: Operation[T], *, writes: bool = True) -> T:
        try:
            return await self._thread.run(operation, writes=writes)
        except sqlite3.Error as error:
            raise StateUnavailable(type(error).__name__) from error

    def _store(
        self, connection: sqlite3.Connection, now: int, statement: str, row: tuple[object, ...]
    ) -> tuple[object] | None:
        self._stored += 1
        if self._stored % _STORED_BETWEEN_REMOVALS == 0:
            self._remove_expired(connection, now)
        stored: tuple[object] | None = connection.execute(statement, row).fetchone()
        return stored

    def _remove_expired(self, connection: sqlite3.Connection, now: int) -> None:
        connection.execute(_REMOVE_EXPIRED, (now, _REMOVED_AT_ONCE))

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute(_TABLE)
    connection.execute(_INDEX)


def _value(connection: sqlite3.Connection, statement: str, name: str, now: int) -> bytes | None:
    row = connection.execute(statement, (name, now)).fetchone()
    return row[0] if row else None
