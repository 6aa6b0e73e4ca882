"""Database: the durable state, reached through SQLAlchemy. SQLite by default, PostgreSQL in production."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from broker.database import sqlite_file
from broker.database.errors import DatabaseUnavailable, DatabaseUrlWrong

SQLITE = "sqlite+aiosqlite"
POSTGRESQL = "postgresql+asyncpg"
_BEGIN = "sqlite_begin"


class Database:
    """One pool of connections. Whatever goes wrong on the way to the database is DatabaseUnavailable.

    ``file``: the SQLite file; None for PostgreSQL.
    """

    def __init__(self, url: URL) -> None:
        self.file = _file_of(url)
        self._engine = _sqlite_engine(self.file) if self.file else _postgresql_engine(url)
        self._writing_engine = self._engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Raises: DatabaseUnavailable."""
        with _translated():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, undone by an exception. Raises: DatabaseUnavailable."""
        with _translated():
            async with self._writing_engine.begin() as connection:
                yield connection

    async def ping(self) -> None:
        """Raises: DatabaseUnavailable."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self._engine.dispose()


def open_database(url: str) -> Database:
    """``url``: as ``settings.database``. Connects at first use. Raises: DatabaseUrlWrong."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DatabaseUrlWrong("not a database URL") from error
    if parsed.drivername not in (SQLITE, POSTGRESQL):
        raise DatabaseUrlWrong(f"must be {SQLITE}:///FILE or {POSTGRESQL}://…")
    if parsed.drivername == SQLITE and not Path(parsed.database or "").is_absolute():
        raise DatabaseUrlWrong(f"must name an absolute file: {SQLITE}:////FILE")
    return Database(parsed)


def _file_of(url: URL) -> Path | None:
    return Path(url.database) if url.drivername == SQLITE and url.database else None


def _postgresql_engine(url: URL) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_pre_ping=True,
        # Parameters may hold what is nobody's business in a log (P7).
        hide_parameters=True,
        connect_args={"timeout": sqlite_file.BUSY_SECONDS, "command_timeout": 30},
    )


def _sqlite_engine(file: Path) -> AsyncEngine:
    address = URL.create(SQLITE, database=sqlite_file.uri(file).partition("?")[0], query={"mode": "rw", "uri": "true"})
    engine = create_async_engine(address, hide_parameters=True, connect_args={"isolation_level": None})

    @event.listens_for(engine.sync_engine, "do_connect")
    def _probe(*_: object) -> None:
        # aiosqlite never waits for the thread of a connection that cannot be opened; the thread may outlive the loop.
        await_only(asyncio.to_thread(lambda: sqlite_file.connect(file, "FULL").close()))

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        for pragma in sqlite_file.pragmas("FULL"):
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))

    return engine


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise DatabaseUnavailable(type(error.orig).__name__) from error
    except (SQLAlchemyError, OSError, sqlite3.Error) as error:
        raise DatabaseUnavailable(type(error).__name__) from error
