"""XSW 1 to 8: a signed message rearranged so that one element is verified and another is read (promise P1).

Somorovsky et al., "On Breaking SAML: Be Whoever You Want to Be" (USENIX Security 2012). Numbers as SAML Raider has them.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from broker.errors import HomeAnswerInvalid
from broker.saml import errors, signature
from broker.saml.metadata import read_idp

SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
Element = etree._Element


def xsw1(response: Element, evil: Element) -> Element:
    """A forged Response around the true one, which stands inside the signature."""
    forged = _forged_response(response, evil)
    signature = deepcopy(response.find(DS + "Signature"))
    signature.append(_unsigned(response))
    forged.insert(1, signature)
    return forged


def xsw2(response: Element, evil: Element) -> Element:
    """As 1, but the true one stands before the signature."""
    forged = _forged_response(response, evil)
    forged.insert(1, _unsigned(response))
    forged.insert(2, deepcopy(response.find(DS + "Signature")))
    return forged


def xsw3(response: Element, evil: Element) -> Element:
    """A forged assertion before the true one."""
    forged = deepcopy(response)
    assertion = forged.find(SAML + "Assertion")
    assertion.addprevious(_unsigned(evil))
    return forged


def xsw4(response: Element, evil: Element) -> Element:
    """A forged assertion around the true one."""
    forged = deepcopy(response)
    assertion = forged.find(SAML + "Assertion")
    wrapper = _unsigned(evil)
    forged.replace(assertion, wrapper)
    wrapper.append(assertion)
    return forged


def xsw5(response: Element, evil: Element) -> Element:
    """A forged assertion with the true one's signature; the true one, unsigned, behind it."""
    forged = deepcopy(response)
    assertion = forged.find(SAML + "Assertion")
    wrapper = _with_signature_of(evil, assertion)
    forged.replace(assertion, wrapper)
    forged.append(_unsigned(assertion))
    return forged


def xsw6(response: Element, evil: Element) -> Element:
    """As 5, but the true one stands inside the signature."""
    forged = deepcopy(response)
    assertion = forged.find(SAML + "Assertion")
    wrapper = _with_signature_of(evil, assertion)
    wrapper.find(DS + "Signature").append(_unsigned(assertion))
    forged.replace(assertion, wrapper)
    return forged


def xsw7(response: Element, evil: Element) -> Element:
    """The forged assertion inside Extensions, where the schema admits anything."""
    forged = deepcopy(response)
    extensions = etree.Element(SAMLP + "Extensions")
    extensions.append(_unsigned(evil))
    forged.insert(1, extensions)
    return forged


def xsw8(response: Element, evil: Element) -> Element:
    """A forged assertion with the true one's signature, which holds the true one in ds:Object."""
    forged = deepcopy(response)
    assertion = forged.find(SAML + "Assertion")
    wrapper = _with_signature_of(evil, assertion)
    holder = etree.SubElement(wrapper.find(DS + "Signature"), DS + "Object")
    holder.append(_unsigned(assertion))
    forged.replace(assertion, wrapper)
    return forged


def _unsigned(element: Element) -> Element:
    copy = deepcopy(element)
    copy.remove(copy.find(DS + "Signature"))
    return copy


def _forged_response(response: Element, evil: Element) -> Element:
    forged = _unsigned(response)
    forged.set("ID", "_forged_response" if evil.get("ID") == "_forged" else response.get("ID", ""))
    forged.replace(forged.find(SAML + "Assertion"), _unsigned(evil))
    return forged


def _with_signature_of(evil: Element, assertion: Element) -> Element:
    wrapper = _unsigned(evil)
    wrapper.insert(1, deepcopy(assertion.find(DS + "Signature")))
    return wrapper


Attack = Callable[[Element, Element], Element]
ON_RESPONSE = [xsw1, xsw2]
ON_ASSERTION = [xsw3, xsw4, xsw5, xsw6, xsw7, xsw8]


def true_and_evil(upstream: Any, attack: Attack, id: str) -> tuple[Element, Element]:
    """The city's own answer, signed where the attack needs it; and what the attacker would like it to say."""
    on_response = attack in ON_RESPONSE
    true = upstream.signed(upstream.draft, response=on_response, assertion=True)
    evil_draft = replace(
        upstream.draft,
        assertion_id=id,
        name_id=upstream.draft.name_id.replace("pori-4711", "mayor"),
    )
    evil = etree.fromstring(upstream.signed(evil_draft, response=False, assertion=True, by="stranger"))
    return etree.fromstring(true), evil.find(SAML + "Assertion")


@pytest.mark.parametrize("id", ["_assertion", "_forged"], ids=["same_id", "new_id"])
@pytest.mark.parametrize("attack", [*ON_RESPONSE, *ON_ASSERTION])
def test_P1_a_wrapped_answer_is_refused(upstream: Any, attack: Attack, id: str) -> None:
    response, evil = true_and_evil(upstream, attack, id)
    wrapped = attack(response, evil)

    with pytest.raises(HomeAnswerInvalid) as refused:
        upstream.post(etree.tostring(wrapped))

    assert isinstance(refused.value, errors.UnreadableResponse | errors.NotOneAssertion | errors.SignatureInvalid)


@pytest.mark.parametrize("attack", [xsw3, xsw4, xsw7])
def test_P1_no_second_assertion_stands_anywhere(upstream: Any, attack: Attack) -> None:
    """Where the schema and the IDs are in order, this is the reason."""
    response, evil = true_and_evil(upstream, attack, "_forged")
    with pytest.raises((errors.NotOneAssertion, errors.UnreadableResponse)) as refused:
        upstream.post(etree.tostring(attack(response, evil)))
    assert isinstance(refused.value, errors.NotOneAssertion) or attack is xsw4


@pytest.mark.parametrize("id", ["_assertion", "_forged"], ids=["same_id", "new_id"])
@pytest.mark.parametrize("attack", [*ON_RESPONSE, *ON_ASSERTION])
def test_P1_the_verifier_alone_never_vouches_for_a_wrapped_element(
    upstream: Any, pairs: Any, attack: Attack, id: str
) -> None:
    """Without the schema and the checks of IDs before it, nothing but true content verifies."""
    keys = read_idp(upstream.idp.metadata.content).signing_keys
    response, evil = true_and_evil(upstream, attack, id)
    wrapped = etree.fromstring(etree.tostring(attack(response, evil)))

    for element in wrapped.iter(SAMLP + "Response", SAML + "Assertion"):
        try:
            verified = signature.verify(element, keys)
        except signature.SignatureRefused:
            continue
        assert b"mayor" not in etree.tostring(verified.element)


def test_P1_only_the_verifier_makes_a_verified_element() -> None:
    with pytest.raises(TypeError):
        signature.VerifiedElement(etree.Element("anything"), object())


def test_P1_a_part_is_covered_only_by_what_is_around_it(upstream: Any) -> None:
    keys = read_idp(upstream.idp.metadata.content).signing_keys
    root = etree.fromstring(upstream.signed(upstream.draft, response=False))
    assertion = signature.verify(root.find(SAML + "Assertion"), keys)

    with pytest.raises(signature.Unsigned):
        signature.covered(assertion, root.find(SAML + "Issuer"))
