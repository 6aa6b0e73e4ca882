"""The generator of forged answers and requests, by family: each a name, what is sent, and the reasons for which it is refused.

Every family has a control: the same construction without the attack, which must be accepted.

Somorovsky et al., "On Breaking SAML" (USENIX Security 2012); CVE-2017-11427 and its kin; CVE-2025-25291 and -25292 (two parsers),
CVE-2025-47949 (a signature for something else), CVE-2025-66567 and -66568 (canonicalization that fails and is taken for empty).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import product
from typing import Any

from lxml import etree

from tests.spec.saml.conftest import Draft, Pair, sign

Element = etree._Element

SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
XS = "http://www.w3.org/2001/XMLSchema"
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
MAYOR = "mayor"
"""Whoever the attacker would like to be; the word stands in no honest message."""

UNREADABLE, SIGNATURE, NOT_ONE = "saml_unreadable_response", "saml_signature_invalid", "saml_not_one_assertion"
FORGED = frozenset({UNREADABLE, SIGNATURE, NOT_ONE})


@dataclass(frozen=True, kw_only=True)
class Forgery:
    """``xml``: makes the message. ``reasons``: fault codes, one of which must be the reason."""

    name: str
    xml: Callable[[], str]
    reasons: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One login on its way to the city. ``draft``: the city's honest answer to it. ``own``: the city's key; ``foreign``: a key
    of nobody."""

    draft: Draft
    own: Pair
    foreign: Pair
    now: datetime
    us: str
    acs: str
    city: str

    def signed(self, draft: Draft, *, response: bool = True, assertion: bool = True, by: Pair | None = None) -> str:
        pair = by or self.own
        inner = sign(draft.assertion(), pair) if assertion else draft.assertion()
        outer = draft.response(inner if draft.with_assertion else "")
        return sign(outer, pair) if response else outer

    def with_signed_assertion(self, assertion: str) -> str:
        """A Response around an assertion of any text, both signed by the city itself."""
        return sign(self.draft.response(sign(assertion, self.own)), self.own)


# --- every wrong value of every checked field ---------------------------------------------------------------------------

Wrong = tuple[str, dict[str, Any], str]
"""Name, changes of the draft, reason."""


def near_addresses(right: str) -> Iterator[tuple[str, str]]:
    """Names and values that are nearly an address or an entityID."""
    near = {
        "other": "https://elsewhere.example/",
        "slash": right + "/",
        "case": right.upper(),
        "shorter": right[:-1],
        "longer": right + "x",
        "query": right + "?a=b",
        "fragment": right + "#a",
        "dot_segment": right.replace("127.0.0.1", "127.0.0.1/x/..", 1),
        "percent": right[:-1] + f"%{ord(right[-1]):x}",
        "dot_at_the_host": right.replace("127.0.0.1", "127.0.0.1.", 1),
        "userinfo": right.replace("://", "://a@", 1),
        "scheme": right.replace("http:", "https:", 1),
        "look_alike": right[:-1] + "\u0435",
        "two": f"{right} {right}",
    }
    assert right not in near.values()
    yield from near.items()


def wrong_fields(stage: Stage) -> Iterator[Forgery]:
    for name, changes, reason in (*_of_response(stage), *_of_assertion(stage), *_of_confirmation(stage)):
        xml = partial(stage.signed, replace(stage.draft, **changes))
        yield Forgery(name=name, xml=xml, reasons=frozenset({reason}))


