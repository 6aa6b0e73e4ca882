"""Who the home organisation says this is: as its answer said it, and as we understood it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from broker.federation.model import IdentityProviderId, OrganisationId


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAssertion:
    """A city's answer, after every check of its protocol. Made by ``saml/sp/assertion.py`` and ``oidc/rp/id_token.py`` only,
    and of samples for a dry run by the ``sample.py`` beside them.

    ``attributes``: names as the identity provider sent them, each with its values as text, in order; claims that are
    not text are written as JSON writes them (``true``), a claim inside an object has a dotted name
    (``realm_access.roles``). ``subject``: the persistent NameID, ``sub``, or ``tid/oid``; None when the answer holds
    only a transient one. ``authn_context`` and ``authn_methods``: AuthnContextClassRef or acr, and amr, as sent.
    ``authenticating_authorities``: those that the city itself relied on. ``session_ends``: when the city's session does, if
    it says so. ``proxy_count``: how many may pass the login on, us among them; None: as many as like. ``session``: what a later logout at the city needs (NameID, SessionIndex, sid, id_token), opaque to the heart.
    """

    idp: IdentityProviderId
    subject: str | None
    attributes: Mapping[str, tuple[str, ...]]
    authn_instant: datetime | None = None
    authn_context: str | None = None
    authn_methods: tuple[str, ...] = ()
    authenticating_authorities: tuple[str, ...] = ()
    session_ends: datetime | None = None
    proxy_count: int | None = None
    session: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A person in the shared schema, every value validated and held to the home organisation's scopes.

    (organisation, keyspace, key) is the person's identity inside the broker (attributes.md 1.7); ``attributes`` has
    canonical names. ``authn_context`` is the schema's level, after the identity provider's assurance rules; ``mfa`` is
    true only where the registry proves it.
    """

    organisation: OrganisationId
    idp: IdentityProviderId
    keyspace: str
    key: str
    attributes: Mapping[str, tuple[str, ...]]
    authn_instant: datetime
    authn_context: str | None = None
    authn_methods: tuple[str, ...] = ()
    mfa: bool = False
