"""Token exchange (RFC 8693): a service goes on to another one in the person's name, within one agreement.

The actor brings the access token of the person's login to it and names the target by its client_id. What it gets is opaque and
good for the target alone, which asks ``/oidc/introspect`` what it is worth: the actor carries the token, and learns neither
the person's identifier at the target nor anything else that the target gets (promise P4).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from broker.attributes import trace as traces
from broker.attributes.identifiers import Subjects
from broker.audit.events import AuditEvent
from broker.errors import Fault
from broker.federation.model import Protocol, Service
from broker.keys.sealing import SealBroken
from broker.login import exchange
from broker.login.exchange import PassOn
from broker.login.identity import Identity
from broker.login.ports import AuditLog, Clock
from broker.login.steps import Refuse
from broker.oidc.errors import ExchangeRefused, InvalidRequest, InvalidScope, InvalidTarget, InvalidToken
from broker.oidc.op import sender
from broker.oidc.op.client_endpoint import Asked
from broker.oidc.op.grants import AccessGrant, handle
from broker.oidc.op.http import HttpAnswer, json_answer
from broker.oidc.op.issuing import Tokens
from broker.oidc.op.parameters import Parameters, required
from broker.oidc.op.released import ClaimsOf, subject_of
from broker.oidc.op.sealed_person import SealedPeople

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
# What belongs to a login in a browser is not passed on.
_OF_A_LOGIN = ("openid", "offline_access")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What is asked, and of whom. ``reference``: of the person's login."""

    asked: Asked
    grant: AccessGrant = field(repr=False)
    identity: Identity = field(repr=False)
    target: Service
    now: datetime


