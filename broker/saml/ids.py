"""Identifiers of messages (saml-core 1.3.4)."""

from __future__ import annotations

import secrets


def new_id() -> str:
    """An xs:ID of 160 random bits; the clause asks for 128 to 160."""
    return f"_{secrets.token_hex(20)}"
