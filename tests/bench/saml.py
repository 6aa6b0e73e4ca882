"""The bench's own SAML: a service that asks, a city that answers, and the checks of both. python-xmlsec on lxml."""

from __future__ import annotations

import secrets
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import parse_qsl, quote
from xml.sax.saxutils import escape

import xmlsec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import load_der_x509_certificate
from lxml import etree

from tests.bench.errors import WrongAnswerError, expect
from tests.bench.parties import CLAIM, EMPLOYEE_ID, Parties, SigningKey, User

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
DS = "http://www.w3.org/2000/09/xmldsig#"
NS = {"saml": SAML, "samlp": SAMLP, "md": MD, "ds": DS}
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
MAIL = "urn:oid:0.9.2342.19200300.100.1.3"
DISPLAY_NAME = "urn:oid:2.16.840.1.113730.3.1.241"
_SKEW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The broker in one role, as its own metadata describes it. ``key``: of its signing certificate."""

    entity_id: str
    key: rsa.RSAPublicKey
    xml_key: xmlsec.Key
    address: str
    """Of the single sign-on service (Redirect), or of the assertion consumer service."""


def read_metadata(content: bytes) -> Peer:
    """The broker's EntityDescriptor, as identity provider or as service provider."""
    root = _parse(content)
    certificate = b64decode(_text(root, ".//md:KeyDescriptor[@use='signing' or not(@use)]//ds:X509Certificate"))
    key = load_der_x509_certificate(certificate).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise WrongAnswerError("the broker's signing key is not RSA")
    redirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
    services = root.findall(".//md:AssertionConsumerService", NS) + root.findall(
        f".//md:SingleSignOnService[@Binding='{redirect}']", NS
    )
    return Peer(
        entity_id=root.get("entityID", ""),
        key=key,
        xml_key=xmlsec.Key.from_memory(certificate, xmlsec.constants.KeyDataFormatCertDer),
        address=services[0].get("Location", ""),
    )


# --- the service -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An AuthnRequest on its way. ``url``: where the browser goes."""

    id: str
    relay_state: str
    url: str


def authn_request(parties: Parties, broker: Peer, organisation: str) -> Asked:
    """A signed AuthnRequest by the Redirect binding (saml-bindings 3.4), the organisation named beforehand."""
    id, relay_state = f"_{secrets.token_hex(16)}", secrets.token_urlsafe(12)
    xml = (
        f'<samlp:AuthnRequest xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="{id}" Version="2.0"'
        f' IssueInstant="{_instant(datetime.now(UTC))}" Destination="{broker.address}"'
        f' AssertionConsumerServiceURL="{parties.service_acs}"'
        ' ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST">'
        f"<saml:Issuer>{parties.service_entity_id}</saml:Issuer></samlp:AuthnRequest>"
    )
    query = "&".join(
        f"{name}={quote(value, safe='')}"
        for name, value in (("SAMLRequest", _deflated(xml)), ("RelayState", relay_state), ("SigAlg", RSA_SHA256))
    )
    signature = parties.service_key.private.sign(query.encode("ascii"), padding.PKCS1v15(), hashes.SHA256())
    signed = f"{query}&Signature={quote(b64encode(signature), safe='')}"
    return Asked(id=id, relay_state=relay_state, url=f"{broker.address}?{signed}&organisation={organisation}")


def check_form(html: bytes, parties: Parties, asked: Asked) -> bytes:
    """The page that posts the answer to the service: its address and RelayState. Returns the Response."""
    form = etree.HTML(html).find(".//form")
    if form is None:
        raise WrongAnswerError("a page without a form")
    expect("form action", form.get("action"), parties.service_acs)
    fields = {each.get("name"): each.get("value", "") for each in form.iterfind(".//input")}
    expect("RelayState", fields.get("RelayState"), asked.relay_state)
    return b64decode(fields.get("SAMLResponse", ""))


