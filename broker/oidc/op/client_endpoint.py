"""ClientEndpoint: what the endpoints for programs do alike. The form is read, the client proves itself, what it asks is served,
and what is refused is told in OAuth's words (RFC 6749 2.3, 5.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from broker.errors import ServiceFault
from broker.federation.model import Federation, OidcClient, Service
from broker.login.edges import RefusedRequest
from broker.oidc.errors import AuthorizationPending, InvalidClient
from broker.oidc.op.client_authentication import ClientAuthentication
from broker.oidc.op.dpop import NONCE_HEADER, DpopProofs
from broker.oidc.op.http import ClientRequest, HttpAnswer, error_answer, with_header
from broker.oidc.op.parameters import Parameters
from broker.oidc.op.sender import Sender, certificate_thumbprint

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an authenticated client asks."""

    service: Service
    client: OidcClient
    form: Parameters
    request: ClientRequest
    federation: Federation
    sender: Sender


Serve = Callable[[Asked], Awaitable[HttpAnswer]]
"""Raises: ServiceFault, RefusedRequest, StateUnavailable."""


class ClientEndpoint:
    """``name``: of the endpoint, in the log. ``path``: its own."""

    def __init__(
        self, name: str, path: str, *, issuer: str, clients: ClientAuthentication, proofs: DpopProofs, serve: Serve
    ) -> None:
        self._event = f"oidc.{name}.refused"
        self._path = path
        self._proofs = proofs
        self._challenge = f'Basic realm="{issuer}"'
        self._clients = clients
        self._serve = serve

    async def answer(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        """Raises: StateUnavailable."""
        try:
            answer = await self._serve(await self._asked(request, federation))
        except (RefusedRequest, ServiceFault) as error:
            answer = self._refused(error)
        return with_header(answer, NONCE_HEADER, self._proofs.nonce()) if request.dpop else answer

    async def _asked(self, request: ClientRequest, federation: Federation) -> Asked:
        form = Parameters(request.fields)
        form.check()
        service, client = await self._clients.of(request, form, federation)
        key = await self._proofs.check(request, self._path)
        sender = Sender(key=key, certificate=certificate_thumbprint(request.certificate))
        return Asked(service=service, client=client, form=form, request=request, federation=federation, sender=sender)

    def _refused(self, error: RefusedRequest | ServiceFault) -> HttpAnswer:
        """RFC 9126 2.3: the client is told here, whatever the browser would have been told."""
        fault = error.fault if isinstance(error, RefusedRequest) else error
        assert isinstance(fault, ServiceFault), "a request is refused for the service's fault"
        if not isinstance(fault, AuthorizationPending):
            log.info(self._event, reason=fault.code, detail=fault.detail, **fault.context)
        return error_answer(fault, self._challenge if isinstance(fault, InvalidClient) else None)
