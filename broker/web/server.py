"""One worker: the application on a listening socket, until it is told to stop; and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

import structlog
from aiohttp import web

from broker.settings import Settings, address_of
from broker.web.health import Health, metrics

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def listening(app: web.Application, settings: Settings, health: Health) -> AsyncIterator[None]:
    """Serves inside the block. Leaving it: no new connections, requests under way finish within ``drain_seconds``."""
    async with contextlib.AsyncExitStack() as stack:
        if settings.metrics_listen:
            await _listen(_metrics_alone(), settings.metrics_listen, settings.drain_seconds, stack)
        await _listen(app, settings.listen, settings.drain_seconds, stack)
        health.ready = True
        log.info("listening", address=settings.listen)
        try:
            yield
        finally:
            health.ready = False
    log.info("stopped")


async def _listen(app: web.Application, listen: str, drain: float, stack: contextlib.AsyncExitStack) -> None:
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=drain,
        # Headers of real browsers and proxies stay far below; SAML by Redirect puts a signed request in the line.
        max_line_size=32 * 1024,
        max_field_size=16 * 1024,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    host, port = address_of(listen)
    await web.TCPSite(runner, host, port, reuse_port=True, backlog=1024).start()


def _metrics_alone() -> web.Application:
    app = web.Application()
    app.add_routes([web.get("/metrics", metrics)])
    return app


async def serve_until_stopped(app: web.Application, settings: Settings, health: Health) -> None:
    """SIGTERM: not ready, so that the load balancer turns away; drain; stop. SIGINT (Ctrl-C): drain, stop."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[signal.Signals] = loop.create_future()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, _stop, stopped, each)
    async with listening(app, settings, health):
        received = await stopped
        health.ready = False
        log.info("stopping", signal=received.name)
        if received is signal.SIGTERM:
            await asyncio.sleep(min(settings.notice_seconds, settings.drain_seconds))


def _stop(stopped: asyncio.Future[signal.Signals], received: signal.Signals) -> None:
    if not stopped.done():
        stopped.set_result(received)
