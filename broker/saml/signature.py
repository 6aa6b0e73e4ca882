"""XML signatures and the detached ones of the Redirect binding, both ways (promise P1).

Verification: one enveloped signature, over exactly the element that holds it, by allowed algorithms, by a key of the
issuer's registered metadata; KeyInfo in a message is never looked at. What verified is handed out as a
``VerifiedElement``, which nothing else can make, and only that is read.

Signing: RSA-SHA256, or RSA-PSS or ECDSA for who prefers it, over text that is written in canonical form already (``canonical.py``).
"""

from __future__ import annotations

import textwrap
from base64 import b64encode
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache, partial
from hashlib import sha256
from typing import ClassVar

import xmlsec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.keys.keyring import Key
from broker.saml import names
from broker.saml.canonical import Node, Rendered, canonical, element, parts
from broker.saml.names import ds
from broker.saml.xml import Element

LEAST_RSA_BITS = 2048

_RSA: dict[str, hashes.HashAlgorithm] = {
    names.RSA_SHA256: hashes.SHA256(),
    names.RSA_SHA384: hashes.SHA384(),
    names.RSA_SHA512: hashes.SHA512(),
}
_ECDSA: dict[str, hashes.HashAlgorithm] = {
    names.ECDSA_SHA256: hashes.SHA256(),
    names.ECDSA_SHA384: hashes.SHA384(),
    names.ECDSA_SHA512: hashes.SHA512(),
}
SIGNATURE_ALGORITHMS = frozenset({*_RSA, *_ECDSA})
DIGEST_ALGORITHMS = frozenset({names.SHA256, names.SHA384, names.SHA512})
_TRANSFORMS = [names.ENVELOPED_SIGNATURE, names.EXCLUSIVE_C14N]


class SignatureRefused(Exception):
    """``code``: the check that failed."""

    code: ClassVar[str]


class Unsigned(SignatureRefused):
    code = "unsigned"


class BadSignatureForm(SignatureRefused):
    """Not one enveloped signature over exactly the element that holds it (saml-core 5.4)."""

    code = "signature_form"


class AlgorithmRefused(SignatureRefused):
    code = "signature_algorithm"


class WrongSignature(SignatureRefused):
    """No key of the issuer's registered metadata made it, or the content was changed."""

    code = "signature_wrong"


class UnusableKey(Exception):
    """A certificate whose key cannot verify anything here. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The algorithms by which one partner may sign."""

    signatures: frozenset[str]
    digests: frozenset[str]


STRONG = Allowed(signatures=SIGNATURE_ALGORITHMS, digests=DIGEST_ALGORITHMS)
WITH_SHA1 = Allowed(signatures=SIGNATURE_ALGORITHMS | {names.RSA_SHA1}, digests=DIGEST_ALGORITHMS | {names.SHA1})
"""For a partner whose registration says so, until a day: a collision would have to be made by the partner itself, but
nobody should rest on that for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A partner's public key, loaded once. Its certificate's dates and issuer mean nothing: the metadata vouches for it."""

    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    xml: xmlsec.Key = field(repr=False, compare=False)


_PROOF = object()


class VerifiedElement:
    """An element that a valid signature covers; ``by_sha1``: one that rests on SHA-1. Made in this module only."""

    __slots__ = ("by_sha1", "element")

    element: Element
    by_sha1: bool

    def __init__(self, element: Element, proof: object, *, by_sha1: bool = False) -> None:
        if proof is not _PROOF:
            raise TypeError("only the verifier makes a VerifiedElement")
        self.element = element
        self.by_sha1 = by_sha1


# --- verifying ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def verification_key(certificate: bytes) -> VerificationKey:
    """The public key of a DER certificate. Raises: UnusableKey."""
    public = public_key(certificate)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return VerificationKey(public=public, xml=xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem))


def public_key(certificate: bytes) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    """Raises: UnusableKey."""
    try:
        public = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, x509.InvalidVersion) as error:
        raise UnusableKey("not an X.509 certificate") from error
    except UnsupportedAlgorithm as error:
        raise UnusableKey("its key is of a kind that nobody here knows") from error
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < LEAST_RSA_BITS:
            raise UnusableKey(f"its RSA key has {public.key_size} bits; at least {LEAST_RSA_BITS} are needed")
        return public
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public
    raise UnusableKey("its key is neither RSA nor EC")


def is_signed(element: Element) -> bool:
    """Whether the element itself holds a signature, good or bad."""
    return element.find(ds("Signature")) is not None


def verify(element: Element, keys: Sequence[VerificationKey], allowed: Allowed = STRONG) -> VerifiedElement:
    """The element, if its own enveloped signature is good.

    Its document passed ``xml.check_message``: no ID comes twice, and the signature is in the schema's place.
    Raises: Unsigned, BadSignatureForm, AlgorithmRefused, WrongSignature.
    """
    signature = _signature_of(element)
    _check_form(element, signature, allowed)
    for key in keys:
        if _verifies(element, signature, key):
            return VerifiedElement(element, _PROOF, by_sha1=_uses_sha1(signature))
    raise WrongSignature("made by no key of the issuer's metadata, or the content was changed")


