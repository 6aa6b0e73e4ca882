"""Kept: fetched once for all who wait, renewed when it is old, and kept while its source is down."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from broker.oidc.kept import Kept
from tests.unit.oidc.parties import Clock


class SourceDown(Exception):
    pass


class Source:
    """Counts how often it is asked; gives the number of the question."""

    def __init__(self) -> None:
        self.asked = 0
        self.down = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> int:
        self.asked += 1
        await self.gate.wait()
        if self.down:
            raise SourceDown
        return self.asked


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def kept(source: Source, clock: Clock) -> Kept[int]:
    return Kept(source, clock, lifetime=timedelta(hours=1), pause=timedelta(seconds=30), errors=(SourceDown,))


async def test_it_is_asked_once_for_all_who_wait(kept: Kept[int], source: Source) -> None:
    assert await asyncio.gather(*(kept.get() for _ in range(50))) == [1] * 50
    assert await kept.get() == 1
    assert source.asked == 1


async def test_after_its_lifetime_it_is_asked_again(kept: Kept[int], clock: Clock) -> None:
    assert await kept.get() == 1
    clock.advance(minutes=59)
    assert await kept.get() == 1
    clock.advance(minutes=1)
    assert await kept.get() == 2


async def test_without_any_value_each_asks_anew_and_is_told_the_error(kept: Kept[int], source: Source) -> None:
    source.down = True
    for _ in range(2):
        with pytest.raises(SourceDown):
            await kept.get()
    assert source.asked == 2
    source.down = False
    assert await kept.get() == 3


async def test_while_its_source_is_down_the_last_good_value_is_given_and_the_source_left_in_peace(
    kept: Kept[int], source: Source, clock: Clock
) -> None:
    await kept.get()
    source.down = True
    clock.advance(hours=2)
    assert [await kept.get() for _ in range(10)] == [1] * 10
    assert source.asked == 2
    clock.advance(seconds=30)
    source.down = False
    assert await kept.get() == 3


async def test_a_demand_for_a_newer_value_waits_for_the_pause(kept: Kept[int], source: Source, clock: Clock) -> None:
    await kept.get()
    assert await kept.renew() == 1
    clock.advance(seconds=30)
    assert await kept.renew() == 2
    assert source.asked == 2


async def test_a_slow_source_does_not_keep_those_waiting_who_have_an_old_value(
    kept: Kept[int], source: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.oidc.kept.PATIENCE_SECONDS", 0.01)
    await kept.get()
    clock.advance(hours=2)
    source.gate.clear()
    assert await kept.get() == 1

    source.gate.set()
    await asyncio.sleep(0)
    assert await kept.get() == 2


async def test_one_who_gives_up_does_not_end_the_fetch_for_the_others(kept: Kept[int], source: Source) -> None:
    source.gate.clear()
    impatient, patient = asyncio.create_task(kept.get()), asyncio.create_task(kept.get())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    source.gate.set()
    assert await patient == 1
    assert source.asked == 1


async def test_a_failure_that_nobody_waits_for_any_more_is_no_alarm(kept: Kept[int], source: Source) -> None:
    source.gate.clear()
    source.down = True
    waiting = asyncio.create_task(kept.get())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    source.gate.set()
    await asyncio.sleep(0)
    with pytest.raises(SourceDown):
        await kept.get()
