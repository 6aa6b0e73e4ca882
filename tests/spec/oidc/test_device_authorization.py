"""RFC 8628: the OAuth 2.0 Device Authorization Grant."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from broker.errors import NoAgreement, UnregisteredAddress
from broker.federation.model import OidcClient
from broker.login.edges import Redirect
from broker.login.request import LoginRequest
from broker.oidc.errors import DeviceCodeEnded
from broker.oidc.op.device import read_user_code, shown_user_code
from broker.oidc.op.http import HttpAnswer
from tests.unit.oidc.parties import (
    BASE_URL,
    OTHER_CLIENT,
    ROOMS_CLIENT,
    ServiceSide,
    answer_of,
    basic,
    error_of,
    federation_of,
    json_of,
    transaction_of,
)

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCREEN: Mapping[str, Any] = {"grant_types": (GRANT,), "redirect_uris": ()}


@pytest.fixture
def screen(side: ServiceSide) -> ServiceSide:
    """The service runs on devices alone."""
    side.register(**SCREEN)
    return side


async def started(screen: ServiceSide, **changes: str | None) -> dict[str, Any]:
    answer = await screen.authorize_device(**changes)
    assert answer.status == 200, answer.body
    return json_of(answer)


def typed(shown: Mapping[str, Any]) -> str:
    return read_user_code(str(shown["user_code"]))


async def log_in(screen: ServiceSide, shown: Mapping[str, Any], **changes: Any) -> str:
    """The person's part; the code with which the browser comes back to us at the end."""
    code = await answered(screen, await screen.provider.begin_for_device(typed(shown), screen.federation), **changes)
    await screen.provider.finish_for_device(code)
    return code


async def answered(screen: ServiceSide, request: LoginRequest, **changes: Any) -> str:
    delivery = await screen.answer(request, **changes)
    assert isinstance(delivery, Redirect)
    assert delivery.url.startswith(f"{BASE_URL}/device/finish?code=")
    return delivery.url.partition("=")[2]


async def polled(screen: ServiceSide, shown: Mapping[str, Any]) -> dict[str, Any]:
    answer = await screen.poll(shown["device_code"])
    assert answer.status == 200, answer.body
    return json_of(answer)


def wait(screen: ServiceSide, seconds: float = 5) -> None:
    screen.clock.advance(seconds=seconds)


# --- 3.1, 3.2: the device's request and its answer --------------------------------------------------------------------------


async def test_3_2_the_answer_has_what_the_device_shows_and_what_it_keeps(screen: ServiceSide) -> None:
    answer = await screen.authorize_device()
    shown = json_of(answer)

    assert answer.headers["Cache-Control"] == "no-store"
    assert len(shown["device_code"]) == 43
    assert re.fullmatch(r"[B-Z]{4}-[B-Z]{4}", shown["user_code"])
    assert shown["verification_uri"] == f"{BASE_URL}/device"
    assert shown["verification_uri_complete"] == f"{BASE_URL}/device?user_code={shown['user_code']}"
    assert (shown["expires_in"], shown["interval"]) == (600, 5)


async def test_3_2_no_two_devices_have_the_same_codes(screen: ServiceSide) -> None:
    found = [await started(screen) for _ in range(50)]
    assert len({each["device_code"] for each in found}) == len({each["user_code"] for each in found}) == 50


@pytest.mark.parametrize(
    ("authorization", "error", "status"),
    [
        (basic("rooms", "wrong"), "invalid_client", 401),
        (None, "invalid_client", 401),
        ("Bearer x", "invalid_client", 401),
    ],
)
async def test_3_1_the_client_is_authenticated(
    screen: ServiceSide, authorization: str | None, error: str, status: int
) -> None:
    assert error_of(await screen.authorize_device(authorization), status) == error


async def test_3_1_a_public_client_names_itself(side: ServiceSide) -> None:
    side.register(token_endpoint_auth_method="none", client_secret=None, **SCREEN)
    assert (await side.authorize_device(None, client_id="rooms")).status == 200


async def test_3_1_the_grant_is_for_who_registered_it(side: ServiceSide) -> None:
    assert error_of(await side.authorize_device()) == "unauthorized_client"


