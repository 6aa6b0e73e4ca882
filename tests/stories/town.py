"""A broker that listens on loopback, and around it cities, services and browsers that share no code with it.

What cities and services say is the bench's (``tests/bench``), which checks every answer of the broker's too.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import jwt
from aiohttp import ClientSession, DummyCookieJar, web
from aiohttp.typedefs import Handler
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import html
from yarl import URL

from broker.app import Broker, build_federation, opened
from broker.audit import explain
from broker.audit.events import AuditEvent
from broker.database.engine import open_database
from broker.database.migrate import migrate
from broker.federation.documents import read_folder
from broker.federation.registry import Registry
from broker.keys import keyring
from broker.keys.client_secrets import ClientSecrets
from broker.settings import Settings
from broker.web.server import listening
from tests.bench import oidc, saml
from tests.bench.flows import BrokerParties, Logins, discover
from tests.bench.parties import HOST, OIDC_CITY, SAML_CITY, SECRETS, Parties, SigningKey, User, write_documents
from tests.bench.processes import free_port

REFERENCE = re.compile(r"\b[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}\b")
NEIGHBOUR = "neighbour"
NEIGHBOUR_ARTIFACTS = "/neighbour/artifact"
"""Where it would resolve artifacts: a test puts the answer into ``City.trouble``."""
TESTER = 7
"""The number of the one person who may try the service that is being tested."""
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"

_SAML_SERVICE = "metadata: service.xml\n"
# Beside the bench's documents: a second SAML city, whose agreement covers everything; one that has signed nothing; and
# services in the other states.
_MORE = f"""\
kind: organisation
id: {NEIGHBOUR}
name: {{fi: Naapurin kaupunki, en: City of Neighbour}}
short_name: {{fi: Naapuri, en: Neighbour}}
scopes: [{NEIGHBOUR}.fi]
contacts:
  - {{role: helpdesk, email: help@{NEIGHBOUR}.example, phone: "+358 2 000 0009"}}
---
kind: organisation
id: outsider
name: {{fi: Ulkopuolisten kunta, en: Municipality of Outsiders}}
scopes: [outsider.fi]
---
kind: identity-provider
id: {NEIGHBOUR}-idp
protocol: saml
organisations: [{NEIGHBOUR}, outsider]
organisation_from: {{from: "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"}}
metadata: neighbour.xml
unsolicited: true
dialect: adfs
subject: {{keyspace: {NEIGHBOUR}-hr, from: employeeNumber}}
attributes:
  employeeNumber: {{from: "http://schemas.bench.example/claims/employeeid"}}
