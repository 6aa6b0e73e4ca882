"""The addresses that are no login: static files, liveness, readiness, metrics."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from broker.errors import StateUnavailable
from broker.settings import Settings
from broker.web import health as health_module
from broker.web.cookies import Cookies
from broker.web.headers import static_address, static_files
from broker.web.health import Health
from broker.web.middleware import Errors, measured
from broker.web.operations import Operations
from broker.web.pages import Pages
from broker.web.presenter import Presenter
from broker.web.server import listening
from tests.bench.processes import free_port
from tests.unit.web.parties import Clock, Scene, federation_of

SettingsFor = Callable[..., Settings]

BASE_CSS = static_address("base.css")


def application(health: Health, *, metrics_here: bool = True) -> web.Application:
    presenter = Presenter(Pages("Kuntasilta"), federation_of, Cookies(secure=False), Clock(), secure=False)
    errors = Errors(Scene().journey, presenter)
    app = web.Application(middlewares=[measured(()), errors.middleware])
    app.add_routes(Operations(health, presenter).routes(metrics_here=metrics_here))
    return app


@pytest.fixture
def health() -> Health:
    return Health(ready=True)


@pytest.fixture
def settings_for() -> SettingsFor:
    """Settings of a server on a free port."""

    def make(**changes: object) -> Settings:
        port = free_port()
        return Settings(**{"base_url": f"http://127.0.0.1:{port}", "listen": f"127.0.0.1:{port}", **changes})

    return make


@pytest.fixture
async def client(health: Health) -> AsyncIterator[TestClient]:
    # What a browser without compression asks; the client would add one of its own.
    async with TestClient(TestServer(application(health)), skip_auto_headers=["Accept-Encoding"]) as client:
        yield client


# --- static files -----------------------------------------------------------------------------------------------------


async def test_a_file_is_kept_for_ever(client: TestClient) -> None:
    async with client.get(BASE_CSS) as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
        assert "Content-Encoding" not in answer.headers
        assert "Set-Cookie" not in answer.headers
        assert await answer.read() == static_files()[BASE_CSS.removeprefix("/static/")].body


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8", True),
        ("GZIP", True),
        ("gzip;q=0.001", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("br", False),
        ("", False),
        ("notgzip", False),
    ],
)
async def test_rfc9110_12_5_3_compressed_for_who_accepts_it(
    client: TestClient, accepted: str, compressed: bool
) -> None:
    async with client.get(BASE_CSS, headers={"Accept-Encoding": accepted}, auto_decompress=False) as answer:
        body = await answer.read()
        assert (answer.headers.get("Content-Encoding") == "gzip") is compressed
        assert answer.headers["Vary"] == "Accept-Encoding"
    assert (gzip.decompress(body) if compressed else body) == static_files()[BASE_CSS.removeprefix("/static/")].body


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}'])
async def test_rfc9110_13_1_2_who_has_the_file_gets_304_without_a_body(client: TestClient, form: str) -> None:
    async with client.get(BASE_CSS) as first:
        etag = first.headers["ETag"]
    async with client.get(BASE_CSS, headers={"If-None-Match": form.format(etag)}) as answer:
        assert answer.status == 304
        assert answer.headers["ETag"] == etag
        assert await answer.read() == b""


async def test_who_has_an_older_file_gets_the_new_one(client: TestClient) -> None:
    async with client.get(BASE_CSS, headers={"If-None-Match": '"000000000000"'}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("name", ["base.css", "base.000000000000.css", "operations.py", "x"])
async def test_what_is_not_there_is_a_page_that_says_so(client: TestClient, name: str) -> None:
    async with client.get(f"/static/{name}") as answer:
        assert answer.status == 404
        assert answer.headers["Cache-Control"] == "no-store"


async def test_the_favicon_is_the_mark(client: TestClient) -> None:
    async with client.get("/favicon.ico") as answer:
        assert (answer.status, answer.content_type) == (200, "image/svg+xml")


async def test_the_start_page(client: TestClient) -> None:
    async with client.get("/", headers={"Accept-Language": "en"}) as answer:
        assert answer.status == 200
        assert "<h1>" in await answer.text()


# --- health -----------------------------------------------------------------------------------------------------------


async def well() -> None:
    """A part that answers."""


async def ill() -> None:
    raise StateUnavailable("redis://user:hunter2@10.0.0.5 refused")


async def hanging() -> None:
    await asyncio.sleep(60)


async def test_alive_whatever_else_is_down(client: TestClient, health: Health) -> None:
    health.checks = {"state": ill}
    health.ready = False
    async with client.get("/healthz") as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_ready_when_every_part_is_well(client: TestClient, health: Health) -> None:
    health.checks = {"database": well, "state": well}
    async with client.get("/readyz") as answer:
        assert answer.status == 200
        assert await answer.json() == {"database": "ok", "state": "ok", "worker": "ok"}
        assert answer.headers["Cache-Control"] == "no-store"


async def test_P10_not_ready_when_a_part_is_down_and_P7_without_its_address(client: TestClient, health: Health) -> None:
    health.checks = {"database": well, "state": ill}
    async with client.get("/readyz") as answer:
        assert answer.status == 503
        assert await answer.json() == {"database": "ok", "state": "StateUnavailable", "worker": "ok"}


async def test_not_ready_when_a_part_hangs(client: TestClient, health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "_CHECK_SECONDS", 0.05)
    health.checks = {"database": hanging, "state": hanging}
    async with asyncio.timeout(5), client.get("/readyz") as answer:
        assert answer.status == 503
        assert (await answer.json())["database"] == "TimeoutError"


async def test_not_ready_while_stopping(client: TestClient, health: Health) -> None:
    health.ready = False
    async with client.get("/readyz") as answer:
        assert (answer.status, (await answer.json())["worker"]) == (503, "stopping")


# --- metrics ----------------------------------------------------------------------------------------------------------

_LABEL = re.compile(r'(\w+)="([^"]*)"')


async def test_metrics_have_labels_of_a_bounded_set_whatever_is_asked(client: TestClient) -> None:
    for path in ("/", "/static/x", "/healthz", "/secret-path-1", "/secret-path-2?code=secret", "/login/secret-id"):
        await client.get(path)
    await client.request("PROPFIND", "/")

    async with client.get("/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = await answer.text()

    requests = [line for line in text.splitlines() if line.startswith("broker_request_seconds_count")]
    routes = {dict(_LABEL.findall(line))["route"] for line in requests}
    assert {"/", "/static/{name}", "/healthz", "unknown"} <= routes
    assert all(route == "unknown" or route.startswith("/") for route in routes)
    assert "secret" not in text
    for name, labels in {
        "broker_logins_total": {"outcome", "reason", "upstream", "downstream"},
        "broker_request_seconds_count": {"route", "status"},
        "broker_federation_revision": set(),
    }.items():
        lines = [line for line in text.splitlines() if re.match(rf"{name}[ {{]", line)]
        assert all({label for label, _ in _LABEL.findall(line)} == labels for line in lines)


async def test_metrics_may_have_an_address_of_their_own(settings_for: SettingsFor) -> None:
    settings = settings_for(metrics_listen=f"127.0.0.1:{free_port()}")
    health = Health()
    app = application(health, metrics_here=False)
    async with listening(app, settings, health), ClientSession() as session:
        assert health.ready
        async with session.get(f"http://{settings.metrics_listen}/metrics") as answer:
            assert answer.status == 200
        async with session.get(f"http://{settings.listen}/metrics") as answer:
            assert answer.status == 404
    assert not health.ready


async def test_a_request_under_way_is_finished_when_the_server_stops(settings_for: SettingsFor) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        begun.set()
        await go_on.wait()
        return web.Response(text="finished")

    app = web.Application()
    app.router.add_get("/slow", slow)
    settings = settings_for(drain_seconds=10)
    async with ClientSession() as session:
        async with listening(app, settings, Health()):
            asking = asyncio.ensure_future(session.get(f"{settings.base_url}/slow"))
            await begun.wait()
            asyncio.get_running_loop().call_later(0.1, go_on.set)
        async with await asking as answer:
            assert await answer.text() == "finished"
