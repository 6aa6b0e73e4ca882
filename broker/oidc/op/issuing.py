"""Tokens: made, found, refreshed and ended (RFC 6749 1.4 to 1.6, 6; RFC 9700 4.14).

The tokens of one login are a family. A refresh token is used once and gives the next; when a used one comes again, somebody has
stolen it or its successor, nobody can say who, and the whole family ends.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from broker.audit.events import AuditEvent
from broker.errors import NoAgreement
from broker.federation.access import may_reach
from broker.federation.model import OidcClient, Service
from broker.login.ports import AuditLog, Clock, GrantStore
from broker.oidc import jose
from broker.oidc.errors import InvalidGrant, InvalidScope
from broker.oidc.home_sessions import HomeSessions
from broker.oidc.op import sender
from broker.oidc.op.client_endpoint import Asked
from broker.oidc.op.client_tokens import ClientTokens
from broker.oidc.op.grants import (
    ACCESS_TOKEN,
    ACCESS_TOKEN_LIFETIME,
    FAMILY,
    ID_TOKEN_LIFETIME,
    REFRESH_TOKEN,
    SPENT_REFRESH_TOKEN,
    AccessGrant,
    LoginGrant,
    RefreshGrant,
    handle,
    read_access_grant,
    read_refresh_grant,
)

log = structlog.get_logger(__name__)

HOME_SESSION_ENDED = "home_session_ended"
"""The reason in the record of a refresh."""
OFFLINE_ACCESS = "offline_access"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Tokens that will be issued: an access token alone, or with a refresh token as one family. ``id``: the name under which the
    access token will be kept. ``opaque``: the token itself; None: it will be a JWT."""

    id: str
    opaque: str | None = field(repr=False)
    family: str | None = None

    @property
    def ends(self) -> str:
        """What ``Tokens.end`` takes to end them."""
        return self.family or self.id


