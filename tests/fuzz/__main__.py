"""Coverage-guided fuzzing of every parser: ``python -m tests.fuzz [--seconds 600] [--jobs 2] [TARGET …]``.

The time is shared out among the targets. What a run learns stays in ``var/fuzz/corpus`` for the next; an input that something
broke on is kept in ``var/fuzz/findings``, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORK = ROOT / "var" / "fuzz"
_PATIENCE_SECONDS = 120
_MOST_MEGABYTES = 2048


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """``covered``: edges of our code; ``kept``: inputs that each reach something new."""

    target: str
    runs: int
    covered: int
    kept: int
    findings: tuple[Path, ...]
    said: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all when none is named")
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--jobs", type=int, default=2, help="targets at once")
    given = parser.parse_args()
    unknown = set(given.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    names = given.targets or list(TARGETS)
    share = max(1, given.seconds * given.jobs // len(names))
    with ThreadPoolExecutor(given.jobs) as pool:
        outcomes = list(pool.map(lambda name: fuzz(name, share), names))
    print(f"{'target':24}{'runs':>10}{'edges':>8}{'inputs':>8}  findings")
    for each in outcomes:
        print(f"{each.target:24}{each.runs:>10}{each.covered:>8}{each.kept:>8}  {len(each.findings)}")
    for each in outcomes:
        for path in each.findings:
            print(f"\n{each.target}: {path.relative_to(ROOT)}\n{each.said}")
    return 1 if any(each.findings for each in outcomes) else 0


def fuzz(name: str, seconds: int) -> Outcome:
    corpus, findings = WORK / "corpus" / name, WORK / "findings" / name
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    options = [
        f"-max_total_time={seconds}",
        # libFuzzer's own alarm sometimes ends Python; a target that hangs is noticed below.
        "-timeout=0",
        f"-rss_limit_mb={_MOST_MEGABYTES}",
        f"-artifact_prefix={findings}/",
        f"-dict={HERE / ('json.dict' if name.startswith(('oidc', 'jose', 'kept')) else 'saml.dict')}",
        "-max_len=40000",
        "-print_final_stats=1",
    ]
    command = [sys.executable, "-m", "tests.fuzz.one", name, str(corpus), str(HERE / "corpus" / name), *options]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=seconds + _PATIENCE_SECONDS,
    )
    new = tuple(sorted(set(findings.iterdir()) - before))
    # An end without a finding of its own, before the first run: the target cannot be made.
    if done.returncode and not new:
        raise RuntimeError(f"{name} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return Outcome(
        target=name,
        runs=_number(r"stat::number_of_executed_units: +(\d+)", done.stderr),
        covered=_number(r".*cov: (\d+)", done.stderr),
        kept=len(list(corpus.iterdir())),
        findings=new,
        said=_traceback(done.stderr + done.stdout),
    )


def _number(pattern: str, text: str) -> int:
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def _traceback(text: str) -> str:
    at = max(text.find("=== Uncaught Python exception: ==="), 0)
    return text[at : at + 3000]


if __name__ == "__main__":
    sys.exit(main())
