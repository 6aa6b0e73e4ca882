"""A Response by artifact: the browser brings a reference, the service fetches the message (saml-bindings 3.6, saml-core 3.5)."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree
from signxml import XMLVerifier

from broker.errors import NoPassive
from broker.login.edges import Redirect
from broker.saml import soap

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
US = "https://broker.example/saml/idp/metadata"
HERE = "https://broker.example/saml/idp/artifact"
SERVICE = "https://wiki.example/saml/metadata"
ARTIFACT_ACS = "https://wiki.example/saml/artifact?x=1"
NS = {
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"


@pytest.fixture
def by_artifact(downstream: Any, tool: Any) -> Any:
    downstream.register(acs=tool.acs_element(ARTIFACT_ACS.replace("&", "&amp;"), 0, "HTTP-Artifact"))
    return downstream


def query_of(delivery: Any) -> dict[str, list[str]]:
    assert isinstance(delivery, Redirect)
    assert delivery.url.startswith(ARTIFACT_ACS + "&")
    return parse_qs(urlsplit(delivery.url).query)


def artifact_of(downstream: Any) -> str:
    request = downstream.redirect(downstream.request(AssertionConsumerServiceURL=None))
    return query_of(downstream.deliver(request))["SAMLart"][0]


def resolve_xml(artifact: str, **changes: str | None) -> str:
    given = {"ID": "_resolve", "Version": "2.0", "IssueInstant": "2026-01-15T12:00:00Z", "Destination": HERE}
    issuer = changes.pop("Issuer", SERVICE)
    written = "".join(f' {name}="{value}"' for name, value in (given | changes).items() if value is not None)
    return (
        f'<samlp:ArtifactResolve xmlns:samlp="{NS["samlp"]}" xmlns:saml="{NS["saml"]}"{written}>'
        f"<saml:Issuer>{issuer}</saml:Issuer><samlp:Artifact>{artifact}</samlp:Artifact></samlp:ArtifactResolve>"
    )


def ask(downstream: Any, tool: Any, xml: str, *, by: str | None = "service") -> Any:
    return downstream.resolve(soap.wrap(tool.sign(xml, downstream.pairs[by]) if by else xml))


def message_of(answer: Any) -> etree._Element | None:
    """The message inside a successful ArtifactResponse."""
    assert answer.status == 200
    response = etree.fromstring(answer.body).find(".//samlp:ArtifactResponse", NS)
    assert response.get("InResponseTo") == "_resolve"
    assert response.findtext("saml:Issuer", namespaces=NS) == US
    assert response.find("samlp:Status/samlp:StatusCode", NS).get("Value") == SUCCESS
    return response.find("samlp:Response", NS)


def test_bindings_3_6_4_2_an_artifact_of_type_4_names_us(by_artifact: Any) -> None:
    octets = b64decode(artifact_of(by_artifact), validate=True)
    assert octets[:4] == b"\x00\x04\x00\x00"
    assert octets[4:24] == hashlib.sha1(US.encode()).digest()  # noqa: S324 - the clause says so
    assert len(octets) == 44


def test_bindings_3_6_3_1_RelayState_comes_beside_it(by_artifact: Any) -> None:
    asked = by_artifact.request(AssertionConsumerServiceURL=None)
    assert query_of(by_artifact.deliver(by_artifact.redirect(asked)))["RelayState"] == ["rs"]
    assert "RelayState" not in query_of(by_artifact.deliver(by_artifact.redirect(asked, relay_state=None)))


def test_core_3_5_the_service_fetches_the_signed_Response(by_artifact: Any, tool: Any) -> None:
    answer = ask(by_artifact, tool, resolve_xml(artifact_of(by_artifact)))
    message = message_of(answer)
    assert message.get("InResponseTo") == "_request"

    certificate = by_artifact.keys.active(tool.keyring.KeyUse.SAML_SIGNING).certificate.decode()
    envelope = etree.fromstring(answer.body)
    whole = XMLVerifier().verify(etree.tostring(envelope.find(".//samlp:ArtifactResponse", NS)), x509_cert=certificate)
    assert whole.signed_xml.find("samlp:Response", NS) is not None
    inner = XMLVerifier().verify(etree.tostring(message), x509_cert=certificate, expect_references=1)
    assert inner.signed_xml.tag == f"{{{NS['samlp']}}}Response"


def test_an_error_comes_by_artifact_too(by_artifact: Any, tool: Any) -> None:
    request = by_artifact.redirect(by_artifact.request(AssertionConsumerServiceURL=None))
    transaction = tool.a_transaction(request)
    delivery = asyncio.run(by_artifact.edge.refuse(transaction, NoPassive("x"), by_artifact.service))
    message = message_of(ask(by_artifact, tool, resolve_xml(query_of(delivery)["SAMLart"][0])))
    codes = [each.get("Value") for each in message.iter(f"{{{NS['samlp']}}}StatusCode")]
    assert codes[1] == "urn:oasis:names:tc:SAML:2.0:status:NoPassive"


# --- success without a message (saml-core 3.5.3) ----------------------------------------------------------------------------


def test_core_3_5_3_once_only(by_artifact: Any, tool: Any) -> None:
    artifact = artifact_of(by_artifact)
    assert message_of(ask(by_artifact, tool, resolve_xml(artifact))) is not None
    assert message_of(ask(by_artifact, tool, resolve_xml(artifact))) is None


@pytest.mark.parametrize("artifact", ["", "AAQ=", "A" * 60, "%", "x" * 10_000])
def test_core_3_5_3_an_unknown_artifact(by_artifact: Any, tool: Any, artifact: str) -> None:
    assert message_of(ask(by_artifact, tool, resolve_xml(artifact))) is None


def test_core_3_5_3_an_artifact_past_its_time(by_artifact: Any, tool: Any) -> None:
    artifact = artifact_of(by_artifact)
    by_artifact.now += timedelta(seconds=61)
    assert message_of(ask(by_artifact, tool, resolve_xml(artifact))) is None


def test_bindings_3_6_5_another_service_neither_gets_nor_uses_it_up(by_artifact: Any, tool: Any) -> None:
    artifact = artifact_of(by_artifact)
    mine, federation = by_artifact.service, by_artifact.federation
    by_artifact.register(registration={"id": "other"})
    assert message_of(ask(by_artifact, tool, resolve_xml(artifact))) is None

    by_artifact.service, by_artifact.federation = mine, federation
    assert message_of(ask(by_artifact, tool, resolve_xml(artifact))) is not None


# --- refused -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [None, "stranger", "city"])
def test_bindings_3_6_5_who_does_not_prove_itself_gets_403(by_artifact: Any, tool: Any, by: str | None) -> None:
    artifact = artifact_of(by_artifact)
    answer = ask(by_artifact, tool, resolve_xml(artifact), by=by)
    assert (answer.status, answer.body) == (403, b"")
    assert message_of(ask(by_artifact, tool, resolve_xml(artifact))) is not None


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"Issuer": "https://nobody.example"}, id="unknown_issuer"),
        pytest.param({"Destination": HERE + "/"}, id="another_destination"),
        pytest.param({"IssueInstant": "2026-01-15T11:00:00Z"}, id="too_old"),
        pytest.param({"IssueInstant": "2026-01-15T13:00:00Z"}, id="in_the_future"),
        pytest.param({"Version": "2.1"}, id="another_version"),
    ],
)
def test_core_3_2_1_wrong_requests_get_403(by_artifact: Any, tool: Any, changes: dict[str, str]) -> None:
    assert ask(by_artifact, tool, resolve_xml(artifact_of(by_artifact), **changes)).status == 403


def test_core_3_5_1_another_message(by_artifact: Any, tool: Any) -> None:
    assert ask(by_artifact, tool, by_artifact.request()).status == 403


@pytest.mark.parametrize("body", [b"", b"<a/>", b"\xff", soap.wrap("<a/>"), b"<" * 300_000])
def test_bindings_3_2_3_3_what_cannot_be_read_gets_a_fault(by_artifact: Any, body: bytes) -> None:
    answer = by_artifact.resolve(body)
    assert answer.status == 400
    assert b"faultcode>soap:Client<" in answer.body