def _of_response(stage: Stage) -> Iterator[Wrong]:
    for name, value in near_addresses(stage.acs):
        yield f"Destination_{name}", {"destination": value}, "saml_wrong_destination"
    yield "Destination_empty", {"destination": ""}, "saml_wrong_destination"
    yield "Destination_none", {"destination": None}, "saml_wrong_destination"
    yield "Destination_our_entityID", {"destination": stage.us}, "saml_wrong_destination"
    for name, value in near_addresses(stage.city):
        yield f"Issuer_{name}", {"issuer": value}, "saml_wrong_issuer"
    yield "Issuer_empty", {"issuer": ""}, "saml_wrong_issuer"
    yield "Issuer_us", {"issuer": stage.us}, "saml_wrong_issuer"
    for name, value in (("other", "_other"), ("longer", stage.draft.request_id + "x"), ("none", None)):
        yield f"InResponseTo_{name}", {"in_response_to": value}, "saml_wrong_in_response_to"
    yield "InResponseTo_two", {"in_response_to": f"{stage.draft.request_id} _x"}, UNREADABLE
    yield "Version_1_1", {"version": "1.1"}, "saml_not_a_response"
    yield "IssueInstant_future", {"issue_instant": stage.now + timedelta(hours=1)}, "saml_not_yet_valid"
    for name, codes, reason in (
        ("Requester", ("Requester",), "home_refused"),
        ("Responder", ("Responder",), "home_refused"),
        ("AuthnFailed", ("Responder", "AuthnFailed"), "home_refused"),
        ("NoAuthnContext", ("Responder", "NoAuthnContext"), "saml_home_context_not_met"),
        ("case", ("success",), "home_refused"),
    ):
        yield f"Status_{name}", {"status": tuple(STATUS + each for each in codes)}, reason
    yield "Status_of_our_own_making", {"status": ("urn:x:Success",)}, "home_refused"
    yield "no_assertion", {"with_assertion": False}, NOT_ONE


def _of_assertion(stage: Stage) -> Iterator[Wrong]:
    past, future = stage.now - timedelta(hours=1), stage.now + timedelta(hours=1)
    for name, value in near_addresses(stage.city):
        yield f"assertion_Issuer_{name}", {"assertion_issuer": value}, "saml_wrong_issuer"
    yield "assertion_Issuer_empty", {"assertion_issuer": ""}, "saml_wrong_issuer"
    for name, value in near_addresses(stage.us):
        yield f"Audience_{name}", {"audiences": ((value,),)}, "saml_wrong_audience"
    yield "Audience_none", {"audiences": ()}, "saml_wrong_audience"
    yield "Audience_empty", {"audiences": (("",),)}, "saml_wrong_audience"
    yield "Audience_our_ACS", {"audiences": ((stage.acs,),)}, "saml_wrong_audience"
    yield (
        "Audience_a_second_restriction",
        {"audiences": ((stage.us,), ("https://other.example",))},
        "saml_wrong_audience",
    )
    yield "Conditions_none", {"no_conditions": True}, "saml_wrong_audience"
    yield "NotBefore_future", {"not_before": future}, "saml_not_yet_valid"
    yield "NotOnOrAfter_past", {"not_on_or_after": past}, "saml_expired"
    yield "Condition_unknown", {"conditions": _UNKNOWN_CONDITION}, UNREADABLE
    yield "ProxyRestriction_0", {"conditions": '<saml:ProxyRestriction Count="0"/>'}, "saml_proxying_forbidden"
    yield "AuthnInstant_future", {"authn_instant": future}, "saml_authn_instant_in_future"
    yield "SessionNotOnOrAfter_past", {"session_until": past}, "saml_session_ended"
    yield "AuthnStatement_none", {"authn_statement": ""}, "saml_no_authn_statement"
    for qualifier in ("NameQualifier", "SPNameQualifier"):
        name_id = f'<saml:NameID Format="{_FORMAT}persistent" {qualifier}="https://other.example">x</saml:NameID>'
        yield f"{qualifier}_foreign", {"name_id": name_id}, "saml_foreign_name_qualifier"
    yield "two_Subjects", {"conditions": "</saml:Conditions><saml:Subject/><saml:Conditions>"}, UNREADABLE


def _of_confirmation(stage: Stage) -> Iterator[Wrong]:
    past, future = stage.now - timedelta(hours=1), stage.now + timedelta(hours=1)
    for name, value in near_addresses(stage.acs):
        yield f"Recipient_{name}", {"recipient": value}, "saml_wrong_recipient"
    yield "Recipient_none", {"recipient": None}, "saml_wrong_recipient"
    yield "Recipient_empty", {"recipient": ""}, "saml_wrong_recipient"
    yield "Recipient_our_entityID", {"recipient": stage.us}, "saml_wrong_recipient"
    yield "confirmed_InResponseTo_other", {"confirmed_in_response_to": "_other"}, "saml_wrong_in_response_to"
    yield "confirmed_NotOnOrAfter_past", {"confirmed_until": past}, "saml_expired"
    yield "confirmed_NotOnOrAfter_none", {"confirmed_until": None}, "saml_expired"
    yield "confirmed_NotBefore_future", {"confirmed_from": future}, "saml_not_bearer"
    for method in ("holder-of-key", "sender-vouches", "Bearer", "bearer "):
        yield f"Method_{method.strip()}", {"method": f"urn:oasis:names:tc:SAML:2.0:cm:{method}"}, "saml_not_bearer"
    yield "confirmation_none", {"confirmations": ""}, "saml_not_bearer"
    empty = '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>'
    yield "confirmation_without_data", {"confirmations": empty}, "saml_not_bearer"


_FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:"
_UNKNOWN_CONDITION = (
    '<saml:Condition xmlns:x="urn:x" xsi:type="x:Sunny" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/>'
)


# --- signature wrapping: every place, every signature --------------------------------------------------------------------

Place = Callable[[Element, Element, Element], None]
"""Puts ``extra`` somewhere into a Response with its assertion: (response, assertion, extra)."""


def _into(name: str) -> Place:
    """Inside a new element of that qualified name at the schema's place in the Response: Extensions, StatusDetail."""

    def place(response: Element, _: Element, extra: Element) -> None:
        holder = etree.Element(name)
        holder.append(extra)
        status = response.find(f"{SAMLP}Status")
        assert status is not None
        if name.endswith("Extensions"):
            status.addprevious(holder)
        else:
            status.append(holder)

    return place


def _into_assertion(path: str, wrapper: str | None = None) -> Place:
    def place(_: Element, assertion: Element, extra: Element) -> None:
        found = assertion if path == "." else assertion.find(path)
        if found is None:
            found = etree.SubElement(assertion, path)
        if wrapper is not None:
            found = etree.SubElement(found, wrapper)
        found.append(extra)

    return place


def _into_signature(response: Element, assertion: Element, extra: Element) -> None:
    found = next((each.find(f"{DS}Signature") for each in (assertion, response)), None)
    holder = etree.Element(f"{DS}Object")
    holder.append(extra)
    if found is None:
        response.append(holder)
    else:
        found.append(holder)


PLACES: dict[str, Place] = {
    "before": lambda _, assertion, extra: assertion.addprevious(extra),
    "after": lambda _, assertion, extra: assertion.addnext(extra),
    "first_in_response": lambda response, _, extra: response.insert(0, extra),
    "Extensions": _into(f"{SAMLP}Extensions"),
    "StatusDetail": _into(f"{SAMLP}StatusDetail"),
    "Object": _into_signature,
    "Advice": _into_assertion(f"{SAML}Advice"),
    "SubjectConfirmationData": _into_assertion(f".//{SAML}SubjectConfirmationData"),
    "AttributeValue": _into_assertion(f".//{SAML}AttributeValue"),
    "AuthnContextDecl": _into_assertion(f".//{SAML}AuthnContext", f"{SAML}AuthnContextDecl"),
    "in_assertion": _into_assertion("."),
}


_SIGNED = {"response": (True, False), "assertion": (False, True), "both": (True, True)}


def wrapped(stage: Stage) -> Iterator[Forgery]:
    """The true assertion and a forged one in one Response: which of the two is verified, and which is read?"""
    ids = {"same_id": stage.draft.assertion_id, "other_id": "_forged", "no_id": None}
    for where, by, id, moved in product(PLACES, _SIGNED, ids, ("forged", "true")):
        xml = partial(_wrapped, stage, PLACES[where], _SIGNED[by], ids[id], moved)
        yield Forgery(name=f"{where}-{by}_signed-{id}-{moved}_one_moved", xml=xml, reasons=FORGED)


def _wrapped(stage: Stage, place: Place, signed: tuple[bool, bool], id: str | None, moved: str) -> str:
    root = etree.fromstring(stage.signed(stage.draft, response=signed[0], assertion=signed[1]))
    true = _found(root, f"{SAML}Assertion")
    forged = _forged(true, id)
    if moved == "true":
        root.replace(true, forged)
        place(root, forged, true)
    else:
        place(root, true, forged)
    return _text(root)


def moved_signatures(stage: Stage) -> Iterator[Forgery]:
    """A good signature, put where it covers nothing."""
    for keep, id in product((True, False), ("same", "other")):
        name = f"the_assertion_s-{'true_one_in_Advice' if keep else 'true_one_away'}-{id}_id"
        yield Forgery(name=name, xml=partial(_moved_signature, stage, keep, id), reasons=FORGED)
    yield Forgery(name="the_assertion_s_at_the_Response", xml=partial(_signature_of_another, stage), reasons=FORGED)


