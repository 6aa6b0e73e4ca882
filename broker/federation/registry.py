"""Registry: the federation's documents in the database, as revisions.

Every change is one revision, whole or not at all. What a revision holds never changes, so that reading one needs no lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from difflib import unified_diff
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import ColumnElement, Table, bindparam, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.database import instants
from broker.database.engine import Database
from broker.database.tables import documents as documents_table
from broker.database.tables import metadata_files, revisions
from broker.federation.documents import Document, DocumentSet
from broker.login.ports import Clock

Action = Literal["added", "changed", "moved", "removed"]
Origin = Literal["file", "portal", "api"]

METADATA_FILE = "metadata-file"
"""The ``kind`` of a change to a metadata file; its ``id`` is the path."""

EMPTY = DocumentSet(documents=(), files={})


class RevisionConflict(Exception):
    """Somebody else changed the registry meanwhile: look at ``history``, and try again from there."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"the registry is at revision {found}, not {expected}: somebody else changed it meanwhile")
        self.expected = expected
        self.found = found


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One document or metadata file that a plan touches.

    ``path``: where it will be, or was if it is removed. ``moved``: the same text in another file or at another place in
    it. ``diff``: unified, of a document's text; of a metadata file, its sizes and digests.
    """

    action: Action
    kind: str
    id: str
    path: str
    diff: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would change, seen from ``revision``. Nothing when ``changes`` is empty."""

    revision: int
    changes: tuple[Change, ...]

    @property
    def summary(self) -> str:
        """For example ``2 added, 1 changed``."""
        actions = [change.action for change in self.changes]
        counts = ((actions.count(action), action) for action in ("added", "changed", "moved", "removed"))
        return ", ".join(f"{count} {action}" for count, action in counts if count) or "nothing to change"

    @property
    def diff(self) -> str:
        return "\n".join(change.diff for change in self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """Who changed the registry, when, why, how, and what."""

    number: int
    at: datetime
    author: str
    reason: str
    origin: str
    summary: str
    diff: str


class Registry:
    """Every method may raise DatabaseUnavailable; then nothing was changed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def revision(self) -> int:
        """The newest revision; 0: nothing was ever applied. Cheap."""
        async with self._database.reading() as connection:
            return await _newest(connection)

    async def current(self) -> tuple[int, DocumentSet]:
        async with self._database.reading() as connection:
            revision = await _newest(connection)
            return revision, await _read(connection, revision)

    async def at(self, revision: int) -> DocumentSet:
        """What held at a revision; nothing at 0, or at one that is yet to come."""
        async with self._database.reading() as connection:
            return await _read(connection, revision)

    async def ever_held(self, kind: str, id: str) -> bool:
        """Whether any revision, also one before this, holds this document."""
        query = select(documents_table.c.id).where(documents_table.c.kind == kind, documents_table.c.id == id).limit(1)
        async with self._database.reading() as connection:
            return await connection.scalar(query) is not None

    async def plan(self, documents: DocumentSet) -> Plan:
        """What ``apply`` would do now."""
        revision, current = await self.current()
        return Plan(revision=revision, changes=difference(current, documents))

    async def apply(
        self,
        documents: DocumentSet,
        *,
        author: str,
        reason: str,
        origin: Origin = "file",
        expect_revision: int | None = None,
    ) -> int:
        """Makes the registry equal to ``documents``, and returns its revision: no new one when they are equal already.

        ``expect_revision``: that of the plan that somebody agreed to; by default, that of this moment.
        Raises: RevisionConflict, when another revision came between.
        """
        plan = await self.plan(documents)
        if expect_revision is not None and plan.revision != expect_revision:
            raise RevisionConflict(expected=expect_revision, found=plan.revision)
        if not plan.changes:
            return plan.revision
        revision = Revision(
            number=plan.revision + 1,
            at=self._clock(),
            author=author,
            reason=reason,
            origin=origin,
            summary=plan.summary,
            diff=plan.diff,
        )
        async with self._database.writing() as connection:
            await _begin(connection, revision)
            await _write(connection, revision.number, plan.changes, documents)
        return revision.number

    async def history(self, limit: int) -> tuple[Revision, ...]:
        """The newest ``limit`` revisions, newest first."""
        query = select(revisions).order_by(revisions.c.number.desc()).limit(limit)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return tuple(Revision(**{**row, "at": instants.from_text(row["at"])}) for row in rows)


def difference(current: DocumentSet, wanted: DocumentSet) -> tuple[Change, ...]:
    """What makes ``current`` equal to ``wanted``, in the order of (path, kind, id)."""
    changes = [*_document_changes(current, wanted), *_file_changes(current.files, wanted.files)]
    return tuple(sorted(changes, key=lambda change: (change.path, change.kind, change.id)))


def files(documents: DocumentSet) -> Mapping[str, bytes]:
    """The folder that these documents were read from: the content of each file by its path, octet for octet."""
    texts: dict[str, list[str]] = {}
    for document in documents.documents:
        texts.setdefault(document.path, []).append(document.text)
    return {path: "".join(parts).encode("utf-8") for path, parts in texts.items()} | dict(documents.files)


# --- the difference ---------------------------------------------------------------------------------------------------


def _document_changes(current: DocumentSet, wanted: DocumentSet) -> Iterable[Change]:
    old = {(document.kind, document.id): document for document in current.documents}
    new = {(document.kind, document.id): document for document in wanted.documents}
    for key in old.keys() | new.keys():
        before, after = old.get(key), new.get(key)
        action = _action(before, after)
        shown = after or before
        if action is not None and shown is not None:
            yield Change(action=action, kind=key[0], id=key[1], path=shown.path, diff=_text_diff(before, after))


def _action(before: Document | None, after: Document | None) -> Action | None:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    if before.text != after.text:
        return "changed"
    return None if (before.path, before.position) == (after.path, after.position) else "moved"


def _text_diff(before: Document | None, after: Document | None) -> str:
    lines = unified_diff(
        before.text.splitlines() if before else [],
        after.text.splitlines() if after else [],
        fromfile=_title(before),
        tofile=_title(after),
        lineterm="",
    )
    return "\n".join(lines) or f"--- {_title(before)}\n+++ {_title(after)}"


def _title(document: Document | None) -> str:
    if document is None:
        return "nothing"
    return f"{document.path} ({document.kind} {document.id}, document {document.position + 1})"


def _file_changes(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> Iterable[Change]:
    for path in old.keys() | new.keys():
        before, after = old.get(path), new.get(path)
        if before != after:
            action: Action = "added" if before is None else "removed" if after is None else "changed"
            diff = f"--- {path} ({_digest(before)})\n+++ {path} ({_digest(after)})"
            yield Change(action=action, kind=METADATA_FILE, id=path, path=path, diff=diff)


def _digest(content: bytes | None) -> str:
    return "nothing" if content is None else f"{len(content)} octets, SHA-256 {sha256(content).hexdigest()}"


# --- the tables -------------------------------------------------------------------------------------------------------


async def _newest(connection: AsyncConnection) -> int:
    return await connection.scalar(select(func.max(revisions.c.number))) or 0


async def _begin(connection: AsyncConnection, revision: Revision) -> None:
    """First of all: of two that write the same number, one waits here for the other, and then fails."""
    row = asdict(revision) | {"at": instants.to_text(revision.at)}
    expected, found = revision.number - 1, await _newest(connection)
    if found != expected:
        raise RevisionConflict(expected=expected, found=found)
    try:
        await connection.execute(revisions.insert(), row)
    except IntegrityError as error:
        raise RevisionConflict(expected=expected, found=revision.number) from error


async def _write(
    connection: AsyncConnection, revision: int, changes: tuple[Change, ...], documents: DocumentSet
) -> None:
    touched = [{"wanted_kind": each.kind, "wanted_id": each.id} for each in changes if each.kind != METADATA_FILE]
    await _end(connection, revision, documents_table, ("kind", "id"), touched)
    keys = {(each["wanted_kind"], each["wanted_id"]) for each in touched}
    rows = [row for row in _document_rows(documents, revision) if (row["kind"], row["id"]) in keys]
    if rows:
        await connection.execute(documents_table.insert(), rows)

    paths = {each.id for each in changes if each.kind == METADATA_FILE}
    await _end(connection, revision, metadata_files, ("path",), [{"wanted_path": path} for path in sorted(paths)])
    rows = [_file_row(path, documents.files[path], revision) for path in sorted(paths & documents.files.keys())]
    if rows:
        await connection.execute(metadata_files.insert(), rows)


async def _end(
    connection: AsyncConnection, revision: int, table: Table, key: tuple[str, ...], which: list[dict[str, str]]
) -> None:
    """Lets the rows that hold now hold no longer."""
    if which:
        wanted = [table.c[name] == bindparam(f"wanted_{name}") for name in key]
        ended = update(table).where(table.c.until.is_(None), *wanted).values(until=revision)
        await connection.execute(ended, which)


def _document_rows(documents: DocumentSet, revision: int) -> Iterable[dict[str, Any]]:
    for document, lines_before in _with_lines_before(documents.documents):
        yield {
            "kind": document.kind,
            "id": document.id,
            "since": revision,
            "until": None,
            "path": document.path,
            "position": document.position,
            "line_in_text": document.line - 1 - lines_before,
            "text": document.text,
            "body": _to_json(document.body),
        }


def _file_row(path: str, content: bytes, revision: int) -> dict[str, Any]:
    digest = sha256(content).hexdigest()
    return {"path": path, "since": revision, "until": None, "sha256": digest, "content": content}


def _with_lines_before(documents: Iterable[Document]) -> Iterable[tuple[Document, int]]:
    """Each document with the number of lines before its text in its file: it changes with documents before it."""
    lines: dict[str, int] = {}
    for document in documents:
        yield document, lines.get(document.path, 0)
        lines[document.path] = lines.get(document.path, 0) + document.text.count("\n")


async def _read(connection: AsyncConnection, revision: int) -> DocumentSet:
    query = select(documents_table).where(_holds(documents_table, revision))
    rows = (await connection.execute(query)).mappings().all()
    found = await connection.execute(select(metadata_files).where(_holds(metadata_files, revision)))
    # Sorted here: databases do not agree on the order of texts.
    rows = sorted(rows, key=lambda row: (row["path"], row["position"]))
    return DocumentSet(documents=tuple(_documents(rows)), files={row.path: row.content for row in found})


def _holds(table: Table, revision: int) -> ColumnElement[bool]:
    return (table.c.since <= revision) & or_(table.c.until.is_(None), table.c.until > revision)


def _documents(rows: Iterable[Mapping[Any, Any]]) -> Iterable[Document]:
    lines: dict[str, int] = {}
    for row in rows:
        before = lines.get(row["path"], 0)
        yield Document(
            kind=row["kind"],
            id=row["id"],
            path=row["path"],
            position=row["position"],
            line=before + 1 + row["line_in_text"],
            text=row["text"],
            body=_from_json(row["body"]),
        )
        lines[row["path"]] = before + row["text"].count("\n")


# YAML has dates and JSON has not. A mapping of a document's own that looks like one of these is told apart by a second $.
_DATE, _DATETIME = "$date", "$datetime"


def _to_json(body: Mapping[str, object]) -> str:
    return json.dumps(_tagged(body), ensure_ascii=False, separators=(",", ":"))


def _tagged(value: object) -> object:
    if isinstance(value, Mapping):
        return {f"${key}" if key.startswith("$") else key: _tagged(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_tagged(each) for each in value]
    if isinstance(value, datetime):
        return {_DATETIME: value.isoformat()}
    if isinstance(value, date):
        return {_DATE: value.isoformat()}
    return value


def _from_json(text: str) -> Mapping[str, object]:
    body: dict[str, object] = json.loads(text, object_hook=_untagged)
    return body


def _untagged(members: dict[str, Any]) -> object:
    if members.keys() == {_DATE}:
        return date.fromisoformat(members[_DATE])
    if members.keys() == {_DATETIME}:
        return datetime.fromisoformat(members[_DATETIME])
    return {key.removeprefix("$") if key.startswith("$") else key: each for key, each in members.items()}
