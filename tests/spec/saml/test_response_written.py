"""The broker's Response to a service (saml-core 2 and 3.3.3, saml-profiles 4.1.4.2; attributes.md 1)."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree
from signxml import XMLVerifier
from structlog.testing import capture_logs

from broker.errors import NoAgreement
from broker.keys import keyring
from broker.keys.keyring import KeyUse
from broker.saml import errors
from broker.saml.xml import schema

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
ACS = "https://wiki.example/saml/acs"
SERVICE = "https://wiki.example/saml/metadata"
US = "https://broker.example/saml/idp/metadata"
CITY = "https://adfs.pori.example/adfs/services/trust"
NS = {
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "xenc": "http://www.w3.org/2001/04/xmlenc#",
}
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"


def one(element: Any, path: str) -> Any:
    found = element.findall(path, NS)
    assert len(found) == 1, path
    return found[0]


def test_profiles_4_1_4_2_who_answers_what_to_whom_until_when(downstream: Any) -> None:
    response = downstream.response()

    assert response.get("Destination") == ACS
    assert response.get("InResponseTo") == "_request"
    assert one(response, "saml:Issuer").text == US
    assert one(response, "samlp:Status/samlp:StatusCode").get("Value") == STATUS + "Success"
    assertion = one(response, "saml:Assertion")
    assert one(assertion, "saml:Issuer").text == US
    confirmation = one(assertion, "saml:Subject/saml:SubjectConfirmation")
    assert confirmation.get("Method") == "urn:oasis:names:tc:SAML:2.0:cm:bearer"
    assert dict(one(confirmation, "saml:SubjectConfirmationData").attrib) == {
        "InResponseTo": "_request",
        "NotOnOrAfter": "2026-01-15T12:05:00Z",
        "Recipient": ACS,
    }
    conditions = one(assertion, "saml:Conditions")
    assert dict(conditions.attrib) == {"NotBefore": "2026-01-15T11:59:00Z", "NotOnOrAfter": "2026-01-15T12:05:00Z"}
    assert one(conditions, "saml:AudienceRestriction/saml:Audience").text == SERVICE


def test_profiles_4_1_4_5_it_goes_to_the_verified_address_with_the_RelayState(downstream: Any) -> None:
    delivery = downstream.deliver()
    assert delivery.url == ACS
    assert delivery.fields["RelayState"] == "rs"


def test_core_2_7_2_how_and_where_the_person_logged_in(downstream: Any) -> None:
    statement = one(downstream.response(), ".//saml:AuthnStatement")
    assert statement.get("AuthnInstant") == "2026-01-15T11:58:00Z"
    assert statement.get("SessionIndex")
    assert one(statement, "saml:AuthnContext/saml:AuthnContextClassRef").text == "https://refeds.org/profile/mfa"
    assert one(statement, "saml:AuthnContext/saml:AuthenticatingAuthority").text == CITY


def test_core_2_7_3_attributes_have_their_URI_names_and_a_value_each(downstream: Any) -> None:
    attributes = {
        "mail": ("a@pori.fi", "b@pori.fi"),
        "municipalityCode": ("609",),
        "mailVerified": ("true",),
        "title": (),
    }
    statement = one(downstream.response(attributes=attributes), ".//saml:AttributeStatement")
    found = {
        (each.get("Name"), each.get("FriendlyName"), each.get("NameFormat")): [value.text for value in each]
        for each in statement
    }
    uri = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
    assert found == {
        ("urn:oid:0.9.2342.19200300.100.1.3", "mail", uri): ["a@pori.fi", "b@pori.fi"],
        ("https://broker.example/ns/attr/municipalityCode", "municipalityCode", uri): ["609"],
    }


def test_core_2_7_3_without_attributes_there_is_no_AttributeStatement(downstream: Any) -> None:
    assert downstream.response(attributes={}).find(".//saml:AttributeStatement", NS) is None


def test_values_are_text_never_markup(downstream: Any) -> None:
    hostile = "a</saml:AttributeValue>&<!--\"'\r\n\t>"
    response = downstream.response(attributes={"title": (hostile,)})
    assert one(response, ".//saml:AttributeValue").text == hostile


def test_a_value_that_XML_cannot_carry_is_never_written(downstream: Any) -> None:
    with pytest.raises(ValueError):
        downstream.response(attributes={"title": ("a\x00",)})


# --- NameID --------------------------------------------------------------------------------------------------------------


def name_id(downstream: Any, format: str, **answer: Any) -> Any:
    request = downstream.redirect(downstream.request(f'<samlp:NameIDPolicy Format="{format}"/>'))
    return one(downstream.response(request, **answer), ".//saml:NameID")


def test_core_8_3_7_persistent_is_the_pairwise_identifier(downstream: Any) -> None:
    found = name_id(downstream, PERSISTENT)
    assert found.text == "pairwise@pori.fi"
    assert dict(found.attrib) == {"Format": PERSISTENT, "NameQualifier": US, "SPNameQualifier": SERVICE}


def test_core_8_3_8_transient_is_another_each_time(downstream: Any) -> None:
    first, second = name_id(downstream, TRANSIENT), name_id(downstream, TRANSIENT)
    assert first.text != second.text
    assert first.get("Format") == TRANSIENT


def test_core_8_3_2_emailAddress_where_mail_is_released(downstream: Any) -> None:
    found = name_id(downstream, EMAIL)
    assert (found.text, dict(found.attrib)) == ("aino@pori.fi", {"Format": EMAIL})


def test_core_3_4_1_1_emailAddress_where_mail_is_not_released(downstream: Any) -> None:
    with pytest.raises(errors.InvalidNameIdPolicy):
        name_id(downstream, EMAIL, attributes={})


def test_metadata_2_4_2_the_next_format_where_the_first_cannot_be_given(downstream: Any) -> None:
    downstream.register(formats=(EMAIL, TRANSIENT))
    assert one(downstream.response(attributes={}), ".//saml:NameID").get("Format") == TRANSIENT
    assert one(downstream.response(), ".//saml:NameID").get("Format") == EMAIL


# --- signatures ------------------------------------------------------------------------------------------------------------


def certificate(downstream: Any, tool: Any) -> str:
    text: bytes = downstream.keys.active(tool.keyring.KeyUse.SAML_SIGNING).certificate
    return text.decode()


def verified(element: Any, certificate: str) -> Any:
    """What signxml finds signed."""
    return XMLVerifier().verify(etree.tostring(element), x509_cert=certificate, id_attribute="ID").signed_xml


def test_both_are_signed_as_signxml_sees_it(downstream: Any, tool: Any) -> None:
    ours = certificate(downstream, tool)
    response = downstream.response()

    assert verified(response, ours).get("ID") == response.get("ID")
    assertion = one(response, "saml:Assertion")
    assert verified(assertion, ours).get("ID") == assertion.get("ID")


@pytest.mark.parametrize(
    ("attribute", "signed"),
    [("", True), (' WantAssertionsSigned="true"', True), (' WantAssertionsSigned="false"', False)],
)
def test_metadata_2_4_4_WantAssertionsSigned(downstream: Any, attribute: str, signed: bool) -> None:
    downstream.register(role=attribute)
    response = downstream.response()
    assert response.find("ds:Signature", NS) is not None
    assert (response.find("saml:Assertion/ds:Signature", NS) is not None) is signed


def test_what_is_sent_is_canonical_already(downstream: Any) -> None:
    octets = b64decode(downstream.deliver().fields["SAMLResponse"])
    assert etree.tostring(etree.fromstring(octets), method="c14n", exclusive=True) == octets


def test_it_is_valid_by_the_schema(downstream: Any) -> None:
    schema({NS["samlp"]: "saml-schema-protocol-2.0.xsd"}).assertValid(downstream.response())


@pytest.mark.parametrize(
    ("ends", "written"),
    [
        pytest.param(None, NOW + timedelta(hours=12), id="the_city_does_not_say"),
        pytest.param(NOW + timedelta(hours=1), NOW + timedelta(hours=1), id="the_city_s_ends_earlier"),
        pytest.param(NOW + timedelta(days=30), NOW + timedelta(hours=12), id="the_city_s_ends_later"),
        pytest.param(NOW - timedelta(seconds=40), NOW + timedelta(seconds=60), id="the_city_s_clock_is_behind"),
    ],
)
def test_core_2_7_2_SessionNotOnOrAfter(downstream: Any, ends: datetime | None, written: datetime) -> None:
    statement = one(downstream.response(session_ends=ends), ".//saml:AuthnStatement")
    assert statement.get("SessionNotOnOrAfter") == written.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(("count", "written"), [(None, None), (0, "0"), (6, "6")])
def test_core_2_5_1_6_the_city_s_ProxyRestriction_goes_on(
    downstream: Any, count: int | None, written: str | None
) -> None:
    found = downstream.response(proxy_count=count).find(".//saml:Conditions/saml:ProxyRestriction", NS)
    assert (None if found is None else found.get("Count")) == written


def test_core_2_7_2_2_every_AuthenticatingAuthority(downstream: Any) -> None:
    response = downstream.response(authenticating_authorities=(CITY, "https://behind.example"))
    found = response.findall(".//saml:AuthenticatingAuthority", NS)
    assert [each.text for each in found] == [CITY, "https://behind.example"]


PSS = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"
RSA = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"


def methods(*algorithms: str) -> str:
    listed = "".join(f'<alg:SigningMethod Algorithm="{each}"/>' for each in algorithms)
    return f'<md:Extensions xmlns:alg="urn:oasis:names:tc:SAML:metadata:algsupport">{listed}</md:Extensions>'


@pytest.mark.parametrize(
    ("named", "used"),
    [
        pytest.param((), RSA, id="none_named"),
        pytest.param((PSS,), PSS, id="the_one_named"),
        pytest.param((PSS, RSA), PSS, id="the_preferred"),
        pytest.param((RSA, PSS), RSA, id="the_usual_preferred"),
        pytest.param(("http://www.w3.org/2000/09/xmldsig#rsa-sha1", PSS), PSS, id="never_SHA1"),
        pytest.param(("http://www.w3.org/2000/09/xmldsig#rsa-sha1",), RSA, id="none_that_we_have"),
    ],
)
def test_algsupport_2_3_SigningMethod(downstream: Any, tool: Any, named: tuple[str, ...], used: str) -> None:
    downstream.register(key_descriptors=methods(*named))
    transaction = tool.a_transaction(downstream.redirect(downstream.request()))
    refusal = downstream.read(asyncio.run(downstream.edge.refuse(transaction, NoAgreement("x"), downstream.service)))

    response = downstream.response()
    for signed in (response, one(response, "saml:Assertion"), refusal):
        assert one(signed, "ds:Signature/ds:SignedInfo/ds:SignatureMethod").get("Algorithm") == used
        assert verified(signed, certificate(downstream, tool)).get("ID") == signed.get("ID")


ECDSA = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"


@pytest.mark.parametrize(
    ("named", "used"),
    [
        pytest.param((ECDSA,), ECDSA, id="the_one_named"),
        pytest.param((ECDSA, RSA), ECDSA, id="the_preferred"),
        pytest.param((RSA, ECDSA), RSA, id="the_usual_preferred"),
        pytest.param((), RSA, id="none_named"),
    ],
)
def test_algsupport_2_3_ECDSA_where_we_have_a_key_for_it(
    pairs: Any, tool: Any, tmp_path: Path, named: tuple[str, ...], used: str
) -> None:
    keyring.create(tmp_path, common_name="broker.example", now=NOW)
    keyring.create_next_ec(tmp_path, common_name="broker.example", now=NOW)
    keyring.rotate(tmp_path, KeyUse.SAML_SIGNING)
    keys = keyring.load(tmp_path)
    downstream = tool.Downstream(keys, pairs, [])
    downstream.register(key_descriptors=methods(*named))

    response = downstream.response()

    key = keys.active(KeyUse.SAML_SIGNING, ec.EllipticCurvePrivateKey if used == ECDSA else rsa.RSAPrivateKey)
    for signed in (response, one(response, "saml:Assertion")):
        assert one(signed, "ds:Signature/ds:SignedInfo/ds:SignatureMethod").get("Algorithm") == used
        assert verified(signed, key.certificate).get("ID") == signed.get("ID")


def test_algsupport_2_3_ECDSA_preferred_and_no_such_key(downstream: Any) -> None:
    downstream.register(key_descriptors=methods(ECDSA))
    method = one(downstream.response(), "ds:Signature/ds:SignedInfo/ds:SignatureMethod")
    assert method.get("Algorithm") == RSA


# --- encryption ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("methods", "algorithm"),
    [
        pytest.param((), "aes128-gcm", id="none_named"),
        pytest.param(("http://www.w3.org/2009/xmlenc11#aes256-gcm",), "aes256-gcm", id="the_one_named"),
        pytest.param(("http://www.w3.org/2001/04/xmlenc#aes256-cbc",), "aes128-gcm", id="never_cbc"),
    ],
)
def test_core_6_2_encrypted_for_a_service_with_an_encryption_key(
    downstream: Any, tool: Any, pairs: Any, methods: tuple[str, ...], algorithm: str
) -> None:
    downstream.register(key_descriptors=tool.key_descriptor(pairs["service"], "encryption", methods))
    delivery = downstream.deliver()

    assert b"aino@pori.fi" not in b64decode(delivery.fields["SAMLResponse"])
    response = downstream.read(delivery)
    data = one(response, "saml:EncryptedAssertion/xenc:EncryptedData")
    assert one(data, "xenc:EncryptionMethod").get("Algorithm").endswith(algorithm)
    assertion = decrypted(data, pairs["service"])
    assert one(assertion, ".//saml:NameID").text == "pairwise@pori.fi"
    assert verified(assertion, certificate(downstream, tool)).get("ID") == assertion.get("ID")


@pytest.mark.parametrize(
    ("methods", "algorithm"),
    [
        pytest.param((), "aes128-cbc", id="none_named"),
        pytest.param(("http://www.w3.org/2001/04/xmlenc#aes256-cbc",), "aes256-cbc", id="the_one_named"),
    ],
)
@pytest.mark.parametrize("length", range(0, 17, 4))
def test_a_registration_may_ask_for_CBC_which_is_told(
    downstream: Any, tool: Any, pairs: Any, methods: tuple[str, ...], algorithm: str, length: int
) -> None:
    descriptors = tool.key_descriptor(pairs["service"], "encryption", methods)
    downstream.register(key_descriptors=descriptors, registration={"cbc": True})
    with capture_logs() as logs:
        response = downstream.response(attributes={"mail": ("a" * length + "@pori.fi",)})

    assert [(each["event"], each["service"]) for each in logs] == [("saml.cbc_used", "wiki")]
    data = one(response, "saml:EncryptedAssertion/xenc:EncryptedData")
    assert one(data, "xenc:EncryptionMethod").get("Algorithm").endswith(algorithm)
    assertion = decrypted(data, pairs["service"])
    assert verified(assertion, certificate(downstream, tool)).get("ID") == assertion.get("ID")


def test_metadata_2_4_1_1_a_key_for_any_use_is_no_wish_for_encryption(downstream: Any, tool: Any, pairs: Any) -> None:
    downstream.register(key_descriptors=tool.key_descriptor(pairs["service"], None))
    assert downstream.response().find("saml:Assertion", NS) is not None


def decrypted(data: Any, pair: Any) -> Any:
    """By xmlsec, which shares nothing with our encryption."""
    import xmlsec

    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(pair.pem, xmlsec.constants.KeyDataFormatPem))
    return xmlsec.EncryptionContext(manager).decrypt(data)


# --- errors ----------------------------------------------------------------------------------------------------------------


def test_core_3_2_2_2_a_refusal_has_two_levels_and_the_login_s_reference(downstream: Any, tool: Any) -> None:
    transaction = tool.a_transaction(downstream.redirect(downstream.request()))
    fault = NoAgreement("detail for the log", organisation="pori")

    delivery = asyncio.run(downstream.edge.refuse(transaction, fault, downstream.service))

    response = downstream.read(delivery)
    code = one(response, "samlp:Status/samlp:StatusCode")
    assert code.get("Value") == STATUS + "Responder"
    assert one(code, "samlp:StatusCode").get("Value") == STATUS + "RequestDenied"
    assert one(response, "samlp:Status/samlp:StatusMessage").text == f"no_agreement {transaction.reference}"
    assert response.find("saml:Assertion", NS) is None
    assert b"detail for the log" not in b64decode(delivery.fields["SAMLResponse"])
    assert verified(response, certificate(downstream, tool)).get("InResponseTo") == "_request"
    assert (delivery.url, delivery.fields["RelayState"]) == (ACS, "rs")
    schema({NS["samlp"]: "saml-schema-protocol-2.0.xsd"}).assertValid(response)


def test_metadata_2_3_2_metadata_that_ran_out_meanwhile(downstream: Any) -> None:
    request = downstream.redirect(downstream.request())
    downstream.register(more=' validUntil="2026-01-15T12:00:01Z"')
    downstream.now = NOW + timedelta(seconds=1)
    with pytest.raises(errors.ServiceMetadataExpired):
        downstream.deliver(request)
