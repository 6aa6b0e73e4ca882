"""Encrypted assertions and name identifiers, in and out (saml-core 6, XML Encryption 1.1).

AES-GCM under RSA-OAEP. AES-CBC is opened only when a verified signature covers the ciphertext, since an answer that
anybody may change makes us a padding oracle; RSA 1.5 never. What is opened is parsed by the one hardened parser, as a
document of its own, so nothing that was verified is ever changed in place.
"""

from __future__ import annotations

import binascii
import os
from base64 import b64decode, b64encode
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar
from xml.sax.saxutils import quoteattr

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.saml import names
from broker.saml.canonical import Node, Rendered, element
from broker.saml.names import XENC11, ds, xenc
from broker.saml.xml import Element, parse, text_of

_GCM = {names.AES128_GCM: 16, names.AES192_GCM: 24, names.AES256_GCM: 32}
_CBC = {names.AES128_CBC: 16, names.AES192_CBC: 24, names.AES256_CBC: 32}
_KEY_OCTETS = {**_GCM, **_CBC}
_NONCE, _BLOCK = 12, 16
# Each is tried with each of our keys, and a private operation is costly.
_MOST_KEYS = 8

_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    names.DS + "sha1": hashes.SHA1(),  # noqa: S303 - OAEP's default; its safety does not rest on collisions
    names.SHA256: hashes.SHA256(),
    names.SHA384: hashes.SHA384(),
    names.SHA512: hashes.SHA512(),
}
_MASKS: dict[str, hashes.HashAlgorithm] = {
    XENC11 + "mgf1sha1": hashes.SHA1(),  # noqa: S303 - as above
    XENC11 + "mgf1sha256": hashes.SHA256(),
    XENC11 + "mgf1sha384": hashes.SHA384(),
    XENC11 + "mgf1sha512": hashes.SHA512(),
}
_DEFAULT_DIGEST = names.DS + "sha1"
_DEFAULT_MASK = XENC11 + "mgf1sha1"


class DecryptionRefused(Exception):
    """``code``: the check that failed. It never says at which step a ciphertext failed to open."""

    code: ClassVar[str] = "decryption"


class EncryptionAlgorithmRefused(DecryptionRefused):
    code = "encryption_algorithm"


class CannotOpen(DecryptionRefused):
    code = "encryption_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionKey:
    """A partner's RSA key. ``methods``: the algorithms that its metadata names, in its order."""

    public: rsa.RSAPublicKey
    methods: tuple[str, ...] = ()


# --- opening -------------------------------------------------------------------------------------------------------------


def decrypt(encrypted: Element, keys: Sequence[rsa.RSAPrivateKey], *, signed: bool) -> Element:
    """The element inside an EncryptedAssertion or EncryptedID, the root of a document of its own.

    ``signed``: a verified signature covers ``encrypted``. Raises: EncryptionAlgorithmRefused, CannotOpen, XmlRefused.
    """
    data = encrypted.find(xenc("EncryptedData"))
    if data is None:
        raise CannotOpen("no EncryptedData")
    algorithm = _algorithm(data)
    if algorithm not in _GCM and not (signed and algorithm in _CBC):
        raise EncryptionAlgorithmRefused("the data's algorithm is refused")
    octets = _cipher_value(data)
    for wrapped in _encrypted_keys(encrypted, data):
        for key in keys:
            content_key = _unwrapped(wrapped, key, _KEY_OCTETS[algorithm])
            if content_key is not None:
                return _element_in(_opened(octets, content_key, algorithm), encrypted)
    raise CannotOpen("made for no key of ours")


def _encrypted_keys(encrypted: Element, data: Element) -> list[Element]:
    """saml-core 6.1: beside the EncryptedData or inside its KeyInfo. Raises: EncryptionAlgorithmRefused."""
    inside = data.findall(f"{ds('KeyInfo')}/{xenc('EncryptedKey')}")
    found = [*inside, *encrypted.findall(xenc("EncryptedKey"))]
    if len(found) > _MOST_KEYS:
        raise CannotOpen("too many keys")
    if not all(_algorithm(each) in (names.RSA_OAEP_MGF1P, names.RSA_OAEP) for each in found):
        raise EncryptionAlgorithmRefused("the key's algorithm is refused")
    return found


def _algorithm(element: Element) -> str:
    method = element.find(xenc("EncryptionMethod"))
    return "" if method is None else method.get("Algorithm", "")


