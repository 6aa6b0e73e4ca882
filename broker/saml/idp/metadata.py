"""Our EntityDescriptor toward services (saml-metadata 2.4.3)."""

from __future__ import annotations

from datetime import datetime

from broker.keys.keyring import KeyRing, KeyUse
from broker.saml import names
from broker.saml.canonical import element
from broker.saml.descriptor import key_descriptors, signed_descriptor, ui_info
from broker.saml.signature import Signer


def write(
    *, entity_id: str, location: str, artifact_location: str, keys: KeyRing, name: str, now: datetime, signer: Signer
) -> bytes:
    """``location``: of the SingleSignOnService. ``artifact_location``: of the ArtifactResolutionService. Signed by the
    metadata-signing key."""
    role = element(
        "md:IDPSSODescriptor",
        {"protocolSupportEnumeration": names.SAMLP},
        ui_info(name),
        *key_descriptors(keys.published(KeyUse.SAML_SIGNING), "signing"),
        element(
            "md:ArtifactResolutionService",
            {"Binding": names.BINDING_SOAP, "Location": artifact_location, "index": "0", "isDefault": "true"},
        ),
        element("md:NameIDFormat", None, names.PERSISTENT),
        element("md:NameIDFormat", None, names.TRANSIENT),
        element("md:NameIDFormat", None, names.EMAIL_ADDRESS),
        element("md:SingleSignOnService", {"Binding": names.BINDING_REDIRECT, "Location": location}),
        element("md:SingleSignOnService", {"Binding": names.BINDING_POST, "Location": location}),
    )
    return signed_descriptor(entity_id, role, name, now, signer)
