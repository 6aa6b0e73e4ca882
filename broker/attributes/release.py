"""release: from the shared schema to what one service gets, with the reason for each attribute (promise P4).

A service gets the bundles of its entity categories and the attributes that it registered with a purpose, as far as the
home organisation allows (attributes.md section 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date

from broker.attributes import home, identifiers
from broker.attributes.identifiers import Subjects
from broker.attributes.schema import ATTRIBUTES, ORGANISATION_NAME, PREVIOUS, Origin, SchemaAttribute, Sensitivity
from broker.attributes.trace import TraceStep, Verdict
from broker.federation.model import Organisation, Service, Status
from broker.login.identity import Identity
from broker.login.request import LoginRequest
from broker.login.steps import Release

CODE_OF_CONDUCT = "https://refeds.org/category/code-of-conduct/v2"
BUNDLES: Mapping[str, tuple[str, ...]] = {
    "https://refeds.org/category/anonymous": ("homeOrganization", "affiliation"),
    "https://refeds.org/category/pseudonymous": ("homeOrganization", "pairwiseId", "affiliation", "assurance"),
    "https://refeds.org/category/personalized": (
        "homeOrganization",
        "subjectId",
        "displayName",
        "givenName",
        "surname",
        "mail",
        "affiliation",
        "assurance",
    ),
    CODE_OF_CONDUCT: (),
    "http://refeds.org/category/research-and-scholarship": (
        "eppn",
        "uniqueId",
        "mail",
        "displayName",
        "givenName",
        "surname",
        "affiliation",
    ),
}
"""The attributes that each entity category brings. With the code of conduct alone, only what is required is released."""

ACCOMPANIES = {"mail": "mailVerified", "employeeNumber": "homeOrganization"}
"""What is always released beside an attribute: the judgement of an address, and where a number is unique."""

NOT_REGISTERED = "the service did not register it"
NOT_ALLOWED = "the home organisation does not allow it"
"""Notes of what is withheld though it was there."""

SUBJECT_IDENTIFIERS = ("subjectId", "pairwiseId", "uniqueId")


def release(
    identity: Identity,
    service: Service,
    organisation: Organisation,
    subjects: Subjects,
    today: date,
    trace: list[TraceStep],
) -> Release:
    """``today``: the Finnish calendar date. An attribute that a service needs and does not get is refused by
    ``federation/access.py``. Raises: KeptScopeLost."""
    wished, forbidden = wanted(service), _forbidden(service, organisation)
    whose = identifiers.whose(identity, organisation, follows(service, organisation), subjects, today, trace)
    ids = identifiers.of(whose, identity, service, subjects.keys)
    available = _available(identity, organisation, ids)
    released: dict[str, tuple[str, ...]] = {}
    for name in ATTRIBUTES:
        values = available.get(name, ())
        reason = _kept_back(name, values, wished, forbidden, name in identity.attributes)
        if reason is None:
            released |= _with_languages(name, available)
            trace.append(_step(name, Verdict.RELEASED, wished[name], ""))
        elif values or name in wished:
            trace.append(_step(name, Verdict.WITHHELD, wished.get(name, "not_registered"), reason))
    return Release(subject_id=ids["subjectId"][0], pairwise_id=ids["pairwiseId"][0], attributes=released)


def as_asked(released: Release, request: LoginRequest, trace: list[TraceStep]) -> Release:
    """What this one request asks of the release: fewer attributes, and never more than the pairwise identifier, which the
    service gets as its name identifier anyway."""
    attributes = dict(released.attributes)
    if request.attributes is not None:
        asked = {*request.attributes, *(ACCOMPANIES[name] for name in request.attributes if name in ACCOMPANIES)}
        for name in [each for each in attributes if each.partition("#")[0] not in asked]:
            del attributes[name]
            trace.append(_step(name, Verdict.WITHHELD, "request", "the request does not ask for it"))
    if request.needs_pairwise_id and "pairwiseId" not in attributes:
        attributes["pairwiseId"] = (released.pairwise_id,)
        trace.append(_step("pairwiseId", Verdict.RELEASED, "subject-id:req", ""))
    return replace(released, attributes=attributes)


def follows(service: Service, organisation: Organisation) -> bool:
    """Whether the service can follow a change of identifiers of this organisation's people: it gets both side by side."""
    wished, forbidden = wanted(service), _forbidden(service, organisation)
    return any(name in wished and name not in forbidden for name in PREVIOUS)


