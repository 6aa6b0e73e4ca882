"""The person behind a token, kept sealed: a token may be exchanged for one at another service, whose release is another.

Only the broker reads it, and only for clients that registered the exchange; whoever gets hold of the store learns nothing.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from datetime import datetime

from broker.federation.model import IdentityProviderId, OrganisationId, ServiceId
from broker.keys.sealing import SealBroken, Sealer
from broker.login.identity import Identity
from broker.oidc import json_object


class SealedPeople:
    """``key``: the ring's sealing key."""

    def __init__(self, key: bytes) -> None:
        self._sealer = Sealer(key, "person")

    def seal(self, identity: Identity, service: ServiceId) -> str:
        """``service``: to which the person logged in."""
        return b64encode(self._sealer.seal(_written(identity), service)).decode("ascii")

    def open(self, sealed: str, service: ServiceId) -> Identity:
        """Raises: SealBroken."""
        try:
            octets = b64decode(sealed, validate=True)
        except binascii.Error as error:
            raise SealBroken("not base64") from error
        return _read(self._sealer.open(octets, service))


def _written(identity: Identity) -> bytes:
    return json_object.write(
        {
            "organisation": identity.organisation,
            "idp": identity.idp,
            "keyspace": identity.keyspace,
            "key": identity.key,
            "attributes": identity.attributes,
            "authn_instant": identity.authn_instant.isoformat(),
            "authn_context": identity.authn_context,
            "authn_methods": identity.authn_methods,
            "mfa": identity.mfa,
        }
    )


def _read(octets: bytes) -> Identity:
    found = json_object.read(octets)
    attributes, methods = found["attributes"], found["authn_methods"]
    context = found["authn_context"]
    assert isinstance(attributes, dict), "we wrote it"
    assert isinstance(methods, list), "we wrote it"
    return Identity(
        organisation=OrganisationId(str(found["organisation"])),
        idp=IdentityProviderId(str(found["idp"])),
        keyspace=str(found["keyspace"]),
        key=str(found["key"]),
        attributes={str(name): tuple(values) for name, values in attributes.items()},
        authn_instant=datetime.fromisoformat(str(found["authn_instant"])),
        authn_context=None if context is None else str(context),
        authn_methods=tuple(methods),
        mfa=found["mfa"] is True,
    )
