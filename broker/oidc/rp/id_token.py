"""The ID token of a city: every check of OIDC Core 3.1.3.7 and 3.1.3.8, one function each; and the VerifiedAssertion.

Signature first (``jose.verify``): nothing else is read of a token that its issuer did not sign.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from broker.attributes import entra
from broker.errors import HomeLoginTooOld, SubjectMissing
from broker.federation.model import IdentityProvider
from broker.login.identity import VerifiedAssertion
from broker.oidc import jose
from broker.oidc.errors import (
    AuthTimeWrong,
    BadSignature,
    IdTokenExpired,
    IdTokenMalformed,
    IssuedAtWrong,
    WrongAlgorithm,
    WrongAtHash,
    WrongAudience,
    WrongAuthorizedParty,
    WrongIssuer,
    WrongNonce,
    WrongSubject,
    WrongTenant,
)
from broker.oidc.jose import AlgorithmRefused, KeySet, SignatureWrong, SignedClaims, TokenMalformed
from broker.oidc.rp import claim_texts
from broker.oidc.rp.callback import Tokens

ENTRA = "entra-oidc"
MAX_AGE_OF_TOKEN = timedelta(minutes=10)
"""A token comes straight from the token endpoint, so it was made just now."""
_MAX_SUBJECT_CHARACTERS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """``sent_at``, ``max_age``: of our request. ``skew``: how far the city's clock may be off. ``tenant``: of Entra ID, where the
    issuer is pinned to one."""

    issuer: str
    tenant: str | None = None
    client_id: str
    nonce: str = field(repr=False)
    sent_at: datetime
    max_age: timedelta | None
    skew: timedelta


def verify(tokens: Tokens, keys: KeySet, expected: Expected, now: datetime) -> SignedClaims:
    """Raises: a subclass of HomeAnswerInvalid for each check, HomeLoginTooOld; ``jose.KeyUnknown``, so that newer keys can be
    tried.
    """
    try:
        claims, algorithm = jose.verify(tokens.id_token, keys)
    except TokenMalformed as error:
        raise IdTokenMalformed(f"not a signed JWT: {error}", check="form") from error
    except AlgorithmRefused as error:
        raise WrongAlgorithm("alg is not on the list") from error
    except SignatureWrong as error:
        raise BadSignature("not signed by the issuer") from error
    check_issuer(claims, expected)
    check_tenant(claims, expected)
    check_subject(claims)
    check_audience(claims, expected)
    check_authorized_party(claims, expected)
    check_times(claims, expected, now)
    check_nonce(claims, expected)
    check_auth_time(claims, expected, now)
    check_at_hash(claims, tokens.access_token, algorithm)
    return claims


def check_issuer(claims: SignedClaims, expected: Expected) -> None:
    """(2): exactly the registered issuer."""
    if claims.get("iss") != expected.issuer:
        raise WrongIssuer("iss is another issuer")


def check_tenant(claims: SignedClaims, expected: Expected) -> None:
    """attributes.md 5: ``iss`` and ``tid`` are of the one tenant."""
    if expected.tenant is None:
        return
    tenant = claims.get("tid")
    if not isinstance(tenant, str) or tenant.lower() != expected.tenant:
        raise WrongTenant("tid is missing, or another tenant than the issuer's")


def check_subject(claims: SignedClaims) -> None:
    """OIDC Core 2: at most 255 ASCII characters."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT_CHARACTERS or not subject.isascii():
        raise IdTokenMalformed("sub is missing or malformed", check="sub")


def check_audience(claims: SignedClaims, expected: Expected) -> None:
    """(3): us, and nobody else, since there is nobody else whom we trust with it."""
    audience = claims.get("aud")
    if audience not in (expected.client_id, [expected.client_id]):
        raise WrongAudience("aud is not us alone")


def check_authorized_party(claims: SignedClaims, expected: Expected) -> None:
    """(4, 5)."""
    if claims.get("azp", expected.client_id) != expected.client_id:
        raise WrongAuthorizedParty("azp is not us")


