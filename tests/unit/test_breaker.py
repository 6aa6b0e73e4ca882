"""Breaker: five failures in a row, then fifteen seconds of silence, then one trial."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker.breaker import FAILURES, PAUSE, Attempt, Breaker, Breakers, Outcome

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def call(breaker: Breaker, outcome: Outcome) -> bool:
    """Whether the call could be made."""
    attempt = breaker.begin()
    if attempt is None:
        return False
    breaker.end(attempt, outcome)
    return True


def opened(breaker: Breaker) -> None:
    for _ in range(FAILURES):
        assert call(breaker, Outcome.UNREACHABLE)


def test_five_failures_in_a_row_open_it_for_fifteen_seconds(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    assert not call(breaker, Outcome.REACHED)
    clock.now += PAUSE - timedelta(seconds=0.001)
    assert not call(breaker, Outcome.REACHED)
    clock.now += timedelta(seconds=0.001)
    assert call(breaker, Outcome.REACHED)
    assert (5, timedelta(seconds=15)) == (FAILURES, PAUSE)


def test_one_success_between_them_and_it_stays_closed(breaker: Breaker) -> None:
    for _ in range(3):
        for _ in range(FAILURES - 1):
            call(breaker, Outcome.UNREACHABLE)
        assert call(breaker, Outcome.REACHED)


def test_who_gives_up_says_nothing_of_the_partner(breaker: Breaker) -> None:
    for _ in range(100):
        assert call(breaker, Outcome.UNKNOWN)
    for _ in range(FAILURES - 1):
        call(breaker, Outcome.UNREACHABLE)
    assert call(breaker, Outcome.UNKNOWN)
    assert call(breaker, Outcome.UNREACHABLE)
    assert breaker.begin() is None


def test_half_open_one_alone_tries(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += PAUSE
    trial = breaker.begin()
    assert trial is not None
    assert breaker.begin() is None
    breaker.end(trial, Outcome.REACHED)
    assert breaker.begin() is not None
    assert breaker.begin() is not None


def test_half_open_a_failed_trial_opens_it_anew(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += PAUSE
    assert call(breaker, Outcome.UNREACHABLE)
    assert breaker.begin() is None
    clock.now += PAUSE
    assert call(breaker, Outcome.REACHED)


def test_half_open_when_who_tries_gives_up_the_next_one_tries(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += PAUSE
    assert call(breaker, Outcome.UNKNOWN)
    assert call(breaker, Outcome.REACHED)
    assert call(breaker, Outcome.UNREACHABLE)
    assert call(breaker, Outcome.REACHED)


def test_calls_that_began_before_it_opened_neither_prolong_it_nor_end_a_trial(breaker: Breaker, clock: Clock) -> None:
    late = [breaker.begin() for _ in range(3)]
    opened(breaker)
    clock.now += PAUSE
    trial = breaker.begin()
    assert trial is not None
    for each in late:
        assert each is not None
        breaker.end(each, Outcome.UNREACHABLE)
    assert breaker.begin() is None
    breaker.end(trial, Outcome.UNKNOWN)
    assert breaker.begin() is not None


def test_a_late_answer_closes_it(breaker: Breaker) -> None:
    late = breaker.begin()
    assert late is not None
    opened(breaker)
    breaker.end(late, Outcome.REACHED)
    assert call(breaker, Outcome.REACHED)


def test_each_partner_has_its_own(clock: Clock) -> None:
    breakers = Breakers(clock)
    opened(breakers.of("https://login.pori.example"))
    assert breakers.of("https://login.pori.example").begin() is None
    assert breakers.of("https://login.ulvila.example").begin() is not None


class Machine(RuleBasedStateMachine):
    """Calls that overlap in any way, held against what is promised, in other words than the code's."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(self.clock)
        self.under_way: list[Attempt] = []
        self.trial: Attempt | None = None
        self.row = 0
        self.opened_at: datetime | None = None

    @rule(seconds=st.sampled_from([1, 7, 14, 15, 30]))
    def time_passes(self, seconds: int) -> None:
        self.clock.now += timedelta(seconds=seconds)

    @rule()
    def begin(self) -> None:
        attempt = self.breaker.begin()
        silent = self.opened_at is not None and self.clock.now < self.opened_at + PAUSE
        assert (attempt is None) == (silent or self.trial is not None)
        if attempt is not None:
            self.under_way.append(attempt)
            self.trial = attempt if self.opened_at is not None else None

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), outcome=st.sampled_from(Outcome))
    def end(self, data: st.DataObject, outcome: Outcome) -> None:
        attempt = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.breaker.end(attempt, outcome)
        tried, self.trial = attempt is self.trial, None if attempt is self.trial else self.trial
        if outcome is Outcome.REACHED:
            self.row, self.opened_at, self.trial = 0, None, None
        if outcome is Outcome.UNREACHABLE and self.opened_at is None:
            self.row += 1
        if outcome is Outcome.UNREACHABLE and (tried or (self.opened_at is None and self.row >= FAILURES)):
            self.opened_at = self.clock.now

    @invariant()
    def a_partner_without_failures_is_asked(self) -> None:
        assert self.opened_at is None or self.row >= FAILURES

    def teardown(self) -> None:
        """Whatever happened: when all calls have ended and the pause has passed, somebody may try."""
        for attempt in self.under_way:
            self.breaker.end(attempt, Outcome.UNKNOWN)
        self.clock.now += PAUSE
        assert self.breaker.begin() is not None


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=200, stateful_step_count=40)
