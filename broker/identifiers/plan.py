"""plan: what a migration would do to people and to services' accounts, foreseen by the audit log. Pure.

Each line is one of: *keep* (the person's accounts stay theirs), *never seen* (nobody of that old key has an account that the log
knows), *already* (in force as it is), *change* (the person has accounts by the new key, which are left for the old ones; only where
the operator vouches for it), *collide* (somebody would get another person's identifiers, or two people one). A plan with a
collision is never applied.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from broker.attributes import identifiers, release, subject
from broker.attributes.identifiers import Kept, Subjects
from broker.attributes.mapping import effective_rules
from broker.attributes.subject import Subject
from broker.federation.model import (
    Federation,
    IdentityProvider,
    IdentityProviderId,
    OrganisationId,
    Service,
    ServiceId,
)
from broker.identifiers.key_file import KeyLine
from broker.identifiers.ledger import Move
from broker.identifiers.seen import Accounts, Seen


class Outcome(StrEnum):
    KEEP = "keep"
    NEVER_SEEN = "never_seen"
    ALREADY = "already"
    CHANGE = "change"
    COLLIDE = "collide"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``lines``: numbers in the file; none, when it is about the whole. A ``problem`` forbids the migration."""

    code: str
    problem: bool
    message: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEffect:
    """``accounts``: that the log knows of people who came by the old keyspace. ``kept`` of them stay, ``changed`` do not: no line
    names their people, or their lines collide. ``left``: made by new keys, and left for the old ones. ``both``: the service gets
    the old identifier beside the new one."""

    service: ServiceId
    accounts: int
    kept: int
    changed: int
    left: int
    both: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``lines``: of the file. ``pairs``: what would be stored, (new key, old key). ``base``: the newest migration that it reckons
    with."""

    move: Move
    base: int
    lines: int
    outcomes: Mapping[Outcome, int]
    findings: tuple[Finding, ...]
    services: tuple[ServiceEffect, ...]
    pairs: tuple[tuple[str, str], ...] = field(repr=False)

    @property
    def possible(self) -> bool:
        return not any(each.problem for each in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a plan reckons with. ``now``: the documents in use; ``then``: those that will be (the same, if none are named).
    ``subjects``: the migrations in force. ``today``: the Finnish calendar date."""

    now: Federation
    then: Federation
    seen: Seen
    subjects: Subjects
    today: date


class MoveRefused(Exception):
    """The move itself makes no sense; the text says what does."""


def move(
    ground: Ground, *, old: tuple[str, str], new: tuple[str, str], old_scope: str = "", until: date | None = None
) -> Move:
    """``old``, ``new``: organisation and keyspace. ``old_scope``: of an organisation that is in no document any more.

    Raises: MoveRefused.
    """
    from_organisation, to_organisation = OrganisationId(old[0]), OrganisationId(new[0])
    if old == new:
        raise MoveRefused(
            "the old and the new keyspace are the same: a key that passes to another person cannot be told from theirs; "
            "give the identity provider a new keyspace"
        )
    if to_organisation not in ground.then.organisations:
        known = ", ".join(sorted(ground.then.organisations))
        raise MoveRefused(f"there is no organisation {to_organisation}; the organisations are {known}")
    if until is not None and until < ground.today:
        raise MoveRefused(f"{until} is over: the last day of both side by side must be today or later")
    scope = ""
    if from_organisation != to_organisation:
        former = ground.now.organisations.get(from_organisation) or ground.then.organisations.get(from_organisation)
        scope = former.scopes[0] if former is not None else old_scope
        if not scope:
            raise MoveRefused(f"{from_organisation} is in no document: name its primary scope by --old-scope")
    return Move(
        from_organisation=from_organisation,
        from_keyspace=old[1],
        to_organisation=to_organisation,
        to_keyspace=new[1],
        scope=scope,
        until=until,
    )


def plan(move: Move, lines: Sequence[KeyLine], ground: Ground, *, same_people: bool = False) -> Plan:
    """``same_people``: the operator vouches that whoever logged in by a new key is the person of its old key."""
    return _Planner(move, lines, ground, same_people).plan()


