"""Proving the stored log: every record by the chain, and its end by the head that appends lock."""

from __future__ import annotations

from sqlalchemy import select

from broker.audit import chain, records
from broker.audit.chain import GENESIS, AuditRecord, Break, Head
from broker.database.engine import Database
from broker.database.tables import audit_head, audit_records

_PAGE = 1000


async def verify(database: Database) -> Break | None:
    """The first break in the whole log, its end included. Raises: DatabaseUnavailable."""
    # Read first: what is appended meanwhile comes after it.
    newest = await _newest(database)
    head = GENESIS
    while head.sequence < newest.sequence:
        page = await _following(database, head, newest)
        if not page:
            break
        broken = chain.verify(page, after=head)
        if broken is not None:
            return broken
        head = page[-1].head
    return None if head == newest else Break(sequence=head.sequence + 1, reason="the newest records are not there")


async def _newest(database: Database) -> Head:
    async with database.reading() as connection:
        row = (await connection.execute(select(audit_head))).one()
    return Head(sequence=row.sequence, hash=row.hash)


async def _following(database: Database, head: Head, newest: Head) -> list[AuditRecord]:
    sequence = audit_records.c.sequence
    wanted = sequence.between(head.sequence + 1, newest.sequence)
    return await records.read(database, select(audit_records).where(wanted).order_by(sequence).limit(_PAGE))