def check_response(content: bytes, parties: Parties, broker: Peer, asked: Asked, user: User, now: datetime) -> str:
    """As a careful service would (saml-profiles 4.1.4.3). Returns the NameID. Raises: WrongAnswerError."""
    root = _parse(content)
    expect("element", root.tag, f"{{{SAMLP}}}Response")
    expect("Destination", root.get("Destination"), parties.service_acs)
    expect("InResponseTo", root.get("InResponseTo"), asked.id)
    expect("status", _one(root, "samlp:Status/samlp:StatusCode").get("Value"), SUCCESS)
    assertion = _one(root, "saml:Assertion")
    check_signatures(root, assertion, broker)
    expect("Issuer", _text(assertion, "saml:Issuer"), broker.entity_id)
    data = _one(assertion, "saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData")
    expect("InResponseTo of the subject", data.get("InResponseTo"), asked.id)
    expect("Recipient", data.get("Recipient"), parties.service_acs)
    conditions = _one(assertion, "saml:Conditions")
    expect("Audience", _text(conditions, "saml:AudienceRestriction/saml:Audience"), parties.service_entity_id)
    if (
        not _time(conditions, "NotBefore") - _SKEW
        <= now
        < min(_time(conditions, "NotOnOrAfter"), _time(data, "NotOnOrAfter"))
    ):
        raise WrongAnswerError("not valid now")
    expect("mail", _attribute(assertion, MAIL), user.mail)
    expect("displayName", _attribute(assertion, DISPLAY_NAME), f"User {user.number}")
    return _text(assertion, "saml:Subject/saml:NameID")


def check_signatures(root: etree._Element, assertion: etree._Element, broker: Peer) -> None:
    """Every signature is the broker's and good, and one covers the assertion or the whole response."""
    signed = [each for each in (root, assertion) if each.find("ds:Signature", NS) is not None]
    if not signed:
        raise WrongAnswerError("signature: there is none")
    for element in signed:
        signature = _one(element, "ds:Signature")
        reference = _one(signature, "ds:SignedInfo/ds:Reference")
        expect("Reference", reference.get("URI"), f"#{element.get('ID')}")
        expect("SignatureMethod", _one(signature, "ds:SignedInfo/ds:SignatureMethod").get("Algorithm"), RSA_SHA256)
        context = xmlsec.SignatureContext()
        context.key = broker.xml_key
        context.register_id(element, "ID")
        try:
            context.verify(signature)
        except xmlsec.Error as error:
            raise WrongAnswerError("signature: does not verify") from error


# --- the city --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """The broker's AuthnRequest, checked."""

    id: str
    relay_state: str


