"""What a demo service remembers of each browser: the logins that it began, and what it received last.

Ports do not keep cookies apart, so every service has a cookie name of its own.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """``rows``: name and values, as received."""

    title: str
    rows: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What came of a login, as the service saw it.

    ``attributes``: of the person, by the names the protocol gives them. ``error``: the protocol's error codes, outermost
    first; empty when the person was let in. ``message``: the text that came with the error.
    """

    name: str = ""
    subject: str = ""
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    error: tuple[str, ...] = ()
    message: str = ""

    def as_json(self) -> dict[str, object]:
        return {
            "signed_in": not self.error,
            "subject": self.subject,
            "attributes": {name: list(values) for name, values in self.attributes.items()},
            "error": list(self.error),
            "message": self.message,
        }


@dataclass(slots=True)
class Visit:
    """``began``: ids of the requests (AuthnRequest ID or state) that this browser carried away and not yet answered."""

    token: str
    began: dict[str, str] = field(default_factory=dict)
    received: Received | None = None


class Visits:
    """The visits of one service, in memory; the oldest are forgotten."""

    def __init__(self, cookie: str) -> None:
        self._cookie = cookie
        self._visits: OrderedDict[str, Visit] = OrderedDict()

    def of(self, request: web.Request) -> Visit | None:
        """The visit of this browser, if it is known."""
        return self._visits.get(request.cookies.get(self._cookie, ""))

    def begin(self, request: web.Request) -> Visit:
        """The visit of this browser, a new one if need be; ``keep`` must follow with the response."""
        visit = self.of(request)
        if visit is None:
            visit = Visit(token=secrets.token_urlsafe(32))
            self._visits[visit.token] = visit
            if len(self._visits) > _MOST_REMEMBERED:
                self._visits.popitem(last=False)
        return visit

    def keep(self, response: web.Response, visit: Visit) -> None:
        response.set_cookie(self._cookie, visit.token, httponly=True, samesite="Lax")
