"""The whole demo in one process: the broker with the demo federation applied, two cities, two services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from broker.app import Broker, build_federation, opened
from broker.audit.events import AuditEvent
from broker.database.engine import open_database
from broker.database.migrate import migrate
from broker.demo.run import start_cities_and_services
from broker.demo.world import HOST, Ports, PreparedDemo, base_url, prepare, shipped_metadata
from broker.federation.documents import read_folder
from broker.federation.registry import Registry
from broker.keys import keyring
from broker.keys.client_secrets import ClientSecrets
from broker.settings import Settings
from broker.web.server import listening


@asynccontextmanager
async def whole_demo(folder: Path, ports: Ports) -> AsyncIterator[tuple[PreparedDemo, Broker]]:
    """Everything listens inside the block. ``folder`` keeps keys and data from run to run.

    Raises: DemoUnavailable, StartError, OSError (a port is taken).
    """
    prepared = await asyncio.to_thread(prepare, folder, ports, shipped_metadata())
    settings = settings_of(prepared)
    await asyncio.to_thread(keyring.create, settings.certs_dir, common_name=HOST, now=datetime.now(UTC))
    revision = await _apply(prepared, settings)
    async with opened(settings, environment=prepared.environment) as broker:
        if revision is not None:
            await broker.audit.append(
                AuditEvent(kind="registry.applied", at=datetime.now(UTC), actor="demo", revision=revision)
            )
        async with listening(broker.app, settings, broker.health):
            running = await start_cities_and_services(prepared, settings.base_url)
            try:
                yield prepared, broker
            finally:
                await running.stop()


def settings_of(prepared: PreparedDemo) -> Settings:
    """The demo's broker: an embedded database, no configuration."""
    return Settings(
        base_url=base_url(prepared.ports.broker),
        listen=f"{HOST}:{prepared.ports.broker}",
        data_dir=prepared.folder / "data",
        certs_dir=prepared.folder / "certs",
        federation_name="Kuntasilta demo",
        operator="pori",
        drain_seconds=2,
        notice_seconds=0,
    )


async def _apply(prepared: PreparedDemo, settings: Settings) -> int | None:
    """Brings the demo's documents into use; None when they are in use already."""
    documents = read_folder(prepared.documents)
    generated = ClientSecrets(partial(keyring.sealing_key, settings.certs_dir))
    build_federation(documents, 0, environment=prepared.environment, base=prepared.folder, generated=generated)
    await migrate(settings.database)
    database = open_database(settings.database)
    try:
        registry = Registry(database, lambda: datetime.now(UTC))
        plan = await registry.plan(documents)
        if not plan.changes:
            return None
        return await registry.apply(documents, author="demo", reason="the demo federation")
    finally:
        await database.close()
