"""Sender-constrained tokens: which key or certificate a token is bound to, and whether its sender holds it
(RFC 9449 6, RFC 8705 3)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from broker.federation.model import OidcClient
from broker.oidc import jose
from broker.oidc.errors import CertificateMissing, InvalidDpopProof, InvalidToken

Confirmation = Mapping[str, str]
"""The ``cnf`` of a token (RFC 7800 3.1); empty: a bearer token."""

KEY, CERTIFICATE = "jkt", "x5t#S256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Thumbprints of what the sender of a request proved to hold: a key by DPoP, a certificate by TLS."""

    key: str | None = None
    certificate: str | None = None


def certificate_thumbprint(certificate: bytes | None) -> str | None:
    """RFC 8705 3.1. ``certificate``: DER."""
    return None if certificate is None else jose.base64url(hashlib.sha256(certificate).digest())


def confirmation(client: OidcClient, sender: Sender) -> Confirmation:
    """What a new access token is bound to: what the client registered, and a key wherever it proved one (RFC 9449 5).

    Raises: InvalidDpopProof, CertificateMissing.
    """
    found: dict[str, str] = {}
    if sender.key is not None:
        found[KEY] = sender.key
    elif client.dpop_bound_access_tokens:
        raise InvalidDpopProof("this client's tokens are bound to a key: the DPoP header is missing")
    if client.tls_client_certificate_bound_access_tokens:
        if sender.certificate is None:
            raise CertificateMissing("this client's tokens are bound to its certificate, and it showed none")
        found[CERTIFICATE] = sender.certificate
    return found


def token_type(bound: Confirmation) -> str:
    """RFC 6750, RFC 9449 5."""
    return "DPoP" if KEY in bound else "Bearer"


def check(bound: Confirmation, sender: Sender) -> None:
    """Raises: InvalidToken, when the token is in other hands than those it was given to."""
    if bound.get(KEY) != sender.key:
        raise InvalidToken("bound to another key, or used without one")
    if CERTIFICATE in bound and bound[CERTIFICATE] != sender.certificate:
        raise InvalidToken("bound to another certificate")
