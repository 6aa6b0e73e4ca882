"""The logout token by which a city says that a session has ended: every check of OpenID Connect Back-Channel Logout 1.0, 2.6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.oidc import jose
from broker.oidc.errors import LogoutTokenInvalid
from broker.oidc.jose import AlgorithmRefused, KeySet, SignatureWrong, SignedClaims, TokenMalformed

EVENT = "http://schemas.openid.net/event/backchannel-logout"
LONGEST_AGE = timedelta(minutes=10)
# 2.4 recommends logout+jwt; providers that are older than that name none, or JWT.
_TYPES = ("LOGOUT+JWT", "JWT")
_MAX_CHARACTERS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """``session``: ``sid``, ``sub`` or both. ``id``: the token's own."""

    session: Mapping[str, str]
    id: str


def verify(token: str, keys: KeySet, *, issuer: str, client_id: str, now: datetime, skew: timedelta) -> Ended:
    """Raises: LogoutTokenInvalid; ``jose.KeyUnknown``, so that newer keys can be tried."""
    try:
        claims, _ = jose.verify(token, keys, types=_TYPES)
        _check_times(claims, now, skew)
    except (TokenMalformed, AlgorithmRefused, SignatureWrong) as error:
        raise _invalid(f"not a token of the issuer: {error}", "form") from error
    if claims.get("iss") != issuer:
        raise _invalid("iss is another issuer", "iss")
    if claims.get("aud") not in (client_id, [client_id]):
        raise _invalid("aud is not us alone", "aud")
    if "nonce" in claims:
        # 2.4: so that an ID token is not taken for a logout token.
        raise _invalid("there is a nonce", "nonce")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise _invalid("the event is missing", "events")
    return Ended(session=_session(claims), id=_text(claims, "jti"))


def _check_times(claims: SignedClaims, now: datetime, skew: timedelta) -> None:
    """(3), as of an ID token. ``exp`` came with the last draft: without it, ``iat`` alone says that the token is new."""
    moment, leeway = now.timestamp(), skew.total_seconds()
    issued, expires = jose.numeric_date(claims, "iat"), jose.numeric_date(claims, "exp")
    if issued is None or not moment - LONGEST_AGE.total_seconds() - leeway <= issued <= moment + leeway:
        raise _invalid("iat is missing, or not of now", "iat")
    if expires is not None and moment >= expires + leeway:
        raise _invalid("exp has passed", "exp")


def _session(claims: SignedClaims) -> Mapping[str, str]:
    """(5)."""
    found = {name: _text(claims, name) for name in ("sid", "sub") if name in claims}
    if not found:
        raise _invalid("neither sid nor sub", "sid")
    return found


def _text(claims: SignedClaims, name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_CHARACTERS:
        raise _invalid(f"{name} is missing or malformed", name)
    return value


def _invalid(detail: str, check: str) -> LogoutTokenInvalid:
    return LogoutTokenInvalid(detail, check=check)
