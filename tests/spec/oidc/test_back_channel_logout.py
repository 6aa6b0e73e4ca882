"""OpenID Connect Back-Channel Logout 1.0: a city tells that a session with it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.errors import AuditUnavailable, HomeAnswerInvalid
from broker.federation.model import Federation, IdentityProviderId
from broker.oidc.errors import LogoutTokenInvalid, UnknownKey
from broker.oidc.home_sessions import HomeSessions, names
from broker.oidc.op.device import read_user_code
from broker.oidc.rp.back_channel_logout import BackChannelLogout
from tests.unit.oidc.parties import (
    CITY_CLIENT_ID,
    CITY_ID,
    EC_KEY,
    FOREIGN_KEY,
    NOW,
    CitySide,
    MemoryAudit,
    MemoryGrants,
    MemoryReplay,
    ServiceSide,
    error_of,
    federation_of,
    fields_of,
    json_of,
    public_jwk,
)

EVENT = "http://schemas.openid.net/event/backchannel-logout"
SECONDS = int(NOW.timestamp())


class Receiving:
    """The broker where cities tell of logouts, and the city."""

    def __init__(self, home: CitySide) -> None:
        self.home = home
        self.clock = home.city.clock
        self.audit = MemoryAudit()
        self.grants = MemoryGrants(self.clock)
        self.sessions = HomeSessions(self.grants, self.clock)
        idp = home.city.identity_provider()
        self.federation: Federation = replace(federation_of(), identity_providers={idp.id: idp})
        self.party = BackChannelLogout(
            providers=home.party.providers,
            sessions=self.sessions,
            replay=MemoryReplay(self.clock),
            audit=self.audit,
            clock=self.clock,
            clock_skew=timedelta(seconds=60),
        )

    def claims(self, **changes: Any) -> dict[str, Any]:
        """A good token's, changed; None leaves a claim out."""
        good = {
            "iss": self.home.city.issuer,
            "aud": CITY_CLIENT_ID,
            "iat": SECONDS,
            "exp": SECONDS + 120,
            "jti": "j-1",
            "sid": "s-1",
            "sub": "sub-1",
            "events": {EVENT: {}},
        }
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def token(self, **changes: Any) -> str:
        return self.home.city.sign(self.claims(**changes), typ="logout+jwt")

    async def receive(self, token: str, **more: str) -> None:
        await self.party.receive({"logout_token": token, **more}, self.federation)

    async def ended(self, session: Mapping[str, str]) -> bool:
        return await self.sessions.has_ended(names(CITY_ID, session), NOW - timedelta(minutes=5))


@pytest.fixture
def receiving(home: CitySide) -> Receiving:
    return Receiving(home)


# --- 2.4, 2.7: what ends ------------------------------------------------------------------------------------------------------


async def test_2_4_sid_ends_that_session_alone(receiving: Receiving) -> None:
    await receiving.receive(receiving.token())
    assert await receiving.ended({"sid": "s-1", "sub": "sub-1"})
    assert not await receiving.ended({"sid": "s-2", "sub": "sub-1"})


async def test_2_4_sub_alone_ends_every_session_of_the_person(receiving: Receiving) -> None:
    await receiving.receive(receiving.token(sid=None))
    assert await receiving.ended({"sid": "s-2", "sub": "sub-1"})
    assert await receiving.ended({"sub": "sub-1"})
    assert not await receiving.ended({"sid": "s-1", "sub": "sub-2"})


async def test_2_4_sid_is_enough(receiving: Receiving) -> None:
    await receiving.receive(receiving.token(sub=None))
    assert await receiving.ended({"sid": "s-1", "sub": "sub-1"})


async def test_a_city_ends_no_session_of_another(receiving: Receiving) -> None:
    await receiving.receive(receiving.token(sid=None))
    theirs = names(IdentityProviderId("pori-oidc"), {"sid": "s-1", "sub": "sub-1"})
    assert not await receiving.sessions.has_ended(theirs, NOW - timedelta(minutes=5))


async def test_a_login_after_it_lives(receiving: Receiving) -> None:
    await receiving.receive(receiving.token(sid=None))
    assert not await receiving.sessions.has_ended(names(CITY_ID, {"sub": "sub-1"}), NOW + timedelta(seconds=1))


