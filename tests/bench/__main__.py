"""``python -m tests.bench``: see ``--help``. Ends with 1 when any login was wrong, with 2 when nothing can be measured."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web

from tests.bench import oidc
from tests.bench.flows import PAIRS, Logins, discover
from tests.bench.measure import Load, Result, measure, perform
from tests.bench.parties import HOST, Parties, write_documents
from tests.bench.processes import Broker, CannotMeasureError, broker, free_port, redis_server
from tests.bench.report import as_json, markdown, write_into

STATES = ("redis", "sqlite")


def main() -> int:
    options = _options()
    try:
        results = run(options)
    except CannotMeasureError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"\n{machine()}\n\n{markdown(results)}")
    if options.json:
        options.json.write_text(as_json(results, machine()) + "\n", "utf-8")
    if options.readme:
        write_into(Path("README.md"), results, machine())
    for each in results:
        for problem in each.problems:
            print(f"{each.pair} {each.state} {each.workers}: {problem}", file=sys.stderr)
    return 1 if any(each.wrong or not each.logins for each in results) else 0


def run(options: argparse.Namespace) -> list[Result]:
    """One broker for each state and number of workers; the pairs one after another on it."""
    load = Load(logins=options.logins, concurrency=options.concurrency, users=options.users, seconds=options.seconds)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="broker-bench-") as name:
        folder = Path(name)
        parties = Parties.make(free_port())
        write_documents(folder / "documents", parties)
        for state in options.states:
            with redis_server(folder) if state == "redis" else nullcontext("") as state_url:
                for workers in options.workers:
                    place = folder / f"{state}-{workers}"
                    port = free_port()
                    with broker(place, folder / "documents", state_url, workers, port) as running:
                        work = _measure_pairs(parties, running, options.pairs, state, workers, load)
                        results += asyncio.run(work)
    return results


async def _measure_pairs(
    parties: Parties, running: Broker, pairs: tuple[str, ...], state: str, workers: int, load: Load
) -> list[Result]:
    results = []
    warm_up = Load(logins=max(20, 10 * workers), concurrency=load.concurrency, users=load.users, seconds=load.seconds)
    async with _driver(parties, running, load.concurrency) as logins:
        for pair in pairs:
            await perform(logins, pair, warm_up)
            results.append(await measure(logins, running, pair, state, workers, load))
            print(".", end="", flush=True, file=sys.stderr)
    return results


@asynccontextmanager
async def _driver(parties: Parties, running: Broker, concurrency: int) -> AsyncIterator[Logins]:
    """Browser, service and city, all in this process."""
    city = oidc.City(parties=parties, callback=f"{running.base_url}/oidc/callback")
    runner = web.AppRunner(city.application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, int(parties.base.rpartition(":")[2])).start()
        connector = TCPConnector(limit=concurrency)
        timeout = ClientTimeout(total=30)
        async with ClientSession(connector=connector, cookie_jar=DummyCookieJar(), timeout=timeout) as session:
            found = await discover(session, running.base_url)
            yield Logins(parties=parties, broker=found, city=city, session=session)
    finally:
        await runner.cleanup()


def machine() -> str:
    """What the numbers were measured on."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.machine(),
    )
    return f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}; the driver shares the machine"


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench", description="Logins through a real broker, every answer checked."
    )
    parser.add_argument("--pairs", type=_words(PAIRS), default=PAIRS, help="service-city, by default all four")
    parser.add_argument("--states", type=_words(STATES), default=STATES, help="redis, sqlite or both (default)")
    parser.add_argument("--workers", type=_numbers, default=(1, 2), help="for example 1,4 (default 1,2)")
    parser.add_argument("--logins", type=int, default=400, help="measured logins of each row (default 400)")
    parser.add_argument("--concurrency", type=int, default=16, help="logins at once (default 16)")
    parser.add_argument("--users", type=int, default=200, help="different people (default 200)")
    parser.add_argument("--seconds", type=float, default=60, help="longest time of a row (default 60)")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md too")
    return parser.parse_args()


def _words(allowed: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        words = tuple(text.split(","))
        unknown = [word for word in words if word not in allowed]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose among {', '.join(allowed)}")
        return words

    return parse


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
