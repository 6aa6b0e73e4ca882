"""The only builder of record names: namespaced by what the record is, versioned, and never telling a secret.

``ks2`` is the form of all records together: a version of the broker that writes them otherwise counts it up, and then
neither reads the other's records.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256

_FORM = "ks2"


def transaction(id: str) -> str:
    """``id`` travels through browsers and is as good as a secret."""
    return f"{_FORM}:tx:{_hashed(id)}"


def message(issuer: str, message_id: str) -> str:
    """A message that was used. Both parts are a partner's, of any length."""
    return f"{_FORM}:seen:{_hashed(issuer, message_id)}"


def grant(kind: str, secret: str) -> str:
    """``kind``: our own word, ``code`` or ``access_token``. ``secret``: what the client holds."""
    return f"{_FORM}:grant:{kind}:{_hashed(secret)}"


def probe() -> str:
    """Holds nothing: written to see whether the store can be written."""
    return f"{_FORM}:probe"


def _hashed(*parts: str) -> str:
    # With its length before it, a part cannot run over into the next one.
    octets = b"".join(
        b"%d:%b" % (len(part), part) for part in (each.encode("utf-8", "surrogatepass") for each in parts)
    )
    return urlsafe_b64encode(sha256(octets).digest()).rstrip(b"=").decode("ascii")