async def test_P6_it_is_recorded(receiving: Receiving) -> None:
    await receiving.receive(receiving.token())
    [event] = receiving.audit.events
    assert (event.kind, event.identity_provider) == ("home.logged_out", CITY_ID)
    assert "sub-1" not in repr(event)
    receiving.audit.down = True
    with pytest.raises(AuditUnavailable):
        await receiving.receive(receiving.token(jti="j-2"))


def test_P7_the_store_does_not_show_whose_session_it_was() -> None:
    assert not {"sub-1", "s-1"} & {*names(CITY_ID, {"sub": "sub-1", "sid": "s-1"})}


# --- 2.6: what is refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        pytest.param({"iss": "https://evil.example"}, "iss", id="another_issuer"),
        pytest.param({"iss": None}, "iss", id="no_issuer"),
        pytest.param({"iss": ["x"]}, "iss", id="issuer_is_a_list"),
        pytest.param({"aud": "somebody else"}, "aud", id="another_audience"),
        pytest.param({"aud": None}, "aud", id="no_audience"),
        pytest.param({"aud": [CITY_CLIENT_ID, "other"]}, "aud", id="an_audience_that_we_do_not_trust"),
        pytest.param({"events": None}, "events", id="no_event"),
        pytest.param({"events": {}}, "events", id="no_event_in_events"),
        pytest.param({"events": {"http://schemas.openid.net/event/other": {}}}, "events", id="another_event"),
        pytest.param({"events": {EVENT: True}}, "events", id="event_is_no_object"),
        pytest.param({"events": [EVENT]}, "events", id="events_is_a_list"),
        pytest.param({"nonce": "n-1"}, "nonce", id="nonce"),
        pytest.param({"nonce": ""}, "nonce", id="empty_nonce"),
        pytest.param({"sid": None, "sub": None}, "sid", id="neither_sid_nor_sub"),
        pytest.param({"sid": 1}, "sid", id="sid_is_a_number"),
        pytest.param({"sub": ""}, "sub", id="empty_sub"),
        pytest.param({"sid": "x" * 513}, "sid", id="sid_too_long"),
        pytest.param({"jti": None}, "jti", id="no_jti"),
        pytest.param({"iat": None}, "iat", id="no_iat"),
        pytest.param({"iat": SECONDS - 661}, "iat", id="iat_long_ago"),
        pytest.param({"iat": SECONDS + 61}, "iat", id="iat_in_the_future"),
        pytest.param({"iat": "now"}, "form", id="iat_is_text"),
        pytest.param({"exp": SECONDS - 60}, "exp", id="expired"),
    ],
)
async def test_2_6_a_wrong_claim(receiving: Receiving, changes: dict[str, Any], check: str) -> None:
    with pytest.raises(LogoutTokenInvalid) as caught:
        await receiving.receive(receiving.token(**changes))
    assert caught.value.context["check"] == check
    assert receiving.audit.events == []
    assert receiving.grants.records == {}


async def test_2_6_a_token_without_exp_is_held_to_iat(receiving: Receiving) -> None:
    await receiving.receive(receiving.token(exp=None))
    assert len(receiving.audit.events) == 1


@pytest.mark.parametrize("typ", ["JWT", "logout+jwt", "LOGOUT+JWT"])
async def test_2_4_types_that_are_taken(receiving: Receiving, typ: str) -> None:
    await receiving.receive(receiving.home.city.sign(receiving.claims(), typ=typ))
    assert len(receiving.audit.events) == 1


@pytest.mark.parametrize("typ", ["at+jwt", "secevent+jwt", "dpop+jwt"])
async def test_rfc8725_3_11_another_kind_of_token(receiving: Receiving, typ: str) -> None:
    with pytest.raises(LogoutTokenInvalid):
        await receiving.receive(receiving.home.city.sign(receiving.claims(), typ=typ))


async def test_2_6_an_id_token_is_no_logout_token(receiving: Receiving) -> None:
    with pytest.raises(LogoutTokenInvalid):
        await receiving.receive(receiving.home.city.sign(receiving.home.city.good_claims("n-1")))


