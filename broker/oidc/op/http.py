"""What a client sends to the token and userinfo endpoints and what it gets, without any web server's types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from broker.errors import ServiceFault
from broker.oidc import json_object

# RFC 6749 5.1, OIDC Core 3.1.3.3.
NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRequest:
    """``authorization``, ``accept``: those headers, if they are there. ``dpop``: each header of that name. ``certificate``: the
    client's own, by TLS, as DER. ``fields``: of the form in the body, in order, as they were sent."""

    method: str = "POST"
    authorization: str | None = field(default=None, repr=False)
    accept: str | None = None
    dpop: tuple[str, ...] = field(default=(), repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def json_answer(found: object, *, status: int = 200, headers: Mapping[str, str] = NO_STORE) -> HttpAnswer:
    return HttpAnswer(
        status=status, headers={"Content-Type": "application/json", **headers}, body=json_object.write(found)
    )


def with_header(answer: HttpAnswer, name: str, value: str) -> HttpAnswer:
    return replace(answer, headers={**answer.headers, name: value})


def error_answer(fault: ServiceFault, challenge: str | None = None) -> HttpAnswer:
    """RFC 6749 5.2. ``challenge``: for WWW-Authenticate."""
    headers = {**NO_STORE, "WWW-Authenticate": challenge} if challenge else NO_STORE
    error = {"error": fault.oauth_error, "error_description": fault.description}
    return json_answer(error, status=fault.http_status, headers=headers)