---
kind: agreement
id: with-neighbour
name: {{en: With the neighbour}}
parties: [{SAML_CITY}, {NEIGHBOUR}]
owners: [{SAML_CITY}]
valid_from: 2026-01-01
valid_until: 2039-12-31
signed: {{{SAML_CITY}: 2025-12-10, {NEIGHBOUR}: 2025-12-10}}
---
kind: service
id: own-service
protocol: oidc
owner: outsider
name: {{en: Outsiders' own}}
client:
  client_id: own-service
  redirect_uris: ["http://127.0.0.1:9/own/callback"]
  token_endpoint_auth_method: none
status: production
---
kind: service
id: meeting-screen
protocol: oidc
owner: {SAML_CITY}
name: {{fi: Kokousnäyttö, en: Meeting screen}}
client:
  client_id: meeting-screen
  token_endpoint_auth_method: none
  grant_types: ["urn:ietf:params:oauth:grant-type:device_code"]
status: production
"""
_IN_STATUS = """\
---
kind: service
id: {status}-service
protocol: oidc
owner: {owner}
name: {{en: The {status} service}}
client:
  client_id: {status}-service
  redirect_uris: ["http://127.0.0.1:9/{status}/callback"]
  token_endpoint_auth_method: none
{more}status: {status}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourParties(Parties):
    """The second SAML city: another entityID, and a key of its own."""

    @property
    def city_entity_id(self) -> str:
        return f"{self.base}/neighbour"

    @property
    def city_sso(self) -> str:
        return f"{self.base}/neighbour/sso"


@dataclass(kw_only=True)
class City(oidc.City):
    """The bench's OIDC city. ``proven``: its tenant has proven the domain of its addresses (Entra ID's ``xms_edov``).
    ``delay``: seconds before it exchanges a code. ``trouble``: what answers at a path instead. ``changes``: of the claims of its
    ID tokens; None leaves one out.
    """

    proven: bool = True
    delay: float = 0.0
    trouble: dict[str, Handler] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)

    def application(self) -> web.Application:
        app = super().application()

        @web.middleware
        async def troubled(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self.trouble.get(request.path, handler)(request)

        app.middlewares.append(troubled)
        return app

    async def _token(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.delay)
        return await super()._token(request)

    async def _userinfo(self, request: web.Request) -> web.Response:
        answer = await super()._userinfo(request)
        return answer if self.proven else web.json_response(_unproven(json.loads(answer.text or "{}")))

    def _id_token(self, grant: oidc.Grant, now: datetime) -> str:
        token = super()._id_token(grant, now)
        if self.proven and not self.changes:
            return token
        claims = jwt.decode(token, options={"verify_signature": False})
        claims = {**(claims if self.proven else _unproven(claims)), **self.changes}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.parties.city_key.private, algorithm="RS256", headers={"kid": "city"})


def _unproven(claims: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if name != "xms_edov"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a browser got. ``text``: the body."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    @property
    def page(self) -> Any:
        return html.document_fromstring(self.text or "<html/>")

    @property
    def reason(self) -> str:
        """The fault code of a refusal page; "" on every other page."""
        return str(self.page.xpath("string(//main/@data-reason)"))

    @property
    def reference(self) -> str:
        """The reference code of a refusal page; "" when it has none."""
        found = REFERENCE.search(str(self.page.xpath("string(//output)")))
        return found[0] if found else ""

    def links(self) -> list[str]:
        return [str(each) for each in self.page.xpath("//main//a/@href")]

    def link_to(self, last_segment: str) -> str:
        """The first link whose path ends with this segment; "" when there is none."""
        return next((each for each in self.links() if urlsplit(each).path.endswith(f"/{last_segment}")), "")

    def choices(self) -> list[str]:
        """Ids of the organisations on a page of choice, in its order."""
        found = [parse_qs(urlsplit(each).query).get("organisation", [""])[0] for each in self.links()]
        return [each for each in found if each]

    def form(self) -> tuple[str, dict[str, str]]:
        """Address and fields of the page's POST form."""
        form = next(each for each in self.page.forms if each.method == "POST")
        return str(form.action), {str(name): str(value) for name, value in form.form_values()}

    def parameters(self) -> dict[str, str]:
        """Of the query of Location, each once."""
        found = parse_qs(urlsplit(self.location).query, keep_blank_values=True, strict_parsing=True)
        assert all(len(values) == 1 for values in found.values())
        return {name: values[0] for name, values in found.items()}


@dataclass(kw_only=True)
class Browser:
    """Follows nothing by itself, keeps cookies, and sends addresses as they are written."""

    base: str
    session: ClientSession
    language: str = "en"
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, url: str, **headers: str) -> Answer:
        return await self.send("GET", url, headers=headers)

    async def post(self, url: str, form: Any, **headers: str) -> Answer:
        return await self.send("POST", url, data=form, headers=headers)

    async def send(
        self, method: str, url: str, *, data: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """``url``: whole, or from the broker's root."""
        cookies = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())} if self.cookies else {}
        address = URL(self.base + url if url.startswith("/") else url, encoded=True)
        sent = {"Accept-Language": self.language, **cookies, **(headers or {})}
        async with self.session.request(method, address, data=data, headers=sent, allow_redirects=False) as answer:
            for line in answer.headers.getall("Set-Cookie", ()):
                self.cookies.update({name: each.value for name, each in SimpleCookie(line).items()})
            return Answer(status=answer.status, headers=answer.headers.copy(), text=await answer.text())


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What is made once: keys, documents, and a database with the documents in use, to be copied for each town."""

    folder: Path
    parties: Parties
    neighbour: NeighbourParties

    @property
    def documents(self) -> Path:
        return self.folder / "metadata"

    @property
    def certs(self) -> Path:
        return self.folder / "certs"


def lay_ground(folder: Path) -> Ground:
    port = free_port()
    parties = Parties.make(port)
    neighbour = NeighbourParties(
        base=parties.base, city_key=SigningKey.make("neighbour"), service_key=parties.service_key
    )
    ground = Ground(folder=folder, parties=parties, neighbour=neighbour)
    write_documents(ground.documents, parties)
    bench = ground.documents / "bench.yaml"
    bench.write_text(bench.read_text("utf-8").replace(_SAML_SERVICE, f"{_SAML_SERVICE}unsolicited: true\n"), "utf-8")
    (ground.documents / "more.yaml").write_text(_MORE + _in_other_states(), "utf-8")
    (ground.documents / "neighbour.xml").write_text(_neighbour_metadata(neighbour), "utf-8")
    keyring.create(ground.certs, common_name=HOST, now=datetime.now(UTC))
    asyncio.run(_apply(ground))
    return ground


async def _apply(ground: Ground) -> None:
    settings = Settings(data_dir=ground.folder / "data")
    await migrate(settings.database)
    found = read_folder(ground.documents)
    generated = ClientSecrets(partial(keyring.sealing_key, ground.certs))
    build_federation(found, 0, environment=SECRETS, base=ground.folder, generated=generated)
    database = open_database(settings.database)
    try:
        await Registry(database, lambda: datetime.now(UTC)).apply(found, author="test", reason="the town")
    finally:
        await database.close()


def _in_other_states() -> str:
    testers = f"testers: [user{TESTER}@{SAML_CITY}.fi]\n"
    statuses = (("draft", ""), ("test", testers), ("retired", ""))
    return "".join(_IN_STATUS.format(status=status, owner=SAML_CITY, more=more) for status, more in statuses)


def _neighbour_metadata(parties: NeighbourParties) -> str:
    return (
        f'<md:EntityDescriptor xmlns:md="{saml.MD}" entityID="{parties.city_entity_id}">'
        f'<md:IDPSSODescriptor protocolSupportEnumeration="{saml.SAMLP}"><md:KeyDescriptor use="signing">'
        f'<ds:KeyInfo xmlns:ds="{saml.DS}"><ds:X509Data><ds:X509Certificate>{parties.city_key.certificate}'
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        '<md:ArtifactResolutionService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" '
        f'Location="{parties.base}{NEIGHBOUR_ARTIFACTS}" index="1"/>'
        '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" '
        f'Location="{parties.city_sso}"/></md:IDPSSODescriptor></md:EntityDescriptor>'
    )


@dataclass(kw_only=True)
class Town:
    """``seen``: the broker as its own metadata describe it."""

    ground: Ground
    settings: Settings
    broker: Broker
    session: ClientSession
    city: City
    seen: BrokerParties
    stop_city: Callable[[], Awaitable[None]]

    @property
    def base(self) -> str:
        return self.settings.base_url

    @asynccontextmanager
    async def second_worker(self) -> AsyncIterator[str]:
        """Another worker of the same broker, with the same state, at an address of its own."""
        port = free_port()
        settings = self.settings.model_copy(update={"listen": f"{HOST}:{port}"})
        async with (
            opened(settings, environment=SECRETS) as broker,
            listening(broker.app, settings, broker.health),
        ):
            yield f"http://{HOST}:{port}"

    @property
    def parties(self) -> Parties:
        return self.ground.parties

    def browser(self, **more: Any) -> Browser:
        return Browser(base=self.base, session=self.session, **more)

    def logins(self) -> Logins:
        """Whole logins, with the bench's checks."""
        return Logins(parties=self.parties, broker=self.seen, city=self.city, session=self.session)

    # --- the service's requests ---------------------------------------------------------------------------------------

    def ask_oidc(self, **changes: str | None) -> str:
        """The address of a good authorization request of the OIDC service, changed; None leaves a parameter out."""
        return oidc_request(self.parties, **changes)

    def ask_saml(self, inner: str = "", *, more: str = "", relay_state: str | None = "rs", **attributes: Any) -> str:
        """The address of a signed AuthnRequest of the SAML service. ``inner``: behind its Issuer. ``more``: behind all."""
        return saml_request(self.parties, self.seen.saml_idp, inner, relay_state=relay_state, **attributes) + more

    async def at_oidc_city(self, browser: Browser, number: int = 1) -> str:
        """From the service's request to the address by which the OIDC city sends the browser back."""
        sent = await browser.get(self.ask_oidc(organisation=OIDC_CITY))
        assert sent.status == 303, sent.text
        return self.city.log_in(sent.location, User(number=number, scope=f"{OIDC_CITY}.fi"))

    async def at_saml_city(self, browser: Browser, *, service: str = "oidc", id: str = SAML_CITY) -> saml.Received:
        """From the service's request to the SAML city, which has read the broker's AuthnRequest."""
        parties = self.ground.neighbour if id == NEIGHBOUR else self.parties
        ask = self.ask_oidc(organisation=id) if service == "oidc" else self.ask_saml(more=f"&organisation={id}")
        sent = await browser.get(ask)
        assert sent.status == 303, sent.text
        return saml.read_authn_request(sent.location, parties, self.seen.saml_sp)

    def saml_answer(
        self,
        received: saml.Received,
        number: int = 1,
        *,
        parties: Parties | None = None,
        scope: str = f"{SAML_CITY}.fi",
    ) -> dict[str, str]:
        """The SAML city's good answer, as the form that the browser posts."""
        user = User(number=number, scope=scope)
        return saml.response(parties or self.parties, self.seen.saml_sp, received, user, datetime.now(UTC))

    # --- what the operator sees ----------------------------------------------------------------------------------------

    async def events(self, reference: str) -> list[AuditEvent]:
        return [each.event() for each in await explain.find(self.broker.database, reference)]

    async def refused(self, answer: Answer, *reasons: str) -> AuditEvent:
        """The record of a refusal, after a look at its page: a 4xx for one of these reasons that leads nowhere else (P12)."""
        assert 400 <= answer.status < 500
        assert answer.reason in reasons, answer.reason
        assert not answer.location
        own = ("/", "mailto:", "#", self.base)
        addresses = answer.page.xpath("//a/@href | //form/@action | //@src")
        service = self.parties.base
        assert all(each.startswith((*own, service)) for each in addresses), addresses
        (event,) = await self.events(answer.reference)
        assert event.reason == answer.reason
        return event

    async def raw(self, octets: bytes, port: int | None = None) -> tuple[bytes, bytes]:
        """Head and body of whatever is answered to these octets, which must ask for the connection's end.

        Nothing, when the connection is broken off while they are still on their way.
        """
        reader, writer = await asyncio.open_connection(HOST, port or self.settings.listen_address[1])
        try:
            writer.write(octets)
            await writer.drain()
            async with asyncio.timeout(10):
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        except ConnectionError:
            return b"", b""
        finally:
            writer.close()
        return head, body


