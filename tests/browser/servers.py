"""Servers in a thread of their own, and the whole demo among them: Playwright needs this thread for itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

import yaml
from aiohttp import web

from broker.app import Broker
from broker.demo.check import Service, services
from broker.demo.whole import whole_demo
from broker.demo.world import HOST, Ports, PreparedDemo, base_url
from broker.federation.documents import read_folder

_Result = TypeVar("_Result")
_PATIENCE = 60.0
_ATTEMPTS = 3


class _WrittenOut(yaml.SafeDumper):
    """Documents have no anchors and aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


class Servers:
    """An event loop in another thread; whatever is entered is left again at the end, in reverse order."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="servers", daemon=True)
        self._stack = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.run(self._stack.aclose())
            self.run(self._loop.shutdown_default_executor())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_PATIENCE)
            self._loop.close()

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Raises: whatever the work raises; TimeoutError."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    def enter(self, context: AbstractAsyncContextManager[_Result]) -> _Result:
        return self.run(self._stack.enter_async_context(context))

    def serve(self, app: web.Application, port: int) -> str:
        """The application's address."""

        async def start() -> None:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            self._stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, HOST, port).start()

        self.run(start())
        return base_url(port)


class Demo:
    """The running demo. ``wiki`` speaks SAML and ``rooms`` OpenID Connect, as Pori and Ulvila do among the cities."""

    def __init__(self, servers: Servers, prepared: PreparedDemo, running: Broker) -> None:
        self.servers = servers
        self.prepared = prepared
        self.broker = base_url(prepared.ports.broker)
        self.pori = base_url(prepared.ports.pori)
        self.ulvila = base_url(prepared.ports.ulvila)
        self.wiki, self.rooms = services(prepared)
        self._running = running

    def service(self, id: str) -> Service:
        return next(each for each in (self.wiki, self.rooms) if each.id == id)

    def apply(self, path: str, *documents: dict[str, Any]) -> None:
        """Adds a file of documents to the federation, as ``broker apply`` does."""
        text = yaml.dump_all(documents, Dumper=_WrittenOut, allow_unicode=True)
        (self.prepared.documents / path).write_text(text, encoding="utf-8")
        self.apply_all()

    def apply_all(self) -> None:
        """Takes the documents into use as they are now in their folder."""
        self.servers.run(self._apply())

    async def _apply(self) -> None:
        found = await asyncio.to_thread(read_folder, self.prepared.documents)
        await self._running.registry.apply(found, author="test", reason="a test's own documents")
        # The broker itself asks for a new revision every second and may have been quicker.
        await self._running.federation.refresh()


def start_demo(servers: Servers, folder: Path) -> Demo:
    """On five free ports; on others, when another process took one of them meanwhile."""
    for attempt in range(_ATTEMPTS):
        broker, rooms, wiki, pori, ulvila = free_ports(5)
        ports = Ports(broker=broker, meeting_rooms=rooms, shared_wiki=wiki, pori=pori, ulvila=ulvila)
        try:
            prepared, running = servers.enter(whole_demo(folder / str(attempt), ports))
        except OSError:
            continue
        return Demo(servers, prepared, running)
    raise AssertionError("no five ports stay free long enough for the demo")


def free_ports(count: int) -> tuple[int, ...]:
    """All different."""
    with ExitStack() as stack:
        return tuple(stack.enter_context(taken_port()).getsockname()[1] for _ in range(count))


def taken_port() -> socket.socket:
    """A port that nobody else gets and where nobody listens, until the socket is closed."""
    taken = socket.socket()
    taken.bind((HOST, 0))
    return taken
