"""What the audit keeps of a login: which parties, which rule decided, which attributes by name. Never a value (P7)."""

from __future__ import annotations

from datetime import datetime

from broker.attributes import trace as traces
from broker.attributes.trace import Trace
from broker.audit.events import AuditEvent
from broker.errors import Fault
from broker.federation.model import Federation
from broker.login.steps import Answer, Refuse
from broker.login.transaction import LoginTransaction


def answered(transaction: LoginTransaction, answer: Answer, federation: Federation, now: datetime) -> AuditEvent:
    """``login.answered``."""
    return AuditEvent(
        kind="login.answered",
        at=now,
        reference=transaction.reference,
        service=answer.service,
        organisation=answer.organisation,
        identity_provider=answer.idp,
        subject=answer.release.pairwise_id,
        revision=federation.revision,
        detail=_detail(transaction, answer.trace, federation, now)
        | {"released": sorted(answer.release.attributes), "authn_context": answer.authn_context},
    )


def refused(transaction: LoginTransaction, refuse: Refuse, federation: Federation, now: datetime) -> AuditEvent:
    """``login.refused``, with the steps that led to it."""
    fault = refuse.fault
    return AuditEvent(
        kind="login.refused",
        at=now,
        reference=transaction.reference,
        service=transaction.request.service,
        organisation=fault.context.get("organisation") or transaction.organisation or "",
        identity_provider=transaction.idp or "",
        reason=fault.code,
        revision=federation.revision,
        detail=_detail(transaction, refuse.trace, federation, now) | _fault_detail(fault),
    )


def stranger_refused(fault: Fault, reference: str, now: datetime) -> AuditEvent:
    """``request.refused``: a request that belongs to no login."""
    return AuditEvent(
        kind="request.refused", at=now, reference=reference, reason=fault.code, detail=_fault_detail(fault)
    )


def _detail(transaction: LoginTransaction, trace: Trace, federation: Federation, now: datetime) -> dict[str, object]:
    idp = federation.identity_providers.get(transaction.idp) if transaction.idp else None
    return {
        "downstream": transaction.request.protocol,
        "upstream": idp.protocol if idp else "",
        "begun_at": transaction.begun_at.isoformat(timespec="milliseconds"),
        "seconds": round((now - transaction.begun_at).total_seconds(), 3),
    } | traces.members(trace)


def _fault_detail(fault: Fault) -> dict[str, object]:
    return {"whose": fault.whose, "why": fault.detail, "context": dict(fault.context)}
