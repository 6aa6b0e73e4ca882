"""Ledger: migrations as numbered records, each whole or not at all. Nothing is ever changed or removed: undoing is a record too.

A newer identity is kept as a keyed hash alone, an older one sealed (``keys/sealing.py``) beside its hash. Both keys come of K_sub
and not of the sealing key: what they protect is needed as long as the identifiers themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.attributes.identifiers import Kept, Subjects, lookup
from broker.database import instants
from broker.database.engine import Database
from broker.database.tables import identifier_migrations, kept_identities
from broker.federation.model import OrganisationId
from broker.identifiers.errors import Contradiction, KeptIdentitiesUnreadable, LedgerConflict, NotInForce
from broker.keys.keyring import SubjectKeys
from broker.keys.sealing import SealBroken, Sealer
from broker.login.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """From which identities to which. ``scope``: of the older identifiers, where another organisation's; else "".
    ``until``: the last day of both side by side; None: the older ones are kept for good."""

    from_organisation: OrganisationId
    from_keyspace: str
    to_organisation: OrganisationId
    to_keyspace: str
    scope: str = ""
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """A record: a move of ``people``, or the undoing of an earlier record."""

    number: int
    at: datetime
    author: str
    reason: str
    undoes: int | None = None
    move: Move | None = None
    people: int = 0


Pairs = Sequence[tuple[str, str]]
"""(new key, old key)."""

Link = tuple[bytes, bytes]
"""The hashes of a newer identity and of the older one that is kept for it."""


class Ledger:
    """Every method may raise DatabaseUnavailable; then nothing was changed."""

    def __init__(self, database: Database, keys: SubjectKeys, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._sealer = Sealer(keys.subject, "kept identity")

    async def newest(self) -> int:
        """The number of the newest record; 0: there is none. Cheap."""
        async with self._database.reading() as connection:
            return await _newest(connection)

    async def history(self) -> tuple[Migration, ...]:
        """Every record, oldest first."""
        async with self._database.reading() as connection:
            return await _history(connection)

    async def rows(self) -> tuple[int, tuple[Migration, ...], Sequence[Any]]:
        """The newest number, and the migrations in force with their rows, for ``read``."""
        async with self._database.reading() as connection:
            history = await _history(connection)
            moves = in_force(history)
            rows = await _rows(connection, moves)
        return (history[-1].number if history else 0), moves, rows

    def read(self, number: int, moves: Iterable[Migration], rows: Iterable[Any]) -> Subjects:
        """What logins go by: opens every seal. Takes a moment; no I/O. Raises: KeptIdentitiesUnreadable."""
        by_number = {each.number: each for each in moves}
        opened = {row.newer: (row.older, by_number[row.migration], self._open(row)) for row in rows}
        kept: dict[bytes, Kept] = {}
        for newer in opened:
            # From the oldest of its path up, so that each is made once.
            path = [newer]
            while (older := opened[path[-1]][0]) in opened and older not in kept:
                path.append(older)
            for each in reversed(path):
                older, migration, key = opened[each]
                kept.setdefault(each, _kept(migration, key, kept.get(older)))
        return Subjects(keys=self._keys, kept=kept, number=number)

    async def subjects(self) -> Subjects:
        """What is in force now. Raises: KeptIdentitiesUnreadable."""
        return self.read(*await self.rows())

    async def apply(self, move: Move, pairs: Pairs, *, author: str, reason: str, expect: int) -> int:
        """Its number. ``expect``: the newest number when the plan was made. Raises: LedgerConflict, Contradiction."""
        number = expect + 1
        rows = [self._row(number, move, new, old) for new, old in pairs]
        record = Migration(number=number, at=self._clock(), author=author, reason=reason, move=move, people=len(rows))
        async with self._database.writing() as connection:
            await _begin(connection, record)
            links = await _links(connection, in_force(await _history(connection)))
            check_links([*links, *((row["newer"], row["older"]) for row in rows)])
            await connection.execute(kept_identities.insert(), rows)
        return number

    async def undo(self, number: int, *, author: str, reason: str) -> int:
        """The number of the undoing. Undoing an undoing brings the migration back. Raises: NotInForce, LedgerConflict,
        Contradiction."""
        async with self._database.writing() as connection:
            newest = await _newest(connection)
            record = Migration(number=newest + 1, at=self._clock(), author=author, reason=reason, undoes=number)
            if number not in {each.number for each in effective(await _history(connection))}:
                raise NotInForce(f"there is no migration {number} in force")
            await _begin(connection, record)
            check_links(await _links(connection, in_force(await _history(connection))))
        return record.number

    def _row(self, number: int, move: Move, new: str, old: str) -> dict[str, Any]:
        newer = lookup(self._keys, move.to_organisation, move.to_keyspace, new)
        older = lookup(self._keys, move.from_organisation, move.from_keyspace, old)
        sealed = self._sealer.seal(old.encode("utf-8"), _about(number, newer))
        return {"migration": number, "newer": newer, "older": older, "sealed": sealed}

    def _open(self, row: Any) -> str:
        try:
            return self._sealer.open(row.sealed, _about(row.migration, row.newer)).decode("utf-8")
        except SealBroken as error:
            raise KeptIdentitiesUnreadable(
                f"migration {row.migration} was sealed by other keys: restore subject-identifiers/ of that time"
            ) from error


def effective(history: Iterable[Migration]) -> tuple[Migration, ...]:
    """The records that are not undone, undoings among them."""
    undone: set[int] = set()
    found: list[Migration] = []
    for each in sorted(history, key=lambda each: each.number, reverse=True):
        if each.number not in undone:
            found.append(each)
            if each.undoes is not None:
                undone.add(each.undoes)
    return tuple(reversed(found))


def in_force(history: Iterable[Migration]) -> tuple[Migration, ...]:
    """The migrations that logins go by."""
    return tuple(each for each in effective(history) if each.move is not None)


def check_links(links: Iterable[Link]) -> None:
    """Each identity has at most one older and one newer one, and no way leads back: so nobody gets another's identifiers.

    Raises: Contradiction.
    """
    given = list(links)
    older = dict(given)
    steps = {old: new for new, old in given}
    if len(older) < len(given) or len(steps) < len(given):
        raise Contradiction("the same identity twice, as the older or as the newer one")
    # Every path is walked from its oldest end; a circle has none.
    walked = 0
    for end in steps.keys() - older.keys():
        step = steps.get(end)
        while step is not None:
            walked += 1
            step = steps.get(step)
    if walked < len(given):
        raise Contradiction("identities that are each other's older ones")


def _kept(migration: Migration, key: str, older: Kept | None) -> Kept:
    move = migration.move
    assert move is not None, "only moves have rows"
    return Kept(
        organisation=move.from_organisation,
        keyspace=move.from_keyspace,
        key=key,
        scope=move.scope,
        until=move.until,
        migration=migration.number,
        older=older,
    )


def _about(number: int, newer: bytes) -> str:
    return f"{number}:{newer.hex()}"


# --- the tables -------------------------------------------------------------------------------------------------------


async def _newest(connection: AsyncConnection) -> int:
    return await connection.scalar(select(func.max(identifier_migrations.c.number))) or 0


async def _begin(connection: AsyncConnection, record: Migration) -> None:
    """First of all: of two that write the same number, one waits here for the other, and then fails."""
    if await _newest(connection) != record.number - 1:
        raise LedgerConflict("another migration came between")
    try:
        await connection.execute(identifier_migrations.insert(), _written(record))
    except IntegrityError as error:
        raise LedgerConflict("another migration came between") from error


def _written(record: Migration) -> Mapping[str, Any]:
    move = record.move
    until = move.until.isoformat() if move is not None and move.until is not None else None
    return {
        "number": record.number,
        "at": instants.to_text(record.at),
        "author": record.author,
        "reason": record.reason,
        "undoes": record.undoes,
        "from_organisation": move.from_organisation if move else "",
        "from_keyspace": move.from_keyspace if move else "",
        "to_organisation": move.to_organisation if move else "",
        "to_keyspace": move.to_keyspace if move else "",
        "scope": move.scope if move else "",
        "until": until,
        "people": record.people,
    }


async def _history(connection: AsyncConnection) -> tuple[Migration, ...]:
    query = select(identifier_migrations).order_by(identifier_migrations.c.number)
    return tuple(_migration(row) for row in await connection.execute(query))


def _migration(row: Any) -> Migration:
    move = None
    if row.undoes is None:
        move = Move(
            from_organisation=OrganisationId(row.from_organisation),
            from_keyspace=row.from_keyspace,
            to_organisation=OrganisationId(row.to_organisation),
            to_keyspace=row.to_keyspace,
            scope=row.scope,
            until=None if row.until is None else date.fromisoformat(row.until),
        )
    return Migration(
        number=row.number,
        at=instants.from_text(row.at),
        author=row.author,
        reason=row.reason,
        undoes=row.undoes,
        move=move,
        people=row.people,
    )


async def _rows(connection: AsyncConnection, moves: Iterable[Migration]) -> Sequence[Any]:
    wanted = kept_identities.c.migration.in_([each.number for each in moves])
    return (await connection.execute(select(kept_identities).where(wanted))).all()


async def _links(connection: AsyncConnection, moves: Iterable[Migration]) -> list[Link]:
    return [(row.newer, row.older) for row in await _rows(connection, moves)]
