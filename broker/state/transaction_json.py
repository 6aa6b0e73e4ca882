"""LoginTransaction ↔ the octets that are stored. Strict: what this version did not write, it does not read.

The id is not stored: the record is found by its hash, so whoever reads the store cannot answer for a person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from broker.federation.model import IdentityProviderId, OrganisationId, Protocol, ServiceId
from broker.login.request import Comparison, Hints, LoginRequest
from broker.login.transaction import LoginTransaction, ReferenceCode, Stage, TransactionId
from broker.state.errors import RecordUnreadable

T = TypeVar("T")

VERSION = 2
_MICROSECOND = timedelta(microseconds=1)


def to_octets(transaction: LoginTransaction) -> bytes:
    record = {
        "v": VERSION,
        "reference": transaction.reference,
        "browser": transaction.browser,
        "request": _request(transaction.request),
        "stage": transaction.stage,
        "begun_at": transaction.begun_at.isoformat(),
        "expires_at": transaction.expires_at.isoformat(),
        "idp": transaction.idp,
        "organisation": transaction.organisation,
        "upstream": dict(transaction.upstream),
        "refusal": transaction.refusal,
        "refusal_context": dict(transaction.refusal_context),
    }
    return json.dumps(record, separators=(",", ":")).encode("ascii")


def from_octets(id: TransactionId, octets: bytes) -> LoginTransaction:
    """Raises: RecordUnreadable."""
    try:
        return _read(id, json.loads(octets))
    # The reasons are not chained: they quote what was stored.
    except (ValueError, TypeError, KeyError) as error:
        raise RecordUnreadable(f"login transaction: {type(error).__name__}") from None


def _request(request: LoginRequest) -> dict[str, object]:
    return {
        "service": request.service,
        "protocol": request.protocol,
        "reply": dict(request.reply),
        "hints": _hints(request.hints),
        "force_authn": request.force_authn,
        "passive": request.passive,
        "choose_anew": request.choose_anew,
        "max_age": None if request.max_age is None else request.max_age // _MICROSECOND,
        "requested_contexts": request.requested_contexts,
        "comparison": request.comparison,
        "ui_locales": request.ui_locales,
        "attributes": request.attributes,
        "needs_pairwise_id": request.needs_pairwise_id,
        "requesters": request.requesters,
        "proxy_count": request.proxy_count,
    }


def _hints(hints: Hints) -> dict[str, object]:
    return {
        "organisation": hints.organisation,
        "domain": hints.domain,
        "identity_providers": hints.identity_providers,
        "login_hint": hints.login_hint,
    }


class _Members:
    """The members of one JSON object, each taken once. What is missing, superfluous or of another type is an error."""

    def __init__(self, value: object) -> None:
        self._members = dict(_typed(value, dict))

    def text(self, name: str) -> str:
        return _typed(self._members.pop(name), str)

    def maybe(self, name: str) -> str | None:
        value = self._members.pop(name)
        return None if value is None else _typed(value, str)

    def flag(self, name: str) -> bool:
        return _typed(self._members.pop(name), bool)

    def number(self, name: str) -> int:
        return _typed(self._members.pop(name), int)

    def maybe_number(self, name: str) -> int | None:
        value = self._members.pop(name)
        return None if value is None else _typed(value, int)

    def texts(self, name: str) -> tuple[str, ...]:
        return _texts(self._members.pop(name))

    def maybe_texts(self, name: str) -> tuple[str, ...] | None:
        value = self._members.pop(name)
        return None if value is None else _texts(value)

    def table(self, name: str) -> Mapping[str, str]:
        return {key: _typed(value, str) for key, value in _typed(self._members.pop(name), dict).items()}

    def object(self, name: str) -> _Members:
        return _Members(self._members.pop(name))

    def instant(self, name: str) -> datetime:
        instant = datetime.fromisoformat(self.text(name))
        if instant.tzinfo is None:
            raise ValueError("a time without its zone")
        return instant

    def duration(self, name: str) -> timedelta | None:
        value = self._members.pop(name)
        return None if value is None else _typed(value, int) * _MICROSECOND

    def end(self) -> None:
        if self._members:
            raise ValueError("superfluous members")


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_typed(each, str) for each in _typed(value, list))


def _typed(value: object, kind: type[T]) -> T:
    # ``type`` and not ``isinstance``: true is not a number.
    if type(value) is not kind:
        raise TypeError(f"not {kind.__name__}")
    return value


def _read(id: TransactionId, value: object) -> LoginTransaction:
    members = _Members(value)
    if members.number("v") != VERSION:
        raise ValueError("another version")
    idp, organisation = members.maybe("idp"), members.maybe("organisation")
    transaction = LoginTransaction(
        id=id,
        reference=ReferenceCode(members.text("reference")),
        browser=members.text("browser"),
        request=_read_request(members.object("request")),
        stage=Stage(members.text("stage")),
        begun_at=members.instant("begun_at"),
        expires_at=members.instant("expires_at"),
        idp=None if idp is None else IdentityProviderId(idp),
        organisation=None if organisation is None else OrganisationId(organisation),
        upstream=members.table("upstream"),
        refusal=members.maybe("refusal"),
        refusal_context=members.table("refusal_context"),
    )
    members.end()
    return transaction


def _read_request(members: _Members) -> LoginRequest:
    request = LoginRequest(
        service=ServiceId(members.text("service")),
        protocol=Protocol(members.text("protocol")),
        reply=members.table("reply"),
        hints=_read_hints(members.object("hints")),
        force_authn=members.flag("force_authn"),
        passive=members.flag("passive"),
        choose_anew=members.flag("choose_anew"),
        max_age=members.duration("max_age"),
        requested_contexts=members.texts("requested_contexts"),
        comparison=Comparison(members.text("comparison")),
        ui_locales=members.texts("ui_locales"),
        attributes=members.maybe_texts("attributes"),
        needs_pairwise_id=members.flag("needs_pairwise_id"),
        requesters=members.texts("requesters"),
        proxy_count=members.maybe_number("proxy_count"),
    )
    members.end()
    return request


def _read_hints(members: _Members) -> Hints:
    hints = Hints(
        organisation=members.maybe("organisation"),
        domain=members.maybe("domain"),
        identity_providers=members.texts("identity_providers"),
        login_hint=members.maybe("login_hint"),
    )
    members.end()
    return hints
