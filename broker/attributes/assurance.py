"""assurance: AuthnContextClassRef, acr and amr, both ways, and what counts as multi-factor authentication.

attributes.md section 4. What a city's signal proves is registered for each identity provider (``assurance``); without
that it proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from broker.attributes import dialects
from broker.attributes.errors import ContextNotMet
from broker.attributes.trace import TraceStep, Verdict
from broker.errors import MfaNotProven
from broker.federation.model import AssuranceRule, IdentityProvider, Protocol, Service
from broker.federation.quirks import takes_comparisons, takes_contexts
from broker.login.identity import Identity, VerifiedAssertion
from broker.login.request import Comparison, LoginRequest

REFEDS_MFA = "https://refeds.org/profile/mfa"
REFEDS_SFA = "https://refeds.org/profile/sfa"
_SAML = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
UNSPECIFIED = _SAML + "unspecified"
FALLBACK = _SAML + "PasswordProtectedTransport"

STRENGTH = {
    UNSPECIFIED: 0,
    _SAML + "Password": 10,
    FALLBACK: 10,
    REFEDS_SFA: 20,
    "http://eidas.europa.eu/LoA/low": 20,
    REFEDS_MFA: 30,
    "http://ftn.ficora.fi/2017/loa2": 40,
    "http://eidas.europa.eu/LoA/substantial": 40,
    "http://ftn.ficora.fi/2017/loa3": 50,
    "http://eidas.europa.eu/LoA/high": 50,
}
"""The schema's levels, and which is stronger. Others cannot be compared, so they are met only by the same one."""

BASELINE = frozenset({UNSPECIFIED, _SAML + "Password", FALLBACK})
"""What every login at a city proves."""


def understand(assertion: VerifiedAssertion, idp: IdentityProvider, trace: list[TraceStep]) -> tuple[str | None, bool]:
    """The schema's level that the city's signals prove, or None; and whether they prove several factors."""
    level: str | None = None
    mfa = False
    for signal in dict.fromkeys(_signals(assertion, idp)):
        rule = idp.assurance.get(signal)
        if rule is None:
            trace.append(_step(signal[:200], Verdict.NOT_MAPPED, "assurance", "proves nothing: no rule names it"))
            continue
        mfa = mfa or rule.mfa
        proven = _level(rule)
        if proven is not None and (level is None or STRENGTH[proven] > STRENGTH[level]):
            level = proven
        note = "several factors" if rule.mfa else ""
        trace.append(_step(signal[:200], Verdict.MAPPED, proven or "assurance", note))
    return level, mfa


def contexts_to_request(
    request: LoginRequest, service: Service, idp: IdentityProvider
) -> tuple[tuple[str, ...], Comparison]:
    """What to ask of the city, and how it is meant. Where several factors are needed: its own contexts that are registered
    as proof of them.

    Contexts that every login meets are not asked for alone: a city that signs its people in without a password
    (Kerberos, a key) would refuse them. A city that knows no comparison gets the levels that would satisfy it.
    """
    if not takes_contexts(idp):
        return (), Comparison.EXACT
    if service.require.mfa:
        return _contexts_of(idp, REFEDS_MFA), Comparison.EXACT
    comparison = request.comparison
    if comparison in (Comparison.EXACT, Comparison.MINIMUM) and set(request.requested_contexts) <= BASELINE:
        return (), Comparison.EXACT
    known = [context for context in request.requested_contexts if context in STRENGTH]
    if comparison is not Comparison.EXACT and not _takes_comparisons(idp):
        known, comparison = _satisfying(known, comparison, idp), Comparison.EXACT
    wanted = [theirs for context in known for theirs in _contexts_of(idp, context)]
    return tuple(dict.fromkeys(wanted)), comparison


def needs_mfa(request: LoginRequest, service: Service) -> bool:
    """Whether ``answer_context`` will refuse a login that does not prove several factors, whatever else it proves."""
    asked = request.protocol is Protocol.SAML and set(request.requested_contexts) == {REFEDS_MFA}
    return service.require.mfa or (asked and request.comparison in (Comparison.EXACT, Comparison.MINIMUM))


