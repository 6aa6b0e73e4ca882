"""The running broker of ``tests/stories``, and beside it what the OpenID Foundation's conformance suite would be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.conformance.suite import Suite
from tests.stories.conftest import ground, town
from tests.stories.town import Town

__all__ = ["ground", "suite", "town"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(town: Town) -> AsyncIterator[Suite]:
    yield await Suite.register(town)


@pytest.fixture(params=["query", "form_post"])
def suite(opened: Suite, request: pytest.FixtureRequest) -> Iterator[Suite]:
    """Every module by both response modes: oidcc-basic and oidcc-formpost-basic."""
    opened.mode = request.param
    yield opened
    opened.town.city.changes = {}
