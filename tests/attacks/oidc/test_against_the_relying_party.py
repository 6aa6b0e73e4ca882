"""Attacks on the broker as a relying party: forged tokens, mixed-up issuers, swapped persons."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import HomeAnswerInvalid
from broker.oidc import jose
from broker.oidc.errors import (
    BadSignature,
    IdTokenMalformed,
    UnknownKey,
    WrongAlgorithm,
    WrongCallbackIssuer,
    WrongIssuer,
    WrongNonce,
)
from broker.oidc.jose import JoseError, KeySet
from tests.unit.oidc.parties import EC_KEY, FOREIGN_KEY, RSA_KEY, CitySide, public_jwk


def part(found: object) -> str:
    text = found if isinstance(found, bytes) else json.dumps(found).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def hmac_token(claims: Mapping[str, Any], secret: bytes, **header: Any) -> str:
    """Signed by HS256 with anything at all as the secret; libraries refuse to make such a token."""
    signed = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'k1', **header})}.{part(dict(claims))}"
    return f"{signed}.{part(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


async def refused(home: CitySide, make: Any) -> HomeAnswerInvalid:
    transaction = await home.depart()
    home.city.id_token = make(home.city.claims)
    with pytest.raises(HomeAnswerInvalid) as caught:
        await home.arrive(transaction)
    assert "/userinfo" not in home.city.paths()
    return caught.value


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", None, 1, ["RS256"], "RS1", "ES256K", "Ed448"]
)
@pytest.mark.parametrize("signature", ["", "AAAA"])
async def test_alg_none_and_other_algorithms_that_nobody_agreed_on(
    home: CitySide, algorithm: object, signature: str
) -> None:
    header = {"alg": algorithm, "kid": "k1"}
    found = await refused(home, lambda claims: f"{part(header)}.{part(claims)}.{signature}")
    assert isinstance(found, WrongAlgorithm)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
async def test_hs256_with_the_public_key_as_the_secret(home: CitySide, encoding: Encoding) -> None:
    public = RSA_KEY.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    assert isinstance(await refused(home, lambda claims: hmac_token(claims, public)), WrongAlgorithm)


async def test_hs256_with_the_client_secret(home: CitySide) -> None:
    assert isinstance(await refused(home, lambda claims: hmac_token(claims, b"city's secret")), WrongAlgorithm)


async def test_a_symmetric_key_in_the_jwks_is_no_key(home: CitySide) -> None:
    home.city.jwks = [{"kty": "oct", "k": part(b"s" * 32), "kid": "k1", "alg": "RS256"}]
    assert isinstance(await refused(home, lambda claims: home.city.sign(claims)), UnknownKey)


async def test_a_signature_by_a_foreign_key_under_a_known_kid(home: CitySide) -> None:
    assert isinstance(await refused(home, lambda claims: home.city.sign(claims, FOREIGN_KEY)), BadSignature)


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
async def test_a_key_that_the_token_brings_along_is_not_looked_at(home: CitySide, name: str) -> None:
    brought: object = public_jwk(FOREIGN_KEY, kid="k1") if name == "jwk" else f"{home.city.issuer}/evil-keys"
    header = {name: [brought] if name == "x5c" else brought}
    found = await refused(home, lambda claims: home.city.sign(claims, FOREIGN_KEY, **header))
    assert isinstance(found, BadSignature)
    assert "/evil-keys" not in home.city.paths()


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
async def test_a_key_that_an_honest_token_brings_along_is_not_looked_at_either(home: CitySide, name: str) -> None:
    brought: object = public_jwk(FOREIGN_KEY, kid="k1") if name == "jwk" else f"{home.city.issuer}/evil-keys"
    transaction = await home.depart()
    home.city.id_token = home.city.sign(home.city.claims, **{name: [brought] if name == "x5c" else brought})
    assert await home.arrive(transaction)
    assert "/evil-keys" not in home.city.paths()


async def test_a_kid_that_the_issuer_does_not_have(home: CitySide) -> None:
    found = await refused(home, lambda claims: home.city.sign(claims, kid="../../etc/passwd"))
    assert isinstance(found, UnknownKey)
    assert "passwd" not in found.detail


async def test_an_ec_key_does_not_verify_another_curve_or_kind(home: CitySide) -> None:
    home.city.jwks = [public_jwk(EC_KEY, kid="k1")]
    assert isinstance(await refused(home, lambda claims: home.city.sign(claims)), UnknownKey)


async def test_an_rsa_key_of_1024_bits_is_no_key(home: CitySide) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - that is the point
    home.city.jwks = [public_jwk(weak, kid="k1")]
    assert isinstance(await refused(home, lambda claims: home.city.sign(claims)), UnknownKey)


@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "secevent+jwt"])
async def test_rfc8725_3_11_another_kind_of_jwt_is_not_an_id_token(home: CitySide, typ: str) -> None:
    assert isinstance(await refused(home, lambda claims: home.city.sign(claims, typ=typ)), IdTokenMalformed)


@pytest.mark.parametrize(
    "header", [{"crit": ["exp"], "exp": 1}, {"crit": ["b64"], "b64": False}, {"crit": []}, {"crit": "exp"}]
)
async def test_a_critical_header_that_is_not_understood_is_refused(home: CitySide, header: dict[str, Any]) -> None:
    assert isinstance(await refused(home, lambda claims: home.city.sign(claims, **header)), IdTokenMalformed)


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c", "a.b.c.d.e", "ä.ä.ä", "e30.e30.", "." * 100, "x" * 200_000])
async def test_what_is_no_jwt_is_refused(home: CitySide, token: str) -> None:
    transaction = await home.depart()
    home.city.token_answer = {"id_token": token}
    with pytest.raises(HomeAnswerInvalid):
        await home.arrive(transaction)


async def test_a_changed_payload_breaks_the_signature(home: CitySide) -> None:
    def changed(claims: Mapping[str, Any]) -> str:
        header, _, signature = home.city.sign(claims).split(".")
        return f"{header}.{part({**claims, 'sub': 'admin'})}.{signature}"

    assert isinstance(await refused(home, changed), BadSignature)


# --- mix-up and injection ---------------------------------------------------------------------------------------------


async def test_mix_up_the_answer_of_another_issuer_does_not_get_our_code_exchanged(home: CitySide) -> None:
    transaction = await home.depart()
    with pytest.raises(WrongCallbackIssuer):
        await home.arrive(transaction, iss="https://login.pori.example")
    assert "/token" not in home.city.paths()


async def test_an_issuer_that_was_registered_anew_meanwhile_gets_no_code_of_the_old_one(home: CitySide) -> None:
    transaction = await home.depart()
    with pytest.raises(WrongIssuer):
        await home.arrive(transaction, registered={"issuer": "https://login.pori.example"})
    assert "/token" not in home.city.paths()


async def test_code_injection_a_token_of_another_login_has_another_nonce(home: CitySide) -> None:
    first = await home.depart()
    stolen = home.city.sign(home.city.claims)
    second = await home.depart()
    assert first.upstream["nonce"] != second.upstream["nonce"]
    home.city.id_token = stolen
    with pytest.raises(WrongNonce):
        await home.arrive(second)


@given(token=st.one_of(st.text(max_size=60), st.lists(st.binary(max_size=20).map(part), max_size=5).map(".".join)))
@settings(max_examples=200)
def test_whatever_comes_as_a_token_is_refused_by_its_own_errors(token: str) -> None:
    with pytest.raises(JoseError):
        jose.verify(token, KeySet([public_jwk(RSA_KEY, kid="k1")]))