def read_authn_request(location: str, parties: Parties, broker: Peer) -> Received:
    """As a careful city would. Raises: WrongAnswerError."""
    address, _, query = location.partition("?")
    expect("address of the city", address, parties.city_sso)
    signed, _, signature = query.rpartition("&Signature=")
    if not signature or "&" in signature:
        raise WrongAnswerError("AuthnRequest: not signed, or not at its end")
    fields = dict(parse_qsl(query, strict_parsing=True))
    expect("SigAlg", fields.get("SigAlg"), RSA_SHA256)
    try:
        broker.key.verify(b64decode(fields["Signature"]), signed.encode("ascii"), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise WrongAnswerError("AuthnRequest: signature does not verify") from error
    root = _parse(zlib.decompress(b64decode(fields["SAMLRequest"]), -15))
    expect("Destination", root.get("Destination"), parties.city_sso)
    expect("Issuer of the AuthnRequest", _text(root, "saml:Issuer"), broker.entity_id)
    expect("AssertionConsumerServiceURL", root.get("AssertionConsumerServiceURL", broker.address), broker.address)
    return Received(id=root.get("ID", ""), relay_state=fields["RelayState"])


def response(parties: Parties, broker: Peer, received: Received, user: User, now: datetime) -> dict[str, str]:
    """The city's answer, its assertion signed: the form fields that the browser posts to the broker."""
    instant, later = _instant(now), _instant(now + timedelta(minutes=5))
    assertion_id = f"_{secrets.token_hex(16)}"
    xml = f"""\
<samlp:Response xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="_{secrets.token_hex(16)}" Version="2.0" \
IssueInstant="{instant}" Destination="{broker.address}" InResponseTo="{received.id}">\
<saml:Issuer>{parties.city_entity_id}</saml:Issuer>\
<samlp:Status><samlp:StatusCode Value="{SUCCESS}"/></samlp:Status>\
<saml:Assertion ID="{assertion_id}" Version="2.0" IssueInstant="{instant}">\
<saml:Issuer>{parties.city_entity_id}</saml:Issuer>{signature_template(assertion_id)}<saml:Subject>\
<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">{user.employee_number}</saml:NameID>\
<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">\
<saml:SubjectConfirmationData NotOnOrAfter="{later}" Recipient="{broker.address}" InResponseTo="{received.id}"/>\
</saml:SubjectConfirmation></saml:Subject>\
<saml:Conditions NotBefore="{instant}" NotOnOrAfter="{later}">\
<saml:AudienceRestriction><saml:Audience>{broker.entity_id}</saml:Audience></saml:AudienceRestriction></saml:Conditions>\
<saml:AuthnStatement AuthnInstant="{instant}" SessionIndex="_{secrets.token_hex(8)}"><saml:AuthnContext>\
<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef>\
</saml:AuthnContext></saml:AuthnStatement>\
<saml:AttributeStatement>{_attributes(user)}</saml:AttributeStatement></saml:Assertion></samlp:Response>"""
    signed = sign_assertion(xml, parties.city_key)
    return {"SAMLResponse": b64encode(signed).decode("ascii"), "RelayState": received.relay_state}


def sign_assertion(xml: str, key: SigningKey) -> bytes:
    """Fills in the signature that stands as a template in the one assertion."""
    root = _parse(xml.encode("utf-8"))
    assertion = _one(root, "saml:Assertion")
    context = xmlsec.SignatureContext()
    context.key = key.xml
    context.register_id(assertion, "ID")
    context.sign(_one(assertion, "ds:Signature"))
    return etree.tostring(root)


def _attributes(user: User) -> str:
    values = {
        f"{CLAIM}upn": user.mail,
        f"{CLAIM}emailaddress": user.mail,
        f"{CLAIM}givenname": "User",
        f"{CLAIM}surname": str(user.number),
        f"{CLAIM}name": f"User {user.number}",
        EMPLOYEE_ID: user.employee_number,
    }
    return "".join(
        f'<saml:Attribute Name="{name}"><saml:AttributeValue>{escape(value)}</saml:AttributeValue></saml:Attribute>'
        for name, value in values.items()
    )


def signature_template(id: str) -> str:
    """An enveloped signature over the element with this ID, still without digest and value."""
    return (
        f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo>'
        '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>'
        f'<ds:SignatureMethod Algorithm="{RSA_SHA256}"/><ds:Reference URI="#{id}"><ds:Transforms>'
        f'<ds:Transform Algorithm="{DS}enveloped-signature"/>'
        '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms>'
        '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/></ds:Reference>'
        "</ds:SignedInfo><ds:SignatureValue/></ds:Signature>"
    )


# --- shared ----------------------------------------------------------------------------------------------------------


def _parse(content: bytes) -> etree._Element:
    try:
        return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise WrongAnswerError("not XML") from error


def _one(element: etree._Element, path: str) -> etree._Element:
    found = element.findall(path, NS)
    if len(found) != 1:
        raise WrongAnswerError(f"{path}: {len(found)} of them, not one")
    return found[0]


def _text(element: etree._Element, path: str) -> str:
    found = cast("list[etree._Element]", element.xpath(path, namespaces=cast("Mapping[str, str]", NS)))
    if not found:
        raise WrongAnswerError(f"{path}: missing")
    return "".join((found[0].text or "").split())


def _attribute(assertion: etree._Element, name: str) -> str:
    value = _one(assertion, f"saml:AttributeStatement/saml:Attribute[@Name='{name}']/saml:AttributeValue")
    return value.text or ""


def _time(element: etree._Element, name: str) -> datetime:
    return datetime.fromisoformat(element.get(name, ""))


def _instant(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _deflated(xml: str) -> str:
    compressor = zlib.compressobj(wbits=-15)
    return b64encode(compressor.compress(xml.encode("utf-8")) + compressor.flush()).decode("ascii")