class _Planner:
    def __init__(self, move: Move, lines: Sequence[KeyLine], ground: Ground, same_people: bool) -> None:
        self._move, self._lines, self._ground, self._same_people = move, lines, ground, same_people
        self._home = ground.then.organisations[move.to_organisation]
        self._known = _Known(ground.subjects)
        self._services = _services(ground)
        before, after = self._identity_providers()
        self._before = ground.seen.accounts(move.from_organisation, before)
        self._after = ground.seen.accounts(move.to_organisation, after)
        self._colliding: defaultdict[str, set[int]] = defaultdict(set)
        self._kept: Counter[ServiceId] = Counter()
        self._left: Counter[ServiceId] = Counter()

    def plan(self) -> Plan:
        numbers = _numbers(self._lines)
        self._collide_in_the_file(numbers)
        outcomes: Counter[Outcome] = Counter()
        pairs: list[tuple[str, str]] = []
        for (new, old), where in numbers.items():
            outcome = self._outcome(new, old, where)
            outcomes[outcome] += 1
            if outcome in (Outcome.KEEP, Outcome.NEVER_SEEN, Outcome.CHANGE):
                pairs.append((new, old))
        return Plan(
            move=self._move,
            base=self._ground.subjects.number,
            lines=len(self._lines),
            outcomes={each: outcomes[each] for each in Outcome},
            findings=(*self._collisions(), *self._about_the_whole(), *_duplicates(numbers), *self._notices(outcomes)),
            services=tuple(self._effects()),
            pairs=tuple(pairs),
        )

    # -- lines

    def _collide_in_the_file(self, numbers: Mapping[tuple[str, str], list[int]]) -> None:
        by_new: defaultdict[str, list[int]] = defaultdict(list)
        by_old: defaultdict[str, list[int]] = defaultdict(list)
        for (new, old), where in numbers.items():
            by_new[new].append(where[0])
            by_old[old].append(where[0])
        for code, groups in (("two_old_one_new", by_new), ("one_old_two_new", by_old)):
            for group in groups.values():
                if len(group) > 1:
                    self._colliding[code].update(group)

    def _outcome(self, new: str, old: str, where: list[int]) -> Outcome:
        if any(where[0] in each for each in self._colliding.values()):
            return Outcome.COLLIDE
        newer, older = self._hashes(new, old)
        if self._known.is_one_person(newer, older):
            self._count_kept(old)
            return Outcome.ALREADY
        if newer in self._known:
            return self._collide("new_is_known", where)
        if self._known.has_newer(older):
            return self._collide("old_has_new", where)
        if self._by_new_key(new):
            if not self._same_people:
                return self._collide("new_seen", where)
            self._left.update(self._by_new_key(new))
            self._count_kept(old)
            return Outcome.CHANGE
        return Outcome.KEEP if self._count_kept(old) else Outcome.NEVER_SEEN

    def _collide(self, code: str, where: list[int]) -> Outcome:
        self._colliding[code].add(where[0])
        return Outcome.COLLIDE

    def _hashes(self, new: str, old: str) -> tuple[bytes, bytes]:
        keys, move = self._ground.subjects.keys, self._move
        return (
            identifiers.lookup(keys, move.to_organisation, move.to_keyspace, new),
            identifiers.lookup(keys, move.from_organisation, move.from_keyspace, old),
        )

    def _count_kept(self, old: str) -> bool:
        """Counts the accounts of the old key's person; whether there are any."""
        move = self._move
        own = Subject(
            organisation=move.from_organisation, keyspace=move.from_keyspace, key=old, scope=self._former_scope()
        )
        older = identifiers.lookup(self._ground.subjects.keys, own.organisation, own.keyspace, own.key)
        found = False
        for service, accounts in self._accounts(self._before):
            follows = release.follows(service, self._home)
            known = identifiers.walk(own, self._ground.subjects.kept.get(older), follows, self._ground.today).subject
            if subject.pairwise_id(self._ground.subjects.keys, known, service) in accounts:
                self._kept[service.id] += 1
                found = True
        return found

    def _by_new_key(self, new: str) -> list[ServiceId]:
        """Where the new key's person has an account already."""
        move = self._move
        own = Subject(organisation=move.to_organisation, keyspace=move.to_keyspace, key=new, scope=self._home.scopes[0])
        keys = self._ground.subjects.keys
        seen = self._accounts(self._after)
        return [each.id for each, accounts in seen if subject.pairwise_id(keys, own, each) in accounts]

    def _accounts(self, accounts: Accounts) -> Iterator[tuple[Service, frozenset[str]]]:
        """Of services that are still there."""
        for id, subjects in accounts.items():
            if id in self._services:
                yield self._services[id], subjects

    def _former_scope(self) -> str:
        return self._move.scope or self._home.scopes[0]

    # -- identity providers

    def _identity_providers(self) -> tuple[set[IdentityProviderId], set[IdentityProviderId]]:
        """Of the old keyspace, those that are in no document any more among them; and of the new one."""
        move = self._move
        before = {each.id for each in self._of(move.from_organisation, move.from_keyspace)}
        gone = self._ground.seen.identity_providers(move.from_organisation) - self._ground.now.identity_providers.keys()
        return before | gone, {each.id for each in self._of(move.to_organisation, move.to_keyspace)}

    def _of(self, organisation: OrganisationId, keyspace: str) -> list[IdentityProvider]:
        return [
            idp
            for federation in (self._ground.now, self._ground.then)
            for idp in federation.identity_providers.values()
            if organisation in idp.organisations and idp.subject.keyspace == keyspace
        ]

    # -- what is told

    def _collisions(self) -> Iterator[Finding]:
        for code, message in _COLLISIONS.items():
            if lines := self._colliding.get(code):
                yield Finding(code=code, problem=True, message=message, lines=tuple(sorted(lines)))

    def _about_the_whole(self) -> Iterator[Finding]:
        move = self._move
        if move.scope and move.scope not in self._home.scopes:
            yield Finding(
                code="scope_not_taken_over",
                problem=True,
                message=f"the identifiers end in @{move.scope}, which is not a scope of {self._home.id}: move the scope to its "
                "document, and name the folder by --with",
            )
        if not self._of(move.to_organisation, move.to_keyspace):
            yield Finding(
                code="new_keyspace_unknown",
                problem=True,
                message=f"no identity provider of {move.to_organisation} has the keyspace {move.to_keyspace}: name the folder "
                "with its document by --with",
            )

    def _notices(self, outcomes: Mapping[Outcome, int]) -> Iterator[Finding]:
        move = self._move
        sides = (
            *self._of(move.from_organisation, move.from_keyspace),
            *self._of(move.to_organisation, move.to_keyspace),
        )
        if not self._of(move.from_organisation, move.from_keyspace):
            yield _notice("old_keyspace_unknown", f"no document names the keyspace {move.from_keyspace} any more")
        if any(self._before.values()) and not self._kept.total() and not outcomes[Outcome.COLLIDE]:
            yield _notice(
                "nobody_known", "people came by the old keyspace, and none of them is in the file: are these the keys?"
            )
        if asserting := sorted({each.id for each in sides if "subjectId" in effective_rules(each)}):
            yield _notice(
                "subject_id_from_home",
                f"{', '.join(asserting)} may send a subject-id of its own, which services get as it is: it stays only if the new "
                "product sends the same",
            )
        if move.until is not None and any(each.accounts and not each.both for each in self._effects()):
            yield _notice(
                "cannot_follow",
                f"some services get no previousPairwiseId or previousSubjectId: after {move.until} people have new accounts there",
            )

    def _effects(self) -> Iterator[ServiceEffect]:
        for service in sorted({*self._before, *self._after} & self._services.keys()):
            accounts = len(self._before.get(service, ()))
            if accounts or self._left[service]:
                kept = self._kept[service]
                yield ServiceEffect(
                    service=service,
                    accounts=accounts,
                    kept=kept,
                    changed=accounts - kept,
                    left=self._left[service],
                    both=self._move.until is not None and release.follows(self._services[service], self._home),
                )


