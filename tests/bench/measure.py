"""Many logins at once, and what they cost."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass

from aiohttp import ClientError

from tests.bench.errors import WrongAnswerError
from tests.bench.flows import Logins
from tests.bench.processes import Broker


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """``logins`` in all, ``concurrency`` at once, by ``users`` people in turn; no longer than ``seconds``."""

    logins: int
    concurrency: int
    users: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row of the table. Latencies: of whole logins, in milliseconds, the driver's own work included.

    ``cpu_ms``: of the broker's process tree, for each login. ``driver_cpu_ms``: of browser, service and city.
    """

    pair: str
    state: str
    workers: int
    logins: int
    wrong: int
    logins_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_ms: float
    driver_cpu_ms: float
    pss_mib: float
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    latencies: tuple[float, ...]
    wrong: int
    problems: tuple[str, ...]


async def measure(logins: Logins, broker: Broker, pair: str, state: str, workers: int, load: Load) -> Result:
    cpu, driver, began = broker.cpu_seconds(), time.process_time(), time.perf_counter()
    outcome = await perform(logins, pair, load)
    took, cpu = time.perf_counter() - began, broker.cpu_seconds() - cpu
    driver = time.process_time() - driver
    right = len(outcome.latencies)
    done = max(1, right + outcome.wrong)
    return Result(
        pair=pair,
        state=state,
        workers=workers,
        logins=right,
        wrong=outcome.wrong,
        logins_per_second=right / took,
        p50_ms=percentile(outcome.latencies, 0.50) * 1000,
        p95_ms=percentile(outcome.latencies, 0.95) * 1000,
        p99_ms=percentile(outcome.latencies, 0.99) * 1000,
        cpu_ms=cpu / done * 1000,
        driver_cpu_ms=driver / done * 1000,
        pss_mib=broker.pss_bytes() / 2**20,
        problems=outcome.problems,
    )


async def perform(logins: Logins, pair: str, load: Load) -> Outcome:
    """Bounded in count and time: whichever comes first."""
    latencies: list[float] = []
    problems: list[str] = []
    numbers = iter(range(load.logins))
    deadline = time.perf_counter() + load.seconds

    async def one_after_another() -> None:
        for number in numbers:
            began = time.perf_counter()
            if began > deadline:
                return
            try:
                await logins.log_in(pair, number % load.users)
            except (WrongAnswerError, ClientError, TimeoutError, ValueError, KeyError) as error:
                problems.append(f"{type(error).__name__}: {error}")
            else:
                latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(one_after_another() for _ in range(load.concurrency)))
    return Outcome(latencies=tuple(latencies), wrong=len(problems), problems=tuple(sorted(set(problems))[:5]))


def percentile(values: tuple[float, ...], share: float) -> float:
    """The smallest value that ``share`` of all values do not exceed; 0 when there is none."""
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
