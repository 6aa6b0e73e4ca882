"""Clients that prove themselves by the certificate of their TLS connection (RFC 8705 2).

TLS ends at the proxy, which proves that the client holds the certificate's key; whose certificate it is, is judged here.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.x509 import verification

from broker.federation.model import OidcClient
from broker.login.ports import Clock
from broker.oidc.errors import InvalidClient
from broker.oidc.op.client_keys import ClientKeys


class ClientCertificates:
    """``authorities``: those who may vouch for a client by tls_client_auth; none: nobody is taken by that method."""

    def __init__(self, authorities: Sequence[x509.Certificate], keys: ClientKeys, clock: Clock) -> None:
        self._authorities = tuple(authorities)
        self._keys = keys
        self._clock = clock

    async def check(self, certificate: bytes | None, client: OidcClient) -> None:
        """``certificate``: DER. Raises: InvalidClient, ClientKeysUnavailable."""
        if certificate is None:
            raise InvalidClient("no client certificate")
        try:
            found = x509.load_der_x509_certificate(certificate)
        except ValueError as error:
            raise InvalidClient("the client certificate cannot be read") from error
        if client.token_endpoint_auth_method == "self_signed_tls_client_auth":
            check_dates(found, self._clock())
            check_registered(certificate, await self._keys.certificates(client))
        else:
            check_chain(found, self._authorities, self._clock())
            check_subject(found, client)


def check_dates(certificate: x509.Certificate, now: datetime) -> None:
    """Raises: InvalidClient."""
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise InvalidClient("the client certificate is not valid now")


def check_registered(certificate: bytes, registered: frozenset[bytes]) -> None:
    """RFC 8705 2.2: one of those in ``x5c`` of the client's keys. Raises: InvalidClient."""
    if not any(hmac.compare_digest(certificate, each) for each in registered):
        raise InvalidClient("the client certificate is not registered")


def check_chain(certificate: x509.Certificate, authorities: Sequence[x509.Certificate], now: datetime) -> None:
    """RFC 8705 2.1, RFC 5280 6: issued by an authority that we know, for client authentication. Raises: InvalidClient."""
    if not authorities:
        raise InvalidClient("no authority for client certificates is set")
    # Unlike those of web servers, a client's certificate may name it by its subject alone.
    leaf = verification.ExtensionPolicy.webpki_defaults_ee().may_be_present(
        x509.SubjectAlternativeName, verification.Criticality.AGNOSTIC, None
    )
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store([*authorities]))
        .time(now)
        .extension_policies(ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(), ee_policy=leaf)
        .build_client_verifier()
    )
    try:
        verifier.verify(certificate, [])
    except verification.VerificationError as error:
        raise InvalidClient("the client certificate is of no authority that we know, or not valid now") from error


def check_subject(certificate: x509.Certificate, client: OidcClient) -> None:
    """RFC 8705 2.1.2: the one name that the client registered. Raises: InvalidClient."""
    if client.tls_client_auth_subject_dn is not None:
        named = x509.Name.from_rfc4514_string(client.tls_client_auth_subject_dn) == certificate.subject
    else:
        named = _has_alternative_name(certificate, client)
    if not named:
        raise InvalidClient("the client certificate is another client's")


def _has_alternative_name(certificate: x509.Certificate, client: OidcClient) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    if client.tls_client_auth_san_dns is not None:
        found = names.get_values_for_type(x509.DNSName)
        return client.tls_client_auth_san_dns.lower() in {each.lower() for each in found}
    if client.tls_client_auth_san_uri is not None:
        return client.tls_client_auth_san_uri in names.get_values_for_type(x509.UniformResourceIdentifier)
    if client.tls_client_auth_san_ip is not None:
        return ip_address(client.tls_client_auth_san_ip) in names.get_values_for_type(x509.IPAddress)
    return client.tls_client_auth_san_email in names.get_values_for_type(x509.RFC822Name)
