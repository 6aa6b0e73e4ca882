"""access: who may reach a service. The rules of FEDERATION.md, in their order; the first that fails is the reason.

status → the organisation's own service, or an agreement in force → what the service requires → required attributes
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from broker.attributes import home
from broker.attributes.trace import TraceStep, Verdict
from broker.attributes.values import scope_of
from broker.errors import (
    AccessRefused,
    MfaNotProven,
    NoAgreement,
    RequiredAttributeMissing,
    RequirementNotMet,
    StatusDoesNotAdmit,
)
from broker.federation.model import (
    HOME_ZONE,
    AccessException,
    Agreement,
    Federation,
    Organisation,
    OrganisationId,
    Service,
    Status,
)
from broker.login.identity import Identity
from broker.login.steps import Release

_LEFT_PART_COMPARED = frozenset({"affiliation", "externalAffiliation"})
GUEST = "guest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the rules judge. ``today``: the Finnish calendar date."""

    identity: Identity
    service: Service
    federation: Federation
    today: date

    @property
    def home(self) -> Organisation:
        return self.federation.organisations[self.identity.organisation]


def admit(identity: Identity, service: Service, federation: Federation, now: datetime, trace: list[TraceStep]) -> None:
    """Holds a person to every rule that does not depend on the release.

    Raises: StatusDoesNotAdmit, NoAgreement, RequirementNotMet, MfaNotProven.
    """
    case = Case(identity=identity, service=service, federation=federation, today=finnish_date(now))
    for rule in RULES:
        try:
            note = rule(case)
        except AccessRefused as refusal:
            trace.append(_step(rule.__name__, Verdict.FAILED, refusal.context["rule"], refusal.detail))
            raise
        trace.append(_step(rule.__name__, Verdict.PASSED, service.id, note))


def require_attributes(release: Release, service: Service, trace: list[TraceStep]) -> None:
    """The last rule: every attribute marked ``required`` is there. Raises: RequiredAttributeMissing, for the first."""
    rule = "required_attributes_are_there"
    missing = [each.name for each in service.attributes if each.required and not release.attributes.get(each.name)]
    if not missing:
        trace.append(_step(rule, Verdict.PASSED, service.id, ""))
        return
    note = f"missing: {', '.join(missing)}"
    trace.append(_step(rule, Verdict.FAILED, missing[0], note))
    raise RequiredAttributeMissing(note, service=service.id, attribute=missing[0], rule=rule)


def within_one_agreement(
    identity: Identity, actor: Service, target: Service, federation: Federation, now: datetime, trace: list[TraceStep]
) -> None:
    """One service goes on to another in the person's name: one agreement in force covers both, and the home organisation and
    both owners are parties; or all is the home organisation's own. Raises: NoAgreement."""
    rule, organisation = "one_agreement_covers_both", identity.organisation
    if actor.owner == target.owner == organisation:
        trace.append(_step(rule, Verdict.PASSED, target.id, "its own services"))
        return
    today = finnish_date(now)
    for agreement in federation.agreements_by_party.get(organisation, ()):
        parties = {actor.owner, target.owner} <= set(agreement.parties)
        if (
            parties
            and covers(agreement, actor)
            and covers(agreement, target)
            and not why_not_in_force(agreement, today)
        ):
            trace.append(_step(rule, Verdict.PASSED, target.id, f"by agreement {agreement.id}"))
            return
    note = f"no agreement in force of {organisation} covers {actor.id} and {target.id}"
    trace.append(_step(rule, Verdict.FAILED, target.id, note))
    raise NoAgreement(note, organisation=organisation, service=target.id, rule=rule)


def organisations_admitted(service: Service, federation: Federation, now: datetime) -> tuple[OrganisationId, ...]:
    """The organisations some of whose staff the first two rules admit, and who can log in; in the order of their ids."""
    if service.status not in (Status.PRODUCTION, Status.TEST):
        return ()
    today = finnish_date(now)
    admitted = {service.owner}
    for agreement in federation.agreements_by_party.get(service.owner, ()):
        if covers(agreement, service) and not why_not_in_force(agreement, today):
            admitted |= agreement.parties
    names = {scope_of(each.person) for each in service.exceptions if in_force(each, today)}
    admitted |= {id for id, each in federation.organisations.items() if names & {*each.scopes, *each.mail_domains}}
    able = (each for each in admitted if federation.identity_providers_of.get(each))
    return tuple(sorted(each for each in able if _has_testers(federation.organisations[each], service)))


def may_reach(organisation: OrganisationId, service: Service, federation: Federation, now: datetime) -> bool:
    """Whether some of the organisation's staff may reach the service now, as far as the first two rules say."""
    return organisation in organisations_admitted(service, federation, now)


def covers(agreement: Agreement, service: Service) -> bool:
    return service.id in agreement.services or service.owner in agreement.owners