class Tokens:
    def __init__(
        self,
        *,
        issuer: str,
        jwts: ClientTokens,
        grants: GrantStore,
        sessions: HomeSessions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._issuer = issuer
        self._jwts = jwts
        self._grants = grants
        self._sessions = sessions
        self._audit = audit
        self._clock = clock

    def name(self, login: LoginGrant, client: OidcClient) -> Named:
        """The first tokens of a login, to be issued next: so that what ends them is known before they are."""
        refreshable = "refresh_token" in client.grant_types and login.until > self._clock()
        return _named(client, _secret() if refreshable else None)

    async def issue(self, login: LoginGrant, asked: Asked, named: Named) -> Mapping[str, object]:
        """The token response (RFC 6749 5.1). Raises: InvalidDpopProof, CertificateMissing, ClientKeysUnavailable,
        StateUnavailable."""
        now = self._clock()
        if named.family is None:
            return await self._issued(login, asked, named, now)
        await self._grants.put(FAMILY, named.family, login.service.encode(), login.until - now)
        issued = await self._issued(login, asked, named, now)
        return {**issued, "refresh_token": await self._refresh_token(login, asked, named.family, now)}

    async def refresh(self, token: str, asked: Asked) -> Mapping[str, object]:
        """RFC 6749 6. Raises: InvalidGrant, InvalidScope, AuditUnavailable, and as ``issue``."""
        now, service = self._clock(), asked.service
        grant = await self._refresh_grant(token, service)
        check_scopes(asked.form.words("scope"), grant.login)
        check_holder(grant, asked)
        # FAPI 2.0 5.3.2.1 (9): no rotation. The token is worth nothing without the client's key.
        rotates = not asked.client.fapi2
        if rotates:
            await self._spend(token, grant, service, now)
        if await self._grants.get(FAMILY, grant.family) is None:
            raise InvalidGrant("its family was ended", service=service.id)
        if not may_reach(grant.login.organisation, service, asked.federation, now):
            await self.end(grant.family)
            await self._audit.append(_refreshing("token.refresh_refused", grant.login, asked, now, NoAgreement.code))
            raise InvalidGrant("the home organisation may no longer reach the service", service=service.id)
        if await self.has_ended_at_home(grant.login):
            await self.end(grant.family)
            await self._audit.append(_refreshing("token.refresh_refused", grant.login, asked, now, HOME_SESSION_ENDED))
            raise InvalidGrant("the person's session at home has ended", service=service.id)
        login = _refreshed(grant.login)
        issued = await self._issued(login, asked, _named(asked.client, grant.family), now)
        if rotates:
            issued = {**issued, "refresh_token": await self._refresh_token(login, asked, grant.family, now)}
        await self._audit.append(_refreshing("token.refreshed", login, asked, now))
        return issued

    async def has_ended_at_home(self, login: LoginGrant) -> bool:
        """Asked where tokens are issued long after the login: a code is redeemed within a minute. Raises: StateUnavailable."""
        return await self._sessions.has_ended(login.home_session, login.answered_at)

    async def access_grant(self, token: str) -> AccessGrant | None:
        """What an access token stands for; None when it is unknown or has ended. Raises: StateUnavailable."""
        record = await self._grants.get(ACCESS_TOKEN, self._jwts.access_token_id(token) or handle(token))
        if record is None:
            return None
        grant = read_access_grant(record)
        if grant.family is not None and await self._grants.get(FAMILY, grant.family) is None:
            return None
        if grant.parent is not None and await self._grants.get(ACCESS_TOKEN, grant.parent) is None:
            return None
        return grant

    async def put(self, grant: AccessGrant) -> None:
        """From now on there is a token of that grant. Raises: StateUnavailable."""
        await self._grants.put(ACCESS_TOKEN, grant.id, grant.write(), grant.expires_at - self._clock())

    async def refresh_grant(self, token: str) -> RefreshGrant | None:
        """What a refresh token that was not used yet stands for. Raises: StateUnavailable."""
        record = await self._grants.get(REFRESH_TOKEN, token)
        if record is None:
            return None
        grant = read_refresh_grant(record)
        return grant if await self._grants.get(FAMILY, grant.family) is not None else None

    async def end(self, ends: str) -> None:
        """Ends a family, or the one access token of that handle. Raises: StateUnavailable."""
        await self._grants.remove(FAMILY, ends)
        await self._grants.remove(ACCESS_TOKEN, ends)

    async def _refresh_grant(self, token: str, service: Service) -> RefreshGrant:
        """Another client's try leaves the token as it is (RFC 6749 10.4). Raises: InvalidGrant."""
        record = await self._grants.get(REFRESH_TOKEN, token)
        if record is None:
            spent = await self._grants.get(SPENT_REFRESH_TOKEN, token)
            if spent is not None:
                await self._reused(spent.decode("ascii"), service)
            raise InvalidGrant("unknown, expired or revoked", service=service.id)
        grant = read_refresh_grant(record)
        if grant.login.service != service.id:
            raise InvalidGrant("the refresh token is another client's", service=service.id)
        return grant

    async def _spend(self, token: str, grant: RefreshGrant, service: Service, now: datetime) -> None:
        """First known as used, then taken: who comes in between has a used one. Raises: InvalidGrant."""
        await self._grants.put(SPENT_REFRESH_TOKEN, token, grant.family.encode(), grant.login.until - now)
        if await self._grants.take(REFRESH_TOKEN, token) is None:
            await self._reused(grant.family, service)

    async def _reused(self, family: str, service: Service) -> None:
        """RFC 9700 4.14.2. Raises: InvalidGrant."""
        log.warning("oidc.refresh_token.reused", service=service.id)
        await self.end(family)
        raise InvalidGrant("the refresh token was used before", service=service.id)

    async def _issued(self, login: LoginGrant, asked: Asked, named: Named, now: datetime) -> Mapping[str, object]:
        client = asked.client
        bound = sender.confirmation(client, asked.sender)
        access = AccessGrant(
            id=named.id,
            service=login.service,
            scopes=login.scopes,
            issued_at=now,
            expires_at=now + ACCESS_TOKEN_LIFETIME,
            family=named.family,
            confirmation=bound,
            reference=login.reference,
            userinfo=login.userinfo,
            person=login.person,
        )
        await self.put(access)
        access_token = named.opaque or self._jwts.access_token(
            access_token_claims(access, login, self._issuer, client), client
        )
        claims = id_token_claims(login, self._issuer, client, access_token, now)
        return {
            "access_token": access_token,
            "token_type": sender.token_type(bound),
            "expires_in": int(ACCESS_TOKEN_LIFETIME.total_seconds()),
            "scope": " ".join(login.scopes),
            "id_token": await self._jwts.id_token(claims, client),
        }

    async def _refresh_token(self, login: LoginGrant, asked: Asked, family: str, now: datetime) -> str:
        token = _secret()
        key = asked.sender.key if asked.client.token_endpoint_auth_method == "none" else None
        record = RefreshGrant(family=family, login=login, key=key).write()
        await self._grants.put(REFRESH_TOKEN, token, record, login.until - now)
        return token


def _named(client: OidcClient, family: str | None) -> Named:
    if client.access_token_format == "jwt":
        return Named(id=_secret(), opaque=None, family=family)
    token = _secret()
    return Named(id=handle(token), opaque=token, family=family)


def _secret() -> str:
    """256 bits."""
    return secrets.token_urlsafe(32)


def check_scopes(asked: tuple[str, ...], login: LoginGrant) -> None:
    """RFC 6749 6: never more than was granted; and less is not given, since what a scope brings was settled at the login.

    Raises: InvalidScope.
    """
    if asked and set(asked) != set(login.scopes):
        raise InvalidScope("other scopes than were granted", service=login.service)


def check_holder(grant: RefreshGrant, asked: Asked) -> None:
    """RFC 9449 5: a public client's refresh token is good for the holder of its key alone. Raises: InvalidGrant."""
    if grant.key is not None and grant.key != asked.sender.key:
        raise InvalidGrant("the refresh token is bound to another key", service=asked.service.id)


def id_token_claims(
    login: LoginGrant, issuer: str, client: OidcClient, access_token: str, now: datetime
) -> Mapping[str, object]:
    """OIDC Core 2 and 3.1.3.6."""
    return {
        **login.id_token,
        "iss": issuer,
        "aud": client.client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + ID_TOKEN_LIFETIME).timestamp()),
        "at_hash": jose.half_hash(access_token, client.id_token_signed_response_alg),
    }


