"""Requests that no service sent as they arrive: changed, doubled, packed to burst, hostile as XML."""

from __future__ import annotations

import zlib
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest

from broker.errors import MalformedMessage, UnregisteredAddress
from broker.saml import errors

RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
HMAC = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"


def read(downstream: Any, query: str) -> Any:
    return downstream.edge.read_redirect(query, downstream.federation)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("RelayState=rs", "RelayState=other", id="relay_state"),
        pytest.param("RelayState=rs&", "", id="relay_state_taken_away"),
        pytest.param("rsa-sha256", "rsa-sha384", id="algorithm"),
        pytest.param("SAMLRequest=f", "SAMLRequest=%66", id="the_same_in_another_encoding"),
    ],
)
def test_a_signed_query_with_one_change(downstream: Any, old: str, new: str) -> None:
    query = downstream.query(downstream.request(), by="service")
    if "%66" in new:
        first = query.removeprefix("SAMLRequest=")[0]
        old, new = f"SAMLRequest={first}", f"SAMLRequest=%{ord(first):02X}"
    assert old in query
    with pytest.raises(errors.RequestSignatureInvalid) as refused:
        read(downstream, query.replace(old, new, 1))
    assert refused.value.context["check"] == "signature_wrong"


def test_another_message_under_a_good_signature(downstream: Any) -> None:
    signed = downstream.query(downstream.request(), by="service")
    other = downstream.query(downstream.request(ForceAuthn="true"))
    with pytest.raises(errors.RequestSignatureInvalid):
        read(downstream, other + signed[signed.index("&SigAlg") :])


@pytest.mark.parametrize("name", ["SAMLRequest", "RelayState", "SigAlg", "Signature", "organisation"])
@pytest.mark.parametrize("front", [True, False], ids=["in_front", "behind"])
@pytest.mark.parametrize("spelling", ["plain", "encoded"])
def test_a_parameter_twice(downstream: Any, name: str, front: bool, spelling: str) -> None:
    query = downstream.query(downstream.request(), by="service") + "&organisation=pori"
    second = f"{name if spelling == 'plain' else f'%{ord(name[0]):02x}{name[1:]}'}=x"
    with pytest.raises(MalformedMessage):
        read(downstream, f"{second}&{query}" if front else f"{query}&{second}")


@pytest.mark.parametrize("algorithm", [RSA_SHA1, HMAC, "", "none"])
def test_a_refused_SigAlg(downstream: Any, algorithm: str) -> None:
    with pytest.raises(errors.RequestSignatureInvalid) as refused:
        read(downstream, downstream.query(downstream.request(), by="service", algorithm=algorithm))
    assert refused.value.context["check"] == "signature_algorithm"


@pytest.mark.parametrize("name", ["SigAlg", "Signature"])
def test_half_a_signature(downstream: Any, name: str) -> None:
    query = downstream.query(downstream.request(), by="service")
    kept = "&".join(each for each in query.split("&") if not each.startswith(f"{name}="))
    with pytest.raises(MalformedMessage):
        read(downstream, kept)


def test_an_ECDSA_algorithm_with_an_RSA_key(downstream: Any) -> None:
    ecdsa = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
    with pytest.raises(errors.RequestSignatureInvalid) as refused:
        read(downstream, downstream.query(downstream.request(), by="service", algorithm=ecdsa))
    assert refused.value.context["check"] == "signature_wrong"


def test_SHA_1_inside_a_posted_request(downstream: Any, tool: Any, pairs: Any) -> None:
    xml = tool.sign(downstream.request(), pairs["service"], algorithm="rsa-sha1", digest="sha1")
    with pytest.raises(errors.RequestSignatureInvalid) as refused:
        downstream.posted(xml)
    assert refused.value.context["check"] == "signature_algorithm"


def test_a_posted_request_changed_after_it_was_signed(downstream: Any, tool: Any, pairs: Any) -> None:
    xml = tool.sign(downstream.request(), pairs["service"])
    with pytest.raises(errors.RequestSignatureInvalid):
        downstream.posted(xml.replace('ID="_request"', 'ID="_request" ForceAuthn="true"'))


# --- packing -------------------------------------------------------------------------------------------------------------


def packed(octets: bytes) -> str:
    packer = zlib.compressobj(9, wbits=-15)
    return b64encode(packer.compress(octets) + packer.flush()).decode()