def _moved_signature(stage: Stage, keep: bool, id: str) -> str:
    root = etree.fromstring(stage.signed(stage.draft, response=False))
    true = _found(root, f"{SAML}Assertion")
    forged = _forged(true, stage.draft.assertion_id if id == "same" else "_forged")
    good = _found(true, f"{DS}Signature")
    forged.insert(1, deepcopy(good))
    root.replace(true, forged)
    if keep:
        true.remove(good)
        advice = etree.Element(f"{SAML}Advice")
        advice.append(true)
        _found(forged, f"{SAML}Conditions").addnext(advice)
    return _text(root)


def _signature_of_another(stage: Stage) -> str:
    """CVE-2025-47949: the Response bears a signature whose Reference names another element."""
    root = etree.fromstring(stage.signed(stage.draft, response=False))
    true = _found(root, f"{SAML}Assertion")
    good = _found(true, f"{DS}Signature")
    root.insert(1, good)
    for value in true.iter(f"{SAML}NameID"):
        value.text = MAYOR
    return _text(root)


def _found(element: Element, path: str) -> Element:
    found = element.find(path)
    assert found is not None, path
    return found


def _text(root: Element) -> str:
    return etree.tostring(root, encoding="unicode")


def _forged(true: Element, id: str | None) -> Element:
    forged = deepcopy(true)
    for signature in forged.findall(f"{DS}Signature"):
        forged.remove(signature)
    if id is None:
        del forged.attrib["ID"]
    else:
        forged.set("ID", id)
    for value in forged.iter(f"{SAML}NameID", f"{SAML}AttributeValue"):
        value.text = MAYOR
    return forged


# --- the form of the signature --------------------------------------------------------------------------------------------


def signature_forms(stage: Stage) -> Iterator[Forgery]:
    """One change in a good signature of the Response, the assertion unsigned: nothing else could vouch for it."""
    for name, old, new in _signature_changes(stage.draft):
        yield Forgery(name=name, xml=partial(_changed, stage, old, new), reasons=FORGED)
    parts = ("SignatureValue", "DigestValue", "SignedInfo", "Reference", "Transforms", "DigestMethod")
    for part, (how, change) in product(parts, _PART_CHANGES.items()):
        yield Forgery(name=f"{part}_{how}", xml=partial(_part_changed, stage, part, change), reasons=FORGED)
    yield Forgery(name="by_nobody_s_key", xml=partial(stage.signed, stage.draft, by=stage.foreign), reasons=FORGED)
    for name, inner, outer in (
        ("assertion_by_nobody_s_key", stage.foreign, stage.own),
        ("response_by_nobody_s_key", stage.own, stage.foreign),
    ):
        yield Forgery(name=name, xml=partial(_signed_by_two, stage, inner, outer), reasons=FORGED)
    for algorithm, digest in (("rsa-sha1", "sha1"), ("rsa-sha256", "sha1"), ("rsa-sha1", "sha256")):
        xml = partial(_signed_by, stage, algorithm, digest)
        yield Forgery(name=f"{algorithm}_{digest}", xml=xml, reasons=FORGED)


def _changed(stage: Stage, old: str, new: str) -> str:
    base = stage.signed(stage.draft, assertion=False)
    assert old in base, old
    return base.replace(old, new, 1)


def _part_changed(stage: Stage, part: str, change: Callable[[Element], None]) -> str:
    root = etree.fromstring(stage.signed(stage.draft, assertion=False))
    change(_found(root, f".//{DS}{part}"))
    return _text(root)


def _take_away(element: Element) -> None:
    parent = element.getparent()
    assert parent is not None
    parent.remove(element)


def _empty(element: Element) -> None:
    for child in list(element):
        element.remove(child)
    element.text = ""
    element.attrib.clear()


_PART_CHANGES: dict[str, Callable[[Element], None]] = {
    "taken_away": _take_away,
    "twice": lambda element: element.addnext(deepcopy(element)),
    "empty": _empty,
}


def _signed_by_two(stage: Stage, inner: Pair, outer: Pair) -> str:
    return sign(stage.draft.response(sign(stage.draft.assertion(), inner)), outer)


