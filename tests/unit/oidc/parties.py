"""Both sides of the broker's OpenID Connect: a federation, services' requests, and a city on loopback that obeys the test."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.jwk import import_key
from jwt import api_jws

from broker.attributes import schema
from broker.attributes.identifiers import Subjects
from broker.audit.events import AuditEvent
from broker.errors import AuditUnavailable
from broker.federation.model import (
    Federation,
    IdentityProvider,
    IdentityProviderId,
    OidcClient,
    OidcProvider,
    Organisation,
    OrganisationId,
    Protocol,
    Service,
    ServiceId,
    Status,
    SubjectRule,
)
from broker.fetch import Fetched, Fetcher, TimedOut
from broker.keys import keyring
from broker.keys.keyring import KeyRing
from broker.login.edges import Delivery, FormPost, Redirect
from broker.login.identity import Identity, VerifiedAssertion
from broker.login.request import LoginRequest
from broker.login.steps import Answer, Release, SendToIdp
from broker.login.transaction import LIFETIME, LoginTransaction, Stage, new_reference_code, new_transaction_id
from broker.oidc import pkce
from broker.oidc.op.edge import OpenIdProvider
from broker.oidc.op.http import ClientRequest, HttpAnswer
from broker.oidc.op.mutual_tls import MutualTls
from broker.oidc.rp.edge import OidcRelyingParty

BASE_URL = "https://broker.example"
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SECRET = "p%+ä:ssw rd"
REDIRECT_URI = "https://rooms.example/callback"
VERIFIER = "v" * 43
REFRESHING = ("authorization_code", "refresh_token")
HOME_ISSUER = "https://login.ulvila.example"

ROOMS = ServiceId("rooms")
ULVILA = OrganisationId("ulvila")
CITY_ID = IdentityProviderId("ulvila-oidc")
CITY_CLIENT_ID = "broker at ulvila"
CITY_SECRET = "city's secret"

ROOMS_CLIENT = OidcClient(client_id="rooms", client_secret=SECRET, redirect_uris=(REDIRECT_URI,))
OTHER_CLIENT = OidcClient(client_id="other", client_secret="other secret", redirect_uris=("https://other.example/cb",))

CITY_IDP = IdentityProvider(
    id=CITY_ID,
    protocol=Protocol.OIDC,
    organisations=(ULVILA,),
    dialect="entra-oidc",
    subject=SubjectRule(keyspace="ulvila"),
    oidc=OidcProvider(issuer=HOME_ISSUER, client_id=CITY_CLIENT_ID),
)

AINO = Release(
    subject_id="subject@ulvila.fi",
    pairwise_id="pairwise@ulvila.fi",
    attributes={
        "mail": ("aino@ulvila.fi", "a.l@ulvila.fi"),
        "mailVerified": ("true",),
        "displayName": ("Aino Lindqvist",),
        "affiliation": ("employee@ulvila.fi",),
    },
)


AINO_HERSELF = Identity(
    organisation=ULVILA,
    idp=CITY_ID,
    keyspace="ulvila-hr",
    key="12345",
    attributes={
        "mail": ("aino@ulvila.fi",),
        "mailVerified": ("true",),
        "displayName": ("Aino Lindqvist",),
        "affiliation": ("employee@ulvila.fi",),
    },
    authn_instant=NOW - timedelta(minutes=5),
    authn_context="https://refeds.org/profile/sfa",
    authn_methods=("pwd",),
)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **time: float) -> None:
        self.now += timedelta(**time)


class MemoryGrants:
    """A GrantStore in a dictionary, with the clock's time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.records: dict[tuple[str, str], tuple[bytes, datetime]] = {}

    async def put(self, kind: str, secret: str, value: bytes, lifetime: timedelta) -> None:
        self.records[kind, secret] = (value, self._clock() + lifetime)

    async def get(self, kind: str, secret: str) -> bytes | None:
        value, until = self.records.get((kind, secret), (None, self._clock()))
        return value if self._clock() < until else None

    async def take(self, kind: str, secret: str) -> bytes | None:
        value = await self.get(kind, secret)
        self.records.pop((kind, secret), None)
        return value

    async def remove(self, kind: str, secret: str) -> None:
        self.records.pop((kind, secret), None)


