"""A city's Response by artifact: fetched from where its metadata says, and judged as any other (saml-bindings 3.6, saml-core 3.5)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from lxml import etree
from signxml import XMLVerifier
from structlog.testing import capture_logs

from broker.errors import HomeUnreachable
from broker.federation.model import MetadataFile
from broker.fetch import TimedOut, UnexpectedStatus
from broker.saml import errors, soap
from tests.spec.saml.conftest import artifact, artifact_response

CITY = "https://adfs.pori.example/adfs/services/trust"
RESOLVE = "https://adfs.pori.example/artifact"
US = "https://broker.example/saml/sp/metadata"
SAML, SAMLP = "urn:oasis:names:tc:SAML:2.0:assertion", "urn:oasis:names:tc:SAML:2.0:protocol"
NS = {"saml": SAML, "samlp": SAMLP}
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"


@pytest.fixture
def city(upstream: Any) -> Any:
    """The upstream, whose city resolves artifacts at index 2."""
    content = upstream.idp.metadata.content.replace(
        b"<md:SingleSignOnService",
        f'<md:ArtifactResolutionService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="{RESOLVE}"'
        ' index="2"/><md:SingleSignOnService'.encode(),
        1,
    )
    metadata = MetadataFile(path="pori.xml", content=content, entity_id=CITY)
    upstream.idp = replace(upstream.idp, metadata=metadata)
    return upstream


def hands_out(
    city: Any, tool: Any, *messages: str, by: str | None = "city", algorithm: str = "rsa-sha256", **changes: Any
) -> None:
    """The city answers each ArtifactResolve by an ArtifactResponse with these messages."""

    def answer(asked: bytes) -> bytes:
        xml = artifact_response(asked, CITY, *messages, **changes)
        return soap.wrap(tool.sign(xml, city.pairs[by], algorithm=algorithm) if by else xml)

    city.back_channel.answer = answer


@pytest.mark.parametrize("by", ["city", None])
@pytest.mark.parametrize(("response", "assertion"), [(True, True), (True, False), (False, True)])
def test_profiles_4_1_4_the_person_of_a_signed_message(
    city: Any, tool: Any, by: str | None, response: bool, assertion: bool
) -> None:
    hands_out(city, tool, city.signed(city.draft, response=response, assertion=assertion), by=by)
    assert city.by_artifact(artifact(CITY, 2)).subject == "pori-4711"


def test_P1_a_signed_ArtifactResponse_vouches_for_what_it_holds(city: Any, tool: Any) -> None:
    hands_out(city, tool, city.signed(city.draft, response=False, assertion=False))
    assert city.by_artifact(artifact(CITY, 2)).subject == "pori-4711"


def test_an_encrypted_assertion(city: Any, tool: Any) -> None:
    hands_out(city, tool, city.encrypted(city.draft))
    assert city.by_artifact(artifact(CITY, 2)).subject == "pori-4711"


def test_bindings_3_6_no_Destination_is_needed_but_a_wrong_one_is_refused(city: Any, tool: Any) -> None:
    hands_out(city, tool, city.signed(replace(city.draft, destination=None)))
    assert city.by_artifact(artifact(CITY, 2)).subject == "pori-4711"
    hands_out(city, tool, city.signed(replace(city.draft, destination="https://other.example")))
    with pytest.raises(errors.WrongDestination):
        city.by_artifact(artifact(CITY, 2))


def test_core_3_5_1_what_we_ask(city: Any, tool: Any) -> None:
    hands_out(city, tool, city.signed(city.draft))
    city.by_artifact(artifact(CITY, 2))

    [(url, body)] = city.back_channel.posted
    assert url == RESOLVE
    assert city.back_channel.headers["Content-Type"] == "text/xml; charset=utf-8"
    certificate = city.keys.active(tool.keyring.KeyUse.SAML_SIGNING).certificate.decode()
    asked = etree.tostring(etree.fromstring(body).find(".//samlp:ArtifactResolve", NS))
    request = XMLVerifier().verify(asked, x509_cert=certificate).signed_xml
    assert request.get("Destination") == RESOLVE
    assert request.findtext("saml:Issuer", namespaces=NS) == US
    assert request.findtext("samlp:Artifact", namespaces=NS) == artifact(CITY, 2)


@pytest.mark.parametrize(
    ("wanted", "resolvable", "binding"),
    [(True, True, "HTTP-Artifact"), (True, False, "HTTP-POST"), (False, True, "HTTP-POST")],
)
def test_core_3_4_1_ProtocolBinding_is_what_the_document_says(
    city: Any, tool: Any, wanted: bool, resolvable: bool, binding: str
) -> None:
    if not resolvable:
        content = city.idp.metadata.content.replace(b"bindings:SOAP", b"bindings:PAOS")
        city.idp = replace(city.idp, metadata=replace(city.idp.metadata, content=content))
    city.idp = replace(city.idp, artifact=wanted)
    request = tool.inflated(city.depart())
    assert request.get("ProtocolBinding") == f"urn:oasis:names:tc:SAML:2.0:bindings:{binding}"
    assert request.get("AssertionConsumerServiceURL") == "https://broker.example/saml/sp/acs"


# --- refused -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(artifact("https://other.example", 2), id="another_issuer"),
        pytest.param(artifact(CITY, 0), id="an_index_that_the_metadata_lacks"),
    ],
)
def test_bindings_3_6_4_2_an_artifact_that_is_not_the_asked_city_s(city: Any, text: str) -> None:
    with pytest.raises(errors.ArtifactNotResolved):
        city.by_artifact(text)
    assert city.back_channel.posted == []


@pytest.mark.parametrize("text", ["", "AAQ=", artifact(CITY, 2, b"\x00\x01"), artifact(CITY, 2) + "AAAA", "%%%"])
def test_bindings_3_6_4_what_is_no_artifact(city: Any, text: str) -> None:
    with pytest.raises(errors.UnreadableResponse) as refused:
        city.by_artifact(text)
    assert refused.value.context["check"] == "binding"
    assert city.back_channel.posted == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"InResponseTo": "_other"}, id="answers_another_request"),
        pytest.param({"Issuer": "https://idp.ulvila.example/idp"}, id="of_another_issuer"),
        pytest.param({"Version": "2.1"}, id="another_version"),
        pytest.param({"status": STATUS + "Responder"}, id="no_success"),
    ],
)
def test_core_3_5_2_a_wrong_ArtifactResponse(city: Any, tool: Any, changes: dict[str, str]) -> None:
    hands_out(city, tool, city.signed(city.draft), **changes)
    with pytest.raises(errors.ArtifactNotResolved):
        city.by_artifact(artifact(CITY, 2))


def test_core_3_5_3_an_artifact_that_was_used(city: Any, tool: Any) -> None:
    hands_out(city, tool)
    with pytest.raises(errors.ArtifactNotResolved):
        city.by_artifact(artifact(CITY, 2))


@pytest.mark.parametrize("by", ["stranger", "other_city", "service"])
def test_P1_an_ArtifactResponse_signed_by_somebody_else(city: Any, tool: Any, by: str) -> None:
    hands_out(city, tool, city.signed(city.draft), by=by)
    with pytest.raises(errors.SignatureInvalid):
        city.by_artifact(artifact(CITY, 2))


def test_saml2int_an_ArtifactResponse_signed_by_SHA1(city: Any, tool: Any) -> None:
    hands_out(city, tool, city.signed(city.draft, response=False, assertion=False), algorithm="rsa-sha1")
    with pytest.raises(errors.SignatureInvalid) as refused:
        city.by_artifact(artifact(CITY, 2))
    assert refused.value.context["check"] == "signature_algorithm"

    city.idp = replace(city.idp, sha1_until=date(2026, 1, 15))
    with capture_logs() as logs:
        assert city.by_artifact(artifact(CITY, 2)).subject == "pori-4711"
    assert [each["event"] for each in logs] == ["saml.sha1_used"]


def test_P1_nothing_is_signed(city: Any, tool: Any) -> None:
    hands_out(city, tool, city.signed(city.draft, response=False, assertion=False), by=None)
    with pytest.raises(errors.SignatureInvalid) as refused:
        city.by_artifact(artifact(CITY, 2))
    assert refused.value.context["check"] == "unsigned"


def test_P2_an_answer_to_another_login(city: Any, tool: Any) -> None:
    hands_out(city, tool, city.signed(replace(city.draft, request_id="_other")))
    with pytest.raises(errors.WrongInResponseTo):
        city.by_artifact(artifact(CITY, 2))


def test_another_message_than_a_Response(city: Any, tool: Any) -> None:
    request = f'<samlp:AuthnRequest xmlns:samlp="{SAMLP}" ID="_x" Version="2.0" IssueInstant="2026-01-15T12:00:00Z"/>'
    hands_out(city, tool, request)
    with pytest.raises(errors.NotAResponse):
        city.by_artifact(artifact(CITY, 2))


@pytest.mark.parametrize("body", [b"", b"<html/>", b"<" * 300_000, soap.fault("Server", "x")])
def test_what_is_no_soap(city: Any, body: bytes) -> None:
    city.back_channel.answer = lambda _: body
    with pytest.raises(errors.UnreadableResponse):
        city.by_artifact(artifact(CITY, 2))


@pytest.mark.parametrize("failure", [TimedOut("adfs.pori.example"), UnexpectedStatus("adfs.pori.example", 500, b"x")])
def test_P8_a_city_that_does_not_answer(city: Any, failure: Exception) -> None:
    def fails(_: bytes) -> bytes:
        raise failure

    city.back_channel.answer = fails
    with pytest.raises(HomeUnreachable):
        city.by_artifact(artifact(CITY, 2))


def test_bindings_both_a_message_and_an_artifact(city: Any) -> None:
    message = {"SAMLart": artifact(CITY, 2), "SAMLResponse": "x", "RelayState": city.transaction.id}
    with pytest.raises(errors.UnreadableResponse):
        asyncio.run(city.edge.arrive(city.transaction, message, city.idp))
