"""Device authorization (RFC 8628): a device without a browser shows a code, and the person logs in for it in a browser elsewhere.

    POST device_authorization ─▶ device code, user code
    the person: /device ─▶ user code ─▶ a login as any other ─▶ its grant, or its refusal, kept for the device
    POST token, again and again ─▶ authorization_pending … ─▶ tokens

The device's code and the person's are never one: who reads the short code over a shoulder has no use for it at the token endpoint.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from broker.errors import Fault
from broker.federation.model import Federation, Protocol, Service, ServiceId
from broker.login.ports import Clock, GrantStore
from broker.login.request import LoginRequest
from broker.oidc import json_object
from broker.oidc.errors import (
    AuthorizationPending,
    DeviceCodeEnded,
    DeviceCodeExpired,
    DeviceRefused,
    InvalidGrant,
    SlowDown,
    UnauthorizedClient,
)
from broker.oidc.op.authorization import granted_scopes
from broker.oidc.op.client_endpoint import Asked
from broker.oidc.op.grants import CODE_LIFETIME, LoginGrant, handle, read_login_grant
from broker.oidc.op.http import HttpAnswer, json_answer
from broker.oidc.op.reply import Reply

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
PATH = "/device"
SIGN_IN, FINISH, DONE, REFUSED = (f"{PATH}/{each}" for each in ("sign-in", "finish", "done", "refused"))

LIFETIME = timedelta(minutes=10)
INTERVAL_SECONDS = 5
_SLOWER_SECONDS = 5
# RFC 8628 6.1: no vowels, so no words; 34 bits.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH = 8
_REFUSAL = "refused"

_DEVICE, _USER_CODE, _FINISH, _ANSWER, _PACE = (
    "device_code",
    "user_code",
    "device_finish",
    "device_answer",
    "device_pace",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a user code stands for. ``device``: the name of the device code."""

    device: str
    service: ServiceId
    scopes: tuple[str, ...]


