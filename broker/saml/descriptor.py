"""What our two EntityDescriptors have in common: keys, names, validity, the signature (saml-metadata 2.3)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from broker.keys.keyring import Key
from broker.saml.canonical import Child, Node, element
from broker.saml.ids import new_id
from broker.saml.signature import Signer, x509_data
from broker.saml.xml import write_instant

VALIDITY = timedelta(days=365)
"""Many partners import our metadata once, by hand: a short validity would stop their logins. Those who refresh it are
told to do so daily."""
_CACHE_DURATION = "P1D"


def signed_descriptor(entity_id: str, role: Node, name: str, now: datetime, signer: Signer) -> bytes:
    """The whole document. ``name``: the federation's; "" leaves Organization out."""
    node = element(
        "md:EntityDescriptor",
        {
            "ID": new_id(),
            "entityID": entity_id,
            "validUntil": write_instant(now + VALIDITY),
            "cacheDuration": _CACHE_DURATION,
        },
        role,
        _organization(name, entity_id) if name else None,
    )
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + signer.enveloped(node, after=0).text.encode("utf-8")


def key_descriptors(keys: Iterable[Key], use: str, *encryption_methods: str) -> list[Node]:
    """``use``: signing or encryption."""
    return [
        element(
            "md:KeyDescriptor",
            {"use": use},
            element("ds:KeyInfo", None, x509_data(key)),
            *(element("md:EncryptionMethod", {"Algorithm": each}) for each in encryption_methods),
        )
        for key in keys
    ]


def ui_info(name: str) -> Node | None:
    """The name that partners show for us (sstc-saml-metadata-ui 2.1); None when there is none."""
    if not name:
        return None
    return element("md:Extensions", None, element("mdui:UIInfo", None, *_in_languages("mdui:DisplayName", name)))


def _organization(name: str, entity_id: str) -> Node:
    address = entity_id.split("/saml/", 1)[0] + "/"
    return element(
        "md:Organization",
        None,
        *_in_languages("md:OrganizationName", name),
        *_in_languages("md:OrganizationDisplayName", name),
        *_in_languages("md:OrganizationURL", address),
    )


def _in_languages(tag: str, text: str) -> Iterable[Child]:
    return (element(tag, {"xml:lang": language}, text) for language in ("fi", "sv", "en"))
