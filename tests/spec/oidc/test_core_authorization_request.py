"""OpenID Connect Core 3.1.2 and RFC 6749 4.1.1: the authorization request of a service."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta

import pytest

from broker.errors import Fault, UnknownService, UnregisteredAddress
from broker.login.edges import RefusedRequest
from broker.login.request import LoginRequest
from broker.oidc.errors import (
    EssentialContextNotMet,
    InvalidRequest,
    InvalidScope,
    OtherPerson,
    RegistrationNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from broker.oidc.op import reply
from tests.unit.oidc.parties import BASE_URL, REDIRECT_URI, ServiceSide, json_of, request_pairs

SFA = "https://refeds.org/profile/sfa"
MFA = "https://refeds.org/profile/mfa"


async def refused(
    side: ServiceSide, pairs: Iterable[tuple[str, str]] | None = None, /, **changes: str | None
) -> RefusedRequest:
    """The refusal that goes back to the service's verified address."""
    with pytest.raises(RefusedRequest) as caught:
        await side.begin(pairs, **changes)
    assert reply.read(caught.value.request.reply).redirect_uri == REDIRECT_URI
    return caught.value


# --- 3.1.2.1 Authentication Request ---------------------------------------------------------------------------------


async def test_core_3_1_2_1_a_good_request_becomes_a_login(side: ServiceSide) -> None:
    request = await side.begin()

    assert request.service == "rooms"
    asked = reply.read(request.reply)
    assert (asked.redirect_uri, asked.state, asked.nonce) == (REDIRECT_URI, "st&te 1", "n-1")
    assert asked.scopes == ("openid", "email", "profile")
    assert (request.force_authn, request.passive, request.choose_anew) == (False, False, False)


async def test_core_3_1_2_1_the_order_of_parameters_and_scopes_does_not_matter(side: ServiceSide) -> None:
    assert (await side.begin(reversed(request_pairs(scope="profile openid")))).service == "rooms"


async def test_core_3_1_2_1_state_and_nonce_may_be_missing(side: ServiceSide) -> None:
    asked = reply.read((await side.begin(state=None, nonce=None)).reply)
    assert (asked.state, asked.nonce) == (None, None)


@pytest.mark.parametrize("scope", [None, "profile", "email profile", "OPENID"])
async def test_core_3_1_2_1_openid_must_be_among_the_scopes(side: ServiceSide, scope: str | None) -> None:
    found = await refused(side, scope=scope)
    assert isinstance(found.fault, InvalidScope)
    assert found.fault.oauth_error == "invalid_scope"


async def test_core_3_1_2_1_scopes_that_are_not_understood_are_ignored(side: ServiceSide) -> None:
    assert reply.read((await side.begin(scope="openid frobnicate offline_access")).reply).scopes == ("openid",)


async def test_rfc7591_2_scopes_beyond_the_registered_ones_are_ignored(side: ServiceSide) -> None:
    side.register(scope="openid email")
    assert reply.read((await side.begin(scope="openid email phone")).reply).scopes == ("openid", "email")


async def test_rfc6749_3_3_a_malformed_scope_is_refused(side: ServiceSide) -> None:
    assert isinstance((await refused(side, scope='openid "email"')).fault, InvalidScope)


@pytest.mark.parametrize("prompt", ["none", "login", "consent", "select_account", "login consent", "consent login"])
async def test_core_3_1_2_1_prompt_is_understood(side: ServiceSide, prompt: str) -> None:
    request = await side.begin(prompt=prompt)
    assert request.passive == (prompt == "none")
    assert request.force_authn == ("login" in prompt)
    assert request.choose_anew == (prompt == "select_account")


@pytest.mark.parametrize("prompt", ["none login", "none consent", "create", "None"])
async def test_core_3_1_2_1_none_stands_alone_and_unknown_prompts_are_refused(side: ServiceSide, prompt: str) -> None:
    assert isinstance((await refused(side, prompt=prompt)).fault, InvalidRequest)


async def test_core_3_1_2_1_max_age_reaches_the_city_and_zero_means_a_new_login(side: ServiceSide) -> None:
    assert (await side.begin(max_age="600")).max_age == timedelta(minutes=10)
    assert (await side.begin(max_age="0")).force_authn


@pytest.mark.parametrize("max_age", ["-1", "1.5", "soon", "1" * 20, "١"])
async def test_core_3_1_2_1_max_age_is_a_number_of_seconds(side: ServiceSide, max_age: str) -> None:
    assert isinstance((await refused(side, max_age=max_age)).fault, InvalidRequest)


