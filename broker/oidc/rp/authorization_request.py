"""The authorization request to a city (OIDC Core 3.1.2.1): code, PKCE, nonce and state, always."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from broker.federation.model import OidcProvider
from broker.login.steps import SendToIdp
from broker.oidc import json_object, pkce
from broker.oidc.rp.discovery import ProviderMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What must be remembered to judge the answer. ``max_age``: as it was asked for; zero when a new login was."""

    issuer: str
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)
    sent_at: datetime
    max_age: timedelta | None = None

    def strings(self) -> dict[str, str]:
        """For the transaction; times in seconds since 1970."""
        age = {} if self.max_age is None else {"max_age": str(int(self.max_age.total_seconds()))}
        return {
            "issuer": self.issuer,
            "nonce": self.nonce,
            "code_verifier": self.code_verifier,
            "sent_at": str(int(self.sent_at.timestamp())),
        } | age


def read(strings: Mapping[str, str]) -> Sent:
    """What ``Sent.strings`` wrote."""
    age = strings.get("max_age")
    return Sent(
        issuer=strings["issuer"],
        nonce=strings["nonce"],
        code_verifier=strings["code_verifier"],
        sent_at=datetime.fromtimestamp(int(strings["sent_at"]), UTC),
        max_age=None if age is None else timedelta(seconds=int(age)),
    )


def new(step: SendToIdp, issuer: str, now: datetime) -> Sent:
    """A new login is asked for by max_age=0 too: it obliges the city to say auth_time, which proves it (3.1.2.1)."""
    return Sent(
        issuer=issuer,
        nonce=secrets.token_urlsafe(32),
        code_verifier=pkce.new_verifier(),
        sent_at=now,
        max_age=timedelta(0) if step.force_authn else step.max_age,
    )


def fields_of(
    metadata: ProviderMetadata, registered: OidcProvider, step: SendToIdp, sent: Sent, *, redirect_uri: str, state: str
) -> dict[str, str]:
    """The parameters, each once."""
    fields = {
        "response_type": "code",
        "client_id": registered.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(registered.scopes),
        "state": state,
        "nonce": sent.nonce,
        "code_challenge": pkce.challenge_of(sent.code_verifier),
        "code_challenge_method": pkce.METHOD,
    }
    if step.passive or step.force_authn:
        fields["prompt"] = "none" if step.passive else "login"
    if sent.max_age is not None:
        fields["max_age"] = str(int(sent.max_age.total_seconds()))
    fields |= _contexts(metadata, step)
    if step.login_hint is not None:
        fields["login_hint"] = step.login_hint
    return fields


def _contexts(metadata: ProviderMetadata, step: SendToIdp) -> dict[str, str]:
    """A wish, as acr_values is; or where a login without a second factor would be refused anyway, an essential acr, which a city
    must ask for of who is logged in already (5.5.1.1): if its metadata says that it takes both. Never the two together, for
    what that means is unspecified.
    """
    essential = [each for each in step.requested_contexts if each in metadata.contexts]
    if step.needs_mfa and metadata.takes_claims and essential:
        claims = {"id_token": {"acr": {"essential": True, "values": essential}}}
        return {"claims": json_object.write(claims).decode("utf-8")}
    return {"acr_values": " ".join(step.requested_contexts)} if step.requested_contexts else {}


def pushed(registered: OidcProvider, request_uri: str) -> dict[str, str]:
    """What the browser carries in place of a request that was pushed (RFC 9126 4)."""
    return {"client_id": registered.client_id, "request_uri": request_uri}


def url(metadata: ProviderMetadata, fields: Mapping[str, str]) -> str:
    joint = "&" if "?" in metadata.authorization_endpoint else "?"
    return f"{metadata.authorization_endpoint}{joint}{urlencode(fields)}"
