"""What Entra ID's claims mean beyond their names: which addresses are proven, and who is a guest of the tenant.

attributes.md section 5, "Entra ID, OIDC". A dialect asks for these rules by name (``policies``).
"""

from __future__ import annotations

from collections.abc import Mapping

from broker.attributes.dialects import Dialect
from broker.attributes.trace import TraceStep, Verdict
from broker.federation.model import IdentityProvider

VERIFIED_MAIL = "verified-mail"
GUESTS = "guests"

Sources = Mapping[str, tuple[str, ...]]


def apply(
    dialect: Dialect,
    sources: Sources,
    idp: IdentityProvider,
    mapped: dict[str, tuple[str, ...]],
    trace: list[TraceStep],
) -> None:
    """Takes back from ``mapped`` what Entra ID does not prove."""
    if VERIFIED_MAIL in dialect.policies:
        _take_proven_mail_only(sources, idp, mapped, trace)
    if GUESTS in dialect.policies and _is_guest(sources):
        _mark_guest(mapped, trace)


def _take_proven_mail_only(
    sources: Sources, idp: IdentityProvider, mapped: dict[str, tuple[str, ...]], trace: list[TraceStep]
) -> None:
    """The "nOAuth" rule: a user without a mailbox may carry anybody's address, so the tenant must have proven its domain."""
    if _says(sources, "xms_edov", "true", "1") or _is_pinned(sources, idp):
        return
    proven = {address.lower() for address in sources.get("verified_primary_email", ())}
    for name in ("mail", "mailLocalAddress"):
        if not mapped.get(name):
            continue
        kept = tuple(address for address in mapped[name] if address.lower() in proven)
        if len(kept) == len(mapped[name]):
            continue
        note = (
            "the address is not proven: neither xms_edov nor verified_primary_email says so, nor is the tenant pinned"
        )
        trace.append(TraceStep(stage="map", subject=name, verdict=Verdict.DROPPED, rule=VERIFIED_MAIL, note=note))
        del mapped[name]
        if kept:
            mapped[name] = kept


def _is_pinned(sources: Sources, idp: IdentityProvider) -> bool:
    """Whether the registered issuer, to which every answer is held, is of the one tenant that the answer names."""
    tenant = sources.get("tid", ())
    return len(tenant) == 1 and tenant[0].lower() in idp.entity_id.lower().split("/")


def _is_guest(sources: Sources) -> bool:
    """``acct`` is 1, or the person's own identity provider is another than the tenant."""
    if _says(sources, "acct", "1"):
        return True
    tenant = next(iter(sources.get("tid", ())), "").lower()
    return any(not tenant or tenant not in home.lower().split("/") for home in sources.get("idp", ()))


def _mark_guest(mapped: dict[str, tuple[str, ...]], trace: list[TraceStep]) -> None:
    """A guest is nothing else here, and has a user name and addresses of another home."""
    for name in ("affiliation", "eppn"):
        if mapped.pop(name, None):
            note = "a guest of the tenant has none from this home"
            trace.append(TraceStep(stage="map", subject=name, verdict=Verdict.DROPPED, rule=GUESTS, note=note))
    mapped["personType"] = ("guest",)
    mapped["affiliationUnscoped"] = ("affiliate",)
    note = "the account is a guest of the tenant"
    trace.append(TraceStep(stage="map", subject="personType", verdict=Verdict.MAPPED, rule=GUESTS, note=note))


def _says(sources: Sources, claim: str, *values: str) -> bool:
    return any(value.lower() in values for value in sources.get(claim, ()))