@pytest.mark.parametrize("scope", ["", "email", "admin", 'a"b'])
async def test_3_1_a_scope_that_is_no_login_of_openid_connect(screen: ServiceSide, scope: str) -> None:
    assert error_of(await screen.authorize_device(scope=scope)) == "invalid_scope"


async def test_3_1_a_parameter_sent_twice(screen: ServiceSide) -> None:
    asked = screen._asking("/oidc/device_authorization", {"scope": "openid"}, "", {})
    twice = replace(asked, fields=(*asked.fields, ("scope", "openid")))
    assert error_of(await screen.provider.authorize_device(twice, screen.federation)) == "invalid_request"


# --- 3.3: the person ---------------------------------------------------------------------------------------------------------


async def test_3_3_the_code_leads_to_its_service(screen: ServiceSide) -> None:
    shown = await started(screen)
    service = await screen.provider.service_of_device(typed(shown), screen.federation)
    assert service is not None
    assert service.id == "rooms"
    assert await screen.provider.service_of_device("BBBBBBBB", screen.federation) is None


async def test_P6_the_device_gets_nothing_before_the_browser_was_sent_on(screen: ServiceSide) -> None:
    """Which happens only when the login's record is durable."""
    shown = await started(screen)
    code = await answered(screen, await screen.provider.begin_for_device(typed(shown), screen.federation))
    assert error_of(await screen.poll(shown["device_code"])) == "authorization_pending"
    wait(screen)

    await screen.provider.finish_for_device(code)

    assert "access_token" in await polled(screen, shown)


async def test_P2_a_login_is_finished_once_and_within_a_minute(screen: ServiceSide) -> None:
    used = await log_in(screen, await started(screen))
    shown = await started(screen)
    late = await answered(screen, await screen.provider.begin_for_device(typed(shown), screen.federation))
    screen.clock.advance(seconds=60)
    for code in (used, late, "unknown", ""):
        with pytest.raises(DeviceCodeEnded):
            await screen.provider.finish_for_device(code)


async def test_3_3_the_login_asks_what_the_client_registered(side: ServiceSide) -> None:
    side.register(default_max_age=60, default_acr_values=("https://refeds.org/profile/mfa",), **SCREEN)
    request = await side.provider.begin_for_device(typed(await started(side)), side.federation)
    assert request.max_age is not None
    assert request.max_age.total_seconds() == 60
    assert request.requested_contexts == ("https://refeds.org/profile/mfa",)


@pytest.mark.parametrize("lost", [{"grant_types": ("authorization_code",)}, {"client_id": "renamed"}])
async def test_P5_a_registration_that_changed_meanwhile_ends_it(screen: ServiceSide, lost: dict[str, Any]) -> None:
    shown = await started(screen)
    request = await screen.provider.begin_for_device(typed(shown), screen.federation)
    before = screen.federation.services[request.service]
    client = OidcClient(**{**SCREEN, "client_id": "rooms", **lost})
    screen.federation = federation_of(client)
    if "client_id" in lost:
        with pytest.raises(DeviceCodeEnded):
            await screen.provider.begin_for_device(typed(shown), screen.federation)
        return
    changed = replace(before, client=client)
    with pytest.raises(UnregisteredAddress):
        await screen.provider.answer(transaction_of(request), answer_of(request), changed)


async def test_5_4_an_unknown_code_begins_nothing(screen: ServiceSide) -> None:
    with pytest.raises(DeviceCodeEnded):
        await screen.provider.begin_for_device("BBBBBBBB", screen.federation)


async def test_5_4_a_code_serves_one_login(screen: ServiceSide) -> None:
    shown = await started(screen)
    request = await screen.provider.begin_for_device(typed(shown), screen.federation)
    await screen.answer(request)

    with pytest.raises(DeviceCodeEnded):
        await screen.answer(request)
    with pytest.raises(DeviceCodeEnded):
        await screen.provider.begin_for_device(typed(shown), screen.federation)


