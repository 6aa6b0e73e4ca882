"""The token endpoint: a code becomes tokens, once (RFC 6749 4.1.3, OIDC Core 3.1.3).

Loaded, decided, saved: ``check_exchange`` and ``id_token_claims`` decide and do no input or output.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime

import structlog

from broker.errors import ServiceFault
from broker.federation.model import Federation, OidcClient, Service
from broker.login.ports import Clock, GrantStore
from broker.oidc import jose, pkce
from broker.oidc.errors import InvalidClient, InvalidGrant, UnauthorizedClient, UnsupportedGrantType
from broker.oidc.jose import Signer
from broker.oidc.op import client_authentication
from broker.oidc.op.grants import (
    ACCESS_TOKEN,
    ACCESS_TOKEN_LIFETIME,
    CODE,
    ID_TOKEN_LIFETIME,
    SPENT_CODE,
    AccessGrant,
    CodeGrant,
    handle,
    read_code_grant,
)
from broker.oidc.op.http import ClientRequest, HttpAnswer, error_answer, json_answer
from broker.oidc.op.parameters import Parameters, required

log = structlog.get_logger(__name__)

AUTHORIZATION_CODE = "authorization_code"


class TokenEndpoint:
    def __init__(self, *, issuer: str, signer: Signer, grants: GrantStore, clock: Clock) -> None:
        self._issuer = issuer
        self._signer = signer
        self._grants = grants
        self._clock = clock

    async def answer(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        """Raises: StateUnavailable."""
        try:
            form = Parameters(request.fields)
            form.check()
            service, client = client_authentication.authenticate(request.authorization, form, federation)
            return json_answer(await self._exchange(form, service, client))
        except ServiceFault as fault:
            log.info("oidc.token.refused", reason=fault.code, detail=fault.detail, **fault.context)
            challenge = f'Basic realm="{self._issuer}"' if isinstance(fault, InvalidClient) else None
            return error_answer(fault, challenge)

    async def _exchange(self, form: Parameters, service: Service, client: OidcClient) -> dict[str, object]:
        check_grant_type(form, client)
        code = required(form, "code")
        redirect_uri = required(form, "redirect_uri")
        # Whoever brings the code, rightly or not, brings it for the last time.
        record = await self._grants.take(CODE, code)
        if record is None:
            await self._revoke_what_was_issued(code, service)
            raise InvalidGrant("unknown, used or expired", service=service.id)
        grant = read_code_grant(record)
        check_exchange(grant, service, redirect_uri, form.get("code_verifier"))
        access_token = secrets.token_urlsafe(32)
        access = AccessGrant(service=grant.service, userinfo=grant.userinfo)
        await self._grants.put(SPENT_CODE, code, handle(access_token).encode("ascii"), ACCESS_TOKEN_LIFETIME)
        await self._grants.put(ACCESS_TOKEN, handle(access_token), access.write(), ACCESS_TOKEN_LIFETIME)
        claims = id_token_claims(grant, self._issuer, client, access_token, self._clock())
        return {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": int(ACCESS_TOKEN_LIFETIME.total_seconds()),
            "scope": " ".join(grant.scopes),
            "id_token": self._signer.sign(claims, client.id_token_signed_response_alg),
        }

    async def _revoke_what_was_issued(self, code: str, service: Service) -> None:
        """RFC 6749 4.1.2: a code that comes twice may have been stolen, so the tokens of its first use end."""
        spent = await self._grants.get(SPENT_CODE, code)
        if spent is not None:
            log.warning("oidc.code.reused", service=service.id)
            await self._grants.remove(ACCESS_TOKEN, spent.decode("ascii"))


def check_grant_type(form: Parameters, client: OidcClient) -> None:
    """Raises: InvalidRequest, UnsupportedGrantType, UnauthorizedClient."""
    grant_type = required(form, "grant_type")
    if grant_type != AUTHORIZATION_CODE:
        raise UnsupportedGrantType("not authorization_code")
    if grant_type not in client.grant_types:
        raise UnauthorizedClient("authorization_code is not registered")


def check_exchange(grant: CodeGrant, service: Service, redirect_uri: str, verifier: str | None) -> None:
    """RFC 6749 4.1.3, RFC 7636 4.6. Raises: InvalidGrant."""
    if grant.service != service.id:
        raise InvalidGrant("the code is another client's", service=service.id)
    if grant.redirect_uri != redirect_uri:
        raise InvalidGrant("another redirect_uri", service=service.id)
    if grant.code_challenge is None:
        # RFC 9700 2.1.1: else an attacker could strip the challenge from the request, unnoticed.
        if verifier is not None:
            raise InvalidGrant("code_verifier without code_challenge", service=service.id)
    elif verifier is None or not pkce.proves(verifier, grant.code_challenge):
        raise InvalidGrant("code_verifier is missing or wrong", service=service.id)


def id_token_claims(
    grant: CodeGrant, issuer: str, client: OidcClient, access_token: str, now: datetime
) -> Mapping[str, object]:
    """OIDC Core 2 and 3.1.3.6."""
    return {
        **grant.id_token,
        "iss": issuer,
        "aud": client.client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + ID_TOKEN_LIFETIME).timestamp()),
        "at_hash": jose.half_hash(access_token, client.id_token_signed_response_alg),
    }
