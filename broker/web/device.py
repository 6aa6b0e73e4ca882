"""The pages for a device without a browser (RFC 8628 3.3): its code, "is this your device?", and how it ended.

    /device ─ code ─▶ /device?user_code=… ─ confirmed ─▶ /device/sign-in ─▶ a login as any other
                                          ─▶ /device/finish ─▶ /device/done, or /device/refused

Whoever sends a stranger the address of the second page must not have him log in for a device that is not his (5.4): the page
says so, and its link is good only in the browser that was shown the page.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from aiohttp import web

from broker.errors import OtherBrowser
from broker.federation.model import Federation
from broker.login.request import LoginRequest
from broker.oidc.op import device
from broker.oidc.op.device import read_user_code, shown_user_code
from broker.oidc.op.edge import OpenIdProvider
from broker.web.cookies import Cookies, new_browser
from broker.web.inbound import each_once, query_pairs
from broker.web.presenter import Presenter, see_other
from broker.web.views import DeviceCodePage, DeviceConfirmPage, DeviceEndPage

Begin = Callable[[web.Request, Awaitable[LoginRequest]], Awaitable[web.StreamResponse]]

_TYPED_LIMIT = 32
"""Characters of a code that are shown again; a right one has nine."""


class DeviceEndpoints:
    """``begin``: how any login begins in a browser."""

    def __init__(
        self,
        provider: OpenIdProvider,
        begin: Begin,
        presenter: Presenter,
        cookies: Cookies,
        federation: Callable[[], Federation],
    ) -> None:
        self._provider = provider
        self._begin = begin
        self._presenter = presenter
        self._cookies = cookies
        self._federation = federation

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(device.PATH, self.enter),
            web.get(device.SIGN_IN, self.sign_in),
            web.get(device.FINISH, self.finish),
            web.get(device.DONE, self.done),
            web.get(device.REFUSED, self.refused),
        ]

    async def enter(self, request: web.Request) -> web.StreamResponse:
        """The field for the code; with a code that a device shows, the question whether it is this person's."""
        typed = each_once(query_pairs(request)).get("user_code", "")
        federation, user_code = self._federation(), read_user_code(typed)
        service = await self._provider.service_of_device(user_code, federation) if user_code else None
        if service is None:
            return self._presenter.device_code(request, DeviceCodePage(typed=typed[:_TYPED_LIMIT]))
        browser = self._cookies.browser(request.cookies) or new_browser()
        link = {"user_code": user_code, "proof": _proof(browser, user_code)}
        view = DeviceConfirmPage(
            service=service,
            owner=federation.organisations.get(service.owner),
            user_code=shown_user_code(user_code),
            sign_in=f"{device.SIGN_IN}?{urlencode(link)}",
            here=f"{device.PATH}?{urlencode({'user_code': shown_user_code(user_code)})}",
        )
        response = self._presenter.device_confirm(request, view)
        self._cookies.bind(response, browser)
        return response

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """Raises: OtherBrowser, DeviceCodeEnded, StateUnavailable."""
        query = each_once(query_pairs(request))
        user_code, browser = read_user_code(query.get("user_code", "")), self._cookies.browser(request.cookies)
        proof = query.get("proof", "").encode()
        if browser is None or not hmac.compare_digest(proof, _proof(browser, user_code).encode()):
            raise OtherBrowser("nobody confirmed in this browser that the device is theirs")
        return await self._begin(request, self._provider.begin_for_device(user_code, self._federation()))

    async def finish(self, request: web.Request) -> web.StreamResponse:
        """Raises: DeviceCodeEnded, StateUnavailable."""
        await self._provider.finish_for_device(each_once(query_pairs(request)).get("code", ""))
        return see_other(device.DONE)

    async def done(self, request: web.Request) -> web.StreamResponse:
        return self._presenter.device_end(request, DeviceEndPage(signed_in=True, here=device.DONE))

    async def refused(self, request: web.Request) -> web.StreamResponse:
        return self._presenter.device_end(request, DeviceEndPage(signed_in=False, here=device.REFUSED))


def _proof(browser: str, user_code: str) -> str:
    """Known only to who has the browser's secret: the page for this code was shown there."""
    return hmac.new(browser.encode("ascii"), f"device {user_code}".encode(), hashlib.sha256).hexdigest()
