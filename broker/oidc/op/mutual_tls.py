"""MutualTls: how clients that show a certificate reach us (RFC 8705)."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509


@dataclass(frozen=True, slots=True, kw_only=True)
class MutualTls:
    """``base_url``: where the proxy asks for certificates, if not at the broker's own address. ``authorities``: who may vouch
    for a client by tls_client_auth."""

    base_url: str | None = None
    authorities: tuple[x509.Certificate, ...] = ()
