"""What Entra ID's claims mean beyond their names: whose tenant it is, which addresses are proven, and who is a guest.

attributes.md section 5, "Entra ID, OIDC". A dialect asks for these rules by name (``policies``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from broker.attributes import dialects
from broker.attributes.dialects import Dialect
from broker.attributes.trace import TraceStep, Verdict
from broker.federation.model import IdentityProvider

PINNED_TENANT = "pinned-tenant"
VERIFIED_MAIL = "verified-mail"
GUESTS = "guests"

Sources = Mapping[str, tuple[str, ...]]

# The issuers of Entra ID in its clouds, and of its v1.0 tokens.
_ISSUERS = {
    "login.microsoftonline.com": "https://login.microsoftonline.com/{}/v2.0",
    "login.microsoftonline.us": "https://login.microsoftonline.us/{}/v2.0",
    "login.partner.microsoftonline.cn": "https://login.partner.microsoftonline.cn/{}/v2.0",
    "sts.windows.net": "https://sts.windows.net/{}/",
}
_EVERYBODY = ("common", "organizations", "consumers")
_PERSONAL_ACCOUNTS = "9188040d-6c67-4c5b-b112-36a304b66dad"
_TENANT_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def pinned_tenant(idp: IdentityProvider) -> str | None:
    """The one tenant whose tokens are taken: the GUID in the path of the registered issuer, in small letters.

    None where the dialect asks for no pin; and where the issuer holds no GUID, which then is no Entra ID (``complaint``), but
    something that speaks its dialect.
    """
    if PINNED_TENANT not in dialects.load(idp.dialect).policies:
        return None
    segments = urlsplit(idp.entity_id.lower()).path.split("/")
    return next((each for each in segments if _TENANT_ID.fullmatch(each)), None)


def complaint(dialect: str, issuer: str) -> str | None:
    """Why a city cannot be registered with this issuer, and what to write instead: it is not of one tenant. None: it can.

    Through ``common`` and its like anybody's tenant signs, who may call its people as it pleases.
    """
    if PINNED_TENANT not in dialects.load(dialect).policies:
        return None
    address = urlsplit(issuer)
    form = _ISSUERS.get(address.hostname or "")
    wanted = (form or _ISSUERS["login.microsoftonline.com"]).format("TENANT-ID")
    first = address.path.strip("/").partition("/")[0].lower()
    if first in _EVERYBODY:
        return f"{first} stands for every tenant: write {wanted}, with the directory (tenant) ID of the city"
    if first == _PERSONAL_ACCOUNTS:
        return (
            f"is the tenant of personal Microsoft accounts: write {wanted}, with the directory (tenant) ID of the city"
        )
    if form is not None and (issuer != form.format(first) or not _TENANT_ID.fullmatch(first)):
        return f"must be {wanted}, with the directory (tenant) ID of the city in small letters"
    return None


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
    tenant, pinned = sources.get("tid", ()), pinned_tenant(idp)
    return pinned is not None and len(tenant) == 1 and tenant[0].lower() == pinned


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
