"""mapping: from a city's dialect to the shared schema, every value checked, every step traced.

Never raises and never invents: what no rule names, or what no check passes, is left out and said so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from broker.attributes import dialects, entra, transforms
from broker.attributes.dialects import Dialect
from broker.attributes.schema import ATTRIBUTES, SchemaAttribute
from broker.attributes.trace import TraceStep, Verdict
from broker.attributes.values import AFFILIATIONS_OF, InvalidValue
from broker.federation.model import AttributeRule, IdentityProvider
from broker.login.identity import VerifiedAssertion

Mapped = Mapping[str, tuple[str, ...]]
"""Values by canonical name. No value at all (an empty tuple) means *unknown*: the home could not say, so that nothing may
be concluded from the absence (groups overage)."""

MAX_RECORD_OCTETS = 64 * 1024
MAX_RAW_VALUES = 1024
MAX_RAW_CHARACTERS = 64 * 1024
MAX_NAMES_TRACED = 50

BASE_ASSURANCE = "https://refeds.org/assurance"
# Names of a person in several languages or spellings: the first is the one in use. Of anything else, two are one too many.
_FIRST_OF_SEVERAL = frozenset({"givenName", "surname", "displayName", "commonName", "preferredLanguage"})


def map_attributes(assertion: VerifiedAssertion, idp: IdentityProvider, trace: list[TraceStep]) -> Mapped:
    """The person in the shared schema, not yet held to scopes. Facts that the registry owns are in it as asserted."""
    dialect = dialects.load(idp.dialect)
    sources = dialect.folded(assertion.attributes)
    rules = effective_rules(idp)
    mapped: dict[str, tuple[str, ...]] = {}
    room = MAX_RECORD_OCTETS
    for rule in rules.values():
        values = _apply(rule, sources, idp, dialect, trace)
        if values is not None:
            mapped[rule.attribute], room = _fitting(rule.attribute, values, room, trace)
    entra.apply(dialect, sources, idp, mapped, trace)
    _derive_display_name(mapped, trace)
    _derive_affiliation(mapped, trace)
    _trace_unknown(sources, _known_names(rules.values(), idp, dialect), dialect, trace)
    return mapped


def effective_rules(idp: IdentityProvider) -> Mapping[str, AttributeRule]:
    """The dialect's rules, overlaid by the identity provider's own: one rule for each attribute."""
    return {**dialects.load(idp.dialect).rules, **{rule.attribute: rule for rule in idp.attributes}}


def _apply(
    rule: AttributeRule,
    sources: Mapping[str, tuple[str, ...]],
    idp: IdentityProvider,
    dialect: Dialect,
    trace: list[TraceStep],
) -> tuple[str, ...] | None:
    """None: nothing was sent, or nothing passed. Empty: unknown."""
    source, raw = _first_source(rule, sources, dialect)
    if raw is None:
        note = "more values than the login can carry: unknown, not none"
        trace.append(_step(rule.attribute, Verdict.FAILED, source, note))
        return ()
    if not raw:
        return None
    attribute = ATTRIBUTES[rule.attribute]
    dropped: Counter[str] = Counter()
    values = list(dict.fromkeys(_valid(attribute, _transformed(rule, raw, dropped), dropped)))
    values = _that_the_home_may_assert(rule, values, idp, dropped)
    values = _as_many_as_allowed(attribute, values, dropped)
    for reason, count in dropped.items():
        trace.append(_step(rule.attribute, Verdict.DROPPED, source, f"{_count(count)}: {reason}"))
    if not values:
        return None
    trace.append(_step(rule.attribute, Verdict.MAPPED, source, ", ".join(rule.transforms)))
    return tuple(values)


def _first_source(
    rule: AttributeRule, sources: Mapping[str, tuple[str, ...]], dialect: Dialect
) -> tuple[str, tuple[str, ...] | None]:
    """The first source that has a value, and its values: none when no source has one; None when they were left out."""
    if rule.constant:
        return "constant", rule.constant
    for source in rule.sources:
        if dialect.overage and any(dialect.fold(each) in sources for each in dialect.overage.get(source, ())):
            return source, None
        sent = sources.get(dialect.fold(source))
        if sent and (values := tuple(value for value in sent if value.strip())):
            return source, values
    return "", ()


def _transformed(rule: AttributeRule, raw: tuple[str, ...], dropped: Counter[str]) -> Iterable[str]:
    steps = [transforms.find(name) for name in rule.transforms]
    for value in _split(rule, raw, dropped):
        result: str | None = value
        for step in steps:
            result = step(result) if result is not None else None
        if result is not None and rule.table is not None:
            result = rule.table.get(result)
            if result is None:
                dropped["not in the table"] += 1
                continue
        if result is None:
            dropped["nothing left by the transforms"] += 1
            continue
        yield result


def _split(rule: AttributeRule, raw: tuple[str, ...], dropped: Counter[str]) -> list[str]:
    """The single values, bounded before any work is done on them."""
    short = [value for value in raw[:MAX_RAW_VALUES] if len(value) <= MAX_RAW_CHARACTERS]
    if rule.split is not None:
        short = [part.strip() for value in short for part in value.split(rule.split) if part.strip()]
    if len(raw) > MAX_RAW_VALUES or len(short) > MAX_RAW_VALUES:
        dropped[f"more than {MAX_RAW_VALUES} values"] += max(len(raw), len(short)) - MAX_RAW_VALUES
    if too_long := sum(len(value) > MAX_RAW_CHARACTERS for value in raw[:MAX_RAW_VALUES]):
        dropped[f"longer than {MAX_RAW_CHARACTERS} characters"] += too_long
    return short[:MAX_RAW_VALUES]


def _valid(attribute: SchemaAttribute, values: Iterable[str], dropped: Counter[str]) -> Iterable[str]:
    for value in values:
        try:
            yield attribute.validate(value)
        except InvalidValue as error:
            dropped[str(error)] += 1


def _that_the_home_may_assert(
    rule: AttributeRule, values: list[str], idp: IdentityProvider, dropped: Counter[str]
) -> list[str]:
    """Entitlements and assurance need more than a right form. What an operator wrote (a table, a constant) is trusted.

    An entitlement of the home's own making must be a group that names its authority (AARC-G069), which is then held to
    the organisation's scopes. Assurance is what the identity provider's ``assurance`` lists, never more.
    """
    if rule.table is not None or rule.constant:
        return values
    if rule.attribute == "entitlement":
        kept = [value for value in values if group_authority(value) is not None]
        reason = "no namespace is delegated to the home: an operator maps it by a table"
    elif rule.attribute == "assurance":
        allowed = [value for value in values if value == BASE_ASSURANCE or value in idp.assurance]
        kept = allowed if BASE_ASSURANCE in allowed else []
        reason = "not among the assurance that the registry allows"
    else:
        return values
    if len(kept) < len(values):
        dropped[reason] += len(values) - len(kept)
    return kept


def group_authority(entitlement: str) -> str | None:
    """What stands after the ``#`` of a group in AARC-G069 form, lower-case; None when there is none."""
    name, mark, authority = entitlement.partition("#")
    is_group = name.lower().startswith("urn:") and ":group:" in name
    return authority.lower() if is_group and mark else None