class MemoryReplay:
    """A ReplayCache in a dictionary, with the clock's time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.seen: dict[tuple[str, str], datetime] = {}

    async def first_use(self, issuer: str, message_id: str, lifetime: timedelta) -> bool:
        until = self.seen.get((issuer, message_id))
        if until is not None and self._clock() < until:
            return False
        self.seen[issuer, message_id] = self._clock() + lifetime
        return True


class MemoryAudit:
    """An AuditLog in a list. ``down``: it cannot be reached."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.down = False

    async def append(self, event: AuditEvent) -> None:
        if self.down:
            raise AuditUnavailable("down")
        self.events.append(event)


class ClientsFetcher:
    """What the provider fetches of its clients: ``found`` by address; every other is out of reach."""

    def __init__(self) -> None:
        self.found: dict[str, object] = {}
        self.asked: list[str] = []

    async def get(self, url: str) -> Fetched:
        self.asked.append(url)
        if url not in self.found:
            raise TimedOut("nobody there")
        return Fetched(content_type="application/json", body=json.dumps(self.found[url]).encode())


def make_keys(folder: Path) -> KeyRing:
    keyring.create(folder, common_name="broker.example", now=NOW)
    return keyring.load(folder)


def federation_of(*clients: OidcClient) -> Federation:
    services = [
        Service(
            id=ServiceId(client.client_id),
            protocol=Protocol.OIDC,
            owner=ULVILA,
            name={"en": client.client_id},
            status=Status.PRODUCTION,
            client=client,
        )
        for client in clients
    ]
    return Federation(
        revision=1,
        organisations={ULVILA: Organisation(id=ULVILA, name={"en": "Ulvila"}, scopes=("ulvila.fi",))},
        identity_providers={CITY_ID: CITY_IDP},
        services={service.id: service for service in services},
        agreements={},
    )


# --- toward services --------------------------------------------------------------------------------------------------


def request_pairs(**changes: str | None) -> list[tuple[str, str]]:
    """A good authorization request; a change to None leaves the parameter out."""
    good: dict[str, str | None] = {
        "client_id": "rooms",
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": "openid email profile",
        "state": "st&te 1",
        "nonce": "n-1",
        "code_challenge": pkce.challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    }
    return [(name, value) for name, value in {**good, **changes}.items() if value is not None]


def transaction_of(request: LoginRequest) -> LoginTransaction:
    return LoginTransaction(
        id=new_transaction_id(),
        reference=new_reference_code(),
        browser="",
        request=request,
        stage=Stage.AT_IDP,
        begun_at=NOW,
        expires_at=NOW + LIFETIME,
    )


def answer_of(request: LoginRequest, **changes: Any) -> Answer:
    answer = Answer(
        service=request.service,
        organisation=ULVILA,
        idp=CITY_ID,
        identity=AINO_HERSELF,
        release=AINO,
        authn_instant=NOW - timedelta(minutes=5),
        authn_context="https://refeds.org/profile/sfa",
        authn_methods=("pwd",),
        authenticating_authorities=(HOME_ISSUER,),
        trace=(),
    )
    return replace(answer, **changes)


def fields_of(delivery: Delivery) -> dict[str, str]:
    if isinstance(delivery, FormPost):
        return dict(delivery.fields)
    assert isinstance(delivery, Redirect)
    return dict(parse_qsl(urlsplit(delivery.url).query, strict_parsing=True))


def basic(client_id: str, secret: str) -> str:
    """As it stands, without the form encoding."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def json_of(answer: HttpAnswer) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/json"
    found = json.loads(answer.body)
    assert isinstance(found, dict)
    return found


def error_of(answer: HttpAnswer, status: int = 400) -> str:
    """OAuth's error value of an answer that nobody may keep (RFC 6749 5.1, 5.2)."""
    assert answer.status == status, answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    return str(json_of(answer)["error"])


@dataclass
class Prover:
    """A client's key, and its DPoP proofs by it (RFC 9449 4.2); ``changes`` and ``header``: of each proof."""

    clock: Clock
    nonce: str | None = None
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    algorithm: str = "ES256"
    changes: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)

    @property
    def thumbprint(self) -> str:
        """By a library that is not the broker's own code."""
        return str(import_key(public_jwk(self.key)).thumbprint())

    def proof(self, url: str, *, method: str = "POST", access_token: str | None = None) -> str:
        claims = {
            "jti": secrets.token_urlsafe(8),
            "htm": method,
            "htu": url,
            "iat": int(self.clock().timestamp()),
            "nonce": self.nonce,
            "ath": base64.urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()).rstrip(b"=").decode()
            if access_token
            else None,
        } | self.changes
        given = {name: value for name, value in claims.items() if value is not None}
        header = {"typ": "dpop+jwt", "jwk": public_jwk(self.key)} | self.header
        return api_jws.encode(json.dumps(given).encode(), self.key, self.algorithm, headers=header)


