"""The revocation endpoint: a client gives a token back (RFC 7009)."""

from __future__ import annotations

import structlog

from broker.errors import ServiceFault
from broker.federation.model import Federation, Service
from broker.oidc.errors import InvalidClient
from broker.oidc.op.client_authentication import ClientAuthentication
from broker.oidc.op.grants import handle
from broker.oidc.op.http import NO_STORE, ClientRequest, HttpAnswer, error_answer
from broker.oidc.op.issuing import Tokens
from broker.oidc.op.parameters import Parameters, required

log = structlog.get_logger(__name__)


class RevocationEndpoint:
    def __init__(self, *, issuer: str, clients: ClientAuthentication, tokens: Tokens) -> None:
        self._challenge = f'Basic realm="{issuer}"'
        self._clients = clients
        self._tokens = tokens

    async def answer(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        """RFC 7009 2.2: a token that is unknown, or another client's, is answered like one that was revoked. Raises:
        StateUnavailable."""
        try:
            form = Parameters(request.fields)
            form.check()
            service, _ = await self._clients.of(request.authorization, form, federation)
            await self._revoke(required(form, "token"), service)
        except ServiceFault as fault:
            log.info("oidc.revocation.refused", reason=fault.code, detail=fault.detail, **fault.context)
            return error_answer(fault, self._challenge if isinstance(fault, InvalidClient) else None)
        return HttpAnswer(status=200, headers=NO_STORE, body=b"")

    async def _revoke(self, token: str, service: Service) -> None:
        """With a refresh token its whole family ends, and with the access token of a family too: they are one grant
        (RFC 7009 2.1). The hint is not needed: both are looked up by their own names."""
        refresh = await self._tokens.refresh_grant(token)
        if refresh is not None and refresh.login.service == service.id:
            await self._tokens.end(refresh.family)
        access = await self._tokens.access_grant(token)
        if access is not None and access.service == service.id:
            await self._tokens.end(access.family or handle(token))
