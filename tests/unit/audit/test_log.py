"""DatabaseAuditLog: no answer leaves before its audit record is durable (promise P6)."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess

import pytest

from broker.audit.explain import find
from broker.audit.log import DatabaseAuditLog
from broker.audit.verification import verify
from broker.audit.writer import SqlAuditWriter, SqliteAuditWriter, writer_for
from broker.database.engine import open_database
from broker.errors import AuditUnavailable


def references(file):
    """As another process finds them: what is durable."""
    connection = sqlite3.connect(file)
    try:
        return [row[0] for row in connection.execute("SELECT reference FROM audit_records ORDER BY sequence")]
    finally:
        connection.close()


def tamper(file, statement):
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(statement)
    connection.close()


async def test_P6_append_returns_when_the_record_is_there_for_all(log, database, an_event):
    await log.append(an_event("first"))

    assert references(database.file) == ["first"]


async def test_what_was_appended_is_found_by_its_reference(log, database, an_event):
    event = an_event("mine")
    await log.append(an_event("other"))
    await log.append(event)

    [record] = await find(database, "mine")
    assert record.event() == event
    assert record.sequence == 2


async def test_a_reference_that_nobody_has_is_not_found(log, database):
    assert await find(database, "none") == []


async def test_P6_a_hundred_at_once_make_one_unbroken_chain(log, database, an_event):
    await asyncio.gather(*(log.append(an_event(f"login-{number}")) for number in range(100)))

    assert len(set(references(database.file))) == 100
    assert await verify(database) is None


async def test_P6_two_logs_continue_one_chain(log, database, an_event):
    other = DatabaseAuditLog(SqlAuditWriter(database))
    await other.start()
    await asyncio.gather(*(each.append(an_event()) for each in [log, other] * 20))
    await other.close()

    assert len(references(database.file)) == 40
    assert await verify(database) is None


async def test_P6_two_processes_make_one_unbroken_chain(database, appender):
    processes = [
        await asyncio.create_subprocess_exec(*appender(name, 150), stdout=asyncio.subprocess.PIPE)
        for name in ("one", "two")
    ]
    outputs = [(await process.communicate())[0].decode().split() for process in processes]

    assert sorted(references(database.file)) == sorted(outputs[0] + outputs[1])
    assert len(references(database.file)) == 300
    assert await verify(database) is None


async def test_P6_what_was_said_to_be_durable_outlives_a_killed_process(database, appender):
    process = await asyncio.create_subprocess_exec(*appender("crash", 100_000), stdout=asyncio.subprocess.PIPE)
    for _ in range(200):
        await process.stdout.readline()
    process.kill()
    durable = (await process.communicate())[0].decode().split("\n")[:-1]

    assert set(durable) <= set(references(database.file))
    assert await verify(database) is None


async def test_P6_a_full_disk_refuses_and_leaves_the_chain_whole(database, appender):
    process = subprocess.run(appender("full", 3000, str(400_000)), capture_output=True, text=True, check=True)
    outcomes = process.stdout.split()

    assert "unavailable" in outcomes
    assert sorted(references(database.file)) == sorted(each for each in outcomes if each != "unavailable")
    assert await verify(database) is None


async def test_P10_append_is_refused_while_the_tables_are_gone_and_works_again_after(log, database, an_event):
    await log.append(an_event("before"))
    tamper(database.file, "ALTER TABLE audit_records RENAME TO away")

    results = await asyncio.gather(*(log.append(an_event("lost")) for _ in range(10)), return_exceptions=True)
    assert [type(result) for result in results] == [AuditUnavailable] * 10

    tamper(database.file, "ALTER TABLE away RENAME TO audit_records")
    await log.append(an_event("after"))
    assert references(database.file) == ["before", "after"]
    assert await verify(database) is None


async def test_P10_append_is_refused_when_the_database_file_is_gone(database, an_event):
    log = DatabaseAuditLog(writer_for(database))
    await log.start()
    database.file.unlink()

    with pytest.raises(AuditUnavailable):
        await log.append(an_event())
    assert not database.file.exists()
    await log.close()


async def test_P10_a_chain_without_its_head_is_not_continued(log, database, an_event):
    tamper(database.file, "DELETE FROM audit_head")

    with pytest.raises(AuditUnavailable):
        await log.append(an_event())


@pytest.mark.parametrize("kind", [SqliteAuditWriter, lambda file: SqlAuditWriter(database_at(file))])
async def test_P10_a_log_without_a_database_does_not_start(tmp_path, kind):
    with pytest.raises(AuditUnavailable):
        await DatabaseAuditLog(kind(tmp_path / "none.sqlite")).start()


def database_at(file):
    return open_database(f"sqlite+aiosqlite:///{file}")


async def test_close_writes_what_waits(writer, database, an_event):
    log = DatabaseAuditLog(writer)
    await log.start()
    waiting = [asyncio.create_task(log.append(an_event(f"login-{number}"))) for number in range(20)]
    await asyncio.sleep(0)

    await log.close()

    await asyncio.gather(*waiting)
    assert len(references(database.file)) == 20


async def test_a_log_that_is_not_open_refuses(writer, an_event):
    log = DatabaseAuditLog(writer)
    with pytest.raises(AuditUnavailable):
        await log.append(an_event())

    await log.start()
    await log.close()
    with pytest.raises(AuditUnavailable):
        await log.append(an_event())


async def test_an_event_is_recorded_even_if_its_caller_gives_up(log, database, an_event):
    impatient = asyncio.create_task(log.append(an_event("gave-up")))
    await asyncio.sleep(0)
    impatient.cancel()

    await log.append(an_event("patient"))

    assert references(database.file) == ["gave-up", "patient"]


async def test_an_event_that_cannot_be_written_disturbs_no_other(log, database, an_event):
    results = await asyncio.gather(
        log.append(an_event("good")), log.append(an_event(detail={"bad": object()})), return_exceptions=True
    )

    assert results[0] is None
    assert isinstance(results[1], TypeError)
    assert references(database.file) == ["good"]


@pytest.mark.parametrize(
    ("statement", "sequence"),
    [
        pytest.param("UPDATE audit_records SET subject = 'other' WHERE sequence = 3", 3, id="a_changed_record"),
        pytest.param("DELETE FROM audit_records WHERE sequence = 3", 4, id="a_removed_record"),
        pytest.param("DELETE FROM audit_records WHERE sequence > 3", 4, id="a_removed_end"),
        pytest.param("DELETE FROM audit_records", 1, id="an_emptied_log"),
        pytest.param("UPDATE audit_head SET hash = 'f'", 6, id="a_changed_head"),
    ],
)
async def test_P6_tampering_with_the_stored_log_is_found(log, database, an_event, statement, sequence):
    for number in range(5):
        await log.append(an_event(f"login-{number}"))
    assert await verify(database) is None

    tamper(database.file, statement)

    assert (await verify(database)).sequence == sequence


class BrokenWriter:
    """A writer with a mistake in it."""

    async def open(self):
        pass

    async def write(self, entries):
        raise RuntimeError("nobody foresaw this")

    async def close(self):
        pass


async def test_P6_a_mistake_in_the_writer_lets_no_answer_leave_and_nobody_wait_for_ever(an_event):
    log = DatabaseAuditLog(BrokenWriter())
    await log.start()

    for _ in range(2):
        with pytest.raises(AuditUnavailable):
            await log.append(an_event())
    with pytest.raises(RuntimeError):
        await log.close()
