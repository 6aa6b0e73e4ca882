"""Registry: the federation's documents as revisions."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.database.engine import open_database
from broker.database.errors import DatabaseUnavailable
from broker.database.migrate import migrate
from broker.federation.documents import Document, DocumentSet
from broker.federation.registry import EMPTY, METADATA_FILE, Registry, RevisionConflict, difference, files

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BY = {"author": "operator@pori.example", "reason": "first cities"}


def a_document(id="pori", *, kind="organisation", path="pori.yaml", position=0, line=1, text=None, body=None):
    return Document(
        kind=kind,
        id=id,
        path=path,
        position=position,
        line=line,
        text=f"kind: {kind}\nid: {id}\n" if text is None else text,
        body={"kind": kind, "id": id} if body is None else body,
    )


def a_set(*documents, **files):
    return DocumentSet(documents=documents, files={f"{name}.xml": content for name, content in files.items()})


PORI = a_document("pori")
ULVILA = a_document("ulvila", path="ulvila.yaml")


@pytest.fixture
async def registry(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'broker.sqlite'}"
    await migrate(url)
    database = open_database(url)
    yield Registry(database, lambda: NOW)
    await database.close()


# --- the difference ---------------------------------------------------------------------------------------------------


def test_nothing_changes_between_equals():
    assert difference(a_set(PORI, idp=b"x"), a_set(PORI, idp=b"x")) == ()


def test_a_new_document_is_added():
    [change] = difference(EMPTY, a_set(PORI))

    assert (change.action, change.kind, change.id, change.path) == ("added", "organisation", "pori", "pori.yaml")
    assert "+id: pori" in change.diff


def test_a_document_that_is_not_wanted_any_more_is_removed():
    [change] = difference(a_set(PORI, ULVILA), a_set(PORI))

    assert (change.action, change.id) == ("removed", "ulvila")
    assert "-id: ulvila" in change.diff


def test_another_text_is_a_change_shown_line_by_line():
    changed = replace(PORI, text="kind: organisation\nid: pori\nscopes: [pori.fi]\n")

    [change] = difference(a_set(PORI), a_set(changed))

    assert change.action == "changed"
    assert "+scopes: [pori.fi]" in change.diff
    assert "\n id: pori" in change.diff


def test_a_comment_is_a_change_too():
    [change] = difference(a_set(PORI), a_set(replace(PORI, text=PORI.text + "# a note\n")))

    assert change.action == "changed"


def test_the_same_text_elsewhere_is_moved():
    [change] = difference(a_set(PORI), a_set(replace(PORI, path="cities/pori.yaml")))

    assert change.action == "moved"
    assert "pori.yaml" in change.diff
    assert "cities/pori.yaml" in change.diff


def test_two_kinds_may_have_the_same_id():
    service = a_document("pori", kind="service", path="service.yaml")

    assert [change.kind for change in difference(a_set(PORI), a_set(PORI, service))] == ["service"]


def test_metadata_files_are_compared_octet_for_octet():
    changes = difference(a_set(gone=b"a", same=b"b", changed=b"c"), a_set(same=b"b", changed=b"C", new=b"d"))

    assert [(change.action, change.kind, change.id) for change in changes] == [
        ("changed", METADATA_FILE, "changed.xml"),
        ("removed", METADATA_FILE, "gone.xml"),
        ("added", METADATA_FILE, "new.xml"),
    ]


# --- apply ------------------------------------------------------------------------------------------------------------


async def test_a_registry_begins_empty(registry):
    assert await registry.current() == (0, EMPTY)
    assert await registry.history(10) == ()


async def test_what_was_applied_is_current(registry):
    wanted = a_set(PORI, ULVILA, idp=b"<xml/>")

    assert await registry.apply(wanted, **BY) == 1

    assert await registry.revision() == 1
    assert await registry.current() == (1, wanted)


async def test_a_plan_says_what_apply_will_do_and_changes_nothing(registry):
    await registry.apply(a_set(PORI), **BY)

    plan = await registry.plan(a_set(replace(PORI, text="x"), ULVILA))

    assert plan.revision == 1
    assert plan.summary == "1 added, 1 changed"
    assert await registry.current() == (1, a_set(PORI))


async def test_applying_the_same_again_makes_no_revision(registry):
    await registry.apply(a_set(PORI), **BY)

    assert await registry.apply(a_set(PORI), **BY) == 1
    assert (await registry.plan(a_set(PORI))).summary == "nothing to change"
    assert len(await registry.history(10)) == 1


async def test_each_revision_is_made_equal_to_what_was_wanted(registry):
    steps = [
        a_set(PORI, idp=b"one"),
        a_set(PORI, ULVILA, idp=b"two"),
        a_set(replace(PORI, text="changed: true\n", body={"changed": True}), ULVILA),
        a_set(replace(ULVILA, path="a.yaml")),
        EMPTY,
        a_set(PORI, idp=b"one"),
    ]
    for number, wanted in enumerate(steps, start=1):
        assert await registry.apply(wanted, **BY) == number
        assert await registry.current() == (number, wanted)


async def test_history_tells_who_when_why_and_what_newest_first(registry):
    await registry.apply(a_set(PORI), **BY)
    await registry.apply(a_set(PORI, ULVILA), author="coordinator", reason="Ulvila joins", origin="portal")

    newest, first = await registry.history(10)

    assert (newest.number, newest.author, newest.reason) == (2, "coordinator", "Ulvila joins")
    assert (newest.origin, newest.summary, newest.at) == ("portal", "1 added", NOW)
    assert "+id: ulvila" in newest.diff
    assert first.author == "operator@pori.example"
    assert await registry.history(1) == (newest,)


async def test_a_plan_that_somebody_agreed_to_is_not_applied_to_another_revision(registry):
    await registry.apply(a_set(PORI), **BY)
    plan = await registry.plan(a_set(PORI, ULVILA))
    await registry.apply(a_set(ULVILA), **BY)

    with pytest.raises(RevisionConflict) as conflict:
        await registry.apply(a_set(PORI, ULVILA), **BY, expect_revision=plan.revision)

    assert (conflict.value.expected, conflict.value.found) == (1, 2)
    assert await registry.current() == (2, a_set(ULVILA))


async def test_of_two_who_apply_at_once_one_wins_and_the_other_is_told(registry):
    results = await asyncio.gather(
        registry.apply(a_set(PORI), **BY), registry.apply(a_set(ULVILA), **BY), return_exceptions=True
    )

    assert {type(result) for result in results} == {int, RevisionConflict}
    assert await registry.revision() == 1


async def test_P10_an_apply_that_fails_half_way_changes_nothing(registry):
    await registry.apply(a_set(PORI), **BY)
    twice = a_set(ULVILA, replace(ULVILA, path="again.yaml"))

    with pytest.raises(DatabaseUnavailable):
        await registry.apply(twice, **BY)

    assert await registry.current() == (1, a_set(PORI))


KILLED = """
import asyncio, os, sys
from datetime import UTC, datetime
from sqlalchemy import event
from broker.database.engine import open_database
from broker.federation.documents import Document, DocumentSet
from broker.federation.registry import Registry

