"""A small federation, and the dispatcher between a service and a city that do as the test says.

State is the real thing in memory; the ports' order of use is noted in ``Stage.happened``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from broker.attributes.identifiers import Subjects
from broker.audit.events import AuditEvent
from broker.errors import AuditUnavailable, Fault
from broker.federation.model import (
    Agreement,
    AgreementId,
    Contact,
    Federation,
    IdentityProvider,
    IdentityProviderId,
    MetadataFile,
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
from broker.keys.keyring import SubjectKeys
from broker.login.edges import Delivery, Departure, DownstreamEdge, Redirect
from broker.login.identity import VerifiedAssertion
from broker.login.request import Hints, LoginRequest
from broker.login.steps import Answer, SendToIdp
from broker.login.transaction import LIFETIME, LoginTransaction, Stage, TransactionId
from broker.state.memory import MemoryStore
from broker.state.transactions import TransactionRecords
from broker.web.journey import Journey, Parts

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PORI, ULVILA, KEVA = OrganisationId("pori"), OrganisationId("ulvila"), OrganisationId("keva")
WIKI, ROOMS = ServiceId("shared-wiki"), ServiceId("rooms")
PORI_IDP, ULVILA_IDP = IdentityProviderId("pori-adfs"), IdentityProviderId("ulvila-entra")
REDIRECT_URI = "https://rooms.example/callback"
BROWSER = "f" * 64
MAIL = "aino.korhonen@pori.fi"

ORGANISATIONS = (
    Organisation(
        id=PORI,
        name={"fi": "Porin kaupunki", "sv": "Björneborgs stad", "en": "City of Pori"},
        short_name={"fi": "Pori", "sv": "Björneborg", "en": "Pori"},
        scopes=("pori.fi",),
        contacts=(
            Contact(role="helpdesk", email="ict@pori.example", phone="+358 2 000 0000", hours={"en": "Mon–Fri 8–16"}),
            Contact(role="coordinator", email="coordinator@pori.example"),
        ),
    ),
    Organisation(
        id=ULVILA,
        name={"fi": "Ulvilan kaupunki", "sv": "Ulvsby stad", "en": "City of Ulvila"},
        short_name={"fi": "Ulvila", "sv": "Ulvsby", "en": "Ulvila"},
        scopes=("ulvila.fi",),
        contacts=(Contact(role="helpdesk", email="ict@ulvila.example"),),
    ),
    Organisation(id=KEVA, name={"fi": "Keva"}, scopes=("keva.fi",)),
)
SERVICES = (
    Service(
        id=WIKI,
        protocol=Protocol.SAML,
        owner=PORI,
        name={"fi": "Yhteinen wiki", "en": "Shared wiki"},
        attributes=(RegisteredAttribute(name="mail", purpose={"en": "Notifications of changes"}, required=True),),
        status=Status.PRODUCTION,
        url="https://wiki.example/",
        metadata=MetadataFile(path="wiki.xml", content=b"<wiki/>", entity_id="https://wiki.example/saml"),
    ),
    Service(
        id=ROOMS,
        protocol=Protocol.OIDC,
        owner=ULVILA,
        name={"fi": "Kokoushuoneet", "en": "Meeting rooms"},
        attributes=(RegisteredAttribute(name="mail", purpose={"en": "Invitations"}, required=True),),
        status=Status.PRODUCTION,
        client=OidcClient(client_id="rooms", client_secret="s" * 32, redirect_uris=(REDIRECT_URI,)),
    ),
)
IDENTITY_PROVIDERS = (
    IdentityProvider(
        id=PORI_IDP,
        protocol=Protocol.SAML,
        organisations=(PORI,),
        dialect="ldap-basic",
        subject=SubjectRule(keyspace="pori-hr"),
        metadata=MetadataFile(path="pori.xml", content=b"<pori/>", entity_id="https://adfs.pori.example"),
    ),
    IdentityProvider(
        id=ULVILA_IDP,
        protocol=Protocol.OIDC,
        organisations=(ULVILA,),
        dialect="entra-oidc",
        subject=SubjectRule(keyspace="ulvila-hr"),
        oidc=OidcProvider(issuer="https://login.ulvila.example", client_id="broker", client_secret="c" * 32),
    ),
)
AGREEMENT = Agreement(
    id=AgreementId("pori-ulvila"),
    name={"en": "Pori and Ulvila"},
    parties=frozenset({PORI, ULVILA}),
    owners=frozenset({PORI, ULVILA}),
    valid_from=date(2026, 1, 1),
    valid_until=date(2029, 12, 31),
    signed={PORI: date(2025, 12, 1), ULVILA: date(2025, 12, 1)},
)


def federation_of(
    organisations: tuple[Organisation, ...] = ORGANISATIONS,
    services: tuple[Service, ...] = SERVICES,
    identity_providers: tuple[IdentityProvider, ...] = IDENTITY_PROVIDERS,
    agreements: tuple[Agreement, ...] = (AGREEMENT,),
) -> Federation:
    return Federation(
        revision=3,
        organisations={each.id: each for each in organisations},
        identity_providers={each.id: each for each in identity_providers},
        services={each.id: each for each in services},
        agreements={each.id: each for each in agreements},
    )


def service_in(status: Status) -> Federation:
    """The federation with its SAML service in this status."""
    return federation_of(services=(replace(SERVICES[0], status=status), SERVICES[1]))


def a_request(service: ServiceId = WIKI, **changes: Any) -> LoginRequest:
    protocol = Protocol.SAML if service == WIKI else Protocol.OIDC
    return LoginRequest(service=service, protocol=protocol, **{"reply": {"to": "the verified address"}, **changes})


def to_pori(**changes: Any) -> LoginRequest:
    return a_request(hints=Hints(organisation=PORI), **changes)


def a_transaction(request: LoginRequest | None = None, **changes: Any) -> LoginTransaction:
    given: dict[str, Any] = {
        "id": TransactionId("t" * 43),
        "reference": "K7M2-9QXA",
        "browser": BROWSER,
        "request": request or a_request(),
        "stage": Stage.RECEIVED,
        "begun_at": NOW,
        "expires_at": NOW + LIFETIME,
    }
    return LoginTransaction(**{**given, **changes})


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Audit:
    """The AuditLog port. ``down``: it cannot write. ``gate``: what is appended is durable once the gate is open."""

    happened: list[str]
    events: list[AuditEvent] = field(default_factory=list)
    down: bool = False
    gate: asyncio.Event | None = None

    async def append(self, event: AuditEvent) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise AuditUnavailable("the disk is full")
        self.events.append(event)
        self.happened.append(f"audit {event.kind}")


@dataclass
class City:
    """The UpstreamEdge port. ``unreachable``, ``wrong``: raised by ``depart`` and ``arrive``."""

    happened: list[str]
    unreachable: Fault | None = None
    wrong: Exception | None = None
    asked: list[SendToIdp] = field(default_factory=list)
    answer: VerifiedAssertion = field(
        default_factory=lambda: VerifiedAssertion(
            idp=PORI_IDP, subject="4711", attributes={"mail": (MAIL,)}, authn_instant=NOW
        )
    )

    async def depart(
        self, transaction: LoginTransaction, step: SendToIdp, idp: IdentityProvider, federation: Federation
    ) -> Departure:
        if self.unreachable is not None:
            raise self.unreachable
        self.asked.append(step)
        self.happened.append("depart")
        return Departure(delivery=Redirect(url=f"{idp.entity_id}/sso"), remember={"request": str(len(self.asked))})

    async def arrive(
        self, transaction: LoginTransaction, message: Mapping[str, str], idp: IdentityProvider
    ) -> VerifiedAssertion:
        self.happened.append("arrive")
        if self.wrong is not None:
            raise self.wrong
        return self.answer


@dataclass
class Asking:
    """The DownstreamEdge port: a service that takes everything by redirect. ``unwilling``: raised by ``answer``."""

    happened: list[str]
    unwilling: Fault | None = None
    answers: list[Answer] = field(default_factory=list)
    told: list[Fault] = field(default_factory=list)

    async def answer(self, transaction: LoginTransaction, answer: Answer, service: Service) -> Delivery:
        if self.unwilling is not None:
            raise self.unwilling
        self.answers.append(answer)
        return Redirect(url="https://service.example/acs?answer=1")

    async def refuse(self, transaction: LoginTransaction, fault: Fault, service: Service) -> Delivery:
        self.happened.append("refuse")
        self.told.append(fault)
        return Redirect(url=f"https://service.example/acs?error={fault.code}")


class Noted:
    """A TransactionStore on the real records, which notes what is stored. ``down``: raised by every method."""

    def __init__(self, happened: list[str], clock: Clock, store: MemoryStore) -> None:
        self._happened = happened
        self._records = TransactionRecords(store, clock)
        self.down: Fault | None = None

    async def put(self, transaction: LoginTransaction) -> None:
        self._check()
        await self._records.put(transaction)
        self._happened.append(f"put {transaction.stage}")

    async def get(self, id: TransactionId) -> LoginTransaction:
        self._check()
        return await self._records.get(id)

    async def take(self, id: TransactionId) -> LoginTransaction:
        self._check()
        taken = await self._records.take(id)
        self._happened.append("take")
        return taken

    def _check(self) -> None:
        if self.down is not None:
            raise self.down


@dataclass
class Scene:
    """Everything around one Journey. ``happened``: what the ports were asked, in order."""

    federation: Federation = field(default_factory=federation_of)
    clock: Clock = field(default_factory=Clock)
    happened: list[str] = field(default_factory=list)
    store: MemoryStore = field(default_factory=MemoryStore)
    downstream: DownstreamEdge | None = None

    def __post_init__(self) -> None:
        self.audit = Audit(self.happened)
        self.city = City(self.happened)
        self.service = Asking(self.happened)
        self.transactions = Noted(self.happened, self.clock, self.store)
        edge = self.downstream or self.service
        self.journey = Journey(
            Parts(
                transactions=self.transactions,
                audit=self.audit,
                clock=self.clock,
                federation=lambda: self.federation,
                upstream={Protocol.SAML: self.city, Protocol.OIDC: self.city},
                downstream={Protocol.SAML: edge, Protocol.OIDC: edge},
                subjects=lambda: Subjects(keys=SubjectKeys(subject=b"s" * 32, pairwise=b"p" * 32)),
                clock_skew=timedelta(seconds=60),
            )
        )

    async def at_pori(self, request: LoginRequest | None = None) -> LoginTransaction:
        """A login whose person is at Pori's login service."""
        outcome = await self.journey.begin(request or to_pori(), BROWSER)
        assert outcome.transaction is not None
        assert outcome.transaction.stage is Stage.AT_IDP
        self.happened.clear()
        return outcome.transaction

    async def stored(self, transaction: LoginTransaction) -> LoginTransaction:
        return await TransactionRecords(self.store, self.clock).get(transaction.id)
