"""Answers that no city gave: unsigned, signed by others or by weak algorithms, changed, or hostile as XML (P1, P2)."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from broker.errors import HomeAnswerInvalid
from broker.saml import errors
from broker.saml.canonical import Rendered, canonical
from broker.saml.encryption import EncryptionKey, encrypt

DS = "http://www.w3.org/2000/09/xmldsig#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
CITY = "https://adfs.pori.example/adfs/services/trust"
OTHER_CITY = "https://idp.ulvila.example/idp"


def check_of(fault: type[HomeAnswerInvalid], send: Callable[[], object]) -> str:
    with pytest.raises(fault) as refused:
        send()
    return refused.value.context["check"]


# --- whose signature -------------------------------------------------------------------------------------------------------


def test_unsigned(upstream: Any) -> None:
    xml = upstream.signed(upstream.draft, response=False, assertion=False)
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(xml)) == "unsigned"


def test_signed_by_a_stranger_whose_certificate_is_in_KeyInfo(upstream: Any) -> None:
    xml = upstream.signed(upstream.draft, by="stranger")
    assert "X509Certificate" in xml
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(xml)) == "signature_wrong"


def test_KeyInfo_of_the_city_does_not_make_it_the_city_s(upstream: Any, pairs: Any) -> None:
    xml = upstream.signed(upstream.draft, by="stranger")
    claimed = _with_certificate(xml, pairs["city"].certificate_text)
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(claimed)) == "signature_wrong"


def test_another_city_s_answer_in_its_own_name(upstream: Any) -> None:
    draft = replace(upstream.draft, issuer=OTHER_CITY, assertion_issuer=OTHER_CITY)
    xml = upstream.signed(draft, by="other_city")
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(xml)) == "signature_wrong"


def test_another_city_s_answer_in_the_name_of_the_one_that_was_asked(upstream: Any) -> None:
    xml = upstream.signed(upstream.draft, by="other_city")
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(xml)) == "signature_wrong"


def test_another_city_s_signed_assertion_in_an_unsigned_Response(upstream: Any) -> None:
    draft = replace(upstream.draft, assertion_issuer=OTHER_CITY)
    xml = upstream.signed(draft, by="other_city", response=False)
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(xml)) == "signature_wrong"


def test_a_good_Response_around_an_assertion_that_a_stranger_signed(upstream: Any, tool: Any, pairs: Any) -> None:
    """saml-profiles 4.1.4.3: any signature that is there has to be good."""
    inner = tool.sign(upstream.draft.assertion(), pairs["stranger"])
    xml = tool.sign(upstream.draft.response(inner), pairs["city"])
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(xml)) == "signature_wrong"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("pori-4711", "pori-0001", id="subject"),
        pytest.param("aino@pori.fi", "maire@pori.fi", id="attribute"),
        pytest.param("PasswordProtectedTransport", "TimeSyncToken", id="context"),
        pytest.param('SessionIndex="_s1"', 'SessionIndex="_s2"', id="session"),
    ],
)
@pytest.mark.parametrize("where", ["response", "assertion"])
def test_one_changed_value(upstream: Any, old: str, new: str, where: str) -> None:
    xml = upstream.signed(upstream.draft, response=where == "response", assertion=where == "assertion")
    assert old in xml
    changed = xml.replace(old, new)
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(changed)) == "signature_wrong"


def test_the_signature_taken_away_from_the_assertion(upstream: Any) -> None:
    root = etree.fromstring(upstream.signed(upstream.draft, response=False))
    signature = root.find(f".//{{{DS}}}Signature")
    signature.getparent().remove(signature)
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(etree.tostring(root))) == "unsigned"


# --- algorithms --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "digest"), [("rsa-sha1", "sha256"), ("rsa-sha256", "sha1"), ("rsa-sha1", "sha1")]
)
def test_SHA_1(upstream: Any, tool: Any, pairs: Any, algorithm: str, digest: str) -> None:
    inner = tool.sign(upstream.draft.assertion(), pairs["city"], algorithm=algorithm, digest=digest)
    xml = upstream.draft.response(inner)
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(xml)) == "signature_algorithm"


@pytest.mark.parametrize("algorithm", ["rsa-sha384", "rsa-sha512"])
def test_longer_hashes_are_welcome(upstream: Any, tool: Any, pairs: Any, algorithm: str) -> None:
    inner = tool.sign(upstream.draft.assertion(), pairs["city"], algorithm=algorithm, digest=algorithm[4:])
    assert upstream.post(upstream.draft.response(inner)).subject


def test_HMAC_with_the_public_key_as_its_secret(upstream: Any) -> None:
    xml = upstream.signed(upstream.draft, response=False)
    confused = xml.replace(f"{MORE}rsa-sha256", f"{MORE}hmac-sha256")
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(confused)) == "signature_algorithm"


@pytest.mark.parametrize(
    "transform",
    [
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2002/06/xmldsig-filter2",
        f"{DS}base64",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        f"{EXCLUSIVE}WithComments",
    ],
)
def test_any_other_transform(upstream: Any, transform: str) -> None:
    root = etree.fromstring(upstream.signed(upstream.draft, response=False))
    root.findall(f".//{{{DS}}}Transform")[1].set("Algorithm", transform)
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(etree.tostring(root))) == "signature_algorithm"


def test_a_transform_more(upstream: Any) -> None:
    root = etree.fromstring(upstream.signed(upstream.draft, response=False))
    transforms = root.find(f".//{{{DS}}}Transforms")
    etree.SubElement(transforms, f"{{{DS}}}Transform", Algorithm=f"{DS}enveloped-signature")
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(etree.tostring(root))) == "signature_algorithm"


@pytest.mark.parametrize("c14n", [f"{EXCLUSIVE}WithComments", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"])
def test_another_canonicalization_of_SignedInfo(upstream: Any, c14n: str) -> None:
    root = etree.fromstring(upstream.signed(upstream.draft, response=False))
    root.find(f".//{{{DS}}}CanonicalizationMethod").set("Algorithm", c14n)
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(etree.tostring(root))) == "signature_algorithm"


# --- the form of the signature --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["", "#_other", "#xpointer(/)", "#xpointer(id('_assertion'))", "file:///etc/passwd"])
def test_a_Reference_to_something_else(upstream: Any, uri: str) -> None:
    root = etree.fromstring(upstream.signed(upstream.draft, response=False))
    root.find(f".//{{{DS}}}Reference").set("URI", uri)
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(etree.tostring(root))) == "signature_form"


def test_two_References(upstream: Any) -> None:
    root = etree.fromstring(upstream.signed(upstream.draft, response=False))
    info = root.find(f".//{{{DS}}}SignedInfo")
    info.append(etree.fromstring(etree.tostring(info.find(f"{{{DS}}}Reference"))))
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(etree.tostring(root))) == "signature_form"


def test_ds_Object(upstream: Any) -> None:
    root = etree.fromstring(upstream.signed(upstream.draft, response=False))
    etree.SubElement(root.find(f".//{{{DS}}}Signature"), f"{{{DS}}}Object")
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(etree.tostring(root))) == "signature_form"


def test_two_signatures(upstream: Any) -> None:
    root = etree.fromstring(upstream.signed(upstream.draft, response=False))
    signature = root.find(f".//{{{DS}}}Signature")
    signature.addnext(etree.fromstring(etree.tostring(signature)))
    assert check_of(errors.UnreadableResponse, lambda: upstream.post(etree.tostring(root))) == "schema"


def test_two_assertions_each_signed(upstream: Any, tool: Any, pairs: Any) -> None:
    first = tool.sign(upstream.draft.assertion(), pairs["city"])
    second = tool.sign(replace(upstream.draft, assertion_id="_second").assertion(), pairs["city"])
    with pytest.raises(errors.NotOneAssertion):
        upstream.post(upstream.draft.response(first + second))


def test_no_assertion(upstream: Any) -> None:
    with pytest.raises(errors.NotOneAssertion):
        upstream.answer(with_assertion=False)


def test_an_assertion_in_the_Advice_of_the_other(upstream: Any) -> None:
    inner = replace(upstream.draft, assertion_id="_advice").assertion()
    with pytest.raises(errors.NotOneAssertion):
        upstream.answer(authn_statement=f"<saml:Advice>{inner}</saml:Advice>{upstream.draft._authn_statement()}")


# --- XML -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "insert",
    [
        pytest.param("<!--x-->", id="comment"),
        pytest.param("<?x y?>", id="processing_instruction"),
    ],
)
def test_CVE_2017_11427_a_comment_inside_the_NameID(upstream: Any, insert: str) -> None:
    """Canonicalization drops the comment, so the signature stays good, and the text before it would be another person."""
    name_id = upstream.draft.name_id.replace("pori-4711", "pori-4711.evil")
    xml = upstream.signed(replace(upstream.draft, name_id=name_id))
    changed = xml.replace("pori-4711.evil", f"pori-4711{insert}.evil")
    assert check_of(errors.UnreadableResponse, lambda: upstream.post(changed)) == "comment"


def test_CDATA_is_the_text_that_was_signed(upstream: Any) -> None:
    xml = upstream.signed(upstream.draft).replace("pori-4711", "pori<![CDATA[-47]]>11")
    assert upstream.post(xml).subject == "pori-4711"


@pytest.mark.parametrize("name", ["ID", "Id", "id", "xml:id"])
def test_an_ID_twice(upstream: Any, name: str) -> None:
    xml = upstream.signed(upstream.draft).replace("<saml:NameID ", f'<saml:NameID {name}="_assertion" ')
    assert check_of(errors.UnreadableResponse, lambda: upstream.post(xml)) == "duplicate_id"


BILLION_LAUGHS = (
    '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">'
    '<!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;">]>'
)


@pytest.mark.parametrize(
    "doctype",
    [
        pytest.param("<!DOCTYPE Response>", id="empty"),
        pytest.param(BILLION_LAUGHS, id="billion_laughs"),
        pytest.param('<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>', id="file"),
        pytest.param('<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd">', id="external_subset"),
        pytest.param("<!--x--><!DOCTYPE r>", id="behind_a_comment"),
    ],
)
def test_DOCTYPE(upstream: Any, doctype: str) -> None:
    xml = doctype + upstream.signed(upstream.draft).replace("pori-4711", "&d;" if "laughs" in doctype else "pori-4711")
    assert check_of(errors.UnreadableResponse, lambda: upstream.post(xml)) == "doctype"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "cp037"])
def test_a_DOCTYPE_in_another_encoding(upstream: Any, encoding: str) -> None:
    xml = f'<?xml version="1.0" encoding="{encoding}"?>' + BILLION_LAUGHS + upstream.signed(upstream.draft)
    assert check_of(errors.UnreadableResponse, lambda: upstream.post(xml.encode(encoding))) == "not_well_formed"


def test_an_entity_without_DOCTYPE(upstream: Any) -> None:
    xml = upstream.signed(upstream.draft).replace("pori-4711", "&nbsp;")
    assert check_of(errors.UnreadableResponse, lambda: upstream.post(xml)) == "not_well_formed"


def test_XInclude_is_nothing_special(upstream: Any) -> None:
    name_id = '<saml:NameID><xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd"/></saml:NameID>'
    with pytest.raises(errors.UnreadableResponse):
        upstream.answer(name_id=name_id)


def test_depth(upstream: Any) -> None:
    deep = "<x>" * 5000 + "</x>" * 5000
    assert check_of(errors.UnreadableResponse, lambda: upstream.post(deep)) == "not_well_formed"


def test_size(upstream: Any) -> None:
    large = {"x": ("y" * 300_000,)}
    with pytest.raises(errors.UnreadableResponse) as refused:
        upstream.answer(attributes=large)
    assert refused.value.context["check"] == "too_large"


def test_size_before_base64(upstream: Any) -> None:
    assert check_of(errors.UnreadableResponse, lambda: upstream.post_raw("A" * 600_000)) == "binding"


@pytest.mark.parametrize("value", ["", "====", "%%%", "PHg+", "ä", "PHg vPg==", "\ud800"])
def test_nonsense(upstream: Any, value: str) -> None:
    with pytest.raises(errors.UnreadableResponse):
        upstream.post_raw(value)


def test_no_SAMLResponse(upstream: Any) -> None:
    with pytest.raises(errors.UnreadableResponse):
        asyncio.run(upstream.edge.arrive(upstream.transaction, {"RelayState": "x"}, upstream.idp))


# --- encryption ----------------------------------------------------------------------------------------------------------


def test_RSA_1_5_key_transport(upstream: Any) -> None:
    xml = upstream.encrypted(upstream.draft, transport="RsaPkcs1")
    assert check_of(errors.NotDecrypted, lambda: upstream.post(xml)) == "encryption_algorithm"


@pytest.mark.parametrize("data", ["Aes128Cbc", "Aes256Cbc"])
def test_AES_CBC_that_anybody_may_have_changed(upstream: Any, data: str) -> None:
    """A padding oracle, were it opened (Jager and Somorovsky, "How to Break XML Encryption", 2011)."""
    xml = upstream.encrypted(upstream.draft, response=False, data=data)
    assert check_of(errors.NotDecrypted, lambda: upstream.post(xml)) == "encryption_algorithm"


def test_Triple_DES(upstream: Any) -> None:
    xml = upstream.encrypted(upstream.draft, data="Des3Cbc")
    assert check_of(errors.NotDecrypted, lambda: upstream.post(xml)) == "encryption_algorithm"


def test_anybody_can_encrypt_so_encryption_is_no_signature(upstream: Any) -> None:
    xml = upstream.encrypted(upstream.draft, response=False, assertion=False)
    assert check_of(errors.SignatureInvalid, lambda: upstream.post(xml)) == "unsigned"


def test_encrypted_for_somebody_else(upstream: Any, pairs: Any) -> None:
    xml = upstream.encrypted(upstream.draft, encryption_key=pairs["stranger"].certificate_pem)
    assert check_of(errors.NotDecrypted, lambda: upstream.post(xml)) == "encryption_key"


def test_a_changed_ciphertext(upstream: Any) -> None:
    root = etree.fromstring(upstream.encrypted(upstream.draft, response=False))
    value = root.findall(f".//{{{XENC}}}CipherValue")[-1]
    value.text = b64encode(b"x" * 200).decode()
    assert check_of(errors.NotDecrypted, lambda: upstream.post(etree.tostring(root))) == "encryption_key"


def test_a_CipherReference_is_fetched_from_nowhere(upstream: Any) -> None:
    root = etree.fromstring(upstream.encrypted(upstream.draft, response=False))
    data = root.findall(f".//{{{XENC}}}CipherData")[-1]
    data.remove(data[0])
    etree.SubElement(data, f"{{{XENC}}}CipherReference", URI="http://127.0.0.1:9/")
    assert check_of(errors.NotDecrypted, lambda: upstream.post(etree.tostring(root))) == "encryption_key"


def test_many_keys_to_try(upstream: Any) -> None:
    root = etree.fromstring(upstream.encrypted(upstream.draft, response=False))
    key = root.find(f".//{{{XENC}}}EncryptedKey")
    for _ in range(20):
        key.addnext(etree.fromstring(etree.tostring(key)))
    assert check_of(errors.NotDecrypted, lambda: upstream.post(etree.tostring(root))) == "encryption_key"


@pytest.mark.parametrize(
    "more", ["<saml:Issuer/>", "text", "</opened><opened>"], ids=["two_elements", "text_behind", "out_of_its_wrapper"]
)
def test_more_than_an_assertion_was_encrypted(upstream: Any, tool: Any, more: str) -> None:
    key = upstream.keys.active(tool.keyring.KeyUse.SAML_ENCRYPTION).private.public_key()
    content = upstream.draft.assertion() + more
    data = canonical(encrypt(Rendered(content), EncryptionKey(public=key)))
    sealed = f'<saml:EncryptedAssertion xmlns:saml="{tool.SAML}">{data}</saml:EncryptedAssertion>'
    xml = tool.sign(upstream.draft.response(sealed), upstream.pairs["city"])
    with pytest.raises((errors.NotDecrypted, errors.UnreadableResponse)):
        upstream.post(xml)


def test_an_encrypted_comment_inside_a_value(upstream: Any) -> None:
    draft = replace(upstream.draft, name_id=upstream.draft.name_id.replace("pori-4711", "pori<!---->-4711"))
    xml = upstream.encrypted(draft)
    assert check_of(errors.UnreadableResponse, lambda: upstream.post(xml)) == "comment"


def test_another_element_in_place_of_the_encrypted_assertion(upstream: Any, tool: Any) -> None:
    certificate = upstream.keys.active(tool.keyring.KeyUse.SAML_ENCRYPTION).certificate
    sealed = tool.encrypt(f'<saml:Issuer xmlns:saml="{tool.SAML}">x</saml:Issuer>', certificate)
    with pytest.raises(errors.NotOneAssertion):
        upstream.post(tool.sign(upstream.draft.response(sealed), upstream.pairs["city"]))


# --- P7 --------------------------------------------------------------------------------------------------------------------


def test_P7_no_refusal_holds_a_value(upstream: Any) -> None:
    """Nor what a chained exception says, which a log might print."""
    secret = "salainen-4711"
    drafts = [
        replace(upstream.draft, name_id=f'<saml:NameID Format="{secret}" NameQualifier="{secret}" x="{secret}"/>'),
        replace(
            upstream.draft,
            issue_instant=upstream.now,
            authn_statement=f'<saml:AuthnStatement AuthnInstant="{secret}"/>',
        ),
        replace(upstream.draft, destination=secret),
        replace(upstream.draft, audiences=((secret,),)),
        replace(upstream.draft, recipient=secret),
        replace(upstream.draft, assertion_issuer=secret),
    ]
    for draft in drafts:
        with pytest.raises(HomeAnswerInvalid) as refused:
            upstream.post(upstream.signed(draft))
        said: BaseException | None = refused.value
        while said is not None:
            assert secret not in str(said)
            said = said.__cause__ or said.__context__


def _with_certificate(xml: str, certificate: str) -> str:
    root = etree.fromstring(xml)
    for element in root.iter(f"{{{DS}}}X509Certificate"):
        element.text = certificate
    return etree.tostring(root, encoding="unicode")
