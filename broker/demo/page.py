"""The pages of the demo's cities and services: one look, strict headers, English and Finnish, no script needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.typedefs import Handler
from jinja2 import Environment, PackageLoader, StrictUndefined

from broker.demo.texts import TEXTS

LANGUAGES: Final = ("en", "fi")
# A form's answer may be redirected on through the broker to a service: browsers hold every hop to form-action, and all
# of the demo is on this host.
_ANYWHERE_IN_THE_DEMO = "http://127.0.0.1:*"

_NO_FORM = "form-action 'none'"

_environment = Environment(
    loader=PackageLoader("broker.demo"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STATIC = {"demo.css": "text/css", "submit.js": "text/javascript", "mark.svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Whose page it is. ``id`` names its colours. ``kind``: ``demo_city`` or ``demo_service``. ``name``: in en and fi."""

    id: str
    kind: str
    name: Mapping[str, str]


def language_of(request: web.Request) -> str:
    """``?lang=`` if it names one of ours, else what the browser prefers of them, else English."""
    if request.query.get("lang") in LANGUAGES:
        return request.query["lang"]
    for entry in request.headers.get("Accept-Language", "").split(","):
        language = entry.partition(";")[0].strip()[:2].lower()
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]


def render(request: web.Request, party: Party, template: str, **values: object) -> web.Response:
    """A page without forms: the demo uses links, except on the page that ``post_page`` makes."""
    return _response(request, party, template, 200, _NO_FORM, values)


def post_page(request: web.Request, party: Party, *, url: str, fields: Mapping[str, str]) -> web.Response:
    """The HTTP-POST binding's page: a form with a button, submitted by a script where scripts run."""
    policy = f"form-action {_ANYWHERE_IN_THE_DEMO}; script-src 'self'"
    return _response(request, party, "continue.html", 200, policy, {"url": url, "fields": fields})


def message_page(request: web.Request, party: Party, message: str, *, status: int, start: str = "") -> web.Response:
    """A page that says one thing: ``message`` names its texts. ``start``: where the reader may go from here."""
    texts = TEXTS[language_of(request)]
    values = {"title": texts[f"{message}_title"], "lead": texts[f"{message}_lead"], "start": start}
    return _response(request, party, "message.html", status, _NO_FORM, values)


def _response(
    request: web.Request, party: Party, template: str, status: int, policy: str, values: Mapping[str, object]
) -> web.Response:
    language = language_of(request)
    body = _environment.get_template(template).render(
        lang=language,
        t=TEXTS[language],
        party=party.id,
        owner=party.name[language],
        kind=party.kind,
        languages=[(each, TEXTS[each]["language"], _in_language(request, each)) for each in LANGUAGES],
        **values,
    )
    response = web.Response(text=body, content_type="text/html", status=status)
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; {policy}"
    )
    return response


def _in_language(request: web.Request, language: str) -> str:
    query = [(name, value) for name, value in request.query.items() if name != "lang"]
    return f"{request.path}?{urlencode([*query, ('lang', language)])}"


@web.middleware
async def secure_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def demo_application() -> web.Application:
    """An application with the headers and the static files that all four have."""
    app = web.Application(middlewares=[secure_headers])
    app.router.add_get("/static/{name}", _static)
    return app


async def _static(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in _STATIC:
        raise web.HTTPNotFound
    body = (resources.files("broker.demo") / "static" / name).read_bytes()
    headers = {"Cache-Control": "max-age=300"}
    return web.Response(body=body, content_type=_STATIC[name], headers=headers)