class DeviceAuthorization:
    def __init__(self, *, issuer: str, grants: GrantStore, clock: Clock) -> None:
        self._issuer = issuer
        self._grants = grants
        self._clock = clock

    async def serve(self, asked: Asked) -> HttpAnswer:
        """The device authorization request (3.1, 3.2). Raises: UnauthorizedClient, InvalidScope, StateUnavailable."""
        if GRANT_TYPE not in asked.client.grant_types:
            raise UnauthorizedClient("the device code is not registered", service=asked.service.id)
        scopes = granted_scopes(asked.form, asked.client)
        device_code, user_code = secrets.token_urlsafe(32), _new_user_code()
        await self._remember(handle(device_code), user_code, asked.service.id, scopes)
        shown = shown_user_code(user_code)
        page = self._issuer + PATH
        return json_answer(
            {
                "device_code": device_code,
                "user_code": shown,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?user_code={shown}",
                "expires_in": int(LIFETIME.total_seconds()),
                "interval": INTERVAL_SECONDS,
            }
        )

    async def _remember(self, device: str, user_code: str, service: ServiceId, scopes: tuple[str, ...]) -> None:
        ends = int((self._clock() + LIFETIME).timestamp())
        # Longer than it is good for, so that the device is told that its code expired, and not that there is none (3.5).
        record = json_object.write({"service": service, "ends": ends})
        await self._grants.put(_DEVICE, device, record, 2 * LIFETIME)
        waiting = json_object.write({"device": device, "service": service, "scopes": scopes})
        await self._grants.put(_USER_CODE, user_code, waiting, LIFETIME)

    # --- the person --------------------------------------------------------------------------------------------------

    async def service_of(self, user_code: str, federation: Federation) -> Service | None:
        """The service whose device shows this code; None: no device does. Raises: StateUnavailable."""
        record = await self._grants.get(_USER_CODE, user_code)
        return None if record is None else federation.services.get(_read_waiting(record).service)

    async def begin(self, user_code: str, federation: Federation) -> LoginRequest:
        """The person confirmed that this is their device. Raises: DeviceCodeEnded, StateUnavailable."""
        record = await self._grants.get(_USER_CODE, user_code)
        service = None if record is None else federation.services.get(_read_waiting(record).service)
        if record is None or service is None or service.client is None:
            raise DeviceCodeEnded("unknown, used or expired")
        client, waiting = service.client, _read_waiting(record)
        reply = Reply(redirect_uri=self._issuer + DONE, scopes=waiting.scopes, user_code=user_code)
        max_age = client.default_max_age
        return LoginRequest(
            service=service.id,
            protocol=Protocol.OIDC,
            reply=reply.strings(),
            force_authn=max_age == 0,
            max_age=timedelta(seconds=max_age) if max_age else None,
            requested_contexts=client.default_acr_values,
        )

    async def answer(self, user_code: str, login: LoginGrant) -> str:
        """For the one login that comes first: where the browser goes next.

        The device gets nothing before the browser has come there, as it is sent only when the login's record is durable (P6).
        Raises: DeviceCodeEnded, StateUnavailable.
        """
        device, code = await self._device_of(user_code), secrets.token_urlsafe(32)
        record = json_object.write({"device": device, "login": login.write().decode("utf-8")})
        await self._grants.put(_FINISH, code, record, CODE_LIFETIME)
        return f"{self._issuer}{FINISH}?{urlencode({'code': code})}"

    async def finish(self, code: str) -> None:
        """The browser came: the device gets the login. Raises: DeviceCodeEnded, StateUnavailable."""
        record = await self._grants.take(_FINISH, code)
        if record is None:
            raise DeviceCodeEnded("unknown, used or expired")
        found = json_object.read(record)
        await self._grants.put(_ANSWER, str(found["device"]), str(found["login"]).encode("utf-8"), LIFETIME)

    async def refuse(self, user_code: str, fault: Fault) -> str:
        """Where the browser goes next. Raises: DeviceCodeEnded, StateUnavailable."""
        record = json_object.write({_REFUSAL: fault.code})
        await self._grants.put(_ANSWER, await self._device_of(user_code), record, LIFETIME)
        return self._issuer + REFUSED

    async def _device_of(self, user_code: str) -> str:
        """To exactly one caller. Raises: DeviceCodeEnded, StateUnavailable."""
        record = await self._grants.take(_USER_CODE, user_code)
        if record is None:
            raise DeviceCodeEnded("unknown, used or expired")
        return _read_waiting(record).device

    # --- the device --------------------------------------------------------------------------------------------------

    async def fetch(self, device_code: str, asked: Asked) -> LoginGrant:
        """The login that the device waits for, to exactly one caller (3.4, 3.5).

        Raises: InvalidGrant, DeviceCodeExpired, SlowDown, AuthorizationPending, DeviceRefused, StateUnavailable.
        """
        device = handle(device_code)
        ends = await self._ends(device, asked)
        await self._keep_pace(device)
        record = await self._grants.take(_ANSWER, device)
        if record is None:
            if self._clock() >= ends:
                raise DeviceCodeExpired("nobody logged in in time", service=asked.service.id)
            raise AuthorizationPending("nobody has logged in yet", service=asked.service.id)
        await self._grants.remove(_DEVICE, device)
        refusal = json_object.read(record).get(_REFUSAL)
        if refusal is not None:
            raise DeviceRefused(f"the login was refused: {refusal}", service=asked.service.id)
        return read_login_grant(record)

    async def _ends(self, device: str, asked: Asked) -> datetime:
        record = await self._grants.get(_DEVICE, device)
        found: Mapping[str, object] = {} if record is None else json_object.read(record)
        if found.get("service") != asked.service.id:
            raise InvalidGrant("the device code is unknown, used or another client's", service=asked.service.id)
        return datetime.fromtimestamp(float(str(found["ends"])), self._clock().tzinfo)

    async def _keep_pace(self, device: str) -> None:
        """3.5: who asks too often has to wait five seconds longer, from then on. Raises: SlowDown."""
        now = self._clock().timestamp()
        record = await self._grants.get(_PACE, device)
        pace: Mapping[str, object] = {} if record is None else json_object.read(record)
        interval = int(str(pace.get("interval", INTERVAL_SECONDS)))
        too_early = now < float(str(pace.get("next", 0)))
        if too_early:
            interval += _SLOWER_SECONDS
        record = json_object.write({"interval": interval, "next": now + interval})
        await self._grants.put(_PACE, device, record, 2 * LIFETIME)
        if too_early:
            raise SlowDown(f"every {interval} seconds")


def read_user_code(typed: str) -> str:
    """As a person types it: in small letters, with a hyphen or without (6.1); "" when it cannot be one."""
    letters = "".join(each for each in typed.upper() if each.isalnum())
    return letters if len(letters) == _LENGTH and set(letters) <= set(_LETTERS) else ""


def shown_user_code(user_code: str) -> str:
    """As devices and our pages show it: in two halves."""
    return f"{user_code[:4]}-{user_code[4:]}"


def _new_user_code() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def _read_waiting(record: bytes) -> Waiting:
    found = json_object.read(record)
    scopes = found["scopes"]
    assert isinstance(scopes, list), "we wrote it"
    return Waiting(device=str(found["device"]), service=ServiceId(str(found["service"])), scopes=tuple(scopes))
