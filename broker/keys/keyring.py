"""KeyRing: the broker's own keys, read from PEM files under ``BROKER_CERTS_DIR``; made by ``broker keys create``.

    saml-signing/active.key.pem      RSA, with active.crt.pem; next.* and previous.* beside it during a rollover
    saml-encryption/active.key.pem   RSA, with active.crt.pem
    metadata-signing/active.key.pem  RSA, with active.crt.pem
    oidc-signing/active.rsa.key.pem, active.ec.key.pem
    subject-identifiers/subject.key, pairwise.key   32 random octets each, in hexadecimal; never rotated
    sealing/active.key               32 random octets in hexadecimal

Files are made with mode 0600 in folders of mode 0700, and a key that others may read is refused.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
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
        for key in self.keys[use]:
            if key.state is KeyState.ACTIVE and isinstance(key.private, algorithm):
                return key
        raise KeyRingError(f"no active {algorithm.__name__} for {use}")

    def published(self, use: KeyUse) -> tuple[Key, ...]:
        """Every key that partners should know: the active one first, then next, then previous."""
        order = (KeyState.ACTIVE, KeyState.NEXT, KeyState.PREVIOUS)
        return tuple(sorted(self.keys[use], key=lambda key: order.index(key.state)))


def create(folder: Path, *, common_name: str, now: datetime, rsa_bits: int = 2048) -> list[Path]:
    """Makes every key that is missing, and only those; returns the files made. ``common_name``: the broker's host name."""
    made: list[Path] = []
    for use in (KeyUse.SAML_SIGNING, KeyUse.SAML_ENCRYPTION, KeyUse.METADATA_SIGNING):
        path = folder / use / "active.key.pem"
        if not path.exists():
            private = rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
            certificate = _self_signed(private, f"{common_name} {use}", now)
            made += [_write(path, _pem(private)), _write(path.with_name("active.crt.pem"), certificate)]
    for name, private_key in _oidc_keys_missing(folder / KeyUse.OIDC_SIGNING, rsa_bits):
        made.append(_write(folder / KeyUse.OIDC_SIGNING / name, _pem(private_key)))
    for use, name in (
        (KeyUse.SUBJECT_IDENTIFIERS, "subject.key"),
        (KeyUse.SUBJECT_IDENTIFIERS, "pairwise.key"),
        (KeyUse.SEALING, "active.key"),
    ):
        path = folder / use / name
        if not path.exists():
            made.append(_write(path, secrets.token_hex(32).encode() + b"\n"))
    return made


def load(folder: Path) -> KeyRing:
    """Reads every key. Raises: KeyRingError, naming the file and what to do."""
    keys = {
        use: tuple(_load_use(folder, use))
        for use in (KeyUse.SAML_SIGNING, KeyUse.SAML_ENCRYPTION, KeyUse.METADATA_SIGNING, KeyUse.OIDC_SIGNING)
    }
    identifiers = folder / KeyUse.SUBJECT_IDENTIFIERS
    ring = KeyRing(
        keys=keys,
        subject=SubjectKeys(
            subject=_secret(identifiers / "subject.key"), pairwise=_secret(identifiers / "pairwise.key")
        ),
        sealing=_secret(folder / KeyUse.SEALING / "active.key"),
    )
    for use in (KeyUse.SAML_SIGNING, KeyUse.SAML_ENCRYPTION, KeyUse.METADATA_SIGNING, KeyUse.OIDC_SIGNING):
        ring.active(use)
    return ring


def _oidc_keys_missing(folder: Path, rsa_bits: int) -> list[tuple[str, PrivateKey]]:
    missing: list[tuple[str, PrivateKey]] = []
    if not (folder / "active.rsa.key.pem").exists():
        missing.append(("active.rsa.key.pem", rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)))
    if not (folder / "active.ec.key.pem").exists():
        missing.append(("active.ec.key.pem", ec.generate_private_key(ec.SECP256R1())))
    return missing


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
        if not isinstance(private, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
            raise KeyRingError(f"{path}: must be an RSA or EC key")
        certificate_path = path.with_name(path.name.replace(".key.pem", ".crt.pem"))
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


def _self_signed(private: rsa.RSAPrivateKey, common_name: str, now: datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + CERTIFICATE_LIFETIME)
        .sign(private, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)
