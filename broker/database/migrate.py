"""migrate: brings a database to the tables that this code needs. Any number of processes may call it at once."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from broker.database import sqlite_file
from broker.database.engine import Database, open_database
from broker.database.errors import DatabaseTooNew, DatabaseUnavailable
from broker.database.tables import SCHEMA

_MIGRATIONS = Path(__file__).with_name("migrations")
# Any number, as long as nobody else uses it: it names the lock within this PostgreSQL database.
_LOCK = 7_205_759


async def migrate(url: str) -> None:
    """Creates the SQLite file if need be. Raises: DatabaseUrlWrong, DatabaseUnavailable, DatabaseTooNew."""
    database = open_database(url)
    try:
        if database.file is not None:
            await _create(database.file)
        await _migrate(database)
    finally:
        await database.close()


async def _create(file: Path) -> None:
    try:
        await asyncio.to_thread(sqlite_file.create, file)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseUnavailable(f"{file}: {error}") from error


async def _migrate(database: Database) -> None:
    async with database.reading() as connection:
        if await connection.run_sync(_version) == SCHEMA:
            return
    async with database.writing() as connection:
        if database.file is None:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(_upgrade)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _upgrade(connection: Connection) -> None:
    # Alembic takes a good part of a second to import, which a start without anything to migrate need not pay.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    version = _version(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise DatabaseTooNew(
            f"the database is at version {version}, which this broker does not know (it is at {SCHEMA}): "
            "run the newer broker, or restore a backup of that time"
        )
    command.upgrade(config, "head")
