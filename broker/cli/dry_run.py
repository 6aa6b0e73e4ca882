"""The dry run of a login that has not happened: a sample of a city's answer in, and what the service would get out.

The same rules decide as in a login. Nothing is verified, recorded or sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from broker.attributes import schema
from broker.attributes.identifiers import Subjects
from broker.errors import Fault
from broker.federation.model import Federation, IdentityProvider, OrganisationId, Protocol, Service, ServiceId
from broker.login import decide
from broker.login.identity import VerifiedAssertion
from broker.login.request import LoginRequest
from broker.login.steps import Answer, Refuse
from broker.login.transaction import LIFETIME, LoginTransaction, Stage, new_reference_code, new_transaction_id
from broker.oidc.op import preview as oidc_preview
from broker.oidc.rp import sample as oidc_sample
from broker.saml.idp import preview as saml_preview
from broker.saml.idp.unsolicited import without_wishes
from broker.saml.sp import sample as saml_sample
from broker.settings import Settings


class DryRunError(Exception):
    """The dry run cannot begin: what was asked for is not there. The text says what is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """``identity_provider``: "" where the organisation has but one. ``sample``: a file with the city's answer."""

    organisation: str
    service: str
    sample: Path
    identity_provider: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``step``: what was decided. ``document``: what would leave, as text; "" when nothing would. ``fault``: why the protocol would
    not take the answer, though the rules admit the person."""

    idp: IdentityProvider
    step: Answer | Refuse
    document: str = ""
    fault: Fault | None = None


def run(asked: Asked, federation: Federation, subjects: Subjects, settings: Settings, now: datetime) -> Outcome:
    """Raises: DryRunError."""
    service = _service(asked, federation)
    idp = _identity_provider(asked, federation)
    assertion = _assertion(asked.sample, idp, settings)
    try:
        request = _request(service, now)
        step = decide.receive(
            _transaction(request, asked, idp, now), assertion, federation, subjects, now, settings.clock_skew
        )
        if isinstance(step, Refuse):
            return Outcome(idp=idp, step=step)
        return Outcome(idp=idp, step=step, document=_document(step, request, service, settings, now))
    except Fault as fault:
        return Outcome(idp=idp, step=Refuse(fault=fault), fault=fault)


def _service(asked: Asked, federation: Federation) -> Service:
    found = federation.services.get(ServiceId(asked.service))
    if found is None:
        raise DryRunError(
            f"there is no service {asked.service}; the services are {', '.join(sorted(federation.services))}"
        )
    return found


def _identity_provider(asked: Asked, federation: Federation) -> IdentityProvider:
    if asked.organisation not in federation.organisations:
        known = ", ".join(sorted(federation.organisations))
        raise DryRunError(f"there is no organisation {asked.organisation}; the organisations are {known}")
    theirs = {each.id: each for each in federation.identity_providers_of.get(OrganisationId(asked.organisation), ())}
    names = ", ".join(theirs)
    if not theirs:
        raise DryRunError(f"{asked.organisation} has no identity provider")
    if asked.identity_provider:
        named = [each for id, each in theirs.items() if id == asked.identity_provider]
        if not named:
            raise DryRunError(
                f"{asked.organisation} has no identity provider {asked.identity_provider}; it has {names}"
            )
        return named[0]
    if len(theirs) > 1:
        raise DryRunError(
            f"{asked.organisation} has several identity providers; name one by --identity-provider: {names}"
        )
    return next(iter(theirs.values()))


def _assertion(sample: Path, idp: IdentityProvider, settings: Settings) -> VerifiedAssertion:
    try:
        octets = sample.read_bytes()
        if idp.protocol is Protocol.SAML:
            return saml_sample.read(octets, idp, f"{settings.base_url}/saml/sp/metadata")
        return oidc_sample.read(octets, idp)
    except OSError as error:
        raise DryRunError(f"{sample}: {error.strerror}") from error
    except (saml_sample.SampleUnusable, oidc_sample.SampleUnusable) as error:
        raise DryRunError(f"{sample}: {error}") from error


def _request(service: Service, now: datetime) -> LoginRequest:
    """What the service would ask if it had no wish of its own. Raises: ServiceFault."""
    if service.protocol is Protocol.SAML:
        return without_wishes(service, None, now)
    return oidc_preview.request_without_wishes(service)


def _transaction(request: LoginRequest, asked: Asked, idp: IdentityProvider, now: datetime) -> LoginTransaction:
    return LoginTransaction(
        id=new_transaction_id(),
        reference=new_reference_code(),
        browser="",
        request=request,
        stage=Stage.AT_IDP,
        begun_at=now,
        expires_at=now + LIFETIME,
        idp=idp.id,
        organisation=OrganisationId(asked.organisation),
    )


def _document(answer: Answer, request: LoginRequest, service: Service, settings: Settings, now: datetime) -> str:
    """Raises: ServiceFault."""
    base_url = settings.base_url
    if service.protocol is Protocol.SAML:
        return saml_preview.would_send(
            answer,
            request,
            service,
            issuer=f"{base_url}/saml/idp/metadata",
            saml_names=partial(schema.saml_name, base_url=base_url),
            now=now,
            skew=settings.clock_skew,
        )
    claims_of = partial(schema.claims, base_url=base_url)
    told = oidc_preview.would_send(answer, request, service, issuer=base_url, claims_of=claims_of, now=now)
    return json.dumps(told, ensure_ascii=False, indent=2)
