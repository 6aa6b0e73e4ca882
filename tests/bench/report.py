"""The results as a Markdown table for people and as JSON for scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.bench.measure import Result

_HEAD = (
    "| service → city | state | workers | logins | logins/s | p50 ms | p95 ms | p99 ms "
    "| CPU ms/login | driver's CPU ms | PSS MiB |"
)
_SECTION = re.compile(r"(<!-- bench -->\n).*?(<!-- end of bench -->)", re.DOTALL)


def markdown(results: Sequence[Result]) -> str:
    lines = [_HEAD, "| --- | --- |" + " ---: |" * 9]
    for each in results:
        wrong = f" ({each.wrong} wrong)" if each.wrong else ""
        numbers = (each.logins_per_second, each.p50_ms, each.p95_ms, each.p99_ms)
        cells = " | ".join(f"{number:.0f}" for number in numbers)
        pair = " → ".join(part.upper() for part in each.pair.split("-"))
        lines.append(
            f"| {pair} | {each.state} | {each.workers} | {each.logins}{wrong} | {cells} "
            f"| {each.cpu_ms:.2f} | {each.driver_cpu_ms:.2f} | {each.pss_mib:.0f} |"
        )
    return "\n".join(lines)


def write_into(page: Path, results: Sequence[Result], machine: str) -> None:
    """Between the page's marks ``<!-- bench -->`` and ``<!-- end of bench -->``."""
    table = f"{machine}.\n\n{markdown(results)}"
    page.write_text(
        _SECTION.sub(lambda section: f"{section[1]}\n{table}\n\n{section[2]}", page.read_text("utf-8")), "utf-8"
    )


def as_json(results: Sequence[Result], machine: str) -> str:
    rows = [{name: _rounded(value) for name, value in asdict(each).items()} for each in results]
    return json.dumps({"machine": machine, "results": rows}, indent=2)


def _rounded(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value