def may_get(service: Service, name: str) -> bool:
    """Whether the service's registration admits the attribute, whoever the person is."""
    return name in wanted(service)


def asked_of_homes(services: Iterable[Service]) -> tuple[str, ...]:
    """The attributes that home organisations must send for these services to get what they need, in the schema's order."""
    asked: set[str] = set()
    for service in services:
        if service.status in (Status.TEST, Status.PRODUCTION):
            asked |= {*wanted(service), *service.require.attributes}
    return tuple(name for name, each in ATTRIBUTES.items() if name in asked and _comes_from_home(each))


def _forbidden(service: Service, organisation: Organisation) -> frozenset[str]:
    return organisation.withhold if service.owner != organisation.id else frozenset()


def _comes_from_home(attribute: SchemaAttribute) -> bool:
    ours = attribute.origin is not Origin.HOME or attribute.name in SUBJECT_IDENTIFIERS
    return not ours and attribute.sensitivity is not Sensitivity.S3


def _available(
    identity: Identity, organisation: Organisation, ids: Mapping[str, tuple[str, ...]]
) -> Mapping[str, tuple[str, ...]]:
    found = {**identity.attributes, **home.facts(organisation), **ids}
    # Two of the schema's names are older words for another's values.
    found.setdefault("commonName", found.get("displayName", ()))
    found.setdefault("externalAffiliation", found.get("affiliation", ()))
    return found


def wanted(service: Service) -> Mapping[str, str]:
    """Each attribute that the service may get, with the rule that says so: the first one that does."""
    found: dict[str, str] = {}
    only_required = set(service.entity_categories) == {CODE_OF_CONDUCT}
    for attribute in service.attributes:
        if attribute.required or not only_required:
            found[attribute.name] = "registered"
    for category in service.entity_categories:
        for name in BUNDLES.get(category, ()):
            found.setdefault(name, category)
    for name, companion in ACCOMPANIES.items():
        if name in found:
            found.setdefault(companion, f"accompanies {name}")
    return found


def _kept_back(
    name: str, values: tuple[str, ...], wished: Mapping[str, str], forbidden: frozenset[str], was_sent: bool
) -> str | None:
    """Why an attribute is not released; None: it is."""
    if ATTRIBUTES[name].sensitivity is Sensitivity.S3:
        return "restricted: released to no service"
    if name not in wished:
        return NOT_REGISTERED
    if not values:
        return "unknown: the home could not say" if was_sent else _nobody_said(name)
    if name in forbidden:
        return NOT_ALLOWED
    if (companion := ACCOMPANIES.get(name)) in forbidden:
        return f"{NOT_ALLOWED}: {companion}, without which it means nothing"
    return None


def _nobody_said(name: str) -> str:
    if ATTRIBUTES[name].origin is Origin.REGISTRY:
        return "the registry does not have it"
    if name in PREVIOUS:
        return "no change of identifiers is under way for this person"
    return "the home did not send it, or it did not pass the checks"


def _with_languages(name: str, available: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The attribute; of the organisation's name, its texts by language too (``organizationName#sv``)."""
    if name != ORGANISATION_NAME:
        return {name: available[name]}
    return {each: values for each, values in available.items() if each.partition("#")[0] == name}


def _step(subject_name: str, verdict: Verdict, rule: str, note: str) -> TraceStep:
    return TraceStep(stage="release", subject=subject_name, verdict=verdict, rule=rule, note=note)
