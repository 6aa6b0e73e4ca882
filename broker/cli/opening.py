"""Opens what a command needs of the durable state, and turns what may go wrong into one sentence and a status."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from broker.cli.console import fail
from broker.database.engine import Database, open_database
from broker.database.migrate import migrate
from broker.errors import BrokerFault
from broker.federation.documents import DocumentSet
from broker.federation.model import Federation
from broker.federation.registry import Registry
from broker.keys import keyring
from broker.keys.client_secrets import ClientSecrets
from broker.settings import load

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a command's work. What it cannot reach or read ends the command with status 1."""
    try:
        return asyncio.run(work)
    except BrokerFault as fault:
        fail(f"{fault.code.replace('_', ' ')}: {fault.detail}")


@asynccontextmanager
async def database() -> AsyncIterator[Database]:
    """The database of the settings, brought to this version's tables. Raises: BrokerFault."""
    settings = load()
    await migrate(settings.database)
    opened = open_database(settings.database)
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def registry() -> AsyncIterator[Registry]:
    async with database() as opened:
        yield Registry(opened, now)


def build_here(documents: DocumentSet, revision: int) -> Federation:
    """As the broker itself will build it: with this environment, from this folder, by the keys of the settings.

    Raises: DocumentErrors.
    """
    from broker.app import build_federation

    generated = ClientSecrets(partial(keyring.sealing_key, load().certs_dir))
    return build_federation(documents, revision, environment=os.environ, base=Path.cwd(), generated=generated)


def now() -> datetime:
    return datetime.now(UTC)