_COLLISIONS: Mapping[str, str] = {
    "two_old_one_new": "two old keys become one new key: two people would be one",
    "one_old_two_new": "one old key becomes two new keys: two people would share identifiers",
    "new_is_known": "the new key belongs to another person, by a migration in force",
    "old_has_new": "the old key is followed by another new key, by a migration in force",
    "new_seen": "somebody logged in by the new key already, and has accounts of their own: if they are the same people, say so by "
    "--same-people, and these accounts are left for the old ones",
}


class _Known:
    """The identities of the migrations in force, by their hashes."""

    def __init__(self, subjects: Subjects) -> None:
        self._newer_of: dict[bytes, bytes] = {}
        self._older_of: dict[bytes, bytes] = {}
        for newer, kept in subjects.kept.items():
            older = _hash(subjects, kept)
            self._older_of[newer] = older
            self._newer_of[older] = newer

    def __contains__(self, identity: bytes) -> bool:
        return identity in self._older_of or identity in self._newer_of

    def has_newer(self, identity: bytes) -> bool:
        return identity in self._newer_of

    def is_one_person(self, one: bytes, other: bytes) -> bool:
        return self._oldest(one) == self._oldest(other)

    def _oldest(self, identity: bytes) -> bytes:
        while identity in self._older_of:
            identity = self._older_of[identity]
        return identity


def _hash(subjects: Subjects, kept: Kept) -> bytes:
    return identifiers.lookup(subjects.keys, kept.organisation, kept.keyspace, kept.key)


def _services(ground: Ground) -> Mapping[ServiceId, Service]:
    return {**ground.now.services, **ground.then.services}


def _numbers(lines: Iterable[KeyLine]) -> Mapping[tuple[str, str], list[int]]:
    """The lines of each pair (new key, old key)."""
    found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for each in lines:
        found[each.new, each.old].append(each.number)
    return found


def _duplicates(numbers: Mapping[tuple[str, str], list[int]]) -> Iterator[Finding]:
    twice = sorted(number for where in numbers.values() for number in where[1:])
    if twice:
        message = "the same line again: remove it, so that everybody knows what was meant"
        yield Finding(code="duplicate", problem=True, message=message, lines=tuple(twice))


def _notice(code: str, message: str) -> Finding:
    return Finding(code=code, problem=False, message=message)
