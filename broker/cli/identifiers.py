"""``broker identifiers``: what a change of login product or a merger does to people's identifiers, foreseen, done, and undone."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from broker.app import now
from broker.audit.events import AuditEvent
from broker.audit.log import DatabaseAuditLog
from broker.audit.writer import writer_for
from broker.cli.console import Json, err, fail, out, print_json, print_table
from broker.cli.opening import build_here, database, run
from broker.database.engine import Database
from broker.federation.access import finnish_date
from broker.federation.documents import DocumentErrors, read_folder
from broker.federation.model import OrganisationId
from broker.federation.registry import Registry
from broker.identifiers import key_file, plan, seen
from broker.identifiers.errors import Contradiction, LedgerConflict, NotInForce
from broker.identifiers.key_file import KeyFileError
from broker.identifiers.ledger import Ledger, Migration, Move, in_force
from broker.identifiers.plan import Ground, MoveRefused, Outcome, Plan
from broker.keys import keyring
from broker.keys.keyring import KeyRingError, SubjectKeys
from broker.settings import load

app = typer.Typer(help="Identifiers across a change of login product or a merger.", no_args_is_help=True)

T = TypeVar("T")

_LINES_SHOWN = 10

File = Annotated[Path, typer.Argument(help="CSV in UTF-8 with the columns old and new: each person's keys.")]
Organisation = Annotated[str, typer.Option(help="Whose people, where the organisation stays the same.")]
FromOrganisation = Annotated[str, typer.Option(help="A merger: the organisation that they were of.")]
ToOrganisation = Annotated[str, typer.Option(help="A merger: the organisation that they are of now.")]
FromKeyspace = Annotated[str, typer.Option(help="The keyspace of the old keys: that of the old identity provider.")]
ToKeyspace = Annotated[str, typer.Option(help="The keyspace of the new keys: that of the new identity provider.")]
OldScope = Annotated[
    str, typer.Option(help="A merger: the primary scope of an organisation that is in no document any more.")
]
Until = Annotated[
    str,
    typer.Option(
        "--release-old-until",
        metavar="DATE",
        help="Move the services to the new identifiers: until this day those that can follow get both. Without it the old ones stay.",
    ),
]
SamePeople = Annotated[
    bool, typer.Option("--same-people", help="Who logged in by a new key already is the person of its old key.")
]
With = Annotated[Path | None, typer.Option("--with", help="The folder of the documents that will be in use.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; it is kept with the record.")]
Author = Annotated[str, typer.Option("--author", help="Who; by default the user of this machine.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    file: Path
    old: tuple[str, str]
    new: tuple[str, str]
    old_scope: str
    until: date | None
    same_people: bool
    folder: Path | None
    keys: SubjectKeys = field(repr=False)


@app.command("plan")
def plan_migration(
    file: File,
    from_keyspace: FromKeyspace,
    to_keyspace: ToKeyspace,
    organisation: Organisation = "",
    from_organisation: FromOrganisation = "",
    to_organisation: ToOrganisation = "",
    old_scope: OldScope = "",
    release_old_until: Until = "",
    same_people: SamePeople = False,
    with_: With = None,
    as_json: Json = False,
) -> None:
    """Show whose identifiers would stay, change or collide, and at which services. Changes nothing; exit 1 if it must not be
    applied.

    Example: broker identifiers plan keys.csv --organisation pori --from-keyspace pori-adfs --to-keyspace pori-entra
    """
    old, new = _sides(organisation, from_organisation, to_organisation, from_keyspace, to_keyspace)
    asked = _asked(file, old, new, old_scope, release_old_until, same_people, with_)

    async def foresee() -> Plan:
        async with database() as opened:
            return await _planned(opened, asked)

    found = _told(foresee)
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)
    raise typer.Exit(0 if found.possible else 1)


@app.command("apply")
def apply_migration(
    file: File,
    from_keyspace: FromKeyspace,
    to_keyspace: ToKeyspace,
    reason: Reason,
    organisation: Organisation = "",
    from_organisation: FromOrganisation = "",
    to_organisation: ToOrganisation = "",
    old_scope: OldScope = "",
    release_old_until: Until = "",
    same_people: SamePeople = False,
    with_: With = None,
    author: Author = "",
    as_json: Json = False,
) -> None:
    """Plan, and bring it into use in all workers within two seconds, whole or not at all.

    Example: broker identifiers apply keys.csv --organisation pori --from-keyspace pori-adfs --to-keyspace pori-entra -m "To Entra ID"
    """
    old, new = _sides(organisation, from_organisation, to_organisation, from_keyspace, to_keyspace)
    asked = _asked(file, old, new, old_scope, release_old_until, same_people, with_)
    who = author or getpass.getuser()

    async def perform() -> tuple[Plan, int | None]:
        async with database() as opened:
            found = await _planned(opened, asked)
            if not found.possible or not found.pairs:
                return found, None
            ledger = Ledger(opened, asked.keys, now)
            number = await ledger.apply(found.move, found.pairs, author=who, reason=reason, expect=found.base)
            await _record(opened, _applied(number, who, reason, found))
            return found, number

    found, number = _told(perform)
    if as_json:
        print_json({**_as_json(found), "number": number, "applied": number is not None})
    else:
        _print(found)
        if number is not None:
            out.print(f"Applied as migration {number}. `broker identifiers undo {number}` brings back what was before.")
        elif found.possible:
            out.print("Nothing to do: all of it is in force already.")
    if not found.possible:
        fail("Nothing was applied.")


@app.command("list")
def list_migrations(as_json: Json = False) -> None:
    """Show every migration and undoing: who, when, why, and what is in force. Example: broker identifiers list"""

    async def read() -> tuple[Migration, ...]:
        async with database() as opened:
            return await Ledger(opened, _keys(), now).history()

    history = _told(read)
    current = {each.number for each in in_force(history)}
    rows = [_row(each, each.number in current) for each in history]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows])
    else:
        out.print("No migration yet.")


@app.command("undo")
def undo_migration(
    number: Annotated[int, typer.Argument(help="Of the migration, as `broker identifiers list` shows it.")],
    reason: Reason,
    author: Author = "",
    as_json: Json = False,
) -> None:
    """Bring back what was before a migration. Undoing the undoing brings the migration back.

    Example: broker identifiers undo 3 -m "The file was last year's"
    """
    who = author or getpass.getuser()

    async def perform() -> int:
        async with database() as opened:
            undone = await Ledger(opened, _keys(), now).undo(number, author=who, reason=reason)
            detail = {"number": undone, "undoes": number, "reason": reason}
            await _record(opened, AuditEvent(kind="identifiers.undone", at=now(), actor=who, detail=detail))
            return undone

    undone = _told(perform)
    if as_json:
        print_json({"number": undone, "undoes": number})
    else:
        out.print(f"Migration {number} is undone, as record {undone}.")


# --- what is asked ------------------------------------------------------------------------------------------------------


def _sides(
    organisation: str, from_organisation: str, to_organisation: str, from_keyspace: str, to_keyspace: str
) -> tuple[tuple[str, str], tuple[str, str]]:
    """The old side and the new one, organisation and keyspace of each."""
    is_merger = bool(from_organisation and to_organisation)
    if bool(organisation) == is_merger or bool(from_organisation) != bool(to_organisation):
        fail("give --organisation, or for a merger --from-organisation and --to-organisation", status=2)
    return (from_organisation or organisation, from_keyspace), (to_organisation or organisation, to_keyspace)


def _asked(
    file: Path,
    old: tuple[str, str],
    new: tuple[str, str],
    old_scope: str,
    until: str,
    same_people: bool,
    folder: Path | None,
) -> _Asked:
    return _Asked(
        file=file,
        old=old,
        new=new,
        old_scope=old_scope,
        until=_date(until),
        same_people=same_people,
        folder=folder,
        keys=_keys(),
    )


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        fail(f"--release-old-until: {text}: not a date, for example 2027-03-31", status=2)


def _keys() -> SubjectKeys:
    try:
        return keyring.load(load().certs_dir).subject
    except KeyRingError as error:
        fail(str(error))


# --- what is done -------------------------------------------------------------------------------------------------------


async def _planned(opened: Database, asked: _Asked) -> Plan:
    """Raises: KeyFileError, MoveRefused, DocumentErrors, DatabaseUnavailable, KeptIdentitiesUnreadable."""
    with err.status("Reading the file, the documents and the audit log"):
        lines = key_file.read(asked.file)
        revision, documents = await Registry(opened, now).current()
        in_use = build_here(documents, revision)
        ground = Ground(
            now=in_use,
            then=in_use if asked.folder is None else build_here(read_folder(asked.folder), revision),
            seen=await seen.read(opened, [OrganisationId(asked.old[0]), OrganisationId(asked.new[0])]),
            subjects=await Ledger(opened, asked.keys, now).subjects(),
            today=finnish_date(now()),
        )
        move = plan.move(ground, old=asked.old, new=asked.new, old_scope=asked.old_scope, until=asked.until)
        return plan.plan(move, lines, ground, same_people=asked.same_people)


def _applied(number: int, author: str, reason: str, found: Plan) -> AuditEvent:
    """``identifiers.applied``: how many, from where to where; no key of anybody's."""
    detail = {
        "number": number,
        "reason": reason,
        **_move(found.move),
        "people": len(found.pairs),
        "outcomes": {str(outcome): count for outcome, count in found.outcomes.items()},
    }
    organisation = found.move.to_organisation
    return AuditEvent(kind="identifiers.applied", at=now(), actor=author, organisation=organisation, detail=detail)


