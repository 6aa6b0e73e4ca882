"""What every request passes: one correlation id, one measure, and an answer for each thing that can go wrong."""

from __future__ import annotations

import time
from ipaddress import IPv4Network, IPv6Network

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from broker.errors import AuditUnavailable, BrokerFault, Fault, PageNotFound, Unexpected
from broker.web.health import REQUEST_SECONDS
from broker.web.inbound import BodyTooLarge, client_address
from broker.web.journey import Journey, ShowRefusal
from broker.web.presenter import Presenter

log = structlog.get_logger(__name__)

_QUIET = ("/healthz", "/readyz", "/metrics", "/static/{name}")
# These are read by programs: an error is JSON there, never a page.
_FOR_PROGRAMS = (
    "/oidc/token",
    "/oidc/par",
    "/oidc/revoke",
    "/oidc/introspect",
    "/oidc/userinfo",
    "/oidc/device_authorization",
    "/oidc/register",
    "/oidc/backchannel_logout",
    "/oidc/jwks",
    "/.well-known/openid-configuration",
    "/saml/idp/artifact",
)
_REGISTRATIONS = "/oidc/register/"


class WrongMethod(PageNotFound):
    """The address is there, for another method."""

    code = "wrong_method"
    http_status = 405
    oauth_error = "invalid_request"


def measured(proxies: tuple[IPv4Network | IPv6Network, ...]) -> Middleware:
    """Times each request by route, and writes a line for it: never its query, which holds messages (P7)."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        structlog.contextvars.clear_contextvars()
        began = time.perf_counter()
        response = await handler(request)
        seconds = time.perf_counter() - began
        route = _route(request)
        REQUEST_SECONDS.labels(route, str(response.status)).observe(seconds)
        if route not in _QUIET:
            log.debug(
                "request",
                method=request.method,
                route=route,
                status=response.status,
                ms=round(seconds * 1000, 1),
                client=client_address(request, proxies),
            )
        return response

    return middleware


class Errors:
    """Turns whatever a handler raises into the answer that fits who asked."""

    def __init__(self, journey: Journey, presenter: Presenter) -> None:
        self._journey = journey
        self._presenter = presenter

    @property
    def middleware(self) -> Middleware:
        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                return await handler(request)
            except Fault as fault:
                return await self._refused(request, fault)
            except web.HTTPNotFound:
                return await self._refused(request, PageNotFound("no such address"))
            except web.HTTPMethodNotAllowed as error:
                response = await self._refused(request, WrongMethod("another method"))
                response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
                return response
            except web.HTTPRequestEntityTooLarge:
                return await self._refused(request, BodyTooLarge("the body"))
            except web.HTTPException:
                raise
            except Exception:
                log.exception("unexpected")
                return await self._refused(request, Unexpected())

        return middleware

    async def _refused(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        # By its path: a request with another method has no route.
        if request.path in _FOR_PROGRAMS or request.path.startswith(_REGISTRATIONS):
            log.warning("request.refused", route=request.path, reason=fault.code)
            return web.json_response(
                {"error": fault.oauth_error}, status=fault.http_status, headers={"Cache-Control": "no-store"}
            )
        if isinstance(fault, PageNotFound):
            return self._presenter.refusal(request, ShowRefusal(fault=fault, reference=""))
        return self._presenter.refusal(request, await self._recorded(fault))

    async def _recorded(self, fault: Fault) -> ShowRefusal:
        """A refusal is in the audit before its page leaves; when the audit itself is down, the page says so."""
        try:
            return await self._journey.refuse_stranger(fault)
        except BrokerFault as other:
            log.error("audit.not_written", reason=other.code, refused=fault.code, detail=fault.detail)
            return ShowRefusal(fault=fault if isinstance(fault, BrokerFault) else AuditUnavailable(), reference="")


def _route(request: web.Request) -> str:
    """The route's pattern: a bounded set of labels, without ids."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"
