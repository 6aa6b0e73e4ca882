"""``broker check``: settings, keys, database, state, documents; each finding with what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import typer

from broker.app import now
from broker.audit import logins
from broker.audit.seen import Rules, seen
from broker.cli.console import Json, out, print_json
from broker.cli.opening import build_here
from broker.database.engine import Database, open_database
from broker.database.errors import DatabaseUnavailable
from broker.errors import BrokerFault
from broker.federation.documents import DocumentErrors, DocumentSet
from broker.federation.lint import Seen, lint
from broker.federation.metadata_validity import ending
from broker.federation.model import Federation, IdentityProviderId, OrganisationId
from broker.federation.registry import Registry
from broker.identifiers.errors import KeptIdentitiesUnreadable
from broker.identifiers.ledger import Ledger, Migration, in_force
from broker.keys import keyring
from broker.keys.keyring import ROLLING, KeyRingError
from broker.settings import Settings, SettingsError, load
from broker.state.open import open_store

_SOON = timedelta(days=30)
_SEEN_FOR = timedelta(days=30)
_MOST_LOGINS = 5000
"""How far back logins are looked at for what cities send, and how many at most."""

_MARKS = {
    "ok": "[green]ok     [/]",
    "notice": "[yellow]notice [/]",
    "warning": "[yellow]warning[/]",
    "error": "[red]error  [/]",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``level``: ok, notice, warning or error. ``where``: the setting, file and line, or part. ``code``, ``mend``: of what is right in
    itself and will disappoint somebody (``federation/lint.py``)."""

    level: str
    where: str
    message: str
    code: str = ""
    mend: str = ""


def check(as_json: Json = False) -> None:
    """Verify everything that a start needs, and change nothing. Exit 1 if something is wrong. Example: broker check"""
    findings = asyncio.run(_findings())
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            text = f"{finding.where}: {finding.message}" + (f". {_sentence(finding.mend)}" if finding.mend else "")
            out.print(_MARKS[finding.level], text.replace("[", "\\["))
    raise typer.Exit(1 if any(finding.level == "error" for finding in findings) else 0)


async def _findings() -> list[Finding]:
    try:
        settings = load()
    except SettingsError as error:
        return [_error(*line.split(": ", 1)) for line in str(error).splitlines()]
    found = [_ok("settings", f"base URL {settings.base_url}"), *_key_findings(settings)]
    found += await _state_findings(settings)
    return found + await _data_findings(settings)


def _key_findings(settings: Settings) -> list[Finding]:
    try:
        ring = keyring.load(settings.certs_dir)
    except KeyRingError as error:
        return [_error("keys", str(error))]
    found = [_ok("keys", f"all there, in {settings.certs_dir}")]
    for key in (key for use in ROLLING for key in ring.published(use)):
        until = keyring.valid_until(key)
        if until is not None and until < now() + _SOON:
            verb = "ended" if until < now() else "ends"
            what_to_do = f"roll it over: `broker keys create --next {key.use}`, then `broker keys rotate {key.use}`"
            found.append(_notice("keys", f"the certificate of {key.use} {verb} {until.date()}; {what_to_do}"))
    return found


async def _state_findings(settings: Settings) -> list[Finding]:
    try:
        store = await open_store(settings.state)
        try:
            await store.ping()
        finally:
            await store.close()
    except BrokerFault as fault:
        return [_error("BROKER_STATE_URL", f"cannot be used: {fault.detail or fault.code}")]
    return [_ok("BROKER_STATE_URL", f"the {urlsplit(settings.state).scheme} store can be written and read")]


