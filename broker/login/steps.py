"""What happens next in a login: the four steps that ``decide`` returns and ``web/journey.py`` turns into effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from broker.attributes.trace import Trace
from broker.errors import Fault
from broker.federation.model import IdentityProviderId, OrganisationId, ServiceId
from broker.login.identity import Identity
from broker.login.request import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseOrganisation:
    """Show the page. ``organisations`` may reach the service, in no order; ``hint_ignored``: a hint named none of them."""

    service: ServiceId
    organisations: tuple[OrganisationId, ...]
    hint_ignored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SendToIdp:
    """Send the browser to this city. The rest is what the service asked of the login, passed on.

    ``requested_contexts`` are the city's own words. ``needs_mfa``: a login without several factors will be refused, so they are
    no mere wish. ``requesters`` end with the service.
    """

    idp: IdentityProviderId
    organisation: OrganisationId
    force_authn: bool = False
    passive: bool = False
    max_age: timedelta | None = None
    requested_contexts: tuple[str, ...] = ()
    comparison: Comparison = Comparison.EXACT
    needs_mfa: bool = False
    login_hint: str | None = None
    requesters: tuple[str, ...] = ()
    proxy_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What one service gets of one person: canonical names and values. Identifiers are among them as far as registered.

    ``subject_id`` and ``pairwise_id`` are always computed; an edge uses one of them as NameID or ``sub``.
    """

    subject_id: str
    pairwise_id: str
    attributes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The service gets this person. ``identity``: all that is known of them. ``authn_context`` is what the service is told (AuthnContextClassRef or acr).

    ``authenticating_authorities``: the city's identity provider, then those that it relied on (saml-core 2.7.2.2).
    ``session_ends``: when the city's session does, if it says so. ``proxy_count``: how many may pass the login on behind us;
    None: as many as like. ``session``: the city's own names for its session, as in ``VerifiedAssertion``.
    """

    service: ServiceId
    organisation: OrganisationId
    idp: IdentityProviderId
    identity: Identity = field(repr=False)
    release: Release
    authn_instant: datetime
    authn_context: str
    authn_methods: tuple[str, ...]
    authenticating_authorities: tuple[str, ...]
    trace: Trace
    session_ends: datetime | None = None
    proxy_count: int | None = None
    session: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """The service does not get this person, for this reason."""

    fault: Fault
    trace: Trace = ()


Step = ChooseOrganisation | SendToIdp | Answer | Refuse