def document(id):
    return Document(kind="organisation", id=id, path=f"{id}.yaml", position=0, line=1, text="new", body={})

async def main(url, step):
    database = open_database(url)
    written = 0

    @event.listens_for(database._writing_engine.sync_engine, "before_cursor_execute")
    def die(connection, cursor, statement, *rest):
        nonlocal written
        written += 1
        if written == step:
            os.kill(os.getpid(), 9)

    registry = Registry(database, lambda: datetime.now(UTC))
    wanted = DocumentSet(documents=(document("pori"), document("ulvila")), files={"a.xml": b"new"})
    await registry.apply(wanted, author="a", reason="b")
    await database.close()
    print(written)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_P10_an_apply_killed_at_any_statement_leaves_the_old_revision_or_the_new_one(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'broker.sqlite'}"
    await migrate(url)
    database = open_database(url)
    registry = Registry(database, lambda: NOW)
    old = a_set(PORI, a=b"old")
    await registry.apply(old, **BY)

    killed = 0
    while True:
        process = subprocess.run([sys.executable, "-c", KILLED, url, str(killed + 1)], capture_output=True)
        if process.returncode == 0:
            break
        assert process.returncode == -9, process.stderr
        assert await registry.current() == (1, old)
        killed += 1

    assert killed > 5
    revision, documents = await registry.current()
    assert (revision, [each.text for each in documents.documents]) == (2, ["new", "new"])
    await database.close()


