"""LoginRequest: what a service asks, in neutral words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from broker.federation.model import Protocol, ServiceId


class Comparison(StrEnum):
    """How the contexts that a service names are meant (saml-core 3.3.2.2.1); OIDC's are always exact."""

    EXACT = "exact"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    BETTER = "better"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """Ways in which a service named the home organisation beforehand. A hint never grants; an unknown one is ignored.

    ``organisation``: an organisation's id. ``domain``: what stands after the @ of an address; compared with scopes.
    ``identity_providers``: entityIDs of upstream identity providers (saml-core 3.4.1.2, Scoping/IDPList).
    ``login_hint`` is passed on to the home when it is of the home's own domain.
    """

    organisation: str | None = None
    domain: str | None = None
    identity_providers: tuple[str, ...] = ()
    login_hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest:
    """A checked request of a registered service: whatever needed the service's registration is already verified.

    ``reply`` is the downstream edge's own: what it needs to answer this request (verified address, request id,
    RelayState or state, nonce, PKCE challenge …), as strings; opaque to the heart. ``requested_contexts`` are
    AuthnContextClassRefs or acr values, in the service's order of preference. ``max_age`` is the greatest age of the
    upstream login that the service accepts. ``choose_anew``: the person shall see the choice of organisation even when
    there is but one (prompt=select_account). ``attributes``: the canonical names that the service asks for this time; None:
    all that it gets. ``needs_pairwise_id``: it wants that attribute beside the name identifier. ``requesters``: the chain of
    those on whose behalf the service asks, itself not among them (saml-core 3.4.1.5). ``proxy_count``: how many more identity
    providers may stand behind the city's; None: any.
    """

    service: ServiceId
    protocol: Protocol
    reply: Mapping[str, str]
    hints: Hints = field(default_factory=Hints)
    force_authn: bool = False
    passive: bool = False
    choose_anew: bool = False
    max_age: timedelta | None = None
    requested_contexts: tuple[str, ...] = ()
    comparison: Comparison = Comparison.EXACT
    ui_locales: tuple[str, ...] = ()
    attributes: tuple[str, ...] | None = None
    needs_pairwise_id: bool = False
    requesters: tuple[str, ...] = ()
    proxy_count: int | None = None
