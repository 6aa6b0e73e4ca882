"""The dispatcher: the one place where a step becomes an effect, and the only one that moves a transaction.

A caller hands in what the edges read; what comes back says what the browser gets. The order is always the same: decide,
make the audit record durable, remember, then hand out (promise P6).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from broker.attributes.identifiers import Subjects
from broker.audit.events import AuditEvent
from broker.errors import Fault, OtherBrowser, OutOfOrder, fault_class
from broker.federation.model import Federation, Protocol
from broker.login import decide
from broker.login.edges import Delivery, DownstreamEdge, RefusedRequest, UpstreamEdge
from broker.login.ports import AuditLog, Clock, TransactionStore
from broker.login.request import LoginRequest
from broker.login.steps import Answer, ChooseOrganisation, Refuse, SendToIdp, Step
from broker.login.transaction import (
    LIFETIME,
    LoginTransaction,
    Stage,
    TransactionId,
    new_reference_code,
    new_transaction_id,
)
from broker.web import records
from broker.web.health import LOGINS
from broker.web.views import Forwarding

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """The browser goes to a city or a service. ``transaction`` names the login that takes it there."""

    delivery: Delivery
    forwarding: Forwarding
    transaction: LoginTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowChoice:
    """The page with the organisations."""

    transaction: LoginTransaction
    step: ChooseOrganisation


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowRefusal:
    """The refusal page. ``transaction``: None when the request named no login that could go on."""

    fault: Fault
    reference: str
    transaction: LoginTransaction | None = None


Outcome = Deliver | ShowChoice | ShowRefusal


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the dispatcher needs from the world."""

    transactions: TransactionStore
    audit: AuditLog
    clock: Clock
    federation: Callable[[], Federation]
    upstream: Mapping[Protocol, UpstreamEdge]
    downstream: Mapping[Protocol, DownstreamEdge]
    subjects: Callable[[], Subjects]
    clock_skew: timedelta


