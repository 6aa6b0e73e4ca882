"""The generator of forged AuthnRequests: what is wrong with each, how it is sent, and for which reasons it is refused."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from tests.attacks.http.forged_answers import DS, SAMLP, near_addresses
from tests.spec.saml.conftest import Pair, sign

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
_NS = 'xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
MALFORMED, SIGNATURE = "malformed_message", "saml_request_signature"
UNKNOWN, ADDRESS, DESTINATION = "unknown_service", "unregistered_address", "saml_request_destination"


@dataclass(frozen=True, kw_only=True)
class Asking:
    """A service that asks. ``own``: its key; ``foreign``: nobody's."""

    own: Pair
    foreign: Pair
    now: datetime
    sso: str
    acs: str
    service: str

    def request(self, inner: str = "", **changes: str | None) -> str:
        """An AuthnRequest. ``inner``: behind its Issuer. An attribute that is None is left out."""
        given = {
            "ID": "_request",
            "Version": "2.0",
            "IssueInstant": self.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Destination": self.sso,
            "AssertionConsumerServiceURL": self.acs,
            **changes,
        }
        issuer = given.pop("Issuer", self.service)
        issued = "" if issuer is None else f"<saml:Issuer>{issuer}</saml:Issuer>"
        written = "".join(f' {name}="{value}"' for name, value in given.items() if value is not None)
        return f"<samlp:AuthnRequest {_NS}{written}>{issued}{inner}</samlp:AuthnRequest>"

    def query(self, xml: str, *, by: rsa.RSAPrivateKey | None = None, algorithm: str = RSA_SHA256) -> str:
        """saml-bindings 3.4.4.1: the signed query."""
        packer = zlib.compressobj(wbits=-15)
        packed = b64encode(packer.compress(xml.encode()) + packer.flush()).decode()
        fields = (("SAMLRequest", packed), ("RelayState", "rs"), ("SigAlg", algorithm))
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields)
        signature = (by or self.own.private).sign(query.encode("ascii"), padding.PKCS1v15(), hashes.SHA256())
        return f"{query}&Signature={quote(b64encode(signature).decode(), safe='')}"


@dataclass(frozen=True, kw_only=True)
class Forged:
    """``send``: gives a query for HTTP-Redirect, or a message for HTTP-POST, as ``post`` says. ``page``: refused on a page of
    ours; else by a Response to the service, whose address was verified."""

    name: str
    send: Callable[[], str]
    reasons: frozenset[str]
    post: bool = False
    page: bool = True


def _redirect(asking: Asking, name: str, xml: str, *reasons: str, page: bool = True) -> Forged:
    return Forged(name=name, send=partial(asking.query, xml), reasons=frozenset(reasons), page=page)


# --- every wrong value ------------------------------------------------------------------------------------------------


def wrong_fields(asking: Asking) -> Iterator[Forged]:
    yield from _before_the_address_is_known(asking)
    yield from _behind_it(asking)


def _before_the_address_is_known(asking: Asking) -> Iterator[Forged]:
    make = partial(_redirect, asking)
    for name, value in near_addresses(asking.service):
        yield make(f"Issuer_{name}", asking.request(Issuer=value), UNKNOWN)
    yield make("Issuer_none", asking.request(Issuer=None), UNKNOWN)
    yield make("Issuer_empty", asking.request(Issuer=""), UNKNOWN)
    for name, value in near_addresses(asking.sso):
        # A query may name the organisation; it is no part of the address.
        if name != "query":
            yield make(f"Destination_{name}", asking.request(Destination=value), DESTINATION)
    yield make("Destination_none", asking.request(Destination=None), DESTINATION)
    yield make("Destination_empty", asking.request(Destination=""), DESTINATION)
    for name, value in near_addresses(asking.acs):
        yield make(f"ACS_{name}", asking.request(AssertionConsumerServiceURL=value), ADDRESS)
    for scheme in ("javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//elsewhere.example/acs", ""):
        yield make(f"ACS_{scheme[:5] or 'empty'}", asking.request(AssertionConsumerServiceURL=scheme), ADDRESS)
    both = asking.request(AssertionConsumerServiceIndex="0")
    yield make("ACS_by_URL_and_by_index", both, ADDRESS)
    for index in ("1", "65535"):
        changes = {"AssertionConsumerServiceURL": None, "AssertionConsumerServiceIndex": index}
        yield make(f"ACS_index_{index}", asking.request(**changes), ADDRESS)
    for index in ("-1", "65536", "x", "1e3"):
        changes = {"AssertionConsumerServiceURL": None, "AssertionConsumerServiceIndex": index}
        yield make(f"ACS_index_{index}", asking.request(**changes), MALFORMED)
    for name in ("IsPassive", "ForceAuthn"):
        yield make(f"{name}_maybe", asking.request(**{name: "maybe"}), MALFORMED)
    for name in ("ID", "Version", "IssueInstant"):
        yield make(f"{name}_none", asking.request(**{name: None}), MALFORMED)
    yield make("ID_1", asking.request(ID="1"), MALFORMED)
    yield make("IssueInstant_garbage", asking.request(IssueInstant="yesterday"), MALFORMED)


