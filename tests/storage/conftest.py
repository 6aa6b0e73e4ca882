"""The three backends, and worker processes beside this one."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from broker.state.memory import MemoryStore
from broker.state.redis import RedisStore
from broker.state.sqlite import SqliteStore
from broker.state.store import RecordStore


class Seconds:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    async def elapse(self, time: timedelta) -> None:
        self.now += time.total_seconds()


@dataclass(frozen=True, kw_only=True)
class Backend:
    """``store``, and ``neighbour``: what another worker process would have open. ``elapse`` lets time pass for both."""

    store: RecordStore
    neighbour: RecordStore
    elapse: Callable[[timedelta], Awaitable[None]]


async def _memory() -> Backend:
    seconds = Seconds()
    store = MemoryStore(seconds)
    return Backend(store=store, neighbour=store, elapse=seconds.elapse)


async def _sqlite(file: Path) -> Backend:
    seconds = Seconds()
    store, neighbour = SqliteStore(file, seconds), SqliteStore(file, seconds)
    await store.open()
    await neighbour.open()
    return Backend(store=store, neighbour=neighbour, elapse=seconds.elapse)


async def _redis(url: str) -> Backend:
    return Backend(store=RedisStore(url), neighbour=RedisStore(url), elapse=_wait)


async def _wait(time: timedelta) -> None:
    # Redis has its own clock, which is read to the millisecond.
    await asyncio.sleep(time.total_seconds() + 0.002)


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    match request.param:
        case "memory":
            backend = await _memory()
        case "sqlite":
            backend = await _sqlite(tmp_path / "state.sqlite")
        case _:
            backend = await _redis(request.getfixturevalue("redis_url"))
    yield backend
    await backend.store.close()
    await backend.neighbour.close()


@pytest.fixture
def store(backend: Backend) -> RecordStore:
    return backend.store


@pytest.fixture
def name() -> str:
    """Of a record that nobody else has: the Redis is shared."""
    return f"test:{uuid.uuid4()}"


@pytest.fixture
def race() -> Callable[..., Awaitable[list[list[str]]]]:
    """Several processes that do the same to the same records at the same time; what each of them won."""

    async def run(url: str, method: str, prefix: str, *, records: int, processes: int) -> list[list[str]]:
        arguments = [str(Path(__file__).with_name("racer.py")), url, method, prefix, str(records)]
        runners = [
            await asyncio.create_subprocess_exec(
                sys.executable, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            for _ in range(processes)
        ]
        for runner in runners:
            assert runner.stdout is not None
            assert await runner.stdout.readline() == b"ready\n"
        outputs = await asyncio.gather(*(runner.communicate(b"go\n") for runner in runners))
        assert [runner.returncode for runner in runners] == [0] * processes
        return [output.decode().split() for output, _ in outputs]

    return run
