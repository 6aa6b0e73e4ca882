"""Artifacts: what stands for a message that is fetched from server to server (saml-bindings 3.6.4)."""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha1

from broker.saml.bindings import BindingRefused, strict_base64

_TYPE = b"\x00\x04"
_SOURCE_ID, _HANDLE = 20, 20
_OCTETS = len(_TYPE) + 2 + _SOURCE_ID + _HANDLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """``endpoint_index``: of the issuer's ArtifactResolutionService. ``source_id``: names the issuer."""

    endpoint_index: int
    source_id: bytes


def new_artifact(entity_id: str, endpoint_index: int = 0) -> str:
    """An artifact of type 0x0004 with a handle of 160 random bits: whoever holds it may still only ask for it as itself."""
    handle = secrets.token_bytes(_HANDLE)
    return b64encode(_TYPE + endpoint_index.to_bytes(2, "big") + source_id(entity_id) + handle).decode("ascii")


def read_artifact(text: str) -> Artifact:
    """Raises: BindingRefused."""
    octets = strict_base64(text)
    if len(octets) != _OCTETS or not octets.startswith(_TYPE):
        raise BindingRefused("not an artifact of type 0x0004")
    return Artifact(endpoint_index=int.from_bytes(octets[2:4], "big"), source_id=octets[4 : 4 + _SOURCE_ID])


def source_id(entity_id: str) -> bytes:
    """saml-bindings 3.6.4.2: the SHA-1 of the entityID. It is a name; nothing rests on its strength."""
    return sha1(entity_id.encode("utf-8"), usedforsecurity=False).digest()
