"""Migrations as records: whole or not at all, never changed, undone by a record; the same in SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from broker.attributes.identifiers import Kept
from broker.database.engine import Database
from broker.database.tables import identifier_migrations, kept_identities
from broker.identifiers.current import CurrentSubjects
from broker.identifiers.errors import Contradiction, KeptIdentitiesUnreadable, LedgerConflict, NotInForce
from broker.identifiers.ledger import Ledger, Migration, Move, check_links, effective, in_force
from broker.keys.keyring import SubjectKeys
from tests.unit.identifiers.parties import ADFS, ENTRA, KEYS, NOW, PORI, lookups

TO_ENTRA = Move(from_organisation=PORI, from_keyspace=ADFS, to_organisation=PORI, to_keyspace=ENTRA)
TO_GOOGLE = replace(TO_ENTRA, from_keyspace=ENTRA, to_keyspace="pori-google")
BY = {"author": "operator@pori.example", "reason": "To Entra ID"}
PAIRS = [("B1", "A1"), ("B2", "A2")]


async def test_what_was_applied_is_what_logins_go_by(ledger: Ledger) -> None:
    assert await ledger.apply(TO_ENTRA, PAIRS, **BY, expect=0) == 1

    subjects = await ledger.subjects()

    b1, b2 = lookups([(PORI, ENTRA, "B1"), (PORI, ENTRA, "B2")])
    assert subjects.kept == {
        b1: Kept(organisation=PORI, keyspace=ADFS, key="A1", migration=1),
        b2: Kept(organisation=PORI, keyspace=ADFS, key="A2", migration=1),
    }
    assert subjects.number == await ledger.newest() == 1


async def test_a_record_says_who_when_why_and_what(ledger: Ledger) -> None:
    move = replace(TO_ENTRA, scope="harjavalta.fi", until=date(2027, 3, 31))
    await ledger.apply(move, PAIRS, **BY, expect=0)
    await ledger.undo(1, author="aino", reason="the wrong file")

    assert await ledger.history() == (
        Migration(number=1, at=NOW, **BY, move=move, people=2),
        Migration(number=2, at=NOW, author="aino", reason="the wrong file", undoes=1),
    )


async def test_P7_no_key_is_in_the_database_in_clear(ledger: Ledger, database: Database) -> None:
    await ledger.apply(TO_ENTRA, [("new-key-of-aino", "old-key-of-aino")], **BY, expect=0)

    async with database.reading() as connection:
        rows = [
            tuple(row)
            for table in (identifier_migrations, kept_identities)
            for row in await connection.execute(select(table))
        ]
    assert b"key-of-aino" not in b"".join(each for row in rows for each in row if isinstance(each, bytes))
    assert "key-of-aino" not in repr(rows)
    assert "key-of-aino" not in repr(await ledger.subjects())


async def test_a_chain_leads_to_the_oldest(ledger: Ledger) -> None:
    await ledger.apply(TO_ENTRA, [("B1", "A1")], **BY, expect=0)
    await ledger.apply(TO_GOOGLE, [("C1", "B1"), ("C2", "B2")], **BY, expect=1)

    kept = (await ledger.subjects()).kept

    c1, c2 = lookups([(PORI, "pori-google", "C1"), (PORI, "pori-google", "C2")])
    older = Kept(organisation=PORI, keyspace=ADFS, key="A1", migration=1)
    assert kept[c1] == Kept(organisation=PORI, keyspace=ENTRA, key="B1", migration=2, older=older)
    assert kept[c2].older is None


async def test_undoing_brings_back_what_was_before_and_undoing_that_what_was_after(ledger: Ledger) -> None:
    states = [(await ledger.subjects()).kept]
    await ledger.apply(TO_ENTRA, PAIRS, **BY, expect=0)
    states.append((await ledger.subjects()).kept)

    for number in range(1, 6):
        assert await ledger.undo(number, **BY) == number + 1
        states.append((await ledger.subjects()).kept)

    assert states[0] == states[2] == states[4] == states[6] == {}
    assert states[1] == states[3] == states[5] != {}


async def test_an_earlier_one_is_undone_under_a_later_one(ledger: Ledger) -> None:
    await ledger.apply(TO_ENTRA, [("B1", "A1")], **BY, expect=0)
    await ledger.apply(TO_GOOGLE, [("C1", "B1")], **BY, expect=1)

    await ledger.undo(1, **BY)

    c1, b1 = lookups([(PORI, "pori-google", "C1"), (PORI, ENTRA, "B1")])
    kept = (await ledger.subjects()).kept
    assert (kept[c1].key, kept[c1].older) == ("B1", None)
    assert b1 not in kept


@pytest.mark.parametrize("number", [0, 2, 99, -1])
async def test_what_is_not_there_is_not_undone(ledger: Ledger, number: int) -> None:
    await ledger.apply(TO_ENTRA, PAIRS, **BY, expect=0)

    with pytest.raises(NotInForce):
        await ledger.undo(number, **BY)
    assert await ledger.newest() == 1


async def test_what_is_undone_is_not_undone_again(ledger: Ledger) -> None:
    await ledger.apply(TO_ENTRA, PAIRS, **BY, expect=0)
    await ledger.undo(1, **BY)

    with pytest.raises(NotInForce):
        await ledger.undo(1, **BY)


async def test_of_two_plans_on_the_same_ground_one_is_applied(ledger: Ledger) -> None:
    moves = [ledger.apply(TO_ENTRA, [(f"B{n}", f"A{n}")], **BY, expect=0) for n in range(8)]

    done = await asyncio.gather(*moves, return_exceptions=True)

    assert done.count(1) == 1
    assert sum(isinstance(each, LedgerConflict) for each in done) == 7
    assert len((await ledger.subjects()).kept) == 1


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        pytest.param([("B9", "A1")], "old_has_new", id="another_new_key_for_the_same_old_one"),
        pytest.param([("B1", "A9")], "new_has_old", id="another_old_key_for_the_same_new_one"),
        pytest.param([("B8", "A8"), ("B9", "A9"), ("B1", "A1")], "again", id="one_of_three_again"),
    ],
)
async def test_a_contradiction_is_refused_whole(ledger: Ledger, pairs: list[tuple[str, str]], why: str) -> None:
    await ledger.apply(TO_ENTRA, PAIRS, **BY, expect=0)
    before = await ledger.subjects()

    with pytest.raises(Contradiction):
        await ledger.apply(TO_ENTRA, pairs, **BY, expect=1)

    assert await ledger.subjects() == before
    assert len(await ledger.history()) == 1


async def test_a_way_back_is_no_circle(ledger: Ledger) -> None:
    await ledger.apply(TO_ENTRA, [("B1", "A1")], **BY, expect=0)

    with pytest.raises(Contradiction):
        await ledger.apply(replace(TO_ENTRA, from_keyspace=ENTRA, to_keyspace=ADFS), [("A1", "B1")], **BY, expect=1)


async def test_what_was_undone_comes_not_back_over_what_was_applied_meanwhile(ledger: Ledger) -> None:
    await ledger.apply(TO_ENTRA, [("B1", "A1")], **BY, expect=0)
    await ledger.undo(1, **BY)
    await ledger.apply(TO_ENTRA, [("B2", "A1")], **BY, expect=2)
    before = await ledger.subjects()

    with pytest.raises(Contradiction):
        await ledger.undo(2, **BY)

    assert await ledger.subjects() == before
    assert await ledger.newest() == 3


async def test_P9_other_keys_than_those_of_that_time_are_told(ledger: Ledger, database: Database) -> None:
    await ledger.apply(TO_ENTRA, PAIRS, **BY, expect=0)
    other = Ledger(database, SubjectKeys(subject=b"x" * 32, pairwise=b"p" * 32), lambda: NOW)

    with pytest.raises(KeptIdentitiesUnreadable, match="migration 1 was sealed by other keys"):
        await other.subjects()


async def test_a_row_that_was_moved_to_another_person_is_told(ledger: Ledger, database: Database) -> None:
    await ledger.apply(TO_ENTRA, PAIRS, **BY, expect=0)
    (b1,) = lookups([(PORI, ENTRA, "B1")])
    async with database.writing() as connection:
        other = (await connection.execute(select(kept_identities).where(kept_identities.c.newer != b1))).one()
        await connection.execute(
            kept_identities.update().where(kept_identities.c.newer == b1).values(sealed=other.sealed)
        )

    with pytest.raises(KeptIdentitiesUnreadable):
        await ledger.subjects()


# --- what each worker goes by ---------------------------------------------------------------------------------------------


async def test_a_worker_takes_each_new_record_into_use_once(ledger: Ledger) -> None:
    current = CurrentSubjects(ledger, KEYS)
    await current.load()
    assert current().kept == {}
    assert not await current.refresh()

    await ledger.apply(TO_ENTRA, PAIRS, **BY, expect=0)
    assert await current.refresh()
    assert len(current().kept) == 2
    assert not await current.refresh()

    await ledger.undo(1, **BY)
    assert await current.refresh()
    assert (current().kept, current().number) == ({}, 2)


async def test_P9_what_cannot_be_read_stops_the_start_and_leaves_a_running_worker_as_it_is(
    ledger: Ledger, database: Database
) -> None:
    await ledger.apply(TO_ENTRA, PAIRS, **BY, expect=0)
    current = CurrentSubjects(ledger, KEYS)
    await current.load()
    other = SubjectKeys(subject=b"x" * 32, pairwise=b"p" * 32)
    await Ledger(database, other, lambda: NOW).apply(TO_GOOGLE, [("C1", "B1")], **BY, expect=1)

    assert not await current.refresh()
    assert len(current().kept) == 2
    with pytest.raises(KeptIdentitiesUnreadable):
        await CurrentSubjects(ledger, KEYS).load()


# --- pure -----------------------------------------------------------------------------------------------------------------


def record(number: int, undoes: int | None = None) -> Migration:
    return Migration(number=number, at=NOW, **BY, undoes=undoes, move=None if undoes else TO_ENTRA)


@pytest.mark.parametrize(
    ("history", "numbers"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([record(1), record(2)], [1, 2], id="two"),
        pytest.param([record(1), record(2), record(3, undoes=1)], [2], id="undone"),
        pytest.param([record(1), record(2, undoes=1), record(3, undoes=2)], [1], id="the_undoing_undone"),
        pytest.param(
            [record(1), record(2, undoes=1), record(3, undoes=2), record(4, undoes=3)], [], id="and_that_undone"
        ),
        pytest.param([record(1), record(2, undoes=1), record(3, undoes=2), record(4, undoes=1)], [], id="undone_anew"),
    ],
)
def test_what_is_in_force(history: list[Migration], numbers: list[int]) -> None:
    assert [each.number for each in in_force(history)] == numbers
    assert set(in_force(history)) <= set(effective(history))


NODES = st.integers(0, 6).map(lambda n: bytes([n]))


@given(st.lists(st.tuples(NODES, NODES), max_size=8))
def test_links_hold_exactly_when_they_are_paths(links: list[tuple[bytes, bytes]]) -> None:
    """By a walk from each identity: it ends, and no two ways meet or part."""

    def ends(node: bytes) -> bool:
        for _ in range(len(links) + 1):
            onward = [old for new, old in links if new == node]
            if not onward:
                return True
            node = onward[0]
        return False

    news, olds = [new for new, _ in links], [old for _, old in links]
    right = len(set(news)) == len(news) and len(set(olds)) == len(olds) and all(map(ends, news))

    try:
        check_links(links)
    except Contradiction:
        assert not right
    else:
        assert right
