"""The header of the client's certificate: believed of a trusted proxy alone (RFC 8705 6.5, RFC 9440)."""

from __future__ import annotations

from base64 import b64encode
from ipaddress import ip_network
from urllib.parse import quote

import pytest
from aiohttp.test_utils import make_mocked_request
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from broker.errors import MalformedMessage
from broker.keys.keyring import self_signed
from broker.web import client_certificate
from broker.web.client_certificate import ClientCertificateHeader
from tests.unit.oidc.parties import NOW

CERTIFICATE = self_signed(ec.generate_private_key(ec.SECP256R1()), "rooms", NOW)
DER = CERTIFICATE.public_bytes(Encoding.DER)
PEM = CERTIFICATE.public_bytes(Encoding.PEM).decode()
RFC9440 = f":{b64encode(DER).decode()}:"
PROXIES = (ip_network("127.0.0.0/8"),)


def of(
    *values: str, proxies: tuple[object, ...] = PROXIES, name: str = "Client-Cert", remote: str = "127.0.0.1"
) -> object:
    headers: CIMultiDict[str] = CIMultiDict([("Client-Cert", value) for value in values])
    request = make_mocked_request("POST", "/oidc/token", headers=headers).clone(remote=remote)
    return ClientCertificateHeader(name, proxies).of(request)  # type: ignore[arg-type]  # networks


@pytest.mark.parametrize("value", [RFC9440, quote(PEM), quote(PEM, safe=""), f" {RFC9440} "])
def test_rfc9440_2_2_the_certificate_as_proxies_write_it(value: str) -> None:
    assert of(value) == DER


@pytest.mark.parametrize("value", ["", " "])
def test_no_certificate_was_shown(value: str) -> None:
    assert of(value) is None
    assert of() is None


def test_rfc8705_6_5_whoever_is_no_trusted_proxy_is_not_believed() -> None:
    assert of(RFC9440, remote="192.0.2.1") is None
    assert of(RFC9440, proxies=()) is None
    assert of(RFC9440, name="") is None


@pytest.mark.parametrize(
    "values", [(":%:",), ("x",), ("%ff",), (quote("-----BEGIN CERTIFICATE-----"),), (RFC9440, RFC9440)]
)
def test_what_is_no_certificate_is_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(MalformedMessage):
        of(*values)


@given(st.text(max_size=200))
def test_whatever_stands_there_is_read_or_refused(value: str) -> None:
    try:
        found = client_certificate.read(value)
    except MalformedMessage:
        return
    assert isinstance(found, bytes)
