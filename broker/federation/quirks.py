"""Quirks: what single products refuse of a standard request, as data. An identity provider's document names those it needs;
when it names none, its dialect's hold.

Each name begins with the product. A quirk takes something away from the AuthnRequest; it never loosens a check of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from broker.federation.model import IdentityProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """``why``: what the product does otherwise.

    ``scoping`` False: no Scoping. ``comparisons`` False: contexts are asked for by ``exact`` alone.
    """

    why: str
    scoping: bool = True
    comparisons: bool = True


QUIRKS: Mapping[str, Quirk] = {
    "adfs-no-scoping": Quirk(why="AD FS refuses a request that holds Scoping", scoping=False),
    "entra-id-no-scoping": Quirk(
        why="Entra ID supports none of ProxyCount, IDPList and RequesterID inside Scoping", scoping=False
    ),
    "entra-id-exact-comparison-only": Quirk(
        why="Entra ID refuses a RequestedAuthnContext whose Comparison is not exact (AADSTS900235)", comparisons=False
    ),
}


def takes_scoping(idp: IdentityProvider) -> bool:
    return all(QUIRKS[name].scoping for name in idp.quirks)


def takes_comparisons(idp: IdentityProvider) -> bool:
    return all(QUIRKS[name].comparisons for name in idp.quirks)
