"""SqliteThread: whole operations, one transaction for all that waited."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from broker.database import sqlite_file
from broker.database.sqlite_thread import LARGEST_BATCH, SqliteThread


def prepare(connection):
    connection.execute("CREATE TABLE IF NOT EXISTS numbers (number INTEGER PRIMARY KEY)")


@pytest.fixture
async def thread(file):
    sqlite_file.create(file)
    thread = SqliteThread(file, synchronous="NORMAL", prepare=prepare)
    await thread.open()
    yield thread
    await thread.close()


def insert(number):
    return lambda connection: connection.execute("INSERT INTO numbers VALUES (?)", (number,))


def count(connection):
    return connection.execute("SELECT count(*) FROM numbers").fetchone()[0]


async def test_what_an_operation_returns_comes_back(thread):
    await thread.run(insert(1))

    assert await thread.run(count, writes=False) == 1


async def test_many_at_once_each_get_their_own_answer(thread):
    results = await asyncio.gather(*(thread.run(lambda _, number=number: number) for number in range(1000)))

    assert results == list(range(1000))
    assert LARGEST_BATCH < 1000


async def test_an_operation_that_fails_undoes_its_whole_batch_and_all_are_told(thread):
    # Queued without a pause, after one that keeps the thread busy until then.
    batch = [thread.run(insert(1)), thread.run(insert(2)), thread.run(insert(1))]
    results = await asyncio.gather(*batch, return_exceptions=True)

    failed = [result for result in results if isinstance(result, sqlite3.IntegrityError)]
    assert failed
    assert await thread.run(count) == len(batch) - len(failed)


async def test_a_mistake_in_an_operation_is_told_and_the_next_one_works(thread):
    def mistake(connection):
        insert(1)(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await thread.run(mistake)

    assert await thread.run(count) == 0


async def test_close_finishes_what_is_queued(thread, file):
    waiting = [asyncio.create_task(thread.run(insert(number))) for number in range(50)]
    await asyncio.sleep(0)

    await thread.close()

    await asyncio.gather(*waiting)
    connection = sqlite3.connect(file)
    assert count(connection) == 50
    connection.close()


async def test_a_closed_connection_is_an_error_of_the_database(thread):
    await thread.close()

    with pytest.raises(sqlite3.ProgrammingError):
        await thread.run(count)


async def test_a_connection_that_cannot_be_prepared_is_not_used(file):
    def fails(connection):
        connection.execute("SELECT * FROM nothing")

    sqlite_file.create(file)
    thread = SqliteThread(file, synchronous="NORMAL", prepare=fails)

    with pytest.raises(sqlite3.OperationalError):
        await thread.open()
