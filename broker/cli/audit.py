"""``broker audit``: proves the audit log."""

from __future__ import annotations

import typer

from broker.audit.chain import Break
from broker.audit.verification import verify as verify_log
from broker.cli.console import Json, fail, out, print_json
from broker.cli.opening import database, run

app = typer.Typer(help="The audit log.", no_args_is_help=True)


@app.callback()
def _audit() -> None:
    """The audit log."""


@app.command()
def verify(as_json: Json = False) -> None:
    """Follow the hash chain from its first record to its last. Example: broker audit verify"""

    async def prove() -> Break | None:
        async with database() as opened:
            return await verify_log(opened)

    broken = run(prove())
    if as_json:
        print_json({"ok": broken is None} | ({"sequence": broken.sequence, "why": broken.reason} if broken else {}))
        raise typer.Exit(0 if broken is None else 1)
    if broken is not None:
        fail(f"record {broken.sequence} {broken.reason}")
    out.print("The chain is whole.")
