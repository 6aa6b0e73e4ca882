"""Liveness, readiness and metrics."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_CHECK_SECONDS = 2.0
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

LOGINS = Counter(
    "broker_logins_total",
    "Logins that ended, by outcome; reason is the fault's code, empty for answers.",
    ["outcome", "reason", "upstream", "downstream"],
)
REQUEST_SECONDS = Histogram(
    "broker_request_seconds",
    "Time of a request, by route.",
    ["route", "status"],
    buckets=(0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
REVISION = Gauge("broker_federation_revision", "The revision that this process serves.", multiprocess_mode="livemin")


@dataclass
class Health:
    """Whether this worker should get requests. ``checks``: each part that a login needs, by name."""

    checks: Mapping[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    ready: bool = False

    async def findings(self) -> dict[str, str]:
        """Each part's state: ``ok``, or the kind of what is wrong; never an address or a secret."""
        names = list(self.checks)
        states = await asyncio.gather(*(_state(self.checks[name]) for name in names))
        found = dict(zip(names, states, strict=True))
        found["worker"] = "ok" if self.ready else "stopping"
        return found


def metrics_text() -> bytes:
    """Prometheus text of this process, or of all workers together when they share a folder."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's constructor is untyped
    return generate_latest(registry)


async def metrics(request: web.Request) -> web.StreamResponse:
    """``/metrics``."""
    return web.Response(body=metrics_text(), headers={"Content-Type": _METRICS_TYPE})


async def _state(check: Callable[[], Awaitable[None]]) -> str:
    try:
        await asyncio.wait_for(check(), _CHECK_SECONDS)
    except Exception as error:  # noqa: BLE001  # whatever is wrong with a part is a finding, not a crash
        return type(error).__name__
    return "ok"
