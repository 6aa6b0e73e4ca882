"""LoginTransaction: one login, from a service's request to the broker's answer, in neither SAML nor OIDC terms.

    RECEIVED ──choose──▶ AT_IDP ──answer──▶ (taken from the store; gone)
        ╰───────────────────╯──refuse──▶ REFUSED ──back to the service──▶ (taken; gone)
                                            ╰──reopen──▶ RECEIVED

A refused person may try again or choose another organisation as long as the login lives. A person may go back to the
page and choose again: AT_IDP → AT_IDP with the other identity provider, whose answer alone then fits. The store hands a transaction out exactly once when an answer arrives (promise P2).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from broker.errors import Fault, LoginUsedOrExpired, OutOfOrder
from broker.federation.model import IdentityProviderId, OrganisationId
from broker.login.request import LoginRequest

TransactionId = NewType("TransactionId", str)
ReferenceCode = NewType("ReferenceCode", str)

LIFETIME = timedelta(minutes=15)
# 32 of them. No 0 O 1 I: codes are read aloud on the telephone.
_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


class Stage(StrEnum):
    RECEIVED = "received"
    AT_IDP = "at_idp"
    REFUSED = "refused"


def new_transaction_id() -> TransactionId:
    """256 bits, unguessable; travels as RelayState and state."""
    return TransactionId(secrets.token_urlsafe(32))


def new_reference_code() -> ReferenceCode:
    """Names a login to people: on pages, in the log (as its correlation id) and in the audit. 40 bits: ``K7M2-9QXA``."""
    number = secrets.randbits(40)
    letters = "".join(_LETTERS[number >> shift & 31] for shift in range(0, 40, 5))
    return ReferenceCode(f"{letters[:4]}-{letters[4:]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginTransaction:
    """Times: aware UTC.

    ``browser`` is the fingerprint (hash) of the browser's binding cookie. ``upstream`` is the upstream edge's own: what
    it needs to judge the answer (AuthnRequest ID, nonce, PKCE verifier), as strings; opaque to the heart.
    ``refusal`` is the refused login's fault code, ``refusal_context`` that fault's context: names, never values.
    """

    id: TransactionId
    reference: ReferenceCode
    browser: str
    request: LoginRequest
    stage: Stage
    begun_at: datetime
    expires_at: datetime
    idp: IdentityProviderId | None = None
    organisation: OrganisationId | None = None
    upstream: Mapping[str, str] = field(default_factory=dict)
    refusal: str | None = None
    refusal_context: Mapping[str, str] = field(default_factory=dict)

    def sent_to(
        self, idp: IdentityProviderId, organisation: OrganisationId, upstream: Mapping[str, str]
    ) -> LoginTransaction:
        """Raises: OutOfOrder, unless the organisation is still to be chosen or is chosen anew."""
        if self.stage not in (Stage.RECEIVED, Stage.AT_IDP):
            raise OutOfOrder(f"{self.stage} -> {Stage.AT_IDP}")
        return replace(self, stage=Stage.AT_IDP, idp=idp, organisation=organisation, upstream=dict(upstream))

    def refused(self, fault: Fault) -> LoginTransaction:
        """Raises: OutOfOrder, if it was refused already."""
        if self.stage is Stage.REFUSED:
            raise OutOfOrder(f"{self.stage} -> {Stage.REFUSED}")
        return replace(self, stage=Stage.REFUSED, refusal=fault.code, refusal_context=dict(fault.context), upstream={})

    def reopened(self) -> LoginTransaction:
        """The login as it was received: nothing of the refused attempt is left. Raises: OutOfOrder, unless refused."""
        if self.stage is not Stage.REFUSED:
            raise OutOfOrder(f"{self.stage} -> {Stage.RECEIVED}")
        return replace(
            self, stage=Stage.RECEIVED, idp=None, organisation=None, upstream={}, refusal=None, refusal_context={}
        )

    def expect(self, stage: Stage, now: datetime) -> None:
        """Raises: LoginUsedOrExpired, OutOfOrder."""
        if now >= self.expires_at:
            raise LoginUsedOrExpired("expired")
        if self.stage is not stage:
            raise OutOfOrder(f"is {self.stage}, not {stage}")
