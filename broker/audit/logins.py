"""Recent logins, as they were recorded."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from broker.audit import records
from broker.audit.events import AuditEvent
from broker.database import instants
from broker.database.engine import Database
from broker.database.tables import audit_records

KINDS = ("login.answered", "login.refused")


async def recent(database: Database, since: datetime, *, most: int) -> list[AuditEvent]:
    """The newest first, at most ``most``. Raises: DatabaseUnavailable."""
    query = (
        select(audit_records)
        .where(audit_records.c.kind.in_(KINDS), audit_records.c.at >= instants.to_text(since))
        .order_by(audit_records.c.sequence.desc())
        .limit(most)
    )
    return [record.event() for record in await records.read(database, query)]
