"""The token endpoint: a code becomes tokens, once (RFC 6749 4.1.3, OIDC Core 3.1.3), and a refresh token the next ones (6).

Loaded, decided, saved: ``check_exchange`` decides and does no input or output.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from broker.federation.model import OidcClient, Service
from broker.login.ports import GrantStore
from broker.oidc import pkce
from broker.oidc.errors import InvalidGrant, UnauthorizedClient, UnsupportedGrantType
from broker.oidc.op import device, exchange
from broker.oidc.op.client_endpoint import Asked, Serve
from broker.oidc.op.device import DeviceAuthorization
from broker.oidc.op.exchange import TokenExchange
from broker.oidc.op.grants import CODE, LONGEST_REFRESH, SPENT_CODE, CodeGrant, read_code_grant
from broker.oidc.op.http import HttpAnswer, json_answer
from broker.oidc.op.issuing import Tokens
from broker.oidc.op.parameters import Parameters, required

log = structlog.get_logger(__name__)

AUTHORIZATION_CODE = "authorization_code"
REFRESH_TOKEN = "refresh_token"
GRANT_TYPES = (AUTHORIZATION_CODE, REFRESH_TOKEN, device.GRANT_TYPE, exchange.GRANT_TYPE)


class TokenEndpoint:
    def __init__(
        self, grants: GrantStore, tokens: Tokens, devices: DeviceAuthorization, exchange_of_tokens: TokenExchange
    ) -> None:
        self._grants = grants
        self._tokens = tokens
        self._devices = devices
        self._by_grant_type: Mapping[str, Serve] = {
            AUTHORIZATION_CODE: self._exchange,
            REFRESH_TOKEN: self._refresh,
            device.GRANT_TYPE: self._device,
            exchange.GRANT_TYPE: exchange_of_tokens.serve,
        }

    async def serve(self, asked: Asked) -> HttpAnswer:
        """Raises: ServiceFault, StateUnavailable."""
        return await self._by_grant_type[checked_grant_type(asked.form, asked.client)](asked)

    async def _device(self, asked: Asked) -> HttpAnswer:
        login = await self._devices.fetch(required(asked.form, "device_code"), asked)
        if await self._tokens.has_ended_at_home(login):
            raise InvalidGrant("the person's session at home has ended", service=asked.service.id)
        return json_answer(await self._tokens.issue(login, asked, self._tokens.name(login, asked.client)))

    async def _refresh(self, asked: Asked) -> HttpAnswer:
        return json_answer(await self._tokens.refresh(required(asked.form, "refresh_token"), asked))

    async def _exchange(self, asked: Asked) -> HttpAnswer:
        code = required(asked.form, "code")
        redirect_uri = required(asked.form, "redirect_uri")
        # Whoever brings the code, rightly or not, brings it for the last time.
        record = await self._grants.take(CODE, code)
        if record is None:
            await self._revoke_what_was_issued(code, asked.service)
            raise InvalidGrant("unknown, used or expired", service=asked.service.id)
        grant = read_code_grant(record)
        check_exchange(grant, asked.service, redirect_uri, asked.form.get("code_verifier"))
        check_key(grant, asked)
        named = self._tokens.name(grant.login, asked.client)
        await self._grants.put(SPENT_CODE, code, named.ends.encode("ascii"), LONGEST_REFRESH)
        return json_answer(await self._tokens.issue(grant.login, asked, named))

    async def _revoke_what_was_issued(self, code: str, service: Service) -> None:
        """RFC 6749 4.1.2: a code that comes twice may have been stolen, so the tokens of its first use end."""
        spent = await self._grants.get(SPENT_CODE, code)
        if spent is not None:
            log.warning("oidc.code.reused", service=service.id)
            await self._tokens.end(spent.decode("ascii"))


def checked_grant_type(form: Parameters, client: OidcClient) -> str:
    """Raises: InvalidRequest, UnsupportedGrantType, UnauthorizedClient."""
    grant_type = required(form, "grant_type")
    if grant_type not in GRANT_TYPES:
        raise UnsupportedGrantType(f"none of {', '.join(GRANT_TYPES)}")
    if grant_type not in client.grant_types:
        raise UnauthorizedClient("the grant type is not registered")
    return grant_type


def check_exchange(grant: CodeGrant, service: Service, redirect_uri: str, verifier: str | None) -> None:
    """RFC 6749 4.1.3, RFC 7636 4.6. Raises: InvalidGrant."""
    if grant.login.service != service.id:
        raise InvalidGrant("the code is another client's", service=service.id)
    if grant.redirect_uri != redirect_uri:
        raise InvalidGrant("another redirect_uri", service=service.id)
    if grant.code_challenge is None:
        # RFC 9700 2.1.1: else an attacker could strip the challenge from the request, unnoticed.
        if verifier is not None:
            raise InvalidGrant("code_verifier without code_challenge", service=service.id)
    elif verifier is None or not pkce.proves(verifier, grant.code_challenge):
        raise InvalidGrant("code_verifier is missing or wrong", service=service.id)


def check_key(grant: CodeGrant, asked: Asked) -> None:
    """RFC 9449 10. Raises: InvalidGrant."""
    if grant.dpop_jkt is not None and grant.dpop_jkt != asked.sender.key:
        raise InvalidGrant("the code is bound to another key", service=asked.service.id)
