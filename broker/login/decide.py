"""begin, choose, receive: what happens next in a login. Pure functions of the login, the federation and the time.

service's request ──begin──▶ ChooseOrganisation ──choose──▶ SendToIdp ──(the city)──receive──▶ Answer
                      ╰────────────────────────────────────────╯                       ╰─────▶ Refuse
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from broker.attributes import assurance, mapping, release, scope, subject
from broker.attributes.identifiers import Subjects
from broker.attributes.trace import TraceStep
from broker.errors import Fault, HomeLoginTooOld, NoAgreement, NoPassive, StatusDoesNotAdmit, UnknownService
from broker.federation import access
from broker.federation.model import (
    Federation,
    IdentityProvider,
    Organisation,
    OrganisationId,
    Protocol,
    Service,
    Status,
)
from broker.login.identity import Identity, VerifiedAssertion
from broker.login.request import Hints, LoginRequest
from broker.login.steps import Answer, ChooseOrganisation, Refuse, SendToIdp
from broker.login.transaction import LoginTransaction


def begin(request: LoginRequest, federation: Federation, now: datetime) -> ChooseOrganisation | SendToIdp | Refuse:
    """The first step of a service's request: straight to the city where a hint or the agreements leave one, else the page.

    ``Refuse``: nobody at all may reach the service now, or a page is needed and the service forbade it.
    """
    service = federation.services[request.service]
    admitted = access.organisations_admitted(service, federation, now)
    if not admitted:
        return Refuse(fault=_nobody_admitted(service))
    hinted = [found for found in _hinted(request.hints, federation) if found[0] in admitted]
    if hinted:
        return _send(request, service, *hinted[0], federation)
    if len(admitted) == 1 and not request.choose_anew:
        return _send(request, service, admitted[0], federation.identity_providers_of[admitted[0]][0], federation)
    if request.passive:
        return Refuse(fault=NoPassive("the home organisation is not known", service=service.id))
    return ChooseOrganisation(service=service.id, organisations=admitted, hint_ignored=_was_hinted(request.hints))


def choose(
    transaction: LoginTransaction, organisation: str, federation: Federation, now: datetime
) -> ChooseOrganisation | SendToIdp | Refuse:
    """The person chose. A choice that is not on the page (any more) shows the page again; nothing is granted by a link."""
    service = service_of(transaction.request, federation)
    admitted = access.organisations_admitted(service, federation, now)
    if not admitted:
        return Refuse(fault=_nobody_admitted(service))
    for each in admitted:
        if each == organisation:
            return _send(transaction.request, service, each, federation.identity_providers_of[each][0], federation)
    return ChooseOrganisation(service=service.id, organisations=admitted, hint_ignored=bool(organisation))


def receive(
    transaction: LoginTransaction,
    assertion: VerifiedAssertion,
    federation: Federation,
    subjects: Subjects,
    now: datetime,
    skew: timedelta,
) -> Answer | Refuse:
    """The city's verified answer: who this is, whether they may reach the service, and what it gets.

    Every refusal keeps the steps that led to it.
    """
    trace: list[TraceStep] = []
    try:
        return _answer(transaction, assertion, federation, subjects, now, skew, trace)
    except Fault as fault:
        return Refuse(fault=fault, trace=tuple(trace))


def service_of(request: LoginRequest, federation: Federation) -> Service:
    """The request's service as it is registered now. Raises: UnknownService, when it was removed meanwhile."""
    service = federation.services.get(request.service)
    if service is None:
        raise UnknownService("the service was removed while the login was on its way", service=request.service)
    return service


def _answer(
    transaction: LoginTransaction,
    assertion: VerifiedAssertion,
    federation: Federation,
    subjects: Subjects,
    now: datetime,
    skew: timedelta,
    trace: list[TraceStep],
) -> Answer:
    request = transaction.request
    service = service_of(request, federation)
    idp = federation.identity_providers[assertion.idp]
    check_age(request, assertion, transaction.begun_at, now, skew)
    identity = _identify(assertion, idp, federation, now, trace)
    organisation = federation.organisations[identity.organisation]
    access.admit(identity, service, federation, now, trace)
    context = assurance.answer_context(identity, request, service, trace)
    released = release.release(identity, service, organisation, subjects, access.finnish_date(now), trace)
    access.require_attributes(released, service, trace)
    return Answer(
        service=service.id,
        organisation=organisation.id,
        idp=idp.id,
        identity=identity,
        release=release.as_asked(released, request, trace),
        authn_instant=identity.authn_instant,
        authn_context=context,
        authn_methods=identity.authn_methods,
        authenticating_authorities=(idp.entity_id, *assertion.authenticating_authorities),
        trace=tuple(trace),
        session_ends=assertion.session_ends,
        proxy_count=None if assertion.proxy_count is None else assertion.proxy_count - 1,
        session=assertion.session,
    )


