"""JOSE: the only module that knows a JOSE library. Signs our tokens, judges others', reads and writes key sets.

Keys are parsed once and kept as objects. An algorithm counts only with a key that is made for it, so that no public key can
be taken for a shared secret, and nothing in a token's own header (``jwk``, ``jku``, ``x5u``, ``x5c``) leads to a key.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NewType

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc import jwe
from joserfc.errors import JoseError as JoserfcError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.api_jws import PyJWS
from jwt.exceptions import InvalidSignatureError, PyJWTError

from broker.keys.keyring import KeyRing, KeyRingError, KeyUse, PrivateKey
from broker.oidc import json_object

ACCEPTED_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
"""With which others may sign for us (RFC 8725 3.1: an explicit list, asymmetric only)."""

SIGNING_KEYS: Mapping[str, type[PrivateKey]] = {
    "RS256": rsa.RSAPrivateKey,
    "PS256": rsa.RSAPrivateKey,
    "ES256": ec.EllipticCurvePrivateKey,
    "EdDSA": ed25519.Ed25519PrivateKey,
}
"""With which we sign."""

KEY_ENCRYPTION = ("RSA-OAEP-256", "RSA-OAEP", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW")
CONTENT_ENCRYPTION = ("A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM")
"""By which we encrypt for a client (RFC 7518 4.1, 5.1); without RSA1_5, whose padding is an oracle."""

MAX_TOKEN_CHARACTERS = 100_000
MAX_KEYS = 100
"""Of one key set. The largest providers publish about ten, and twice as many while they roll over. Each token is compared with
all of them, so a set without a bound would let a city make every one of its logins dear.
"""
_RSA_BITS = range(2048, 8193)
_THUMBPRINT_MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "EdDSA": "Ed25519"}
_KINDS = {"ES256": "EC", "ES384": "EC", "EdDSA": "OKP"}
_PUBLIC_MEMBERS = ("kty", "n", "e", "crv", "x", "y")
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# Without "none", so that it cannot be reached by a mistake in a list.
_JWS = PyJWS(algorithms=ACCEPTED_ALGORITHMS)

SignedClaims = NewType("SignedClaims", Mapping[str, object])
"""Claims whose signature was verified; nothing else about them was judged."""

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class JoseError(Exception):
    """A token or key set cannot be used. The text holds nothing of it."""


class TokenMalformed(JoseError):
    """Not a signed JWT in compact form (RFC 7515 7.1), or of another type than a JWT."""


class AlgorithmRefused(JoseError):
    """``alg`` is not one that we accept: ``none``, an HMAC, or unknown."""


class KeyUnknown(JoseError):
    """No key of the issuer fits ``kid`` and ``alg``, or several do."""


class SignatureWrong(JoseError):
    """The signature is not by that key."""


class KeySetUnusable(JoseError):
    """Not a JWK Set (RFC 7517 section 5)."""


class KeySet:
    """An issuer's public keys. Each is parsed when it is first needed."""

    def __init__(self, jwks: Sequence[Mapping[str, object]]) -> None:
        self._jwks = tuple(jwks)
        self._parsed: dict[tuple[int, str], PublicKey] = {}

    def find(self, kid: str | None, algorithm: str) -> PublicKey:
        """The one key that fits. Without ``kid`` there must be but one that could (OIDC Core 10.1). Raises: KeyUnknown."""
        fitting = [index for index, jwk in enumerate(self._jwks) if _fits(jwk, kid, algorithm)]
        if len(fitting) != 1:
            raise KeyUnknown(f"{len(fitting)} keys fit")
        index = fitting[0]
        parsed = self._parsed.get((index, algorithm))
        if parsed is None:
            parsed = self._parsed[index, algorithm] = _parse(self._jwks[index], algorithm)
        return parsed

    def encrypt(self, token: str, algorithm: str, content: str) -> str:
        """A signed token for the owner of these keys alone (RFC 7516, OIDC Core 10.2). Raises: KeyUnknown."""
        fitting = [jwk for jwk in self._jwks if _fits_encryption(jwk, algorithm)]
        if not fitting:
            raise KeyUnknown(f"no key for {algorithm}")
        jwk = fitting[0]
        kid = {"kid": jwk["kid"]} if isinstance(jwk.get("kid"), str) else {}
        header = {"alg": algorithm, "enc": content, "cty": "JWT", **kid}
        try:
            key = import_key({name: str(jwk[name]) for name in _PUBLIC_MEMBERS if name in jwk})
            assert isinstance(key, RSAKey | ECKey | OKPKey), "no other kind fits"
            return jwe.encrypt_compact(header, token, key, algorithms=[algorithm, content])
        except (JoserfcError, ValueError, TypeError) as error:
            raise KeyUnknown("not a key") from error

    def certificates(self) -> frozenset[bytes]:
        """The certificate of each key that has one, as DER (RFC 7517 4.7: the first of ``x5c``)."""
        return frozenset(_certificates(self._jwks))


