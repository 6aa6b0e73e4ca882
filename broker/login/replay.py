"""replay: would a login that was recorded be decided otherwise by other documents? Pure, and by names alone.

A record keeps names and verdicts, never a value. So what depends on values is taken from its verdict as long as the same rule
asks; where another rule asks, the answer is that it cannot be told. Nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from broker.attributes import home, release
from broker.attributes.mapping import effective_rules
from broker.attributes.schema import ATTRIBUTES, MADE_OF, PREVIOUS, Origin
from broker.attributes.trace import Verdict
from broker.federation import access
from broker.federation.model import (
    AttributeRule,
    Federation,
    IdentityProvider,
    IdentityProviderId,
    Organisation,
    OrganisationId,
    Service,
    ServiceId,
    Status,
)


class Change(StrEnum):
    SAME = "same"
    RELEASE = "release"
    REFUSED = "refused"
    ADMITTED = "admitted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A login as it was recorded. ``trace``: its steps (stage, subject, verdict, rule, note). ``reason``: "" when it was answered. ``released``: names. ``before``: the documents by which it
    was decided."""

    reference: str
    service: ServiceId
    organisation: OrganisationId
    identity_provider: IdentityProviderId
    reason: str
    released: frozenset[str]
    trace: tuple[Mapping[str, str], ...] = field(repr=False)
    before: Federation = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """``why``: the fault's code, names of attributes with + and -, or what cannot be told."""

    recorded: Recorded
    change: Change
    why: str = ""


class _CannotTellError(Exception):
    """The text says what depends on a value."""


class _RefusedError(Exception):
    """The text is the fault's code."""


def replay(recorded: Recorded, federation: Federation, now: datetime) -> Replayed:
    """By these documents, today."""
    if _ended_before_the_rules(recorded):
        return Replayed(recorded=recorded, change=Change.SAME)
    try:
        released = _Case(recorded, federation, now).released()
    except _CannotTellError as error:
        return Replayed(recorded=recorded, change=Change.UNKNOWN, why=str(error))
    except _RefusedError as error:
        change = Change.SAME if recorded.reason == str(error) else Change.REFUSED
        return Replayed(recorded=recorded, change=change, why=str(error))
    if recorded.reason:
        return Replayed(recorded=recorded, change=Change.ADMITTED, why=recorded.reason)
    released -= _left_out_by_the_request(recorded)
    before = frozenset(name.partition("#")[0] for name in recorded.released) - _added_by_the_request(recorded)
    added, lost = sorted(released - before), sorted(before - released)
    if not added and not lost:
        return Replayed(recorded=recorded, change=Change.SAME)
    signs = [f"+{name}" for name in added] + [f"-{name}" for name in lost]
    return Replayed(recorded=recorded, change=Change.RELEASE, why=" ".join(signs))


def _ended_before_the_rules(recorded: Recorded) -> bool:
    """A city that was down, a person who cancelled, an answer that did not hold: no document decided that."""
    return bool(recorded.reason) and not any(step["stage"] in ("map", "access") for step in recorded.trace)


def _left_out_by_the_request(recorded: Recorded) -> frozenset[str]:
    steps = (step for step in recorded.trace if step["stage"] == "release" and step["rule"] == "request")
    return frozenset(step["subject"].partition("#")[0] for step in steps)


def _added_by_the_request(recorded: Recorded) -> frozenset[str]:
    steps = (step for step in recorded.trace if step["stage"] == "release" and step["rule"] == "subject-id:req")
    return frozenset(step["subject"] for step in steps)


