"""pass_on: may one service go on to another in a person's name, and what does that one get? Pure, as ``decide``.

The person logged in to ``actor``, which asks now for a token at ``target``. Both the person's organisation and the two services
must be within one agreement, and the target's own rules hold as if the person logged in there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from broker.attributes import release
from broker.attributes.identifiers import Subjects
from broker.attributes.trace import Trace, TraceStep
from broker.errors import Fault
from broker.federation import access
from broker.federation.model import Federation, Service
from broker.login.identity import Identity
from broker.login.steps import Refuse, Release


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOn:
    """The target gets this person, by the actor."""

    release: Release
    trace: Trace


def pass_on(
    identity: Identity, actor: Service, target: Service, federation: Federation, subjects: Subjects, now: datetime
) -> PassOn | Refuse:
    """Every refusal keeps the steps that led to it."""
    trace: list[TraceStep] = []
    try:
        access.admit(identity, actor, federation, now, trace)
        access.within_one_agreement(identity, actor, target, federation, now, trace)
        access.admit(identity, target, federation, now, trace)
        home = federation.organisations[identity.organisation]
        released = release.release(identity, target, home, subjects, access.finnish_date(now), trace)
        access.require_attributes(released, target, trace)
    except Fault as fault:
        return Refuse(fault=fault, trace=tuple(trace))
    return PassOn(release=released, trace=tuple(trace))
