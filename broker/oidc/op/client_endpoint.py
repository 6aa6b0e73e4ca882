"""ClientEndpoint: what the endpoints for programs do alike. The form is read, the client proves itself, what it asks is served,
and what is refused is told in OAuth's words (RFC 6749 2.3, 5.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from broker.errors import ServiceFault
from broker.federation.model import Federation, OidcClient, Service
from broker.login.edges import RefusedRequest
from broker.oidc.errors import InvalidClient
from broker.oidc.op.client_authentication import ClientAuthentication
from broker.oidc.op.http import ClientRequest, HttpAnswer, error_answer
from broker.oidc.op.parameters import Parameters

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an authenticated client asks."""

    service: Service
    client: OidcClient
    form: Parameters
    request: ClientRequest
    federation: Federation


Serve = Callable[[Asked], Awaitable[HttpAnswer]]
"""Raises: ServiceFault, RefusedRequest, StateUnavailable."""


class ClientEndpoint:
    """``name``: of the endpoint, in the log."""

    def __init__(self, name: str, *, issuer: str, clients: ClientAuthentication, serve: Serve) -> None:
        self._event = f"oidc.{name}.refused"
        self._challenge = f'Basic realm="{issuer}"'
        self._clients = clients
        self._serve = serve

    async def answer(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        """Raises: StateUnavailable."""
        try:
            form = Parameters(request.fields)
            form.check()
            service, client = await self._clients.of(request.authorization, form, federation)
            asked = Asked(service=service, client=client, form=form, request=request, federation=federation)
            return await self._serve(asked)
        except (RefusedRequest, ServiceFault) as error:
            return self._refused(error)

    def _refused(self, error: RefusedRequest | ServiceFault) -> HttpAnswer:
        """RFC 9126 2.3: the client is told here, whatever the browser would have been told."""
        fault = error.fault if isinstance(error, RefusedRequest) else error
        assert isinstance(fault, ServiceFault), "a request is refused for the service's fault"
        log.info(self._event, reason=fault.code, detail=fault.detail, **fault.context)
        return error_answer(fault, self._challenge if isinstance(fault, InvalidClient) else None)
