"""What recent logins had, by identity provider: how many there were, and which rules found something. Names, never values."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import select

from broker.audit import records
from broker.audit.chain import AuditRecord
from broker.database import instants
from broker.database.engine import Database
from broker.database.tables import audit_records

MOST_RECORDS = 5000
"""The newest ones; more would tell nothing else."""

LOGINS = ("login.answered", "login.refused")

Rules = Mapping[tuple[str, str], int]
"""(canonical attribute, source) → in how many logins the source had a value that passed."""


async def seen(database: Database, since: datetime) -> Mapping[str, tuple[int, Rules]]:
    """By identity provider: the logins whose answer was mapped, and their rules. Raises: DatabaseUnavailable."""
    query = (
        select(audit_records)
        .where(audit_records.c.kind.in_(LOGINS), audit_records.c.at >= instants.to_text(since))
        .order_by(audit_records.c.sequence.desc())
        .limit(MOST_RECORDS)
    )
    return count(await records.read(database, query))


def count(found: Iterable[AuditRecord]) -> Mapping[str, tuple[int, Rules]]:
    logins: Counter[str] = Counter()
    rules: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for record in found:
        mapped = _mapped(record)
        if mapped is not None:
            logins[record.identity_provider] += 1
            rules[record.identity_provider].update(mapped)
    return {idp: (logins[idp], rules[idp]) for idp in logins}


def _mapped(record: AuditRecord) -> set[tuple[str, str]] | None:
    """None: the login ended before anything was mapped."""
    steps = [step for step in json.loads(record.detail).get("trace", ()) if step.get("stage") == "map"]
    if not steps:
        return None
    return {(step["subject"], step["rule"]) for step in steps if step.get("verdict") == "mapped"}
