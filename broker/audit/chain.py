"""The hash chain: what makes a change to the audit log visible. Pure.

    hash(n) = SHA-256( hash(n-1) LF sequence(n) LF content(n) ), hexadecimal; hash(0) is 64 zeros

``hash(n-1)`` and ``sequence(n)`` (decimal, from 1, without gaps) are ASCII. ``content`` is the UTF-8 of one JSON object
whose members are the record's columns as they are stored, CONTENT names them: sorted by name, no white space, nothing
escaped that need not be. ``detail`` is a member like the others: a string, whose text is itself such JSON.

Whoever removes, adds, changes or swaps records breaks the chain at that place. Whoever can rewrite all that follows can
hide it; therefore the newest hash is worth keeping somewhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from broker.audit.events import AuditEvent
from broker.database import instants

CONTENT = (
    "actor",
    "at",
    "detail",
    "identity_provider",
    "kind",
    "organisation",
    "reason",
    "reference",
    "revision",
    "service",
    "subject",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest record of a chain."""

    sequence: int
    hash: str


GENESIS = Head(sequence=0, hash="0" * 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """An event with its place in the chain; the columns as they are stored. ``detail``: JSON."""

    sequence: int
    at: str
    kind: str
    reference: str
    service: str
    organisation: str
    identity_provider: str
    actor: str
    subject: str
    reason: str
    revision: int
    detail: str
    previous_hash: str
    hash: str

    @property
    def head(self) -> Head:
        return Head(sequence=self.sequence, hash=self.hash)

    def event(self) -> AuditEvent:
        """Raises: ValueError, of a record that was tampered with."""
        columns = {name: getattr(self, name) for name in CONTENT}
        return AuditEvent(**columns | {"at": instants.from_text(self.at), "detail": json.loads(self.detail)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Where the chain is broken: the first record that is not what it was, or that does not follow the one before."""

    sequence: int
    reason: str


def columns(event: AuditEvent) -> dict[str, str | int]:
    """The event as it is stored, CONTENT. Raises: TypeError, ValueError, when ``detail`` is not JSON-able."""
    return {
        "at": instants.to_text(event.at),
        "kind": _storable(event.kind),
        "reference": _storable(event.reference),
        "service": _storable(event.service),
        "organisation": _storable(event.organisation),
        "identity_provider": _storable(event.identity_provider),
        "actor": _storable(event.actor),
        "subject": _storable(event.subject),
        "reason": _storable(event.reason),
        "revision": event.revision,
        "detail": _storable(_canonical(dict(event.detail))),
    }


def content(columns: dict[str, str | int]) -> bytes:
    """What is hashed."""
    return _canonical(columns).encode("utf-8")


def record_hash(previous: Head, content: bytes) -> str:
    """The hash of the record that follows ``previous``."""
    return sha256(f"{previous.hash}\n{previous.sequence + 1}\n".encode("ascii") + content).hexdigest()


def verify(records: Iterable[AuditRecord], after: Head = GENESIS) -> Break | None:
    """The first break in ``records``, which are all that follow ``after``, in the order of their sequence."""
    for record in records:
        reason = _fault(record, after)
        if reason is not None:
            return Break(sequence=record.sequence, reason=reason)
        after = record.head
    return None


def _fault(record: AuditRecord, previous: Head) -> str | None:
    if record.sequence != previous.sequence + 1:
        return f"follows {previous.sequence}: records were removed or added"
    if record.previous_hash != previous.hash:
        return "does not continue the record before it"
    if record.hash != record_hash(previous, content({name: getattr(record, name) for name in CONTENT})):
        return "is not what was recorded"
    return None


def _storable(text: str) -> str:
    """A stranger's broken message must not keep its refusal out of the log: what no database stores is written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
