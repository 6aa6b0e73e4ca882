"""private_key_jwt: a client proves itself by a JWT that it signed (RFC 7523 2.2 and 3, OIDC Core 9)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from broker.federation.model import OidcClient
from broker.login.ports import ReplayCache
from broker.oidc import jose
from broker.oidc.errors import InvalidClient
from broker.oidc.jose import JoseError
from broker.oidc.op.client_keys import ClientKeys

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_LIFE = timedelta(hours=1)
"""An assertion is made for one request; one that is good for longer was not."""
_TYPES = ("JWT", "CLIENT-AUTHENTICATION+JWT")


class ClientAssertions:
    """``audiences``: what may stand in ``aud``: the issuer, and the token endpoint, as OIDC Core 9 has it."""

    def __init__(self, *, audiences: frozenset[str], keys: ClientKeys, replay: ReplayCache, skew: timedelta) -> None:
        self._audiences = audiences
        self._keys = keys
        self._replay = replay
        self._skew = skew

    async def check(self, assertion: str, client: OidcClient, now: datetime) -> None:
        """Raises: InvalidClient, ClientKeysUnavailable, StateUnavailable."""
        try:
            claims, algorithm = await self._keys.verify(assertion, client, types=_TYPES)
            expires = check_times(claims, now, self._skew)
        except JoseError as error:
            raise InvalidClient(f"client_assertion: {type(error).__name__} {error}") from error
        if client.token_endpoint_auth_signing_alg not in (None, algorithm):
            raise InvalidClient("client_assertion: another alg than the registered one")
        check_parties(claims, client, self._audiences)
        id = claims.get("jti")
        if not isinstance(id, str) or not id:
            raise InvalidClient("client_assertion: jti is missing")
        lifetime = expires - now + self._skew + timedelta(seconds=1)
        if not await self._replay.first_use(f"client:{client.client_id}", id, lifetime):
            raise InvalidClient("client_assertion: used before")


def check_parties(claims: Mapping[str, object], client: OidcClient, audiences: frozenset[str]) -> None:
    """RFC 7523 3 (1 to 3). One audience alone: who is named beside us could use the assertion here, or we theirs.

    Raises: InvalidClient.
    """
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
        raise InvalidClient("client_assertion: iss and sub must be the client_id")
    audience = claims.get("aud")
    named = audience[0] if isinstance(audience, list) and len(audience) == 1 else audience
    if not isinstance(named, str) or named not in audiences:
        raise InvalidClient("client_assertion: aud must be the issuer or the token endpoint, alone")


def check_times(claims: Mapping[str, object], now: datetime, skew: timedelta) -> datetime:
    """RFC 7523 3 (4 to 6): when it ends. Raises: InvalidClient, TokenMalformed."""
    seconds, tolerance = now.timestamp(), skew.total_seconds()
    expires = jose.numeric_date(claims, "exp")
    if expires is None or expires + tolerance <= seconds:
        raise InvalidClient("client_assertion: expired, or without exp")
    if expires - seconds > LONGEST_LIFE.total_seconds() + tolerance:
        raise InvalidClient("client_assertion: good for longer than an hour")
    for name in ("nbf", "iat"):
        moment = jose.numeric_date(claims, name)
        if moment is not None and moment > seconds + tolerance:
            raise InvalidClient(f"client_assertion: {name} is in the future")
    return now + timedelta(seconds=expires - seconds)