async def test_5_4_of_two_people_who_log_in_at_once_one_is_the_device_s(screen: ServiceSide) -> None:
    shown = await started(screen)
    requests = [await screen.provider.begin_for_device(typed(shown), screen.federation) for _ in range(2)]
    found = await asyncio.gather(*(screen.answer(each) for each in requests), return_exceptions=True)
    assert [type(each) for each in found if isinstance(each, BaseException)] == [DeviceCodeEnded]


async def test_3_2_a_code_is_good_for_ten_minutes(screen: ServiceSide) -> None:
    shown = await started(screen)
    screen.clock.advance(seconds=599)
    request = await screen.provider.begin_for_device(typed(shown), screen.federation)
    screen.clock.advance(seconds=1)
    with pytest.raises(DeviceCodeEnded):
        await screen.answer(request)


# --- 6.1: codes as people type them -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["BCDF-GHJK", "bcdfghjk", " bcdf ghjk ", "B-C-D-F-G-H-J-K", "bcdf–ghjk"])
def test_6_1_small_letters_spaces_and_hyphens_do_not_matter(text: str) -> None:
    assert read_user_code(text) == "BCDFGHJK"


@pytest.mark.parametrize("text", ["", "BCDF-GHJ", "BCDF-GHJKL", "ACDF-GHJK", "BCDF-GHJ1", "ÅCDF-GHJK", "B" * 100_000])
def test_6_1_what_can_be_no_code(text: str) -> None:
    assert read_user_code(text) == ""


@given(st.text(alphabet="BCDFGHJKLMNPQRSTVWXZ", min_size=8, max_size=8))
def test_6_1_what_is_shown_is_what_is_read(code: str) -> None:
    assert read_user_code(shown_user_code(code)) == read_user_code(shown_user_code(code).lower()) == code


@given(st.text(max_size=40))
def test_6_1_whatever_is_typed_is_a_code_or_none(text: str) -> None:
    assert re.fullmatch(r"|[BCDFGHJKLMNPQRSTVWXZ]{8}", read_user_code(text))


# --- 3.4, 3.5: the device asks until it is answered ---------------------------------------------------------------------------


