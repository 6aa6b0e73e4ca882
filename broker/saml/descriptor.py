"""What our two EntityDescriptors have in common: keys, algorithms, validity, the signature (saml-metadata 2.3).

A document is made of a snapshot of the federation and a day, and of nothing else: every worker publishes the same octets,
and who asks again is told that nothing has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from broker.federation.model import Federation
from broker.keys.keyring import Key
from broker.saml import names
from broker.saml.about import About, contact_persons, organization
from broker.saml.canonical import Node, canonical, element
from broker.saml.signature import DIGEST_ALGORITHMS, LEAST_RSA_BITS, SIGNATURE_ALGORITHMS, Signer, x509_data
from broker.saml.xml import write_instant

VALIDITY = timedelta(days=365)
"""Many partners import our metadata once, by hand: a short validity would stop their logins. Those who refresh it are
told to do so daily."""
_CACHE_DURATION = "P1D"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """One of our two entities: what is in it beside what both have. ``attributes``: entity attributes, name → values."""

    entity_id: str
    role: Node
    attributes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Signed metadata as it is sent. ``etag``: of these octets, without quotes."""

    body: bytes
    etag: str


class Published:
    """One of our documents, made anew when the federation or the day changes.

    ``describe``: the entity as the snapshot has it. ``signer``: of the metadata-signing key.
    """

    def __init__(self, describe: Callable[[Federation], Descriptor], about: About, signer: Signer) -> None:
        self._describe = describe
        self._about = about
        self._signer = signer
        self._made: tuple[Federation, datetime, Document] | None = None

    def document(self, federation: Federation, now: datetime) -> Document:
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if self._made is None or self._made[0] is not federation or self._made[1] != day:
            body = self._signed(federation, day)
            self._made = (federation, day, Document(body=body, etag=sha256(body).hexdigest()[:32]))
        return self._made[2]

    def _signed(self, federation: Federation, day: datetime) -> bytes:
        found = self._describe(federation)
        attributes = {
            "entityID": found.entity_id,
            "validUntil": write_instant(day + VALIDITY),
            "cacheDuration": _CACHE_DURATION,
        }
        children = (
            _entity_attributes(found.attributes),
            found.role,
            organization(self._about, federation),
            *contact_persons(self._about, federation),
        )
        content = canonical(element("md:EntityDescriptor", attributes, *children))
        # Of the content, so that every worker's document has the same.
        id = "_" + sha256(content.encode("utf-8")).hexdigest()[:40]
        node = element("md:EntityDescriptor", {"ID": id, **attributes}, *children)
        return b'<?xml version="1.0" encoding="UTF-8"?>\n' + self._signer.enveloped(node, after=0).text.encode("utf-8")


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


def verified_algorithms() -> list[Node]:
    """The algorithms by which partners may sign (sstc-saml-metadata-algsupport 2.3, 2.4)."""
    digests = [element("alg:DigestMethod", {"Algorithm": each}) for each in sorted(DIGEST_ALGORITHMS)]
    methods = [
        element("alg:SigningMethod", {"Algorithm": each, "MinKeySize": str(LEAST_RSA_BITS) if "rsa" in each else None})
        for each in sorted(SIGNATURE_ALGORITHMS, reverse=True)
    ]
    return [*digests, *methods]


def _entity_attributes(attributes: Mapping[str, tuple[str, ...]]) -> Node | None:
    """sstc-metadata-attr 2."""
    if not attributes:
        return None
    written = (
        element(
            "saml:Attribute",
            {"Name": name, "NameFormat": names.NAME_FORMAT_URI},
            *(element("saml:AttributeValue", None, value) for value in values),
        )
        for name, values in attributes.items()
    )
    return element("md:Extensions", None, element("mdattr:EntityAttributes", None, *written))
