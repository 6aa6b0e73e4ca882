"""Fixtures that every test may use."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
import redis
from aiohttp import AddrInfoType
from hypothesis import settings

# An example may take long on a busy machine: what is fast enough, `make bench` says.
settings.register_profile("without a clock", deadline=None)
settings.load_profile("without a clock")


class Wire:
    """Makes sockets to loopback only; every other address is noted and refused, so that no guard is proven by a packet."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def __call__(self, address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, (host, *_) = address
        if not ip_address(host).is_loopback:
            self.refused.append(host)
            raise OSError("no packet leaves this machine")
        return socket.socket(family, kind, protocol)


@pytest.fixture
def wire() -> Iterator[Wire]:
    """For ``open_fetcher(make_socket=…)``. A test in which something wanted to leave loopback fails."""
    made = Wire()
    yield made
    assert made.refused == []


class RedisServer:
    """A real Redis on a port of its own, which keeps nothing on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = shutil.which("redis-server")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """On the port that it had before, if it had one."""
        assert self._program, "redis-server is not installed: `make setup` installs it"
        for _ in range(5):
            self.port = self.port or _free_port()
            options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
            self._process = subprocess.Popen([self._program, *options], stdout=subprocess.DEVNULL)
            if self._answers():
                return
            # Another process was quicker to take the port.
            self.port = 0
        raise AssertionError("redis-server does not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        with redis.Redis(port=self.port) as client:
            while self._process.poll() is None:
                try:
                    # The process id: another server may answer on this port.
                    return client.info("server")["process_id"] == self._process.pid
                except redis.ConnectionError:
                    time.sleep(0.01)
        return False


class PostgresqlServer:
    """A real PostgreSQL on a port of its own, in a folder that it loses at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # It refuses to run as root; Debian's package brings a user for it.
        self._user = "postgres" if os.geteuid() == 0 else None
        self.port = _free_port()

    def start(self) -> None:
        if self._user:
            shutil.chown(self._folder, self._user)
        cluster = str(self._folder / "cluster")
        self._run("initdb", "--pgdata", cluster, "--username", "broker", "--auth", "trust", "--no-sync")
        options = f"-c port={self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        log = str(self._folder / "log")
        self._run("pg_ctl", "start", "--wait", "--pgdata", cluster, "--log", log, "--options", options)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--mode", "immediate", "--pgdata", str(self._folder / "cluster"))

    def create(self) -> str:
        """The URL of a new, empty database."""
        name = f"broker_{uuid.uuid4().hex}"
        self._run("createdb", "--host", "127.0.0.1", "--port", str(self.port), "--username", "broker", name)
        return f"postgresql+asyncpg://broker@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *words: str) -> None:
        found = shutil.which(program) or next(iter(sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))), None)
        assert found, "postgresql is not installed: `make setup` installs it"
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            [found, *words], user=self._user, env=environment, cwd="/", stdout=subprocess.DEVNULL, check=False
        )
        assert done.returncode == 0, program


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """One for all tests of this process; each asks it for a database of its own."""
    # Not below pytest's own folder, which is root's alone.
    with tempfile.TemporaryDirectory(prefix="broker-postgresql-", ignore_cleanup_errors=True) as folder:
        server = PostgresqlServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def start_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], RedisServer]]:
    """Starts another Redis at each call; all are stopped at the end."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(_running(RedisServer(tmp_path_factory.mktemp("redis"))))


@contextmanager
def _running(server: RedisServer) -> Iterator[RedisServer]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def redis_url(start_redis: Callable[[], RedisServer]) -> str:
    """One Redis for all tests of this process: use names of your own, or empty it first."""
    return start_redis().url
