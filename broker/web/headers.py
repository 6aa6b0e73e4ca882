"""Security headers of pages, and the static files with the headers that let browsers keep them.

Names of static files hold a digest of their content, so that a browser asks for each once and never gets an old one.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import PurePosixPath
from types import MappingProxyType

STATIC_PREFIX = "/static/"

_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_A_DAY = "public, max-age=86400"

_UNUSED_FEATURES = ("camera", "display-capture", "geolocation", "microphone", "midi", "payment", "usb")


def page_headers(*, secure: bool, leaves_by_post: bool = False) -> Mapping[str, str]:
    """The headers of a page. ``secure``: browsers reach us by https. ``leaves_by_post``: the page that POSTs elsewhere.

    Browsers hold every redirect that follows a form to ``form-action``. A service's own next addresses cannot be
    listed, so the page that POSTs to a service allows any https address, and all other pages none but ours. There is
    no Cross-Origin-Opener-Policy: it would cut off a service that opened the login in a window of its own.
    """
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "form-action": _form_action(secure=secure) if leaves_by_post else "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _UNUSED_FEATURES),
        "Cache-Control": "no-store",
        "X-Robots-Tag": "noindex",
    }
    if secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return MappingProxyType(headers)


def _form_action(*, secure: bool) -> str:
    """http is for services on loopback, in development."""
    return "https:" if secure else "https: http:"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """``body`` as it is; ``gzipped``: the same for who accepts that coding. ``headers``: all but Content-Encoding."""

    body: bytes = field(repr=False)
    gzipped: bytes = field(repr=False)
    etag: str
    headers: Mapping[str, str]


@lru_cache(maxsize=1)
def static_files() -> Mapping[str, StaticFile]:
    """By the last segment of their path: ``base.1f0c….css``. And ``favicon.ico``, for who asks without reading a page."""
    files: dict[str, StaticFile] = {}
    for name, body in _sources().items():
        files[_hashed(name, body)] = _static_file(name, body, cache=_FOR_EVER)
    # Partners' pages show the mark for as long as they keep our metadata: its address stays the same.
    for name in ("favicon.ico", "mark.svg"):
        files[name] = _static_file("mark.svg", _sources()["mark.svg"], cache=_FOR_A_DAY)
    return MappingProxyType(files)


@lru_cache(maxsize=1)
def _addresses() -> Mapping[str, str]:
    return {name: STATIC_PREFIX + _hashed(name, body) for name, body in _sources().items()}


def static_address(name: str) -> str:
    """The path of a static file: ``/static/base.1f0c….css`` for ``base.css``. Raises: KeyError."""
    return _addresses()[name]


@lru_cache(maxsize=1)
def _sources() -> Mapping[str, bytes]:
    folder = resources.files("broker.web") / "static"
    found = {each.name: each.read_bytes() for each in folder.iterdir()}
    return {name: body for name, body in sorted(found.items()) if PurePosixPath(name).suffix in _CONTENT_TYPES}


def _static_file(name: str, body: bytes, *, cache: str) -> StaticFile:
    etag = f'"{_digest(body)}"'
    headers = {
        "Content-Type": _CONTENT_TYPES[PurePosixPath(name).suffix],
        "Cache-Control": cache,
        "ETag": etag,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        # An SVG that is opened by itself is a document.
        "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
    }
    gzipped = gzip.compress(body, compresslevel=9, mtime=0)
    return StaticFile(body=body, gzipped=gzipped, etag=etag, headers=MappingProxyType(headers))


def _hashed(name: str, body: bytes) -> str:
    path = PurePosixPath(name)
    return f"{path.stem}.{_digest(body)}{path.suffix}"


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:12]