async def _record(opened: Database, event: AuditEvent) -> None:
    log = DatabaseAuditLog(writer_for(opened))
    await log.start()
    try:
        await log.append(event)
    finally:
        await log.close()


# --- what is told -------------------------------------------------------------------------------------------------------

_WORDS: dict[Outcome, str] = {
    Outcome.KEEP: "keep their accounts",
    Outcome.NEVER_SEEN: "have no account that the audit log knows",
    Outcome.ALREADY: "are as the file says already",
    Outcome.CHANGE: "leave accounts of the new key for those of the old one",
    Outcome.COLLIDE: "collide",
}


def _as_json(found: Plan) -> dict[str, object]:
    return {
        **_move(found.move),
        "lines": found.lines,
        "possible": found.possible,
        "people": {str(outcome): count for outcome, count in found.outcomes.items()},
        "findings": [
            {"code": each.code, "problem": each.problem, "message": each.message, "lines": list(each.lines)}
            for each in found.findings
        ],
        "services": [
            {
                "service": each.service,
                "accounts": each.accounts,
                "kept": each.kept,
                "changed": each.changed,
                "left": each.left,
                "gets_both": each.both,
            }
            for each in found.services
        ],
    }


def _move(move: Move) -> dict[str, object]:
    return {
        "from": {"organisation": move.from_organisation, "keyspace": move.from_keyspace},
        "to": {"organisation": move.to_organisation, "keyspace": move.to_keyspace},
        "scope": move.scope,
        "until": None if move.until is None else move.until.isoformat(),
    }