class Journey:
    """Holds no login: any worker finishes what another began. Every method raises BrokerFault when a port is down."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def begin(self, request: LoginRequest, browser: str) -> Outcome:
        """A service's checked request. ``browser``: the fingerprint of the browser's binding cookie."""
        transaction = self._new(request, browser)
        return await self._perform(transaction, decide.begin(request, self._parts.federation(), self._parts.clock()))

    async def refuse_request(self, refused: RefusedRequest, browser: str) -> Outcome:
        """A request refused after its address was verified: the service gets its protocol's own error at once."""
        transaction = self._new(refused.request, browser)
        await self._record_refusal(transaction, Refuse(fault=refused.fault))
        return await self._tell_service(transaction, refused.fault)

    async def refuse_stranger(self, fault: Fault) -> ShowRefusal:
        """A request that names no service or login that we could answer: a page, and a record for who helps."""
        reference = new_reference_code()
        await self._parts.audit.append(records.stranger_refused(fault, reference, self._parts.clock()))
        return ShowRefusal(fault=fault, reference=reference)

    async def show(self, id: TransactionId, browser: str) -> Outcome:
        """The page of a login where it stands: the choice, or its refusal. Changes nothing unless nobody may choose."""
        transaction = await self._load(id, browser)
        if transaction.stage is Stage.REFUSED:
            return ShowRefusal(fault=refusal_of(transaction), reference=transaction.reference, transaction=transaction)
        step = decide.choose(transaction, "", self._parts.federation(), self._parts.clock())
        if isinstance(step, ChooseOrganisation):
            return ShowChoice(transaction=transaction, step=step)
        return await self._perform(transaction, step)

    async def choose(self, id: TransactionId, organisation: str, browser: str) -> Outcome:
        """The person chose a home organisation, for the first time or anew."""
        transaction = await self._load(id, browser)
        if transaction.stage is Stage.REFUSED:
            raise OutOfOrder("the login was refused already")
        step = decide.choose(transaction, organisation, self._parts.federation(), self._parts.clock())
        return await self._perform(transaction, step)

    async def reopen(self, id: TransactionId, browser: str) -> Outcome:
        """The person leaves a refusal page to try again: the page with the organisations."""
        transaction = await self._load(id, browser)
        if transaction.stage is Stage.REFUSED:
            transaction = transaction.reopened()
        step = decide.choose(transaction, "", self._parts.federation(), self._parts.clock())
        return await self._perform(transaction, step)

    async def receive(self, id: TransactionId, message: Mapping[str, str], browser: str, protocol: Protocol) -> Outcome:
        """A city's answer. From here on the transaction is ours alone: nobody can use it again (promise P2)."""
        transaction = await self._taken(id, browser, Stage.AT_IDP)
        return await self._perform(transaction, await self._judge(transaction, message, protocol))

    async def back_to_service(self, id: TransactionId, browser: str) -> Outcome:
        """The person leaves a refusal page: the service gets its protocol's own error."""
        transaction = await self._taken(id, browser, Stage.REFUSED)
        return await self._tell_service(transaction, refusal_of(transaction))

    async def _judge(self, transaction: LoginTransaction, message: Mapping[str, str], protocol: Protocol) -> Step:
        federation = self._parts.federation()
        idp = federation.identity_providers.get(transaction.idp) if transaction.idp else None
        if idp is None or idp.protocol is not protocol:
            return Refuse(fault=OutOfOrder("no answer of this protocol was asked for"))
        try:
            assertion = await self._parts.upstream[protocol].arrive(transaction, message, idp)
        except Fault as fault:
            return Refuse(fault=fault)
        parts = self._parts
        return decide.receive(transaction, assertion, federation, parts.subjects(), parts.clock(), parts.clock_skew)

    async def _perform(self, transaction: LoginTransaction, step: Step) -> Outcome:
        match step:
            case ChooseOrganisation():
                await self._parts.transactions.put(transaction)
                return ShowChoice(transaction=transaction, step=step)
            case SendToIdp():
                return await self._send(transaction, step)
            case Answer():
                return await self._answer(transaction, step)
            case Refuse():
                return await self._refuse(transaction, step)

    async def _send(self, transaction: LoginTransaction, step: SendToIdp) -> Outcome:
        federation = self._parts.federation()
        idp = federation.identity_providers[step.idp]
        try:
            departure = await self._parts.upstream[idp.protocol].depart(transaction, step, idp, federation)
        except Fault as fault:
            at_idp = replace(transaction, idp=step.idp, organisation=step.organisation)
            return await self._refuse(at_idp, Refuse(fault=fault))
        sent = transaction.sent_to(step.idp, step.organisation, departure.remember)
        await self._parts.transactions.put(sent)
        return Deliver(delivery=departure.delivery, forwarding=Forwarding.TO_HOME, transaction=sent)

    async def _answer(self, transaction: LoginTransaction, answer: Answer) -> Outcome:
        service = self._parts.federation().services[answer.service]
        try:
            delivery = await self._parts.downstream[service.protocol].answer(transaction, answer, service)
        except Fault as fault:
            return await self._refuse(transaction, Refuse(fault=fault, trace=answer.trace))
        now = self._parts.clock()
        event = records.answered(transaction, answer, self._parts.federation(), now)
        await self._parts.audit.append(event)
        _say(event)
        return Deliver(delivery=delivery, forwarding=Forwarding.SIGNED_IN, transaction=transaction)

    async def _refuse(self, transaction: LoginTransaction, refuse: Refuse) -> Outcome:
        await self._record_refusal(transaction, refuse)
        if transaction.request.passive:
            return await self._tell_service(transaction, refuse.fault)
        refused = transaction.refused(refuse.fault)
        await self._parts.transactions.put(refused)
        return ShowRefusal(fault=refuse.fault, reference=transaction.reference, transaction=refused)

    async def _tell_service(self, transaction: LoginTransaction, fault: Fault) -> Outcome:
        service = decide.service_of(transaction.request, self._parts.federation())
        delivery = await self._parts.downstream[service.protocol].refuse(transaction, fault, service)
        return Deliver(delivery=delivery, forwarding=Forwarding.RETURNED, transaction=transaction)

    async def _record_refusal(self, transaction: LoginTransaction, refuse: Refuse) -> None:
        event = records.refused(transaction, refuse, self._parts.federation(), self._parts.clock())
        await self._parts.audit.append(event)
        _say(event, detail=refuse.fault.detail)

    async def _load(self, id: TransactionId, browser: str) -> LoginTransaction:
        """Raises: LoginUsedOrExpired, OtherBrowser (promise P2). The store knows no login past its time."""
        return _of_browser(await self._parts.transactions.get(id), browser)

    async def _taken(self, id: TransactionId, browser: str, stage: Stage) -> LoginTransaction:
        """A step out of order, or in another browser, leaves the login as it is: it is put back. Raises: as ``_load``,
        OutOfOrder."""
        transaction = await self._parts.transactions.take(id)
        try:
            _of_browser(transaction, browser).expect(stage, self._parts.clock())
        except (OtherBrowser, OutOfOrder):
            await self._parts.transactions.put(transaction)
            raise
        return transaction

    def _new(self, request: LoginRequest, browser: str) -> LoginTransaction:
        now = self._parts.clock()
        transaction = LoginTransaction(
            id=new_transaction_id(),
            reference=new_reference_code(),
            browser=browser,
            request=request,
            stage=Stage.RECEIVED,
            begun_at=now,
            expires_at=now + LIFETIME,
        )
        structlog.contextvars.bind_contextvars(reference=transaction.reference)
        return transaction


def _of_browser(transaction: LoginTransaction, browser: str) -> LoginTransaction:
    """Raises: OtherBrowser."""
    structlog.contextvars.bind_contextvars(reference=transaction.reference)
    if not hmac.compare_digest(transaction.browser, browser):
        raise OtherBrowser("the login was begun in another browser")
    return transaction


def refusal_of(transaction: LoginTransaction) -> Fault:
    """The fault for which a stored login was refused."""
    assert transaction.refusal is not None
    return fault_class(transaction.refusal)("", **transaction.refusal_context)


def _say(event: AuditEvent, **more: str) -> None:
    """One log line and one count for each end of a login; names and verdicts only (promise P7)."""
    outcome = event.kind.rpartition(".")[2]
    LOGINS.labels(outcome, event.reason, event.detail["upstream"], event.detail["downstream"]).inc()
    log.info(
        event.kind,
        service=event.service,
        organisation=event.organisation,
        identity_provider=event.identity_provider,
        reason=event.reason,
        **more,
    )
