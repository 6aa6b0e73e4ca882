"""The processes of one run: a broker as in production, a Redis of its own; started, measured and ended by process id."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from tests.bench.parties import HOST, SECRETS

_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_PSS = re.compile(r"^Pss: +(\d+) kB$", re.MULTILINE)


class CannotMeasureError(Exception):
    """Something that the bench needs does not start or answer. The message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A running ``broker serve``. ``process``: the supervisor of several workers, or the one worker itself."""

    base_url: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """User and system time of the whole tree up to now."""
        return float(sum(times.user + times.system for times in (each.cpu_times() for each in self._tree())))

    def pss_bytes(self) -> int:
        """Proportional set size of the whole tree: shared pages are counted once."""
        return sum(_pss(each.pid) for each in self._tree())

    def _tree(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis that keeps nothing on the disk, on a port of its own. Gives its URL. Raises: CannotMeasureError."""
    program = shutil.which("redis-server")
    if program is None:
        raise CannotMeasureError("redis-server is not installed; `make setup` installs it")
    port = free_port()
    command = [program, "--port", str(port), "--bind", HOST, "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait("redis-server", process, lambda: _accepts(port))
        yield f"redis://{HOST}:{port}/0"
    finally:
        _stop(process)


@contextmanager
def broker(folder: Path, documents: Path, state_url: str, workers: int, port: int) -> Iterator[Broker]:
    """Keys, documents, then ``broker serve`` until the end of the block. Raises: CannotMeasureError."""
    folder.mkdir(parents=True)
    base_url = f"http://{HOST}:{port}"
    environment = environment_of(folder, base_url, state_url)
    for arguments in (["keys", "create"], ["apply", str(documents), "--reason", "bench"]):
        run_once(arguments, environment, folder)
    with serving(folder, environment, workers) as running:
        yield running


@contextmanager
def serving(folder: Path, environment: Mapping[str, str], workers: int) -> Iterator[Broker]:
    """``broker serve`` until the end of the block; everything is prepared. Raises: CannotMeasureError."""
    base_url = environment["BROKER_BASE_URL"]
    command = [sys.executable, "-m", "broker.cli", "serve", "--workers", str(workers)]
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        _wait("broker serve", process, lambda: _ready(base_url), folder / "broker.log")
        running = Broker(base_url=base_url, process=psutil.Process(process.pid))
        _wait_for_workers(running, workers)
        yield running
    finally:
        _stop(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def environment_of(folder: Path, base_url: str, state_url: str) -> dict[str, str]:
    """The least a broker needs; nothing of the caller's own broker gets in. ``folder``: of ``broker``."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    return others | {
        "BROKER_BASE_URL": base_url,
        "BROKER_LISTEN": base_url.removeprefix("http://"),
        "BROKER_DATA_DIR": str(folder / "data"),
        "BROKER_CERTS_DIR": str(folder / "certs"),
        "BROKER_STATE_URL": state_url,
        "BROKER_LOG_LEVEL": "warning",
        "BROKER_NOTICE_SECONDS": "0",
        "BROKER_DRAIN_SECONDS": "2",
        **SECRETS,
    }


def run_once(arguments: list[str], environment: Mapping[str, str], folder: Path) -> None:
    """A command of the broker, to its end. Raises: CannotMeasureError."""
    command = [sys.executable, "-m", "broker.cli", *arguments]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise CannotMeasureError(f"broker {arguments[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def _wait_for_workers(running: Broker, workers: int) -> None:
    """Until every worker has taken its seat on the socket: measuring begins with all of them."""
    deadline = time.monotonic() + _START_SECONDS
    port = int(running.base_url.rpartition(":")[2])
    while _listeners(running, port) < workers:
        if time.monotonic() > deadline:
            raise CannotMeasureError("not every worker of broker serve came up")
        time.sleep(0.05)


def _listeners(running: Broker, port: int) -> int:
    tree = [running.process, *running.process.children(recursive=True)]
    return sum(
        any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in process.net_connections("tcp"))
        for process in tree
    )


def _wait(name: str, process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path | None = None) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if ready():
            return
        time.sleep(0.05)
    said = log.read_text("utf-8", "replace")[-2000:] if log else ""
    raise CannotMeasureError(f"{name} does not start\n{said}")


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _ready(base_url: str) -> bool:
    try:
        with urlopen(f"{base_url}/readyz", timeout=1) as answer:  # noqa: S310  # our own address on loopback
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Asks, waits, and only then insists; the workers end with their supervisor."""
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in psutil.wait_procs(children, timeout=1)[1]:
        child.kill()


def _pss(pid: int) -> int:
    found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text("ascii"))
    return int(found[1]) * 1024 if found else 0
