"""The composition root: settings → stores, keys, federation, protocols → one aiohttp application."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog
from aiohttp import web
from cryptography import x509

from broker.attributes import schema
from broker.audit.log import DatabaseAuditLog
from broker.audit.writer import writer_for
from broker.database.engine import Database, open_database
from broker.database.migrate import migrate
from broker.errors import BrokerFault
from broker.federation import documents
from broker.federation.current import CurrentFederation
from broker.federation.documents import DocumentErrors, DocumentSet
from broker.federation.model import Federation, Protocol
from broker.federation.registered_services import RegisteredServices
from broker.federation.registry import Registry
from broker.fetch import Fetcher, open_fetcher
from broker.identifiers.current import CurrentSubjects
from broker.identifiers.ledger import Ledger
from broker.keys import keyring
from broker.keys.client_secrets import ClientSecrets
from broker.keys.keyring import KeyRing, KeyRingError
from broker.login.ports import Clock
from broker.oidc.home_sessions import HomeSessions
from broker.oidc.jose import Signer
from broker.oidc.op.client_metadata import Offered
from broker.oidc.op.discovery import authentication_methods
from broker.oidc.op.edge import OpenIdProvider
from broker.oidc.op.initial_access import InitialAccessTokens
from broker.oidc.op.mutual_tls import MutualTls
from broker.oidc.op.registration import Registrations
from broker.oidc.rp.back_channel_logout import BackChannelLogout
from broker.oidc.rp.edge import OidcRelyingParty
from broker.saml.idp.edge import SamlIdentityProvider
from broker.saml.metadata import read_facts
from broker.saml.sp.edge import SamlServiceProvider
from broker.settings import Settings
from broker.state.grants import GrantRecords
from broker.state.open import open_store
from broker.state.replay import ReplayRecords
from broker.state.store import RecordStore
from broker.state.transactions import TransactionRecords
from broker.web.about import about as about_broker
from broker.web.client_certificate import ClientCertificateHeader
from broker.web.cookies import Cookies
from broker.web.cross_origin import cross_origin
from broker.web.device import DeviceEndpoints
from broker.web.endpoints import Edges, Endpoints
from broker.web.health import REVISION, Health
from broker.web.inbound import BODY_LIMIT
from broker.web.journey import Journey, Parts
from broker.web.middleware import Errors, measured
from broker.web.operations import Operations
from broker.web.pages import Pages
from broker.web.presenter import Presenter
from broker.web.registration import RegistrationEndpoints
from broker.web.server import serve_until_stopped

log = structlog.get_logger(__name__)

REVISION_POLL_SECONDS = 1.0


class StartError(Exception):
    """The broker cannot start: what is wrong, and what to do (promise P9)."""


@dataclass(frozen=True, kw_only=True)
class Broker:
    """One worker's parts, open."""

    settings: Settings
    database: Database
    store: RecordStore
    audit: DatabaseAuditLog
    registry: Registry
    federation: CurrentFederation
    health: Health
    app: web.Application


def now() -> datetime:
    return datetime.now(UTC)


def build_federation(
    found: DocumentSet, revision: int, *, environment: Mapping[str, str], base: Path, generated: ClientSecrets
) -> Federation:
    """The snapshot of documents. ``base``: the folder from which ``file:`` secrets are named. Raises: DocumentErrors."""
    return documents.build(
        found,
        revision=revision,
        read_metadata=read_facts,
        secret=documents.secret_resolver(environment, base, generated),
        loaded_at=now(),
    )


@asynccontextmanager
async def opened(
    settings: Settings, *, clock: Clock = now, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Broker]:
    """Everything open and started, closed again at the end. Raises: StartError."""
    async with AsyncExitStack() as stack:
        try:
            broker = await _open(settings, clock, os.environ if environment is None else environment, stack)
        except (BrokerFault, KeyRingError, DocumentErrors) as error:
            raise StartError(str(error)) from error
        yield broker


async def run(settings: Settings) -> None:
    """Serves until a signal stops it. Raises: StartError."""
    async with opened(settings) as broker:
        await serve_until_stopped(broker.app, settings, broker.health)


async def _open(settings: Settings, clock: Clock, environment: Mapping[str, str], stack: AsyncExitStack) -> Broker:
    keys = keyring.load(settings.certs_dir)
    await migrate(settings.database)
    database = open_database(settings.database)
    stack.push_async_callback(database.close)
    store = await open_store(settings.state)
    stack.push_async_callback(store.close)
    audit = DatabaseAuditLog(writer_for(database))
    await audit.start()
    stack.push_async_callback(audit.close)
    registry = Registry(database, clock)
    generated = ClientSecrets(lambda: keys.sealing)
    build = partial(build_federation, environment=environment, base=Path.cwd(), generated=generated)
    federation = CurrentFederation(registry, build)
    await federation.load()
    REVISION.set(federation().revision)
    subjects = CurrentSubjects(Ledger(database, keys.subject, clock), keys.subject)
    await subjects.load()
    fetcher = await stack.enter_async_context(
        open_fetcher(
            timeout_seconds=settings.upstream_timeout_seconds,
            development=not settings.secure,
            allowed_networks=settings.allowed,
        )
    )
    health = Health(checks={"database": database.ping, "state": store.ping})
    services = RegisteredServices(registry, build, federation, partial(_refresh, federation))
    app = _application(settings, keys, store, audit, federation, services, subjects, fetcher, health, clock)
    await stack.enter_async_context(_following(federation, subjects))
    return Broker(
        settings=settings,
        database=database,
        store=store,
        audit=audit,
        registry=registry,
        federation=federation,
        health=health,
        app=app,
    )


