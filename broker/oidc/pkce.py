"""Proof Key for Code Exchange, RFC 7636, with S256 alone: made toward cities, checked toward services."""

from __future__ import annotations

import hmac
import re
import secrets

from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]  # Authlib ships no types

METHOD = "S256"
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
# 32 octets in base64url, the only length that S256 makes.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


def new_verifier() -> str:
    """256 bits, as RFC 7636 7.1 wants."""
    return secrets.token_urlsafe(32)


def challenge_of(verifier: str) -> str:
    return str(create_s256_code_challenge(verifier))


def is_challenge(text: str) -> bool:
    return _CHALLENGE.fullmatch(text) is not None


def proves(verifier: str, challenge: str) -> bool:
    """RFC 7636 4.6, in constant time."""
    return _VERIFIER.fullmatch(verifier) is not None and hmac.compare_digest(challenge_of(verifier), challenge)
