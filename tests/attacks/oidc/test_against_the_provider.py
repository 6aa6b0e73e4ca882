"""Attacks on the broker as an OpenID Provider: stolen codes, addresses that look alike, downgrades, floods."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.errors import Fault, UnknownService, UnregisteredAddress
from broker.login.edges import RefusedRequest
from broker.oidc.errors import InvalidRequest, PkceRequired
from broker.oidc.op import reply
from broker.oidc.op.http import ClientRequest, HttpAnswer
from tests.unit.oidc.parties import (
    REDIRECT_URI,
    SECRET,
    VERIFIER,
    ServiceSide,
    basic,
    json_of,
    request_pairs,
)


def error_of(answer: HttpAnswer) -> str:
    assert answer.status in (400, 401)
    return str(json_of(answer)["error"])


# --- codes ------------------------------------------------------------------------------------------------------------


async def test_a_code_that_is_used_again_ends_the_tokens_that_were_issued_for_it(side: ServiceSide) -> None:
    """RFC 6749 4.1.2, RFC 9700 4.5: one of the two who brought it has stolen it."""
    code = await side.code()
    token = json_of(await side.exchange(code))["access_token"]
    assert (await side.userinfo(f"Bearer {token}")).status == 200

    side.clock.advance(seconds=30)
    assert error_of(await side.exchange(code)) == "invalid_grant"

    assert (await side.userinfo(f"Bearer {token}")).status == 401


async def test_a_thief_who_uses_a_spent_code_ends_its_tokens_too(side: ServiceSide) -> None:
    code = await side.code()
    token = json_of(await side.exchange(code))["access_token"]
    assert error_of(await side.exchange(code, basic("other", "other secret"))) == "invalid_grant"
    assert (await side.userinfo(f"Bearer {token}")).status == 401


async def test_of_many_who_bring_a_code_at_once_one_gets_tokens(side: ServiceSide) -> None:
    code = await side.code()
    answers = await asyncio.gather(*(side.exchange(code) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [200] + [400] * 19


async def test_code_injection_another_client_cannot_use_the_code_and_nobody_can_afterwards(side: ServiceSide) -> None:
    code = await side.code()
    stolen = await side.exchange(code, basic("other", "other secret"))
    assert error_of(stolen) == "invalid_grant"
    assert error_of(await side.exchange(code)) == "invalid_grant"


async def test_guessing_the_verifier_has_one_try(side: ServiceSide) -> None:
    code = await side.code()
    assert error_of(await side.exchange(code, code_verifier="w" * 43)) == "invalid_grant"
    assert error_of(await side.exchange(code, code_verifier=VERIFIER)) == "invalid_grant"


async def test_P7_no_secret_lies_in_the_grant_store_in_the_clear(side: ServiceSide) -> None:
    code = await side.code()
    token = json_of(await side.exchange(code))["access_token"]
    values = b"".join(value for value, _ in side.grants.records.values())
    assert token.encode() not in values
    assert code.encode() not in values
    # What a spent code remembers opens nothing.
    spent = side.grants.records["spent_code", code][0].decode()
    assert (await side.userinfo(f"Bearer {spent}")).status == 401


# --- PKCE downgrade ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [None, "plain", "s256", "S512"])
async def test_pkce_downgrade_to_plain_is_refused(side: ServiceSide, method: str | None) -> None:
    with pytest.raises(RefusedRequest) as caught:
        await side.begin(code_challenge_method=method)
    assert isinstance(caught.value.fault, PkceRequired)


@pytest.mark.parametrize(
    "registered", [{"require_pkce": True}, {"token_endpoint_auth_method": "none", "client_secret": None}]
)
async def test_pkce_downgrade_by_leaving_it_out_is_refused_where_it_is_required(
    side: ServiceSide, registered: dict[str, Any]
) -> None:
    side.register(**registered)
    with pytest.raises(RefusedRequest) as caught:
        await side.begin(code_challenge=None, code_challenge_method=None)
    assert isinstance(caught.value.fault, PkceRequired)


async def test_pkce_downgrade_by_stripping_the_challenge_on_its_way_is_noticed(side: ServiceSide) -> None:
    """RFC 9700 4.8.2: the client sends its verifier, and no challenge came."""
    code = await side.code(code_challenge=None, code_challenge_method=None)
    assert error_of(await side.exchange(code)) == "invalid_grant"


@pytest.mark.parametrize("challenge", ["c" * 42, "c" * 44, "c" * 42 + "=", "c" * 43 + "\n", "ä" * 43])
async def test_a_challenge_that_s256_never_makes_is_refused(side: ServiceSide, challenge: str) -> None:
    with pytest.raises(RefusedRequest) as caught:
        await side.begin(code_challenge=challenge)
    assert isinstance(caught.value.fault, InvalidRequest)


# --- redirect URIs ----------------------------------------------------------------------------------------------------

LOOKALIKES = [
    "https://rooms.example/callback/",
    "https://rooms.example/callback/../evil",
    "https://rooms.example/callback/evil",
    "https://rooms.example/callbackevil",
    "https://rooms.example/callbac",
    "https://rooms.example/Callback",
    "https://ROOMS.example/callback",
    "HTTPS://rooms.example/callback",
    "http://rooms.example/callback",
    "https://rooms.example:443/callback",
    "https://rooms.example:8443/callback",
    "https://user@rooms.example/callback",
    "https://rooms.example@evil.example/callback",
    "https://rooms.example.evil.example/callback",
    "https://evil.example/https://rooms.example/callback",
    "https://rooms.example/callback?x=1",
    "https://rooms.example/callback?",
    "https://rooms.example/callback#",
    "https://rooms.example/callback#fragment",
    "https://rooms.example/callback%00",
    "https://rooms.example/%63allback",
    "https://rooms.example/callback\n",
    " https://rooms.example/callback",
    "https://rooms.example//callback",
    "https://rооms.example/callback",
    "javascript:alert(1)",
    "https://other.example/cb",
]


@pytest.mark.parametrize("address", LOOKALIKES)
async def test_P5_an_address_that_is_not_exactly_registered_gets_nothing_not_even_an_error(
    side: ServiceSide, address: str
) -> None:
    for changes in ({}, {"scope": "nonsense"}, {"prompt": "none login"}):
        with pytest.raises(UnregisteredAddress):
            await side.begin(**{"redirect_uri": address, **changes})


async def test_P5_a_loopback_address_is_compared_with_its_port(side: ServiceSide) -> None:
    side.register(redirect_uris=("http://127.0.0.1:8081/callback",))
    with pytest.raises(UnregisteredAddress):
        await side.begin(redirect_uri="http://127.0.0.1:8082/callback")


@pytest.mark.parametrize("address", LOOKALIKES)
async def test_P5_the_code_is_for_the_address_that_it_was_sent_to(side: ServiceSide, address: str) -> None:
    side.register(redirect_uris=(REDIRECT_URI, address))
    assert error_of(await side.exchange(await side.code(), redirect_uri=address)) == "invalid_grant"


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("client_id", UnknownService),
        ("redirect_uri", UnregisteredAddress),
    ],
)
async def test_a_repeated_client_or_address_is_answered_by_a_page(
    side: ServiceSide, name: str, fault: type[Fault]
) -> None:
    pairs = request_pairs()
    with pytest.raises(fault):
        await side.begin([*pairs, next(pair for pair in pairs if pair[0] == name)])


@pytest.mark.parametrize("name", ["state", "nonce", "scope", "response_type", "code_challenge", "prompt", "extra"])
async def test_rfc6749_3_1_a_repeated_parameter_is_an_invalid_request(side: ServiceSide, name: str) -> None:
    with pytest.raises(RefusedRequest) as caught:
        await side.begin([*request_pairs(), (name, "a"), (name, "b")])
    assert isinstance(caught.value.fault, InvalidRequest)
    if name == "state":
        assert reply.read(caught.value.request.reply).state is None


@pytest.mark.parametrize(
    "name", ["state", "nonce", "scope", "login_hint", "acr_values", "claims", "id_token_hint", "x"]
)
async def test_an_oversized_parameter_is_refused_and_neither_cut_nor_kept(side: ServiceSide, name: str) -> None:
    with pytest.raises(RefusedRequest) as caught:
        await side.begin(**{name: "x" * 100_000})
    assert isinstance(caught.value.fault, InvalidRequest)
    assert sum(len(text) for text in caught.value.request.reply.values()) < 1000


async def test_a_long_state_and_nonce_are_kept_whole(side: ServiceSide) -> None:
    asked = reply.read((await side.begin(state="s" * 4096, nonce="n" * 384)).reply)
    assert asked.state == "s" * 4096
    assert asked.nonce == "n" * 384


@pytest.mark.parametrize("name", ["client_id", "state", "scope"])
async def test_text_that_is_not_unicode_is_answered_by_a_page(side: ServiceSide, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await side.begin(**{name: "a\udcff"})


@pytest.mark.parametrize("field", ["code", "client_secret", "redirect_uri", "grant_type", "extra"])
async def test_repeated_oversized_and_broken_fields_at_the_token_endpoint(side: ServiceSide, field: str) -> None:
    header = basic("rooms", SECRET)
    good = [("grant_type", "authorization_code"), ("code", "c"), ("redirect_uri", REDIRECT_URI)]
    for bad in ([(field, "a"), (field, "a")], [(field, "x" * 100_000)], [(field, "\udcff")]):
        fields = tuple([pair for pair in good if pair[0] != field] + bad)
        request = ClientRequest(authorization=header, fields=fields)
        assert error_of(await side.provider.token(request, side.federation)) == "invalid_request"


@given(
    pairs=st.lists(
        st.tuples(
            st.sampled_from(
                [name for name, _ in request_pairs()] + ["claims", "prompt", "max_age", "id_token_hint", "x"]
            ),
            st.one_of(st.text(max_size=30), st.sampled_from([value for _, value in request_pairs()])),
        ),
        max_size=12,
    )
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_P5_whatever_comes_is_read_or_refused_and_only_the_registered_address_is_ever_answered(
    side: ServiceSide, pairs: list[tuple[str, str]]
) -> None:
    try:
        told = await side.begin(pairs)
    except RefusedRequest as refused:
        told = refused.request
    except (UnknownService, UnregisteredAddress, InvalidRequest):
        return
    assert told.reply["redirect_uri"] == REDIRECT_URI


@given(authorization=st.one_of(st.none(), st.text(max_size=40), st.text(max_size=40).map(lambda text: "Basic " + text)))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_the_authorization_header_opens_nothing(
    side: ServiceSide, authorization: str | None
) -> None:
    request = ClientRequest(authorization=authorization, fields=(("grant_type", "authorization_code"), ("code", "c")))
    assert asyncio.run(side.provider.token(request, side.federation)).status in (400, 401)
    assert asyncio.run(side.provider.userinfo(ClientRequest(authorization=authorization), side.federation)).status in (
        400,
        401,
    )
