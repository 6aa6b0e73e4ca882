"""Sealing: what the broker alone may read again of what it keeps (AES-256-GCM, NIST SP 800-38D).

Each purpose has a key of its own, derived from the ring's sealing key (HKDF, RFC 5869): what was sealed for one opens for no other.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_OCTETS = 12


class SealBroken(Exception):
    """Not sealed by us for this purpose and this thing, or changed since."""


class Sealer:
    """``key``: the ring's sealing key. ``purpose``: what is sealed, for example ``person``."""

    def __init__(self, key: bytes, purpose: str) -> None:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"kuntasilta seal {purpose}".encode()).derive(key)
        self._cipher = AESGCM(derived)

    def seal(self, plain: bytes, about: str) -> bytes:
        """``about``: names the one thing whose seal this is; it must be the same when it is opened."""
        nonce = os.urandom(_NONCE_OCTETS)
        return nonce + self._cipher.encrypt(nonce, plain, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        """Raises: SealBroken."""
        nonce, rest = sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:]
        try:
            return self._cipher.decrypt(nonce, rest, about.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken(f"not a seal for {about}") from error