@dataclass
class ServiceSide:
    """The OpenID Provider and those who ask it. ``certificate``, ``prover``: with which every request is made from now on."""

    keys: KeyRing
    clock: Clock = field(default_factory=Clock)
    federation: Federation = field(default_factory=lambda: federation_of(ROOMS_CLIENT, OTHER_CLIENT))
    provider: OpenIdProvider = field(init=False)
    grants: MemoryGrants = field(init=False)
    replay: MemoryReplay = field(init=False)
    fetcher: ClientsFetcher = field(default_factory=lambda: ClientsFetcher())
    mutual_tls: MutualTls | None = None
    certificate: bytes | None = None
    prover: Prover | None = None
    audit: MemoryAudit = field(default_factory=lambda: MemoryAudit())

    def __post_init__(self) -> None:
        self.grants = MemoryGrants(self.clock)
        self.replay = MemoryReplay(self.clock)
        self.subjects = Subjects(keys=self.keys.subject)
        self.provider = OpenIdProvider(
            base_url=BASE_URL,
            keys=self.keys,
            grants=self.grants,
            replay=self.replay,
            fetcher=self.fetcher,  # type: ignore[arg-type]  # as much of one as is needed
            clock=self.clock,
            clock_skew=timedelta(seconds=60),
            claims_of=lambda released, scopes: schema.claims(released, scopes, BASE_URL),
            subjects=lambda: self.subjects,
            audit=self.audit,
            mutual_tls=self.mutual_tls,
        )

    def register(self, **changes: Any) -> None:
        """The service's registration, changed."""
        self.federation = federation_of(replace(ROOMS_CLIENT, **changes), OTHER_CLIENT)

    async def begin(self, pairs: Iterable[tuple[str, str]] | None = None, /, **changes: str | None) -> LoginRequest:
        """A good authorization request, changed; or these parameters."""
        found = request_pairs(**changes) if pairs is None else list(pairs)
        return await self.provider.begin_authorization(found, self.federation)

    async def prove(self, **about: Any) -> Prover:
        """From now on every request comes with a proof, made as ``about`` says."""
        self.prover = Prover(clock=self.clock, **about)
        answer = await self.exchange("no code")
        assert error_of(answer) == "use_dpop_nonce"
        self.prover.nonce = answer.headers["DPoP-Nonce"]
        return self.prover

    async def push(self, authorization: str | None = "", /, **changes: str | None) -> HttpAnswer:
        """A good request pushed, changed; ``authorization``: "" is the right one."""
        asked = self._asking("/oidc/par", dict(request_pairs(**changes)), authorization, {})
        return await self.provider.push(asked, self.federation)

    async def pushed(self, **changes: str | None) -> str:
        """The request_uri."""
        answer = await self.push(**changes)
        assert answer.status == 201, answer.body
        return str(json_of(answer)["request_uri"])

    async def answer(self, request: LoginRequest, **changes: Any) -> Delivery:
        service = self.federation.services[request.service]
        return await self.provider.answer(transaction_of(request), answer_of(request, **changes), service)

    async def code(self, **changes: str | None) -> str:
        """A login from the request to its code."""
        return fields_of(await self.answer(await self.begin(**changes)))["code"]

    async def exchange(self, code: str, authorization: str | None = "", /, **changes: str | None) -> HttpAnswer:
        """The code at the token endpoint; ``authorization``: "" is the right one."""
        good = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
        }
        return await self.provider.token(self._asking("/oidc/token", good, authorization, changes), self.federation)

    async def tokens(self, **changes: str | None) -> dict[str, Any]:
        answer = await self.exchange(await self.code(**changes))
        assert answer.status == 200, answer.body
        return json_of(answer)

    async def refresh(self, token: str, authorization: str | None = "", /, **changes: str | None) -> HttpAnswer:
        """A refresh token at the token endpoint; ``authorization``: "" is the right one."""
        good = {"grant_type": "refresh_token", "refresh_token": token}
        return await self.provider.token(self._asking("/oidc/token", good, authorization, changes), self.federation)

    async def refreshed(self, token: str) -> dict[str, Any]:
        answer = await self.refresh(token)
        assert answer.status == 200, answer.body
        return json_of(answer)

    async def authorize_device(self, authorization: str | None = "", /, **changes: str | None) -> HttpAnswer:
        """A device authorization request; ``authorization``: "" is the right one."""
        asked = self._asking("/oidc/device_authorization", {"scope": "openid email profile"}, authorization, changes)
        return await self.provider.authorize_device(asked, self.federation)

    async def poll(self, device_code: str, authorization: str | None = "", /, **changes: str | None) -> HttpAnswer:
        """A device code at the token endpoint; ``authorization``: "" is the right one."""
        good = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": device_code}
        return await self.provider.token(self._asking("/oidc/token", good, authorization, changes), self.federation)

    async def revoke(self, token: str | None, authorization: str | None = "", /, **changes: str | None) -> HttpAnswer:
        asked = self._asking("/oidc/revoke", {"token": token}, authorization, changes)
        return await self.provider.revoke(asked, self.federation)

    async def introspect(
        self, token: str | None, authorization: str | None = "", /, accept: str | None = None, **changes: str | None
    ) -> HttpAnswer:
        asked = self._asking("/oidc/introspect", {"token": token}, authorization, changes)
        return await self.provider.introspect(replace(asked, accept=accept), self.federation)

    async def is_active(self, access_token: str) -> bool:
        return (await self.userinfo(f"Bearer {access_token}")).status == 200

    async def userinfo(
        self, authorization: str | None, fields: tuple[tuple[str, str], ...] = (), method: str = "POST"
    ) -> HttpAnswer:
        token = (authorization or "").partition(" ")[2]
        request = ClientRequest(
            method=method,
            authorization=authorization,
            dpop=self._proofs("/oidc/userinfo", method=method, access_token=token),
            certificate=self.certificate,
            fields=fields,
        )
        return await self.provider.userinfo(request, self.federation)

    def _asking(
        self, path: str, good: Mapping[str, str | None], authorization: str | None, changes: Mapping[str, str | None]
    ) -> ClientRequest:
        fields = tuple((name, value) for name, value in {**good, **changes}.items() if value is not None)
        header = basic("rooms", SECRET) if authorization == "" else authorization
        return ClientRequest(authorization=header, dpop=self._proofs(path), certificate=self.certificate, fields=fields)

    def _proofs(self, path: str, **about: Any) -> tuple[str, ...]:
        return () if self.prover is None else (self.prover.proof(BASE_URL + path, **about),)

    def id_token(self, token: str) -> dict[str, Any]:
        """The claims, with the signature checked by the published keys."""
        keys = jwt.PyJWKSet.from_dict(json_of(self.provider.jwks()))
        header = jwt.get_unverified_header(token)
        claims: dict[str, Any] = jwt.decode(
            token,
            keys[header["kid"]].key,
            algorithms=["RS256", "PS256", "ES256", "EdDSA"],
            audience="rooms",
            issuer=BASE_URL,
            options={"verify_exp": False, "verify_iat": False},
        )
        return claims


