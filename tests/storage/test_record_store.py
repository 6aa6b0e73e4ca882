"""The contract of RecordStore, for every backend."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

MINUTE = timedelta(minutes=1)
SHORT = timedelta(milliseconds=40)


async def test_a_record_is_read_as_it_was_stored(store, name):
    await store.put(name, b"value", MINUTE)

    assert await store.get(name) == b"value"
    assert await store.get(name) == b"value"


async def test_what_was_never_stored_is_not_there(store, name):
    assert await store.get(name) is None
    assert await store.take(name) is None


@pytest.mark.parametrize("value", [b"", bytes(range(256)), b"\r\n$-1\r\n", b"x" * 100_000])
async def test_a_value_is_any_octets(store, name, value):
    await store.put(name, value, MINUTE)

    assert await store.get(name) == value
    assert await store.take(name) == value


async def test_put_overwrites(store, name):
    await store.put(name, b"first", MINUTE)
    await store.put(name, b"second", MINUTE)

    assert await store.get(name) == b"second"


async def test_records_of_other_names_are_left_alone(store, name):
    await store.put(name, b"one", MINUTE)
    await store.put(f"{name}:other", b"two", MINUTE)

    await store.remove(name)

    assert await store.get(name) is None
    assert await store.get(f"{name}:other") == b"two"


async def test_removing_what_is_not_there_does_nothing(store, name):
    await store.remove(name)


async def test_a_neighbour_sees_what_was_stored(backend, name):
    await backend.store.put(name, b"value", MINUTE)

    assert await backend.neighbour.take(name) == b"value"
    assert await backend.store.get(name) is None


async def test_P2_take_gives_the_record_to_exactly_one_of_a_hundred_callers(backend, name):
    await backend.store.put(name, b"value", MINUTE)

    callers = [backend.store, backend.neighbour] * 50
    results = await asyncio.gather(*(caller.take(name) for caller in callers))

    assert results.count(b"value") == 1
    assert results.count(None) == 99


async def test_P2_add_is_true_to_exactly_one_of_a_hundred_callers(backend, name):
    callers = [backend.store, backend.neighbour] * 50
    results = await asyncio.gather(*(caller.add(name, str(at).encode(), MINUTE) for at, caller in enumerate(callers)))

    assert results.count(True) == 1
    assert await backend.store.get(name) == str(results.index(True)).encode()


async def test_add_leaves_what_is_there(store, name):
    await store.put(name, b"first", MINUTE)

    assert await store.add(name, b"second", MINUTE) is False
    assert await store.get(name) == b"first"


async def test_what_was_taken_may_be_added_again(store, name):
    await store.add(name, b"first", MINUTE)
    await store.take(name)

    assert await store.add(name, b"second", MINUTE) is True


async def test_a_hundred_callers_with_records_of_their_own_do_not_disturb_each_other(backend, name):
    async def one(number: int) -> bytes | None:
        await backend.store.put(f"{name}:{number}", str(number).encode(), MINUTE)
        return await backend.neighbour.take(f"{name}:{number}")

    assert await asyncio.gather(*(one(number) for number in range(100))) == [str(n).encode() for n in range(100)]


async def test_a_record_whose_lifetime_has_passed_is_not_there(backend, name):
    for each in ("got", "taken"):
        await backend.store.put(f"{name}:{each}", b"value", SHORT)

    await backend.elapse(SHORT)

    assert await backend.store.get(f"{name}:got") is None
    assert await backend.store.take(f"{name}:taken") is None


async def test_an_expired_record_is_added_anew_by_exactly_one_caller(backend, name):
    assert await backend.store.add(name, b"old", SHORT)
    await backend.elapse(SHORT)

    results = await asyncio.gather(*(backend.store.add(name, b"new", MINUTE) for _ in range(10)))

    assert results.count(True) == 1
    assert await backend.store.get(name) == b"new"


async def test_put_begins_a_new_lifetime(backend, name):
    await backend.store.put(name, b"old", SHORT)
    await backend.store.put(name, b"new", MINUTE)

    await backend.elapse(SHORT)

    assert await backend.store.get(name) == b"new"


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1)])
async def test_a_lifetime_is_positive(store, name, lifetime):
    with pytest.raises(ValueError, match="positive"):
        await store.put(name, b"value", lifetime)
    with pytest.raises(ValueError, match="positive"):
        await store.add(name, b"value", lifetime)


async def test_a_lifetime_below_a_millisecond_is_one(backend, name):
    assert await backend.store.add(name, b"value", timedelta(microseconds=1))


async def test_a_caller_who_gives_up_disturbs_nobody(store, name):
    await store.put(name, b"value", MINUTE)
    impatient = asyncio.create_task(store.get(name))
    await asyncio.sleep(0)
    impatient.cancel()

    assert await store.get(name) == b"value"


async def test_ping_returns_when_all_is_well(store):
    await store.ping()
