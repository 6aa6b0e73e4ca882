"""Request objects by value: the parameters of an authorization request, signed by the client (RFC 9101, OIDC Core 6.1)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta

from broker.federation.model import FAPI2_ALGORITHMS, OidcClient
from broker.login.ports import Clock
from broker.oidc import jose
from broker.oidc.errors import ClientKeysUnavailable, InvalidRequestObject
from broker.oidc.jose import JoseError
from broker.oidc.op.client_keys import ClientKeys

Pairs = tuple[tuple[str, str], ...]

_TYPES = ("JWT", "OAUTH-AUTHZ-REQ+JWT")
# Of the JWT itself, and no parameters.
_REGISTERED = ("iss", "aud", "exp", "iat", "nbf", "jti", "sub")


class RequestObjects:
    def __init__(self, *, issuer: str, keys: ClientKeys, clock: Clock, skew: timedelta) -> None:
        self._issuer = issuer
        self._keys = keys
        self._clock = clock
        self._skew = skew

    async def parameters(self, text: str, client: OidcClient) -> Pairs:
        """What the object asks for; whatever stands beside it in the request is nobody's word (RFC 9101 6.3).

        Raises: InvalidRequestObject.
        """
        try:
            claims, algorithm = await self._keys.verify(text, client, types=_TYPES)
            check_times(claims, self._clock().timestamp(), self._skew.total_seconds())
        except (JoseError, ClientKeysUnavailable) as error:
            raise InvalidRequestObject(f"{type(error).__name__} {error}") from error
        if client.request_object_signing_alg not in (None, algorithm):
            raise InvalidRequestObject("another alg than the registered one")
        if client.fapi2 and algorithm not in FAPI2_ALGORITHMS:
            raise InvalidRequestObject("alg is none of FAPI 2.0 5.4.1")
        check_parties(claims, client, self._issuer)
        return tuple(_pairs(claims))


def check_parties(claims: Mapping[str, object], client: OidcClient, issuer: str) -> None:
    """RFC 9101 4, 5: made by this client, for us. Raises: InvalidRequestObject."""
    if claims.get("client_id") != client.client_id or claims.get("iss") != client.client_id:
        raise InvalidRequestObject("client_id and iss must be the client's")
    audience = claims.get("aud")
    if issuer not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidRequestObject("aud must be the issuer")


def check_times(claims: Mapping[str, object], now: float, skew: float) -> None:
    """RFC 7519 4.1.4, 4.1.5. Raises: InvalidRequestObject, TokenMalformed."""
    for name in ("exp", "nbf", "iat"):
        moment = jose.numeric_date(claims, name)
        if moment is not None and ((moment + skew <= now) if name == "exp" else (moment > now + skew)):
            raise InvalidRequestObject(f"{name}: expired, or not valid yet")


def _pairs(claims: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """RFC 9101 4: strings as they are, numbers as digits, ``claims`` as JSON. Raises: InvalidRequestObject."""
    for name, value in claims.items():
        if name in _REGISTERED:
            continue
        if name in ("request", "request_uri"):
            raise InvalidRequestObject(f"{name} inside a request object")
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, int) and not isinstance(value, bool):
            yield name, str(value)
        elif isinstance(value, dict):
            yield name, json.dumps(value)
        else:
            raise InvalidRequestObject("a parameter is neither text, number nor object")