class _Case:
    """Raises, in each method: _CannotTellError, _RefusedError."""

    def __init__(self, recorded: Recorded, federation: Federation, now: datetime) -> None:
        self._recorded = recorded
        self._federation = federation
        self._today = access.finnish_date(now)

    def released(self) -> frozenset[str]:
        """The names of what the service would get."""
        service, idp, organisation = self._parties()
        self._check_status(service)
        self._check_agreement(service, organisation)
        self._check_guests(service)
        given, doubtful = self._delivered(idp, organisation)
        self._check_requirements(service, idp, organisation, given | doubtful)
        self._check_mfa(service, idp)
        self._check_kept_scopes(organisation)
        wanted = release.wanted(service).keys() - self._withheld(service, organisation)
        for name in (each.name for each in service.attributes if each.required):
            if name not in given & wanted:
                if name in doubtful & wanted:
                    raise _CannotTellError(f"whether {name} would pass")
                raise _RefusedError("required_attribute_missing")
        if unknown := sorted(doubtful & wanted):
            raise _CannotTellError(f"whether {', '.join(unknown)} would pass")
        return frozenset(given & wanted)

    def _parties(self) -> tuple[Service, IdentityProvider, Organisation]:
        service = self._federation.services.get(self._recorded.service)
        idp = self._federation.identity_providers.get(self._recorded.identity_provider)
        organisation = self._federation.organisations.get(self._recorded.organisation)
        if service is None:
            raise _RefusedError("unknown_service")
        if idp is None or organisation is None or organisation.id not in idp.organisations:
            raise _RefusedError("identity_provider_removed")
        return service, idp, organisation

    def _check_status(self, service: Service) -> None:
        if service.status is Status.PRODUCTION:
            return None
        if service.status is Status.TEST:
            before = self._recorded.before.services.get(service.id)
            if before is not None and before.status is Status.TEST and before.testers == service.testers:
                return self._as_before("status_admits", "service_status")
            raise _CannotTellError("whether the person is a tester")
        raise _RefusedError("service_status")

    def _check_agreement(self, service: Service, organisation: Organisation) -> None:
        if organisation.id == service.owner:
            return
        for agreement in self._federation.agreements_by_party.get(organisation.id, ()):
            common = service.owner in agreement.parties and access.covers(agreement, service)
            if common and not access.why_not_in_force(agreement, self._today):
                return
        if any(access.in_force(each, self._today) for each in service.exceptions):
            raise _CannotTellError("whether the person is an exception")
        raise _RefusedError("no_agreement")

    def _check_guests(self, service: Service) -> None:
        if access.GUEST in service.require.attributes.get("personType", ()):
            return
        if any(step["stage"] == "map" and step["rule"] == "guests" for step in self._recorded.trace):
            raise _RefusedError("requirement_not_met")

    def _check_requirements(
        self, service: Service, idp: IdentityProvider, organisation: Organisation, there: set[str]
    ) -> None:
        """``there``: attributes that are there, or may be. The values that were judged are not kept, but for the registry's own:
        the verdict holds as long as the same is asked of the same rules."""
        facts, rest = home.facts(organisation), dict[str, frozenset[str]]()
        for name, accepted in service.require.attributes.items():
            if ATTRIBUTES[name].origin is not Origin.REGISTRY:
                rest[name] = accepted
            elif not accepted.intersection(facts.get(name, ())):
                raise _RefusedError("requirement_not_met")
        if not rest.keys() <= there:
            raise _RefusedError("requirement_not_met")
        if not rest:
            return
        before = self._recorded.before.services.get(service.id)
        asked_before = {} if before is None else before.require.attributes
        if asked_before != rest or any(self._is_made_anew(name, idp) for name in rest):
            raise _CannotTellError("whether what the service requires holds")
        self._as_before("requirements_hold", "requirement_not_met")

    def _is_made_anew(self, name: str, idp: IdentityProvider) -> bool:
        """By another rule than before, or of something that is."""
        rules, before = effective_rules(idp), self._rules_before()
        parts = {part for way in MADE_OF.get(name, ()) for part in way}
        beneath = parts | {deeper for part in parts for way in MADE_OF.get(part, ()) for deeper in way}
        return any(rules.get(each) != before.get(each) for each in {name, *beneath})

    def _check_mfa(self, service: Service, idp: IdentityProvider) -> None:
        if not service.require.mfa:
            return
        signals = {step["subject"] for step in self._recorded.trace if step["stage"] == "assurance"}
        if not any(idp.assurance[signal].mfa for signal in signals & idp.assurance.keys()):
            raise _RefusedError("mfa_not_proven")

    def _check_kept_scopes(self, organisation: Organisation) -> None:
        """Identifiers that a migration keeps in the scope of an organisation that was merged into this one."""
        before = self._recorded.before.organisations.get(organisation.id)
        primary = () if before is None else before.scopes[:1]
        kept = {step["rule"] for step in self._recorded.trace if step["stage"] == "identifiers"}
        if not kept <= {*organisation.scopes, *primary}:
            raise _RefusedError("kept_scope_lost")

    def _as_before(self, rule: str, code: str) -> None:
        """The verdict of the record."""
        verdicts = {step["verdict"] for step in self._recorded.trace if step["subject"] == rule}
        if Verdict.FAILED in verdicts:
            raise _RefusedError(code)
        if Verdict.PASSED not in verdicts:
            raise _CannotTellError(f"{rule}, which was not come to")

    def _withheld(self, service: Service, organisation: Organisation) -> frozenset[str]:
        forbidden = organisation.withhold if service.owner != organisation.id else frozenset[str]()
        alone = {name for name, companion in release.ACCOMPANIES.items() if companion in forbidden}
        return forbidden | alone

    def _delivered(self, idp: IdentityProvider, organisation: Organisation) -> tuple[set[str], set[str]]:
        """Attributes that would be there, and those of which that cannot be told."""
        rules, seen = effective_rules(idp), self._sources()
        before = self._rules_before()
        # Whether a change of identifiers is under way is no matter of documents.
        under_way = set(PREVIOUS) & self._available()
        given, doubtful = (
            set(home.facts(organisation)) | {"subjectId", "pairwiseId", "uniqueId"} | under_way,
            set[str](),
        )
        for name, rule in rules.items():
            if ATTRIBUTES[name].origin is Origin.REGISTRY:
                continue
            if rule == before.get(name):
                given |= {name} & self._available()
            elif rule.constant:
                given.add(name)
            elif self._may_read(rule, seen, before):
                doubtful.add(name)
        for name, parts in MADE_OF.items():
            if any(each <= given for each in parts):
                given.add(name)
            elif any(each <= given | doubtful for each in parts):
                doubtful.add(name)
        return given, doubtful - given

    def _available(self) -> frozenset[str]:
        """Attributes that were there, whether the service got them or not."""
        released = [step for step in self._recorded.trace if step["stage"] == "release"]
        if released:
            return frozenset(step["subject"] for step in released if _was_there(step))
        mapped = [step for step in self._recorded.trace if step["stage"] == "map"]
        return frozenset(step["subject"] for step in mapped if step["verdict"] == Verdict.MAPPED)

    def _sources(self) -> frozenset[str]:
        """Names that the city sent, as far as the record tells."""
        steps = [step for step in self._recorded.trace if step["stage"] == "map"]
        read = {each for step in steps if step["verdict"] != Verdict.NOT_MAPPED for each in step["rule"].split(", ")}
        return frozenset(read | {step["subject"] for step in steps if step["verdict"] == Verdict.NOT_MAPPED})

    def _rules_before(self) -> Mapping[str, AttributeRule]:
        before = self._recorded.before.identity_providers.get(self._recorded.identity_provider)
        return {} if before is None else effective_rules(before)

    def _may_read(self, rule: AttributeRule, seen: frozenset[str], before: Mapping[str, AttributeRule]) -> bool:
        """Whether one of the rule's sources was sent. One that an older rule named and did not choose may have been."""
        if "…" in seen:
            return True
        named = {source for each in before.values() for source in each.sources}
        folded = {each.lower() for each in seen}
        return any(source in seen or source.lower() in folded or source in named for source in rule.sources)


def _was_there(step: Mapping[str, str]) -> bool:
    """A step of the release: all attributes that had a value have one."""
    withheld = step["note"] == release.NOT_REGISTERED or step["note"].startswith(release.NOT_ALLOWED)
    return step["verdict"] == Verdict.RELEASED or withheld
