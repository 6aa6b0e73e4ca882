"""seen: the accounts that the audit log knows of, by the pairwise identifier that a service got. No name, no key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import select

from broker.database.engine import Database
from broker.database.tables import audit_records
from broker.federation.model import IdentityProviderId, OrganisationId, ServiceId

_KINDS = ("login.answered", "token.exchanged")

Accounts = Mapping[ServiceId, frozenset[str]]
"""The pairwise identifiers that each service got."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    by_login: Mapping[tuple[OrganisationId, IdentityProviderId], Accounts] = field(default_factory=dict)

    def accounts(self, organisation: OrganisationId, idps: Iterable[IdentityProviderId]) -> Accounts:
        """Of the organisation's people who came by one of these identity providers."""
        found: defaultdict[ServiceId, frozenset[str]] = defaultdict(frozenset)
        for idp in idps:
            for service, subjects in self.by_login.get((organisation, idp), {}).items():
                found[service] |= subjects
        return found

    def identity_providers(self, organisation: OrganisationId) -> frozenset[IdentityProviderId]:
        """By which the organisation's people came."""
        return frozenset(idp for home, idp in self.by_login if home == organisation)


async def read(database: Database, organisations: Iterable[OrganisationId]) -> Seen:
    """Raises: DatabaseUnavailable."""
    table = audit_records.c
    wanted = table.kind.in_(_KINDS) & table.organisation.in_(set(organisations)) & (table.subject != "")
    query = select(table.organisation, table.identity_provider, table.service, table.subject).where(wanted).distinct()
    found: defaultdict[tuple[OrganisationId, IdentityProviderId], defaultdict[ServiceId, set[str]]]
    found = defaultdict(lambda: defaultdict(set))
    async with database.reading() as connection:
        for organisation, idp, service, subject in await connection.execute(query):
            found[OrganisationId(organisation), IdentityProviderId(idp)][ServiceId(service)].add(subject)
    frozen = {
        login: {service: frozenset(subjects) for service, subjects in accounts.items()}
        for login, accounts in found.items()
    }
    return Seen(by_login=frozen)
