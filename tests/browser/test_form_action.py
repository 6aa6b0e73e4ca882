"""CSP's form-action and redirects. Chromium holds every redirect that follows a form to it, so the page that posts to a
service must not name the service alone: many an ACS sends the person on to another origin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from playwright.sync_api import Route

from broker.demo import saml_peer
from broker.demo.check import Service
from broker.demo.page import demo_application
from broker.demo.people import PEOPLE, Person
from broker.demo.saml_service import SamlService
from broker.demo.world import base_url
from tests.browser.servers import Demo, free_ports
from tests.browser.visitor import Visitor

AINO = next(person for person in PEOPLE if person.id == "aino-korhonen")
MIKAEL = next(person for person in PEOPLE if person.id == "mikael-lindqvist")
SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without-scripts"])

ARRIVED = '<!doctype html><title>Arrived</title><link rel="icon" href="data:,"><main>Arrived</main>'


@pytest.fixture(scope="module")
def landing(demo: Demo) -> str:
    """Where the moved service sends its people: a third origin."""

    async def arrived(request: web.Request) -> web.Response:
        return web.Response(text=ARRIVED, content_type="text/html")

    app = demo_application()
    app.router.add_get("/arrived", arrived)
    return demo.servers.serve(app, *free_ports(1))


@pytest.fixture(scope="module")
def wiki(demo: Demo, landing: str) -> Service:
    """The shared wiki at another address, whose ACS answers 303 to the third origin."""

    @web.middleware
    async def moved_on(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if request.method == "POST":
            response.headers["Location"] = f"{landing}/arrived"
        return response

    (port,) = free_ports(1)
    prepared = replace(demo.prepared, ports=replace(demo.prepared.ports, shared_wiki=port))
    app = SamlService(prepared, demo.broker).application()
    app.middlewares.append(moved_on)
    metadata = saml_peer.service_metadata(base_url(port), prepared.shared_wiki)
    (demo.prepared.documents / "services" / "shared-wiki.xml").write_bytes(metadata)
    demo.apply_all()
    return replace(demo.wiki, base=demo.servers.serve(app, port))


def log_in(visitor: Visitor, service: Service, person: Person) -> None:
    visitor.begin(service)
    visitor.choose(person.choose)
    visitor.be(person)
    visitor.press_on()


@SCRIPTS
def test_a_service_whose_acs_redirects_to_another_origin_gets_its_person(
    visitor_with: Callable[..., Visitor], wiki: Service, landing: str, scripts: bool
) -> None:
    visitor = visitor_with(scripts=scripts)
    log_in(visitor, wiki, AINO)
    visitor.page.wait_for_url(f"{landing}/arrived")
    visitor.open(f"{wiki.base}/received")
    assert visitor.received()[wiki.mail] == AINO.mail
    assert visitor.complaints == []


@SCRIPTS
def test_the_same_service_is_told_of_a_refusal(
    visitor_with: Callable[..., Visitor], wiki: Service, landing: str, scripts: bool
) -> None:
    visitor = visitor_with(scripts=scripts)
    log_in(visitor, wiki, MIKAEL)
    visitor.page.locator("main[data-reason]").wait_for()
    visitor.page.locator('a[href$="/back"]').click()
    visitor.press_on()
    visitor.page.wait_for_url(f"{landing}/arrived")
    visitor.open(f"{wiki.base}/received")
    assert visitor.page.locator(".refused code").count()
    assert visitor.complaints == []


def test_with_the_service_alone_in_form_action_nobody_would_arrive(visitor: Visitor, demo: Demo, wiki: Service) -> None:
    """The trap itself: should this fail, browsers have become milder, and the policy may become stricter."""
    visitor.page.route(f"{demo.broker}/saml/sp/acs", lambda route: _narrowed(route, wiki))
    with visitor.page.expect_console_message(lambda message: "form-action" in message.text):
        log_in(visitor, wiki, AINO)
    assert visitor.origin == demo.broker


def _narrowed(route: Route, service: Service) -> None:
    answer = route.fetch()
    policy = answer.headers["content-security-policy"]
    narrow = policy.replace("form-action https: http:", f"form-action 'self' {service.base}")
    assert narrow != policy
    route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": narrow})


@pytest.mark.parametrize(("organisation", "city"), [("pori", "pori"), ("ulvila", "ulvila")])
def test_the_choice_is_a_link_and_so_leads_to_another_origin_from_a_page_that_lets_no_form_leave(
    visitor: Visitor, demo: Demo, organisation: str, city: str
) -> None:
    visitor.begin(demo.rooms)
    assert "form-action 'self';" in visitor.document.headers["content-security-policy"]
    visitor.choose(organisation)
    assert visitor.origin == getattr(demo, city)
    assert visitor.complaints == []


def test_every_form_of_the_choice_stays_with_the_broker(visitor: Visitor, demo: Demo) -> None:
    visitor.begin(demo.rooms)
    actions = visitor.page.locator("form").evaluate_all("(all) => all.map((each) => new URL(each.action).origin)")
    assert set(actions) == {demo.broker}
