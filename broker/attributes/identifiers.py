"""identifiers: by which of a person's identities a service knows them, after their city changed its login product.

A migration says that who logs in by one identity was known by an older one before. Every identifier then is derived from the
older one and stays as it is. Where a migration has a last day, a service that can follow (it registered ``previousPairwiseId``
or ``previousSubjectId``) gets the newer identifier at once, and the older one beside it until that day; any other service gets
the older one until that day. After it every service gets the newer one.

Pure: what migrations say is a value that is handed in, and looked up by a keyed hash of the newer identity.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from broker.attributes import subject
from broker.attributes.subject import Subject
from broker.attributes.trace import TraceStep, Verdict
from broker.errors import KeptScopeLost
from broker.federation.model import Organisation, OrganisationId, Service
from broker.keys.keyring import SubjectKeys
from broker.login.identity import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The older identity that ``migration`` keeps for a newer one, and the one that is kept for it in turn.

    ``scope``: of its identifiers; "": that of the newer one's. ``until``: the last day of both side by side, in Finland; None:
    the older one is kept for good.
    """

    organisation: OrganisationId
    keyspace: str
    key: str = field(repr=False)
    scope: str = ""
    until: date | None = None
    migration: int
    older: Kept | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """What identifiers are made by. ``kept``: by the hash of the newer identity (``lookup``). ``number``: of the newest migration
    that is in it."""

    keys: SubjectKeys
    kept: Mapping[bytes, Kept] = field(default_factory=dict, repr=False)
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """``previous``: whose identifiers the service had for this person before, where it gets both."""

    subject: Subject
    previous: Subject | None = None


def lookup(keys: SubjectKeys, organisation: str, keyspace: str, key: str) -> bytes:
    """By what an identity is found again without being written down: 32 octets, the same for the life of the federation.

    The key of this hash is derived of K_sub by a message without NUL, which no person's is.
    """
    secret = hmac.digest(keys.subject, b"kuntasilta lookup of an identity", "sha256")
    return hmac.digest(secret, subject.message_of(organisation, keyspace, key), "sha256")


def whose(
    identity: Identity,
    organisation: Organisation,
    follows: bool,
    subjects: Subjects,
    today: date,
    trace: list[TraceStep],
) -> Whose:
    """``organisation``: the identity's. ``follows``: the service can follow a change of identifiers. Raises: KeptScopeLost."""
    own = Subject(
        organisation=organisation.id, keyspace=identity.keyspace, key=identity.key, scope=organisation.scopes[0]
    )
    if not subjects.kept:
        return Whose(subject=own)
    kept = subjects.kept.get(lookup(subjects.keys, own.organisation, own.keyspace, own.key))
    found = walk(own, kept, follows, today)
    for each in (found.subject, found.previous):
        if each is not None and each != own:
            _check_scope(each, organisation, trace)
    return found


def of(whose: Whose, identity: Identity, service: Service, keys: SubjectKeys) -> dict[str, tuple[str, ...]]:
    """Computed here, whatever the home asserts; only its subject-id, which was held to its scopes, is passed through."""
    own = identity.attributes.get("subjectId", ())
    public = own[:1] or (subject.subject_id(keys, whose.subject),)
    found = {
        "subjectId": public,
        "uniqueId": public,
        "pairwiseId": (subject.pairwise_id(keys, whose.subject, service),),
    }
    if whose.previous is not None:
        found["previousSubjectId"] = (subject.subject_id(keys, whose.previous),)
        found["previousPairwiseId"] = (subject.pairwise_id(keys, whose.previous, service),)
    return found


def walk(current: Subject, kept: Kept | None, follows: bool, today: date) -> Whose:
    """From the newest identity to the oldest, as far as migrations keep it. ``kept``: what is kept for ``current``."""
    while kept is not None and (kept.until is None or today <= kept.until):
        if kept.until is not None and follows:
            return Whose(subject=current, previous=walk(_older(kept, current), kept.older, False, today).subject)
        current, kept = _older(kept, current), kept.older
    return Whose(subject=current)


def _older(kept: Kept, newer: Subject) -> Subject:
    scope = kept.scope or newer.scope
    return Subject(organisation=kept.organisation, keyspace=kept.keyspace, key=kept.key, scope=scope)


def _check_scope(kept: Subject, organisation: Organisation, trace: list[TraceStep]) -> None:
    """P3: nobody is called by a scope that is not, or no longer, their organisation's. Another identifier instead would be
    another account at every service."""
    own = kept.scope in organisation.scopes
    note = f"those of {kept.organisation}, keyspace {kept.keyspace}"
    trace.append(
        TraceStep(
            stage="identifiers",
            subject="kept",
            verdict=Verdict.PASSED if own else Verdict.FAILED,
            rule=kept.scope,
            note=note if own else f"{note}; the scope is not one of {organisation.id}",
        )
    )
    if not own:
        raise KeptScopeLost(
            f"kept identifiers are in the scope {kept.scope}, which {organisation.id} does not have",
            organisation=organisation.id,
        )
