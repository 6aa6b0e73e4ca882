"""RFC 6749 4.1.2, RFC 9207 and OAuth 2.0 Form Post Response Mode: what goes back to the service."""

from __future__ import annotations

from datetime import timedelta

import pytest

from broker.errors import Fault, NoAgreement, NoPassive, StateUnavailable, UnregisteredAddress
from broker.login.edges import Delivery, FormPost, Redirect, RefusedRequest
from broker.login.request import LoginRequest
from broker.oidc.op.grants import CODE, CODE_LIFETIME
from tests.unit.oidc.parties import BASE_URL, REDIRECT_URI, ServiceSide, fields_of, transaction_of


async def refuse(side: ServiceSide, request: LoginRequest, fault: Fault) -> Delivery:
    return await side.provider.refuse(transaction_of(request), fault, side.federation.services[request.service])


async def test_rfc6749_4_1_2_the_answer_has_a_code_and_the_state_as_it_was_sent(side: ServiceSide) -> None:
    delivery = await side.answer(await side.begin())

    assert isinstance(delivery, Redirect)
    assert delivery.url.startswith(f"{REDIRECT_URI}?")
    assert fields_of(delivery).keys() == {"code", "state", "iss"}
    assert fields_of(delivery)["state"] == "st&te 1"


async def test_rfc6749_4_1_2_without_a_state_there_is_none(side: ServiceSide) -> None:
    assert "state" not in fields_of(await side.answer(await side.begin(state=None)))


async def test_rfc6749_10_10_a_code_has_256_bits_and_is_never_the_same(side: ServiceSide) -> None:
    codes = {await side.code() for _ in range(20)}
    assert len(codes) == 20
    assert all(len(code) == 43 for code in codes)


async def test_fapi2_5_3_2_1_a_code_lives_for_sixty_seconds(side: ServiceSide) -> None:
    code = await side.code()
    assert timedelta(0) < CODE_LIFETIME <= timedelta(seconds=60)
    side.clock.advance(seconds=61)
    assert await side.grants.get(CODE, code) is None


async def test_rfc6749_3_1_2_the_query_of_a_redirect_uri_is_kept(side: ServiceSide) -> None:
    address = "https://rooms.example/callback?tenant=1"
    side.register(redirect_uris=(address,))
    delivery = await side.answer(await side.begin(redirect_uri=address))
    assert isinstance(delivery, Redirect)
    assert delivery.url.startswith(f"{address}&code=")


async def test_rfc9207_2_the_answer_and_the_refusal_name_the_issuer(side: ServiceSide) -> None:
    assert fields_of(await side.answer(await side.begin()))["iss"] == BASE_URL
    assert fields_of(await refuse(side, await side.begin(), NoAgreement()))["iss"] == BASE_URL


async def test_form_post_2_the_fields_are_posted_and_nothing_is_in_the_address(side: ServiceSide) -> None:
    request = await side.begin(response_mode="form_post")
    for delivery in (await side.answer(request), await refuse(side, request, NoAgreement())):
        assert isinstance(delivery, FormPost)
        assert delivery.url == REDIRECT_URI
        assert delivery.fields["state"] == "st&te 1"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (NoAgreement("detail that stays here"), "access_denied"),
        (NoPassive(), "login_required"),
        (StateUnavailable(), "temporarily_unavailable"),
    ],
)
async def test_rfc6749_4_1_2_1_a_refusal_is_told_by_its_error_and_our_stable_reason(
    side: ServiceSide, fault: Fault, error: str
) -> None:
    fields = fields_of(await refuse(side, await side.begin(), fault))
    assert fields == {"error": error, "error_description": fault.code, "state": "st&te 1", "iss": BASE_URL}


async def test_rfc6749_4_1_2_1_a_wrong_request_is_told_at_the_verified_address(side: ServiceSide) -> None:
    with pytest.raises(RefusedRequest) as caught:
        await side.begin(scope="email")
    fields = fields_of(await refuse(side, caught.value.request, caught.value.fault))
    assert (fields["error"], fields["state"]) == ("invalid_scope", "st&te 1")


async def test_P5_nothing_is_sent_to_an_address_whose_registration_ended_meanwhile(side: ServiceSide) -> None:
    request = await side.begin()
    side.register(redirect_uris=("https://rooms.example/new",))
    with pytest.raises(UnregisteredAddress):
        await side.answer(request)
    with pytest.raises(UnregisteredAddress):
        await refuse(side, request, NoAgreement())