def answer_context(identity: Identity, request: LoginRequest, service: Service, trace: list[TraceStep]) -> str:
    """What the service is told of the login.

    Raises: MfaNotProven; ContextNotMet, when a SAML service's contexts cannot be satisfied. OIDC's acr_values are a wish
    (OIDC Core 3.1.2.1) and refuse nobody.
    """
    proven = identity.authn_context or (REFEDS_MFA if identity.mfa else FALLBACK)
    if service.require.mfa and not identity.mfa:
        raise _refused(MfaNotProven, service, identity, "the service requires it", trace)
    requested = request.requested_contexts
    if not requested:
        return _told(REFEDS_MFA if service.require.mfa else proven, "nothing asked for", trace)
    met = _met(requested, request.comparison, proven, identity.mfa)
    if met is not None:
        return _told(met, f"meets what was asked for ({request.comparison})", trace)
    if request.protocol is Protocol.OIDC:
        return _told(proven, "not what was asked for, which is only a wish", trace)
    if REFEDS_MFA in requested:
        raise _refused(MfaNotProven, service, identity, "the request demands it", trace)
    raise _refused(ContextNotMet, service, identity, f"none is met ({request.comparison})", trace)


def _signals(assertion: VerifiedAssertion, idp: IdentityProvider) -> Iterable[str]:
    if assertion.authn_context:
        yield assertion.authn_context
    yield from assertion.authn_methods
    dialect = dialects.load(idp.dialect)
    if dialect.contexts:
        sources = dialect.folded(assertion.attributes)
        for name in dialect.contexts:
            yield from sources.get(dialect.fold(name), ())


def _level(rule: AssuranceRule) -> str | None:
    return rule.level or (REFEDS_MFA if rule.mfa else None)


def _contexts_of(idp: IdentityProvider, level: str) -> tuple[str, ...]:
    """The city's own contexts that prove this level; the level itself where it is the city's own word too.

    Values of amr (``mfa``) are told, not asked for: only URIs are contexts.
    """
    if level == REFEDS_MFA:
        found = [context for context, rule in idp.assurance.items() if rule.mfa]
    else:
        found = [context for context, rule in idp.assurance.items() if _level(rule) == level]
    return tuple(context for context in found if ":" in context) or (() if level == REFEDS_MFA else (level,))


def _takes_comparisons(idp: IdentityProvider) -> bool:
    """OIDC's acr_values know none (OIDC Core 3.1.2.1)."""
    return idp.protocol is Protocol.SAML and takes_comparisons(idp)


def _satisfying(requested: Sequence[str], comparison: Comparison, idp: IdentityProvider) -> list[str]:
    """The levels registered for the city that satisfy the comparison, the weakest first."""
    registered = {level for rule in idp.assurance.values() if (level := _level(rule)) is not None}
    levels = sorted(registered, key=lambda level: (STRENGTH[level], level))
    return [level for level in levels if _met(tuple(requested), comparison, level, level == REFEDS_MFA) is not None]


def _met(requested: tuple[str, ...], comparison: Comparison, proven: str, mfa: bool) -> str | None:
    """saml-core 3.3.2.2.1. For ``exact``, the first of the requested contexts that holds; else the proven one."""
    if comparison is Comparison.EXACT:
        holding = {proven, *BASELINE, *({REFEDS_MFA} if mfa else ())}
        return next((context for context in requested if context in holding), None)
    strength = STRENGTH[proven]
    asked = [STRENGTH[context] for context in requested if context in STRENGTH]
    if comparison is Comparison.MINIMUM:
        # A high level says who the person is, not by how many factors: that is proven by itself.
        compared = [STRENGTH[context] for context in requested if context in STRENGTH and context != REFEDS_MFA]
        enough = any(strength >= each for each in compared) or (mfa and REFEDS_MFA in requested)
        return proven if enough else None
    if comparison is Comparison.BETTER:
        return proven if asked and len(asked) == len(requested) and strength > max(asked) else None
    return proven if any(strength <= each for each in asked) else None


def _told(context: str, note: str, trace: list[TraceStep]) -> str:
    trace.append(_step("authn_context", Verdict.PASSED, context, note))
    return context


def _refused(
    fault: type[MfaNotProven | ContextNotMet],
    service: Service,
    identity: Identity,
    why: str,
    trace: list[TraceStep],
) -> MfaNotProven | ContextNotMet:
    trace.append(_step("authn_context", Verdict.FAILED, fault.code, why))
    return fault(why, service=service.id, organisation=identity.organisation, rule="authn_context")


def _step(subject: str, verdict: Verdict, rule: str, note: str) -> TraceStep:
    return TraceStep(stage="assurance", subject=subject, verdict=verdict, rule=rule, note=note)
