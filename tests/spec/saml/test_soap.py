"""SOAP 1.1 around one message (saml-bindings 3.2)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.saml import soap
from broker.saml.xml import CommentRefused, DoctypeRefused, NotValid, NotWellFormed, XmlRefused

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGE = (
    '<samlp:ArtifactResolve xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_a" Version="2.0"'
    ' IssueInstant="2026-01-15T12:00:00Z"><samlp:Artifact>AAQ</samlp:Artifact></samlp:ArtifactResolve>'
)


def envelope(inside: str = f"<s:Body>{MESSAGE}</s:Body>", namespace: str = SOAP) -> bytes:
    return f'<s:Envelope xmlns:s="{namespace}">{inside}</s:Envelope>'.encode()


def test_bindings_3_2_2_one_message_in_the_body() -> None:
    assert soap.unwrap(envelope()).get("ID") == "_a"
    assert soap.unwrap(soap.wrap(MESSAGE)).get("ID") == "_a"


def test_soap_4_2_a_header_that_need_not_be_understood() -> None:
    header = '<s:Header><a:To xmlns:a="urn:a" s:mustUnderstand="0">x</a:To></s:Header>'
    assert soap.unwrap(envelope(f"{header}<s:Body>{MESSAGE}</s:Body>")).get("ID") == "_a"


@pytest.mark.parametrize(
    ("octets", "refusal"),
    [
        pytest.param(MESSAGE.encode(), soap.SoapRefused, id="no_envelope"),
        pytest.param(envelope(namespace="http://www.w3.org/2003/05/soap-envelope"), soap.SoapRefused, id="soap_1_2"),
        pytest.param(envelope(""), soap.SoapRefused, id="empty"),
        pytest.param(envelope("<s:Body/>"), soap.SoapRefused, id="no_message"),
        pytest.param(envelope(f"<s:Body>{MESSAGE}{MESSAGE}</s:Body>"), soap.SoapRefused, id="two_messages"),
        pytest.param(envelope(f"<s:Body>{MESSAGE}</s:Body><s:Body/>"), soap.SoapRefused, id="two_bodies"),
        pytest.param(envelope(f"<s:Header/><s:Header/><s:Body>{MESSAGE}</s:Body>"), soap.SoapRefused, id="two_headers"),
        pytest.param(
            envelope(f'<s:Header><a xmlns="urn:a" s:mustUnderstand="1"/></s:Header><s:Body>{MESSAGE}</s:Body>'),
            soap.SoapRefused,
            id="a_header_that_must_be_understood",
        ),
        pytest.param(soap.fault("Server", "no"), soap.SoapFault, id="a_fault"),
        pytest.param(envelope(f"<s:Body>{MESSAGE}<!-- x --></s:Body>"), CommentRefused, id="a_comment"),
        pytest.param(b"<!DOCTYPE a>" + envelope(), DoctypeRefused, id="a_doctype"),
        pytest.param(envelope("<s:Body><a/></s:Body>"), NotValid, id="no_message_of_the_schema"),
        pytest.param(envelope()[:-3], NotWellFormed, id="cut_off"),
    ],
)
def test_bindings_3_2_2_refused(octets: bytes, refusal: type[XmlRefused]) -> None:
    with pytest.raises(refusal):
        soap.unwrap(octets)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: envelope(text))))
def test_whatever_comes_is_a_message_or_refused(octets: bytes) -> None:
    try:
        message = soap.unwrap(octets)
    except XmlRefused:
        return
    assert message.tag
