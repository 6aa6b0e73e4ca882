"""The revocation endpoint: a client gives a token back (RFC 7009)."""

from __future__ import annotations

from broker.oidc.op.client_endpoint import Asked
from broker.oidc.op.http import NO_STORE, HttpAnswer
from broker.oidc.op.issuing import Tokens
from broker.oidc.op.parameters import required


class RevocationEndpoint:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def serve(self, asked: Asked) -> HttpAnswer:
        """RFC 7009 2.2: a token that is unknown, or another client's, is answered like one that was revoked. Raises:
        InvalidRequest, StateUnavailable."""
        await self._revoke(required(asked.form, "token"), asked)
        return HttpAnswer(status=200, headers=NO_STORE, body=b"")

    async def _revoke(self, token: str, asked: Asked) -> None:
        """With a refresh token its whole family ends, and with the access token of a family too: they are one grant
        (RFC 7009 2.1). The hint is not needed: both are looked up by their own names. One that was exchanged ends alone, for
        who got it and for whom it is."""
        service = asked.service
        refresh = await self._tokens.refresh_grant(token)
        if refresh is not None and refresh.login.service == service.id:
            await self._tokens.end(refresh.family)
        access = await self._tokens.access_grant(token)
        if access is not None and (access.service == service.id or access.actor == asked.client.client_id):
            await self._tokens.end(access.ends)
