"""An AuthnRequest by HTTP-Artifact: fetched from the service that made the artifact (saml-bindings 3.6, saml-core 3.5)."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree
from signxml import XMLVerifier

from broker.errors import Fault, MalformedMessage, UnknownService, UnregisteredAddress
from broker.fetch import TimedOut
from broker.login.edges import RefusedRequest
from broker.saml import errors, soap
from tests.spec.saml.conftest import artifact, artifact_response

SERVICE = "https://wiki.example/saml/metadata"
RESOLVE = "https://wiki.example/saml/resolve"
US = "https://broker.example/saml/idp/metadata"
SAML, SAMLP = "urn:oasis:names:tc:SAML:2.0:assertion", "urn:oasis:names:tc:SAML:2.0:protocol"
NS = {"saml": SAML, "samlp": SAMLP}
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
ENDPOINT = f'<md:ArtifactResolutionService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="{RESOLVE}" index="3"/>'


@pytest.fixture
def service(downstream: Any, tool: Any) -> Any:
    """The downstream, whose service resolves artifacts at index 3."""
    register(downstream, tool)
    return downstream


def register(downstream: Any, tool: Any, *, with_key: bool = True, **registration: Any) -> None:
    key = tool.key_descriptor(downstream.pairs["service"]) if with_key else ""
    downstream.register(key_descriptors=key + ENDPOINT, registration=registration)


def hands_out(service: Any, tool: Any, *messages: str, by: str | None = "service", **changes: str) -> None:
    """The service answers each ArtifactResolve by an ArtifactResponse with these messages."""

    def answer(asked: bytes) -> bytes:
        xml = artifact_response(asked, SERVICE, *messages, **changes)
        return soap.wrap(tool.sign(xml, service.pairs[by]) if by else xml)

    service.back_channel.answer = answer


def read(service: Any, text: str | None = None, **fields: str) -> Any:
    given = {"SAMLart": artifact(SERVICE, 3) if text is None else text, "RelayState": "rs", **fields}
    return asyncio.run(service.edge.read_artifact(given, service.federation))


def refusal(service: Any, text: str | None = None, **fields: str) -> Fault:
    with pytest.raises((Fault, RefusedRequest)) as refused:
        read(service, text, **fields)
    return refused.value.fault if isinstance(refused.value, RefusedRequest) else refused.value


# --- accepted ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("around", ["service", None])
@pytest.mark.parametrize("inside", ["service", None])
def test_bindings_3_6_the_request_that_the_artifact_stands_for(
    service: Any, tool: Any, around: str | None, inside: str | None
) -> None:
    xml = service.request()
    hands_out(service, tool, tool.sign(xml, service.pairs[inside]) if inside else xml, by=around)

    login = read(service, organisation="pori")

    assert (login.service, login.hints.organisation) == ("wiki", "pori")
    assert (login.reply["request_id"], login.reply["relay_state"]) == ("_request", "rs")


@pytest.mark.parametrize(("around", "inside"), [("service", None), (None, "service"), ("service", "service")])
def test_metadata_2_4_4_AuthnRequestsSigned_is_met_by_either_signature(
    service: Any, tool: Any, around: str | None, inside: str | None
) -> None:
    register(service, tool, sign_requests=True)
    xml = service.request()
    hands_out(service, tool, tool.sign(xml, service.pairs[inside]) if inside else xml, by=around)
    assert read(service).service == "wiki"


def test_bindings_3_6_no_Destination_is_needed_but_a_wrong_one_is_refused(service: Any, tool: Any) -> None:
    hands_out(service, tool, service.request(Destination=None))
    assert read(service).service == "wiki"
    hands_out(service, tool, service.request(Destination="https://other.example"))
    assert isinstance(refusal(service), errors.RequestWrongDestination)


def test_core_3_5_1_what_we_ask(service: Any, tool: Any) -> None:
    hands_out(service, tool, service.request())
    read(service)

    [(url, body)] = service.back_channel.posted
    assert url == RESOLVE
    certificate = service.keys.active(tool.keyring.KeyUse.SAML_SIGNING).certificate.decode()
    asked = etree.tostring(etree.fromstring(body).find(".//samlp:ArtifactResolve", NS))
    request = XMLVerifier().verify(asked, x509_cert=certificate).signed_xml
    assert request.get("Destination") == RESOLVE
    assert request.findtext("saml:Issuer", namespaces=NS) == US
    assert request.findtext("samlp:Artifact", namespaces=NS) == artifact(SERVICE, 3)


# --- refused, and nobody is asked ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "x", "AAQ=", "A" * 59, b64encode(b"\x00\x01" + b"x" * 42).decode()])
def test_bindings_3_6_4_what_is_no_artifact(service: Any, text: str) -> None:
    assert isinstance(refusal(service, text), MalformedMessage)
    assert not service.back_channel.posted


def test_bindings_3_6_4_2_an_artifact_of_nobody_who_is_registered(service: Any) -> None:
    assert isinstance(refusal(service, artifact("https://stranger.example", 3)), UnknownService)
    assert not service.back_channel.posted


def test_bindings_3_6_4_2_an_index_that_the_metadata_does_not_have(service: Any) -> None:
    assert isinstance(refusal(service, artifact(SERVICE, 4)), errors.RequestNotResolved)
    assert not service.back_channel.posted


def test_bindings_3_6_a_service_that_resolves_nothing_is_not_asked(downstream: Any) -> None:
    assert isinstance(refusal(downstream), errors.RequestNotResolved)
    assert not downstream.back_channel.posted


def test_a_request_and_an_artifact_at_once(service: Any) -> None:
    assert isinstance(refusal(service, SAMLRequest="x"), MalformedMessage)
    assert not service.back_channel.posted


def test_bindings_3_6_3_a_RelayState_that_is_too_long(service: Any) -> None:
    assert isinstance(refusal(service, RelayState="r" * 2000), MalformedMessage)
    assert not service.back_channel.posted


# --- refused after the question ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"InResponseTo": "_other"}, id="InResponseTo"),
        pytest.param({"Issuer": "https://other.example"}, id="Issuer"),
        pytest.param({"status": STATUS + "Requester"}, id="Status"),
    ],
)
def test_core_3_5_2_an_ArtifactResponse_that_does_not_answer(service: Any, tool: Any, changes: dict[str, str]) -> None:
    hands_out(service, tool, service.request(), **changes)
    assert isinstance(refusal(service), errors.RequestNotResolved)


@pytest.mark.parametrize("count", [0, 2])
def test_core_3_5_3_not_one_message(service: Any, tool: Any, count: int) -> None:
    hands_out(service, tool, *[service.request(id=f"_{each}") for each in range(count)])
    assert isinstance(refusal(service), errors.RequestNotResolved)


def test_P5_the_message_of_another_service(service: Any, tool: Any) -> None:
    hands_out(service, tool, service.request(Issuer="https://other.example"))
    assert isinstance(refusal(service), errors.RequestNotResolved)


@pytest.mark.parametrize("octets", [b"", b"<x/>", b"\xff", b"<!DOCTYPE x><x/>"])
def test_bindings_3_2_3_what_is_no_SOAP_message(service: Any, octets: bytes) -> None:
    service.back_channel.answer = lambda _: octets
    assert isinstance(refusal(service), errors.RequestNotResolved)


def test_the_service_does_not_answer(service: Any) -> None:
    def answer(_: bytes) -> bytes:
        raise TimedOut("8 s")

    service.back_channel.answer = answer
    fault = refusal(service)
    assert isinstance(fault, errors.RequestNotResolved)
    assert fault.context["service"] == "wiki"


def test_P1_an_ArtifactResponse_signed_by_a_stranger(service: Any, tool: Any) -> None:
    hands_out(service, tool, service.request(), by="stranger")
    assert isinstance(refusal(service), errors.RequestSignatureInvalid)


def test_P1_a_request_signed_by_a_stranger_in_a_signed_ArtifactResponse(service: Any, tool: Any) -> None:
    hands_out(service, tool, tool.sign(service.request(), service.pairs["stranger"]))
    assert isinstance(refusal(service), errors.RequestSignatureInvalid)


def test_metadata_2_4_4_nothing_is_signed_though_it_must_be(service: Any, tool: Any) -> None:
    register(service, tool, sign_requests=True)
    hands_out(service, tool, service.request(), by=None)
    assert isinstance(refusal(service), errors.RequestSignatureInvalid)


def test_the_same_checks_hold_as_by_any_other_binding(service: Any, tool: Any) -> None:
    hands_out(service, tool, service.request(AssertionConsumerServiceURL="https://evil.example"))
    assert isinstance(refusal(service), UnregisteredAddress)
    service.now += timedelta(minutes=7)
    hands_out(service, tool, service.request(IssueInstant="2026-01-15T12:00:00Z"))
    assert isinstance(refusal(service), errors.RequestExpired)


def test_another_snapshot_is_looked_into_anew(service: Any, tool: Any) -> None:
    hands_out(service, tool, service.request())
    read(service)
    register(service, tool, id="wiki-2")
    assert read(service).service == "wiki-2"
