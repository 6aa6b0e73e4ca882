"""A city tells that a session with it has ended (OpenID Connect Back-Channel Logout 1.0, 2.5 to 2.8)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import structlog

from broker.audit.events import AuditEvent
from broker.federation.model import Federation, IdentityProvider, Protocol
from broker.login.ports import AuditLog, Clock, ReplayCache
from broker.oidc import jose
from broker.oidc.errors import LogoutTokenInvalid
from broker.oidc.home_sessions import HomeSessions
from broker.oidc.rp import logout_token
from broker.oidc.rp.discovery import Providers

log = structlog.get_logger(__name__)

PATH = "/oidc/backchannel_logout"
_MAX_CHARACTERS = 16384


class BackChannelLogout:
    def __init__(
        self,
        *,
        providers: Providers,
        sessions: HomeSessions,
        replay: ReplayCache,
        audit: AuditLog,
        clock: Clock,
        clock_skew: timedelta,
    ) -> None:
        self._providers = providers
        self._sessions = sessions
        self._replay = replay
        self._audit = audit
        self._clock = clock
        self._skew = clock_skew

    async def receive(self, form: Mapping[str, str], federation: Federation) -> None:
        """Raises: LogoutTokenInvalid, UnknownKey, HomeUnreachable, StateUnavailable, AuditUnavailable."""
        token = form.get("logout_token", "")
        if not 0 < len(token) <= _MAX_CHARACTERS:
            raise LogoutTokenInvalid("logout_token is missing or too long", check="form")
        idp = _sender_of(token, federation)
        assert idp.oidc is not None, "found by its issuer"
        issuer, client_id, now = idp.oidc.issuer, idp.oidc.client_id, self._clock()
        ended = await self._providers.of(issuer).check(
            lambda keys: logout_token.verify(token, keys, issuer=issuer, client_id=client_id, now=now, skew=self._skew)
        )
        # Together with the skew, as long as the token is taken.
        lifetime = logout_token.LONGEST_AGE + 2 * self._skew
        if not await self._replay.first_use(issuer, f"logout {ended.id}", lifetime):
            raise LogoutTokenInvalid("it came before", check="jti")
        await self._sessions.end(idp.id, ended.session)
        await self._audit.append(AuditEvent(kind="home.logged_out", at=now, identity_provider=idp.id))
        log.info("home.logged_out", identity_provider=idp.id)


def _sender_of(token: str, federation: Federation) -> IdentityProvider:
    """Who the token says that it is of; that it is, is checked next. Raises: LogoutTokenInvalid."""
    issuer = jose.unverified(token, "iss")
    found = federation.identity_providers_by_entity_id.get((Protocol.OIDC, issuer)) if issuer else None
    if found is None:
        raise LogoutTokenInvalid("iss is no city's", check="iss")
    return found
