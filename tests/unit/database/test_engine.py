"""Database: how the durable state is reached."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select, text

from broker.database.engine import open_database
from broker.database.errors import DatabaseUnavailable
from broker.database.migrate import migrate
from broker.database.tables import documents, revisions

REVISION = {"number": 1, "at": "", "author": "", "reason": "", "origin": "file", "summary": "", "diff": ""}


@pytest.fixture
async def database(url):
    await migrate(url)
    database = open_database(url)
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        pytest.param("journal_mode", "wal", id="readers_do_not_wait_for_the_writer"),
        pytest.param("synchronous", 2, id="FULL_what_is_committed_survives_a_power_failure"),
        pytest.param("foreign_keys", 1, id="references_are_held_to"),
        pytest.param("busy_timeout", 5000, id="writers_wait_for_each_other"),
    ],
)
async def test_each_connection_is_set(database, pragma, value):
    async with database.reading() as connection:
        assert await connection.scalar(text(f"PRAGMA {pragma}")) == value


async def test_writing_is_committed_at_the_end_of_the_block(database):
    async with database.writing() as connection:
        await connection.execute(insert(revisions), REVISION)

    async with database.reading() as connection:
        assert (await connection.execute(select(revisions.c.number))).all() == [(1,)]


async def test_writing_is_undone_as_a_whole_by_an_exception(database):
    with pytest.raises(ZeroDivisionError):
        async with database.writing() as connection:
            await connection.execute(insert(revisions), REVISION)
            raise ZeroDivisionError

    async with database.reading() as connection:
        assert (await connection.execute(select(revisions.c.number))).all() == []


async def test_a_reader_does_not_wait_for_a_writer(database):
    async with database.writing() as writer:
        await writer.execute(insert(revisions), REVISION)
        async with database.reading() as reader:
            assert (await reader.execute(select(revisions.c.number))).all() == []


async def test_P7_an_error_names_neither_statement_nor_values(database):
    with pytest.raises(DatabaseUnavailable) as refusal:
        async with database.writing() as connection:
            row = {"kind": "service", "id": "secret-value", "since": 9, "path": "", "position": 0, "line_in_text": 0}
            await connection.execute(insert(documents), row | {"text": "", "body": ""})

    assert str(refusal.value) == "IntegrityError"
    assert "secret-value" not in str(refusal.value.__cause__)


async def test_P10_a_database_that_is_not_there_is_unavailable_and_not_created(url, file):
    database = open_database(url)

    with pytest.raises(DatabaseUnavailable):
        await database.ping()
    assert not file.exists()
    await database.close()


async def test_ping_returns_when_all_is_well(database):
    await database.ping()
