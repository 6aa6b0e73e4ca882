"""The broker's AuthnRequest to a city (saml-core 3.4.1, saml-bindings 3.4 and 3.5)."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree
from signxml import XMLVerifier

from broker.login.edges import FormPost, Redirect
from broker.login.request import Comparison
from broker.saml.xml import schema

CITY_SSO = "https://adfs.pori.example/adfs/ls/"
NS = {"saml": "urn:oasis:names:tc:SAML:2.0:assertion", "samlp": "urn:oasis:names:tc:SAML:2.0:protocol"}


def test_core_3_4_1_what_is_asked(upstream: Any, tool: Any) -> None:
    request = tool.inflated(upstream.depart())

    assert dict(request.attrib) == {
        "ID": upstream.transaction.upstream["request_id"],
        "Version": "2.0",
        "IssueInstant": "2026-01-15T12:00:00Z",
        "Destination": CITY_SSO,
        "AssertionConsumerServiceURL": "https://broker.example/saml/sp/acs",
        "ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
    }
    assert request.find("saml:Issuer", NS).text == "https://broker.example/saml/sp/metadata"
    assert dict(request.find("samlp:NameIDPolicy", NS).attrib) == {"AllowCreate": "true"}
    assert request.find("samlp:RequestedAuthnContext", NS) is None


@pytest.mark.parametrize(
    ("asked", "attributes"),
    [
        ({"force_authn": True}, {"ForceAuthn": "true"}),
        ({"max_age": timedelta(hours=1)}, {"ForceAuthn": "true"}),
        ({"passive": True}, {"IsPassive": "true"}),
        ({}, {}),
    ],
)
def test_core_3_4_1_ForceAuthn_and_IsPassive(
    upstream: Any, tool: Any, asked: dict[str, Any], attributes: dict[str, str]
) -> None:
    request = tool.inflated(upstream.depart(**asked))
    assert {name: request.get(name) for name in ("ForceAuthn", "IsPassive") if request.get(name)} == attributes


@pytest.mark.parametrize("comparison", list(Comparison))
def test_core_3_3_2_2_1_RequestedAuthnContext(comparison: Comparison, upstream: Any, tool: Any) -> None:
    asked = tool.inflated(upstream.depart(requested_contexts=("urn:a", "urn:b"), comparison=comparison))
    contexts = asked.find("samlp:RequestedAuthnContext", NS)
    assert contexts.get("Comparison") == comparison
    assert [each.text for each in contexts] == ["urn:a", "urn:b"]
    schema({NS["samlp"]: "saml-schema-protocol-2.0.xsd"}).assertValid(asked)


def test_core_1_3_4_each_request_has_an_ID_of_its_own(upstream: Any) -> None:
    seen = set()
    for _ in range(10):
        upstream.depart()
        seen.add(upstream.transaction.upstream["request_id"])
    assert len(seen) == 10


def test_bindings_3_4_4_1_the_query_is_signed(upstream: Any, tool: Any) -> None:
    delivery = upstream.depart()
    assert isinstance(delivery, Redirect)
    assert delivery.url.startswith(CITY_SSO + "?")
    query = urlsplit(delivery.url).query
    signed, _, signature = query.rpartition("&Signature=")
    assert [each.partition("=")[0] for each in signed.split("&")] == ["SAMLRequest", "RelayState", "SigAlg"]
    public = upstream.keys.active(tool.keyring.KeyUse.SAML_SIGNING).private.public_key()
    public.verify(b64decode(unquote(signature)), signed.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_bindings_3_4_3_RelayState_names_the_login_in_80_octets(upstream: Any) -> None:
    relay_state = parse_qs(urlsplit(upstream.depart().url).query)["RelayState"][0]
    assert relay_state == upstream.transaction.id
    assert len(relay_state) <= 80


def city_at(upstream: Any, tool: Any, location: str, binding: str = "HTTP-Redirect") -> None:
    entity_id = upstream.idp.metadata.entity_id
    content = tool.idp_metadata(entity_id, upstream.pairs["city"], location=location, binding=binding)
    upstream.idp = tool.identity_provider("pori-adfs", tool.PORI, entity_id, content)


def test_bindings_3_4_3_an_address_with_a_query_keeps_it(upstream: Any, tool: Any) -> None:
    city_at(upstream, tool, "https://idp.example/sso?tenant=pori&amp;x=1")
    assert upstream.depart().url.startswith("https://idp.example/sso?tenant=pori&x=1&SAMLRequest=")


def test_bindings_3_5_a_city_that_takes_POST_only_gets_it_signed_inside(upstream: Any, tool: Any) -> None:
    city_at(upstream, tool, CITY_SSO, "HTTP-POST")

    delivery = upstream.depart()

    assert isinstance(delivery, FormPost)
    assert delivery.url == CITY_SSO
    assert delivery.fields["RelayState"] == upstream.transaction.id
    octets = b64decode(delivery.fields["SAMLRequest"])
    certificate = upstream.keys.active(tool.keyring.KeyUse.SAML_SIGNING).certificate.decode()
    found = XMLVerifier().verify(octets, x509_cert=certificate, id_attribute="ID").signed_xml
    assert found.get("Destination") == CITY_SSO
    schema({NS["samlp"]: "saml-schema-protocol-2.0.xsd"}).assertValid(etree.fromstring(octets))


def test_bindings_3_4_a_request_too_long_for_an_address_goes_by_POST_if_it_may(upstream: Any, tool: Any) -> None:
    # No two alike, as DEFLATE would make little of them.
    many = tuple(f"https://{uuid4()}.example/{uuid4()}" for _ in range(200))
    assert isinstance(upstream.depart(requesters=many), Redirect)

    both = upstream.idp.metadata.content.replace(
        b"</md:IDPSSODescriptor>",
        b'<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"'
        b' Location="https://adfs.pori.example/post"/></md:IDPSSODescriptor>',
    )
    upstream.idp = replace(upstream.idp, metadata=replace(upstream.idp.metadata, content=both))
    assert isinstance(upstream.depart(requesters=many[:2]), Redirect)
    delivery = upstream.depart(requesters=many)

    assert isinstance(delivery, FormPost)
    assert delivery.url == "https://adfs.pori.example/post"
    request = etree.fromstring(b64decode(delivery.fields["SAMLRequest"]))
    assert request.get("Destination") == delivery.url
    assert request.get("ID") == upstream.transaction.upstream["request_id"]
    assert len(request.findall("samlp:Scoping/samlp:RequesterID", NS)) == 200


# --- Scoping ---------------------------------------------------------------------------------------------------------------


def scoping_of(upstream: Any, tool: Any, **asked: Any) -> Any:
    request = tool.inflated(upstream.depart(**asked))
    schema({NS["samlp"]: "saml-schema-protocol-2.0.xsd"}).assertValid(request)
    return request.find("samlp:Scoping", NS)


@pytest.mark.parametrize(("count", "written"), [(None, None), (0, "0"), (3, "3")])
def test_core_3_4_1_2_Scoping_names_who_asks(upstream: Any, tool: Any, count: int | None, written: str | None) -> None:
    scoping = scoping_of(upstream, tool, requesters=("https://proxy", "https://wiki"), proxy_count=count)
    assert scoping.get("ProxyCount") == written
    assert [each.text for each in scoping.findall("samlp:RequesterID", NS)] == ["https://proxy", "https://wiki"]


@pytest.mark.parametrize("quirk", ["adfs-no-scoping", "entra-id-no-scoping"])
def test_a_product_that_refuses_Scoping_gets_none(upstream: Any, tool: Any, quirk: str) -> None:
    upstream.idp = replace(upstream.idp, quirks=frozenset({quirk}))
    assert scoping_of(upstream, tool, requesters=("https://wiki",), proxy_count=1) is None


def test_a_product_that_refuses_NameIDPolicy_gets_none(upstream: Any, tool: Any) -> None:
    upstream.idp = replace(upstream.idp, quirks=frozenset({"adfs-no-name-id-policy"}))
    request = tool.inflated(upstream.depart())
    schema({NS["samlp"]: "saml-schema-protocol-2.0.xsd"}).assertValid(request)
    assert request.find("samlp:NameIDPolicy", NS) is None