def read_key_set(body: bytes) -> KeySet:
    """A partner's JWKS. Raises: KeySetUnusable."""
    try:
        keys = json_object.read(body).get("keys")
    except ValueError as error:
        raise KeySetUnusable("not a JSON object") from error
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise KeySetUnusable(f"has no list of at most {MAX_KEYS} keys")
    return KeySet([key for key in keys if isinstance(key, dict)])


def verify(token: str, keys: KeySet, *, types: tuple[str, ...] = ("JWT",)) -> tuple[SignedClaims, str]:
    """The token's claims and the algorithm of its signature, which is right. ``types``: of the header's ``typ``, in capitals;
    a token without one is a JWT.

    Raises: TokenMalformed, AlgorithmRefused, KeyUnknown, SignatureWrong.
    """
    header = _header(token)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ACCEPTED_ALGORITHMS:
        raise AlgorithmRefused("alg")
    # RFC 8725 3.11: another kind of JWT (at+jwt, logout+jwt) is not taken for this one.
    if str(header.get("typ", "JWT")).upper() not in types:
        raise TokenMalformed("typ")
    key = keys.find(kid if isinstance(kid, str) else None, algorithm)
    try:
        payload = _JWS.decode(token, key, algorithms=[algorithm])
        return SignedClaims(json_object.read(payload)), algorithm
    except InvalidSignatureError as error:
        raise SignatureWrong("signature") from error
    except (PyJWTError, ValueError) as error:
        raise TokenMalformed("payload") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """``thumbprint``: of the key that a token shows and is signed by (RFC 7638)."""

    claims: SignedClaims
    thumbprint: str


def verify_shown_key(token: str, *, type: str, algorithms: Sequence[str]) -> Proven:
    """A token whose header shows the key that it is signed by: whoever made it holds that key, and nothing more is proven
    (RFC 9449 4.2, 4.3).

    Raises: TokenMalformed, AlgorithmRefused, KeyUnknown, SignatureWrong.
    """
    header = _header(token)
    if header.get("typ") != type:
        raise TokenMalformed("typ")
    if header.get("alg") not in algorithms:
        raise AlgorithmRefused("alg")
    jwk = header.get("jwk")
    if not isinstance(jwk, dict) or jwk.keys() & _PRIVATE_MEMBERS:
        raise TokenMalformed("jwk is missing, or holds a private key")
    public = {name: jwk[name] for name in _PUBLIC_MEMBERS if name in jwk}
    claims, _ = verify(token, _WithoutId([public]), types=(type.upper(),))
    return Proven(claims=claims, thumbprint=thumbprint(public))


class _WithoutId(KeySet):
    """The one key there is, whatever ``kid`` stands beside it."""

    def find(self, kid: str | None, algorithm: str) -> PublicKey:
        return super().find(None, algorithm)


def thumbprint(jwk: Mapping[str, object]) -> str:
    """RFC 7638 3, by SHA-256. ``jwk``: of a key that was parsed."""
    members = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[str(jwk["kty"])]}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return base64url(hashlib.sha256(text.encode("utf-8")).digest())


