"""``broker demo --check``: every demo person goes to every demo service, in a browser without a screen.

A login is right when the service itself says that the right person came with the right attributes and no others, or when
the broker's page refuses for the expected reason and the service is told so.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import parse_qs, urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, CookieJar
from lxml import html
from yarl import URL

from broker.demo.people import MEETING_ROOMS, PEOPLE, PORI_DIRECTORY, SHARED_WIKI, ULVILA_DIRECTORY, Person
from broker.demo.world import PreparedDemo, base_url

_REFERENCE = re.compile(r"[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}")
_PROTOCOL = {PORI_DIRECTORY: "SAML", ULVILA_DIRECTORY: "OIDC", SHARED_WIKI: "SAML", MEETING_ROOMS: "OIDC"}
_MOST_PAGES = 8
_PATIENCE = ClientTimeout(total=30)


class WrongTurn(Exception):
    """A login did not go on as it should; the message says where it stood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One login. ``released``: names of the attributes that the service got. ``milliseconds``: from the service's login
    link to its last page. ``reason``: the refusal's fault code. ``wrong``: what was not as it must be; empty when right.
    """

    flow: str
    person: str
    organisation: str
    service: str
    milliseconds: float
    released: tuple[str, ...] = ()
    reason: str = ""
    wrong: str = ""

    def cells(self) -> tuple[str, ...]:
        """flow, person, organisation, service, released, ms, result."""
        verdict = f"refused: {self.reason}" if self.reason else "admitted"
        return (
            self.flow,
            self.person,
            self.organisation,
            self.service,
            ", ".join(self.released),
            f"{self.milliseconds:.0f}",
            f"WRONG: {self.wrong}" if self.wrong else verdict,
        )

    def as_json(self) -> dict[str, object]:
        return {
            "flow": self.flow,
            "person": self.person,
            "organisation": self.organisation,
            "service": self.service,
            "released": list(self.released),
            "ms": round(self.milliseconds, 1),
            "result": "refused" if self.reason else "admitted",
            "reason": self.reason,
            "ok": not self.wrong,
            "wrong": self.wrong,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        return bool(self.rows) and not any(row.wrong for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page as a browser without script sees it."""

    url: str
    status: int
    document: html.HtmlElement

    @property
    def reason(self) -> str:
        """The fault code of a refusal page; "" on every other page."""
        found = self.document.xpath("string(//main/@data-reason)")
        return str(found)

    @property
    def text(self) -> str:
        return str(self.document.text_content())

    def link_with(self, name: str, value: str) -> str | None:
        """The first link whose query says ``name=value``."""
        for link in self._links():
            if parse_qs(urlsplit(link).query).get(name) == [value]:
                return link
        return None

    def link_to(self, last_segment: str) -> str | None:
        """The first link whose path ends with this segment."""
        return next((each for each in self._links() if urlsplit(each).path.endswith(f"/{last_segment}")), None)

    def saml_form(self) -> tuple[str, Mapping[str, str]] | None:
        """Address and fields of the HTTP-POST binding's form, if this is its page."""
        for form in self.document.forms:
            fields = {str(name): str(value) for name, value in form.form_values()}
            if "SAMLResponse" in fields:
                return str(form.action), fields
        return None

    def _links(self) -> list[str]:
        return [str(link) for link in self.document.xpath("//a/@href")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a service must have got of a person: names of its own protocol."""

    id: str
    base: str
    mail: str
    display_name: str
    home_organization: str
    others: frozenset[str] = field(default_factory=frozenset)

    def wrong_with(self, attributes: Mapping[str, list[str]], person: Person) -> str:
        """Names the first attribute that is missing, wrong or too much; "" when all is right. Never a value (P7)."""
        expected = {
            self.mail: [person.mail],
            self.display_name: [person.name],
            self.home_organization: [f"{person.organisation}.fi"],
        }
        for name, values in expected.items():
            if attributes.get(name) != values:
                return f"{name} is missing or not {person.given_name}'s"
        surplus = attributes.keys() - expected.keys() - self.others
        return f"released without being registered: {', '.join(sorted(surplus))}" if surplus else ""


async def check_all(prepared: PreparedDemo) -> CheckResult:
    """Each person at each service, one after another, each in a fresh browser."""
    subjects: set[str] = set()
    rows = [await _check(service, person, subjects) for person in PEOPLE for service in services(prepared)]
    return CheckResult(rows=tuple(rows))


def services(prepared: PreparedDemo) -> tuple[Service, ...]:
    wiki = Service(
        id=SHARED_WIKI,
        base=base_url(prepared.ports.shared_wiki),
        mail="mail",
        display_name="displayName",
        home_organization="schacHomeOrganization",
        others=frozenset({"eduPersonScopedAffiliation"}),
    )
    rooms = Service(
        id=MEETING_ROOMS,
        base=base_url(prepared.ports.meeting_rooms),
        mail="email",
        display_name="name",
        home_organization="schac_home_organization",
        others=frozenset({"email_verified"}),
    )
    return (wiki, rooms)


async def _check(service: Service, person: Person, subjects: set[str]) -> Row:
    """``subjects``: the subject identifiers that were seen so far; this login's is put there too."""
    released: tuple[str, ...] = ()
    reason = ""
    began = time.perf_counter()
    try:
        async with open_browser() as browser:
            page = await browser.log_in(service, person)
            elapsed = time.perf_counter() - began
            reason = page.reason
            if reason:
                wrong = await wrong_with_refusal(browser, page, service, person)
            else:
                received = await browser.received(service)
                released = tuple(sorted(received.attributes))
                wrong = wrong_with_login(received, service, person, subjects)
    except (WrongTurn, ClientError, TimeoutError) as error:
        elapsed = time.perf_counter() - began
        wrong = str(error) or type(error).__name__
    return Row(
        flow=f"{_PROTOCOL[person.directory]} → {_PROTOCOL[service.id]}",
        person=person.name,
        organisation=person.organisation,
        service=service.id,
        milliseconds=elapsed * 1000,
        released=released,
        reason=reason,
        wrong=wrong,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedAtService:
    """What the service says of itself at ``/received.json``."""

    subject: str
    attributes: Mapping[str, list[str]]
    error: tuple[str, ...]


class Browser:
    """Follows redirects, links and the HTTP-POST binding's forms, as a person would."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def log_in(self, service: Service, person: Person) -> Page:
        """The page where the login ends: the service's, or the broker's refusal. Raises: WrongTurn."""
        page = await self.open(f"{service.base}/login")
        for _ in range(_MOST_PAGES):
            if page.reason or page.url.startswith(service.base):
                return page
            page = await self._next(page, person)
        raise WrongTurn(f"going round in circles at {_place(page.url)}")

    async def received(self, service: Service) -> ReceivedAtService:
        async with self._session.get(f"{service.base}/received.json") as response:
            if response.status != 200:
                raise WrongTurn("the service received nothing")
            body = await response.json()
        return ReceivedAtService(subject=body["subject"], attributes=body["attributes"], error=tuple(body["error"]))

    async def open(self, url: str) -> Page:
        async with self._session.get(URL(url, encoded=True)) as response:
            return page_of(str(response.url), response.status, await response.text())

    async def submit(self, form: tuple[str, Mapping[str, str]]) -> Page:
        url, fields = form
        async with self._session.post(url, data=dict(fields)) as response:
            return page_of(str(response.url), response.status, await response.text())

    async def _next(self, page: Page, person: Person) -> Page:
        form = page.saml_form()
        if form is not None:
            return await self.submit(form)
        link = page.link_with("person", person.id) or page.link_with("organisation", person.choose)
        if link is None:
            raise WrongTurn(f"no way on from {_place(page.url)} (HTTP {page.status})")
        return await self.open(link)


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """A fresh browser: no cookies, and it sends addresses as they are written. A signature in the query covers the very
    octets (saml-bindings 3.4.4.1), and aiohttp would write them its own way.
    """
    jar = CookieJar(unsafe=True)
    async with ClientSession(cookie_jar=jar, timeout=_PATIENCE, requote_redirect_url=False) as session:
        yield Browser(session)


def page_of(url: str, status: int, body: str) -> Page:
    if not body.strip():
        raise WrongTurn(f"nothing at {_place(url)} (HTTP {status})")
    # lxml's stubs say less than its documentation does.
    document = cast(html.HtmlElement, html.document_fromstring(body, base_url=url))
    document.make_links_absolute()
    return Page(url=url, status=status, document=document)


def _place(url: str) -> str:
    """Without the query, which may hold a token (P7)."""
    return url.partition("?")[0]


def wrong_with_login(received: ReceivedAtService, service: Service, person: Person, subjects: set[str]) -> str:
    expected = person.refused.get(service.id)
    if received.error:
        return f"the service was told {received.error[-1]}"
    if expected:
        return f"admitted, but {expected} was expected"
    if not received.subject or received.subject in subjects:
        return "the subject identifier is missing, or links to another login (P4)"
    subjects.add(received.subject)
    return service.wrong_with(received.attributes, person)


async def wrong_with_refusal(browser: Browser, page: Page, service: Service, person: Person) -> str:
    expected = person.refused.get(service.id)
    if page.reason != expected:
        return f"refused for {page.reason}, but {expected or 'admission'} was expected"
    if not 400 <= page.status < 500:
        return f"the refusal page has HTTP status {page.status}"
    if not _REFERENCE.search(page.text):
        return "the refusal page has no reference code"
    back = page.link_to("back")
    if back is None:
        return "the refusal page has no way back to the service"
    returned = await browser.open(back)
    form = returned.saml_form()
    if form is not None:
        await browser.submit(form)
    received = await browser.received(service)
    return "" if received.error else "the service was not told of the refusal"
