"""Starts the demo's two cities and two services beside a broker, each on a port of its own."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from aiohttp import web

from broker.demo.oidc_city import OidcCity
from broker.demo.oidc_service import OidcService
from broker.demo.saml_city import SamlCity
from broker.demo.saml_service import SamlService
from broker.demo.world import HOST, PreparedDemo

# pysaml2 and idpyoidc say on their own pages what went wrong; in their logs they also say whom it concerns.
_TALKATIVE = ("saml2", "idpyoidc", "cryptojwt")
_SHUTDOWN_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The four applications at their ports."""

    runners: tuple[web.AppRunner, ...]

    async def stop(self) -> None:
        await asyncio.gather(*(runner.cleanup() for runner in self.runners))


async def start_cities_and_services(prepared: PreparedDemo, broker_base_url: str) -> Running:
    """They ask the broker nothing before their first login, so it may start before or after them.

    Raises: OSError, when a port is taken; then none of them listens.
    """
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ulvila = await asyncio.to_thread(OidcCity, prepared, broker_base_url)
    applications = (
        (SamlCity(prepared, broker_base_url).application(), prepared.ports.pori),
        (ulvila.application(), prepared.ports.ulvila),
        (SamlService(prepared, broker_base_url).application(), prepared.ports.shared_wiki),
        (OidcService(prepared, broker_base_url).application(), prepared.ports.meeting_rooms),
    )
    running = Running(runners=tuple(_runner(app) for app, _ in applications))
    try:
        for runner, (_, port) in zip(running.runners, applications, strict=True):
            await runner.setup()
            await web.TCPSite(runner, HOST, port).start()
    except OSError:
        await running.stop()
        raise
    return running


def _runner(app: web.Application) -> web.AppRunner:
    return web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