def _signed_by(stage: Stage, algorithm: str, digest: str) -> str:
    return sign(stage.draft.response(stage.draft.assertion()), stage.own, algorithm=algorithm, digest=digest)


_RSA = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
_ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_METHODS = {
    "none": "none",
    "empty": "",
    "hmac_sha1": "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
    "hmac_sha256": "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
    "rsa_md5": "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
    "dsa_sha1": "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
    "ecdsa": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "case": _RSA.upper(),
    "blank": f" {_RSA}",
}
_TRANSFORMS = {
    "xslt": "http://www.w3.org/TR/1999/REC-xslt-19991116",
    "xpath": "http://www.w3.org/TR/1999/REC-xpath-19991116",
    "xpath_filter2": "http://www.w3.org/2002/06/xmldsig-filter2",
    "base64": "http://www.w3.org/2000/09/xmldsig#base64",
    "decrypt": "http://www.w3.org/2002/07/decrypt#XML",
    "c14n": "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "c14n_comments": "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    "unknown": "urn:x",
}
_URIS = {
    "empty": "",
    "xpointer": "#xpointer(/)",
    "outside": "http://127.0.0.1:9/x",
    "file": "file:///etc/passwd",
    "nothing": "#",
}


def _signature_changes(draft: Draft) -> Iterator[tuple[str, str, str]]:
    """Name, what stands there, and what shall."""
    for name, value in _METHODS.items():
        yield f"SignatureMethod_{name}", f'SignatureMethod Algorithm="{_RSA}"', f'SignatureMethod Algorithm="{value}"'
    for name, value in _TRANSFORMS.items():
        yield f"Transform_{name}", f'Transform Algorithm="{_ENVELOPED}"', f'Transform Algorithm="{value}"'
        method = "CanonicalizationMethod Algorithm="
        yield f"CanonicalizationMethod_{name}", f'{method}"{_C14N}"', f'{method}"{value}"'
    uri = f' URI="#{draft.response_id}"'
    yield "Reference_none", uri, ""
    yield "Reference_assertion", uri, f' URI="#{draft.assertion_id}"'
    yield "Reference_xpointer_id", uri, f" URI=\"#xpointer(id('{draft.response_id}'))\""
    for name, value in _URIS.items():
        yield f"URI_{name}", uri, f' URI="{value}"'
    sha256 = 'DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"'
    yield "DigestMethod_md5", sha256, 'DigestMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#md5"'
    yield "DigestMethod_sha1", sha256, 'DigestMethod Algorithm="http://www.w3.org/2000/09/xmldsig#sha1"'


# --- values that two readers read differently -----------------------------------------------------------------------------


_INSERTS = {
    "comment": "<!---->",
    "comment_with_text": f"<!-- {MAYOR} -->",
    "processing_instruction": "<?x y?>",
}


def split_values(stage: Stage) -> Iterator[Forgery]:
    """Inserted after the city has signed: exclusive canonicalization leaves comments out, so the signature stays good."""
    for place, old in {
        "NameID": "4711</saml:NameID",
        "AttributeValue": ".fi</saml:AttributeValue",
        "Audience": "metadata</saml:Audience",
        "Issuer": "neighbour</saml:Issuer",
        "AuthnContextClassRef": "PasswordProtectedTransport</",
        "Status": "<samlp:StatusCode",
    }.items():
        for kind, insert in _INSERTS.items():
            yield Forgery(name=f"{kind}_in_{place}", xml=partial(_inserted, stage, old, insert), reasons=FORGED)


def _inserted(stage: Stage, old: str, insert: str) -> str:
    base = stage.signed(stage.draft)
    at = base.rindex(old)
    return base[:at] + insert + base[at:]


_LAUGHS = "".join(f'<!ENTITY l{each} "{f"&l{each - 1};" * 10}">' for each in range(1, 12))
_DOCTYPES = {
    "empty": "<!DOCTYPE Response>",
    "internal": '<!DOCTYPE r [<!ENTITY x "y">]>',
    "external": '<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd">',
    "file": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "parameter": '<!DOCTYPE r [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]>',
    "billion_laughs": f'<!DOCTYPE r [<!ENTITY l0 "ha">{_LAUGHS}]>',
    "quadratic": f'<!DOCTYPE r [<!ENTITY x "{"x" * 50_000}">]>',
    "default_attribute": '<!DOCTYPE r [<!ATTLIST Response ID CDATA "_other">]>',
    "notation": '<!DOCTYPE r [<!NOTATION n SYSTEM "x">]>',
    "lower_case": "<!doctype Response>",
}