async def test_core_3_1_2_1_acr_values_and_ui_locales_keep_their_order(side: ServiceSide) -> None:
    request = await side.begin(acr_values=f"{MFA} {SFA} {MFA}", ui_locales="se sv fi")
    assert request.requested_contexts == (MFA, SFA)
    assert request.ui_locales == ("se", "sv", "fi")


async def test_registration_2_defaults_hold_where_the_request_says_nothing(side: ServiceSide) -> None:
    side.register(default_max_age=600, default_acr_values=(SFA,))
    said_nothing = await side.begin()
    assert (said_nothing.max_age, said_nothing.requested_contexts) == (timedelta(minutes=10), (SFA,))
    said = await side.begin(max_age="60", acr_values=MFA)
    assert (said.max_age, said.requested_contexts) == (timedelta(minutes=1), (MFA,))
    side.register(default_max_age=0)
    assert (await side.begin()).force_authn


@pytest.mark.parametrize("name", ["display", "claims_locales", "extra"])
async def test_rfc6749_3_1_parameters_that_are_not_understood_are_ignored(side: ServiceSide, name: str) -> None:
    assert (await side.begin(**{name: "page"})).service == "rooms"


async def test_rfc6749_3_1_a_parameter_without_a_value_is_as_if_it_were_not_there(side: ServiceSide) -> None:
    assert (await side.begin(max_age="", prompt="", login_hint="")).hints.login_hint is None
    assert isinstance((await refused(side, response_type="")).fault, InvalidRequest)


# --- hints ------------------------------------------------------------------------------------------------------------


async def test_hints_name_the_home_organisation(side: ServiceSide) -> None:
    hints = (await side.begin(login_hint="Aino@Ulvila.FI", organisation="ulvila")).hints
    assert (hints.organisation, hints.domain, hints.login_hint) == ("ulvila", "ulvila.fi", "Aino@Ulvila.FI")
    assert (await side.begin(login_hint="aino@ulvila.fi", domain_hint="pori.fi")).hints.domain == "pori.fi"
    assert (await side.begin(login_hint="aino")).hints.domain is None
    assert (await side.begin(login_hint="aino@")).hints.domain is None


# --- 3.1.2.2, 3.1.2.6: what is refused, and where that is said --------------------------------------------------------


@pytest.mark.parametrize("client_id", [None, "", "nobody", "ROOMS", "rooms "])
async def test_core_3_1_2_2_an_unknown_client_is_told_nothing(side: ServiceSide, client_id: str | None) -> None:
    with pytest.raises(UnknownService):
        await side.begin(client_id=client_id)


async def test_core_3_1_2_1_a_redirect_uri_is_demanded_even_if_only_one_is_registered(side: ServiceSide) -> None:
    with pytest.raises(UnregisteredAddress):
        await side.begin(redirect_uri=None)


@pytest.mark.parametrize(
    ("response_type", "fault"),
    [
        (None, InvalidRequest),
        ("token", UnsupportedResponseType),
        ("id_token", UnsupportedResponseType),
        ("code id_token", UnsupportedResponseType),
        ("none", UnsupportedResponseType),
    ],
)
async def test_rfc6749_4_1_2_1_only_the_code_is_a_response(
    side: ServiceSide, response_type: str | None, fault: type[Fault]
) -> None:
    assert type((await refused(side, response_type=response_type)).fault) is fault


async def test_rfc6749_4_1_2_1_a_client_that_did_not_register_the_code_may_not_use_it(side: ServiceSide) -> None:
    side.register(grant_types=("refresh_token",))
    assert isinstance((await refused(side)).fault, UnauthorizedClient)


@pytest.mark.parametrize(
    ("name", "fault", "error"),
    [
        ("request_uri", RequestUriNotSupported, "request_uri_not_supported"),
        ("registration", RegistrationNotSupported, "registration_not_supported"),
    ],
)
async def test_core_6_1_6_2_7_2_1_request_objects_are_refused_and_never_ignored(
    side: ServiceSide, name: str, fault: type[Fault], error: str
) -> None:
    found = await refused(side, **{name: "eyJhbGciOiJub25lIn0.e30."})
    assert type(found.fault) is fault
    assert found.fault.oauth_error == error


# --- response modes ---------------------------------------------------------------------------------------------------


async def test_form_post_2_the_answer_and_the_refusal_travel_as_the_service_asked(side: ServiceSide) -> None:
    assert reply.read((await side.begin(response_mode="form_post")).reply).response_mode == "form_post"
    told = (await refused(side, response_mode="form_post", scope="email")).request
    assert reply.read(told.reply).response_mode == "form_post"


