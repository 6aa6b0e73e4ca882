"""An operator's machine: the command ``broker`` with a configuration of its own, and servers that it starts."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from aiohttp import AddrInfoType, ClientError, ClientSession, DummyCookieJar, TCPConnector
from typer.testing import CliRunner, Result

from broker.cli.commands import app
from broker.settings import load
from tests.bench.flows import discover
from tests.bench.parties import HOST, SECRETS
from tests.bench.processes import free_port
from tests.stories.town import City, Ground, Town, serving_city

PATIENCE_SECONDS = 60.0


@dataclass(kw_only=True)
class Office:
    """``folder``: data and documents. ``settings``: BROKER_… beyond those for folder, keys and a free port."""

    ground: Ground
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        shutil.copytree(self.ground.documents, self.documents)

    @property
    def documents(self) -> Path:
        return self.folder / "metadata"

    @property
    def base(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
        return others | {
            "BROKER_BASE_URL": self.base,
            "BROKER_LISTEN": f"{HOST}:{self.port}",
            "BROKER_DATA_DIR": str(self.folder / "data"),
            "BROKER_CERTS_DIR": str(self.ground.certs),
            "BROKER_NOTICE_SECONDS": "0",
            "BROKER_DRAIN_SECONDS": "2",
            **SECRETS,
            **self.settings,
        }

    def run(self, *words: object, status: int = 0) -> Result:
        """A command in this process; ``status``: how it must end."""
        given = {name: value for name, value in self.environment.items() if name not in os.environ}
        result = CliRunner().invoke(app, [str(word) for word in words], env=given, catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result

    def json(self, *words: object, status: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", status=status).stdout)

    def process(self, *words: object) -> subprocess.CompletedProcess[str]:
        """A command as a process of its own, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "broker.cli", *map(str, words)],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def begin_with_documents(self) -> None:
        """The ground's documents in use, without the time that it takes to apply them."""
        shutil.copytree(self.ground.folder / "data", self.folder / "data")


@dataclass(kw_only=True)
class Running:
    """``broker serve``. ``log``: what it writes."""

    office: Office
    process: subprocess.Popen[bytes]
    log: Path

    def workers(self) -> list[psutil.Process]:
        """Those that have taken their seat at the socket."""
        tree = [psutil.Process(self.process.pid)]
        tree += tree[0].children(recursive=True)
        return [each for each in tree if self._listens(each)]

    def worker_of(self, local_port: int) -> int | None:
        """The process that has the other end of a connection."""
        for worker in self.workers():
            ends = worker.net_connections("tcp")
            if any(each.raddr and each.raddr.port == local_port for each in ends):
                return worker.pid
        return None

    async def wait_for_workers(self, count: int) -> list[psutil.Process]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(found := self.workers()) != count:
                assert self.process.poll() is None, self.log.read_text("utf-8")
                await asyncio.sleep(0.05)
        return found

    async def ended(self) -> int:
        """The exit status."""
        return await asyncio.to_thread(self.process.wait, PATIENCE_SECONDS)

    @asynccontextmanager
    async def at_worker(self, pid: int) -> AsyncIterator[ClientSession]:
        """A connection to this worker alone: the kernel deals them out, so one is asked for until it comes."""
        async with AsyncExitStack() as stack:
            line = await stack.enter_async_context(_a_line(self.office.base))
            while self.worker_of(line.local_port) != pid:
                assert len(self.workers()) > 1 or self.workers()[0].pid == pid
                line = await stack.enter_async_context(_a_line(self.office.base))
            yield line.session

    def _listens(self, process: psutil.Process) -> bool:
        try:
            ends = process.net_connections("tcp")
        except psutil.Error:
            return False
        return any(each.status == psutil.CONN_LISTEN and each.laddr.port == self.office.port for each in ends)


class _Line:
    """A client with one connection, whose own end is known."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        connector = TCPConnector(limit=1, socket_factory=self._socket)
        self.session = ClientSession(connector=connector, cookie_jar=DummyCookieJar())

    @property
    def local_port(self) -> int:
        return int(self._sockets[-1].getsockname()[1])

    def _socket(self, address: AddrInfoType) -> socket.socket:
        self._sockets.append(socket.socket(address[0], address[1], address[2]))
        return self._sockets[-1]


@asynccontextmanager
async def _a_line(base: str) -> AsyncIterator[_Line]:
    line = _Line()
    async with line.session:
        async with line.session.get(f"{base}/healthz") as answer:
            await answer.read()
        yield line


@asynccontextmanager
async def serving(office: Office, *, workers: int = 1) -> AsyncIterator[Running]:
    """``broker serve`` until the end of the block, its workers all there."""
    running = _start(office, workers)
    try:
        await running.wait_for_workers(workers)
        yield running
    finally:
        await _stop(running.process)


def _start(office: Office, workers: int) -> Running:
    log = office.folder / "serve.log"
    command = [sys.executable, "-m", "broker.cli", "serve", "--workers", str(workers)]
    with log.open("ab") as file:
        process = subprocess.Popen(command, env=office.environment, cwd=office.folder, stdout=file, stderr=file)
    return Running(office=office, process=process, log=log)


async def _stop(process: subprocess.Popen[bytes]) -> None:
    tree = [psutil.Process(process.pid)] if process.poll() is None else []
    tree += [child for each in tree for child in each.children(recursive=True)]
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    await asyncio.to_thread(psutil.wait_procs, tree, PATIENCE_SECONDS)
    for each in tree:
        if each.is_running():
            each.kill()
    await asyncio.to_thread(process.wait)


@dataclass(kw_only=True)
class ServedTown(Town):
    """A town whose broker is processes of their own. What it records is read from its database."""

    running: Running = field(kw_only=True)

    def records(self, reference: str) -> list[Mapping[str, Any]]:
        return list(self.running.office.json("explain", reference))


@asynccontextmanager
async def serving_town(office: Office, *, workers: int = 1) -> AsyncIterator[ServedTown]:
    settings = load(office.environment, office.folder / "no.toml")
    city = City(parties=office.ground.parties, callback=f"{office.base}/oidc/callback")
    async with (
        serving(office, workers=workers) as running,
        serving_city(office.ground, city.application()) as stop_city,
        ClientSession(cookie_jar=DummyCookieJar(), connector=TCPConnector(force_close=True)) as session,
    ):
        seen = await discover(session, office.base)
        yield ServedTown(
            ground=office.ground,
            settings=settings,
            broker=None,  # type: ignore[arg-type]  # it is in processes of its own
            session=session,
            city=city,
            seen=seen,
            stop_city=stop_city,
            running=running,
        )


async def ready(session: ClientSession, base: str) -> tuple[int, Mapping[str, str]]:
    """Status and parts of /readyz; status 0 when nobody answers."""
    try:
        async with session.get(f"{base}/readyz") as answer:
            return answer.status, await answer.json()
    except (ClientError, OSError):
        return 0, {}
