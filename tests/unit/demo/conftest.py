from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar

from broker.demo.world import HOST, Ports, PreparedDemo, prepare, shipped_metadata


@pytest.fixture(scope="session")
def demo_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of keys for the session: making them is the slow part."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture
def free_ports() -> Ports:
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(5)]
        for each in taken:
            each.bind((HOST, 0))
        broker, rooms, wiki, pori, ulvila = (each.getsockname()[1] for each in taken)
    return Ports(broker=broker, meeting_rooms=rooms, shared_wiki=wiki, pori=pori, ulvila=ulvila)


@pytest.fixture
def prepared(demo_keys: Path, free_ports: Ports) -> PreparedDemo:
    return prepare(demo_keys, free_ports, shipped_metadata())


@pytest.fixture
async def browser() -> AsyncIterator[ClientSession]:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        yield session
