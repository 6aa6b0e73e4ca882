"""``broker explain CODE``: why a login was answered as it was, step by step. Names and verdicts, never values."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from broker.audit import explain as records
from broker.audit.events import AuditEvent
from broker.cli.console import Json, fail, out, print_facts, print_json, print_table
from broker.cli.opening import database, run


def explain(
    code: Annotated[str, typer.Argument(help="The reference code of a page, for example K7M2-9QXA.")],
    as_json: Json = False,
) -> None:
    """Show each rule and each attribute's way of one login. Example: broker explain K7M2-9QXA"""

    async def find() -> list[AuditEvent]:
        async with database() as opened:
            return [record.event() for record in await records.find(opened, code.strip().upper())]

    events = run(find())
    if not events:
        fail(f"{code}: no login with this reference code is in the audit log")
    if as_json:
        print_json([_as_json(event) for event in events])
        return
    for event in events:
        _print(event)


def _print(event: AuditEvent) -> None:
    detail: Any = event.detail
    facts = {
        "what": event.kind,
        "at": event.at.isoformat(timespec="seconds"),
        "by": event.actor,
        "service": event.service,
        "organisation": event.organisation,
        "identity provider": event.identity_provider,
        "protocols": " → ".join(filter(None, (detail.get("upstream"), detail.get("downstream")))),
        "revision": str(event.revision),
        "reason": event.reason,
        "whose move": detail.get("whose", ""),
        "why": detail.get("why", ""),
        "concerns": ", ".join(f"{name} {value}" for name, value in detail.get("context", {}).items()),
        "released": ", ".join(detail.get("released", ())),
        "told the service": detail.get("authn_context", ""),
    }
    print_facts({name: value for name, value in facts.items() if value})
    steps = detail.get("trace", [])
    if steps:
        columns = ("stage", "subject", "verdict", "rule", "note")
        print_table(columns, [[step[name] for name in columns] for step in steps])
    out.print()


def _as_json(event: AuditEvent) -> dict[str, object]:
    return {
        "kind": event.kind,
        "at": event.at.isoformat(),
        "reference": event.reference,
        "service": event.service,
        "organisation": event.organisation,
        "actor": event.actor,
        "identity_provider": event.identity_provider,
        "subject": event.subject,
        "reason": event.reason,
        "revision": event.revision,
        "detail": event.detail,
    }