def oidc_request(parties: Parties, **changes: str | None) -> str:
    good: dict[str, str | None] = {
        "response_type": "code",
        "client_id": "bench-service",
        "redirect_uri": parties.redirect_uri,
        "scope": "openid profile email",
        "state": "st-1",
        "nonce": "n-1",
        "code_challenge": oidc.challenge_of("v" * 43),
        "code_challenge_method": "S256",
    }
    query = "&".join(f"{name}={quote(v, safe='')}" for name, v in {**good, **changes}.items() if v is not None)
    return f"/oidc/authorize?{query}"


def saml_request(
    parties: Parties, broker: saml.Peer, inner: str = "", *, relay_state: str | None = "rs", **attributes: str | None
) -> str:
    """A signed AuthnRequest by the Redirect binding; an attribute that is None is left out."""
    given = {
        "ID": "_" + "r" * 32,
        "Version": "2.0",
        "IssueInstant": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Destination": broker.address,
        "AssertionConsumerServiceURL": parties.service_acs,
        **attributes,
    }
    issuer = given.pop("Issuer", parties.service_entity_id)
    written = "".join(f' {name}="{value}"' for name, value in given.items() if value is not None)
    xml = (
        f'<samlp:AuthnRequest xmlns:samlp="{saml.SAMLP}" xmlns:saml="{saml.SAML}"{written}>'
        f"<saml:Issuer>{issuer}</saml:Issuer>{inner}</samlp:AuthnRequest>"
    )
    packer = zlib.compressobj(wbits=-15)
    packed = b64encode(packer.compress(xml.encode()) + packer.flush()).decode()
    fields = [("SAMLRequest", packed), ("RelayState", relay_state), ("SigAlg", RSA_SHA256)]
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields if value is not None)
    signature = parties.service_key.private.sign(query.encode("ascii"), padding.PKCS1v15(), hashes.SHA256())
    return f"{broker.address}?{query}&Signature={quote(b64encode(signature).decode(), safe='')}"


