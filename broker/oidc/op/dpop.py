"""DPoP: each request proves that its sender holds the key to which a token is bound (RFC 9449)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from broker.federation.model import FAPI2_ALGORITHMS
from broker.login.ports import Clock, ReplayCache
from broker.oidc import jose
from broker.oidc.errors import DpopNonceNeeded, InvalidDpopProof
from broker.oidc.jose import JoseError
from broker.oidc.op.http import ClientRequest

ALGORITHMS = FAPI2_ALGORITHMS
NONCE_HEADER = "DPoP-Nonce"
NONCE_LIFETIME = timedelta(minutes=5)
_TYPE = "dpop+jwt"
_MAX_JTI_CHARACTERS = 512


class DpopNonces:
    """Nonces that every worker knows and nobody stores: the code of a span of time, by a secret of ours (RFC 9449 8).

    One is good for its own span and the next. A proof could thus not have been made long before it is sent.
    """

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def current(self) -> str:
        return self._of(self._span())

    def check(self, nonce: object) -> None:
        """Raises: DpopNonceNeeded."""
        span = self._span()
        given = nonce.encode("utf-8", "replace") if isinstance(nonce, str) else b""
        known = [hmac.compare_digest(given, self._of(each).encode("ascii")) for each in (span, span - 1)]
        if not any(known):
            raise DpopNonceNeeded("nonce is missing, or no longer good")

    def _span(self) -> int:
        return int(self._clock().timestamp() // NONCE_LIFETIME.total_seconds())

    def _of(self, span: int) -> str:
        return jose.base64url(hmac.digest(self._secret, b"dpop-nonce\0%d" % span, "sha256"))


class DpopProofs:
    """``bases``: the addresses below which our endpoints are."""

    def __init__(
        self, *, bases: Sequence[str], nonces: DpopNonces, replay: ReplayCache, clock: Clock, skew: timedelta
    ) -> None:
        self._bases = tuple(bases)
        self._nonces = nonces
        self._replay = replay
        self._clock = clock
        self._skew = skew

    def nonce(self) -> str:
        """For the next proof."""
        return self._nonces.current()

    async def check(self, request: ClientRequest, path: str, access_token: str | None = None) -> str | None:
        """The thumbprint of the key that the sender proved to hold (RFC 9449 4.3); None: there is no proof.

        ``path``: of the endpoint. ``access_token``: with which the proof comes. Raises: InvalidDpopProof, DpopNonceNeeded,
        StateUnavailable.
        """
        if not request.dpop:
            return None
        if len(request.dpop) != 1:
            raise InvalidDpopProof("several DPoP headers")
        try:
            proven = jose.verify_shown_key(request.dpop[0], type=_TYPE, algorithms=ALGORITHMS)
            self._check_times(proven.claims)
        except JoseError as error:
            raise InvalidDpopProof(f"{type(error).__name__} {error}") from error
        check_request(proven.claims, request.method, [base + path for base in self._bases])
        check_access_token(proven.claims, access_token)
        self._nonces.check(proven.claims.get("nonce"))
        await self._check_first_use(proven.claims, proven.thumbprint)
        return proven.thumbprint

    def _check_times(self, claims: Mapping[str, object]) -> None:
        """4.3 (11), and RFC 7519 4.1.4, 4.1.5 where it says so itself. Raises: InvalidDpopProof, TokenMalformed."""
        now, skew = self._clock().timestamp(), self._skew.total_seconds()
        issued = jose.numeric_date(claims, "iat")
        if issued is None or not now - self._longest().total_seconds() <= issued <= now + skew:
            raise InvalidDpopProof("iat is missing, too old, or in the future")
        expires, valid_from = jose.numeric_date(claims, "exp"), jose.numeric_date(claims, "nbf")
        if (expires is not None and expires + skew <= now) or (valid_from is not None and valid_from > now + skew):
            raise InvalidDpopProof("expired, or not valid yet")

    async def _check_first_use(self, claims: Mapping[str, object], thumbprint: str) -> None:
        """11.1. Raises: InvalidDpopProof, StateUnavailable."""
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI_CHARACTERS:
            raise InvalidDpopProof("jti is missing or too long")
        if not await self._replay.first_use(f"dpop:{thumbprint}", jti, self._longest() + self._skew):
            raise InvalidDpopProof("used before")

    def _longest(self) -> timedelta:
        return NONCE_LIFETIME + self._skew


def check_request(claims: Mapping[str, object], method: str, urls: Sequence[str]) -> None:
    """4.3 (8, 9). Raises: InvalidDpopProof."""
    if claims.get("htm") != method:
        raise InvalidDpopProof("htm is another method")
    htu = claims.get("htu")
    if not isinstance(htu, str) or _plain(htu) not in [_plain(url) for url in urls]:
        raise InvalidDpopProof("htu is another address")


def check_access_token(claims: Mapping[str, object], access_token: str | None) -> None:
    """4.3 (12). Raises: InvalidDpopProof."""
    if access_token is None:
        return
    expected = jose.base64url(hashlib.sha256(access_token.encode("utf-8")).digest())
    ath = claims.get("ath")
    if not isinstance(ath, str) or not hmac.compare_digest(ath.encode("utf-8", "replace"), expected.encode("ascii")):
        raise InvalidDpopProof("ath is not of this access token")


def _plain(url: str) -> tuple[str, str, int | None, str] | None:
    """Without query and fragment, and as RFC 3986 6.2.2, 6.2.3 compare addresses; None: it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return None
    return parts.scheme, parts.hostname or "", port, parts.path or "/"
