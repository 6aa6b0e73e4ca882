"""The introspection endpoint: a client asks what a token of its own is worth now (RFC 7662; signed: RFC 9701)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from broker.federation.model import OidcClient, Service
from broker.login.ports import Clock
from broker.oidc.errors import InvalidClient
from broker.oidc.jose import Signer
from broker.oidc.op import sender
from broker.oidc.op.client_endpoint import Asked
from broker.oidc.op.grants import AccessGrant, RefreshGrant
from broker.oidc.op.http import NO_STORE, HttpAnswer, json_answer
from broker.oidc.op.issuing import Tokens
from broker.oidc.op.parameters import required

SIGNED = "application/token-introspection+jwt"
_INACTIVE: Mapping[str, object] = {"active": False}


class IntrospectionEndpoint:
    def __init__(self, *, issuer: str, tokens: Tokens, signer: Signer, clock: Clock) -> None:
        self._issuer = issuer
        self._tokens = tokens
        self._signer = signer
        self._clock = clock

    async def serve(self, asked: Asked) -> HttpAnswer:
        """Raises: InvalidClient, InvalidRequest, StateUnavailable."""
        if asked.client.token_endpoint_auth_method == "none":
            # RFC 7662 2.1: whoever asks is authenticated, against token scanning.
            raise InvalidClient("a public client cannot ask", service=asked.service.id)
        found = await self._introspected(required(asked.form, "token"), asked.service, asked.client)
        if asked.request.accept != SIGNED:
            return json_answer(found)
        headers = {**NO_STORE, "Content-Type": SIGNED}
        return HttpAnswer(status=200, headers=headers, body=self._signed(found, asked.client).encode("ascii"))

    async def _introspected(self, token: str, service: Service, client: OidcClient) -> Mapping[str, object]:
        """RFC 7662 2.2: of a token that is not the asking client's no more than of one that does not exist."""
        access = await self._tokens.access_grant(token)
        if access is not None and access.service == service.id:
            return self._of_access(access, client)
        refresh = await self._tokens.refresh_grant(token)
        if refresh is not None and refresh.login.service == service.id:
            return self._of_refresh(refresh, client)
        return _INACTIVE

    def _of_access(self, grant: AccessGrant, client: OidcClient) -> Mapping[str, object]:
        return {
            **self._active(grant.scopes, str(grant.userinfo["sub"]), client),
            "token_type": sender.token_type(grant.confirmation),
            **({"cnf": grant.confirmation} if grant.confirmation else {}),
            "iat": _seconds(grant.issued_at),
            "exp": _seconds(grant.expires_at),
            **_on_behalf(grant, client),
        }

    def _of_refresh(self, grant: RefreshGrant, client: OidcClient) -> Mapping[str, object]:
        return {
            **self._active(grant.login.scopes, grant.login.subject, client),
            "exp": _seconds(grant.login.until),
        }

    def _active(self, scopes: tuple[str, ...], subject: str, client: OidcClient) -> dict[str, object]:
        return {
            "active": True,
            "iss": self._issuer,
            "client_id": client.client_id,
            "sub": subject,
            "scope": " ".join(scopes),
        }

    def _signed(self, found: Mapping[str, object], client: OidcClient) -> str:
        """RFC 9701 5: the whole answer inside one claim, so that it cannot be taken for a token."""
        claims = {
            "iss": self._issuer,
            "aud": client.client_id,
            "iat": _seconds(self._clock()),
            "token_introspection": found,
        }
        return self._signer.sign(claims, client.id_token_signed_response_alg, type="token-introspection+jwt")


def _on_behalf(grant: AccessGrant, client: OidcClient) -> Mapping[str, object]:
    """RFC 8693 4.1: who acts for the person; and the person's claims, as such a token opens no userinfo."""
    if grant.actor is None:
        return {}
    acts = {"client_id": grant.actor, "aud": client.client_id, "act": {"sub": grant.actor}}
    return {**grant.userinfo, **acts}


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
