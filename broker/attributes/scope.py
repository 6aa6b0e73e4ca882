"""scope: an organisation asserts only its own scopes (promise P3; attributes.md 1.5 and 1.6).

A scope is equal to a registered one or it is foreign: no suffix, no pattern. A foreign identifier refuses the login; a
foreign affiliation, address, code or group is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from broker.attributes import dialects, home
from broker.attributes.mapping import Mapped, group_authority
from broker.attributes.schema import ATTRIBUTES, Origin
from broker.attributes.trace import TraceStep, Verdict
from broker.attributes.values import scope_of
from broker.errors import ForeignScope, OrganisationUndecided
from broker.federation.model import Federation, IdentityProvider, Organisation, OrganisationFrom, OrganisationId
from broker.login.identity import VerifiedAssertion


def home_organisation(
    assertion: VerifiedAssertion,
    mapped: Mapped,
    idp: IdentityProvider,
    federation: Federation,
    trace: list[TraceStep],
) -> OrganisationId:
    """Whose staff this is, among the organisations that the identity provider serves.

    Raises: OrganisationUndecided, unless exactly one of them comes of the deciding attribute.
    """
    if len(idp.organisations) == 1:
        trace.append(_passed(idp.organisations[0], "home_organisation", "the only one of its identity provider"))
        return idp.organisations[0]
    rule = idp.organisation_from
    if rule is None:
        raise OrganisationUndecided("no organisation_from is registered", identity_provider=idp.id)
    named = {_named_by(value, rule, idp, federation) for value in _deciding_values(assertion, mapped, idp, rule)}
    if len(named) == 1 and (only := named.pop()) is not None:
        trace.append(_passed(only, "home_organisation", f"decided by {rule.source}"))
        return only
    note = "its values name several organisations, or one that is not served" if named else "it has no value"
    trace.append(_step("home_organisation", Verdict.FAILED, rule.source, note))
    raise OrganisationUndecided(f"{rule.source}: {note}", identity_provider=idp.id, attribute=rule.source)


def hold_to_scopes(mapped: Mapped, organisation: Organisation, trace: list[TraceStep]) -> Mapped:
    """What this organisation may assert, completed by what the broker itself judges: ``mailVerified``, and scoped and
    unscoped affiliations, each of the other.

    Raises: ForeignScope, for an identifier.
    """
    held = dict(mapped)
    _check_identifiers(held, organisation, trace)
    scopes = frozenset(organisation.scopes)
    mail_domains = organisation.mail_domains or scopes
    _keep(held, "affiliation", lambda value: scope_of(value) in scopes, trace)
    _keep(held, "externalAffiliation", lambda value: scope_of(value) in scopes, trace)
    _keep(held, "personalUniqueCode", lambda value: value.split(":")[4] in scopes, trace)
    _keep(held, "entitlement", lambda value: group_authority(value) in {None, *scopes}, trace)
    _keep(held, "mail", lambda value: scope_of(value) in mail_domains, trace)
    _keep(held, "mailLocalAddress", lambda value: scope_of(value) in mail_domains, trace)
    if held.get("mail"):
        # What is left is in a registered domain: that is the judgement.
        held["mailVerified"] = ("true",)
    _complete_affiliations(held, "affiliation" in mapped, organisation)
    _drop_asserted_facts(held, organisation, trace)
    return held


def _deciding_values(
    assertion: VerifiedAssertion, mapped: Mapped, idp: IdentityProvider, rule: OrganisationFrom
) -> tuple[str, ...]:
    """Of a canonical attribute, or else of the source attribute with that name."""
    if rule.source in ATTRIBUTES:
        return mapped.get(rule.source, ())
    dialect = dialects.load(idp.dialect)
    return dialect.folded(assertion.attributes).get(dialect.fold(rule.source), ())


def _named_by(
    value: str, rule: OrganisationFrom, idp: IdentityProvider, federation: Federation
) -> OrganisationId | None:
    """The organisation of this identity provider that the value names: by the table, else its id, scope or left@scope."""
    if rule.table is not None:
        found = rule.table.get(value)
        return found if found in idp.organisations else None
    plain = value.strip(" ")
    scope = (scope_of(plain) if "@" in plain else plain).lower() if plain.isascii() else ""
    for organisation in idp.organisations:
        if plain == organisation or scope in federation.organisations[organisation].scopes:
            return organisation
    return None


def _check_identifiers(held: Mapped, organisation: Organisation, trace: list[TraceStep]) -> None:
    for name in held:
        if not ATTRIBUTES[name].identifier:
            continue
        for value in held[name]:
            if scope_of(value) not in organisation.scopes:
                trace.append(_step(name, Verdict.FAILED, "own_scopes_only", f"not a scope of {organisation.id}"))
                raise ForeignScope(
                    f"{name} is in a scope that is not registered for {organisation.id}",
                    organisation=organisation.id,
                    attribute=name,
                    rule="own_scopes_only",
                )
        trace.append(_passed(name, "own_scopes_only", ""))


def _keep(held: dict[str, tuple[str, ...]], name: str, is_own: Callable[[str], bool], trace: list[TraceStep]) -> None:
    values = held.get(name)
    if not values:
        return
    kept = tuple(value for value in values if is_own(value))
    if len(kept) < len(values):
        note = f"{len(values) - len(kept)} of {len(values)} values in a scope or domain that is not its own"
        trace.append(_step(name, Verdict.DROPPED, "own_scopes_only", note))
    else:
        trace.append(_passed(name, "own_scopes_only", ""))
    if kept:
        held[name] = kept
    else:
        del held[name]


def _complete_affiliations(held: dict[str, tuple[str, ...]], scoped_was_sent: bool, organisation: Organisation) -> None:
    """Of a home that sends scoped values, the unscoped ones are those that were its own to assert, and no others."""
    if scoped_was_sent:
        held.pop("affiliationUnscoped", None)
        if lefts := tuple(dict.fromkeys(value.partition("@")[0] for value in held.get("affiliation", ()))):
            held["affiliationUnscoped"] = lefts
    elif held.get("affiliationUnscoped") and organisation.scopes:
        primary = organisation.scopes[0]
        held["affiliation"] = tuple(f"{each}@{primary}" for each in held["affiliationUnscoped"])


def _drop_asserted_facts(held: dict[str, tuple[str, ...]], organisation: Organisation, trace: list[TraceStep]) -> None:
    """attributes.md 1.6: the registry knows the organisation better than its identity provider does."""
    facts: Mapping[str, tuple[str, ...]] = home.facts(organisation)
    for name in [name for name in held if ATTRIBUTES[name].origin is Origin.REGISTRY]:
        asserted = held.pop(name)
        if not set(asserted) <= set(facts.get(name, ())):
            note = "the home says otherwise than the registry, which is used"
            trace.append(_step(name, Verdict.DROPPED, "registry_wins", note))


def _passed(subject: str, rule: str, note: str) -> TraceStep:
    return _step(subject, Verdict.PASSED, rule, note)


def _step(subject: str, verdict: Verdict, rule: str, note: str) -> TraceStep:
    return TraceStep(stage="scope", subject=subject, verdict=verdict, rule=rule, note=note)