def covered(whole: VerifiedElement, part: Element) -> VerifiedElement:
    """A part of what verified. Raises: Unsigned, when it is not inside."""
    if whole.element not in part.iterancestors():
        raise Unsigned("not inside the signed element")
    return VerifiedElement(part, _PROOF, by_sha1=whole.by_sha1)


def decrypted(ciphertext: VerifiedElement, decrypt: Callable[[Element], Element]) -> VerifiedElement:
    """What a signed ciphertext holds: whoever signed the one vouches for the other. Raises: what ``decrypt`` raises."""
    return VerifiedElement(decrypt(ciphertext.element), _PROOF, by_sha1=ciphertext.by_sha1)


def verify_detached(octets: bytes, algorithm: str, signature: bytes, keys: Sequence[VerificationKey]) -> None:
    """saml-bindings 3.4.4.1. Raises: AlgorithmRefused, WrongSignature."""
    if algorithm not in SIGNATURE_ALGORITHMS:
        raise AlgorithmRefused("the signature algorithm is not allowed")
    if not any(_verifies_detached(octets, algorithm, signature, key) for key in keys):
        raise WrongSignature("made by no key of the issuer's metadata, or the content was changed")


def _signature_of(element: Element) -> Element:
    found = element.findall(ds("Signature"))
    if not found:
        raise Unsigned("no signature")
    if len(found) > 1:
        raise BadSignatureForm("several signatures")
    return found[0]


def _check_form(element: Element, signature: Element, allowed: Allowed) -> None:
    """Raises: BadSignatureForm, AlgorithmRefused."""
    form = [child.tag for child in signature]
    if form[:2] != [ds("SignedInfo"), ds("SignatureValue")] or form[2:] not in ([], [ds("KeyInfo")]):
        raise BadSignatureForm("the signature is not SignedInfo, SignatureValue and at most KeyInfo")
    signed_info = signature[0]
    if [child.tag for child in signed_info] != [ds("CanonicalizationMethod"), ds("SignatureMethod"), ds("Reference")]:
        raise BadSignatureForm("not exactly one Reference")
    canonicalization, method, reference = signed_info
    _check_reference(element, reference, allowed)
    if canonicalization.get("Algorithm") != names.EXCLUSIVE_C14N:
        raise AlgorithmRefused("the canonicalization is not exclusive without comments")
    if method.get("Algorithm") not in allowed.signatures or len(method):
        raise AlgorithmRefused("the signature algorithm is not allowed")


def _check_reference(element: Element, reference: Element, allowed: Allowed) -> None:
    id = element.get("ID")
    if not id or reference.get("URI") != f"#{id}":
        raise BadSignatureForm("the Reference does not name the element that holds the signature")
    if [child.tag for child in reference] != [ds("Transforms"), ds("DigestMethod"), ds("DigestValue")]:
        raise BadSignatureForm("the Reference is not of the expected form")
    transforms, digest, _ = reference
    if [each.get("Algorithm") for each in transforms] != _TRANSFORMS:
        raise AlgorithmRefused("the transforms are not enveloped signature and exclusive canonicalization")
    if digest.get("Algorithm") not in allowed.digests:
        raise AlgorithmRefused("the digest algorithm is not allowed")


def _uses_sha1(signature: Element) -> bool:
    return any(each.get("Algorithm") in (names.RSA_SHA1, names.SHA1) for each in signature.iter())


def _verifies(element: Element, signature: Element, key: VerificationKey) -> bool:
    context = xmlsec.SignatureContext()
    # With a key set, xmlsec takes no other: it does not look into KeyInfo.
    context.key = key.xml
    context.register_id(element, "ID")
    try:
        context.verify(signature)
    except xmlsec.Error:
        return False
    return True


def _verifies_detached(octets: bytes, algorithm: str, signature: bytes, key: VerificationKey) -> bool:
    try:
        if algorithm in _RSA and isinstance(key.public, rsa.RSAPublicKey):
            key.public.verify(signature, octets, padding.PKCS1v15(), _RSA[algorithm])
            return True
        if algorithm in _ECDSA and isinstance(key.public, ec.EllipticCurvePublicKey):
            key.public.verify(_der(signature), octets, ec.ECDSA(_ECDSA[algorithm]))
            return True
    except InvalidSignature:
        return False
    return False


def _der(signature: bytes) -> bytes:
    """XML's form of an ECDSA signature, r and s side by side (RFC 4050 3.3), in the form that OpenSSL reads."""
    half = len(signature) // 2
    return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))


# --- signing -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Method:
    """``sign``: octets → SignatureValue. ``key_info``: canonical text of the ds:KeyInfo of its key."""

    name: str
    sign: Callable[[bytes], bytes]
    key_info: str