def test_a_deflate_bomb(downstream: Any) -> None:
    bomb = packed(b"<" + b" " * 50_000_000)
    assert len(bomb) < 300_000
    with pytest.raises(MalformedMessage, match="too large"):
        read(downstream, f"SAMLRequest={quote(bomb, safe='')}")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param("%%%", id="not_base64"),
        pytest.param(quote(b64encode(b"<samlp/>").decode()), id="not_deflated"),
        pytest.param(quote(packed(b"<samlp/>")[:-8]), id="cut_off"),
        pytest.param(quote(b64encode(zlib.compress(b"<samlp/>")).decode()), id="zlib_with_header"),
        pytest.param("%ff%fe", id="not_utf_8"),
        pytest.param("\udcff", id="surrogate"),
        pytest.param("ä", id="not_ascii"),
    ],
)
def test_nonsense_in_SAMLRequest(downstream: Any, value: str) -> None:
    with pytest.raises(MalformedMessage):
        read(downstream, f"SAMLRequest={value}")


def test_something_behind_the_packed_message(downstream: Any) -> None:
    packer = zlib.compressobj(wbits=-15)
    octets = packer.compress(downstream.request().encode()) + packer.flush() + b"more"
    with pytest.raises(MalformedMessage):
        read(downstream, f"SAMLRequest={quote(b64encode(octets).decode(), safe='')}")


@pytest.mark.parametrize("query", ["", "&&&", "=", "SAMLResponse=x", "SAMLRequest"])
def test_no_request_at_all(downstream: Any, query: str) -> None:
    with pytest.raises(MalformedMessage):
        read(downstream, query)


def test_no_request_in_the_form(downstream: Any) -> None:
    with pytest.raises(MalformedMessage):
        downstream.edge.read_post({}, "", downstream.federation)


def test_another_encoding_than_DEFLATE(downstream: Any) -> None:
    with pytest.raises(MalformedMessage):
        read(downstream, downstream.query(downstream.request()) + "&SAMLEncoding=urn:x")


@pytest.mark.parametrize("relay_state", ["x" * 1025, "ä" * 513, "%ed%a0%80", "\udcff"])
def test_RelayState_that_is_too_long_or_no_text(downstream: Any, relay_state: str) -> None:
    query = downstream.query(downstream.request(), relay_state=None)
    with pytest.raises(MalformedMessage):
        read(downstream, f"{query}&RelayState={relay_state}")


# --- XML -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param("<!DOCTYPE x>{}", id="doctype"),
        pytest.param('<!DOCTYPE x [<!ENTITY a "b">]>{}', id="entity"),
        pytest.param("{}<x/>", id="two_roots"),
        pytest.param("\x00{}", id="nul"),
    ],
)
def test_hostile_XML(downstream: Any, hostile: str) -> None:
    xml = hostile.format(downstream.request())
    with pytest.raises(MalformedMessage):
        downstream.redirect(xml)
    with pytest.raises(MalformedMessage):
        downstream.posted(xml)


def test_a_comment_inside_the_Issuer(downstream: Any) -> None:
    xml = downstream.request().replace("<saml:Issuer>https", "<saml:Issuer><!---->https")
    with pytest.raises(MalformedMessage, match="comment"):
        downstream.redirect(xml)


def test_an_Issuer_with_elements_inside(downstream: Any) -> None:
    with pytest.raises(MalformedMessage):
        downstream.redirect(downstream.request(Issuer="<saml:x/>"))


def test_against_the_schema(downstream: Any) -> None:
    with pytest.raises(MalformedMessage, match="schema"):
        downstream.redirect(downstream.request("<saml:Advice/>"))


def test_200_000_elements(downstream: Any) -> None:
    inner = "<samlp:Extensions>" + "<x/>" * 60_000 + "</samlp:Extensions>"
    with pytest.raises(MalformedMessage):
        downstream.redirect(downstream.request(inner))


@pytest.mark.parametrize("index", ["-1", "65536", "x", ""])
def test_an_index_that_is_none(downstream: Any, index: str) -> None:
    with pytest.raises((MalformedMessage, UnregisteredAddress)):
        downstream.redirect(downstream.request(AssertionConsumerServiceURL=None, AssertionConsumerServiceIndex=index))


@pytest.mark.parametrize(
    "instant", ["0000-01-01T00:00:00Z", "99999-01-01T00:00:00Z", "2026-01-15T24:00:00Z", "-0001-01-01T00:00:00Z"]
)
def test_a_time_outside_the_calendar(downstream: Any, instant: str) -> None:
    with pytest.raises(MalformedMessage):
        downstream.redirect(downstream.request(IssueInstant=instant))
