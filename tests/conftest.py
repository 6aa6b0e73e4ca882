"""Fixtures that every test may use."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
import redis
from aiohttp import AddrInfoType


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