def _application(
    settings: Settings,
    keys: KeyRing,
    store: RecordStore,
    audit: DatabaseAuditLog,
    federation: CurrentFederation,
    services: RegisteredServices,
    subjects: CurrentSubjects,
    fetcher: Fetcher,
    health: Health,
    clock: Clock,
) -> web.Application:
    base_url = settings.base_url
    saml_names = partial(schema.saml_name, base_url=base_url)
    about = about_broker(settings)
    replay, grants = ReplayRecords(store), GrantRecords(store)
    saml_idp = SamlIdentityProvider(
        base_url=base_url,
        keys=keys,
        clock=clock,
        clock_skew=settings.clock_skew,
        saml_names=saml_names,
        grants=grants,
        fetcher=fetcher,
        about=about,
    )
    saml_sp = SamlServiceProvider(
        base_url=base_url,
        keys=keys,
        clock=clock,
        clock_skew=settings.clock_skew,
        replay=replay,
        fetcher=fetcher,
        saml_names=saml_names,
        about=about,
    )
    openid_provider = OpenIdProvider(
        base_url=base_url,
        keys=keys,
        grants=grants,
        replay=replay,
        fetcher=fetcher,
        clock=clock,
        clock_skew=settings.clock_skew,
        claims_of=partial(schema.claims, base_url=base_url),
        subjects=subjects,
        audit=audit,
        mutual_tls=mutual_tls(settings),
    )
    relying_party = OidcRelyingParty(
        base_url=base_url, keys=keys, fetcher=fetcher, clock=clock, clock_skew=settings.clock_skew
    )
    journey = Journey(
        Parts(
            transactions=TransactionRecords(store, clock),
            audit=audit,
            clock=clock,
            federation=federation,
            upstream={Protocol.SAML: saml_sp, Protocol.OIDC: relying_party},
            downstream={Protocol.SAML: saml_idp, Protocol.OIDC: openid_provider},
            subjects=subjects,
            clock_skew=settings.clock_skew,
        )
    )
    certificates = ClientCertificateHeader(settings.client_certificate_header, settings.proxies)
    cookies = Cookies(secure=settings.secure)
    presenter = Presenter(Pages(settings.federation_name), federation, cookies, clock, secure=settings.secure)
    back_channel_logout = BackChannelLogout(
        providers=relying_party.providers,
        sessions=HomeSessions(grants, clock),
        replay=replay,
        audit=audit,
        clock=clock,
        clock_skew=settings.clock_skew,
    )
    edges = Edges(
        saml_idp=saml_idp,
        saml_sp=saml_sp,
        openid_provider=openid_provider,
        back_channel_logout=back_channel_logout,
    )
    endpoints = Endpoints(journey, edges, presenter, cookies, federation, certificates)
    devices = DeviceEndpoints(openid_provider, endpoints.begin, presenter, cookies, federation)
    operations = Operations(health, presenter)
    registrations = RegistrationEndpoints(_registrations(settings, keys, fetcher, services, clock))
    errors = Errors(journey, presenter)
    middlewares = [measured(settings.proxies), cross_origin(), errors.middleware]
    app = web.Application(middlewares=middlewares, client_max_size=BODY_LIMIT)
    app.add_routes(endpoints.routes())
    app.add_routes(devices.routes())
    app.add_routes(registrations.routes())
    app.add_routes(operations.routes(metrics_here=not settings.metrics_listen))
    return app


def _registrations(
    settings: Settings, keys: KeyRing, fetcher: Fetcher, services: RegisteredServices, clock: Clock
) -> Registrations:
    signer = Signer(keys)
    methods = authentication_methods(mutual_tls(settings))
    return Registrations(
        issuer=settings.base_url,
        services=services,
        tokens=InitialAccessTokens(issuer=settings.base_url, signer=signer, clock=clock),
        offered=Offered(methods=methods, algorithms=signer.algorithms),
        fetcher=fetcher,
    )


def mutual_tls(settings: Settings) -> MutualTls | None:
    """None, unless a proxy passes clients' certificates on. Raises: StartError."""
    if not settings.client_certificate_header:
        return None
    file = settings.client_certificate_authorities
    try:
        authorities = x509.load_pem_x509_certificates(file.read_bytes()) if file else []
    except (OSError, ValueError) as error:
        raise StartError(f"BROKER_CLIENT_CERTIFICATE_AUTHORITIES: {file}: {error}") from error
    return MutualTls(base_url=settings.client_certificate_url or None, authorities=tuple(authorities))


@asynccontextmanager
async def _following(federation: CurrentFederation, subjects: CurrentSubjects) -> AsyncIterator[None]:
    """Takes each new revision and migration of identifiers into use within about a second, until the end of the block."""
    task = asyncio.create_task(_follow(federation, subjects), name="federation revisions")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _refresh(federation: CurrentFederation) -> None:
    """Raises: DatabaseUnavailable."""
    if await federation.refresh():
        REVISION.set(federation().revision)


async def _follow(federation: CurrentFederation, subjects: CurrentSubjects) -> None:
    while True:
        await asyncio.sleep(REVISION_POLL_SECONDS)
        try:
            await _refresh(federation)
            await subjects.refresh()
        except BrokerFault as fault:
            log.warning("federation.not_reachable", reason=fault.code)
