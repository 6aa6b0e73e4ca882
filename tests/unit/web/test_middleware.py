"""What every request passes: an answer for each thing that can go wrong, and no value in a log (P7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import BytesIO

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from lxml import html
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from broker.errors import (
    AuditUnavailable,
    Fault,
    HomeUnreachable,
    LoginUsedOrExpired,
    PageNotFound,
    StateUnavailable,
    UnknownService,
)
from broker.web.cookies import Cookies
from broker.web.inbound import BODY_LIMIT, form_pairs
from broker.web.middleware import Errors, measured
from broker.web.pages import Pages
from broker.web.presenter import Presenter
from tests.unit.web.parties import Clock, Scene, federation_of

SECRET = "a-very-secret-value"
_FORM = "application/x-www-form-urlencoded"
PROGRAMS = ("/oidc/token", "/oidc/userinfo", "/oidc/jwks", "/.well-known/openid-configuration")


@dataclass
class Site:
    """A site whose handlers raise what the test wants. ``answers``: what was seen, page by page."""

    client: TestClient
    scene: Scene
    raised: list[BaseException] = field(default_factory=list)

    async def ask(self, path: str = "/page", method: str = "GET", **more: object) -> Seen:
        headers = {"Accept-Language": "en"} | ({"Content-Type": _FORM} if "data" in more else {})
        async with self.client.request(method, path, headers=headers, **more) as answer:
            return Seen(status=answer.status, headers=dict(answer.headers), text=await answer.text())


@dataclass(frozen=True)
class Seen:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def reason(self) -> str:
        return str(html.document_fromstring(self.text).xpath("string(//main/@data-reason)"))

    @property
    def reference(self) -> str:
        return str(html.document_fromstring(self.text).xpath("string(//output)"))


@pytest.fixture
async def site(scene: Scene) -> AsyncIterator[Site]:
    presenter = Presenter(Pages("Kuntasilta"), federation_of, Cookies(secure=False), Clock(), secure=False)
    app = web.Application(
        middlewares=[measured(()), Errors(scene.journey, presenter).middleware], client_max_size=BODY_LIMIT
    )

    async def handle(request: web.Request) -> web.StreamResponse:
        raise made.raised[0]

    async def read(request: web.Request) -> web.StreamResponse:
        return web.json_response(len(await form_pairs(request)))

    for path in ("/page", *PROGRAMS):
        app.router.add_get(path, handle)
    app.router.add_post("/form", read)
    async with TestClient(TestServer(app)) as client:
        made = Site(client=client, scene=scene)
        yield made


FAULTS: tuple[Fault, ...] = (
    UnknownService("no such client_id"),
    LoginUsedOrExpired("expired"),
    HomeUnreachable("timed out", organisation="pori"),
    StateUnavailable("ConnectionError"),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.code)
async def test_P12_a_fault_is_a_page_with_a_code_that_the_audit_knows(site: Site, fault: Fault) -> None:
    site.raised = [fault]

    seen = await site.ask()

    assert (seen.status, seen.reason) == (fault.http_status, fault.code)
    assert [(each.reference, each.reason) for each in site.scene.audit.events] == [(seen.reference, fault.code)]
    assert seen.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PROGRAMS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.code)
async def test_programs_get_json_and_never_a_page(site: Site, path: str, fault: Fault) -> None:
    site.raised = [fault]

    seen = await site.ask(path)

    assert seen.status == fault.http_status
    assert seen.headers["Content-Type"].startswith("application/json")
    assert seen.text == f'{{"error": "{fault.oauth_error}"}}'
    assert seen.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PROGRAMS)
async def test_programs_get_json_for_a_wrong_method_too(site: Site, path: str) -> None:
    seen = await site.ask(path, "PUT")

    assert (seen.status, seen.text) == (405, '{"error": "invalid_request"}')
    assert seen.headers["Allow"] == "GET, HEAD"


async def test_404_and_405_are_pages_without_a_record(site: Site) -> None:
    missing = await site.ask("/nowhere")
    wrong = await site.ask("/page", "DELETE")
    site.raised = [PageNotFound()]
    raised = await site.ask()

    assert [(each.status, each.reason, each.reference) for each in (missing, wrong, raised)] == [
        (404, "not_found", ""),
        (405, "wrong_method", ""),
        (404, "not_found", ""),
    ]
    assert wrong.headers["Allow"] == "GET, HEAD"
    assert site.scene.audit.events == []


async def test_413_more_than_a_message_needs_is_not_read(site: Site) -> None:
    # As a file: the client warns of raw octets of this size.
    fits = await site.ask("/form", "POST", data=BytesIO(b"a=" + b"x" * (BODY_LIMIT - 2)))
    assert (fits.status, fits.text) == (200, "1")

    seen = await site.ask("/form", "POST", data=BytesIO(b"a=" + b"x" * (BODY_LIMIT - 1)))

    assert (seen.status, seen.reason) == (413, "body_too_large")
    assert seen.reference


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{}", "application/json"),
        (b"a=b", "text/plain"),
        (b"&".join(b"f%d=1" % number for number in range(101)), _FORM),
        (b"a=%ff", _FORM),
    ],
    ids=["json", "text", "too_many_fields", "not_utf8"],
)
async def test_what_is_no_form_is_refused(site: Site, body: bytes, content_type: str) -> None:
    async with site.client.post("/form", data=body, headers={"Content-Type": content_type}) as answer:
        assert answer.status == 400
        assert 'data-reason="malformed_message"' in await answer.text()


async def test_500_what_nobody_foresaw_is_a_page_with_a_code_and_no_word_of_it(site: Site) -> None:
    site.raised = [ValueError(SECRET)]

    with capture_logs() as lines:
        seen = await site.ask(f"/page?token={SECRET}")

    assert (seen.status, seen.reason) == (500, "unexpected")
    assert site.scene.audit.events[0].reference == seen.reference
    assert SECRET not in seen.text
    assert SECRET not in repr([{**line, "exc_info": None} for line in lines])
    assert SECRET not in repr(site.scene.audit.events)
    assert [line["event"] for line in lines] == ["unexpected", "request"]


async def test_P7_a_request_s_line_in_the_log_has_no_query_no_id_and_no_cookie(site: Site) -> None:
    site.raised = [LoginUsedOrExpired()]

    with capture_logs() as lines:
        async with site.client.get(f"/page?code={SECRET}", headers={"Cookie": f"a={SECRET}", "Referer": SECRET}):
            pass

    line = next(each for each in lines if each["event"] == "request")
    assert {name: line[name] for name in ("method", "route", "status", "client")} == {
        "method": "GET",
        "route": "/page",
        "status": 400,
        "client": "127.0.0.1",
    }
    assert SECRET not in repr(lines)


@pytest.mark.parametrize("path", ["/page", "/nowhere/secret-1", "/nowhere/secret-2"])
async def test_each_request_is_measured_by_its_route(site: Site, path: str) -> None:
    site.raised = [LoginUsedOrExpired()]
    labels = {"route": "/page" if path == "/page" else "unknown", "status": "400" if path == "/page" else "404"}
    before = REGISTRY.get_sample_value("broker_request_seconds_count", labels) or 0

    await site.ask(path)

    assert REGISTRY.get_sample_value("broker_request_seconds_count", labels) == before + 1


@pytest.mark.parametrize(
    ("raised", "shown"),
    [
        (UnknownService("x"), AuditUnavailable),
        (ValueError(SECRET), None),
        (StateUnavailable("x"), StateUnavailable),
    ],
    ids=["a_stranger", "unforeseen", "a_part_that_is_down"],
)
async def test_P6_P10_when_the_audit_is_down_the_page_says_what_is_down_and_has_no_code(
    site: Site, raised: Exception, shown: type[Fault] | None
) -> None:
    site.raised = [raised]
    site.scene.audit.down = True

    with capture_logs() as lines:
        seen = await site.ask()

    assert (seen.status, seen.reason) == ((shown.http_status, shown.code) if shown else (500, "unexpected"))
    assert seen.reference == ""
    # The one place where it is still known.
    assert next(line for line in lines if line["event"] == "audit.not_written")["reason"] == "audit_unavailable"
    assert SECRET not in repr([{**line, "exc_info": None} for line in lines])


async def test_what_a_handler_answers_by_itself_is_left_alone(site: Site) -> None:
    site.raised = [web.HTTPSeeOther("/elsewhere")]

    async with site.client.get("/page", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/elsewhere")
