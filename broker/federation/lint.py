"""lint: what is allowed and will disappoint somebody. Pure; ``broker check`` shows it.

Documents that are wrong are refused when they are applied. What is found here is right in itself: an agreement that ends soon,
a service that asks for what a city cannot give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from broker.attributes import home
from broker.attributes.mapping import effective_rules
from broker.attributes.schema import ATTRIBUTES, MADE_OF, Origin
from broker.federation.access import covers, finnish_date, organisations_admitted, why_not_in_force
from broker.federation.model import (
    LANGUAGES,
    Agreement,
    Federation,
    IdentityProvider,
    IdentityProviderId,
    Organisation,
    Service,
)

ENDS_SOON = timedelta(days=90)
EXCEPTION_ENDS_SOON = timedelta(days=14)
ENOUGH_LOGINS = 20
"""So many logins say what an identity provider sends; fewer may be chance."""

_COMPUTED = frozenset({"subjectId", "pairwiseId", "uniqueId"})


class Severity(StrEnum):
    """error: nobody can use something as it stands. warning: somebody cannot, or soon. notice: it could be better."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """``code``: stable. ``kind``, ``id``: the document to look at. ``mend``: what to do."""

    code: str
    severity: Severity
    kind: str
    id: str
    message: str
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What logins through one identity provider had: how many there were, and how many had each (attribute, source)."""

    logins: int = 0
    mapped: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def attributes(self) -> frozenset[str]:
        return frozenset(attribute for attribute, _ in self.mapped)

    @property
    def sources(self) -> frozenset[str]:
        return frozenset(source for _, source in self.mapped)


SeenBy = Mapping[IdentityProviderId, Seen]


def lint(federation: Federation, seen: SeenBy, now: datetime) -> tuple[LintFinding, ...]:
    """``seen``: of the last weeks. The gravest first, then by document."""
    found = [
        *_agreements(federation, finnish_date(now)),
        *_services(federation, seen, now),
        *_identity_providers(federation, seen),
    ]
    order = list(Severity)
    return tuple(sorted(found, key=lambda each: (order.index(each.severity), each.kind, each.id, each.code)))


# --- agreements ---------------------------------------------------------------------------------------------------------


def _agreements(federation: Federation, today: date) -> Iterator[LintFinding]:
    for agreement in federation.agreements.values():
        about = _About("agreement", agreement.id)
        why = why_not_in_force(agreement, today)
        if today > agreement.valid_until:
            if not _is_followed(agreement, federation, today):
                yield about.notice("agreement_ended", why, "sign a new one, or remove the document")
        elif not agreement.parties <= agreement.signed.keys():
            yield about.warning("agreement_not_signed", why, "remind who has not signed; `signed` takes the dates")
        elif agreement.valid_until - today <= ENDS_SOON and not _is_followed(agreement, federation, today):
            days = (agreement.valid_until - today).days
            message = f"ends on {agreement.valid_until}, in {days} days, and none follows for all that it covers"
            yield about.warning("agreement_ends", message, "agree on the next one, with a valid_from before that day")


def _is_followed(agreement: Agreement, federation: Federation, today: date) -> bool:
    """Whether agreements that hold on the day after it cover, between the same parties, all that it covers."""
    after = max(agreement.valid_until + timedelta(days=1), today)
    later = [
        each for each in federation.agreements.values() if each is not agreement and not why_not_in_force(each, after)
    ]
    covered = (each for each in federation.services.values() if covers(agreement, each))
    return all(
        any(agreement.parties <= each.parties and covers(each, service) for each in later) for service in covered
    )


# --- services -----------------------------------------------------------------------------------------------------------


def _services(federation: Federation, seen: SeenBy, now: datetime) -> Iterator[LintFinding]:
    for service in federation.services.values():
        about = _About("service", service.id)
        yield from _purposes(service, about)
        yield from _exceptions(service, finnish_date(now), about)
        admitted = [federation.organisations[each] for each in organisations_admitted(service, federation, now)]
        yield from _undeliverable(service, admitted, federation, seen, about)
        yield from _unproven(service, admitted, federation, about)


def _purposes(service: Service, about: _About) -> Iterator[LintFinding]:
    for attribute in service.attributes:
        missing = [language for language in LANGUAGES if language not in attribute.purpose]
        if missing:
            message = f"{attribute.name} has no purpose in {', '.join(missing)}, so people read another language's"
            yield about.notice("purpose_missing", message, f"add {' and '.join(missing)} to its `purpose`")