async def _data_findings(settings: Settings) -> list[Finding]:
    try:
        database = open_database(settings.database)
        try:
            revision, documents = await Registry(database, now).current()
            found_in_logins = seen(await logins.recent(database, now() - _SEEN_FOR, most=_MOST_LOGINS))
            kept = await _kept(database, settings)
        finally:
            await database.close()
    except BrokerFault as fault:
        return [
            _error(
                "BROKER_DATABASE_URL",
                f"cannot be read: {fault.detail or fault.code}; `broker apply DIR` makes the tables",
            )
        ]
    if not documents.documents:
        return [_notice("federation", "no documents yet; bring them in with `broker apply DIR`")]
    try:
        federation = build_here(documents, revision)
    except DocumentErrors as errors:
        return [_error(f"{each.path}:{each.line}", f"{each.field}: {each.message}") for each in errors.problems]
    counts = (
        f"revision {revision}: {len(federation.organisations)} organisations, "
        f"{len(federation.identity_providers)} identity providers, {len(federation.services)} services, "
        f"{len(federation.agreements)} agreements"
    )
    found = [_ok("BROKER_DATABASE_URL", "can be read"), _ok("federation", counts)]
    found += [_notice("metadata", str(each)) for each in ending(federation, now())]
    found += _operator_findings(settings, federation)
    found += _identifier_findings(kept, federation, documents)
    return found + _lint_findings(federation, found_in_logins, documents)


async def _kept(database: Database, settings: Settings) -> tuple[Migration, ...] | BrokerFault:
    """The migrations of identifiers in force, or why a start would fail over them. None where the tables are yet to be made."""
    try:
        ledger = Ledger(database, keyring.load(settings.certs_dir).subject, now)
        history = await ledger.history()
    except (KeyRingError, DatabaseUnavailable):
        return ()
    try:
        await ledger.subjects()
    except KeptIdentitiesUnreadable as fault:
        return fault
    return in_force(history)


def _identifier_findings(
    kept: tuple[Migration, ...] | BrokerFault, federation: Federation, documents: DocumentSet
) -> list[Finding]:
    """Identifiers that are kept in a scope which is not the organisation's: its people are refused."""
    if isinstance(kept, BrokerFault):
        return [_error("keys", kept.detail)]
    places = {each.id: f"{each.path}:{each.line}" for each in documents.documents if each.kind == "organisation"}
    found = []
    for number, move in ((each.number, each.move) for each in kept):
        organisation = federation.organisations.get(move.to_organisation) if move else None
        if move and move.scope and organisation and move.scope not in organisation.scopes:
            message = (
                f"{organisation.id}: migration {number} keeps identifiers in @{move.scope}: its people are refused"
            )
            mend = f"add {move.scope} to its `scopes`, or `broker identifiers undo {number}`"
            found.append(
                Finding(
                    level="error", where=places[organisation.id], message=message, code="kept_scope_lost", mend=mend
                )
            )
    return found


def _lint_findings(
    federation: Federation, seen_in_logins: Mapping[str, tuple[int, Rules]], documents: DocumentSet
) -> list[Finding]:
    places = {(each.kind, each.id): f"{each.path}:{each.line}" for each in documents.documents}
    seen_by = {
        IdentityProviderId(id): Seen(logins=count, mapped=rules) for id, (count, rules) in seen_in_logins.items()
    }
    return [
        Finding(
            level=each.severity,
            where=places[each.kind, each.id],
            message=f"{each.id}: {each.message}",
            code=each.code,
            mend=each.mend,
        )
        for each in lint(federation, seen_by, now())
    ]


def _operator_findings(settings: Settings, federation: Federation) -> list[Finding]:
    """What partners will find in the broker's SAML metadata of those who run it."""
    if not settings.operator:
        return []
    operator = federation.organisations.get(OrganisationId(settings.operator))
    if operator is None:
        known = ", ".join(sorted(federation.organisations))
        return [_error("BROKER_OPERATOR", f"no organisation {settings.operator}; the organisations are {known}")]
    missing = [role for role in ("technical", "security") if operator.contact(role) is None]
    if missing:
        roles = " or ".join(missing)
        return [_notice("BROKER_OPERATOR", f"{operator.id} has no contact of role {roles}; partners will look for one")]
    return [_ok("BROKER_OPERATOR", f"partners find the contacts of {operator.id} in the SAML metadata")]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ok(where: str, message: str) -> Finding:
    return Finding(level="ok", where=where, message=message)


def _notice(where: str, message: str) -> Finding:
    return Finding(level="notice", where=where, message=message)


def _error(where: str, message: str = "") -> Finding:
    return Finding(level="error", where=where, message=message)
