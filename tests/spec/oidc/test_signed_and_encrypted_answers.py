"""OpenID Connect Core 5.3.2, 10.1 and 10.2, Registration 2, RFC 8037: ID tokens and userinfo, signed and encrypted as registered."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwe
from joserfc.jwk import import_key

from broker.oidc import jose
from broker.oidc.op.http import HttpAnswer
from tests.unit.oidc.parties import BASE_URL, EC_KEY, RSA_KEY, ServiceSide, error_of, json_of, public_jwk

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
KEYS = json.dumps({"keys": [public_jwk(RSA_KEY, kid="r", use="enc"), public_jwk(EC_KEY, kid="e", use="enc")]})


async def userinfo(side: ServiceSide) -> HttpAnswer:
    tokens = await side.tokens()
    return await side.userinfo(f"Bearer {tokens['access_token']}")


def opened(token: str, key: Any = RSA_KEY) -> tuple[dict[str, Any], str]:
    """Header and content of a JWE."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    known = import_key(pem, "RSA" if key is RSA_KEY else "EC")
    found = jwe.decrypt_compact(token, known, algorithms=[*jose.KEY_ENCRYPTION, *jose.CONTENT_ENCRYPTION])
    assert found.plaintext is not None
    return dict(found.headers()), found.plaintext.decode()


# --- signed ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_registration_2_userinfo_is_signed_as_registered_and_says_for_whom(
    side: ServiceSide, algorithm: str
) -> None:
    side.register(userinfo_signed_response_alg=algorithm)
    answer = await userinfo(side)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/jwt")
    token = answer.body.decode()
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    claims = side.id_token(token)
    assert (claims["iss"], claims["aud"], claims["sub"]) == (BASE_URL, "rooms", "pairwise@ulvila.fi")
    assert claims["email"] == "aino@ulvila.fi"
    assert "nonce" not in claims


async def test_core_5_3_2_userinfo_is_plain_json_by_default(side: ServiceSide) -> None:
    assert (await userinfo(side)).headers["Content-Type"] == "application/json"


async def test_rfc8037_3_1_an_id_token_by_ed25519_with_its_half_hash_by_sha512(side: ServiceSide) -> None:
    side.register(id_token_signed_response_alg="EdDSA")
    tokens = await side.tokens()
    claims = side.id_token(tokens["id_token"])
    assert claims["at_hash"] == jose.half_hash(tokens["access_token"], "EdDSA")
    assert len(claims["at_hash"]) == 43, "half of 64 octets"


# --- encrypted ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", jose.CONTENT_ENCRYPTION)
@pytest.mark.parametrize("algorithm", jose.KEY_ENCRYPTION)
async def test_core_10_2_an_id_token_is_signed_then_encrypted_to_the_clients_key(
    side: ServiceSide, algorithm: str, content: str
) -> None:
    side.register(jwks=KEYS, id_token_encrypted_response_alg=algorithm, id_token_encrypted_response_enc=content)
    header, token = opened((await side.tokens())["id_token"], RSA_KEY if algorithm.startswith("RSA") else EC_KEY)
    assert (header["alg"], header["enc"], header["cty"]) == (algorithm, content, "JWT")
    assert header["kid"] == ("r" if algorithm.startswith("RSA") else "e")
    assert side.id_token(token)["sub"] == "pairwise@ulvila.fi"


async def test_core_5_3_2_userinfo_is_signed_then_encrypted(side: ServiceSide) -> None:
    side.register(jwks=KEYS, userinfo_signed_response_alg="ES256", userinfo_encrypted_response_alg="RSA-OAEP-256")
    answer = await userinfo(side)
    assert answer.headers["Content-Type"] == "application/jwt"
    _, token = opened(answer.body.decode())
    assert side.id_token(token)["email"] == "aino@ulvila.fi"


async def test_core_10_2_a_key_for_signatures_is_not_encrypted_to(side: ServiceSide) -> None:
    keys = json.dumps({"keys": [public_jwk(RSA_KEY, kid="r", use="sig")]})
    side.register(jwks=keys, id_token_encrypted_response_alg="RSA-OAEP-256")
    assert error_of(await side.exchange(await side.code()), 401) == "invalid_client"


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "RSA", "use": "enc"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "use": "enc"},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    ],
)
async def test_core_10_2_what_is_no_key_for_it_is_refused_and_never_left_out(
    side: ServiceSide, key: dict[str, str]
) -> None:
    side.register(jwks=json.dumps({"keys": [key]}), id_token_encrypted_response_alg="RSA-OAEP-256")
    assert error_of(await side.exchange(await side.code()), 401) == "invalid_client"


async def test_rfc8037_3_2_x25519_is_a_key_for_agreement(side: ServiceSide) -> None:
    private = x25519.X25519PrivateKey.generate()
    octets = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    jwk = {"kty": "OKP", "crv": "X25519", "x": jose.base64url(octets), "use": "enc"}
    side.register(jwks=json.dumps({"keys": [jwk]}), id_token_encrypted_response_alg="ECDH-ES")
    token = (await side.tokens())["id_token"]
    secret = import_key({**jwk, "d": jose.base64url(private.private_bytes_raw())})
    found = jwe.decrypt_compact(token, secret, algorithms=["ECDH-ES", "A128CBC-HS256"])
    assert found.plaintext is not None
    assert side.id_token(found.plaintext.decode())["sub"] == "pairwise@ulvila.fi"


async def test_core_5_3_2_userinfo_that_cannot_be_encrypted_is_not_sent(side: ServiceSide) -> None:
    side.register(
        jwks=json.dumps({"keys": []}),
        userinfo_signed_response_alg="ES256",
        userinfo_encrypted_response_alg="RSA-OAEP-256",
    )
    answer = await userinfo(side)
    assert error_of(answer, 401) == "invalid_client"
    assert "email" not in json_of(answer)
