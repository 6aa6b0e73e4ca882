"""The addresses that are no login: start page, static files, liveness, readiness, metrics."""

from __future__ import annotations

from aiohttp import web

from broker.errors import PageNotFound
from broker.web.headers import StaticFile, static_files
from broker.web.health import Health, metrics
from broker.web.presenter import Presenter


class Operations:
    def __init__(self, health: Health, presenter: Presenter) -> None:
        self._health = health
        self._presenter = presenter
        self._static = static_files()

    def routes(self, *, metrics_here: bool) -> list[web.RouteDef]:
        """``metrics_here``: False when /metrics has an address of its own."""
        routes = [
            web.get("/", self.start),
            web.get("/favicon.ico", self.favicon),
            web.get("/static/{name}", self.static),
            web.get("/healthz", self.healthz),
            web.get("/readyz", self.readyz),
        ]
        return [*routes, web.get("/metrics", metrics)] if metrics_here else routes

    async def start(self, request: web.Request) -> web.StreamResponse:
        return self._presenter.start(request)

    async def static(self, request: web.Request) -> web.StreamResponse:
        file = self._static.get(request.match_info["name"])
        if file is None:
            raise PageNotFound("no such static file")
        return _static_answer(request, file)

    async def favicon(self, request: web.Request) -> web.StreamResponse:
        return _static_answer(request, self._static["favicon.ico"])

    async def healthz(self, request: web.Request) -> web.StreamResponse:
        """The process answers; nothing else is asked."""
        return web.Response(text="ok\n")

    async def readyz(self, request: web.Request) -> web.StreamResponse:
        """200 when a login can be done here now, else 503; each part's state as JSON."""
        findings = await self._health.findings()
        ready = all(state == "ok" for state in findings.values())
        return web.json_response(findings, status=200 if ready else 503, headers={"Cache-Control": "no-store"})


def _static_answer(request: web.Request, file: StaticFile) -> web.Response:
    """RFC 9110 13.1.2: 304 for who has the file already; compressed for who says that it accepts gzip."""
    if file.etag in {f'"{each.value}"' for each in request.if_none_match or ()}:
        return web.Response(status=304, headers=file.headers)
    if _accepts_gzip(request.headers.get("Accept-Encoding", "")):
        return web.Response(body=file.gzipped, headers={**file.headers, "Content-Encoding": "gzip"})
    return web.Response(body=file.body, headers=file.headers)


def _accepts_gzip(header: str) -> bool:
    """RFC 9110 12.5.3; a weight of 0 refuses."""
    for entry in header.lower().split(","):
        coding, _, weight = entry.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return weight.strip("0.") != "" or not weight
    return False
