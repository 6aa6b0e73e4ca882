"""ClientSecrets: secrets of registered clients that nobody stores.

Each is derived from the key ring's sealing key, from whose it is and what for, and from a nonce that stands in the document
(``generated:NONCE``). Whoever reads the documents learns nothing by the nonce, every worker knows the secret, and another nonce
is another secret.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import cached_property

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_LABEL = b"kuntasilta secrets of registered clients 1"


class ClientSecrets:
    """``sealing``: gives the sealing key, when the first secret is asked for. Raises: KeyRingError."""

    def __init__(self, sealing: Callable[[], bytes]) -> None:
        self._sealing = sealing

    def of(self, owner: str, nonce: str) -> str:
        """43 characters of RFC 4648 5. ``owner``: whose secret and which, without a NUL. Raises: KeyRingError."""
        message = f"{owner}\0{nonce}".encode()
        return urlsafe_b64encode(hmac.digest(self._key, message, "sha256")).rstrip(b"=").decode("ascii")

    @cached_property
    def _key(self) -> bytes:
        """RFC 5869; with a label of its own, so that nothing else that the sealing key makes is ever one of these."""
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=_LABEL).derive(self._sealing())
