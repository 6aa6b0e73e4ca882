"""Partners' metadata: what it says is kept, and what it says wrongly is refused (saml-metadata 2)."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from broker.federation.documents import UnreadableMetadata
from broker.saml.metadata import read_idp, read_sp

ARTIFACT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"


@pytest.mark.parametrize(
    ("written", "read"), [("true", True), ("1", True), (" false ", False), ("0", False), (None, None)]
)
def test_metadata_2_4_4_WantAssertionsSigned(tool: Any, written: str | None, read: bool | None) -> None:
    role = "" if written is None else f' WantAssertionsSigned="{written}"'
    assert read_sp(tool.sp_metadata(role=role)).want_assertions_signed is read


@pytest.mark.parametrize("name", ["AuthnRequestsSigned", "WantAssertionsSigned"])
@pytest.mark.parametrize("value", ["yes", "TRUE", "", "2"])
def test_what_is_neither_true_nor_false_does_not_count_as_false(tool: Any, name: str, value: str) -> None:
    with pytest.raises(UnreadableMetadata) as refused:
        read_sp(tool.sp_metadata(role=f' {name}="{value}"'))
    assert f"{name} of SPSSODescriptor must be true or false" in str(refused.value)
    assert refused.value.line == 1


def test_metadata_2_2_3_a_wrong_isDefault(tool: Any) -> None:
    with pytest.raises(UnreadableMetadata) as refused:
        read_sp(tool.sp_metadata(acs=tool.acs_element(more=' isDefault="yes"')))
    assert "isDefault of AssertionConsumerService" in str(refused.value)


def test_a_wrong_WantAuthnRequestsSigned(tool: Any, pairs: Any) -> None:
    content = tool.idp_metadata("https://city", pairs["city"])
    wrong = content.replace(b"<md:IDPSSODescriptor", b'<md:IDPSSODescriptor WantAuthnRequestsSigned="no"')
    with pytest.raises(UnreadableMetadata):
        read_idp(wrong)


def test_who_takes_answers_by_artifact_alone_is_a_service(tool: Any) -> None:
    found = read_sp(tool.sp_metadata(acs=tool.acs_element(binding="HTTP-Artifact")))
    assert [each.binding for each in found.assertion_consumer_services] == [ARTIFACT]


def test_who_takes_them_by_neither_is_none(tool: Any) -> None:
    with pytest.raises(UnreadableMetadata):
        read_sp(tool.sp_metadata(acs=tool.acs_element(binding="PAOS")))


def test_a_key_for_encryption_that_cannot_be_used_is_no_leave_to_send_in_clear(tool: Any) -> None:
    class Curve:
        certificate_text = by_curve()

    with pytest.raises(UnreadableMetadata) as refused:
        read_sp(tool.sp_metadata(key_descriptors=tool.key_descriptor(Curve, "encryption")))
    assert "RSA" in str(refused.value)


def by_curve() -> str:
    """The text of a certificate with a key that can sign and not encrypt."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "curve")])
    now = datetime(2026, 1, 15, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(private, hashes.SHA256())
    )
    return b64encode(certificate.public_bytes(Encoding.DER)).decode()
