"""Pori moves from AD FS to Entra ID, and Harjavalta is merged into Pori."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from broker.attributes import release
from broker.attributes.identifiers import Kept, Subjects, lookup
from broker.federation.model import (
    Federation,
    IdentityProvider,
    IdentityProviderId,
    OidcClient,
    OidcProvider,
    Organisation,
    OrganisationId,
    Protocol,
    RegisteredAttribute,
    Service,
    ServiceId,
    Status,
    SubjectRule,
)
from broker.identifiers.key_file import KeyLine
from broker.identifiers.plan import Ground, Plan
from broker.identifiers.seen import Seen
from broker.keys.keyring import SubjectKeys
from broker.login.identity import Identity

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TODAY = date(2026, 3, 1)
KEYS = SubjectKeys(subject=b"s" * 32, pairwise=b"p" * 32)
NOBODY = Subjects(keys=KEYS)

PORI, HARJAVALTA = OrganisationId("pori"), OrganisationId("harjavalta")
ADFS, ENTRA, HARJAVALTA_ADFS = (IdentityProviderId(name) for name in ("pori-adfs", "pori-entra", "harjavalta-adfs"))
WIKI, ROOMS = ServiceId("wiki"), ServiceId("rooms")


def an_organisation(id: OrganisationId, *scopes: str) -> Organisation:
    return Organisation(id=id, name={"fi": id}, scopes=scopes)


def an_idp(id: IdentityProviderId, *organisations: OrganisationId, **changes: Any) -> IdentityProvider:
    """Its keyspace is its id."""
    given: dict[str, Any] = {
        "id": id,
        "protocol": Protocol.OIDC,
        "organisations": organisations,
        "dialect": "entra-oidc",
        "subject": SubjectRule(keyspace=id),
        "oidc": OidcProvider(issuer=f"https://{id}.example", client_id="broker"),
    }
    return IdentityProvider(**given | changes)


def a_service(id: ServiceId, *attributes: str, **changes: Any) -> Service:
    given: dict[str, Any] = {
        "id": id,
        "protocol": Protocol.OIDC,
        "owner": PORI,
        "name": {"en": id},
        "attributes": tuple(RegisteredAttribute(name=name, purpose={"en": "x"}) for name in attributes),
        "status": Status.PRODUCTION,
        "client": OidcClient(client_id=id),
    }
    return Service(**given | changes)


FEDERATION = Federation(
    revision=1,
    organisations={PORI: an_organisation(PORI, "pori.fi"), HARJAVALTA: an_organisation(HARJAVALTA, "harjavalta.fi")},
    identity_providers={
        ADFS: an_idp(ADFS, PORI),
        ENTRA: an_idp(ENTRA, PORI),
        HARJAVALTA_ADFS: an_idp(HARJAVALTA_ADFS, HARJAVALTA),
    },
    services={WIKI: a_service(WIKI), ROOMS: a_service(ROOMS, "previousPairwiseId", "previousSubjectId")},
    agreements={},
)
MERGED = replace(
    FEDERATION,
    organisations={PORI: an_organisation(PORI, "pori.fi", "harjavalta.fi")},
    identity_providers={ADFS: an_idp(ADFS, PORI), ENTRA: an_idp(ENTRA, PORI)},
)


def an_identity(idp: IdentityProviderId, key: str, organisation: OrganisationId = PORI) -> Identity:
    return Identity(organisation=organisation, idp=idp, keyspace=idp, key=key, attributes={}, authn_instant=NOW)


def told(
    identity: Identity,
    service: ServiceId,
    subjects: Subjects = NOBODY,
    *,
    federation: Federation = FEDERATION,
    today: date = TODAY,
) -> Mapping[str, str]:
    """By which names the service knows the person, as a login tells it."""
    home = federation.organisations[identity.organisation]
    found = release.release(identity, federation.services[service], home, subjects, today, [])
    previous = {name: values[0] for name, values in found.attributes.items() if name.startswith("previous")}
    return {"subject": found.subject_id, "pairwise": found.pairwise_id, **previous}


def seen(*logins: tuple[Identity, ServiceId], federation: Federation = FEDERATION) -> Seen:
    """What the audit log knows after these logins."""
    found: defaultdict[Any, defaultdict[ServiceId, set[str]]] = defaultdict(lambda: defaultdict(set))
    for identity, service in logins:
        found[identity.organisation, identity.idp][service].add(
            told(identity, service, federation=federation)["pairwise"]
        )
    return Seen(by_login={login: {s: frozenset(ids) for s, ids in each.items()} for login, each in found.items()})


def a_ground(**changes: Any) -> Ground:
    given: dict[str, Any] = {"now": FEDERATION, "then": FEDERATION, "seen": Seen(), "subjects": NOBODY, "today": TODAY}
    return Ground(**given | changes)


def lines(*pairs: tuple[str, str]) -> tuple[KeyLine, ...]:
    """(old key, new key) of each, as they stand in a file."""
    return tuple(KeyLine(number=number, old=old, new=new) for number, (old, new) in enumerate(pairs, 2))


def lookups(keys: Iterable[tuple[str, str, str]]) -> list[bytes]:
    return [lookup(KEYS, *each) for each in keys]


def applied(subjects: Subjects, planned: Plan) -> Subjects:
    """As the ledger would read it, without its database."""
    move, kept = planned.move, dict(subjects.kept)
    for new, old in planned.pairs:
        older = lookup(KEYS, move.from_organisation, move.from_keyspace, old)
        kept[lookup(KEYS, move.to_organisation, move.to_keyspace, new)] = Kept(
            organisation=move.from_organisation,
            keyspace=move.from_keyspace,
            key=old,
            scope=move.scope,
            until=move.until,
            migration=subjects.number + 1,
            older=subjects.kept.get(older),
        )
    return Subjects(keys=KEYS, kept=kept, number=subjects.number + 1)