async def test_P10_a_database_that_is_gone_is_unavailable(tmp_path):
    database = open_database(f"sqlite+aiosqlite:///{tmp_path / 'none.sqlite'}")

    with pytest.raises(DatabaseUnavailable):
        await Registry(database, lambda: NOW).current()
    await database.close()


# --- what comes out is what went in -----------------------------------------------------------------------------------


async def test_bodies_come_back_with_their_dates(registry):
    body = {
        "valid_from": date(2026, 1, 1),
        "signed": {"pori": datetime(2025, 12, 10, 8, 30, tzinfo=UTC)},
        "nothing": None,
        "list": [1, 2.5, True, "é", {"deep": [date(2029, 12, 31)]}],
        "table": {"$date": "2026-01-01", "$$datetime": {"$datetime": "no date"}},
    }
    wanted = a_set(a_document(body=body))
    await registry.apply(wanted, **BY)

    assert (await registry.current())[1] == wanted


async def test_lines_are_right_also_of_documents_that_only_moved_down(registry):
    one = a_document("one", path="all.yaml", text="# cities\nkind: organisation\nid: one\n", line=2)
    two = a_document("two", path="all.yaml", position=1, text="---\nkind: organisation\nid: two\n", line=5)
    await registry.apply(a_set(one, two), **BY)

    longer = replace(one, text=one.text + "scopes: [one.fi]\n")
    lower = replace(two, line=6)
    await registry.apply(a_set(longer, lower), **BY)

    assert await registry.current() == (2, a_set(longer, lower))


async def test_documents_come_in_the_order_of_path_and_position(registry):
    wanted = [
        a_document(f"{path}-{position}", path=path, position=position)
        for path in ("B.yaml", "a.yaml", "a/b.yaml", "ä.yaml")
        for position in range(12)
    ]
    await registry.apply(a_set(*reversed(wanted)), **BY)

    assert [document.id for document in (await registry.current())[1].documents] == [each.id for each in wanted]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=1, max_size=4))
def test_files_are_the_texts_of_each_path_joined(parts):
    documents = [a_document(str(at), path="all.yaml", position=at, text=text) for at, text in enumerate(parts)]

    assert files(a_set(*documents, ULVILA, idp=b"\xff")) == {
        "all.yaml": "".join(parts).encode("utf-8"),
        "ulvila.yaml": ULVILA.text.encode("utf-8"),
        "idp.xml": b"\xff",
    }


async def test_texts_come_back_octet_for_octet(registry):
    text = "# Windows\r\nname: Björneborg\u2028\t \r\n\r\n"
    await registry.apply(a_set(a_document(text=text), idp=bytes(range(256))), **BY)

    assert files((await registry.current())[1]) == {"pori.yaml": text.encode("utf-8"), "idp.xml": bytes(range(256))}


async def test_what_an_earlier_revision_held_is_still_there(registry, tmp_path):
    """Revert and history read it."""
    await registry.apply(a_set(PORI, idp=b"old"), **BY)
    await registry.apply(a_set(ULVILA, idp=b"new"), **BY)

    connection = sqlite3.connect(tmp_path / "broker.sqlite")
    rows = connection.execute("SELECT id, since, until FROM documents ORDER BY since").fetchall()
    contents = connection.execute("SELECT content, since, until FROM metadata_files ORDER BY since").fetchall()
    connection.close()
    assert rows == [("pori", 1, 2), ("ulvila", 2, None)]
    assert contents == [(b"old", 1, 2), (b"new", 2, None)]
