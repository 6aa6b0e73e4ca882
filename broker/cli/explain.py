"""``broker explain``: why a login was answered as it was, step by step, names and verdicts and never values; or what would come of
one that has not happened, by a sample of a city's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from broker.attributes import trace as traces
from broker.attributes.identifiers import Subjects
from broker.audit import explain as records
from broker.audit.events import AuditEvent
from broker.cli import dry_run
from broker.cli.console import Json, fail, out, print_facts, print_json, print_table
from broker.cli.dry_run import DryRunError, Outcome
from broker.cli.opening import build_here, database, now, run
from broker.federation.documents import DocumentErrors, DocumentSet, read_folder
from broker.federation.model import Federation
from broker.federation.registry import Registry
from broker.identifiers.ledger import Ledger
from broker.keys import keyring
from broker.keys.keyring import KeyRingError, SubjectKeys
from broker.login.steps import Answer, Refuse
from broker.settings import load

_COLUMNS = ("stage", "subject", "verdict", "rule", "note")


def explain(
    code: Annotated[str | None, typer.Argument(help="The reference code of a page, for example K7M2-9QXA.")] = None,
    organisation: Annotated[str, typer.Option(help="Dry run: the person's home organisation.")] = "",
    service: Annotated[str, typer.Option(help="Dry run: the service.")] = "",
    assertion: Annotated[
        Path | None, typer.Option(help="Dry run: a file with the city's answer: a SAML assertion, or claims as JSON.")
    ] = None,
    identity_provider: Annotated[
        str, typer.Option(help="Dry run: which one, where the organisation has several.")
    ] = "",
    with_: Annotated[
        Path | None, typer.Option("--with", help="Dry run: by the documents of this folder, not by those in use.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show each rule and each attribute's way of one login, or of one that has not happened.

    Example: broker explain K7M2-9QXA, or: broker explain --organisation pori --service shared-wiki --assertion sample.xml
    """
    if code is not None and not (organisation or service or assertion):
        _explain_login(code, as_json)
    elif organisation and service and assertion and code is None:
        asked = dry_run.Asked(
            organisation=organisation, service=service, sample=assertion, identity_provider=identity_provider
        )
        _explain_dry_run(asked, with_, as_json)
    else:
        fail("give a reference code, or --organisation, --service and --assertion together", status=2)


# --- a login that happened ------------------------------------------------------------------------------------------------


def _explain_login(code: str, as_json: bool) -> None:
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
    _print_steps(detail.get("trace", []))
    out.print()


def _print_steps(steps: Sequence[Mapping[str, str]]) -> None:
    if steps:
        print_table(_COLUMNS, [[step[name] for name in _COLUMNS] for step in steps])


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


# --- one that has not ---------------------------------------------------------------------------------------------------------


def _explain_dry_run(asked: dry_run.Asked, folder: Path | None, as_json: bool) -> None:
    settings = load()
    try:
        keys = keyring.load(settings.certs_dir).subject
        federation, subjects = run(_federation(folder, keys))
        outcome = dry_run.run(asked, federation, subjects, settings, now())
    except (DryRunError, KeyRingError, DocumentErrors) as error:
        fail(str(error))
    facts = _facts(outcome)
    steps: Any = traces.members(outcome.step.trace)
    if as_json:
        print_json({**facts, **steps, "document": outcome.document})
    else:
        print_facts({name.replace("_", " "): text for name, text in facts.items() if text})
        _print_steps(steps["trace"])
        out.print(outcome.document, markup=False)
    if isinstance(outcome.step, Refuse):
        raise typer.Exit(1)


async def _federation(folder: Path | None, keys: SubjectKeys) -> tuple[Federation, Subjects]:
    """Raises: DocumentErrors."""
    async with database() as opened:
        revision, documents = await Registry(opened, now).current()
        subjects = await Ledger(opened, keys, now).subjects()
    found: DocumentSet = documents if folder is None else read_folder(folder)
    return build_here(found, revision), subjects


def _facts(outcome: Outcome) -> dict[str, str]:
    step = outcome.step
    facts = {"identity_provider": outcome.idp.id, "protocol": outcome.idp.protocol.value}
    if isinstance(step, Answer):
        told = {"organisation": step.organisation, "released": ", ".join(sorted(step.release.attributes))}
        return {"what": "would be answered", **facts, **told, "told_the_service": step.authn_context}
    fault = step.fault
    concerns = ", ".join(f"{name} {value}" for name, value in fault.context.items())
    why = {"reason": fault.code, "whose_move": fault.whose, "why": fault.detail, "concerns": concerns}
    return {"what": "would be refused", **facts, **why}