# --- toward cities ----------------------------------------------------------------------------------------------------

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FOREIGN_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def public_jwk(key: keyring.PrivateKey, **members: str) -> dict[str, Any]:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return {**jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), **members}
    if isinstance(key, rsa.RSAPrivateKey):
        return {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "key_ops": ["verify"], **members}
    return {**jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True), **members}


@dataclass
class City:
    """An OpenID Provider on loopback that signs and says whatever the test wants, and notes what it was asked."""

    clock: Clock
    issuer: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    jwks: list[dict[str, Any]] = field(default_factory=lambda: [public_jwk(RSA_KEY, kid="k1")])
    claims: dict[str, Any] = field(default_factory=dict)
    id_token: str | None = None
    token_status: int = 200
    token_answer: dict[str, Any] = field(default_factory=dict)
    push_status: int = 201
    push_answer: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] | None = None
    userinfo_type: str = "application/json"
    asked: list[tuple[str, Mapping[str, str], str | None]] = field(default_factory=list)

    def identity_provider(self, **changes: Any) -> IdentityProvider:
        registered = OidcProvider(
            issuer=self.issuer, client_id=CITY_CLIENT_ID, client_secret=CITY_SECRET, scopes=("openid", "profile")
        )
        return IdentityProvider(
            id=CITY_ID,
            protocol=Protocol.OIDC,
            organisations=(ULVILA,),
            dialect=changes.pop("dialect", "entra-oidc"),
            subject=SubjectRule(keyspace="ulvila"),
            oidc=replace(registered, **changes),
        )

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._configuration)
        app.router.add_get("/jwks", self._jwks)
        app.router.add_post("/par", self._par)
        app.router.add_post("/token", self._token)
        app.router.add_get("/userinfo", self._userinfo)
        return app

    async def serve(self) -> TestServer:
        server = TestServer(self.application(), host="127.0.0.1")
        await server.start_server()
        self.issuer = str(server.make_url("")).rstrip("/")
        return server

    def good_claims(self, nonce: str) -> dict[str, Any]:
        now = int(self.clock().timestamp())
        return {
            "iss": self.issuer,
            "sub": "sub-1",
            "aud": CITY_CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "tid": "tenant",
            "oid": "object",
            "name": "Aino Lindqvist",
        }

    def sign(self, claims: Mapping[str, Any], key: Any = RSA_KEY, algorithm: str = "RS256", /, **header: Any) -> str:
        """Whatever the claims are: a library's own checks of them would be in the way."""
        return api_jws.encode(json.dumps(claims).encode(), key, algorithm, headers={"kid": "k1", **header})

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]

    async def _configuration(self, request: web.Request) -> web.Response:
        self._note(request, {})
        good = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
        }
        return web.json_response({**good, **self.metadata})

    async def _jwks(self, request: web.Request) -> web.Response:
        self._note(request, {})
        return web.json_response({"keys": self.jwks})

    async def _par(self, request: web.Request) -> web.Response:
        """For a test that puts pushed_authorization_request_endpoint into the metadata."""
        self._note(request, {name: str(value) for name, value in (await request.post()).items()})
        good = {"request_uri": "urn:ietf:params:oauth:request_uri:r&1", "expires_in": 60}
        return web.json_response({**good, **self.push_answer}, status=self.push_status)

    async def _token(self, request: web.Request) -> web.Response:
        self._note(request, {name: str(value) for name, value in (await request.post()).items()})
        good = {"access_token": "at-1", "token_type": "Bearer", "id_token": self.id_token or self.sign(self.claims)}
        return web.json_response({**good, **self.token_answer}, status=self.token_status)

    async def _userinfo(self, request: web.Request) -> web.Response:
        self._note(request, {})
        found = {"sub": self.claims.get("sub")} if self.userinfo is None else self.userinfo
        return web.Response(text=json.dumps(found), content_type=self.userinfo_type)

    def _note(self, request: web.Request, form: Mapping[str, str]) -> None:
        self.asked.append((request.path, form, request.headers.get("Authorization")))


