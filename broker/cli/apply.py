"""``broker apply DIR``: makes the registry equal to the documents of a folder, whole or not at all."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from broker.app import now
from broker.audit.events import AuditEvent
from broker.audit.log import DatabaseAuditLog
from broker.audit.writer import writer_for
from broker.cli.console import Json, err, fail, out, print_json
from broker.cli.opening import build_here, database, run
from broker.database.engine import Database
from broker.federation.documents import DocumentErrors, DocumentSet, read_folder
from broker.federation.metadata_validity import ending
from broker.federation.registry import Plan, Registry, RevisionConflict


def apply(
    folder: Annotated[Path, typer.Argument(help="The folder with the documents, for example metadata/.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the plan.")] = False,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why; it is kept with the revision.")] = "",
    author: Annotated[str, typer.Option("--author", help="Who; by default the user of this machine.")] = "",
    as_json: Json = False,
) -> None:
    """Bring a folder of documents into use. Example: broker apply metadata/ -m "Ulvila joins" """
    if not folder.is_dir():
        fail(f"{folder}: not a folder", status=2)
    documents = _checked(folder)

    async def perform() -> tuple[Plan, int | None]:
        async with database() as opened:
            registry = Registry(opened, now)
            plan = await registry.plan(documents)
            if dry_run or not plan.changes:
                return plan, None
            who = author or getpass.getuser()
            number = await registry.apply(documents, author=who, reason=reason, expect_revision=plan.revision)
            await _record(opened, number, who, plan)
            return plan, number

    try:
        plan, number = run(perform())
    except RevisionConflict as conflict:
        fail(str(conflict))
    if as_json:
        changes = [
            {"action": each.action, "kind": each.kind, "id": each.id, "diff": each.diff} for each in plan.changes
        ]
        print_json({"summary": plan.summary, "changes": changes, "revision": number, "applied": number is not None})
        return
    _print(plan)
    if number is not None:
        out.print(f"Applied as revision {number}: {plan.summary}.")
    elif plan.changes:
        out.print(f"Not applied (--dry-run): {plan.summary}.")
    else:
        out.print(f"Nothing to change: the registry holds these documents already, as revision {plan.revision}.")


_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def _print(plan: Plan) -> None:
    """The plan, like a diff."""
    for change in plan.changes:
        out.print(f"{change.action} {change.kind} {change.id}", style="bold", markup=False)
        for line in change.diff.splitlines():
            out.print(line, style=_COLOURS.get(line[:1]), markup=False, soft_wrap=True)


def _checked(folder: Path) -> DocumentSet:
    """The folder's documents, after every check that the broker itself will make of them."""
    try:
        documents = read_folder(folder)
        federation = build_here(documents, 0)
    except DocumentErrors as errors:
        fail("\n".join([*map(str, errors.problems), "Nothing was applied."]))
    for each in ending(federation, now()):
        err.print(f"notice: {each}", style="yellow", markup=False)
    return documents


async def _record(opened: Database, revision: int, author: str, plan: Plan) -> None:
    log = DatabaseAuditLog(writer_for(opened))
    await log.start()
    try:
        event = AuditEvent(
            kind="registry.applied", at=now(), actor=author, revision=revision, detail={"summary": plan.summary}
        )
        await log.append(event)
    finally:
        await log.close()
