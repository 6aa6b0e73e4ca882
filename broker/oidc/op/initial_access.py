"""Initial access tokens: with each, one service may register itself, as an operator decided (RFC 7591 3).

A token is a JWT that we sign, of a type of its own. What the operator decides of the service stands in it, so that nothing is
kept until the service registers. The id that the service will have does too: whoever finds a service of that id in the registry,
now or in its history, knows that the token was used.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from broker.login.ports import Clock
from broker.oidc import jose
from broker.oidc.errors import InvalidToken
from broker.oidc.jose import JoseError, SignedClaims, Signer

PATH = "/oidc/register"
LIFETIME = timedelta(days=7)
DECIDED = ("owner", "name", "url", "attributes", "entity_categories", "require", "testers")
"""The keys of a service's document that an operator decides; ``name`` is for a service that says none."""

_TYPE = "initial-access+jwt"
# The one algorithm for which there is always a key.
_ALGORITHM = "RS256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """``id``: of the service, and its client_id. ``decided``: what an operator decides of its document; ``owner`` is among it.
    ``public_subject``: it may register identifiers that other services know too."""

    id: str
    decided: Mapping[str, object] = field(repr=False)
    public_subject: bool = False

    @property
    def owner(self) -> str:
        return str(self.decided["owner"])


def admission(decided: Mapping[str, object], *, public_subject: bool = False) -> Admission:
    """A new one."""
    return Admission(id=f"registered-{secrets.token_hex(10)}", decided=decided, public_subject=public_subject)


class InitialAccessTokens:
    def __init__(self, *, issuer: str, signer: Signer, clock: Clock) -> None:
        self._issuer = issuer
        self._audience = issuer + PATH
        self._signer = signer
        self._own_keys = signer.key_set()
        self._clock = clock

    def make(self, admitted: Admission, lifetime: timedelta = LIFETIME) -> str:
        now = self._clock()
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "jti": admitted.id,
            "service": admitted.decided,
            "public_subject": admitted.public_subject,
        }
        return self._signer.sign(claims, _ALGORITHM, type=_TYPE)

    def read(self, token: str) -> Admission:
        """Whether it was used already is the registry's to know. Raises: InvalidToken."""
        try:
            claims, _ = jose.verify(token, self._own_keys, types=(_TYPE.upper(),))
            expires = jose.numeric_date(claims, "exp")
        except JoseError as error:
            raise InvalidToken(f"not an initial access token of ours: {type(error).__name__}") from error
        if claims.get("iss") != self._issuer or claims.get("aud") != self._audience:
            raise InvalidToken("an initial access token for somebody else")
        if expires is None or expires <= self._clock().timestamp():
            raise InvalidToken("the initial access token is expired")
        return _read(claims)


def _read(claims: SignedClaims) -> Admission:
    id, decided = claims.get("jti"), claims.get("service")
    assert isinstance(id, str), "we made it"
    assert isinstance(decided, dict), "we made it"
    return Admission(id=id, decided=decided, public_subject=claims.get("public_subject") is True)