class Signer:
    """Our keys of one use with their certificates, ready to sign: by RSA-SHA256, unless a partner prefers another method.

    Needs an RSA key; an EC key may be beside it.
    """

    def __init__(self, *keys: Key) -> None:
        methods = [method for key in keys for method in _methods(key)]
        self._methods = {each.name: each for each in methods}
        self._method = self._methods[names.RSA_SHA256]

    def detached(self, octets: bytes) -> bytes:
        """An RSA-SHA256 signature."""
        return self._methods[names.RSA_SHA256].sign(octets)

    def preferred_by(self, methods: Sequence[str]) -> Signer:
        """By the first of the partner's methods that we have; RSA-SHA256 when it names none of them. Detached signatures are
        not touched by it."""
        preferring = copy(self)
        name = next((each for each in methods if each in self._methods), names.RSA_SHA256)
        preferring._method = self._methods[name]
        return preferring

    def enveloped(self, node: Node, *, after: int) -> Rendered:
        """The element with its signature behind the first ``after`` children, where its schema wants it."""
        pieces = parts(node)
        digest = sha256("".join(pieces).encode("utf-8")).digest()
        pieces.insert(after + 1, self._signature(dict(node.attributes)["ID"], digest))
        return Rendered("".join(pieces))

    def _signature(self, id: str, digest: bytes) -> str:
        """``id``: one of ours, which needs no escaping."""
        method = self._method
        signed_info = _SIGNED_INFO[method.name].format(id=id, digest=_base64(digest))
        value = method.sign(f"<ds:SignedInfo{_DECLARED}>{signed_info}".encode("ascii"))
        return (
            f"<ds:Signature{_DECLARED}><ds:SignedInfo>{signed_info}"
            f"<ds:SignatureValue>{_base64(value)}</ds:SignatureValue>{method.key_info}</ds:Signature>"
        )


def _methods(key: Key) -> list[_Method]:
    """What a key can sign by."""
    key_info = _in_signature(element("ds:KeyInfo", None, x509_data(key)))
    private = key.private
    if isinstance(private, rsa.RSAPrivateKey):
        return [_Method(name, partial(_rsa_value, private, by), key_info) for name, by in _PADDINGS.items()]
    assert isinstance(private, ec.EllipticCurvePrivateKey), "the key ring reads no other kind for SAML"
    return [_Method(names.ECDSA_SHA256, partial(_ecdsa_value, private), key_info)]


def _rsa_value(private: rsa.RSAPrivateKey, by: padding.AsymmetricPadding, octets: bytes) -> bytes:
    return private.sign(octets, by, _SHA256)


def _ecdsa_value(private: ec.EllipticCurvePrivateKey, octets: bytes) -> bytes:
    """r and s side by side (RFC 4050 3.3)."""
    half = (private.curve.key_size + 7) // 8
    r, s = decode_dss_signature(private.sign(octets, ec.ECDSA(_SHA256)))
    return r.to_bytes(half, "big") + s.to_bytes(half, "big")


def x509_data(key: Key) -> Node:
    """``ds:X509Data`` with our certificate."""
    assert key.certificate is not None
    der = x509.load_pem_x509_certificate(key.certificate).public_bytes(Encoding.DER)
    lines = "\n".join(textwrap.wrap(b64encode(der).decode("ascii"), 76))
    return element("ds:X509Data", None, element("ds:X509Certificate", None, lines))


def _signed_info(method: str) -> Node:
    """With places for the ID and the digest of what is signed."""
    return element(
        "ds:SignedInfo",
        None,
        element("ds:CanonicalizationMethod", {"Algorithm": names.EXCLUSIVE_C14N}),
        element("ds:SignatureMethod", {"Algorithm": method}),
        element(
            "ds:Reference",
            {"URI": "#{id}"},
            element("ds:Transforms", None, *(element("ds:Transform", {"Algorithm": each}) for each in _TRANSFORMS)),
            element("ds:DigestMethod", {"Algorithm": names.SHA256}),
            element("ds:DigestValue", None, "{digest}"),
        ),
    )


def _in_signature(node: Node) -> str:
    """The canonical text of a child of ds:Signature, which declares the prefix already."""
    return canonical(node).replace(_DECLARED, "", 1)


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")


_PKCS1, _SHA256 = padding.PKCS1v15(), hashes.SHA256()
# RFC 6931 2.3.10: the mask and the salt are of the digest's kind and length.
_PADDINGS: dict[str, padding.AsymmetricPadding] = {
    names.RSA_SHA256: _PKCS1,
    names.RSA_PSS_SHA256: padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size),
}
_DECLARED = f' xmlns:ds="{names.DS}"'
# Written once: signing is then a matter of filling in. Behind the start tag, which declares the prefix or not.
_SIGNED_INFO = {
    method: _in_signature(_signed_info(method)).removeprefix("<ds:SignedInfo>")
    for method in (*_PADDINGS, names.ECDSA_SHA256)
}