def _cipher_value(element: Element) -> bytes:
    value = element.find(f"{xenc('CipherData')}/{xenc('CipherValue')}")
    if value is None:
        raise CannotOpen("no CipherValue")
    try:
        return b64decode("".join(text_of(value).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CannotOpen("not base64") from error


def _unwrapped(encrypted_key: Element, key: rsa.RSAPrivateKey, octets: int) -> bytes | None:
    """The content key; None when this key of ours does not open it."""
    wrapped = _cipher_value(encrypted_key)
    try:
        content_key = key.decrypt(wrapped, _oaep(encrypted_key))
    except ValueError:
        return None
    return content_key if len(content_key) == octets else None


def _oaep(encrypted_key: Element) -> padding.OAEP:
    """XML Encryption 1.1, 5.5.2. The mask of rsa-oaep-mgf1p is fixed."""
    method = encrypted_key.find(xenc("EncryptionMethod"))
    assert method is not None
    digest = method.find(ds("DigestMethod"))
    mask = method.find(f"{{{XENC11}}}MGF")
    parameters = method.find(xenc("OAEPparams"))
    digest_name = _DEFAULT_DIGEST if digest is None else digest.get("Algorithm", "")
    mask_name = _DEFAULT_MASK if mask is None else mask.get("Algorithm", "")
    if digest_name not in _DIGESTS or mask_name not in _MASKS or (parameters is not None and text_of(parameters)):
        raise EncryptionAlgorithmRefused("OAEP with unknown parameters")
    return padding.OAEP(mgf=padding.MGF1(_MASKS[mask_name]), algorithm=_DIGESTS[digest_name], label=None)


def _opened(octets: bytes, key: bytes, algorithm: str) -> bytes:
    try:
        if algorithm in _GCM:
            return AESGCM(key).decrypt(octets[:_NONCE], octets[_NONCE:], None)
        return _opened_cbc(octets, key)
    except (InvalidTag, ValueError) as error:
        raise CannotOpen("made for no key of ours") from error


def _opened_cbc(octets: bytes, key: bytes) -> bytes:
    """XML Encryption 5.2: the last octet says how many are padding; the others are arbitrary. Raises: ValueError."""
    opener = Cipher(algorithms.AES(key), modes.CBC(octets[:_BLOCK])).decryptor()
    padded = opener.update(octets[_BLOCK:]) + opener.finalize()
    if not padded or not 1 <= padded[-1] <= _BLOCK:
        raise ValueError("padding")
    return padded[: -padded[-1]]


def _element_in(octets: bytes, encrypted: Element) -> Element:
    """The one element that the octets are. They may lean on prefixes declared around the ciphertext. Raises: XmlRefused."""
    declared = "".join(
        f" xmlns{':' + prefix if prefix else ''}={quoteattr(uri)}" for prefix, uri in encrypted.nsmap.items()
    )
    wrapper = parse(b"".join((f"<opened{declared}>".encode(), octets.strip(), b"</opened>")))
    if len(wrapper) != 1 or wrapper.text or wrapper[0].tail:
        raise CannotOpen("not one element")
    return deepcopy(wrapper[0])


# --- closing -------------------------------------------------------------------------------------------------------------


def content_algorithm(methods: tuple[str, ...], *, cbc: bool = False) -> str:
    """The first AES-GCM that the partner's metadata names; AES-128, which everybody must know, when it names none.
    ``cbc``: the same of AES-CBC."""
    known, otherwise = (_CBC, names.AES128_CBC) if cbc else (_GCM, names.AES128_GCM)
    return next((each for each in methods if each in known), otherwise)


def encrypt(rendered: Rendered, key: EncryptionKey, *, cbc: bool = False) -> Node:
    """``xenc:EncryptedData`` with the element inside, for this partner (saml-core 6.1: Type is Element).

    ``cbc``: by AES-CBC, for a partner that is registered to know nothing better. What it answers to changed ciphertexts is
    its own risk; the Response around it is signed in any case.
    """
    algorithm = content_algorithm(key.methods, cbc=cbc)
    content_key = os.urandom(_KEY_OCTETS[algorithm])
    octets = _closed(rendered.text.encode("utf-8"), content_key, algorithm)
    wrapped = key.public.encrypt(
        content_key,
        padding.OAEP(mgf=padding.MGF1(_MASKS[_DEFAULT_MASK]), algorithm=_DIGESTS[_DEFAULT_DIGEST], label=None),
    )
    encrypted_key = element(
        "xenc:EncryptedKey",
        None,
        element(
            "xenc:EncryptionMethod",
            {"Algorithm": names.RSA_OAEP_MGF1P},
            element("ds:DigestMethod", {"Algorithm": _DEFAULT_DIGEST}),
        ),
        _cipher_data(wrapped),
    )
    return element(
        "xenc:EncryptedData",
        {"Type": names.ENCRYPTED_ELEMENT},
        element("xenc:EncryptionMethod", {"Algorithm": algorithm}),
        element("ds:KeyInfo", None, encrypted_key),
        _cipher_data(octets),
    )


def _closed(octets: bytes, key: bytes, algorithm: str) -> bytes:
    if algorithm in _GCM:
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(key).encrypt(nonce, octets, None)
    start = os.urandom(_BLOCK)
    padding_octets = _BLOCK - len(octets) % _BLOCK
    padded = octets + os.urandom(padding_octets - 1) + bytes([padding_octets])
    closer = Cipher(algorithms.AES(key), modes.CBC(start)).encryptor()
    return start + closer.update(padded) + closer.finalize()


def _cipher_data(octets: bytes) -> Node:
    return element("xenc:CipherData", None, element("xenc:CipherValue", None, b64encode(octets).decode("ascii")))
