"""``broker serve``: the production server; and the supervisor of its workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Annotated

import typer

from broker.cli.console import complain, fail
from broker.settings import Settings, load

_RESTART_PAUSE = 1.0
"""Seconds between two starts of the same worker, so that one that cannot start does not spin."""


def serve(
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes; one for each core is right.")] = 1,
) -> None:
    """Serve until SIGTERM. Example: BROKER_BASE_URL=https://broker.example broker serve --workers 4

    Settings come from BROKER_… and broker.toml. All workers listen on the same address.
    """
    settings = load()
    if workers == 1:
        raise typer.Exit(_serve_here(settings))
    if settings.state_url.startswith("memory:"):
        fail("BROKER_STATE_URL: memory:// is for one process; use the default or redis:// with several workers", 2)
    raise typer.Exit(_supervise(settings, workers))


def _serve_here(settings: Settings) -> int:
    import uvloop

    from broker.app import StartError, run
    from broker.logs import configure

    configure(settings.log_level)
    try:
        uvloop.run(run(settings))
    except StartError as error:
        fail(str(error))
    except OSError as error:
        where = " and ".join(filter(None, (settings.listen, settings.metrics_listen)))
        fail(f"BROKER_LISTEN, BROKER_METRICS_LISTEN: cannot listen on {where}: {os.strerror(error.errno or 0)}")
    return 0


def _supervise(settings: Settings, workers: int) -> int:
    """Keeps ``workers`` processes alive; on SIGTERM or SIGINT stops them all and waits. The parent serves nothing."""
    with tempfile.TemporaryDirectory(prefix="broker-metrics-") as metrics:
        environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": metrics}
        command = [sys.executable, "-m", "broker.cli", "serve", "--workers", "1"]
        stopping: list[int] = []
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda number, _frame: stopping.append(number))
        running = [_start(command, environment)]
        if not _came_up(running[0], settings):
            return running[0].wait() or 1
        running += [_start(command, environment) for _ in range(workers - 1)]
        while not stopping:
            time.sleep(0.2)
            running = [_kept(process, command, environment) for process in running]
        return _stop_all(running, settings)


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=environment)


def _came_up(process: subprocess.Popen[bytes], settings: Settings) -> bool:
    """Whether the first worker passed its start: a wrong configuration is told once, not once a worker (promise P9)."""
    while process.poll() is None:
        try:
            with socket.create_connection(settings.listen_address, timeout=0.2):
                return True
        except OSError:
            time.sleep(0.05)
    return False


def _kept(process: subprocess.Popen[bytes], command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """The worker, or another in its place; the values of one that is no more leave the metrics."""
    # Imported here: a supervisor that loaded the broker's parts would hold their memory.
    from prometheus_client.multiprocess import mark_process_dead

    if process.poll() is None:
        return process
    mark_process_dead(process.pid, environment["PROMETHEUS_MULTIPROC_DIR"])  # type: ignore[no-untyped-call]
    complain(f"worker {process.pid} ended with status {process.returncode}; starting another")
    time.sleep(_RESTART_PAUSE)
    return _start(command, environment)


def _stop_all(running: list[subprocess.Popen[bytes]], settings: Settings) -> int:
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + settings.notice_seconds + settings.drain_seconds + 5
    for process in running:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return 0
