"""P10: a city that could not be reached five times in a row is left alone for fifteen seconds, and nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import SocketFactoryType

from broker.breaker import FAILURES
from broker.errors import HomeUnreachable
from broker.fetch import Suspended, open_fetcher
from broker.login.transaction import LoginTransaction
from broker.oidc.errors import TokenRequestRefused
from tests.unit.oidc.parties import CitySide


class Hanging:
    """A machine that takes connections and says nothing."""

    def __init__(self) -> None:
        self.visits = 0
        self.visited = asyncio.Semaphore(0)
        self.url = ""
        self._end = asyncio.Event()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.visits += 1
            self.visited.release()
            await self._end.wait()
            writer.close()

        server = await asyncio.start_server(take, "127.0.0.1")
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield
            self._end.set()


@pytest.fixture
async def hanging() -> AsyncIterator[Hanging]:
    made = Hanging()
    async with made.served():
        yield made


async def unreachable(home: CitySide, transaction: LoginTransaction) -> bool:
    """The same fault as ever. Whether the city was asked."""
    with pytest.raises(HomeUnreachable) as caught:
        await home.arrive(transaction)
    assert type(caught.value) is HomeUnreachable
    return not isinstance(caught.value.__cause__, Suspended)


async def fail(home: CitySide, transaction: LoginTransaction, times: int = FAILURES) -> None:
    for _ in range(times):
        assert await unreachable(home, transaction)


@pytest.fixture
def down(home: CitySide) -> CitySide:
    """Its token endpoint takes no connection; the rest of it is well."""
    home.city.metadata = {"token_endpoint": "http://127.0.0.1:1/token"}
    return home


async def test_P10_after_five_times_in_a_row_it_is_not_asked(down: CitySide) -> None:
    transaction = await down.depart()
    await fail(down, transaction)
    assert not await unreachable(down, transaction)

    down.city.clock.advance(seconds=14)
    assert not await unreachable(down, transaction)
    down.city.clock.advance(seconds=1)
    assert await unreachable(down, transaction)
    assert not await unreachable(down, transaction)


async def test_P10_a_deadline_that_passes_counts_too(home: CitySide, hanging: Hanging, wire: SocketFactoryType) -> None:
    async with open_fetcher(development=True, timeout_seconds=0.3, make_socket=wire) as impatient:
        home.restart(impatient)
        home.city.metadata = {"token_endpoint": f"{hanging.url}/token"}
        transaction = await home.depart()
        await fail(home, transaction)
        assert not await unreachable(home, transaction)
    assert hanging.visits == FAILURES


async def test_P10_one_login_tries_and_closes_it_when_the_city_is_well_again(down: CitySide) -> None:
    await fail(down, await down.depart())

    down.city.clock.advance(hours=2)
    down.city.metadata = {}
    for _ in range(2):
        assert await down.log_in()


async def test_P10_discovery_counts_too(home: CitySide) -> None:
    home.city.issuer = "http://127.0.0.1:1"
    for count in range(FAILURES + 1):
        with pytest.raises(HomeUnreachable) as caught:
            await home.depart()
        assert isinstance(caught.value.__cause__, Suspended) == (count == FAILURES)


async def test_P10_an_answer_that_is_wrong_is_an_answer(home: CitySide) -> None:
    transaction = await home.depart()
    for status in (500, 503, 404):
        home.city.token_status = status
        await fail(home, transaction, FAILURES + 1)
    home.city.token_status, home.city.token_answer = 400, {"error": "invalid_grant"}
    for _ in range(FAILURES + 1):
        with pytest.raises(TokenRequestRefused):
            await home.arrive(transaction)


async def test_P10_people_who_give_up_do_not_count(home: CitySide, hanging: Hanging) -> None:
    home.city.metadata = {"token_endpoint": f"{hanging.url}/token"}
    transaction = await home.depart()
    for _ in range(2 * FAILURES):
        waiting = asyncio.create_task(home.arrive(transaction))
        await hanging.visited.acquire()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert hanging.visits == 2 * FAILURES


async def test_P10_the_metadata_of_a_city_that_is_down_are_kept(down: CitySide) -> None:
    """So its own page can say why; the breaker only keeps us from waiting."""
    await fail(down, await down.depart())
    assert await down.depart()


async def test_P10_other_cities_are_not_touched(down: CitySide) -> None:
    transaction = await down.depart()
    await fail(down, transaction)
    assert not await unreachable(down, transaction)

    # The same relying party, another issuer of the same machine.
    down.city.issuer = down.city.issuer.replace("127.0.0.1", "localhost")
    down.city.metadata = {}
    assert await down.log_in()
