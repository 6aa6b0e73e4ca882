"""OpenID Connect Core 3.1.3.7 and 3.1.3.8: every check of a city's ID token, refused for its own reason."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from broker.errors import HomeAnswerInvalid, HomeLoginTooOld
from broker.login.identity import VerifiedAssertion
from broker.oidc import jose
from broker.oidc.errors import (
    AuthTimeWrong,
    IdTokenExpired,
    IdTokenMalformed,
    IssuedAtWrong,
    UnknownKey,
    WrongAtHash,
    WrongAudience,
    WrongAuthorizedParty,
    WrongIssuer,
    WrongNonce,
    WrongSubject,
)
from tests.unit.oidc.parties import CITY_CLIENT_ID, EC_KEY, FOREIGN_KEY, NOW, RSA_KEY, CitySide, public_jwk

SECONDS = int(NOW.timestamp())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


async def test_core_3_1_3_7_a_good_token_is_taken(home: CitySide) -> None:
    assertion = await home.log_in(acr="https://refeds.org/profile/mfa", amr=["pwd", "mfa"], auth_time=SECONDS - 30)

    assert isinstance(assertion, VerifiedAssertion)
    assert assertion.authn_context == "https://refeds.org/profile/mfa"
    assert assertion.authn_methods == ("pwd", "mfa")
    assert assertion.authn_instant == NOW - timedelta(seconds=30)


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        pytest.param({"iss": "https://evil.example"}, WrongIssuer, id="2_another_issuer"),
        pytest.param({"iss": None}, WrongIssuer, id="2_no_issuer"),
        pytest.param({"iss": ["x"]}, WrongIssuer, id="2_issuer_is_a_list"),
        pytest.param({"aud": "somebody else"}, WrongAudience, id="3_another_audience"),
        pytest.param({"aud": None}, WrongAudience, id="3_no_audience"),
        pytest.param({"aud": []}, WrongAudience, id="3_empty_audience"),
        pytest.param({"aud": {CITY_CLIENT_ID: True}}, WrongAudience, id="3_audience_is_an_object"),
        pytest.param({"aud": [CITY_CLIENT_ID, "other"]}, WrongAudience, id="3_an_audience_that_we_do_not_trust"),
        pytest.param(
            {"aud": [CITY_CLIENT_ID, "other"], "azp": CITY_CLIENT_ID}, WrongAudience, id="4_azp_does_not_help"
        ),
        pytest.param({"azp": "other"}, WrongAuthorizedParty, id="5_another_azp"),
        pytest.param({"azp": ""}, WrongAuthorizedParty, id="5_empty_azp"),
        pytest.param({"exp": SECONDS - 60}, IdTokenExpired, id="9_expired"),
        pytest.param({"exp": None}, IdTokenMalformed, id="9_no_exp"),
        pytest.param({"exp": "2099"}, IdTokenMalformed, id="9_exp_is_text"),
        pytest.param({"exp": True}, IdTokenMalformed, id="9_exp_is_true"),
        pytest.param({"exp": 1e300}, IdTokenMalformed, id="9_exp_is_no_date"),
        pytest.param({"iat": SECONDS + 61}, IssuedAtWrong, id="10_iat_in_the_future"),
        pytest.param({"iat": SECONDS - 661}, IssuedAtWrong, id="10_iat_long_ago"),
        pytest.param({"iat": None}, IdTokenMalformed, id="10_no_iat"),
        pytest.param({"nbf": SECONDS + 61}, IssuedAtWrong, id="rfc7519_4_1_5_not_yet"),
        pytest.param({"nonce": "another"}, WrongNonce, id="11_another_nonce"),
        pytest.param({"nonce": None}, WrongNonce, id="11_no_nonce"),
        pytest.param({"nonce": "ä"}, WrongNonce, id="11_nonce_beyond_ascii"),
        pytest.param({"nonce": 1}, WrongNonce, id="11_nonce_is_a_number"),
        pytest.param({"auth_time": SECONDS + 61}, AuthTimeWrong, id="2_auth_time_in_the_future"),
        pytest.param({"sub": None}, IdTokenMalformed, id="2_no_sub"),
        pytest.param({"sub": ""}, IdTokenMalformed, id="2_empty_sub"),
        pytest.param({"sub": 5}, IdTokenMalformed, id="2_sub_is_a_number"),
        pytest.param({"sub": "x" * 256}, IdTokenMalformed, id="2_sub_too_long"),
        pytest.param({"acr": ["x"]}, IdTokenMalformed, id="2_acr_is_a_list"),
        pytest.param({"amr": "pwd"}, IdTokenMalformed, id="2_amr_is_text"),
        pytest.param({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, WrongAtHash, id="3_1_3_8_another_access_token"),
        pytest.param({"at_hash": 1}, WrongAtHash, id="3_1_3_8_at_hash_is_a_number"),
    ],
)
async def test_core_3_1_3_7_refuses(home: CitySide, claims: dict[str, Any], fault: type[HomeAnswerInvalid]) -> None:
    with pytest.raises(fault) as caught:
        await home.log_in(**claims)
    assert type(caught.value) is fault


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [CITY_CLIENT_ID]},
        {"azp": CITY_CLIENT_ID},
        {"exp": SECONDS - 59},
        {"iat": SECONDS + 60, "nbf": SECONDS + 60},
        {"iat": SECONDS - 600},
        {"iat": SECONDS + 0.5},
        {"at_hash": jose.half_hash("at-1", "RS256")},
    ],
)
async def test_core_3_1_3_7_accepts_within_the_skew_and_the_forms_that_are_allowed(
    home: CitySide, claims: dict[str, Any]
) -> None:
    assert await home.log_in(**claims)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSA_KEY, "RS256"),
        (RSA_KEY, "RS384"),
        (RSA_KEY, "RS512"),
        (RSA_KEY, "PS256"),
        (EC_KEY, "ES256"),
        (ED_KEY, "EdDSA"),
    ],
)
@pytest.mark.parametrize("right", [True, False])
async def test_core_3_1_3_8_at_hash_is_by_the_hash_of_the_tokens_own_algorithm(
    home: CitySide, key: Any, algorithm: str, right: bool
) -> None:
    home.city.jwks = [public_jwk(key, kid="k1")]
    transaction = await home.depart()
    length = 512 if algorithm == "EdDSA" else int(algorithm[-3:])
    digest = hashlib.new(f"sha{length}", b"at-1" if right else b"at-2").digest()
    at_hash = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    home.city.id_token = home.city.sign({**home.city.claims, "at_hash": at_hash}, key, algorithm)
    if right:
        assert await home.arrive(transaction)
    else:
        with pytest.raises(WrongAtHash):
            await home.arrive(transaction)


# --- (12) acr ---------------------------------------------------------------------------------------------------------


async def test_core_3_1_3_7_12_acr_and_amr_count_only_where_they_are_signed(home: CitySide) -> None:
    """What they prove is judged by the registration: tests/unit/attributes/test_assurance.py."""
    home.city.userinfo = {"sub": "sub-1", "acr": "https://refeds.org/profile/mfa", "amr": ["mfa"], "auth_time": SECONDS}
    assertion = await home.log_in()

    assert (assertion.authn_context, assertion.authn_methods, assertion.authn_instant) == (None, (), None)
    assert not {"acr", "amr", "auth_time"} & assertion.attributes.keys()


# --- (13) auth_time and max_age ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("max_age", "age", "taken"), [(600, 600, True), (600, 660, True), (600, 661, False)])
async def test_core_3_1_3_7_13_auth_time_is_held_to_max_age(
    home: CitySide, max_age: int, age: int, taken: bool
) -> None:
    transaction = await home.depart(max_age=timedelta(seconds=max_age))
    home.city.claims["auth_time"] = SECONDS - age
    if taken:
        await home.arrive(transaction)
    else:
        with pytest.raises(HomeLoginTooOld):
            await home.arrive(transaction)


@pytest.mark.parametrize("step", [{"max_age": timedelta(seconds=600)}, {"force_authn": True}])
async def test_core_2_auth_time_must_be_there_when_it_was_asked_for(home: CitySide, step: dict[str, Any]) -> None:
    transaction = await home.depart(**step)
    with pytest.raises(HomeLoginTooOld):
        await home.arrive(transaction)


async def test_core_3_1_2_1_a_new_login_was_asked_for_and_is_proven_however_long_the_person_took(
    home: CitySide,
) -> None:
    transaction = await home.depart(force_authn=True)
    home.city.claims["auth_time"] = SECONDS + 5
    home.city.clock.advance(minutes=4)
    await home.arrive(transaction)


# --- signatures and keys ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256"])
async def test_rfc7518_3_1_the_accepted_algorithms_of_rsa(home: CitySide, algorithm: str) -> None:
    transaction = await home.depart()
    home.city.id_token = home.city.sign(home.city.claims, RSA_KEY, algorithm)
    assert await home.arrive(transaction)


async def test_rfc7518_3_4_es256(home: CitySide) -> None:
    home.city.jwks = [public_jwk(RSA_KEY, kid="k1"), public_jwk(EC_KEY, kid="k2")]
    transaction = await home.depart()
    home.city.id_token = home.city.sign(home.city.claims, EC_KEY, "ES256", kid="k2")
    assert await home.arrive(transaction)


async def test_core_10_1_without_kid_the_only_key_is_meant_and_of_two_none(home: CitySide) -> None:
    transaction = await home.depart()
    home.city.id_token = jwt.encode(home.city.claims, RSA_KEY, "RS256")
    assert await home.arrive(transaction)

    home.city.jwks = [public_jwk(RSA_KEY, kid="k1"), public_jwk(FOREIGN_KEY, kid="k2")]
    home.restart()
    with pytest.raises(UnknownKey):
        await home.arrive(transaction)


async def test_core_10_1_1_an_unknown_kid_makes_us_ask_for_the_keys_once_more(home: CitySide) -> None:
    await home.log_in()
    home.city.clock.advance(minutes=2)
    home.city.jwks = [public_jwk(FOREIGN_KEY, kid="new"), public_jwk(RSA_KEY, kid="k1")]

    transaction = await home.depart()
    home.city.id_token = home.city.sign(home.city.claims, FOREIGN_KEY, kid="new")
    assert await home.arrive(transaction)
    assert home.city.paths().count("/jwks") == 2


async def test_core_10_1_1_but_not_more_often_than_twice_a_minute(home: CitySide) -> None:
    await home.log_in()
    for _ in range(5):
        transaction = await home.depart()
        home.city.id_token = home.city.sign(home.city.claims, FOREIGN_KEY, kid="unknown")
        with pytest.raises(UnknownKey):
            await home.arrive(transaction)
    assert home.city.paths().count("/jwks") == 1


@pytest.mark.parametrize("members", [{"use": "enc"}, {"alg": "RS512"}])
async def test_rfc7517_4_a_key_for_something_else_is_not_used(home: CitySide, members: dict[str, str]) -> None:
    home.city.jwks = [public_jwk(RSA_KEY, kid="k1", **members)]
    with pytest.raises(UnknownKey):
        await home.log_in()


# --- 5.3.2 userinfo ---------------------------------------------------------------------------------------------------


async def test_core_5_3_userinfo_adds_claims_and_the_signed_token_wins(home: CitySide) -> None:
    home.city.userinfo = {"sub": "sub-1", "email": "aino@ulvila.fi", "name": "Somebody Else", "roles": ["a", "b"]}
    assertion = await home.log_in()

    assert assertion.attributes["email"] == ("aino@ulvila.fi",)
    assert assertion.attributes["roles"] == ("a", "b")
    assert assertion.attributes["name"] == ("Aino Lindqvist",)
    assert home.city.asked[-1][2] == "Bearer at-1"


@pytest.mark.parametrize("subject", ["another", "", None, 1])
async def test_core_5_3_2_userinfo_of_another_person_is_refused(home: CitySide, subject: object) -> None:
    home.city.userinfo = {"sub": subject, "email": "eve@ulvila.fi"}
    with pytest.raises(WrongSubject):
        await home.log_in()


async def test_core_5_3_a_city_without_a_userinfo_endpoint_is_not_asked(home: CitySide) -> None:
    home.city.metadata = {"userinfo_endpoint": None}
    assert await home.log_in()
    assert "/userinfo" not in home.city.paths()


# --- who it is --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "claims", "subject"),
    [
        ("entra-oidc", {}, "tenant/object"),
        ("entra-oidc", {"oid": None}, "sub-1"),
        ("entra-oidc", {"tid": ""}, "sub-1"),
        ("eduperson-oid", {}, "sub-1"),
    ],
)
async def test_attributes_5_the_subject_is_sub_and_for_entra_tid_and_oid(
    home: CitySide, dialect: str, claims: dict[str, Any], subject: str
) -> None:
    assert (await home.log_in(registered={"dialect": dialect}, **claims)).subject == subject


async def test_attributes_5_tid_and_oid_count_only_where_they_are_signed(home: CitySide) -> None:
    home.city.userinfo = {"sub": "sub-1", "tid": "tenant", "oid": "somebody else's"}
    assert (await home.log_in(tid=None, oid=None)).subject == "sub-1"
