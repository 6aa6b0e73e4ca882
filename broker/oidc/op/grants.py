"""What the OpenID Provider keeps of an answered login until the service has fetched it: records of the GrantStore, as JSON.

Claims are settled when the login is answered, so that what follows needs neither the federation's rules nor the person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from broker.federation.model import ServiceId
from broker.oidc import json_object

CODE = "code"
ACCESS_TOKEN = "access_token"
SPENT_CODE = "spent_code"

CODE_LIFETIME = timedelta(seconds=60)
"""RFC 6749 4.1.2 allows ten minutes, FAPI 2.0 5.3.2.1 sixty seconds."""
ACCESS_TOKEN_LIFETIME = timedelta(minutes=10)
ID_TOKEN_LIFETIME = timedelta(minutes=5)

Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeGrant:
    """What a code stands for. ``id_token``: its claims, but for those of the moment of issue. ``userinfo``: all of its claims."""

    service: ServiceId
    redirect_uri: str
    code_challenge: str | None
    scopes: tuple[str, ...]
    id_token: Claims = field(repr=False)
    userinfo: Claims = field(repr=False)

    def write(self) -> bytes:
        return json_object.write(
            {
                "service": self.service,
                "redirect_uri": self.redirect_uri,
                "code_challenge": self.code_challenge,
                "scopes": self.scopes,
                "id_token": self.id_token,
                "userinfo": self.userinfo,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessGrant:
    """What an access token stands for."""

    service: ServiceId
    userinfo: Claims = field(repr=False)

    def write(self) -> bytes:
        return json_object.write({"service": self.service, "userinfo": self.userinfo})


def read_code_grant(record: bytes) -> CodeGrant:
    found: dict[str, object] = json_object.read(record)
    id_token, userinfo, scopes = found["id_token"], found["userinfo"], found["scopes"]
    challenge = found["code_challenge"]
    assert isinstance(id_token, dict)
    assert isinstance(userinfo, dict)
    assert isinstance(scopes, list)
    return CodeGrant(
        service=ServiceId(str(found["service"])),
        redirect_uri=str(found["redirect_uri"]),
        code_challenge=None if challenge is None else str(challenge),
        scopes=tuple(scopes),
        id_token=id_token,
        userinfo=userinfo,
    )


def read_access_grant(record: bytes) -> AccessGrant:
    found = json_object.read(record)
    userinfo = found["userinfo"]
    assert isinstance(userinfo, dict)
    return AccessGrant(service=ServiceId(str(found["service"])), userinfo=userinfo)


def handle(access_token: str) -> str:
    """The name under which an access token is kept. A spent code remembers this, and not the token, in order to revoke it."""
    return hashlib.sha256(access_token.encode("utf-8")).hexdigest()
