"""``broker log``: the revisions of the federation's data."""

from __future__ import annotations

from typing import Annotated

import typer

from broker.cli.console import Json, out, print_json, print_table
from broker.cli.opening import registry, run


def log(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, from the newest.")] = 20,
    as_json: Json = False,
) -> None:
    """Show who changed what, when and why. Example: broker log --limit 5"""

    async def read() -> list[dict[str, object]]:
        async with registry() as opened:
            return [
                {
                    "revision": revision.number,
                    "at": revision.at.isoformat(timespec="seconds"),
                    "author": revision.author,
                    "origin": revision.origin,
                    "reason": revision.reason,
                    "summary": revision.summary,
                }
                for revision in await opened.history(limit)
            ]

    rows = run(read())
    if as_json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), [[str(value) for value in row.values()] for row in rows])
    else:
        out.print("No revision yet. Bring the documents in with `broker apply DIR`.")
