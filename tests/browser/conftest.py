"""Chromium, the demo, and visitors.

All of it lives for one file of tests: while Playwright's synchronous API is open, this thread has a running event loop,
which other files' asynchronous tests could not share.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.region import add_region
from tests.browser.servers import Demo, Servers, start_demo, taken_port
from tests.browser.visitor import Visitor

_PATIENCE_MS = 15_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "chromium is not installed: `make setup` installs it"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with Servers() as running:
        yield running


@pytest.fixture(scope="module")
def demo(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return start_demo(servers, tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def region(demo: Demo) -> Iterator[str]:
    """The address that begins a login at the region's service, where many municipalities may be chosen."""
    with closing(taken_port()) as dead:
        yield add_region(demo, dead.getsockname()[1])


@pytest.fixture
def visitor_with(browser: Browser, demo: Demo) -> Iterator[Callable[..., Visitor]]:
    """Makes a visitor with a fresh browser context, closed at the end; arguments are ``new_context``'s.

    Without a ``locale`` the browser asks for English.
    """
    with ExitStack() as stack:

        def make(*, scripts: bool = True, **wishes: Any) -> Visitor:
            context = browser.new_context(java_script_enabled=scripts, **{"locale": "en-GB", **wishes})
            stack.callback(context.close)
            context.set_default_timeout(_PATIENCE_MS)
            return Visitor(context, demo, scripts=scripts)

        yield make


@pytest.fixture
def visitor(visitor_with: Callable[..., Visitor]) -> Visitor:
    return visitor_with()