def check_times(claims: SignedClaims, expected: Expected, now: datetime) -> None:
    """(9, 10) and RFC 7519 4.1.5."""
    expires, issued = _instant(claims, "exp"), _instant(claims, "iat")
    if expires is None or issued is None:
        raise IdTokenMalformed("exp or iat is missing", check="exp" if expires is None else "iat")
    if now >= expires + expected.skew:
        raise IdTokenExpired("exp has passed")
    valid_from = _instant(claims, "nbf") or issued
    if max(issued, valid_from) > now + expected.skew:
        raise IssuedAtWrong("iat or nbf is in the future")
    if issued + MAX_AGE_OF_TOKEN + expected.skew < now:
        raise IssuedAtWrong("iat is too long ago")


def check_nonce(claims: SignedClaims, expected: Expected) -> None:
    """(11)."""
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(_octets(nonce), expected.nonce.encode("ascii")):
        raise WrongNonce("nonce is not of this login")


def check_auth_time(claims: SignedClaims, expected: Expected, now: datetime) -> None:
    """(13): held to the moment of our request, for what happened at the city afterwards is newer still."""
    instant = _instant(claims, "auth_time")
    if instant is not None and instant > now + expected.skew:
        raise AuthTimeWrong("auth_time is in the future")
    if expected.max_age is None:
        return
    if instant is None:
        raise HomeLoginTooOld("max_age was asked for, and auth_time is missing")
    if instant + expected.max_age + expected.skew < expected.sent_at:
        raise HomeLoginTooOld("auth_time is older than max_age")


def check_at_hash(claims: SignedClaims, access_token: str, algorithm: str) -> None:
    """3.1.3.8: as far as it is there."""
    at_hash = claims.get("at_hash")
    if at_hash is None:
        return
    ours = jose.half_hash(access_token, algorithm).encode("ascii")
    if not isinstance(at_hash, str) or not hmac.compare_digest(_octets(at_hash), ours):
        raise WrongAtHash("at_hash is not of this access token")


def check_userinfo(userinfo: Mapping[str, object], claims: SignedClaims) -> None:
    """5.3.2: without the same sub, nothing of userinfo may be used."""
    if userinfo.get("sub") != claims["sub"]:
        raise WrongSubject("userinfo has another sub")


def assertion(
    idp: IdentityProvider, claims: SignedClaims, userinfo: Mapping[str, object], id_token: str
) -> VerifiedAssertion:
    """``userinfo``: checked, or empty. Where both say something, the signed token counts.

    Raises: IdTokenMalformed, SubjectMissing.
    """
    session = {"sub": str(claims["sub"]), "id_token": id_token}
    if isinstance(claims.get("sid"), str):
        session["sid"] = str(claims["sid"])
    return VerifiedAssertion(
        idp=idp.id,
        subject=_subject(idp, claims),
        attributes=claim_texts.texts({**userinfo, **claims}),
        authn_instant=_instant(claims, "auth_time"),
        authn_context=_acr(claims),
        authn_methods=_amr(claims),
        session=session,
    )


def _subject(idp: IdentityProvider, claims: SignedClaims) -> str:
    """Entra ID's sub differs by application: tid/oid is the person (attributes.md section 5).

    Where it is the person's key, a real tenant must send it: with sub for a while, everybody would be somebody else later.
    """
    tenant, person = claims.get("tid"), claims.get("oid")
    if idp.dialect == ENTRA and isinstance(tenant, str) and isinstance(person, str) and tenant and person:
        return f"{tenant}/{person}"
    if idp.subject.source is None and entra.pinned_tenant(idp) is not None:
        detail = "oid is missing: the city's document must ask for the scope profile"
        raise SubjectMissing(detail, identity_provider=idp.id, attribute="oid")
    return str(claims["sub"])


def _acr(claims: SignedClaims) -> str | None:
    acr = claims.get("acr")
    if acr is not None and not isinstance(acr, str):
        raise IdTokenMalformed("acr is not text", check="acr")
    return acr or None


def _amr(claims: SignedClaims) -> tuple[str, ...]:
    amr = claims.get("amr", [])
    if not isinstance(amr, list) or not all(isinstance(each, str) for each in amr):
        raise IdTokenMalformed("amr is not a list of texts", check="amr")
    return tuple(amr)


def _instant(claims: SignedClaims, name: str) -> datetime | None:
    """A NumericDate (RFC 7519 2). Raises: IdTokenMalformed."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise IdTokenMalformed(f"{name} is not a time", check=name)
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise IdTokenMalformed(f"{name} is not a time", check=name) from error


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
