"""RFC 8705: clients that prove themselves by a TLS certificate, and tokens that are bound to it. X.509 after RFC 5280."""

from __future__ import annotations

import ipaddress
import json
from base64 import b64encode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from broker.keys.keyring import KeyRing
from broker.oidc.op.http import HttpAnswer
from broker.oidc.op.mutual_tls import MutualTls
from tests.unit.oidc.parties import EC_KEY, NOW, REFRESHING, ServiceSide, error_of, json_of, public_jwk

DN = "CN=rooms,O=Ulvila,C=FI"
Pair = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


def issued(
    subject: str = DN,
    by: Pair | None = None,
    *,
    authority: bool = False,
    names: list[x509.GeneralName] | None = None,
    usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH,
    now: datetime = NOW,
) -> Pair:
    """A certificate of the authority ``by``, or self-signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string(subject)
    signer = by[0] if by else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by[1].subject if by else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if authority:
        may_sign = x509.KeyUsage(
            digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        builder = builder.add_extension(may_sign, critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usage and not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return key, builder.sign(signer, hashes.SHA256())


def der(pair: Pair) -> bytes:
    return pair[1].public_bytes(Encoding.DER)


AUTHORITY = issued("CN=Authority", authority=True)
ANOTHER = issued("CN=Another", authority=True)
MINE = issued(by=AUTHORITY)


@pytest.fixture
def side(keys: KeyRing) -> ServiceSide:
    """The service proves itself by a certificate of the authority that we know."""
    side = ServiceSide(keys=keys, mutual_tls=MutualTls(authorities=(AUTHORITY[1],)))
    register(side, tls_client_auth_subject_dn=DN)
    side.certificate = der(MINE)
    return side


def register(side: ServiceSide, method: str = "tls_client_auth", **changes: Any) -> None:
    side.register(token_endpoint_auth_method=method, client_secret=None, **changes)


async def exchange(side: ServiceSide, certificate: bytes | None, authorization: str | None = None) -> HttpAnswer:
    side.certificate = certificate
    return await side.exchange(await side.code(), authorization, client_id="rooms")


# --- 2.1 PKI Mutual-TLS Method ------------------------------------------------------------------------------------------------


async def test_2_1_a_certificate_of_a_known_authority_with_the_registered_subject(side: ServiceSide) -> None:
    assert (await exchange(side, der(MINE))).status == 200


@pytest.mark.parametrize(
    ("registered", "name"),
    [
        ({"tls_client_auth_san_dns": "rooms.example"}, x509.DNSName("Rooms.Example")),
        ({"tls_client_auth_san_uri": "urn:rooms"}, x509.UniformResourceIdentifier("urn:rooms")),
        ({"tls_client_auth_san_ip": "2001:db8::1"}, x509.IPAddress(ipaddress.ip_address("2001:db8::1"))),
        ({"tls_client_auth_san_email": "it@rooms.example"}, x509.RFC822Name("it@rooms.example")),
    ],
)
async def test_2_1_2_the_one_name_that_is_registered(
    side: ServiceSide, registered: dict[str, str], name: x509.GeneralName
) -> None:
    register(side, **registered)
    assert (await exchange(side, der(issued("CN=x", AUTHORITY, names=[name])))).status == 200
    other = x509.DNSName("other.example")
    for certificate in (issued("CN=x", AUTHORITY, names=[other]), issued("CN=rooms.example", AUTHORITY)):
        assert error_of(await exchange(side, der(certificate)), 401) == "invalid_client"


REFUSED = {
    "none": None,
    "empty": b"",
    "no_certificate": b"0\x82",
    "of_another_authority": der(issued(by=ANOTHER)),
    "self_signed": der(issued()),
    "another_subject": der(issued("CN=wiki,O=Ulvila,C=FI", AUTHORITY)),
    "a_subject_with_more": der(issued("CN=rooms,OU=x,O=Ulvila,C=FI", AUTHORITY)),
    "a_subject_in_another_order": der(issued("C=FI,O=Ulvila,CN=rooms", AUTHORITY)),
    "for_servers": der(issued(by=AUTHORITY, usage=ExtendedKeyUsageOID.SERVER_AUTH)),
    "expired": der(issued(by=AUTHORITY, now=NOW - timedelta(days=9))),
    "not_yet": der(issued(by=AUTHORITY, now=NOW + timedelta(days=9))),
    "the_authority_itself": der(AUTHORITY),
    "by_a_certificate_that_is_no_authority": der(issued(by=MINE)),
}


@pytest.mark.parametrize("certificate", REFUSED.values(), ids=REFUSED.keys())
async def test_2_1_another_certificate_is_refused(side: ServiceSide, certificate: bytes | None) -> None:
    assert error_of(await exchange(side, certificate), 401) == "invalid_client"


async def test_2_1_without_a_known_authority_nobody_is_taken(keys: KeyRing) -> None:
    side = ServiceSide(keys=keys, mutual_tls=MutualTls())
    register(side, tls_client_auth_subject_dn=DN)
    assert error_of(await exchange(side, der(MINE)), 401) == "invalid_client"


async def test_2_a_certificate_is_not_taken_for_another_method(side: ServiceSide) -> None:
    side.register()
    assert error_of(await exchange(side, der(MINE)), 401) == "invalid_client"


async def test_2_a_secret_is_not_taken_for_the_certificate(side: ServiceSide) -> None:
    assert error_of(await exchange(side, None, ""), 401) == "invalid_client"
    assert error_of(await exchange(side, der(MINE), ""), 401) == "invalid_client", "two methods at once"


# --- 2.2 Self-Signed Certificate Mutual-TLS Method ----------------------------------------------------------------------------


def keys_with(*certificates: bytes) -> dict[str, object]:
    listed = [
        public_jwk(EC_KEY, kid=f"k{at}") | {"x5c": [b64encode(each).decode()]} for at, each in enumerate(certificates)
    ]
    return {"keys": listed}


async def test_2_2_the_certificate_that_is_registered_in_the_keys(side: ServiceSide) -> None:
    mine, other = der(issued()), der(issued())
    register(side, "self_signed_tls_client_auth", jwks=json.dumps(keys_with(other, mine)))
    assert (await exchange(side, mine)).status == 200
    assert error_of(await exchange(side, der(issued())), 401) == "invalid_client"
    assert error_of(await exchange(side, None), 401) == "invalid_client"


async def test_2_2_2_or_at_its_jwks_uri(side: ServiceSide) -> None:
    mine = der(issued())
    side.fetcher.found["https://rooms.example/jwks"] = keys_with(mine)
    register(side, "self_signed_tls_client_auth", jwks_uri="https://rooms.example/jwks")
    assert (await exchange(side, mine)).status == 200


async def test_2_2_an_expired_one_is_refused(side: ServiceSide) -> None:
    old = der(issued(now=NOW - timedelta(days=9)))
    register(side, "self_signed_tls_client_auth", jwks=json.dumps(keys_with(old)))
    assert error_of(await exchange(side, old), 401) == "invalid_client"


@pytest.mark.parametrize("chain", [None, [], "x", ["%"], [1], {}])
async def test_2_2_keys_without_a_readable_certificate_register_none(side: ServiceSide, chain: Any) -> None:
    keys = {"keys": [public_jwk(EC_KEY, kid="k") | {"x5c": chain}]}
    register(side, "self_signed_tls_client_auth", jwks=json.dumps(keys))
    assert error_of(await exchange(side, der(issued())), 401) == "invalid_client"


# --- 3 Mutual-TLS Client Certificate-Bound Access Tokens --------------------------------------------------------------------


async def bound_token(side: ServiceSide) -> str:
    register(side, tls_client_auth_subject_dn=DN, tls_client_certificate_bound_access_tokens=True)
    tokens = json_of(await exchange(side, der(MINE)))
    assert tokens["token_type"] == "Bearer"
    return str(tokens["access_token"])


async def test_3_the_token_opens_with_its_certificate_alone(side: ServiceSide) -> None:
    token = await bound_token(side)
    assert await side.is_active(token)
    for other in (None, der(issued(by=AUTHORITY))):
        side.certificate = other
        answer = await side.userinfo(f"Bearer {token}")
        assert (answer.status, json_of(answer)["error"]) == (401, "invalid_token")


async def test_3_1_introspection_tells_the_certificate(side: ServiceSide) -> None:
    token = await bound_token(side)
    found = json_of(await side.introspect(token, None, client_id="rooms"))
    thumbprint = MINE[1].fingerprint(hashes.SHA256())
    assert found["cnf"] == {"x5t#S256": urlsafe_b64encode(thumbprint).rstrip(b"=").decode()}


async def test_4_a_client_with_another_method_can_bind_its_tokens_too(side: ServiceSide) -> None:
    side.register(tls_client_certificate_bound_access_tokens=True, grant_types=REFRESHING)
    self_signed = der(issued())
    side.certificate = self_signed
    tokens = await side.tokens()
    side.certificate = None
    assert not await side.is_active(tokens["access_token"])
    assert error_of(await side.refresh(tokens["refresh_token"])) == "invalid_request"


async def test_3_without_a_certificate_no_token_is_issued(side: ServiceSide) -> None:
    side.register(tls_client_certificate_bound_access_tokens=True)
    side.certificate = None
    assert error_of(await side.exchange(await side.code())) == "invalid_request"


# --- 5 Metadata -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mutual_tls", "methods"),
    [
        (None, set()),
        (MutualTls(), {"self_signed_tls_client_auth"}),
        (MutualTls(authorities=(AUTHORITY[1],)), {"self_signed_tls_client_auth", "tls_client_auth"}),
    ],
)
def test_discovery_3_what_cannot_be_is_not_advertised(
    keys: KeyRing, mutual_tls: MutualTls | None, methods: set[str]
) -> None:
    found = json_of(ServiceSide(keys=keys, mutual_tls=mutual_tls).provider.discovery())
    assert {each for each in found["token_endpoint_auth_methods_supported"] if "tls" in each} == methods
    assert found["tls_client_certificate_bound_access_tokens"] is (mutual_tls is not None)
    assert "mtls_endpoint_aliases" not in found


async def test_5_clients_with_certificates_are_told_where_to_ask(keys: KeyRing) -> None:
    side = ServiceSide(keys=keys, mutual_tls=MutualTls(base_url="https://mtls.broker.example"))
    found = json_of(side.provider.discovery())
    assert found["mtls_endpoint_aliases"]["token_endpoint"] == "https://mtls.broker.example/oidc/token"
    assert set(found["mtls_endpoint_aliases"]) <= set(found)
