"""Who may ask from another origin: clients that run in a browser, of what has no cookie (Fetch, OIDC Core 5.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from broker.web.cross_origin import cross_origin

OPEN = {
    "/.well-known/openid-configuration": "GET",
    "/oidc/jwks": "GET",
    "/oidc/token": "POST",
    "/oidc/revoke": "POST",
    "/oidc/userinfo": "GET, POST",
}
CLOSED = (
    "/",
    "/oidc/authorize",
    "/oidc/par",
    "/oidc/introspect",
    "/oidc/callback",
    "/saml/idp/sso",
    "/saml/sp/acs",
    "/saml/idp/metadata",
    "/login/x",
    "/metrics",
)
ORIGIN = {"Origin": "https://app.example"}
Client = TestClient[web.Request, web.Application]


async def _answer(request: web.Request) -> web.Response:
    return web.Response(status=int(request.query.get("status", "200")), headers={"WWW-Authenticate": "Bearer"})


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application(middlewares=[cross_origin()])
    app.add_routes([web.route("*", "/{path:.*}", _answer)])
    async with TestClient(TestServer(app)) as opened:
        yield opened


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("status", [200, 400, 401])
async def test_core_5_3_any_origin_may_read_the_answer_refusals_too(client: Client, path: str, status: int) -> None:
    answer = await client.get(f"{path}?status={status}", headers=ORIGIN)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Expose-Headers"] == "WWW-Authenticate, DPoP-Nonce"


@pytest.mark.parametrize(("path", "methods"), OPEN.items())
async def test_fetch_3_2_a_preflight_is_told_what_may_be_sent(client: Client, path: str, methods: str) -> None:
    asked = {**ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    answer = await client.options(path, headers=asked)
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Methods"] == methods
    assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type, DPoP"


@pytest.mark.parametrize("path", OPEN)
async def test_fetch_3_2_5_never_with_credentials(client: Client, path: str) -> None:
    for answer in (await client.get(path, headers=ORIGIN), await client.options(path, headers=ORIGIN)):
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("path", CLOSED)
async def test_nowhere_else(client: Client, path: str) -> None:
    asked = {**ORIGIN, "Access-Control-Request-Method": "POST"}
    for answer in (await client.get(path, headers=ORIGIN), await client.options(path, headers=asked)):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
