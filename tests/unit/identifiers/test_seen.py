"""The accounts that the audit log knows of; the same in SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

from broker.audit.events import AuditEvent
from broker.audit.log import DatabaseAuditLog
from broker.audit.writer import writer_for
from broker.database.engine import Database
from broker.identifiers import seen
from broker.identifiers.seen import Seen
from tests.unit.identifiers.parties import ADFS, ENTRA, HARJAVALTA, HARJAVALTA_ADFS, NOW, PORI, ROOMS, WIKI


def an_event(**changes: Any) -> AuditEvent:
    given = {"kind": "login.answered", "at": NOW, "service": WIKI, "organisation": PORI, "identity_provider": ADFS}
    return AuditEvent(**given | {"subject": "one@pori.fi", **changes})


async def test_each_account_once_by_login_and_service(database: Database) -> None:
    log = DatabaseAuditLog(writer_for(database))
    await log.start()
    for event in (
        an_event(),
        an_event(),
        an_event(subject="two@pori.fi"),
        an_event(service=ROOMS, kind="token.exchanged"),
        an_event(identity_provider=ENTRA),
        an_event(kind="login.refused", subject="", reason="no_agreement"),
        an_event(kind="token.refreshed", subject="three@pori.fi"),
        an_event(organisation=HARJAVALTA, identity_provider=HARJAVALTA_ADFS),
        an_event(organisation="ulvila"),
    ):
        await log.append(event)
    await log.close()

    found = await seen.read(database, [PORI, HARJAVALTA])

    assert found.by_login == {
        (PORI, ADFS): {WIKI: {"one@pori.fi", "two@pori.fi"}, ROOMS: {"one@pori.fi"}},
        (PORI, ENTRA): {WIKI: {"one@pori.fi"}},
        (HARJAVALTA, HARJAVALTA_ADFS): {WIKI: {"one@pori.fi"}},
    }
    assert found.accounts(PORI, [ADFS, ENTRA])[WIKI] == {"one@pori.fi", "two@pori.fi"}
    assert found.identity_providers(PORI) == {ADFS, ENTRA}


async def test_an_empty_log_knows_nobody(database: Database) -> None:
    assert await seen.read(database, [PORI]) == Seen()
