"""Our EntityDescriptor toward services (saml-metadata 2.4.3)."""

from __future__ import annotations

from broker.attributes.release import BUNDLES
from broker.federation.model import Federation
from broker.keys.keyring import KeyRing, KeyUse
from broker.saml import names
from broker.saml.about import About, ui_info
from broker.saml.canonical import element
from broker.saml.descriptor import Descriptor, key_descriptors, verified_algorithms

_CATEGORY_SUPPORT = "http://macedir.org/entity-category-support"


def describe(
    federation: Federation, *, entity_id: str, location: str, artifact_location: str, keys: KeyRing, about: About
) -> Descriptor:
    """``location``: of the SingleSignOnService. ``artifact_location``: of the ArtifactResolutionService."""
    role = element(
        "md:IDPSSODescriptor",
        {"protocolSupportEnumeration": names.SAMLP},
        element(
            "md:Extensions",
            None,
            # Whatever a member may assert, the broker may: services hold it to these (shibmd 3.1).
            *(element("shibmd:Scope", {"regexp": "false"}, each) for each in sorted(federation.organisation_by_scope)),
            ui_info(about),
            *verified_algorithms(),
        ),
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
        element("md:SingleSignOnService", {"Binding": names.BINDING_ARTIFACT, "Location": location}),
    )
    return Descriptor(entity_id=entity_id, role=role, attributes={_CATEGORY_SUPPORT: tuple(BUNDLES)})
