"""Pushed authorization requests to a city (RFC 9126): what we ask goes from server to server, and the browser carries a name
for it, so that nobody on its way reads or changes the request.
"""

from __future__ import annotations

from collections.abc import Mapping

from broker.errors import HomeUnreachable
from broker.fetch import Fetched, Fetcher
from broker.oidc import json_object
from broker.oidc.errors import PushRefused
from broker.oidc.rp import authenticated_request
from broker.oidc.rp.authenticated_request import Proof

_NAME = "pushed authorization request"
_CREATED = 201
_MAX_REQUEST_URI_CHARACTERS = 2048


async def push(url: str, fields: Mapping[str, str], proof: Proof, fetcher: Fetcher) -> str:
    """The request_uri (2.1, 2.2). ``url``: of the city's endpoint. Raises: PushRefused, HomeUnreachable."""
    fetched = await authenticated_request.post(
        url, fields, proof, fetcher, endpoint=_NAME, success=_CREATED, refusal=PushRefused
    )
    return read(fetched)


def read(fetched: Fetched) -> str:
    """2.2. ``expires_in`` is not looked at: the browser goes there at once. Raises: HomeUnreachable."""
    try:
        found = json_object.read(fetched.body).get("request_uri")
    except ValueError as error:
        raise HomeUnreachable(f"{_NAME}: not a JSON object") from error
    if not isinstance(found, str) or not 0 < len(found) <= _MAX_REQUEST_URI_CHARACTERS:
        raise HomeUnreachable(f"{_NAME}: no request_uri")
    if not found.isascii() or not found.isprintable():
        raise HomeUnreachable(f"{_NAME}: no request_uri")
    return found
