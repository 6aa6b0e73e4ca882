"""The addresses of dynamic client registration: read by programs, without a browser."""

from __future__ import annotations

from aiohttp import web

from broker.oidc.op.initial_access import PATH
from broker.oidc.op.registration import RegistrationRequest, Registrations
from broker.web.inbound import whole_body


class RegistrationEndpoints:
    def __init__(self, registrations: Registrations) -> None:
        self._registrations = registrations

    def routes(self) -> list[web.RouteDef]:
        managed = f"{PATH}/{{client_id}}"
        return [
            web.post(PATH, self.answer),
            web.get(managed, self.answer),
            web.put(managed, self.answer),
            web.delete(managed, self.answer),
        ]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = RegistrationRequest(
            method=request.method,
            client_id=request.match_info.get("client_id", ""),
            authorization=request.headers.get("Authorization"),
            content_type=request.content_type,
            body=await whole_body(request) if request.can_read_body else b"",
        )
        found = await self._registrations.answer(asked)
        return web.Response(status=found.status, headers=found.headers, body=found.body)
