"""``broker replay``: the last days' logins by other documents: how many would change or fail."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from broker.audit import logins
from broker.audit.events import AuditEvent
from broker.cli.console import Json, fail, out, print_json, print_table
from broker.cli.opening import build_here, database, now, run
from broker.database.engine import Database
from broker.federation.documents import DocumentErrors, read_folder
from broker.federation.model import Federation, IdentityProviderId, OrganisationId, ServiceId
from broker.federation.registry import Registry
from broker.login.replay import Change, Recorded, Replayed, replay

_SPANS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EXAMPLES = 3
_MOST = 50_000
"""So many logins at most, the newest."""

_WORDS: Mapping[Change, str] = {
    Change.REFUSED: "would be refused",
    Change.RELEASE: "would release other attributes",
    Change.ADMITTED: "would be let in",
    Change.UNKNOWN: "cannot be told without values",
    Change.SAME: "would be as before",
}


def replay_logins(
    with_: Annotated[
        Path | None, typer.Option("--with", help="The folder of changed documents; without it, those in use.")
    ] = None,
    since: Annotated[str, typer.Option(help="How far back: a number and m, h, d or w.")] = "7d",
    as_json: Json = False,
) -> None:
    """Decide recorded logins anew by other documents. Exit 1 if one that was answered would be refused.

    Names and verdicts are recorded, values never; what depends on a value by another rule than before cannot be told, and is
    counted apart. Example: broker replay --since 7d --with metadata/
    """
    span = _span(since)
    try:
        found = run(_replayed(span, with_))
    except DocumentErrors as errors:
        fail(str(errors))
    groups = _groups(found)
    if as_json:
        print_json({"logins": len(found), "changes": groups})
    else:
        _print(found, groups)
    if any(each.change is Change.REFUSED and not each.recorded.reason for each in found):
        raise typer.Exit(1)


def _span(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", text)
    if match is None:
        fail(f"{text}: not a span of time, for example 12h or 7d", status=2)
    return timedelta(**{_SPANS[match[2]]: int(match[1])})


async def _replayed(span: timedelta, folder: Path | None) -> list[Replayed]:
    """Raises: DocumentErrors, of the changed documents."""
    async with database() as opened:
        registry = Registry(opened, now)
        revision, documents = await registry.current()
        changed = documents if folder is None else read_folder(folder)
        federation = build_here(changed, revision)
        events = await logins.recent(opened, now() - span, most=_MOST)
        before = await _federations_of(events, opened)
    recorded = (_recorded(event, before[event.revision]) for event in events if event.revision in before)
    return [replay(each, federation, now()) for each in recorded]


async def _federations_of(events: list[AuditEvent], opened: Database) -> Mapping[int, Federation]:
    """The documents by which each login was decided; without those that cannot be read any more (a secret that is gone)."""
    registry, found = Registry(opened, now), {}
    for revision in {event.revision for event in events}:
        try:
            found[revision] = build_here(await registry.at(revision), revision)
        except DocumentErrors:
            continue
    return found


def _recorded(event: AuditEvent, before: Federation) -> Recorded:
    detail: Any = event.detail
    return Recorded(
        reference=event.reference,
        service=ServiceId(event.service),
        organisation=OrganisationId(event.organisation),
        identity_provider=IdentityProviderId(event.identity_provider),
        reason=event.reason,
        released=frozenset(detail.get("released", ())),
        trace=tuple(detail.get("trace", ())),
        before=before,
    )


def _groups(found: list[Replayed]) -> list[dict[str, object]]:
    """What would change alike, the gravest and most frequent first; with some reference codes."""
    counts: Counter[tuple[Change, str, str, str]] = Counter()
    examples: defaultdict[tuple[Change, str, str, str], list[str]] = defaultdict(list)
    for each in found:
        if each.change is Change.SAME:
            continue
        key = (each.change, each.recorded.organisation, each.recorded.service, each.why)
        counts[key] += 1
        if len(examples[key]) < _EXAMPLES:
            examples[key].append(each.recorded.reference)
    order = list(_WORDS)
    ranked = sorted(counts.items(), key=lambda item: (order.index(item[0][0]), -item[1], item[0][1:]))
    return [
        {
            "what": key[0].value,
            "organisation": key[1],
            "service": key[2],
            "why": key[3],
            "logins": count,
            "for_example": examples[key],
        }
        for key, count in ranked
    ]


def _print(found: list[Replayed], groups: list[dict[str, object]]) -> None:
    totals = Counter(each.change for each in found)
    out.print(f"{len(found)} logins: " + ", ".join(f"{totals[change]} {words}" for change, words in _WORDS.items()))
    if groups:
        columns = ("what", "organisation", "service", "why", "logins", "for example")
        rows = [
            [
                _WORDS[Change(str(each["what"]))],
                *(str(each[name]) for name in ("organisation", "service", "why", "logins")),
                " ".join(map(str, each["for_example"] if isinstance(each["for_example"], list) else [])),
            ]
            for each in groups
        ]
        print_table(columns, rows)
