"""A migrated database in a file of its own, both writers, and worker processes beside this one."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.audit.events import AuditEvent
from broker.audit.log import DatabaseAuditLog
from broker.audit.writer import SqlAuditWriter, SqliteAuditWriter
from broker.database.engine import open_database
from broker.database.migrate import migrate


@pytest.fixture
def an_event():
    def build(reference: str = "K7M2-9QXA", **changes) -> AuditEvent:
        given = {
            "kind": "login.answered",
            "at": datetime(2026, 3, 1, 12, 0, 0, 123456, UTC),
            "service": "shared-wiki",
            "organisation": "pori",
            "identity_provider": "pori-adfs",
            "subject": "pairwise",
            "revision": 3,
            "detail": {"released": ["mail"], "trace": [{"stage": "map", "subject": "mail"}], "ms": 12},
        }
        return AuditEvent(reference=reference, **given | changes)

    return build


@pytest.fixture
def url(tmp_path):
    return f"sqlite+aiosqlite:///{tmp_path / 'broker.sqlite'}"


@pytest.fixture
async def database(url):
    await migrate(url)
    database = open_database(url)
    yield database
    await database.close()


@pytest.fixture(params=["straight", "sqlalchemy"])
def writer(request, database):
    """What PostgreSQL is written by, on SQLite too: the same promises hold for both."""
    return SqliteAuditWriter(database.file) if request.param == "straight" else SqlAuditWriter(database)


@pytest.fixture
async def log(writer):
    log = DatabaseAuditLog(writer)
    await log.start()
    yield log
    await log.close()


@pytest.fixture
def appender(url):
    """The command line of a process that appends: see appender.py."""

    def command(name: str, events: int, *options: str) -> list[str]:
        return [sys.executable, str(Path(__file__).with_name("appender.py")), url, name, str(events), *options]

    return command
