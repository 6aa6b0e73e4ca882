"""Sessions at cities that have ended, as far as a city told us: who logged in before has to do so again.

What is kept is the name of an ended session with the time, and not which of our tokens came of it: a login compares when its
tokens are issued or refreshed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

from broker.federation.model import IdentityProviderId
from broker.login.ports import Clock, GrantStore
from broker.oidc.op.grants import LONGEST_REFRESH

_ENDED = "ended_home_session"


class HomeSessions:
    def __init__(self, grants: GrantStore, clock: Clock) -> None:
        self._grants = grants
        self._clock = clock

    async def end(self, idp: IdentityProviderId, session: Mapping[str, str]) -> None:
        """``session``: ``sid``, or ``sub`` alone for every session of that person (Back-Channel Logout 2.4). Raises:
        StateUnavailable."""
        ended = {"sid": session["sid"]} if "sid" in session else {"sub": session["sub"]}
        for name in names(idp, ended):
            at = str(self._clock().timestamp()).encode("ascii")
            # No token of a login before this moment is refreshed any longer than that.
            await self._grants.put(_ENDED, name, at, LONGEST_REFRESH)

    async def has_ended(self, of_login: tuple[str, ...], since: datetime) -> bool:
        """Whether one of these sessions ended after the login. Raises: StateUnavailable."""
        for name in of_login:
            record = await self._grants.get(_ENDED, name)
            if record is not None and datetime.fromtimestamp(float(record), UTC) >= since:
                return True
        return False


def names(idp: IdentityProviderId, session: Mapping[str, str]) -> tuple[str, ...]:
    """Of a login, or of what ended: a name for the session, and one for all of the person's. Nobody reads from them who it was."""
    found = (f"{idp}\0{kind}\0{session[kind]}" for kind in ("sid", "sub") if kind in session)
    return tuple(hashlib.sha256(each.encode("utf-8")).hexdigest() for each in found)
