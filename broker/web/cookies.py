"""The three cookies: which browser began a login, which organisation it chose last, which language it wants.

Over https all carry the ``__Host-`` prefix, so that no neighbour under the same domain can plant one. The binding cookie
must come along when a city's page POSTs its answer to us from another site, hence ``SameSite=None``. Development on
loopback has neither https nor other sites; there the names are plain and ``SameSite=Lax`` is enough.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import timedelta

from aiohttp import web

_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_REMEMBERED_FOR = timedelta(days=180)


class Cookies:
    """``secure``: whether browsers reach the broker by https."""

    def __init__(self, *, secure: bool) -> None:
        self._secure = secure
        self._prefix = "__Host-" if secure else ""

    def browser(self, cookies: Mapping[str, str]) -> str | None:
        """The browser's secret, if it has one of ours."""
        value = cookies.get(self._prefix + "broker-browser", "")
        return value if _BROWSER.match(value) else None

    def bind(self, response: web.StreamResponse, browser: str) -> None:
        self._set(response, "broker-browser", browser, samesite="None" if self._secure else "Lax")

    def organisation(self, cookies: Mapping[str, str]) -> str:
        """The organisation that this browser chose last, or ""; the registry decides whether it means anything."""
        return cookies.get(self._prefix + "broker-organisation", "")

    def remember_organisation(self, response: web.StreamResponse, organisation: str) -> None:
        self._set(response, "broker-organisation", organisation, samesite="Lax", lifetime=_REMEMBERED_FOR)

    def forget_organisation(self, response: web.StreamResponse) -> None:
        self._set(response, "broker-organisation", "", samesite="Lax", lifetime=timedelta(0))

    def language(self, cookies: Mapping[str, str]) -> str:
        return cookies.get(self._prefix + "broker-language", "")

    def remember_language(self, response: web.StreamResponse, language: str) -> None:
        self._set(response, "broker-language", language, samesite="Lax", lifetime=_REMEMBERED_FOR)

    def _set(
        self,
        response: web.StreamResponse,
        name: str,
        value: str,
        *,
        samesite: str,
        lifetime: timedelta | None = None,
    ) -> None:
        response.set_cookie(
            self._prefix + name,
            value,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite=samesite,
            max_age=int(lifetime.total_seconds()) if lifetime is not None else None,
        )


def new_browser() -> str:
    """256 bits: a browser's secret, from its first login on."""
    return secrets.token_urlsafe(32)


def fingerprint(browser: str | None) -> str:
    """What a transaction keeps of the browser's secret; no browser's fingerprint when there is none."""
    return hashlib.sha256(browser.encode("ascii")).hexdigest() if browser else ""
