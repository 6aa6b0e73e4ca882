"""private_key_jwt: a client proves itself by a JWT that it signed (RFC 7523 2.2 and 3, OIDC Core 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from broker.federation.model import FAPI2_ALGORITHMS, OidcClient
from broker.login.ports import ReplayCache
from broker.oidc import jose
from broker.oidc.errors import InvalidClient
from broker.oidc.jose import JoseError
from broker.oidc.op.client_keys import ClientKeys

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_LIFE = timedelta(hours=1)
"""An assertion is made for one request; one that is good for longer was not."""
FAPI2_SKEW = timedelta(seconds=60)
_TYPES = ("JWT", "CLIENT-AUTHENTICATION+JWT")


class ClientAssertions:
    """What may stand in ``aud``: the issuer, and the token endpoint, as OIDC Core 9 has it."""

    def __init__(self, *, issuer: str, keys: ClientKeys, replay: ReplayCache, skew: timedelta) -> None:
        self._issuer = issuer
        self._audiences = (issuer, f"{issuer}/oidc/token")
        self._keys = keys
        self._replay = replay
        self._skew = skew

    async def check(self, assertion: str, client: OidcClient, now: datetime) -> None:
        """Raises: InvalidClient, ClientKeysUnavailable, StateUnavailable."""
        try:
            claims, algorithm = await self._keys.verify(assertion, client, types=_TYPES)
            # FAPI 2.0 5.3.2.1 (13): never more than a minute in the future.
            skew = min(self._skew, FAPI2_SKEW) if client.fapi2 else self._skew
            expires = check_times(claims, now, skew)
        except JoseError as error:
            raise InvalidClient(f"client_assertion: {type(error).__name__} {error}") from error
        check_algorithm(algorithm, client)
        check_parties(claims, client)
        check_audience(claims.get("aud"), self._audiences)
        if client.fapi2 and claims.get("aud") != self._issuer:
            raise InvalidClient("client_assertion: aud must be the issuer, as a string (FAPI 2.0 5.3.2.1)")
        id = claims.get("jti")
        if not isinstance(id, str) or not id:
            raise InvalidClient("client_assertion: jti is missing")
        lifetime = expires - now + self._skew + timedelta(seconds=1)
        if not await self._replay.first_use(f"client:{client.client_id}", id, lifetime):
            raise InvalidClient("client_assertion: used before")


def check_algorithm(algorithm: str, client: OidcClient) -> None:
    """Raises: InvalidClient."""
    if client.token_endpoint_auth_signing_alg not in (None, algorithm):
        raise InvalidClient("client_assertion: another alg than the registered one")
    if client.fapi2 and algorithm not in FAPI2_ALGORITHMS:
        raise InvalidClient("client_assertion: alg is none of FAPI 2.0 5.4.1")


def check_parties(claims: Mapping[str, object], client: OidcClient) -> None:
    """RFC 7523 3 (1, 2). Raises: InvalidClient."""
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
        raise InvalidClient("client_assertion: iss and sub must be the client_id")


def check_audience(audience: object, audiences: Sequence[str]) -> None:
    """RFC 7523 3 (3). One alone: who is named beside us could use the assertion here, or we theirs. Raises: InvalidClient."""
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