def _behind_it(asking: Asking) -> Iterator[Forged]:
    make = partial(_redirect, asking, page=False)
    for name, hours in (("past", -1), ("future", 1)):
        instant = (asking.now + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield make(f"IssueInstant_{name}", asking.request(IssueInstant=instant), "saml_request_expired")
    yield make("Version_1_1", asking.request(Version="1.1"), "saml_request_unsupported")
    for binding in ("HTTP-Redirect", "PAOS", "HTTP-Artifact"):
        changes = {"ProtocolBinding": f"urn:oasis:names:tc:SAML:2.0:bindings:{binding}"}
        yield make(f"ProtocolBinding_{binding}", asking.request(**changes), "saml_unsupported_binding")
    subject = "<saml:Subject><saml:NameID>mayor</saml:NameID></saml:Subject>"
    yield make("Subject", asking.request(subject), "saml_request_unsupported")
    yield make("Conditions", asking.request("<saml:Conditions/>"), "saml_request_unsupported")
    scoping = '<samlp:Scoping ProxyCount="0"/>'
    yield make("ProxyCount_0", asking.request(scoping), "saml_proxy_count_exceeded")
    for name in ("kerberos", "X509SubjectName", "entity", "encrypted"):
        version = "1.1" if name.startswith("X509") else "2.0"
        policy = f'<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:{version}:nameid-format:{name}"/>'
        yield make(f"NameIDPolicy_{name}", asking.request(policy), "saml_invalid_name_id_policy")
    context = "<saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef>"
    declared = f"<samlp:RequestedAuthnContext>{context}</samlp:RequestedAuthnContext>"
    yield make("AuthnContextDeclRef", asking.request(declared), "saml_no_authn_context")
    index = {"AttributeConsumingServiceIndex": "7"}
    yield make("AttributeConsumingServiceIndex", asking.request(**index), "saml_unknown_attribute_consuming_service")


# --- the signature of the query -----------------------------------------------------------------------------------------


def queries(asking: Asking) -> Iterator[Forged]:
    def make(name: str, change: Callable[[str], str], *reasons: str) -> Forged:
        return Forged(name=name, send=lambda: change(asking.query(asking.request())), reasons=frozenset(reasons))

    yield make("no_signature", lambda query: query.partition("&SigAlg=")[0], SIGNATURE)
    yield make("no_SigAlg", lambda query: _without(query, "SigAlg"), MALFORMED)
    yield make("no_Signature", lambda query: _without(query, "Signature"), MALFORMED)
    yield make("empty_Signature", lambda query: query.partition("&Signature=")[0] + "&Signature=", SIGNATURE)
    yield make("RelayState_changed", lambda query: query.replace("RelayState=rs", "RelayState=xs"), SIGNATURE)
    yield make("RelayState_away", lambda query: _without(query, "RelayState"), SIGNATURE)
    yield make("RelayState_empty", lambda query: query.replace("RelayState=rs", "RelayState="), SIGNATURE)
    yield make("SigAlg_other", lambda query: query.replace("rsa-sha256", "rsa-sha512"), SIGNATURE)
    yield make("SigAlg_sha1", lambda query: query.replace("2001%2F04%2Fxmldsig-more%23rsa-sha256", _SHA1), SIGNATURE)
    yield make("SigAlg_hmac", lambda query: query.replace("rsa-sha256", "hmac-sha256"), SIGNATURE)
    yield make("SigAlg_ecdsa", lambda query: query.replace("rsa-sha256", "ecdsa-sha256"), SIGNATURE)
    yield make("SAMLResponse_instead", lambda query: query.replace("SAMLRequest=", "SAMLResponse="), MALFORMED)
    for name in ("SAMLRequest", "RelayState", "SigAlg", "Signature"):
        yield make(f"{name}_twice", lambda query, name=name: f"{query}&{name}=x", MALFORMED)
        yield make(f"{name}_twice_before", lambda query, name=name: f"{name}=x&{query}", MALFORMED)
        yield make(
            f"{name}_twice_encoded", lambda query, name=name: f"{query}&%{ord(name[0]):x}{name[1:]}=x", MALFORMED
        )
    foreign = partial(asking.query, asking.request(), by=asking.foreign.private)
    yield Forged(name="by_nobody_s_key", send=foreign, reasons=frozenset({SIGNATURE}))
    yield Forged(name="another_message", send=partial(_another_message, asking), reasons=frozenset({SIGNATURE}))


_SHA1 = "2000%2F09%2Fxmldsig%23rsa-sha1"


def _without(query: str, name: str) -> str:
    return "&".join(each for each in query.split("&") if not each.startswith(f"{name}="))


def _another_message(asking: Asking) -> str:
    """The signature of one request under another."""
    signed, other = asking.query(asking.request()), asking.query(asking.request(ForceAuthn="true"))
    return other.split("&", 1)[0] + "&" + signed.split("&", 1)[1]


# --- posted: enveloped signatures -----------------------------------------------------------------------------------------


def posted(asking: Asking) -> Iterator[Forged]:
    def make(name: str, send: Callable[[], str], *reasons: str) -> Forged:
        return Forged(name=name, send=send, reasons=frozenset(reasons), post=True)

    def changed(old: str, new: str) -> Callable[[], str]:
        return lambda: sign(asking.request(), asking.own).replace(old, new, 1)

    either = (SIGNATURE, MALFORMED)
    yield make("unsigned", asking.request, SIGNATURE)
    yield make("by_nobody_s_key", lambda: sign(asking.request(), asking.foreign), SIGNATURE)
    yield make("changed", changed("<saml:Issuer>", '<saml:Issuer Format="urn:x">'), *either)
    yield make("IsPassive_added", changed(" ID=", ' IsPassive="true" ID='), SIGNATURE)
    yield make("comment_in_the_Issuer", changed("/service</saml", "<!---->/service</saml"), MALFORMED)
    yield make("processing_instruction", changed("<saml:Issuer>", "<?x y?><saml:Issuer>"), MALFORMED)
    yield make("Reference_empty", changed('URI="#_request"', 'URI=""'), *either)
    yield make("Reference_other", changed('URI="#_request"', 'URI="#_x"'), *either)
    yield make("enveloped_away", changed("xmldsig#enveloped-signature", "xmldsig#base64"), *either)
    for algorithm, digest in (("rsa-sha1", "sha1"), ("rsa-sha256", "sha1")):
        signed = partial(sign, asking.request(), asking.own, algorithm=algorithm, digest=digest)
        yield make(f"{algorithm}_{digest}", signed, SIGNATURE)
    for where in ("Extensions", "Object", "around"):
        for id in ("_request", "_forged"):
            yield make(f"wrapped_{where}_{id}", partial(_wrapped, asking, where, id), *either)
    for name, head in {
        "empty": "<!DOCTYPE AuthnRequest>",
        "entity": '<!DOCTYPE r [<!ENTITY x "y">]>',
        "file": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    }.items():
        yield make(f"DOCTYPE_{name}", lambda head=head: head + sign(asking.request(), asking.own), MALFORMED)
    for name, inner in {
        "depth": "<x>" * 400 + "</x>" * 400,
        "elements": "<x/>" * 40_000,
        "text": "x" * 300_000,
    }.items():
        bomb = partial(asking.request, f"<samlp:Extensions><x>{inner}</x></samlp:Extensions>")
        yield make(f"bomb_{name}", bomb, *either)


def _wrapped(asking: Asking, where: str, id: str) -> str:
    """A request for another address with the signature of the true one, which is put away somewhere."""
    true = etree.fromstring(sign(asking.request(), asking.own))
    evil = etree.fromstring(asking.request(ID=id, AssertionConsumerServiceURL="https://elsewhere.example/"))
    good = true.find(f"{DS}Signature")
    assert good is not None
    if where == "around":
        evil.append(true)
        return etree.tostring(evil, encoding="unicode")
    signature = deepcopy(good)
    true.remove(good)
    evil.insert(1, signature)
    if where == "Object":
        holder = etree.SubElement(signature, f"{DS}Object")
    else:
        holder = etree.Element(f"{SAMLP}Extensions")
        evil.insert(2, holder)
    holder.append(true)
    return etree.tostring(evil, encoding="unicode")


FAMILIES: dict[str, Callable[[Asking], Iterator[Forged]]] = {
    "wrong_fields": wrong_fields,
    "queries": queries,
    "posted": posted,
}
