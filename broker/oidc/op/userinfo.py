"""The userinfo endpoint (OIDC Core 5.3) with bearer tokens in the header or in the form (RFC 6750 2.1, 2.2), never in a query."""

from __future__ import annotations

from broker.federation.model import Federation, OidcClient
from broker.oidc.errors import ClientKeysUnavailable, InvalidRequest, InvalidToken, TokenMissing
from broker.oidc.op.client_tokens import ClientTokens
from broker.oidc.op.grants import AccessGrant
from broker.oidc.op.http import NO_STORE, ClientRequest, HttpAnswer, error_answer, json_answer
from broker.oidc.op.issuing import Tokens
from broker.oidc.op.parameters import Parameters


class UserInfoEndpoint:
    def __init__(self, *, issuer: str, tokens: Tokens, jwts: ClientTokens) -> None:
        self._issuer = issuer
        self._challenge = f'Bearer realm="{issuer}"'
        self._tokens = tokens
        self._jwts = jwts

    async def answer(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        """Raises: StateUnavailable."""
        try:
            grant = await self._grant(bearer_token(request))
            return await self._told(grant, client_of(grant, federation))
        except TokenMissing:
            return HttpAnswer(status=401, headers={"WWW-Authenticate": self._challenge}, body=b"")
        except (InvalidRequest, InvalidToken) as fault:
            told = f'{self._challenge}, error="{fault.oauth_error}", error_description="{fault.code}"'
            return error_answer(fault, challenge=told)
        except ClientKeysUnavailable as fault:
            return error_answer(fault)

    async def _grant(self, token: str) -> AccessGrant:
        grant = await self._tokens.access_grant(token)
        if grant is None:
            raise InvalidToken("unknown, expired or revoked")
        return grant

    async def _told(self, grant: AccessGrant, client: OidcClient) -> HttpAnswer:
        """OIDC Core 5.3.2: signed, it says for whom."""
        claims = {**grant.userinfo, "iss": self._issuer, "aud": client.client_id}
        token = await self._jwts.userinfo(claims, client)
        if token is None:
            return json_answer(grant.userinfo)
        headers = {**NO_STORE, "Content-Type": "application/jwt"}
        return HttpAnswer(status=200, headers=headers, body=token.encode("ascii"))


def client_of(grant: AccessGrant, federation: Federation) -> OidcClient:
    """As it is registered now. Raises: InvalidToken."""
    service = federation.services.get(grant.service)
    if service is None or service.client is None:
        raise InvalidToken("the service was removed")
    return service.client


def bearer_token(request: ClientRequest) -> str:
    """Raises: TokenMissing; InvalidRequest, when there are two or the request is malformed."""
    form = Parameters(request.fields)
    form.check()
    in_form = form.get("access_token")
    in_header = _in_header(request.authorization)
    if in_form and in_header:
        raise InvalidRequest("more than one way of sending the token")
    token = in_header or in_form
    if token is None:
        raise TokenMissing("no bearer token")
    return token


def _in_header(authorization: str | None) -> str | None:
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = token.strip()
    if not token.isascii() or not token or " " in token:
        raise InvalidRequest("malformed")
    return token