def _exceptions(service: Service, today: date, about: _About) -> Iterator[LintFinding]:
    for each in service.exceptions:
        if each.valid_until < today:
            message = f"the exception of {each.person} ended on {each.valid_until}"
            yield about.notice("exception_ended", message, "remove it from `exceptions`")
        elif each.valid_until - today <= EXCEPTION_ENDS_SOON:
            message = f"the exception of {each.person} ends on {each.valid_until}"
            yield about.notice(
                "exception_ends", message, "ask whether it is still needed, and set a later `valid_until`"
            )


def _undeliverable(
    service: Service, admitted: list[Organisation], federation: Federation, seen: SeenBy, about: _About
) -> Iterator[LintFinding]:
    """Required attributes that the logins of those who may come do not bring."""
    required = [each.name for each in service.attributes if each.required]
    for name in required:
        without = [each for each in admitted if not _delivers(each, name, federation, seen)]
        if not without:
            continue
        who = ", ".join(each.id for each in without)
        mend = f"let the city send it and give it a rule in `attributes` of its identity provider, or do not require {name}"
        if len(without) == len(admitted):
            message = f"{name} is required, and no organisation that may use the service delivers it ({who})"
            yield about.error("required_by_nobody", message, mend)
        else:
            message = f"{name} is required, and the logins of {who} do not deliver it: their staff are refused"
            yield about.warning("required_not_delivered", message, mend)


def _delivers(organisation: Organisation, name: str, federation: Federation, seen: SeenBy) -> bool:
    return any(
        _brings(idp, name, organisation, seen.get(idp.id, Seen()))
        for idp in federation.identity_providers_of.get(organisation.id, ())
    )


def _brings(idp: IdentityProvider, name: str, organisation: Organisation, seen: Seen) -> bool:
    """By its rules; and where enough logins came through it, by what they had."""
    if name in organisation.withhold:
        return False
    if ATTRIBUTES[name].origin is Origin.REGISTRY:
        return name in home.facts(organisation)
    if name in _COMPUTED:
        return True
    if _made(name, effective_rules(idp).keys()):
        return seen.logins < ENOUGH_LOGINS or _made(name, seen.attributes)
    return False


def _made(name: str, given: Iterable[str]) -> bool:
    names = set(given)
    names |= {each for each, ways in MADE_OF.items() if any(parts <= names for parts in ways)}
    return name in names or any(parts <= names for parts in MADE_OF.get(name, ()))


def _unproven(
    service: Service, admitted: list[Organisation], federation: Federation, about: _About
) -> Iterator[LintFinding]:
    """Several factors are demanded of organisations of which nothing is registered that would prove them."""
    if not service.require.mfa:
        return
    without = [each for each in admitted if not _proves_mfa(each, federation)]
    if not without:
        return
    who = ", ".join(each.id for each in without)
    mend = "register in `assurance` of its identity provider which of its signals proves several factors (`mfa: true`)"
    if len(without) == len(admitted):
        yield about.error("mfa_proven_by_nobody", f"demands several factors, and nobody can prove them ({who})", mend)
    else:
        yield about.warning("mfa_not_proven", f"demands several factors, which {who} cannot prove", mend)


def _proves_mfa(organisation: Organisation, federation: Federation) -> bool:
    idps = federation.identity_providers_of.get(organisation.id, ())
    return any(rule.mfa for idp in idps for rule in idp.assurance.values())


# --- identity providers ---------------------------------------------------------------------------------------------------


def _identity_providers(federation: Federation, seen: SeenBy) -> Iterator[LintFinding]:
    """Rules that an operator wrote, and that no login had a use for. The dialects name more than any one city sends."""
    for idp in federation.identity_providers.values():
        logins = seen.get(idp.id, Seen())
        if logins.logins < ENOUGH_LOGINS:
            continue
        for rule in idp.attributes:
            if rule.sources and not logins.sources.intersection(rule.sources):
                message = f"the rule of {rule.attribute} reads {', '.join(rule.sources)}, which none of {logins.logins} logins had"
                mend = "ask the city whether it sends it and under which name; `broker explain CODE` shows what came"
                yield _About("identity-provider", idp.id).warning("rule_never_used", message, mend)


@dataclass(frozen=True, slots=True)
class _About:
    kind: str
    id: str

    def error(self, code: str, message: str, mend: str) -> LintFinding:
        return self._finding(code, Severity.ERROR, message, mend)

    def warning(self, code: str, message: str, mend: str) -> LintFinding:
        return self._finding(code, Severity.WARNING, message, mend)

    def notice(self, code: str, message: str, mend: str) -> LintFinding:
        return self._finding(code, Severity.NOTICE, message, mend)

    def _finding(self, code: str, severity: Severity, message: str, mend: str) -> LintFinding:
        return LintFinding(code=code, severity=severity, kind=self.kind, id=self.id, message=message, mend=mend)
