"""What is true of the SQLite file alone."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from datetime import timedelta
from itertools import chain

import pytest

from broker.errors import StateUnavailable
from broker.state.open import open_store
from broker.state.sqlite import SqliteStore

MINUTE = timedelta(minutes=1)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "new folder" / "broker.sqlite"


@pytest.fixture
async def store(file):
    store = SqliteStore(file)
    await store.open()
    yield store
    await store.close()


def rows(file):
    connection = sqlite3.connect(file)
    try:
        return connection.execute("SELECT count(*) FROM state_records").fetchone()[0]
    finally:
        connection.close()


async def test_the_file_is_for_the_broker_alone(store, file):
    await store.put("name", b"value", MINUTE)

    for each in file.parent.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) == 0o600


async def test_records_outlive_the_process(store, file):
    await store.put("name", b"value", MINUTE)
    await store.close()

    again = SqliteStore(file)
    await again.open()
    assert await again.take("name") == b"value"
    await again.close()


async def test_P2_each_record_is_taken_by_exactly_one_of_four_processes(store, file, race):
    for number in range(200):
        await store.put(f"race:{number}", b"value", MINUTE)

    won = await race(f"sqlite:///{file}", "take", "race", records=200, processes=4)

    assert sorted(chain(*won)) == sorted(f"race:{number}" for number in range(200))


async def test_P2_each_record_is_added_by_exactly_one_of_four_processes(store, file, race):
    won = await race(f"sqlite:///{file}", "add", "race", records=200, processes=4)

    assert sorted(chain(*won)) == sorted(f"race:{number}" for number in range(200))


async def test_expired_records_are_removed_as_others_are_stored(file):
    now = 1_800_000_000.0
    store = SqliteStore(file, lambda: now)
    await store.open()
    for number in range(1000):
        await store.put(f"old:{number}", b"value", MINUTE)
    now += 61
    for number in range(500):
        await store.add(f"new:{number}", b"value", MINUTE)
    await store.close()

    # Five times 200, each time that 100 were stored.
    assert rows(file) == 500


async def test_expired_records_are_removed_when_the_store_is_asked_how_it_is(file):
    now = 1_800_000_000.0
    store = SqliteStore(file, lambda: now)
    await store.open()
    await store.put("name", b"value", MINUTE)
    now += 61
    await store.ping()
    await store.close()

    assert rows(file) == 0


async def test_P10_a_file_that_is_gone_is_not_replaced_by_an_empty_one(store, file):
    await store.put("name", b"value", MINUTE)
    shutil.rmtree(file.parent)

    for _ in range(2):
        with pytest.raises(StateUnavailable):
            await store.add("name", b"value", MINUTE)
    assert not file.exists()


async def test_a_file_that_was_put_back_is_used_again(store, file):
    await store.put("name", b"value", MINUTE)
    for each in list(file.parent.iterdir()):
        each.rename(each.with_name(f"{each.name}.away"))
    with pytest.raises(StateUnavailable):
        await store.get("name")

    for each in list(file.parent.iterdir()):
        each.rename(each.with_name(each.name.removesuffix(".away")))

    assert await store.get("name") == b"value"


async def test_P10_what_is_not_a_database_is_refused(store, file):
    for each in list(file.parent.iterdir()):
        each.unlink()
    file.write_bytes(b"not a database" * 1000)

    with pytest.raises(StateUnavailable):
        await store.put("name", b"value", MINUTE)


async def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(StateUnavailable, match="broker.sqlite"):
        await open_store(f"sqlite:///{tmp_path}/file/broker.sqlite")


async def test_a_closed_store_is_unavailable(store):
    await store.close()

    with pytest.raises(StateUnavailable):
        await store.get("name")
