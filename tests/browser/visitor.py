"""A person at a browser: one page in a context of its own, and everything that the browser complained of.

Pages are told apart by addresses, roles and ``data-`` attributes, never by words: they hold in every language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Response, Route

from broker.demo.check import Service
from broker.demo.people import Person
from tests.browser.servers import Demo

REFERENCE = re.compile(r"[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}")
SCREENSHOTS = Path(__file__).parent / "screenshots"
FORWARDING = re.compile(r"/static/forward\.[0-9a-f]+\.js$")


class Visitor:
    """``scripts``: whether the browser runs them. ``complaints``: errors and warnings of the console, and of scripts."""

    def __init__(self, context: BrowserContext, demo: Demo, *, scripts: bool = True) -> None:
        self.demo = demo
        self.page = context.new_page()
        self.complaints: list[str] = []
        self._scripts = scripts
        self._documents: list[Response] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("response", self._note)

    # --- where we are ----------------------------------------------------------------------------------------------------

    @property
    def document(self) -> Response:
        """The answer that the page on view came with."""
        return self._documents[-1]

    @property
    def origin(self) -> str:
        address = urlsplit(self.page.url)
        return f"{address.scheme}://{address.netloc}"

    @property
    def reason(self) -> str | None:
        """The fault code of a refusal page; None on every other page."""
        return self.page.locator("main").get_attribute("data-reason")

    @property
    def reference(self) -> str:
        return self.page.locator(".ref").inner_text()

    @property
    def login(self) -> str:
        """The address of the login whose page this is."""
        action = self.page.locator("form[data-mail]").get_attribute("action")
        return f"{self.demo.broker}{action}"

    @property
    def rows(self) -> Locator:
        """The visible rows of the whole list of organisations."""
        return self.page.locator("#orgs > li:visible a.row")

    def organisations(self) -> list[str]:
        """Their ids, in the order of the list."""
        return [str(row.get_attribute("href")).partition("organisation=")[2] for row in self.rows.all()]

    def received(self) -> Mapping[str, str]:
        """What the service's own page shows, by the names of its protocol."""
        rows = self.page.locator("main table tbody tr").all()
        return {row.locator("th").inner_text(): row.locator("td").inner_text() for row in rows}

    # --- what one does ---------------------------------------------------------------------------------------------------

    def open(self, url: str) -> None:
        self.page.goto(url)

    def begin(self, service: Service, organisation: str = "") -> None:
        """The service's login link. ``organisation``: named beforehand by the service."""
        self.open(f"{service.base}/login{f'?organisation={organisation}' if organisation else ''}")

    def choose(self, organisation: str) -> None:
        self.page.locator(f'#orgs a.row[href$="organisation={organisation}"]').click()

    def be(self, person: Person) -> None:
        """Chooses the person at the city. Where no script runs, the city's page that posts is left by its button."""
        self.page.locator(f'a[href*="person={person.id}"]').click()
        self.press_on()

    def log_in(self, service: Service, person: Person) -> None:
        """From the service's login link to wherever it ends: at the service, or on a refusal page."""
        self.begin(service)
        self.choose(person.choose)
        self.be(person)
        self.arrive(service)

    def arrive(self, service: Service) -> None:
        """At the service, or on a refusal page."""
        self.press_on()
        self.page.locator(f"main[data-reason], main[data-party={service.id}]").wait_for()

    def go_back(self, service: Service) -> None:
        """Leaves a refusal page by the link that tells the service."""
        self.page.locator('a[href$="/back"]').click()
        self.press_on()
        self.page.wait_for_url(f"{service.base}/received")

    def stay_on_the_page_that_posts(self) -> None:
        """The broker's page that posts is left by its button alone, as if its script had not run."""
        self.page.context.route(FORWARDING, _nothing)

    def press_on(self) -> None:
        """Where scripts run, pages that post do so themselves."""
        button = self.page.locator("form[method=post][action^=http] button")
        if not self._scripts and button.count():
            button.click()

    # --- what the browser says -------------------------------------------------------------------------------------------

    def _hear(self, message: ConsoleMessage) -> None:
        # A refusal has its HTTP status, which Chromium reports of any page.
        of_the_page = message.location["url"] == self.page.url and message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not of_the_page:
            self.complaints.append(message.text)

    def _note(self, response: Response) -> None:
        if response.request.is_navigation_request() and not 300 <= response.status < 400:
            self._documents.append(response)


def _nothing(route: Route) -> None:
    route.fulfill(body="", content_type="text/javascript")