def step_to(idp: IdentityProvider, **changes: Any) -> SendToIdp:
    return SendToIdp(idp=idp.id, organisation=ULVILA, **changes)


@dataclass
class CitySide:
    """The relying party and the city that it asks."""

    city: City
    keys: KeyRing
    fetcher: Fetcher
    party: OidcRelyingParty = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, fetcher: Fetcher | None = None) -> None:
        """A relying party that knows nothing of the city yet."""
        self.party = OidcRelyingParty(
            base_url=BASE_URL,
            keys=self.keys,
            fetcher=fetcher or self.fetcher,
            clock=self.city.clock,
            clock_skew=timedelta(seconds=60),
        )

    async def depart(self, *, registered: Mapping[str, Any] | None = None, **step: Any) -> LoginTransaction:
        """The transaction as it waits for the city's answer; the city's claims are then good ones."""
        idp = self.city.identity_provider(**(registered or {}))
        request = LoginRequest(service=ROOMS, protocol=Protocol.OIDC, reply={}, passive=step.get("passive", False))
        transaction = replace(transaction_of(request), begun_at=self.city.clock(), stage=Stage.RECEIVED)
        departure = await self.party.depart(transaction, step_to(idp, **step), idp, federation_of())
        self.city.claims = self.city.good_claims(departure.remember["nonce"])
        assert isinstance(departure.delivery, Redirect)
        self.url = departure.delivery.url
        return transaction.sent_to(idp.id, ULVILA, departure.remember)

    async def arrive(
        self, transaction: LoginTransaction, *, registered: Mapping[str, Any] | None = None, **message: str | None
    ) -> VerifiedAssertion:
        fields = {"code": "c-1", "state": transaction.id, "iss": self.city.issuer, **message}
        idp = self.city.identity_provider(**(registered or {}))
        given = {name: value for name, value in fields.items() if value is not None}
        return await self.party.arrive(transaction, given, idp)

    async def log_in(self, *, registered: Mapping[str, Any] | None = None, **claims: Any) -> VerifiedAssertion:
        """A whole login with these claims changed; None leaves one out."""
        transaction = await self.depart(registered=registered)
        changed = {**self.city.claims, **claims}
        self.city.claims = {name: value for name, value in changed.items() if value is not None}
        return await self.arrive(transaction, registered=registered)
