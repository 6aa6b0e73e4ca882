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

    ``scoping`` False: no Scoping. ``contexts`` False: no RequestedAuthnContext; what the answer proves is judged all the
    same. ``comparisons`` False: contexts are asked for by ``exact`` alone. ``name_id_policy`` False: no NameIDPolicy.
    """

    why: str
    scoping: bool = True
    contexts: bool = True
    comparisons: bool = True
    name_id_policy: bool = True


QUIRKS: Mapping[str, Quirk] = {
    # "The SAML authentication request element 'Scoping' is not supported", up to AD FS 3.0 (simplesamlphp issue 498).
    "adfs-no-scoping": Quirk(why="AD FS before 2016 refuses a request that holds Scoping (MSIS1001)", scoping=False),
    # passport-saml issue 226: a context of which AD FS says no authentication method overrides those it is set up for.
    "adfs-no-requested-authn-context": Quirk(
        why="AD FS answers NoAuthnContext where Windows logs people in, whatever else is enabled", contexts=False
    ),
    "adfs-no-name-id-policy": Quirk(
        why="AD FS refuses a request with NameIDPolicy where its claim rules issue no NameID (MSIS7070)",
        name_id_policy=False,
    ),
    # Microsoft's "Single sign-on SAML protocol": do not include ProxyCount, IDPList or RequesterID.
    "entra-id-no-scoping": Quirk(
        why="Entra ID supports none of ProxyCount, IDPList and RequesterID inside Scoping", scoping=False
    ),
    # Microsoft's page on that error recommends to leave RequestedAuthnContext out.
    "entra-id-no-requested-authn-context": Quirk(
        why="Entra ID refuses who is logged in by another method than the requested one (AADSTS75011)", contexts=False
    ),
    "entra-id-exact-comparison-only": Quirk(
        why="Entra ID refuses a RequestedAuthnContext whose Comparison is not exact (AADSTS900235)", comparisons=False
    ),
}


def takes_scoping(idp: IdentityProvider) -> bool:
    return all(QUIRKS[name].scoping for name in idp.quirks)


def takes_contexts(idp: IdentityProvider) -> bool:
    return all(QUIRKS[name].contexts for name in idp.quirks)


def takes_comparisons(idp: IdentityProvider) -> bool:
    return all(QUIRKS[name].comparisons for name in idp.quirks)


def takes_name_id_policy(idp: IdentityProvider) -> bool:
    return all(QUIRKS[name].name_id_policy for name in idp.quirks)