def _print(found: Plan) -> None:
    people = sum(found.outcomes.values())
    out.print(f"{found.lines} lines, {people} people:")
    for outcome, words in _WORDS.items():
        if found.outcomes[outcome]:
            out.print(f"  {found.outcomes[outcome]} {words}")
    for finding in found.findings:
        style = "red" if finding.problem else "yellow"
        word = "problem" if finding.problem else "notice"
        out.print(f"{word}: {finding.code}: {finding.message}{_where(finding.lines)}", style=style, markup=False)
    if found.services:
        columns = ("service", "accounts", "kept", "changed", "left", "gets both")
        rows = [
            [
                each.service,
                *(str(count) for count in (each.accounts, each.kept, each.changed, each.left)),
                "yes" if each.both else "",
            ]
            for each in found.services
        ]
        print_table(columns, rows)


def _where(lines: tuple[int, ...]) -> str:
    if not lines:
        return ""
    shown = ", ".join(map(str, lines[:_LINES_SHOWN]))
    more = f" and {len(lines) - _LINES_SHOWN} more" if len(lines) > _LINES_SHOWN else ""
    return f" (line {shown}{more})"


def _row(migration: Migration, is_in_force: bool) -> dict[str, object]:
    move = migration.move
    return {
        "number": migration.number,
        "at": migration.at.isoformat(timespec="seconds"),
        "author": migration.author,
        "reason": migration.reason,
        "undoes": migration.undoes,
        "from": f"{move.from_organisation} {move.from_keyspace}" if move else None,
        "to": f"{move.to_organisation} {move.to_keyspace}" if move else None,
        "until": move.until.isoformat() if move and move.until else None,
        "people": migration.people,
        "in_force": is_in_force,
    }


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return "" if value is None else str(value)


def _told(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs the command's work. What it refuses ends the command with status 1."""
    try:
        return run(work())
    except (KeyFileError, MoveRefused, DocumentErrors, LedgerConflict, Contradiction, NotInForce) as error:
        fail(str(error))
