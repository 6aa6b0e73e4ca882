"""What the heart and the edges need from the world. Adapters: ``state/``, ``audit/`` and ``federation/registered_services.py``.

Ports take and return values, never a web request. Every method may raise ``StateUnavailable`` (or ``AuditUnavailable``);
then nothing was decided, and the login is refused (promise P10).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from broker.audit.events import AuditEvent
from broker.federation.model import Federation, ServiceId
from broker.federation.service_document import Edit, Written
from broker.login.transaction import LoginTransaction, TransactionId


class TransactionStore(Protocol):
    """Logins in progress. A transaction vanishes at its ``expires_at``."""

    async def put(self, transaction: LoginTransaction) -> None:
        """Stores a new transaction, or a later stage of one that is there, in one step; the last writer wins."""

    async def get(self, id: TransactionId) -> LoginTransaction:
        """Raises: LoginUsedOrExpired."""

    async def take(self, id: TransactionId) -> LoginTransaction:
        """Hands the transaction to exactly one caller, in all processes together, and removes it.

        Raises: LoginUsedOrExpired, to everyone else.
        """


class ReplayCache(Protocol):
    """Message ids seen, so that each is used once."""

    async def first_use(self, issuer: str, message_id: str, lifetime: timedelta) -> bool:
        """True to exactly one caller, in all processes together, within ``lifetime`` of that call."""


class GrantStore(Protocol):
    """What a downstream protocol hands out and must find again: authorization codes, access tokens.

    ``kind`` keeps them apart (``code``, ``access_token`` …); ``secret`` is the string that the client holds, which is
    stored only as its hash. ``value`` is the edge's own record.
    """

    async def put(self, kind: str, secret: str, value: bytes, lifetime: timedelta) -> None: ...

    async def get(self, kind: str, secret: str) -> bytes | None:
        """None when it is not there, or no longer."""

    async def take(self, kind: str, secret: str) -> bytes | None:
        """As ``get``, and removes it: exactly one caller gets it."""

    async def remove(self, kind: str, secret: str) -> None: ...


class AuditLog(Protocol):
    async def append(self, event: AuditEvent) -> None:
        """Returns when the record is durable and chained (promise P6). Raises: AuditUnavailable."""


class ServiceRegistry(Protocol):
    """Documents of services that a service itself writes. Each change is one revision of the registry, whole or not at all, by
    ``author`` and for ``reason``; this worker decides by it when the call returns. Every method may raise a BrokerFault.

    A ``body`` is a document's, as ``broker apply`` reads it.
    """

    async def latest(self) -> Federation:
        """The newest revision, whichever worker made it."""

    async def add(self, body: Mapping[str, object], *, author: str, reason: str) -> Written:
        """A service that never was. Raises: DocumentErrors, of this document; ServiceKnown."""

    async def change(self, id: ServiceId, edit: Edit, *, author: str, reason: str) -> Written:
        """``edit`` may be asked more than once. Raises: what ``edit`` raises; DocumentErrors, of this document; ServiceUnknown;
        ServiceNeeded."""


class Clock(Protocol):
    def __call__(self) -> datetime:
        """The time now, aware UTC."""