@asynccontextmanager
async def new_session() -> AsyncIterator[ClientSession]:
    async with ClientSession(cookie_jar=DummyCookieJar(), requote_redirect_url=False) as session:
        yield session


def settings_of(ground: Ground, folder: Path, **changes: Any) -> Settings:
    """A broker of its own in ``folder``, on a free port, with the ground's keys and documents in use."""
    if not (folder / "data").exists():
        shutil.copytree(ground.folder / "data", folder / "data")
    port = free_port()
    given = {
        "base_url": f"http://{HOST}:{port}",
        "listen": f"{HOST}:{port}",
        "data_dir": folder / "data",
        "certs_dir": ground.certs,
        "drain_seconds": 1,
        "notice_seconds": 0,
        "upstream_timeout_seconds": 5,
    }
    return Settings(**{**given, **changes})


@asynccontextmanager
async def serving_city(ground: Ground, app: web.Application) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Where the OIDC city is registered to be. Gives what stops it before the end of the block."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, HOST, int(ground.parties.base.rpartition(":")[2])).start()
    try:
        yield runner.cleanup
    finally:
        await runner.cleanup()


@asynccontextmanager
async def open_town(ground: Ground, folder: Path, **changes: Any) -> AsyncIterator[Town]:
    """``changes``: of the broker's settings."""
    settings = settings_of(ground, folder, **changes)
    city = City(parties=ground.parties, callback=f"{settings.base_url}/oidc/callback")
    async with (
        new_session() as session,
        opened(settings, environment=SECRETS) as broker,
        listening(broker.app, settings, broker.health),
        serving_city(ground, city.application()) as stop_city,
    ):
        seen = await discover(session, settings.base_url)
        yield Town(
            ground=ground, settings=settings, broker=broker, session=session, city=city, seen=seen, stop_city=stop_city
        )
