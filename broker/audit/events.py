"""AuditEvent: one thing that happened, as a frozen value. Names and verdicts, never a value of a person's attribute (P7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """``kind``: ``login.answered``, ``login.refused``, ``registry.applied``, ``keys.created`` …

    ``at``: aware UTC. ``reference``: the login's reference code, else "". ``reason``: the fault's code, else "".
    ``actor``: who did it: a person, or ``service:ID``. ``subject``: the pairwise identifier given to the service, for logins.
    ``detail``: JSON-able; for logins ``trace`` (list of steps), ``protocols``, ``released`` (names), ``ms``.
    """

    kind: str
    at: datetime
    reference: str = ""
    service: str = ""
    organisation: str = ""
    identity_provider: str = ""
    actor: str = ""
    subject: str = ""
    reason: str = ""
    revision: int = 0
    detail: Mapping[str, object] = field(default_factory=dict)