def why_not_in_force(agreement: Agreement, today: date) -> str:
    """Why the agreement is not in force on that day, in words for an operator; "" when it is."""
    unsigned = sorted(each for each in agreement.parties if each not in agreement.signed)
    if unsigned:
        return f"not signed by {', '.join(unsigned)}"
    later = max(agreement.signed[each] for each in agreement.parties)
    if later > today:
        return f"not signed by all until {later}"
    if today < agreement.valid_from:
        return f"not valid before {agreement.valid_from}"
    if today > agreement.valid_until:
        return f"ended on {agreement.valid_until}"
    return ""


def in_force(exception: AccessException, today: date) -> bool:
    return (exception.valid_from or today) <= today <= exception.valid_until


def finnish_date(now: datetime) -> date:
    """Agreements run by Finnish calendar days."""
    return now.astimezone(HOME_ZONE).date()


# --- the rules; each returns a note for the trace ------------------------------------------------------------------------


def status_admits(case: Case) -> str:
    """draft and retired: nobody; test: named testers; production: all."""
    service = case.service
    if service.status is Status.PRODUCTION:
        return "production: everybody"
    if service.status is Status.TEST and _names_of(case.identity) & service.testers:
        return "test: a named tester"
    why = "not a named tester" if service.status is Status.TEST else f"{service.status}: nobody"
    raise StatusDoesNotAdmit(why, **_context(case, "status_admits"))


def own_service_or_agreement_in_force(case: Case) -> str:
    """An organisation's staff always reach its own services; any other needs an agreement in force, or for one person and a time
    an exception."""
    organisation, service = case.identity.organisation, case.service
    if organisation == service.owner:
        return "its own service"
    theirs = case.federation.agreements_by_party.get(organisation, ())
    common = [each for each in theirs if service.owner in each.parties and covers(each, service)]
    reasons = {agreement.id: why_not_in_force(agreement, case.today) for agreement in common}
    for agreement in common:
        if not reasons[agreement.id]:
            return f"by agreement {agreement.id}"
    for exception in service.exceptions:
        if exception.person in _names_of(case.identity) and in_force(exception, case.today):
            return f"by an exception until {exception.valid_until}"
    context = _context(case, "own_service_or_agreement_in_force")
    if not common:
        raise NoAgreement(f"no agreement of {organisation} and {service.owner} covers it", **context)
    nearest = max(common, key=lambda each: _nearness(each, case.today))
    raise NoAgreement(f"agreement {nearest.id}: {reasons[nearest.id]}", **context, agreement=nearest.id)


def guests_are_admitted(case: Case) -> str:
    """A guest in a city's directory is not its staff: only a service that names guests in ``require`` gets them."""
    if GUEST not in case.identity.attributes.get("personType", ()):
        return "not a guest"
    if GUEST in case.service.require.attributes.get("personType", ()):
        return "the service admits guests"
    context = _context(case, "guests_are_admitted")
    raise RequirementNotMet("a guest in the home's directory", **context, attribute="personType")


def requirements_hold(case: Case) -> str:
    """Of each attribute in ``require``, one of the values must be there."""
    required = case.service.require.attributes
    present: Mapping[str, tuple[str, ...]] = {**case.identity.attributes, **home.facts(case.home)} if required else {}
    for name, accepted in required.items():
        if not accepted.intersection(_compared(name, present.get(name, ()))):
            sent = "has no accepted value" if present.get(name) else "is not there"
            why = "is unknown: the home could not say" if name in present and not present[name] else sent
            raise RequirementNotMet(f"{name} {why}", **_context(case, "requirements_hold"), attribute=name)
    return ", ".join(required)


def mfa_is_proven(case: Case) -> str:
    if not case.service.require.mfa:
        return "not required"
    if case.identity.mfa:
        return "proven"
    raise MfaNotProven("the service requires several factors", **_context(case, "mfa_is_proven"))


RULES: tuple[Callable[[Case], str], ...] = (
    status_admits,
    own_service_or_agreement_in_force,
    guests_are_admitted,
    requirements_hold,
    mfa_is_proven,
)


def _context(case: Case, rule: str) -> dict[str, str]:
    return {"organisation": case.identity.organisation, "service": case.service.id, "rule": rule}


def _names_of(identity: Identity) -> set[str]:
    """The names by which a tester may be registered, lower-case."""
    return {value.lower() for name in ("eppn", "mail") for value in identity.attributes.get(name, ())}


def _has_testers(organisation: Organisation, service: Service) -> bool:
    if service.status is not Status.TEST:
        return True
    domains = {*organisation.scopes, *organisation.mail_domains}
    return any(scope_of(tester) in domains for tester in service.testers)


def _nearness(agreement: Agreement, today: date) -> tuple[bool, date]:
    """Which of several agreements that are not in force an operator should look at: one not ended, the latest."""
    return agreement.valid_until >= today, agreement.valid_from


def _compared(name: str, values: Iterable[str]) -> Iterable[str]:
    if name in _LEFT_PART_COMPARED:
        return (value.partition("@")[0] for value in values)
    return values


def _step(subject: str, verdict: Verdict, rule: str, note: str) -> TraceStep:
    return TraceStep(stage="access", subject=subject, verdict=verdict, rule=rule, note=note)
