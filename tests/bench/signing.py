"""``python -m tests.bench.signing``: where a signature is best made (docs/adr/0010): the numbers behind the decision.

Sixteen callers ask for signatures one after another; a ticker beside them measures how late the event loop lets it run.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.bench.__main__ import machine

SIGNATURES = 2000
CALLERS = 16
OCTETS = os.urandom(800)
"""As many as a SignedInfo has."""

_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def sign() -> bytes:
    return _key.sign(OCTETS, padding.PKCS1v15(), hashes.SHA256())


Sign = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Seconds. ``late``: by how much each tick of the loop came too late, sorted."""

    wall: float
    cpu: float
    late: list[float]

    def row(self, name: str) -> str:
        p99 = self.late[int(len(self.late) * 0.99)]
        figures = (self.cpu / SIGNATURES * 1e3, SIGNATURES / self.wall, p99 * 1e3, self.late[-1] * 1e3)
        return f"| {name} | " + " | ".join(f"{each:.2f}" for each in figures) + " |"


async def measured(sign: Sign) -> Measured:
    """CPU is that of this process and its threads; a pool of processes adds its own in ``_of_children``."""
    for _ in range(CALLERS):
        await sign()
    late: list[float] = []
    ticker = asyncio.create_task(_tick(late))
    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(_call(sign, SIGNATURES // CALLERS) for _ in range(CALLERS)))
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    ticker.cancel()
    return Measured(wall=wall, cpu=cpu, late=sorted(late))


async def _call(sign: Sign, times: int) -> None:
    for _ in range(times):
        await sign()
        # What a login does between two signatures: it lets others run.
        await asyncio.sleep(0)


async def _tick(late: list[float]) -> None:
    pause = 0.001
    while True:
        before = time.perf_counter()
        await asyncio.sleep(pause)
        late.append(max(0.0, time.perf_counter() - before - pause))


async def _inline() -> bytes:
    return sign()


def _in(pool: Executor) -> Sign:
    async def call() -> bytes:
        return await asyncio.get_running_loop().run_in_executor(pool, sign)

    return call


def _of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def main() -> None:
    print(f"{machine()}\n\n| where | CPU ms/signature | signatures/s | loop late p99 ms | loop late max ms |")
    print("| --- | ---: | ---: | ---: | ---: |")
    print(asyncio.run(measured(_inline)).row("in the event loop"))
    with ThreadPoolExecutor(2) as threads:
        print(asyncio.run(measured(_in(threads))).row("two threads"))
    before = _of_children()
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as processes:
        found = asyncio.run(measured(_in(processes)))
    cpu = found.cpu + _of_children() - before
    print(Measured(wall=found.wall, cpu=cpu, late=found.late).row("two processes"))


if __name__ == "__main__":
    main()