def doctypes(stage: Stage) -> Iterator[Forgery]:
    for name, doctype in _DOCTYPES.items():
        xml = partial(_with_head, stage, doctype)
        yield Forgery(name=name, xml=xml, reasons=frozenset({UNREADABLE}))
    undeclared = partial(_inserted, stage, "4711</saml:NameID", "&x;")
    yield Forgery(name="an_undeclared_entity", xml=undeclared, reasons=frozenset({UNREADABLE}))


def _with_head(stage: Stage, head: str) -> str:
    return head + stage.signed(stage.draft)


_EMPTY_DIGEST = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
"""SHA-256 of nothing."""
_NOT_CANONICAL = {
    "relative_namespace": ("<saml:Assertion ", '<saml:Assertion xmlns:x="relative" '),
    "relative_namespace_of_an_attribute": ("<saml:Subject>", '<saml:Subject xmlns:x="a/b" x:y="z">'),
    "undeclared_prefix": ("saml:NameID", "none:NameID"),
    "xml_base": ("<saml:Subject>", '<saml:Subject xml:base="x">'),
    "xml_id": ("<saml:Subject>", '<saml:Subject xml:id="_x">'),
}


def canonicalization(stage: Stage) -> Iterator[Forgery]:
    """What makes libxml2 fail to canonicalize, which some take for an empty text, under the digest of nothing."""
    for name, (old, new) in _NOT_CANONICAL.items():
        yield Forgery(name=name, xml=partial(_not_canonical, stage, old, new), reasons=FORGED)


def _not_canonical(stage: Stage, old: str, new: str) -> str:
    base = stage.signed(stage.draft, assertion=False)
    digest = _found(etree.fromstring(base), f".//{DS}DigestValue").text
    assert digest
    assert old in base
    return base.replace(digest, _EMPTY_DIGEST).replace(old, new)


# --- too much -------------------------------------------------------------------------------------------------------------

_BOMBS = {
    "depth_300": lambda: "<x>" * 300 + "</x>" * 300,
    "depth_20_000": lambda: "<x>" * 20_000 + "</x>" * 20_000,
    "elements_50_000": lambda: "<x/>" * 50_000,
    "elements_120_000": lambda: "<x/>" * 120_000,
    "attributes_15_000": lambda: "<x " + " ".join(f'a{each}="x"' for each in range(15_000)) + "/>",
    "namespaces_5_000": lambda: "<x " + " ".join(f'xmlns:n{each}="urn:{each}"' for each in range(5_000)) + "/>",
    "text_600_000": lambda: f"<x>{'x' * 600_000}</x>",
    "signatures_2_000": lambda: "<ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'/>" * 2_000,
    "one_id_5_000_times": lambda: '<x ID="_x"/>' * 5_000,
}


def bombs(stage: Stage) -> Iterator[Forgery]:
    for name, inner in _BOMBS.items():
        yield Forgery(name=name, xml=partial(_with_extensions, stage, inner), reasons=FORGED)
    yield Forgery(name="assertions_50", xml=partial(_many_assertions, stage), reasons=FORGED)


def _with_extensions(stage: Stage, inner: Callable[[], str]) -> str:
    """Signed honestly, and then filled: the signature is looked at last."""
    head, tail = stage.signed(stage.draft).split("<samlp:Status>", 1)
    return f"{head}<samlp:Extensions>{inner()}</samlp:Extensions><samlp:Status>{tail}"


def _many_assertions(stage: Stage) -> str:
    many = (replace(stage.draft, assertion_id=f"_a{each}") for each in range(50))
    return stage.draft.response("".join(sign(each.assertion(), stage.own) for each in many))


FAMILIES: dict[str, Callable[[Stage], Iterator[Forgery]]] = {
    "wrong_fields": wrong_fields,
    "wrapped": wrapped,
    "moved_signatures": moved_signatures,
    "signature_forms": signature_forms,
    "split_values": split_values,
    "doctypes": doctypes,
    "canonicalization": canonicalization,
    "bombs": bombs,
}
