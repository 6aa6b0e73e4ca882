"""Our EntityDescriptor toward cities: one SP entity for all of them (saml-metadata 2.4.4)."""

from __future__ import annotations

from datetime import datetime

from broker.keys.keyring import KeyRing, KeyState, KeyUse
from broker.saml import names
from broker.saml.canonical import element
from broker.saml.descriptor import key_descriptors, signed_descriptor, ui_info
from broker.saml.signature import Signer

_ENCRYPTION_METHODS = (names.AES256_GCM, names.AES128_GCM, names.RSA_OAEP_MGF1P)


def write(*, entity_id: str, location: str, keys: KeyRing, name: str, now: datetime, signer: Signer) -> bytes:
    """``location``: of the AssertionConsumerService. Signed by the metadata-signing key."""
    # Whoever encrypts takes a key that will be opened tomorrow: the previous one is still opened, but not offered.
    encryption = [key for key in keys.published(KeyUse.SAML_ENCRYPTION) if key.state is not KeyState.PREVIOUS]
    role = element(
        "md:SPSSODescriptor",
        {
            "AuthnRequestsSigned": "true",
            "WantAssertionsSigned": "true",
            "protocolSupportEnumeration": names.SAMLP,
        },
        ui_info(name),
        *key_descriptors(keys.published(KeyUse.SAML_SIGNING), "signing"),
        *key_descriptors(encryption, "encryption", *_ENCRYPTION_METHODS),
        element("md:NameIDFormat", None, names.PERSISTENT),
        element("md:NameIDFormat", None, names.TRANSIENT),
        element(
            "md:AssertionConsumerService",
            {"Binding": names.BINDING_POST, "Location": location, "index": "0", "isDefault": "true"},
        ),
        element(
            "md:AssertionConsumerService",
            {"Binding": names.BINDING_ARTIFACT, "Location": location, "index": "1"},
        ),
    )
    return signed_descriptor(entity_id, role, name, now, signer)
