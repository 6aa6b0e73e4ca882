"""Pushed authorization requests: the client sends its parameters from server to server and gets a reference (RFC 9126)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta

from broker.federation.model import Federation
from broker.login.ports import GrantStore
from broker.oidc.errors import InvalidRequest, InvalidRequestUri
from broker.oidc.op.client_endpoint import Asked
from broker.oidc.op.http import HttpAnswer, json_answer
from broker.oidc.op.request_object import Pairs

PREFIX = "urn:ietf:params:oauth:request_uri:"
LIFETIME = timedelta(seconds=90)
"""How long a person may take to get from the service to us."""
_KIND = "pushed_request"
# How the client proves itself is no part of what it asks.
_OF_THE_CLIENT = ("client_secret", "client_assertion", "client_assertion_type")

Check = Callable[[Pairs, Federation], Awaitable[Pairs]]
"""The parameters after every check of an authorization request, a request object resolved. Raises: ServiceFault,
RefusedRequest."""


class PushedRequests:
    def __init__(self, grants: GrantStore, check: Check) -> None:
        self._grants = grants
        self._check = check

    async def serve(self, asked: Asked) -> HttpAnswer:
        """RFC 9126 2.1 to 2.3. Raises: ServiceFault, RefusedRequest, StateUnavailable."""
        if asked.form.get("request_uri") is not None:
            raise InvalidRequest("request_uri is not pushed", service=asked.service.id)
        client_id = asked.client.client_id
        pairs = tuple((name, value) for name, value in asked.request.fields if name not in _OF_THE_CLIENT)
        if asked.form.get("client_id") is None:
            pairs = (*pairs, ("client_id", client_id))
        checked = bound(await self._check(pairs, asked.federation), asked.sender.key)
        reference = secrets.token_urlsafe(32)
        record = json.dumps({"client_id": client_id, "pairs": checked}).encode("utf-8")
        await self._grants.put(_KIND, reference, record, LIFETIME)
        answer = {"request_uri": PREFIX + reference, "expires_in": int(LIFETIME.total_seconds())}
        return json_answer(answer, status=201)

    async def parameters(self, request_uri: str, client_id: str | None) -> Pairs:
        """What was pushed. It may be read again until a code is given for it, so that a page can be loaded anew.

        Raises: InvalidRequestUri, StateUnavailable.
        """
        record = await self._grants.get(_KIND, request_uri.removeprefix(PREFIX))
        if record is None:
            raise InvalidRequestUri("unknown, used or expired")
        found = json.loads(record)
        if found["client_id"] != client_id:
            raise InvalidRequestUri("another client's")
        return tuple((name, value) for name, value in found["pairs"])

    async def spend(self, request_uri: str) -> None:
        """A code was given for it (RFC 9126 7.3). Raises: StateUnavailable."""
        await self._grants.remove(_KIND, request_uri.removeprefix(PREFIX))


def bound(pairs: Pairs, key: str | None) -> Pairs:
    """RFC 9449 10.1: who pushes with a proof binds the code to its key. Raises: InvalidRequest."""
    if key is None:
        return pairs
    named = dict(pairs).get("dpop_jkt")
    if named not in (None, "", key):
        raise InvalidRequest("dpop_jkt is another key than that of the DPoP proof")
    return (*(pair for pair in pairs if pair[0] != "dpop_jkt"), ("dpop_jkt", key))
