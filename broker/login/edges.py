"""What ``web/journey.py`` asks of the two protocols: the shape of an edge, and what an edge hands back.

Edges build and judge messages; they render no page, move no transaction and call no other edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from broker.errors import Fault
from broker.federation.model import Federation, IdentityProvider, Service
from broker.login.identity import VerifiedAssertion
from broker.login.request import LoginRequest
from broker.login.steps import Answer, SendToIdp
from broker.login.transaction import LoginTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Send the browser to ``url`` by 303."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormPost:
    """Let the browser POST ``fields`` to ``url`` by the auto-submitting page."""

    url: str
    fields: Mapping[str, str]


Delivery = Redirect | FormPost


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A request to a city: how it travels, and what must be remembered to judge its answer."""

    delivery: Delivery
    remember: Mapping[str, str] = field(default_factory=dict)


class UpstreamEdge(Protocol):
    """Toward cities: ``saml/sp`` and ``oidc/rp``."""

    async def depart(
        self, transaction: LoginTransaction, step: SendToIdp, idp: IdentityProvider, federation: Federation
    ) -> Departure:
        """Raises: HomeUnreachable (OIDC discovery may need to ask the city)."""

    async def arrive(
        self, transaction: LoginTransaction, message: Mapping[str, str], idp: IdentityProvider
    ) -> VerifiedAssertion:
        """Judges the city's answer to the request that ``transaction.upstream`` remembers, with every check.

        ``message``: the callback's parameters, each exactly once. Raises: HomeIdpFault, MessageReplayed.
        """


class DownstreamEdge(Protocol):
    """Toward services: ``saml/idp`` and ``oidc/op``. ``transaction.request.reply`` holds the verified address."""

    async def answer(self, transaction: LoginTransaction, answer: Answer, service: Service) -> Delivery: ...

    async def refuse(self, transaction: LoginTransaction, fault: Fault, service: Service) -> Delivery:
        """The protocol's own error, to the verified address."""


class RefusedRequest(Exception):
    """A service's request is refused after its address was verified: ``fault`` goes back there as ``request`` says."""

    def __init__(self, fault: Fault, request: LoginRequest) -> None:
        super().__init__(fault.code)
        self.fault = fault
        self.request = request
