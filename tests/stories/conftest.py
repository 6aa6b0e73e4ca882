"""A broker that listens, with cities and services around it; one for each file of tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.stories.office import Office
from tests.stories.town import Ground, Town, lay_ground, open_town


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return lay_ground(tmp_path_factory.mktemp("ground"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    async with open_town(ground, tmp_path_factory.mktemp("town")) as opened:
        yield opened


@pytest.fixture
def office(ground: Ground, tmp_path: Path) -> Office:
    """An operator's machine with the documents beside it; none of them is in use yet."""
    return Office(ground=ground, folder=tmp_path)


@pytest.fixture
async def town_of_own(ground: Ground, tmp_path: Path) -> AsyncIterator[Town]:
    """A town that the test may change."""
    async with open_town(ground, tmp_path) as opened:
        yield opened
