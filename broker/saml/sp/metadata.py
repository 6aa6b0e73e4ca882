"""Our EntityDescriptor toward cities: one SP entity for all of them (saml-metadata 2.4.4)."""

from __future__ import annotations

from broker.attributes.release import asked_of_homes
from broker.federation.model import Federation
from broker.keys.keyring import KeyRing, KeyState, KeyUse, is_rsa
from broker.saml import names
from broker.saml.about import About, in_languages, ui_info
from broker.saml.canonical import Node, element
from broker.saml.descriptor import Descriptor, key_descriptors, verified_algorithms
from broker.saml.names import SamlNames

_ENCRYPTION_METHODS = (names.AES256_GCM, names.AES128_GCM, names.RSA_OAEP_MGF1P)


def describe(
    federation: Federation, *, entity_id: str, location: str, keys: KeyRing, about: About, saml_names: SamlNames
) -> Descriptor:
    """``location``: of the AssertionConsumerService."""
    # Whoever encrypts takes a key that will be opened tomorrow: the previous one is still opened, but not offered.
    encryption = [key for key in keys.published(KeyUse.SAML_ENCRYPTION) if key.state is not KeyState.PREVIOUS]
    # Requests are signed by RSA, which every city's product reads; services alone may prefer ECDSA.
    signing = [key for key in keys.published(KeyUse.SAML_SIGNING) if is_rsa(key)]
    role = element(
        "md:SPSSODescriptor",
        {
            "AuthnRequestsSigned": "true",
            "WantAssertionsSigned": "true",
            "protocolSupportEnumeration": names.SAMLP,
        },
        element("md:Extensions", None, ui_info(about), *verified_algorithms()),
        *key_descriptors(signing, "signing"),
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
        _attribute_consuming_service(federation, about, saml_names),
    )
    # Either identifier is of use: which one a city sends is its registration's matter (subject-id 4).
    return Descriptor(entity_id=entity_id, role=role, attributes={names.SUBJECT_ID_REQUIREMENT: ("any",)})


def _attribute_consuming_service(federation: Federation, about: About, saml_names: SamlNames) -> Node | None:
    """What some service of the federation needs, and no more, so that cities know what to send (saml-metadata 2.4.4.1)."""
    wanted = [found for name in asked_of_homes(federation.services.values()) if (found := saml_names(name))]
    if not wanted:
        return None
    return element(
        "md:AttributeConsumingService",
        {"index": "0", "isDefault": "true"},
        *in_languages("md:ServiceName", about.name),
        *(
            element(
                "md:RequestedAttribute",
                {"Name": name, "FriendlyName": friendly_name, "NameFormat": names.NAME_FORMAT_URI},
            )
            for name, friendly_name in wanted
        ),
    )
