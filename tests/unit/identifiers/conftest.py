"""A ledger in a database of its own: SQLite, and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.database.engine import Database, open_database
from broker.database.migrate import migrate
from broker.identifiers.ledger import Ledger
from tests.unit.identifiers.parties import KEYS, NOW


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql").create())
    return f"sqlite+aiosqlite:///{tmp_path / 'broker.sqlite'}"


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    await migrate(url)
    opened = open_database(url)
    yield opened
    await opened.close()


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database, KEYS, lambda: NOW)
