"""The OpenID Provider with its services, and the relying party with its city."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import SocketFactoryType

from broker.fetch import Fetcher, open_fetcher
from broker.keys.keyring import KeyRing
from tests.unit.oidc.parties import REFRESHING, City, CitySide, Clock, ServiceSide, make_keys


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return make_keys(tmp_path_factory.mktemp("certs"))


@pytest.fixture
def side(keys: KeyRing) -> ServiceSide:
    return ServiceSide(keys=keys)


@pytest.fixture
def refreshing(side: ServiceSide) -> ServiceSide:
    """The service registered refresh tokens too."""
    side.register(grant_types=REFRESHING)
    return side


@pytest.fixture
async def fetcher(wire: SocketFactoryType) -> AsyncIterator[Fetcher]:
    async with open_fetcher(development=True, timeout_seconds=5, make_socket=wire) as opened:
        yield opened


@pytest.fixture
async def home(keys: KeyRing, fetcher: Fetcher) -> AsyncIterator[CitySide]:
    city = City(clock=Clock())
    server = await city.serve()
    yield CitySide(city=city, keys=keys, fetcher=fetcher)
    await server.close()
