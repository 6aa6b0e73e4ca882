"""KeyRing: the broker's own keys, read from PEM files under ``BROKER_CERTS_DIR``; made by ``broker keys create``.

    saml-signing/active.key.pem      RSA, with active.crt.pem; next.* and previous.* beside it during a rollover
    saml-signing/active.ec.key.pem   EC, with active.ec.crt.pem; only where services prefer ECDSA
    saml-encryption/active.key.pem   RSA, with active.crt.pem
    metadata-signing/active.key.pem  RSA, with active.crt.pem
    oidc-signing/active.rsa.key.pem, active.ec.key.pem, active.ed25519.key.pem
    subject-identifiers/subject.key, pairwise.key   32 random octets each, in hexadecimal; never rotated
    sealing/active.key               32 random octets in hexadecimal

Files are made with mode 0600 in folders of mode 0700, and a key that others may read is refused.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
"""Ed25519 is for OpenID Connect alone."""
SamlPrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
CERTIFICATE_LIFETIME = timedelta(days=3 * 365)


class KeyRingError(Exception):
    """The keys are missing, unreadable or unsafe. The message names the file and what to do."""


class KeyUse(StrEnum):
    SAML_SIGNING = "saml-signing"
    SAML_ENCRYPTION = "saml-encryption"
    METADATA_SIGNING = "metadata-signing"
    OIDC_SIGNING = "oidc-signing"
    SUBJECT_IDENTIFIERS = "subject-identifiers"
    SEALING = "sealing"


ROLLING = (KeyUse.SAML_SIGNING, KeyUse.SAML_ENCRYPTION, KeyUse.METADATA_SIGNING, KeyUse.OIDC_SIGNING)
"""The uses whose keys roll over; the secrets behind identifiers never do."""


class KeyState(StrEnum):
    """next: published, not yet used. active: used. previous: published, so that what it signed can be verified."""

    NEXT = "next"
    ACTIVE = "active"
    PREVIOUS = "previous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """``kid``: the RFC 7638-like fingerprint of the public key. ``certificate``: PEM, for SAML uses only."""

    use: KeyUse
    state: KeyState
    kid: str
    private: PrivateKey = field(repr=False)
    private_pem: bytes = field(repr=False)
    certificate: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectKeys:
    """K_sub and K_pair of attributes.md section 2.1: kept for the life of the federation, losing them changes everyone."""

    subject: bytes = field(repr=False)
    pairwise: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    keys: Mapping[KeyUse, tuple[Key, ...]]
    subject: SubjectKeys
    sealing: bytes = field(repr=False)

    def active(self, use: KeyUse, algorithm: type[PrivateKey] = rsa.RSAPrivateKey) -> Key:
        """The key that signs or decrypts now. Raises: KeyRingError, if there is none of that kind."""
        for key in self.all_active(use):
            if isinstance(key.private, algorithm):
                return key
        raise KeyRingError(f"no active {algorithm.__name__} for {use}")

    def all_active(self, use: KeyUse) -> tuple[Key, ...]:
        """The keys that sign or decrypt now, RSA before EC."""
        return tuple(key for key in self.published(use) if key.state is KeyState.ACTIVE)

    def published(self, use: KeyUse) -> tuple[Key, ...]:
        """Every key that partners should know: the active ones first, then next, then previous; RSA before EC, since some
        partners take the first that they see."""
        order = (KeyState.ACTIVE, KeyState.NEXT, KeyState.PREVIOUS)
        return tuple(sorted(self.keys[use], key=lambda key: (order.index(key.state), not is_rsa(key))))


_SAML_KINDS = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)
_OIDC_KINDS = (*_SAML_KINDS, ed25519.Ed25519PrivateKey)


def create(folder: Path, *, common_name: str, now: datetime, rsa_bits: int = 2048) -> list[Path]:
    """Makes every key that is missing, and only those; returns the files made. ``common_name``: the broker's host name."""
    made: list[Path] = []
    for use in ROLLING:
        made += _make(folder / use, KeyState.ACTIVE, f"{common_name} {use}", now, rsa_bits)
    for path in _secret_files(folder):
        if not path.exists():
            made.append(_write(path, secrets.token_hex(32).encode() + b"\n"))
    return made


def create_next(folder: Path, use: KeyUse, *, common_name: str, now: datetime, rsa_bits: int = 2048) -> list[Path]:
    """Makes the next key of ``use``, to be published beside the active one. Raises: KeyRingError, if there is one."""
    return _announced(folder, use, _make(folder / use, KeyState.NEXT, f"{common_name} {use}", now, rsa_bits))


def create_next_ec(folder: Path, *, common_name: str, now: datetime) -> list[Path]:
    """Makes the next EC key of SAML signing, beside the RSA keys, which stay as they are. Raises: KeyRingError, if there is
    one."""
    use = KeyUse.SAML_SIGNING
    path = folder / use / f"{KeyState.NEXT}.ec.key.pem"
    return _announced(folder, use, _make_pair(path, _new_ec, f"{common_name} {use}", now))


def _announced(folder: Path, use: KeyUse, made: list[Path]) -> list[Path]:
    if not made:
        raise KeyRingError(f"{folder / use}: a next key is there already; `broker keys rotate {use}` takes it into use")
    return made


def rotate(folder: Path, use: KeyUse) -> list[tuple[Path, Path]]:
    """next → active → previous, for each kind that has a next key; the former previous one is removed. Returns each file's
    name before and after.

    Raises: KeyRingError, if there is no next key.
    """
    files = sorted((folder / use).glob(f"{KeyState.NEXT}.*.pem"))
    if not files:
        raise KeyRingError(f"{folder / use}: no next key; make it with `broker keys create --next {use}`")
    moved: list[tuple[Path, Path]] = []
    for state, becomes in ((KeyState.ACTIVE, KeyState.PREVIOUS), (KeyState.NEXT, KeyState.ACTIVE)):
        for path in (each.with_name(each.name.replace(KeyState.NEXT, state, 1)) for each in files):
            if path.exists():
                target = path.with_name(path.name.replace(state, becomes, 1))
                path.replace(target)
                moved.append((path, target))
    return moved