async def test_2_6_alg_none_and_hmac_by_the_public_key(receiving: Receiving) -> None:
    for token in (
        receiving.home.city.sign(receiving.claims(), None, "none"),
        receiving.home.city.sign(receiving.claims(), b"s" * 64, "HS256"),
    ):
        with pytest.raises(LogoutTokenInvalid):
            await receiving.receive(token)


async def test_2_6_a_foreign_signature(receiving: Receiving) -> None:
    with pytest.raises(LogoutTokenInvalid):
        await receiving.receive(receiving.home.city.sign(receiving.claims(), FOREIGN_KEY))
    with pytest.raises(UnknownKey):
        await receiving.receive(receiving.home.city.sign(receiving.claims(), FOREIGN_KEY, "RS256", kid="k9"))


async def test_core_10_1_1_newer_keys_are_asked_for(receiving: Receiving) -> None:
    await receiving.receive(receiving.token())
    receiving.home.city.jwks.append(public_jwk(EC_KEY, kid="k2"))
    receiving.clock.advance(seconds=31)
    await receiving.receive(receiving.home.city.sign(receiving.claims(jti="j-2"), EC_KEY, "ES256", kid="k2"))
    assert len(receiving.audit.events) == 2


async def test_2_6_8_it_is_taken_once(receiving: Receiving) -> None:
    token = receiving.token()
    await receiving.receive(token)
    for later in (0, 300, 599):
        receiving.clock.now = NOW + timedelta(seconds=later)
        with pytest.raises(LogoutTokenInvalid):
            await receiving.receive(token)
    assert len(receiving.audit.events) == 1


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "x" * 20_000, "." * 16_000])
async def test_2_6_what_is_no_token_asks_no_city(receiving: Receiving, token: str) -> None:
    with pytest.raises(HomeAnswerInvalid):
        await receiving.receive(token)
    assert receiving.home.city.asked == []


# --- what ends with the session --------------------------------------------------------------------------------------------------------

SESSION = {"sid": "s-1", "sub": "sub-1", "id_token": "e30"}


async def tokens_of(side: ServiceSide) -> dict[str, Any]:
    answer = await side.answer(await side.begin(), session=SESSION)
    return json_of(await side.exchange(fields_of(answer)["code"]))


@pytest.mark.parametrize("ended", [{"sid": "s-1"}, {"sub": "sub-1"}])
async def test_2_7_a_session_that_ended_refreshes_nothing(refreshing: ServiceSide, ended: dict[str, str]) -> None:
    tokens = await tokens_of(refreshing)
    refreshing.clock.advance(minutes=1)
    await HomeSessions(refreshing.grants, refreshing.clock).end(CITY_ID, ended)

    assert error_of(await refreshing.refresh(tokens["refresh_token"])) == "invalid_grant"

    assert not await refreshing.is_active(tokens["access_token"])
    [event] = refreshing.audit.events
    assert (event.kind, event.reason) == ("token.refresh_refused", "home_session_ended")


async def test_2_7_nor_does_a_device_get_a_login_of_it(side: ServiceSide) -> None:
    side.register(grant_types=("urn:ietf:params:oauth:grant-type:device_code",), redirect_uris=())
    shown = json_of(await side.authorize_device())
    request = await side.provider.begin_for_device(read_user_code(shown["user_code"]), side.federation)
    sent = await side.answer(request, session=SESSION)
    await side.provider.finish_for_device(fields_of(sent)["code"])
    await HomeSessions(side.grants, side.clock).end(CITY_ID, {"sid": "s-1"})
    assert error_of(await side.poll(shown["device_code"])) == "invalid_grant"


async def test_2_7_another_session_goes_on(refreshing: ServiceSide) -> None:
    tokens = await tokens_of(refreshing)
    sessions = HomeSessions(refreshing.grants, refreshing.clock)
    await sessions.end(CITY_ID, {"sid": "s-2", "sub": "sub-1"})
    await sessions.end(CITY_ID, {"sub": "sub-2"})
    await refreshing.refreshed(tokens["refresh_token"])


async def test_2_7_a_login_after_the_end_goes_on(refreshing: ServiceSide) -> None:
    await HomeSessions(refreshing.grants, refreshing.clock).end(CITY_ID, {"sub": "sub-1"})
    refreshing.clock.advance(seconds=1)
    tokens = await tokens_of(refreshing)
    await refreshing.refreshed(tokens["refresh_token"])