@pytest.mark.parametrize("mode", ["fragment", "web_message", "query.jwt"])
async def test_multiple_response_types_5_other_response_modes_are_refused_by_query(
    side: ServiceSide, mode: str
) -> None:
    found = await refused(side, response_mode=mode)
    assert isinstance(found.fault, InvalidRequest)
    assert reply.read(found.request.reply).response_mode == "query"


# --- 5.5 claims -------------------------------------------------------------------------------------------------------


async def test_core_5_5_named_claims_are_given_without_their_scope_where_they_were_asked_for(side: ServiceSide) -> None:
    claims = {"userinfo": {"name": {"essential": True}}, "id_token": {"email": None, "nickname": None}}
    tokens = await side.tokens(scope="openid", claims=json.dumps(claims))

    userinfo = json_of(await side.userinfo(f"Bearer {tokens['access_token']}"))
    id_token = side.id_token(tokens["id_token"])

    assert userinfo == {"name": "Aino Lindqvist", "sub": "pairwise@ulvila.fi"}
    assert id_token["email"] == "aino@ulvila.fi"
    assert not {"name", "nickname"} & id_token.keys()


async def test_core_5_5_the_claims_parameter_cannot_change_the_claims_of_the_protocol(side: ServiceSide) -> None:
    claims = {"id_token": dict.fromkeys(("iss", "aud", "sub", "exp", "nonce", "acr", "auth_time"))}
    id_token = side.id_token((await side.tokens(claims=json.dumps(claims)))["id_token"])
    assert (id_token["iss"], id_token["aud"], id_token["nonce"]) == (BASE_URL, "rooms", "n-1")


@pytest.mark.parametrize(
    "claims",
    [
        "x",
        "[]",
        "null",
        '{"userinfo": []}',
        '{"id_token": {"acr": true}}',
        '{"id_token": {"a": NaN}}',
        json.dumps({"userinfo": {f"c{number}": None for number in range(101)}}),
        "[" * 16000,
        '{"id_token": {"sub": {"value": "a"}}, "userinfo": {"sub": {"value": "b"}}}',
    ],
)
async def test_core_5_5_malformed_claims_are_refused(side: ServiceSide, claims: str) -> None:
    assert isinstance((await refused(side, claims=claims)).fault, InvalidRequest)


async def test_core_5_5_1_1_an_essential_acr_is_a_demand_and_others_are_a_wish(side: ServiceSide) -> None:
    essential = await side.begin(claims=json.dumps({"id_token": {"acr": {"essential": True, "values": [MFA]}}}))
    wish = await side.begin(claims=json.dumps({"id_token": {"acr": {"values": [MFA]}}}))
    assert essential.requested_contexts == wish.requested_contexts == (MFA,)

    await side.answer(wish, authn_context=SFA)
    await side.answer(essential, authn_context=MFA)
    with pytest.raises(EssentialContextNotMet):
        await side.answer(essential, authn_context=SFA)


async def test_core_5_5_1_a_named_subject_is_the_only_one_taken(side: ServiceSide) -> None:
    async def request(subject: str) -> LoginRequest:
        return await side.begin(claims=json.dumps({"id_token": {"sub": {"value": subject}}}))

    await side.answer(await request("pairwise@ulvila.fi"))
    with pytest.raises(OtherPerson) as caught:
        await side.answer(await request("somebody@ulvila.fi"))
    assert caught.value.oauth_error == "login_required"


# --- id_token_hint ----------------------------------------------------------------------------------------------------


async def test_core_3_1_2_1_id_token_hint_names_the_person_even_after_it_expired(side: ServiceSide) -> None:
    hint = (await side.tokens())["id_token"]
    side.clock.advance(days=1)

    assert reply.read((await side.begin(id_token_hint=hint)).reply).expected_subject == "pairwise@ulvila.fi"


async def test_core_3_1_2_1_a_hint_of_another_client_or_of_nobody_is_refused(side: ServiceSide) -> None:
    hint = (await side.tokens())["id_token"]

    others = await refused(side, [*request_pairs(id_token_hint=hint[:-8] + "AAAAAAAA")])
    assert isinstance(others.fault, InvalidRequest)
    with pytest.raises(RefusedRequest) as caught:
        await side.begin(client_id="other", redirect_uri="https://other.example/cb", id_token_hint=hint)
    assert isinstance(caught.value.fault, InvalidRequest)
