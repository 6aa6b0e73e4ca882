"""Cities that run oidc-provider (panva's node-oidc-provider) as their login: one process of Node.js, which ends with its
standard input."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MFA = "https://refeds.org/profile/mfa"
PASSWORD = "juhannus"
ONE_TIME = "271828"
_FOLDER = Path(__file__).parent / "provider"
_STOP_SECONDS = 20.0


def settings(
    algorithm: str, people: Mapping[str, Mapping[str, object]], client: Mapping[str, object], **more: bool
) -> dict[str, Any]:
    """Of one city, as ``provider.mjs`` reads them. ``client``: how the broker is registered there. ``more``:
    ``claims_in_id_token`` (instead of in userinfo), ``steps_up`` (asks for what acr_values wants of who is logged in),
    ``takes_pushed_requests`` (and no others), ``takes_claims`` (the parameter)."""
    return {
        "algorithm": algorithm,
        "people": people,
        "client": {"client_id": "broker", **client},
        "strong": MFA,
        "password": PASSWORD,
        "one_time": ONE_TIME,
        **more,
    }


@contextmanager
def running(cities: Sequence[Mapping[str, Any]], log: Path) -> Iterator[list[str]]:
    """The cities' issuers, in order, until the end of the block. ``log``: what they say on the way."""
    program = shutil.which("node")
    assert program, "Node.js is not installed: `make setup` installs it"
    assert (_FOLDER / "node_modules").is_dir(), "oidc-provider is not installed: `make setup` installs it"
    command = [program, "provider.mjs"]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, cwd=_FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(json.dumps(cities) + "\n")
        process.stdin.flush()
        issuers = process.stdout.readline()
        assert issuers, f"oidc-provider ended: {log.read_text('utf-8')}"
        yield json.loads(issuers)
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