async def test_3_4_the_device_gets_the_person_s_tokens_once(screen: ServiceSide) -> None:
    shown = await started(screen)
    await log_in(screen, shown)

    answer = await screen.poll(shown["device_code"])

    tokens = json_of(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert (tokens["token_type"], tokens["scope"]) == ("Bearer", "openid email profile")
    claims = screen.id_token(tokens["id_token"])
    assert (claims["sub"], "nonce" in claims) == ("pairwise@ulvila.fi", False)
    userinfo = json_of(await screen.userinfo(f"Bearer {tokens['access_token']}"))
    assert userinfo["sub"] == claims["sub"]
    assert userinfo["email"] == "aino@ulvila.fi"
    wait(screen)
    assert error_of(await screen.poll(shown["device_code"])) == "invalid_grant"


async def test_3_4_only_the_scopes_that_were_asked_for(screen: ServiceSide) -> None:
    shown = await started(screen, scope="openid")
    await log_in(screen, shown)
    tokens = await polled(screen, shown)
    assert set(json_of(await screen.userinfo(f"Bearer {tokens['access_token']}"))) == {"sub"}


async def test_3_5_authorization_pending_until_somebody_logged_in(screen: ServiceSide) -> None:
    shown = await started(screen)
    with capture_logs() as logs:
        assert error_of(await screen.poll(shown["device_code"])) == "authorization_pending"
    # Every device does this a hundred times.
    assert logs == []
    wait(screen)
    await log_in(screen, shown)
    assert "access_token" in await polled(screen, shown)


async def test_3_5_slow_down_makes_every_later_pause_longer(screen: ServiceSide) -> None:
    shown = await started(screen)
    assert error_of(await screen.poll(shown["device_code"])) == "authorization_pending"
    wait(screen, 4)
    assert error_of(await screen.poll(shown["device_code"])) == "slow_down"
    wait(screen, 9)
    assert error_of(await screen.poll(shown["device_code"])) == "slow_down"
    wait(screen, 15)
    assert error_of(await screen.poll(shown["device_code"])) == "authorization_pending"


async def test_3_5_who_is_too_quick_loses_no_login(screen: ServiceSide) -> None:
    shown = await started(screen)
    await screen.poll(shown["device_code"])
    await log_in(screen, shown)
    assert error_of(await screen.poll(shown["device_code"])) == "slow_down"
    wait(screen, 10)
    assert "access_token" in await polled(screen, shown)


async def test_3_5_expired_token_when_nobody_logged_in_in_time(screen: ServiceSide) -> None:
    shown = await started(screen)
    screen.clock.advance(minutes=10)
    assert error_of(await screen.poll(shown["device_code"])) == "expired_token"


async def test_3_5_a_login_in_the_last_second_is_handed_over_after_it(screen: ServiceSide) -> None:
    shown = await started(screen)
    screen.clock.advance(seconds=599)
    await log_in(screen, shown)
    wait(screen, 4)
    assert "access_token" in await polled(screen, shown)


async def test_3_5_access_denied_when_the_login_was_refused(screen: ServiceSide) -> None:
    shown = await started(screen)
    request = await screen.provider.begin_for_device(typed(shown), screen.federation)
    service = screen.federation.services[request.service]

    delivery = await screen.provider.refuse(transaction_of(request), NoAgreement("none"), service)

    assert isinstance(delivery, Redirect)
    assert delivery.url == f"{BASE_URL}/device/refused"
    with capture_logs() as logs:
        assert error_of(await screen.poll(shown["device_code"])) == "access_denied"
    assert [each["reason"] for each in logs] == ["oidc_device_refused"]
    wait(screen)
    assert error_of(await screen.poll(shown["device_code"])) == "invalid_grant"


@pytest.mark.parametrize("code", ["unknown", "x" * 4_000])
async def test_3_5_an_unknown_device_code(screen: ServiceSide, code: str) -> None:
    assert error_of(await screen.poll(code)) == "invalid_grant"


async def test_3_4_no_device_code_at_all(screen: ServiceSide) -> None:
    assert error_of(await screen.poll("")) == "invalid_request"


async def test_5_2_the_code_that_people_see_is_no_device_code(screen: ServiceSide) -> None:
    shown = await started(screen)
    await log_in(screen, shown)
    for each in (shown["user_code"], typed(shown)):
        assert error_of(await screen.poll(each)) == "invalid_grant"


async def test_3_4_another_client_gets_nothing_and_harms_nobody(screen: ServiceSide) -> None:
    screen.federation = federation_of(replace(ROOMS_CLIENT, **SCREEN), replace(OTHER_CLIENT, **SCREEN))
    shown = await started(screen)
    await log_in(screen, shown)
    other = basic("other", "other secret")
    assert error_of(await screen.poll(shown["device_code"], other)) == "invalid_grant"
    assert "access_token" in await polled(screen, shown)


async def test_3_4_of_twenty_who_ask_at_once_one_gets_tokens(screen: ServiceSide) -> None:
    shown = await started(screen)
    await log_in(screen, shown)
    answers: list[HttpAnswer] = await asyncio.gather(*(screen.poll(shown["device_code"]) for _ in range(20)))
    assert sum(each.status == 200 for each in answers) == 1


async def test_3_4_the_grant_has_to_be_registered_still(screen: ServiceSide) -> None:
    shown = await started(screen)
    await log_in(screen, shown)
    screen.register()
    assert error_of(await screen.poll(shown["device_code"])) == "unauthorized_client"


async def test_rfc9449_5_a_device_s_tokens_are_bound_to_its_key(side: ServiceSide) -> None:
    side.register(grant_types=(GRANT, "authorization_code"), dpop_bound_access_tokens=True)
    await side.prove()
    shown = await started(side)
    await log_in(side, shown)
    tokens = await polled(side, shown)
    assert tokens["token_type"] == "DPoP"
    assert error_of(await side.userinfo(f"Bearer {tokens['access_token']}"), 401) == "invalid_token"


async def test_rfc6749_6_a_device_stays_logged_in_by_its_refresh_token(side: ServiceSide) -> None:
    side.register(grant_types=(GRANT, "refresh_token"), redirect_uris=())
    shown = await started(side)
    await log_in(side, shown)
    tokens = await polled(side, shown)
    assert "access_token" in await side.refreshed(tokens["refresh_token"])
