"""attributes.md 7: whatever is applied, undone and undone again, the same person gets the same identifier and nobody another's.

People have a key in each of three keyspaces, by which they log in at that product. In each the keys are dealt out anew from the
same few, so that chains (A becomes B while B becomes C), swaps and circles come about by themselves.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broker.attributes.identifiers import Subjects
from broker.database.engine import open_database
from broker.database.migrate import migrate
from broker.federation.model import IdentityProviderId
from broker.identifiers import plan
from broker.identifiers.errors import Contradiction, NotInForce
from broker.identifiers.ledger import Ledger, in_force
from tests.unit.identifiers.parties import KEYS, NOW, PORI, WIKI, a_ground, an_identity, applied, lines, told

KEYSPACES = tuple(IdentityProviderId(name) for name in ("pori-adfs", "pori-entra", "pori-google"))
PEOPLE = range(4)

Deal = tuple[tuple[int, ...], ...]
"""For each keyspace, the number of each person's key in it."""


@dataclass(frozen=True)
class Apply:
    """``wrong``: people whose old key stands in the file as the next one's."""

    since: int
    to: int
    people: frozenset[int]
    wrong: bool = False


@dataclass(frozen=True)
class Undo:
    back: int
    """How many records before the newest."""


Step = Apply | Undo
DEALS = st.tuples(*(st.permutations(PEOPLE).map(tuple) for _ in KEYSPACES))
APPLIES = st.builds(
    Apply,
    since=st.integers(0, 2),
    to=st.integers(0, 2),
    people=st.frozensets(st.sampled_from(PEOPLE), min_size=1),
    wrong=st.booleans(),
)
STEPS = st.lists(st.one_of(APPLIES, st.builds(Undo, back=st.integers(0, 3))), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, to be copied."""
    file = tmp_path_factory.mktemp("empty") / "broker.sqlite"
    asyncio.run(migrate(f"sqlite+aiosqlite:///{file}"))
    return file


Identity = tuple[int, int]
"""A keyspace and a key's number."""


@dataclass
class World:
    """``claims``: of each migration, (newer, older). ``states``: identifiers as they were with these migrations in force."""

    ledger: Ledger
    deal: Deal
    claims: dict[int, list[tuple[Identity, Identity]]] = field(default_factory=dict)
    states: dict[frozenset[int], Mapping[Identity, str]] = field(default_factory=dict)

    async def take(self, step: Step) -> None:
        if isinstance(step, Apply):
            await self._apply(step)
        else:
            try:
                await self.ledger.undo(await self.ledger.newest() - step.back, author="a", reason="r")
            except (NotInForce, Contradiction):
                return

    async def _apply(self, step: Apply) -> None:
        subjects = await self.ledger.subjects()
        ground = a_ground(subjects=subjects)
        try:
            move = plan.move(ground, old=(PORI, KEYSPACES[step.since]), new=(PORI, KEYSPACES[step.to]))
        except plan.MoveRefused:
            assert step.since == step.to
            return
        shift = 1 if step.wrong else 0
        claimed = [
            (self.deal[step.to][each], self.deal[step.since][(each + shift) % len(PEOPLE)]) for each in step.people
        ]
        planned = plan.plan(move, lines(*((f"K{old}", f"K{new}") for new, old in claimed)), ground)
        collisions = [each for each in planned.findings if each.problem and each.code != "new_keyspace_unknown"]
        if collisions or not planned.pairs:
            return
        # What the plan holds possible, the ledger never refuses.
        number = await self.ledger.apply(move, planned.pairs, author="a", reason="r", expect=planned.base)
        stored = {(int(new[1:]), int(old[1:])) for new, old in planned.pairs}
        assert stored <= set(claimed)
        self.claims[number] = [((step.to, new), (step.since, old)) for new, old in stored]

    async def check(self) -> None:
        subjects = await self.ledger.subjects()
        current = frozenset(each.number for each in in_force(await self.ledger.history()))
        names = {
            (keyspace, key): told(an_identity(KEYSPACES[keyspace], f"K{key}"), WIKI, subjects)["pairwise"]
            for keyspace in range(len(KEYSPACES))
            for key in PEOPLE
        }
        claimed = dict(claim for number in current for claim in self.claims[number])
        for one, name in names.items():
            # By the operator's own words alone: to the oldest identity of the same person.
            assert name == plainly(oldest(one, claimed))
            same = {other for other in names if names[other] == name}
            assert same == {other for other in names if oldest(other, claimed) == oldest(one, claimed)}
        # What is undone is as if it had never been, and comes back as it was.
        assert self.states.setdefault(current, names) == names


def oldest(identity: Identity, claimed: Mapping[Identity, Identity]) -> Identity:
    seen = {identity}
    while identity in claimed:
        identity = claimed[identity]
        assert identity not in seen, "a circle"
        seen.add(identity)
    return identity


def plainly(identity: Identity) -> str:
    return told(an_identity(KEYSPACES[identity[0]], f"K{identity[1]}"), WIKI)["pairwise"]


SAME: Deal = ((0, 1, 2, 3),) * 3
SWAPPED: Deal = ((0, 1, 2, 3), (1, 0, 2, 3), (0, 1, 2, 3))
ALL = frozenset(PEOPLE)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deal=DEALS, steps=STEPS)
@example(deal=SWAPPED, steps=[Apply(0, 1, ALL), Apply(1, 2, ALL), Undo(1), Undo(0), Undo(0)])
@example(deal=SWAPPED, steps=[Apply(0, 1, ALL), Apply(1, 0, ALL), Apply(1, 0, frozenset({0}), wrong=True)])
@example(deal=SAME, steps=[Apply(1, 2, ALL), Apply(0, 1, ALL), Undo(1), Apply(0, 1, ALL), Undo(1)])
@example(deal=SAME, steps=[Apply(0, 1, frozenset({0})), Undo(0), Apply(0, 1, frozenset({1}), wrong=True), Undo(1)])
def test_7_the_same_person_keeps_and_nobody_gets_another_s_identifier(
    deal: Deal, steps: list[Step], empty: Path, tmp_path: Path
) -> None:
    async def live() -> None:
        file = tmp_path / "broker.sqlite"
        for each in tmp_path.glob("broker.sqlite*"):
            each.unlink()
        shutil.copy(empty, file)
        database = open_database(f"sqlite+aiosqlite:///{file}")
        try:
            world = World(ledger=Ledger(database, KEYS, lambda: NOW), deal=deal)
            await world.check()
            for step in steps:
                await world.take(step)
                await world.check()
        finally:
            await database.close()

    asyncio.run(live())


@given(deal=DEALS)
def test_7_who_is_named_rightly_keeps_the_identifier_through_every_product(deal: Deal) -> None:
    """Three products in a row, whatever keys they deal out."""
    subjects = Subjects(keys=KEYS)
    for since, to in ((0, 1), (1, 2)):
        ground = a_ground(subjects=subjects)
        move = plan.move(ground, old=(PORI, KEYSPACES[since]), new=(PORI, KEYSPACES[to]))
        file = lines(*((f"K{deal[since][each]}", f"K{deal[to][each]}") for each in PEOPLE))
        planned = plan.plan(move, file, ground)
        assert len(planned.pairs) == len(PEOPLE)
        subjects = applied(subjects, planned)

    for each in PEOPLE:
        first = told(an_identity(KEYSPACES[0], f"K{deal[0][each]}"), WIKI)
        for keyspace, keys in zip(KEYSPACES, deal, strict=True):
            assert told(an_identity(keyspace, f"K{keys[each]}"), WIKI, subjects) == first
