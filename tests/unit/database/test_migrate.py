"""The migrations make the tables that the code describes, once, whoever runs them."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

import broker.database.migrations
from broker.database.errors import DatabaseTooNew, DatabaseUnavailable, DatabaseUrlWrong
from broker.database.migrate import migrate
from broker.database.tables import SCHEMA, metadata


def query(file, statement):
    connection = sqlite3.connect(file)
    try:
        with connection:
            return connection.execute(statement).fetchall()
    finally:
        connection.close()


async def test_the_tables_are_those_that_the_code_describes(url, file):
    await migrate(url)

    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_the_code_knows_its_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(Path(broker.database.migrations.__file__).parent))
    config.set_main_option("path_separator", "os")

    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA]


async def test_the_file_is_for_the_broker_alone(url, file):
    await migrate(url)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_migrating_again_changes_nothing(url, file):
    await migrate(url)
    query(file, "UPDATE audit_head SET sequence = 7")

    await migrate(url)

    assert query(file, "SELECT sequence FROM audit_head") == [(7,)]


async def test_several_processes_may_migrate_at_once(url, file):
    program = "import asyncio, sys; from broker.database.migrate import migrate; asyncio.run(migrate(sys.argv[1]))"
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-c", program, url) for _ in range(4)]

    assert [await process.wait() for process in processes] == [0] * 4
    assert query(file, "SELECT version_num FROM alembic_version") == [(SCHEMA,)]
    assert query(file, "SELECT count(*) FROM audit_head") == [(1,)]


async def test_a_file_that_holds_the_short_lived_state_already_is_no_obstacle(url, file):
    file.parent.mkdir()
    query(file, "CREATE TABLE state_records (name TEXT PRIMARY KEY)")

    await migrate(url)

    assert query(file, "SELECT version_num FROM alembic_version") == [(SCHEMA,)]


async def test_P9_a_database_of_a_newer_broker_is_refused_and_left_alone(url, file):
    await migrate(url)
    query(file, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(DatabaseTooNew, match="9999"):
        await migrate(url)
    assert query(file, "SELECT version_num FROM alembic_version") == [("9999",)]


async def test_P10_a_migration_that_fails_leaves_nothing_behind(url, file):
    file.parent.mkdir()
    query(file, "CREATE TABLE audit_head (id INTEGER)")

    with pytest.raises(DatabaseUnavailable):
        await migrate(url)
    assert query(file, "SELECT name FROM sqlite_master WHERE type = 'table'") == [("audit_head",)]


@pytest.mark.parametrize(
    "url", ["mysql://host/db", "sqlite:////tmp/db", "sqlite+aiosqlite://", "sqlite+aiosqlite:///relative", "::"]
)
async def test_P9_a_url_of_another_kind_is_refused(url):
    with pytest.raises(DatabaseUrlWrong):
        await migrate(url)


async def test_P10_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(DatabaseUnavailable, match="broker.sqlite"):
        await migrate(f"sqlite+aiosqlite:///{tmp_path}/file/broker.sqlite")


async def test_P10_a_server_that_is_not_there_is_unavailable():
    with pytest.raises(DatabaseUnavailable):
        await migrate("postgresql+asyncpg://user:hunter2@127.0.0.1:1/broker")
