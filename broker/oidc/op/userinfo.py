"""The userinfo endpoint (OIDC Core 5.3): bearer tokens in the header or in the form, never in a query (RFC 6750 2), tokens that
are bound to a key with their proof (RFC 9449 7)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from broker.errors import ServiceFault
from broker.federation.model import Federation, OidcClient
from broker.oidc.errors import (
    ClientKeysUnavailable,
    DpopNonceNeeded,
    InvalidDpopProof,
    InvalidRequest,
    InvalidToken,
    TokenMissing,
)
from broker.oidc.op import dpop, sender
from broker.oidc.op.client_tokens import ClientTokens
from broker.oidc.op.dpop import NONCE_HEADER, DpopProofs
from broker.oidc.op.grants import AccessGrant
from broker.oidc.op.http import NO_STORE, ClientRequest, HttpAnswer, error_answer, json_answer, with_header
from broker.oidc.op.issuing import Tokens
from broker.oidc.op.parameters import Parameters
from broker.oidc.op.sender import Sender, certificate_thumbprint

PATH = "/oidc/userinfo"
BEARER, DPOP = "Bearer", "DPoP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A token and the scheme that it came by; a form's is Bearer."""

    token: str = field(repr=False)
    scheme: str


class UserInfoEndpoint:
    def __init__(self, *, issuer: str, tokens: Tokens, jwts: ClientTokens, proofs: DpopProofs) -> None:
        self._issuer = issuer
        self._tokens = tokens
        self._jwts = jwts
        self._proofs = proofs

    async def answer(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        """Raises: StateUnavailable."""
        try:
            answer = await self._answered(request, federation)
        except TokenMissing:
            told = f"{self._challenge(BEARER)}, {self._challenge(DPOP)}"
            answer = HttpAnswer(status=401, headers={"WWW-Authenticate": told}, body=b"")
        except ServiceFault as fault:
            answer = self._refused(request, fault)
        return with_header(answer, NONCE_HEADER, self._proofs.nonce()) if request.dpop else answer

    async def _answered(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        presented = presented_token(request)
        key = await self._proofs.check(request, PATH, presented.token) if presented.scheme == DPOP else None
        if presented.scheme == DPOP and key is None:
            raise InvalidDpopProof("the DPoP header is missing")
        grant = await self._tokens.access_grant(presented.token)
        if grant is None:
            raise InvalidToken("unknown, expired or revoked")
        if grant.actor is not None:
            # Who holds it must not learn what its target gets (P4).
            raise InvalidToken("it was exchanged: its target asks the introspection endpoint")
        holder = Sender(key=key, certificate=certificate_thumbprint(request.certificate))
        sender.check(grant.confirmation, holder)
        return await self._told(grant, client_of(grant, federation))

    def _refused(self, request: ClientRequest, fault: ServiceFault) -> HttpAnswer:
        """RFC 6750 3, RFC 9449 7.1: in the words of the scheme by which the token came."""
        if isinstance(fault, ClientKeysUnavailable):
            return error_answer(fault)
        scheme = DPOP if _scheme(request.authorization) == DPOP.lower() else BEARER
        told = f'{self._challenge(scheme)}, error="{fault.oauth_error}", error_description="{fault.code}"'
        answer = error_answer(fault, challenge=told)
        return replace(answer, status=401) if isinstance(fault, InvalidDpopProof | DpopNonceNeeded) else answer

    def _challenge(self, scheme: str) -> str:
        algorithms = f', algs="{" ".join(dpop.ALGORITHMS)}"' if scheme == DPOP else ""
        return f'{scheme} realm="{self._issuer}"{algorithms}'

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


def presented_token(request: ClientRequest) -> Presented:
    """RFC 6750 2.1, 2.2, RFC 9449 7.1. Raises: TokenMissing; InvalidRequest, when there are two or the request is malformed."""
    form = Parameters(request.fields)
    form.check()
    in_form, in_header = form.get("access_token"), _in_header(request.authorization)
    if in_form and in_header:
        raise InvalidRequest("more than one way of sending the token")
    if in_form:
        return Presented(token=in_form, scheme=BEARER)
    if in_header is None:
        raise TokenMissing("no access token")
    return in_header


def _in_header(authorization: str | None) -> Presented | None:
    scheme = {each.lower(): each for each in (BEARER, DPOP)}.get(_scheme(authorization))
    if authorization is None or scheme is None:
        return None
    token = authorization.partition(" ")[2].strip()
    if not token.isascii() or not token or " " in token:
        raise InvalidRequest("malformed")
    return Presented(token=token, scheme=scheme)


def _scheme(authorization: str | None) -> str:
    return (authorization or "").partition(" ")[0].lower()
