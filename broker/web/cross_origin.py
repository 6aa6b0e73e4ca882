"""Cross-origin requests: allowed where a client that runs in a browser needs them, and nowhere else (Fetch, 3.2).

OIDC Core 5.3 wants it of userinfo, OAuth 2.0 for Browser-Based Applications of the token endpoint, revocation and what the
provider says of itself. Nothing there looks at a cookie, so that every origin may ask and none gets more than the token or
secret that it brings gives it. Pages, SAML, and the endpoints of clients with a secret are not among them.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_METHODS = {
    "/.well-known/openid-configuration": "GET",
    "/oidc/jwks": "GET",
    "/oidc/token": "POST",
    "/oidc/revoke": "POST",
    "/oidc/userinfo": "GET, POST",
}
_PREFLIGHT_SECONDS = "7200"


def cross_origin() -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        methods = _METHODS.get(request.path)
        if methods is None:
            return await handler(request)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return web.Response(status=204, headers=_preflight(methods))
        response = await handler(request)
        response.headers["Access-Control-Allow-Origin"] = "*"
        # Why a token was refused stands there, and what the next proof must hold (RFC 6750 3, RFC 9449 8.2).
        response.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate, DPoP-Nonce"
        return response

    return middleware


def _preflight(methods: str) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": "Authorization, Content-Type, DPoP",
        "Access-Control-Max-Age": _PREFLIGHT_SECONDS,
    }
