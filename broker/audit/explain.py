"""What was recorded of one login."""

from __future__ import annotations

from sqlalchemy import select

from broker.audit import records
from broker.audit.chain import AuditRecord
from broker.database.engine import Database
from broker.database.tables import audit_records


async def find(database: Database, reference: str) -> list[AuditRecord]:
    """Every record with this reference code, oldest first. Raises: DatabaseUnavailable."""
    query = select(audit_records).where(audit_records.c.reference == reference)
    return await records.read(database, query.order_by(audit_records.c.sequence))
