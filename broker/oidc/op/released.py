"""What a service is told of a person and their login: the claims of the ID token and of userinfo (OIDC Core 2, 5.1, 5.5)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from broker.attributes.schema import OIDC_SCOPES
from broker.federation.model import OidcClient
from broker.login.steps import Answer, Release
from broker.oidc.op import discovery
from broker.oidc.op.reply import Reply

ClaimsOf = Callable[[Mapping[str, tuple[str, ...]], frozenset[str]], Mapping[str, object]]
"""(released canonical attributes, granted scopes) → claims, without ``sub``: those whose scope was granted or needs none."""


def subject_of(release: Release, client: OidcClient) -> str:
    """OIDC Core 8."""
    return release.pairwise_id if client.subject_type == "pairwise" else release.subject_id


def id_token(asked: Reply, subject: str, answer: Answer, issuer: str, claims_of: ClaimsOf) -> dict[str, object]:
    """But for the claims of the moment of issue. Claims of the person are in it only when the ``claims`` parameter asks for them
    (attributes.md 1.2)."""
    wanted = frozenset(asked.id_token_claims)
    everything = claims_of(answer.release.attributes, OIDC_SCOPES) if wanted else {}
    claims = {name: value for name, value in everything.items() if name in wanted}
    claims |= {
        "sub": subject,
        # Names this login's session at the service, which is told of its end by it.
        "sid": secrets.token_urlsafe(16),
        "auth_time": int(answer.authn_instant.timestamp()),
        "acr": answer.authn_context,
        discovery.home_issuer_claim(issuer): answer.authenticating_authorities[0],
    }
    if answer.authn_methods:
        claims["amr"] = list(answer.authn_methods)
    if asked.nonce is not None:
        claims["nonce"] = asked.nonce
    return claims


def userinfo(asked: Reply, subject: str, answer: Answer, claims_of: ClaimsOf) -> dict[str, object]:
    """Claims of the granted scopes, and those that the ``claims`` parameter names, whatever their scope."""
    claims = dict(claims_of(answer.release.attributes, frozenset(asked.scopes)))
    if asked.userinfo_claims:
        everything = claims_of(answer.release.attributes, OIDC_SCOPES)
        claims |= {name: everything[name] for name in asked.userinfo_claims if name in everything}
    return claims | {"sub": subject}
