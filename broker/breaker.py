"""Breaker: who could not be reached several times is not asked for a while, so that nobody waits for them in vain.

    closed ──FAILURES in a row──▶ open ──PAUSE──▶ half open: one call tries
       ▲                            ▲                       │
       ╰─────────it reached─────────┴──────it did not───────╯

Pure: who calls says what came of it. One for each partner, in each process; nothing is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum, auto

FAILURES = 5
PAUSE = timedelta(seconds=15)


class Outcome(Enum):
    """What a call tells of its partner. UNKNOWN: nothing, for example because who called gave up."""

    REACHED = auto()
    UNREACHABLE = auto()
    UNKNOWN = auto()


class Attempt:
    """One call that may be made: it must be ended."""


class Breaker:
    """``clock``: the time now, aware UTC."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until: datetime | None = None
        self._trial: Attempt | None = None

    def begin(self) -> Attempt | None:
        """None: not now."""
        attempt = Attempt()
        if self._open_until is not None:
            if self._trial is not None or self._clock() < self._open_until:
                return None
            self._trial = attempt
        return attempt

    def end(self, attempt: Attempt, outcome: Outcome) -> None:
        """Exactly once for each attempt, in any order: calls that began before it opened may still be on their way."""
        is_trial = self._trial is attempt
        if is_trial:
            self._trial = None
        if outcome is Outcome.REACHED:
            self._failures, self._open_until, self._trial = 0, None, None
        elif outcome is Outcome.UNREACHABLE and (is_trial or self._open_until is None):
            self._failures += 1
            if self._failures >= FAILURES:
                self._open_until = self._clock() + PAUSE


class Breakers:
    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._by_partner: dict[str, Breaker] = {}

    def of(self, partner: str) -> Breaker:
        """``partner``: a registered issuer or entityID, so that there are no more of them than partners."""
        return self._by_partner.setdefault(partner, Breaker(self._clock))
