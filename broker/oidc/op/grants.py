"""What the OpenID Provider keeps of an answered login until the service has fetched it, and for as long as its tokens live:
records of the GrantStore, as JSON.

Claims are settled when the login is answered, so that what follows needs neither the rules of release nor the person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from broker.federation.model import OrganisationId, ServiceId
from broker.oidc import json_object
from broker.oidc.op.sender import Confirmation

CODE = "code"
SPENT_CODE = "spent_code"
ACCESS_TOKEN = "access_token"
REFRESH_TOKEN = "refresh_token"
SPENT_REFRESH_TOKEN = "spent_refresh_token"
FAMILY = "token_family"

CODE_LIFETIME = timedelta(seconds=60)
"""RFC 6749 4.1.2 allows ten minutes, FAPI 2.0 5.3.2.1 sixty seconds."""
ACCESS_TOKEN_LIFETIME = timedelta(minutes=10)
ID_TOKEN_LIFETIME = timedelta(minutes=5)
LONGEST_REFRESH = timedelta(hours=12)
"""How long after the login tokens may be refreshed without asking the city again, when its session does not end before: as
long as a SAML service may keep a session. Whoever has left the city's service is out by the next day."""

Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginGrant:
    """What one login gives a service. ``answered_at``, ``home_session``: when it was, and the names of the city's session, which
    may end before. ``id_token``: its claims, but for those of the moment of issue. ``userinfo``: all of its
    claims. ``until``: when the last of its tokens ends. ``reference``: the login's. ``person``: sealed, for a client that may
    exchange its tokens."""

    service: ServiceId
    organisation: OrganisationId
    scopes: tuple[str, ...]
    until: datetime
    answered_at: datetime
    home_session: tuple[str, ...]
    reference: str
    id_token: Claims = field(repr=False)
    userinfo: Claims = field(repr=False)
    person: str | None = field(default=None, repr=False)

    @property
    def subject(self) -> str:
        return str(self.userinfo["sub"])

    def write(self) -> bytes:
        return json_object.write(_login_members(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeGrant:
    """What a code stands for. ``dpop_jkt``: the key whose holder alone may use it (RFC 9449 10)."""

    redirect_uri: str
    code_challenge: str | None
    login: LoginGrant
    dpop_jkt: str | None = None

    def write(self) -> bytes:
        return json_object.write(
            {
                "redirect_uri": self.redirect_uri,
                "code_challenge": self.code_challenge,
                "dpop_jkt": self.dpop_jkt,
                "login": _login_members(self.login),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessGrant:
    """What an access token stands for. ``id``: the name under which it is kept. ``family``: of the refresh token beside it; the
    token ends with it. ``confirmation``: what it is bound to. ``reference``, ``person``: as of the login.

    ``actor``: the client_id of who got it by exchange; None: the service itself, by a login. ``parent``: the ``id`` of the token
    that was exchanged, with which it ends.
    """

    id: str
    service: ServiceId
    scopes: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    family: str | None
    confirmation: Confirmation
    reference: str
    userinfo: Claims = field(repr=False)
    person: str | None = field(default=None, repr=False)
    actor: str | None = None
    parent: str | None = None

    @property
    def ends(self) -> str:
        """What ``Tokens.end`` takes to end it, with all that was issued beside it; one that was exchanged ends alone."""
        return self.id if self.actor is not None else self.family or self.id

    def write(self) -> bytes:
        return json_object.write(
            {
                "id": self.id,
                "service": self.service,
                "scopes": self.scopes,
                "issued_at": _seconds(self.issued_at),
                "expires_at": _seconds(self.expires_at),
                "family": self.family,
                "confirmation": self.confirmation,
                "reference": self.reference,
                "userinfo": self.userinfo,
                "person": self.person,
                "actor": self.actor,
                "parent": self.parent,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshGrant:
    """What a refresh token stands for. ``family``: all tokens that came of one login. ``key``: of a public client, whose
    holder alone may use it (RFC 9449 5)."""

    family: str
    login: LoginGrant
    key: str | None = None

    def write(self) -> bytes:
        return json_object.write({"family": self.family, "login": _login_members(self.login), "key": self.key})


def read_login_grant(record: bytes) -> LoginGrant:
    return _login(json_object.read(record))


def read_code_grant(record: bytes) -> CodeGrant:
    found = json_object.read(record)
    return CodeGrant(
        redirect_uri=_typed(found["redirect_uri"], str),
        code_challenge=_maybe_text(found["code_challenge"]),
        login=_login(_typed(found["login"], dict)),
        dpop_jkt=_maybe_text(found["dpop_jkt"]),
    )


def read_access_grant(record: bytes) -> AccessGrant:
    found = json_object.read(record)
    return AccessGrant(
        id=_typed(found["id"], str),
        service=ServiceId(_typed(found["service"], str)),
        scopes=tuple(_typed(found["scopes"], list)),
        issued_at=_moment(found["issued_at"]),
        expires_at=_moment(found["expires_at"]),
        family=_maybe_text(found["family"]),
        confirmation=_typed(found["confirmation"], dict),
        reference=_typed(found["reference"], str),
        userinfo=_typed(found["userinfo"], dict),
        person=_maybe_text(found["person"]),
        actor=_maybe_text(found["actor"]),
        parent=_maybe_text(found["parent"]),
    )


def read_refresh_grant(record: bytes) -> RefreshGrant:
    found = json_object.read(record)
    login = _login(_typed(found["login"], dict))
    return RefreshGrant(family=_typed(found["family"], str), login=login, key=_maybe_text(found["key"]))


def handle(access_token: str) -> str:
    """The name under which an opaque access token is kept; no token of ours is its name. A spent code remembers the name, and not
    the token, in order to revoke it."""
    return hashlib.sha256(access_token.encode("utf-8")).hexdigest()


def _login_members(login: LoginGrant) -> Claims:
    return {
        "service": login.service,
        "organisation": login.organisation,
        "scopes": login.scopes,
        "until": _seconds(login.until),
        "answered_at": login.answered_at.timestamp(),
        "home_session": login.home_session,
        "reference": login.reference,
        "person": login.person,
        "id_token": login.id_token,
        "userinfo": login.userinfo,
    }


def _login(found: Mapping[str, object]) -> LoginGrant:
    return LoginGrant(
        service=ServiceId(_typed(found["service"], str)),
        organisation=OrganisationId(_typed(found["organisation"], str)),
        scopes=tuple(_typed(found["scopes"], list)),
        until=_moment(found["until"]),
        answered_at=datetime.fromtimestamp(_typed(found["answered_at"], float), UTC),
        home_session=tuple(_typed(found["home_session"], list)),
        reference=_typed(found["reference"], str),
        person=_maybe_text(found["person"]),
        id_token=_typed(found["id_token"], dict),
        userinfo=_typed(found["userinfo"], dict),
    )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _moment(value: object) -> datetime:
    return datetime.fromtimestamp(_typed(value, int), UTC)


def _maybe_text(value: object) -> str | None:
    return None if value is None else _typed(value, str)


T = TypeVar("T")


def _typed(value: object, kind: type[T]) -> T:
    assert isinstance(value, kind), "we wrote it"
    return value
