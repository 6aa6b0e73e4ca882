"""What every command shares: where it writes, how it fails, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

_WIDE = 160
"""Columns where no terminal sets a width, so that nothing is cut in a log."""

out = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=_WIDE)
err = Console(stderr=True, highlight=False)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def complain(text: str) -> None:
    err.print(text, style="red", markup=False)


def fail(text: str, status: int = 1) -> NoReturn:
    """Says what is wrong and ends the command: 1, the answer is no; 2, used wrongly."""
    complain(text)
    raise typer.Exit(status)


def print_json(value: object) -> None:
    """One JSON document on standard output, untouched by colours or line folding."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None) -> None:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        # Names and codes are wrapped where they must be, never shortened.
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)


def print_facts(facts: Mapping[str, str]) -> None:
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        out.print(f"{name.ljust(width)}  {value}", markup=False)
