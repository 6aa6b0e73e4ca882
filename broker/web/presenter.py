"""Outcomes of the dispatcher as HTTP: which page or redirect, in which language, with which headers.

Reads of the request only what a page depends on: the language, what was typed into the search fields, the remembered
organisation. Decides nothing about a login.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from broker.errors import Fault
from broker.federation.model import Federation, Organisation, OrganisationId, Service, ServiceId
from broker.login import decide
from broker.login.edges import FormPost, Redirect
from broker.login.ports import Clock
from broker.login.transaction import LoginTransaction
from broker.web.cookies import Cookies
from broker.web.headers import page_headers
from broker.web.i18n import choose_language
from broker.web.journey import Deliver, Outcome, ShowChoice, ShowRefusal
from broker.web.pages import Pages
from broker.web.views import (
    ChoosePage,
    DeviceCodePage,
    DeviceConfirmPage,
    DeviceEndPage,
    ForwardPage,
    Monograms,
    OrganisationChoice,
    RefusedPage,
    StartPage,
    monograms,
)

_SEARCH_LIMIT = 256
"""Characters of a search; the longest mail address has 254."""


class Presenter:
    """``secure``: browsers reach the broker by https."""

    def __init__(
        self, pages: Pages, federation: Callable[[], Federation], cookies: Cookies, clock: Clock, *, secure: bool
    ) -> None:
        self._pages = pages
        self._federation = federation
        self._cookies = cookies
        self._clock = clock
        self._headers = page_headers(secure=secure)
        self._forward_headers = page_headers(secure=secure, leaves_by_post=True)
        self._monograms: tuple[Federation, Monograms] | None = None

    def present(self, request: web.Request, outcome: Outcome) -> web.Response:
        """Raises: UnknownService, when the service was removed since the step was decided."""
        match outcome:
            case ShowChoice():
                return self._choose(request, outcome)
            case ShowRefusal():
                return self.refusal(request, outcome)
            case Deliver():
                return self._deliver(request, outcome)

    def refusal(self, request: web.Request, shown: ShowRefusal) -> web.Response:
        transaction = shown.transaction
        language = self._language(request, transaction)
        page = self._pages.refused(self._refused_page(shown), language)
        return self._page(request, page, language, status=shown.fault.http_status)

    def start(self, request: web.Request) -> web.Response:
        language = self._language(request, None)
        return self._page(request, self._pages.start(StartPage(), language), language)

    def device_code(self, request: web.Request, view: DeviceCodePage) -> web.Response:
        language = self._language(request, None)
        return self._page(request, self._pages.device_code(view, language), language)

    def device_confirm(self, request: web.Request, view: DeviceConfirmPage) -> web.Response:
        language = self._language(request, None)
        return self._page(request, self._pages.device_confirm(view, language), language)

    def device_end(self, request: web.Request, view: DeviceEndPage) -> web.Response:
        language = self._language(request, None)
        return self._page(request, self._pages.device_end(view, language), language)

    def _choose(self, request: web.Request, shown: ShowChoice) -> web.Response:
        federation = self._federation()
        transaction = shown.transaction
        service = decide.service_of(transaction.request, federation)
        here = _address(transaction)
        choices = {
            each: OrganisationChoice(
                organisation=federation.organisations[each], href=f"{here}/choose?organisation={each}"
            )
            for each in shown.step.organisations
            # A newer revision may have come into use since the step was decided.
            if each in federation.organisations
        }
        view = ChoosePage(
            service=service,
            owner=federation.organisations.get(service.owner),
            choices=tuple(choices.values()),
            here=here,
            remembered=choices.get(OrganisationId(self._cookies.organisation(request.cookies))),
            hint_ignored=shown.step.hint_ignored,
            search=_search(request),
            monograms=self._monograms_of(federation),
        )
        language = self._language(request, transaction)
        return self._page(request, self._pages.choose(view, language), language)

    def _deliver(self, request: web.Request, outcome: Deliver) -> web.Response:
        match outcome.delivery:
            case Redirect(url=url):
                return see_other(url)
            case FormPost() as post:
                return self._forward(request, outcome, post)

    def _forward(self, request: web.Request, outcome: Deliver, post: FormPost) -> web.Response:
        federation = self._federation()
        transaction = outcome.transaction
        view = ForwardPage(
            forwarding=outcome.forwarding,
            action=post.url,
            fields=post.fields,
            service=decide.service_of(transaction.request, federation),
            organisation=_organisation(federation, transaction.organisation),
            monograms=self._monograms_of(federation),
        )
        language = self._language(request, transaction)
        response = self._page(request, self._pages.forward(view, language), language)
        response.headers.update(self._forward_headers)
        return response

    def _refused_page(self, shown: ShowRefusal) -> RefusedPage:
        federation = self._federation()
        fault, transaction = shown.fault, shown.transaction
        service = _service(federation, fault, transaction)
        home = fault.context.get("organisation") or (transaction.organisation if transaction else None)
        return RefusedPage(
            code=fault.code,
            message_key=fault.message_key,
            context=fault.context,
            reference=shown.reference,
            at=self._clock(),
            organisation=_organisation(federation, home),
            service=service,
            owner=federation.organisations.get(service.owner) if service else None,
            # A login that was refused before anybody was asked would be refused again whatever one chose.
            again=f"{_address(transaction)}/again" if transaction and transaction.idp else None,
            back=f"{_address(transaction)}/back" if transaction else None,
            here=_address(transaction) if transaction else None,
            monograms=self._monograms_of(federation),
        )

    def _page(self, request: web.Request, page: str, language: str, *, status: int = 200) -> web.Response:
        response = web.Response(status=status, text=page, content_type="text/html", headers=self._headers)
        response.headers["Content-Language"] = language
        if request.query.get("lang") == language:
            self._cookies.remember_language(response, language)
        return response

    def _language(self, request: web.Request, transaction: LoginTransaction | None) -> str:
        return choose_language(
            query=request.query.get("lang", ""),
            cookie=self._cookies.language(request.cookies),
            ui_locales=transaction.request.ui_locales if transaction else (),
            accept_language=request.headers.get("Accept-Language", ""),
        )

    def _monograms_of(self, federation: Federation) -> Monograms:
        """Made once for each revision."""
        if self._monograms is None or self._monograms[0] is not federation:
            self._monograms = federation, monograms(federation.organisations.values())
        return self._monograms[1]


def see_other(url: str) -> web.Response:
    """303 (RFC 9110 15.4.4) to exactly this address: what was signed or registered is not written anew."""
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return web.Response(status=303, headers=headers)


def _address(transaction: LoginTransaction) -> str:
    return f"/login/{transaction.id}"


def _search(request: web.Request) -> str:
    return (request.query.get("q") or request.query.get("mail") or "").strip()[:_SEARCH_LIMIT]


def _organisation(federation: Federation, id: str | None) -> Organisation | None:
    return federation.organisations.get(OrganisationId(id)) if id else None


def _service(federation: Federation, fault: Fault, transaction: LoginTransaction | None) -> Service | None:
    """None also when the service was removed while the login was on its way."""
    id = transaction.request.service if transaction else fault.context.get("service", "")
    return federation.services.get(ServiceId(id))
