"""RFC 6749 1.5 and 6, RFC 9700 4.14, OpenID Connect Core 11 and 12: refresh tokens."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from broker.errors import AuditUnavailable
from broker.federation.model import OrganisationId
from tests.unit.oidc.parties import (
    NOW,
    OTHER_CLIENT,
    REFRESHING,
    ROOMS_CLIENT,
    ServiceSide,
    answer_of,
    basic,
    error_of,
    federation_of,
    fields_of,
    json_of,
    transaction_of,
)

# --- who gets one, and for how long -------------------------------------------------------------------------------------


async def test_rfc6749_5_1_a_registered_client_gets_one_beside_the_access_token(refreshing: ServiceSide) -> None:
    tokens = await refreshing.tokens()
    assert len(tokens["refresh_token"]) == 43
    assert tokens["refresh_token"] != tokens["access_token"]


async def test_rfc6749_5_1_who_did_not_register_the_grant_gets_none(side: ServiceSide) -> None:
    assert "refresh_token" not in await side.tokens()


@pytest.mark.parametrize(("registered", "scope"), [(True, "openid offline_access"), (False, "openid")])
async def test_core_11_offline_access_is_granted_to_who_may_refresh(
    side: ServiceSide, registered: bool, scope: str
) -> None:
    if registered:
        side.register(grant_types=REFRESHING)
    assert (await side.tokens(scope="openid offline_access"))["scope"] == scope


async def test_it_lasts_for_twelve_hours_after_the_login_however_often_it_is_used(refreshing: ServiceSide) -> None:
    token = (await refreshing.tokens())["refresh_token"]
    for _ in range(11):
        refreshing.clock.advance(hours=1)
        token = (await refreshing.refreshed(token))["refresh_token"]
    refreshing.clock.advance(minutes=59)
    token = (await refreshing.refreshed(token))["refresh_token"]
    refreshing.clock.advance(minutes=1)
    assert error_of(await refreshing.refresh(token)) == "invalid_grant"


async def test_it_ends_with_the_city_s_session(refreshing: ServiceSide) -> None:
    answer = await refreshing.answer(await refreshing.begin(), session_ends=NOW + timedelta(hours=1))
    tokens = json_of(await refreshing.exchange(fields_of(answer)["code"]))
    refreshing.clock.advance(minutes=59)
    token = (await refreshing.refreshed(tokens["refresh_token"]))["refresh_token"]
    refreshing.clock.advance(minutes=1)
    assert error_of(await refreshing.refresh(token)) == "invalid_grant"


async def test_a_session_of_the_city_that_has_ended_gives_none(refreshing: ServiceSide) -> None:
    answer = await refreshing.answer(await refreshing.begin(), session_ends=NOW)
    assert "refresh_token" not in json_of(await refreshing.exchange(fields_of(answer)["code"]))


# --- 6: refreshing ------------------------------------------------------------------------------------------------------


async def test_rfc6749_6_it_gives_new_tokens_of_the_same_scope(refreshing: ServiceSide) -> None:
    first = await refreshing.tokens()
    refreshing.clock.advance(minutes=11)

    second = await refreshing.refreshed(first["refresh_token"])

    assert second["scope"] == first["scope"]
    assert not {second["access_token"], second["refresh_token"]} & {first["access_token"], first["refresh_token"]}
    assert await refreshing.is_active(second["access_token"])


async def test_core_12_2_the_id_token_says_the_same_of_the_login_and_has_no_nonce(refreshing: ServiceSide) -> None:
    first = await refreshing.tokens()
    refreshing.clock.advance(minutes=11)
    second = await refreshing.refreshed(first["refresh_token"])

    before, after = (refreshing.id_token(each["id_token"]) for each in (first, second))

    assert "nonce" not in after
    for name in ("iss", "sub", "aud", "auth_time", "acr", "amr"):
        assert after[name] == before[name]
    assert after["iat"] == before["iat"] + 660
    assert after["at_hash"] != before["at_hash"]


@pytest.mark.parametrize(
    ("scope", "error"),
    [
        ("openid email profile", None),
        ("profile email openid", None),
        ("openid email profile affiliation", "invalid_scope"),
        ("openid", "invalid_scope"),
        ("admin", "invalid_scope"),
    ],
)
async def test_rfc6749_6_scope_is_what_was_granted(refreshing: ServiceSide, scope: str, error: str | None) -> None:
    token = (await refreshing.tokens())["refresh_token"]
    answer = await refreshing.refresh(token, scope=scope)
    if error is None:
        assert answer.status == 200
        return
    assert error_of(answer) == error
    # A wrong question does not use the token up.
    await refreshing.refreshed(token)


@pytest.mark.parametrize("token", ["unknown", "x" * 4000])
async def test_rfc6749_5_2_an_unknown_one(refreshing: ServiceSide, token: str) -> None:
    assert error_of(await refreshing.refresh(token)) == "invalid_grant"


async def test_rfc6749_5_2_none_at_all(refreshing: ServiceSide) -> None:
    assert error_of(await refreshing.refresh("")) == "invalid_request"


async def test_an_access_token_or_a_code_is_none(refreshing: ServiceSide) -> None:
    tokens = await refreshing.tokens()
    for wrong in (tokens["access_token"], await refreshing.code()):
        assert error_of(await refreshing.refresh(wrong)) == "invalid_grant"


# --- 10.4: whose it is ----------------------------------------------------------------------------------------------------


async def test_rfc6749_10_4_another_client_s_try_is_refused_and_harms_nobody(refreshing: ServiceSide) -> None:
    token = (await refreshing.tokens())["refresh_token"]
    rooms = replace(ROOMS_CLIENT, grant_types=REFRESHING)
    refreshing.federation = federation_of(rooms, replace(OTHER_CLIENT, grant_types=REFRESHING))
    assert error_of(await refreshing.refresh(token, basic("other", "other secret"))) == "invalid_grant"
    await refreshing.refreshed(token)


async def test_rfc6749_6_the_client_is_authenticated(refreshing: ServiceSide) -> None:
    token = (await refreshing.tokens())["refresh_token"]
    assert error_of(await refreshing.refresh(token, basic("rooms", "wrong")), 401) == "invalid_client"
    assert error_of(await refreshing.refresh(token, None), 401) == "invalid_client"
    await refreshing.refreshed(token)


async def test_a_client_whose_registration_lost_the_grant(refreshing: ServiceSide) -> None:
    token = (await refreshing.tokens())["refresh_token"]
    refreshing.register()
    assert error_of(await refreshing.refresh(token)) == "unauthorized_client"


async def test_a_public_client_refreshes_by_rotation_alone(side: ServiceSide) -> None:
    side.register(grant_types=REFRESHING, token_endpoint_auth_method="none", client_secret=None)
    answer = await side.exchange(await side.code(), None, client_id="rooms")
    token = json_of(answer)["refresh_token"]
    assert (await side.refresh(token, None, client_id="rooms")).status == 200


# --- RFC 9700 4.14.2: rotation, and reuse that ends the family --------------------------------------------------------------


async def test_rfc9700_4_14_2_a_used_one_that_comes_again_ends_the_family(refreshing: ServiceSide) -> None:
    first = await refreshing.tokens()
    second = await refreshing.refreshed(first["refresh_token"])

    with capture_logs() as logs:
        assert error_of(await refreshing.refresh(first["refresh_token"])) == "invalid_grant"

    assert error_of(await refreshing.refresh(second["refresh_token"])) == "invalid_grant"
    for each in (first, second):
        assert not await refreshing.is_active(each["access_token"])
    assert [each["service"] for each in logs if each["event"] == "oidc.refresh_token.reused"] == ["rooms"]


async def test_rfc9700_4_14_2_another_login_s_family_lives_on(refreshing: ServiceSide) -> None:
    stolen, other = await refreshing.tokens(), await refreshing.tokens()
    await refreshing.refreshed(stolen["refresh_token"])
    await refreshing.refresh(stolen["refresh_token"])
    await refreshing.refreshed(other["refresh_token"])


async def test_of_twenty_at_once_one_gets_tokens(refreshing: ServiceSide) -> None:
    token = (await refreshing.tokens())["refresh_token"]
    answers = await asyncio.gather(*(refreshing.refresh(token) for _ in range(20)))
    assert sum(each.status == 200 for each in answers) <= 1


async def test_rfc6749_4_1_2_a_code_that_comes_twice_ends_the_family(refreshing: ServiceSide) -> None:
    code = await refreshing.code()
    tokens = json_of(await refreshing.exchange(code))
    second = await refreshing.refreshed(tokens["refresh_token"])

    assert error_of(await refreshing.exchange(code)) == "invalid_grant"

    assert error_of(await refreshing.refresh(second["refresh_token"])) == "invalid_grant"
    assert not await refreshing.is_active(second["access_token"])


# --- what the federation says now -----------------------------------------------------------------------------------------


async def test_P4_who_may_no_longer_reach_the_service_is_not_refreshed(refreshing: ServiceSide) -> None:
    answer = await refreshing.answer(await refreshing.begin(), organisation=OrganisationId("stranger"))
    tokens = json_of(await refreshing.exchange(fields_of(answer)["code"]))

    assert error_of(await refreshing.refresh(tokens["refresh_token"])) == "invalid_grant"

    assert not await refreshing.is_active(tokens["access_token"])


# --- P6: what is recorded --------------------------------------------------------------------------------------------------


async def test_P6_each_refresh_is_recorded_with_the_login_s_reference_code(refreshing: ServiceSide) -> None:
    request = await refreshing.begin()
    transaction = transaction_of(request)
    service = refreshing.federation.services[request.service]
    answer = await refreshing.provider.answer(transaction, answer_of(request), service)
    tokens = json_of(await refreshing.exchange(fields_of(answer)["code"]))

    await refreshing.refreshed((await refreshing.refreshed(tokens["refresh_token"]))["refresh_token"])

    for event in refreshing.audit.events:
        assert (event.kind, event.service, event.organisation) == ("token.refreshed", "rooms", "ulvila")
        assert event.reference == transaction.reference
    assert len(refreshing.audit.events) == 2


async def test_P6_a_refresh_without_a_record_gives_nothing(refreshing: ServiceSide) -> None:
    token = (await refreshing.tokens())["refresh_token"]
    refreshing.audit.down = True
    with pytest.raises(AuditUnavailable):
        await refreshing.refresh(token)