def base64url(octets: bytes) -> str:
    """RFC 7515 2: without padding."""
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def from_base64url(text: bytes) -> bytes:
    """Raises: ValueError."""
    return urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def numeric_date(claims: Mapping[str, object], name: str) -> float | None:
    """RFC 7519 2: seconds since 1970; None where the claim is missing. Raises: TokenMalformed."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e11 < value < 1e11:
        raise TokenMalformed(f"{name} is not a time")
    return float(value)


def unverified(token: str, name: str) -> str | None:
    """A claim of a token whose signature nobody has looked at: for finding the keys to judge it by, and nothing else."""
    try:
        claims = json_object.read(_JWS.decode(token, options={"verify_signature": False}))
    except (PyJWTError, ValueError, RecursionError):
        return None
    value = claims.get(name)
    return value if isinstance(value, str) else None


def half_hash(value: str, algorithm: str) -> str:
    """at_hash and c_hash: the left half of the hash that ``algorithm`` names (OIDC Core 3.1.3.6); Ed25519's is SHA-512."""
    name = "sha512" if algorithm == "EdDSA" else f"sha{algorithm[-3:]}"
    digest = hashlib.new(name, value.encode("utf-8")).digest()
    return base64url(digest[: len(digest) // 2])


@dataclass(frozen=True, slots=True)
class _SigningKey:
    kid: str
    private: PrivateKey


class Signer:
    """The broker's keys for OpenID Connect, ready for use."""

    def __init__(self, keys: KeyRing) -> None:
        self._active = {algorithm: key for algorithm in SIGNING_KEYS if (key := _active(keys, algorithm))}
        self._jwks = [_public_jwk(key.private, key.kid) for key in keys.published(KeyUse.OIDC_SIGNING)]

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Those for which there is a key; RS256 first, which every client must understand (OIDC Core 15.1)."""
        return tuple(self._active)

    def sign(self, claims: Mapping[str, object], algorithm: str, *, type: str = "JWT") -> str:
        """``type``: the header's ``typ``, which keeps one kind of token from being taken for another (RFC 8725 3.11).

        Raises: KeyRingError, if there is no key for ``algorithm``.
        """
        key = self._active.get(algorithm)
        if key is None:
            raise KeyRingError(f"no active key for {algorithm}")
        return _JWS.encode(json_object.write(claims), key.private, algorithm, headers={"typ": type, "kid": key.kid})

    def jwks(self) -> dict[str, object]:
        """Every published key, the public halves only."""
        return {"keys": self._jwks}

    def key_set(self) -> KeySet:
        """Our own keys, to judge a token that we signed."""
        return KeySet(self._jwks)


def _active(keys: KeyRing, algorithm: str) -> _SigningKey | None:
    try:
        key = keys.active(KeyUse.OIDC_SIGNING, SIGNING_KEYS[algorithm])
    except KeyRingError:
        return None
    return _SigningKey(key.kid, key.private)


def _public_jwk(private: PrivateKey, kid: str) -> dict[str, object]:
    """Without ``alg`` for RSA: one key signs by RS256 and by PS256, as each client registered (RFC 7517 4.4)."""
    stated: dict[str, str] = {}
    match private:
        case rsa.RSAPrivateKey():
            jwk = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case ec.EllipticCurvePrivateKey():
            jwk, stated = ECAlgorithm.to_jwk(private.public_key(), as_dict=True), {"alg": "ES256"}
        case ed25519.Ed25519PrivateKey():
            jwk, stated = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True), {"alg": "EdDSA"}
    return {name: jwk[name] for name in _PUBLIC_MEMBERS if name in jwk} | {"use": "sig", "kid": kid, **stated}


def _header(token: str) -> Mapping[str, object]:
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise TokenMalformed("too long")
    try:
        return _JWS.get_unverified_header(token)
    except (PyJWTError, ValueError, RecursionError) as error:
        raise TokenMalformed("header") from error


def _fits(jwk: Mapping[str, object], kid: str | None, algorithm: str) -> bool:
    """RFC 7517 4: kind, curve, use, algorithm and id of the key, as far as it states them."""
    return (
        jwk.get("kty") == _KINDS.get(algorithm, "RSA")
        and jwk.get("crv") == _CURVES.get(algorithm)
        and jwk.get("use", "sig") == "sig"
        and jwk.get("alg", algorithm) == algorithm
        and (kid is None or jwk.get("kid") == kid)
    )


def _fits_encryption(jwk: Mapping[str, object], algorithm: str) -> bool:
    """As ``_fits``, for a key that is encrypted to: one that says nothing of its use counts (RFC 7517 4.2)."""
    kinds = ("RSA",) if algorithm.startswith("RSA") else ("EC", "OKP")
    of_a_curve = jwk.get("kty") != "OKP" or jwk.get("crv") == "X25519"
    return (
        jwk.get("kty") in kinds
        and of_a_curve
        and jwk.get("use", "enc") == "enc"
        and jwk.get("alg", algorithm) == algorithm
    )


def _certificates(jwks: Sequence[Mapping[str, object]]) -> Iterator[bytes]:
    for jwk in jwks:
        chain = jwk.get("x5c")
        if isinstance(chain, list) and chain and isinstance(chain[0], str):
            with contextlib.suppress(ValueError):
                yield b64decode(chain[0], validate=True)


def _parse(jwk: Mapping[str, object], algorithm: str) -> PublicKey:
    try:
        key = PyJWK({name: jwk[name] for name in _PUBLIC_MEMBERS if name in jwk}, algorithm).key
    except (PyJWTError, ValueError, TypeError, KeyError) as error:
        raise KeyUnknown("not a key") from error
    if isinstance(key, rsa.RSAPublicKey) and key.key_size not in _RSA_BITS:
        raise KeyUnknown("an RSA key of an unsafe size")
    if not isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)):
        raise KeyUnknown("not a public key")
    return key