def _as_many_as_allowed(attribute: SchemaAttribute, values: list[str], dropped: Counter[str]) -> list[str]:
    if attribute.multi:
        if len(values) > attribute.limit:
            dropped[f"more than {attribute.limit} values"] += len(values) - attribute.limit
        return values[: attribute.limit]
    if len(values) > 1 and attribute.name not in _FIRST_OF_SEVERAL:
        dropped["several values where one is meant"] += len(values)
        return []
    if len(values) > 1:
        dropped["the first of several values is taken"] += len(values) - 1
    return values[:1]


def _fitting(attribute: str, values: tuple[str, ...], room: int, trace: list[TraceStep]) -> tuple[tuple[str, ...], int]:
    """As many of the values as there is room for in the record, and the room that is left."""
    kept: list[str] = []
    for value in values:
        size = len(value.encode("utf-8"))
        if size > room:
            note = f"{_count(len(values) - len(kept))}: the record is longer than {MAX_RECORD_OCTETS} octets"
            trace.append(_step(attribute, Verdict.DROPPED, "", note))
            return tuple(kept), 0
        kept.append(value)
        room -= size
    return tuple(kept), room


def _derive_display_name(mapped: dict[str, tuple[str, ...]], trace: list[TraceStep]) -> None:
    if mapped.get("displayName") or not (mapped.get("givenName") and mapped.get("surname")):
        return
    mapped["displayName"] = (f"{mapped['givenName'][0]} {mapped['surname'][0]}"[:256],)
    trace.append(_step("displayName", Verdict.MAPPED, "givenName, surname", "built from the two"))


def _derive_affiliation(mapped: dict[str, tuple[str, ...]], trace: list[TraceStep]) -> None:
    """attributes.md 2.4. Only where the home says nothing itself: nobody is an employee because of being able to log in."""
    if "affiliation" in mapped or "affiliationUnscoped" in mapped or not mapped.get("personType"):
        return
    found = dict.fromkeys(each for kind in mapped["personType"] for each in AFFILIATIONS_OF[kind])
    mapped["affiliationUnscoped"] = tuple(found)
    trace.append(_step("affiliationUnscoped", Verdict.MAPPED, "personType", "derived"))


def _known_names(rules: Iterable[AttributeRule], idp: IdentityProvider, dialect: Dialect) -> set[str]:
    """The source names that something reads, as they are compared."""
    known = [source for rule in rules for source in rule.sources]
    known += dialect.contexts
    known += [instead for names in dialect.overage.values() for instead in names]
    if idp.organisation_from is not None:
        known.append(idp.organisation_from.source)
    if idp.subject.source is not None:
        known.append(idp.subject.source)
    return {dialect.fold(name) for name in known}


def _trace_unknown(
    sources: Mapping[str, tuple[str, ...]], known: set[str], dialect: Dialect, trace: list[TraceStep]
) -> None:
    """Each source attribute that nothing reads: its name and number of values, never a value."""
    unread = [name for name in sources if name not in known]
    for name in unread[:MAX_NAMES_TRACED]:
        note = f"{_count(len(sources[name]))}: {dialect.ignored.get(name, 'no rule names it')}"
        trace.append(_step(_printable(name), Verdict.NOT_MAPPED, dialect.name, note))
    if len(unread) > MAX_NAMES_TRACED:
        note = f"{len(unread) - MAX_NAMES_TRACED} more attributes that no rule names"
        trace.append(_step("…", Verdict.NOT_MAPPED, dialect.name, note))


def _printable(name: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in name[:200])


def _count(number: int) -> str:
    return "1 value" if number == 1 else f"{number} values"


def _step(subject: str, verdict: Verdict, rule: str, note: str) -> TraceStep:
    return TraceStep(stage="map", subject=subject, verdict=verdict, rule=rule, note=note)
