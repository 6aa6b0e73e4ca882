"""A person's browser among independent products: follows redirects, posts the forms that carry messages on, keeps cookies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urljoin

import requests
from lxml import html

_MOST_STEPS = 20
_CARRIED = ("SAMLRequest", "SAMLResponse", "SAMLart", "code")


@dataclass(frozen=True, kw_only=True)
class Page:
    """``reason``: of one of the broker's own refusals."""

    url: str
    status: int
    text: str

    @property
    def tree(self) -> html.HtmlElement:
        return html.document_fromstring(self.text)

    @property
    def reason(self) -> str:
        return str(self.tree.xpath("string(//main/@data-reason)"))

    def form(self, xpath: str = "//form") -> html.FormElement:
        form: html.FormElement = self.tree.xpath(xpath)[0]
        return form


@dataclass(kw_only=True)
class Visitor:
    """``stops``: an address that is not followed: the client of a service that is not there. ``trail``: every address that was
    asked. ``carried``: the fields of every form that was posted on."""

    stops: Callable[[str], bool] = lambda _: False
    session: requests.Session = field(default_factory=requests.Session)
    trail: list[str] = field(default_factory=list)
    carried: list[dict[str, str]] = field(default_factory=list)

    def open(self, url: str) -> Page:
        return self._follow("GET", url, {})

    def submit(self, page: Page, **values: str) -> Page:
        """The page's first form with these values."""
        form = page.form()
        fields = {str(name): str(value) for name, value in form.form_values()} | values
        return self._follow(form.method, urljoin(page.url, form.action or page.url), fields)

    def post(self, url: str, fields: dict[str, str]) -> Page:
        return self._follow("POST", url, fields)

    def _follow(self, method: str, url: str, fields: dict[str, str]) -> Page:
        for _ in range(_MOST_STEPS):
            if self.stops(url):
                return Page(url=url, status=0, text="")
            page, location = self._send(method, url, fields)
            if location:
                method, url, fields = "GET", location, {}
                continue
            form = _carrying(page)
            if form is None:
                return page
            fields = {str(name): str(value) for name, value in form.form_values()}
            self.carried.append(fields)
            method, url = "POST", urljoin(page.url, form.action)
        raise AssertionError("no end: " + " > ".join(self.trail))

    def _send(self, method: str, url: str, fields: dict[str, str]) -> tuple[Page, str]:
        self.trail.append(url)
        sent = {"data": fields} if method.upper() == "POST" else {"params": fields}
        answer = self.session.request(
            method, url, headers={"Accept-Language": "en"}, allow_redirects=False, timeout=30, **sent
        )
        location = urljoin(url, answer.headers["Location"]) if answer.is_redirect else ""
        return Page(url=answer.url, status=answer.status_code, text=answer.text), location


def _carrying(page: Page) -> html.FormElement | None:
    """The form that JavaScript would post on at once."""
    if "<form" not in page.text:
        return None
    for form in page.tree.forms:
        if any(name in form.fields for name in _CARRIED):
            return form
    return None