def _identify(
    assertion: VerifiedAssertion,
    idp: IdentityProvider,
    federation: Federation,
    now: datetime,
    trace: list[TraceStep],
) -> Identity:
    mapped = mapping.map_attributes(assertion, idp, trace)
    organisation: Organisation = federation.organisations[
        scope.home_organisation(assertion, mapped, idp, federation, trace)
    ]
    held = scope.hold_to_scopes(mapped, organisation, trace)
    keyspace, key = subject.subject_key(assertion, held, idp)
    level, mfa = assurance.understand(assertion, idp, trace)
    return Identity(
        organisation=organisation.id,
        idp=idp.id,
        keyspace=keyspace,
        key=key,
        attributes=held,
        authn_instant=assertion.authn_instant or now,
        authn_context=level,
        authn_methods=assertion.authn_methods,
        mfa=mfa,
    )


def check_age(
    request: LoginRequest, assertion: VerifiedAssertion, begun_at: datetime, now: datetime, skew: timedelta
) -> None:
    """Holds the city to ForceAuthn (saml-core 3.4.1) and max_age (OIDC Core 3.1.2.1). Raises: HomeLoginTooOld."""
    if not request.force_authn and request.max_age is None:
        return
    instant = assertion.authn_instant
    if instant is None:
        raise HomeLoginTooOld("the city did not say when the person logged in", identity_provider=assertion.idp)
    if request.force_authn and instant < begun_at - skew:
        raise HomeLoginTooOld("a new login was asked for", identity_provider=assertion.idp)
    if request.max_age is not None and instant + request.max_age + skew < now:
        raise HomeLoginTooOld("older than the service accepts", identity_provider=assertion.idp)


def _send(
    request: LoginRequest,
    service: Service,
    organisation: OrganisationId,
    idp: IdentityProvider,
    federation: Federation,
) -> SendToIdp:
    hint = request.hints.login_hint or ""
    ours = hint.rpartition("@")[2].lower() in federation.organisations[organisation].scopes
    contexts, comparison = assurance.contexts_to_request(request, service, idp)
    return SendToIdp(
        idp=idp.id,
        organisation=organisation,
        force_authn=request.force_authn,
        passive=request.passive,
        max_age=request.max_age,
        requested_contexts=contexts,
        comparison=comparison,
        needs_mfa=assurance.needs_mfa(request, service),
        login_hint=hint if ours else None,
        requesters=(*request.requesters, service.entity_id),
        proxy_count=request.proxy_count,
    )


def _hinted(hints: Hints, federation: Federation) -> Iterable[tuple[OrganisationId, IdentityProvider]]:
    """What the hints name, the most exact first."""
    for entity_id in hints.identity_providers:
        for protocol in Protocol:
            idp = federation.identity_providers_by_entity_id.get((protocol, entity_id))
            if idp is not None:
                yield from ((organisation, idp) for organisation in idp.organisations)
    names = [OrganisationId(hints.organisation)] if hints.organisation else []
    if hints.domain and (by_scope := federation.organisation_by_scope.get(hints.domain.lower())):
        names.append(by_scope)
    for name in names:
        for idp in federation.identity_providers_of.get(name, ())[:1]:
            yield name, idp


def _was_hinted(hints: Hints) -> bool:
    return bool(hints.organisation or hints.domain or hints.identity_providers)


def _nobody_admitted(service: Service) -> Fault:
    if service.status in (Status.PRODUCTION, Status.TEST):
        return NoAgreement("no organisation may reach the service now", service=service.id)
    return StatusDoesNotAdmit(f"the service is {service.status}", service=service.id)