class TokenExchange:
    def __init__(
        self,
        *,
        tokens: Tokens,
        people: SealedPeople,
        claims_of: ClaimsOf,
        subjects: Callable[[], Subjects],
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._tokens = tokens
        self._people = people
        self._claims_of = claims_of
        self._subjects = subjects
        self._audit = audit
        self._clock = clock

    async def serve(self, asked: Asked) -> HttpAnswer:
        """Raises: InvalidRequest, InvalidScope, InvalidTarget, ExchangeRefused, InvalidDpopProof, CertificateMissing,
        AuditUnavailable, StateUnavailable."""
        check_request(asked.form)
        grant = await self._subject_token(asked)
        target = target_of(asked)
        case = _Case(asked=asked, grant=grant, identity=self._person(grant), target=target, now=self._clock())
        scopes = granted_scopes(asked.form, grant, target)
        bound = sender.confirmation(asked.client, asked.sender)
        decided = exchange.pass_on(case.identity, asked.service, target, asked.federation, self._subjects(), case.now)
        if isinstance(decided, Refuse):
            await self._audit.append(_refused(case, decided))
            fault = decided.fault
            raise ExchangeRefused(fault.detail, because=fault.code, reference=grant.reference, **fault.context)
        token = secrets.token_urlsafe(32)
        issued = self._issued(case, decided, scopes, bound, handle(token))
        await self._audit.append(_exchanged(case, decided, scopes))
        await self._tokens.put(issued)
        return json_answer(
            {
                "access_token": token,
                "issued_token_type": ACCESS_TOKEN_TYPE,
                "token_type": sender.token_type(bound),
                "expires_in": int((issued.expires_at - case.now).total_seconds()),
                "scope": " ".join(scopes),
            }
        )

    async def _subject_token(self, asked: Asked) -> AccessGrant:
        """2.1: one of the client's own, in the hands of whom it was given to. Raises: InvalidRequest."""
        grant = await self._tokens.access_grant(required(asked.form, "subject_token"))
        if grant is None or grant.service != asked.service.id or grant.expires_at <= self._clock():
            raise InvalidRequest("subject_token is unknown, expired, revoked or another client's")
        try:
            sender.check(grant.confirmation, asked.sender)
        except InvalidToken as error:
            raise InvalidRequest("subject_token is bound to another key or certificate") from error
        return grant

    def _person(self, grant: AccessGrant) -> Identity:
        """Raises: InvalidRequest."""
        if grant.person is None:
            raise InvalidRequest("subject_token is of before the client registered the grant, or was exchanged itself")
        try:
            return self._people.open(grant.person, grant.service)
        except SealBroken as error:
            raise InvalidRequest("subject_token was sealed by another key") from error

    def _issued(
        self, case: _Case, decided: PassOn, scopes: tuple[str, ...], bound: Mapping[str, str], id: str
    ) -> AccessGrant:
        """It ends when the person's token does: by time, revocation, or with its family."""
        client = case.target.client
        assert client is not None, "target_of checked it"
        released = decided.release
        subject = subject_of(released, client)
        return AccessGrant(
            id=id,
            service=case.target.id,
            scopes=scopes,
            issued_at=case.now,
            expires_at=case.grant.expires_at,
            family=case.grant.family,
            confirmation=bound,
            userinfo={**self._claims_of(released.attributes, frozenset(scopes)), "sub": subject},
            reference=case.grant.reference,
            actor=case.asked.client.client_id,
            parent=case.grant.id,
        )


def check_request(form: Parameters) -> None:
    """What is not offered is refused rather than left out of account (RFC 8693 2.1). Raises: InvalidRequest, InvalidTarget."""
    if required(form, "subject_token_type") != ACCESS_TOKEN_TYPE:
        raise InvalidRequest("subject_token_type is not access_token")
    if form.get("requested_token_type") not in (None, ACCESS_TOKEN_TYPE):
        raise InvalidRequest("requested_token_type is not access_token")
    if form.get("actor_token") is not None or form.get("actor_token_type") is not None:
        raise InvalidRequest("actor_token was sent; the actor is the client that asks")
    if form.get("resource") is not None:
        raise InvalidTarget("resource was sent; a target is named by audience")


def target_of(asked: Asked) -> Service:
    """The service whose client_id ``audience`` is. Raises: InvalidTarget."""
    audience = asked.form.get("audience")
    found = asked.federation.services_by_entity_id.get((Protocol.OIDC, audience)) if audience else None
    if found is None or found.client is None:
        raise InvalidTarget("audience names no client")
    if found.id == asked.service.id:
        raise InvalidTarget("audience is the client itself")
    if found.client.token_endpoint_auth_method == "none":
        raise InvalidTarget("the target is a public client, and cannot ask what a token is worth")
    return found


def granted_scopes(form: Parameters, grant: AccessGrant, target: Service) -> tuple[str, ...]:
    """Never more than the person's token has, nor than the target registered. Raises: InvalidScope."""
    assert target.client is not None, "target_of checked it"
    registered = None if target.client.scope is None else target.client.scope.split()
    asked = form.words("scope") or grant.scopes
    if not set(asked) <= set(grant.scopes):
        raise InvalidScope("more than the subject_token has", service=grant.service)
    passed_on = (each for each in asked if each not in _OF_A_LOGIN)
    return tuple(each for each in passed_on if registered is None or each in registered)


def _exchanged(case: _Case, decided: PassOn, scopes: tuple[str, ...]) -> AuditEvent:
    """``token.exchanged``, with the login's own reference code."""
    released = {"released": sorted(decided.release.attributes), "scopes": list(scopes)}
    return _event(case, "token.exchanged", decided.release.pairwise_id, traces.members(decided.trace) | released)


def _refused(case: _Case, refuse: Refuse) -> AuditEvent:
    """``token.exchange_refused``."""
    fault = refuse.fault
    why = {"whose": fault.whose, "why": fault.detail, "context": dict(fault.context)}
    return _event(case, "token.exchange_refused", "", traces.members(refuse.trace) | why, fault)


def _event(
    case: _Case, kind: str, subject: str, detail: Mapping[str, object], fault: Fault | None = None
) -> AuditEvent:
    return AuditEvent(
        kind=kind,
        at=case.now,
        reference=case.grant.reference,
        service=case.target.id,
        organisation=case.identity.organisation,
        identity_provider=case.identity.idp,
        actor=f"service:{case.asked.service.id}",
        subject=subject,
        reason=fault.code if fault else "",
        revision=case.asked.federation.revision,
        detail=detail,
    )