def access_token_claims(
    access: AccessGrant, login: LoginGrant, issuer: str, client: OidcClient
) -> Mapping[str, object]:
    """RFC 9068 2.2. The client alone is its audience: a JWT opens nothing at another service. No claims of the person."""
    about = {name: login.id_token[name] for name in ("auth_time", "acr", "amr") if name in login.id_token}
    return {
        **about,
        "iss": issuer,
        "aud": client.client_id,
        "client_id": client.client_id,
        "sub": login.subject,
        "scope": " ".join(access.scopes),
        "iat": int(access.issued_at.timestamp()),
        "exp": int(access.expires_at.timestamp()),
        "jti": access.id,
        **({"cnf": access.confirmation} if access.confirmation else {}),
    }


def _refreshing(kind: str, login: LoginGrant, asked: Asked, now: datetime, reason: str = "") -> AuditEvent:
    """With the login's own reference code (promise P6)."""
    return AuditEvent(
        kind=kind,
        at=now,
        reference=login.reference,
        service=login.service,
        organisation=login.organisation,
        subject=login.subject,
        reason=reason,
        revision=asked.federation.revision,
    )


def _refreshed(login: LoginGrant) -> LoginGrant:
    """OIDC Core 12.2: who logged in and when stays; the nonce was for the login's own answer."""
    return replace(login, id_token={name: value for name, value in login.id_token.items() if name != "nonce"})
