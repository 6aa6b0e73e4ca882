"""Towns of their own, for what may be broken in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stories.office import Office
from tests.stories.town import Ground, Town, lay_ground, open_town

OpenTown = Callable[..., AbstractAsyncContextManager[Town]]


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return lay_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def town_with(ground: Ground, tmp_path: Path) -> OpenTown:
    """Opens a town with these settings."""

    @asynccontextmanager
    async def make(**changes: Any) -> AsyncIterator[Town]:
        async with open_town(ground, tmp_path, **changes) as town:
            yield town

    return make


@pytest.fixture
def office(ground: Ground, tmp_path: Path) -> Office:
    made = Office(ground=ground, folder=tmp_path)
    made.begin_with_documents()
    return made