def is_rsa(key: Key) -> bool:
    return isinstance(key.private, rsa.RSAPrivateKey)


def kind_of(key: Key) -> str:
    """``RSA 2048``, ``EC secp256r1`` or ``Ed25519``."""
    match key.private:
        case rsa.RSAPrivateKey():
            return f"RSA {key.private.key_size}"
        case ec.EllipticCurvePrivateKey():
            return f"EC {key.private.curve.name}"
    return "Ed25519"


def valid_until(key: Key) -> datetime | None:
    """When the certificate ends; None for a key without one."""
    return x509.load_pem_x509_certificate(key.certificate).not_valid_after_utc if key.certificate else None


def load(folder: Path) -> KeyRing:
    """Reads every key. Raises: KeyRingError, naming the file and what to do."""
    keys = {use: tuple(_load_use(folder, use)) for use in ROLLING}
    subject, pairwise, sealing = (_secret(path) for path in _secret_files(folder))
    ring = KeyRing(keys=keys, subject=SubjectKeys(subject=subject, pairwise=pairwise), sealing=sealing)
    for use in ROLLING:
        ring.active(use)
    return ring


def sealing_key(folder: Path) -> bytes:
    """The sealing key alone. Raises: KeyRingError, naming the file and what to do."""
    return _secret(_sealing_file(folder))


def _make(folder: Path, state: KeyState, common_name: str, now: datetime, rsa_bits: int) -> list[Path]:
    """The key files of one use and state that are missing. OIDC has one of each kind, and no certificates."""
    if folder.name == KeyUse.OIDC_SIGNING:
        makers: dict[str, Callable[[], PrivateKey]] = {
            f"{state}.rsa.key.pem": partial(_new_rsa, rsa_bits),
            f"{state}.ec.key.pem": _new_ec,
            f"{state}.ed25519.key.pem": ed25519.Ed25519PrivateKey.generate,
        }
        return [_write(folder / name, _pem(make())) for name, make in makers.items() if not (folder / name).exists()]
    return _make_pair(folder / f"{state}.key.pem", partial(_new_rsa, rsa_bits), common_name, now)


def _make_pair(path: Path, make: Callable[[], SamlPrivateKey], common_name: str, now: datetime) -> list[Path]:
    """A key and its certificate, unless they are there."""
    if path.exists():
        return []
    private = make()
    return [
        _write(path, _pem(private)),
        _write(_certificate_path(path), self_signed(private, common_name, now).public_bytes(Encoding.PEM)),
    ]


def _certificate_path(key_path: Path) -> Path:
    return key_path.with_name(key_path.name.replace(".key.pem", ".crt.pem"))


def _new_rsa(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def _new_ec() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _secret_files(folder: Path) -> tuple[Path, ...]:
    identifiers = folder / KeyUse.SUBJECT_IDENTIFIERS
    return identifiers / "subject.key", identifiers / "pairwise.key", _sealing_file(folder)


def _sealing_file(folder: Path) -> Path:
    return folder / KeyUse.SEALING / "active.key"


def _load_use(folder: Path, use: KeyUse) -> list[Key]:
    found = []
    for path in sorted((folder / use).glob("*.key.pem")):
        state = path.name.split(".", 1)[0]
        if state not in set(KeyState):
            raise KeyRingError(f"{path}: the name must begin with next, active or previous")
        pem = _read(path)
        try:
            private = load_pem_private_key(pem, None)
        except (ValueError, TypeError) as error:
            raise KeyRingError(f"{path}: not an unencrypted PEM private key ({error})") from error
        if not isinstance(private, _OIDC_KINDS if use is KeyUse.OIDC_SIGNING else _SAML_KINDS):
            kinds = "RSA, EC or Ed25519" if use is KeyUse.OIDC_SIGNING else "RSA or EC"
            raise KeyRingError(f"{path}: must be an {kinds} key")
        certificate_path = _certificate_path(path)
        certificate = certificate_path.read_bytes() if certificate_path.exists() else None
        if certificate is None and use is not KeyUse.OIDC_SIGNING:
            raise KeyRingError(f"{certificate_path}: missing; every SAML key needs its certificate")
        found.append(
            Key(
                use=use,
                state=KeyState(state),
                kid=_fingerprint(private),
                private=private,
                private_pem=pem,
                certificate=certificate,
            )
        )
    if not found:
        raise KeyRingError(f"{folder / use}: no key here; make the keys with `broker keys create`")
    return found


def _secret(path: Path) -> bytes:
    try:
        value = bytes.fromhex(_read(path).decode("ascii").strip())
    except ValueError as error:
        raise KeyRingError(f"{path}: must hold hexadecimal digits") from error
    if len(value) < 32:
        raise KeyRingError(f"{path}: must hold at least 32 octets in hexadecimal")
    return value


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if mode & 0o077:
            raise KeyRingError(f"{path}: others may read it (mode {mode & 0o777:o}); do `chmod 600` on it")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise KeyRingError(f"{path}: missing; make the keys with `broker keys create`") from error


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return path


def _pem(private: PrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _fingerprint(private: PrivateKey) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex()[:16]


def self_signed(
    private: SamlPrivateKey, common_name: str, now: datetime, lifetime: timedelta = CERTIFICATE_LIFETIME
) -> x509.Certificate:
    """Good from an hour ago, since partners' clocks differ."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + lifetime)
        .sign(private, hashes.SHA256())
    )
