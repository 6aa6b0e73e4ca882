"""Reading the audit log's records."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select

from broker.audit.chain import AuditRecord
from broker.database.engine import Database


async def read(database: Database, query: Select[Any]) -> list[AuditRecord]:
    """``query``: selects whole rows of ``audit_records``. Raises: DatabaseUnavailable."""
    async with database.reading() as connection:
        return [AuditRecord(**row) for row in (await connection.execute(query)).mappings()]
