"""RFC 9449: DPoP, with nonces."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from broker.oidc.op.http import ClientRequest, HttpAnswer
from tests.unit.oidc.parties import (
    BASE_URL,
    FOREIGN_KEY,
    REFRESHING,
    VERIFIER,
    Prover,
    ServiceSide,
    error_of,
    fields_of,
    json_of,
)

HEADER = "DPoP-Nonce"
TOKEN = f"{BASE_URL}/oidc/token"


@pytest.fixture
async def proving(side: ServiceSide) -> ServiceSide:
    """The service proves its key with every request, by a nonce that it was given."""
    await side.prove()
    return side


def prover_of(side: ServiceSide) -> Prover:
    assert side.prover is not None
    return side.prover


async def use(side: ServiceSide, token: str, scheme: str = "DPoP") -> HttpAnswer:
    return await side.userinfo(f"{scheme} {token}")


def challenge_of(answer: HttpAnswer, error: str) -> str:
    assert answer.status == 401, answer.body
    challenge = answer.headers["WWW-Authenticate"]
    assert f'error="{error}"' in challenge
    return challenge


# --- 5 DPoP Access Token Request ------------------------------------------------------------------------------------------


async def test_5_a_token_is_bound_to_the_proven_key(proving: ServiceSide) -> None:
    tokens = await proving.tokens()
    assert tokens["token_type"] == "DPoP"
    assert json_of(await use(proving, tokens["access_token"]))["sub"] == "pairwise@ulvila.fi"


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (rsa.generate_private_key(public_exponent=65537, key_size=2048), "PS256"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
)
async def test_5_keys_of_every_kind_that_is_advertised(side: ServiceSide, key: Any, algorithm: str) -> None:
    await side.prove(key=key, algorithm=algorithm)
    assert (await use(side, (await side.tokens())["access_token"])).status == 200


async def test_5_2_a_client_that_registers_it_gets_no_other_token(side: ServiceSide) -> None:
    side.register(dpop_bound_access_tokens=True)
    assert error_of(await side.exchange(await side.code())) == "invalid_dpop_proof"


async def test_5_a_public_clients_refresh_token_is_bound_to_the_key(proving: ServiceSide) -> None:
    proving.register(token_endpoint_auth_method="none", client_secret=None, grant_types=REFRESHING)
    answer = await proving.exchange(await proving.code(), None, client_id="rooms")
    token = json_of(answer)["refresh_token"]
    mine = prover_of(proving)

    proving.prover = Prover(clock=proving.clock, nonce=mine.nonce)
    assert error_of(await proving.refresh(token, None, client_id="rooms")) == "invalid_grant"
    proving.prover = None
    assert error_of(await proving.refresh(token, None, client_id="rooms")) == "invalid_grant"
    proving.prover = mine
    assert json_of(await proving.refresh(token, None, client_id="rooms"))["token_type"] == "DPoP"


async def test_5_a_confidential_client_may_change_its_key_when_it_refreshes(proving: ServiceSide) -> None:
    proving.register(grant_types=REFRESHING)
    first = await proving.tokens()
    proving.prover = Prover(clock=proving.clock, nonce=prover_of(proving).nonce)
    second = await proving.refreshed(first["refresh_token"])
    assert (await use(proving, second["access_token"])).status == 200
    assert (await use(proving, first["access_token"])).status == 401


async def test_5_a_registered_client_refreshes_only_with_a_proof(proving: ServiceSide) -> None:
    proving.register(grant_types=REFRESHING, dpop_bound_access_tokens=True)
    token = (await proving.tokens())["refresh_token"]
    proving.prover = None
    assert error_of(await proving.refresh(token)) == "invalid_dpop_proof"


# --- 4.3 Checking DPoP Proofs -----------------------------------------------------------------------------------------------

PRIVATE = ec.generate_private_key(ec.SECP256R1())
PRIVATE_JWK = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(PRIVATE))


@pytest.mark.parametrize(
    "changes",
    [
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "j" * 513},
        {"htm": None},
        {"htm": "GET"},
        {"htm": "post"},
        {"htu": None},
        {"htu": 1},
        {"htu": "http://["},
        {"htu": f"{BASE_URL}/oidc/userinfo"},
        {"htu": "https://other.example/oidc/token"},
        {"htu": "http://broker.example/oidc/token"},
        {"iat": None},
        {"iat": "now"},
        {"iat": True},
        {"exp": 1},
        {"nbf": 99_999_999_999},
    ],
)
async def test_4_3_a_wrong_claim_is_refused(proving: ServiceSide, changes: dict[str, Any]) -> None:
    code = await proving.code()
    prover_of(proving).changes = changes
    assert error_of(await proving.exchange(code)) == "invalid_dpop_proof"


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"jwk": None},
        {"jwk": "key"},
        {"jwk": {}},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"jwk": PRIVATE_JWK},
        {"jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}},
    ],
)
async def test_4_3_a_wrong_header_is_refused(proving: ServiceSide, header: dict[str, Any]) -> None:
    code = await proving.code()
    prover_of(proving).header = header
    assert error_of(await proving.exchange(code)) == "invalid_dpop_proof"


@pytest.mark.parametrize("algorithm", ["RS256", "none", "HS256"])
async def test_4_3_another_algorithm_is_refused(proving: ServiceSide, algorithm: str) -> None:
    prover = prover_of(proving)
    code = await proving.code()
    key: Any = {"RS256": FOREIGN_KEY, "none": None, "HS256": b"k" * 32}[algorithm]
    if algorithm == "RS256":
        prover.key, prover.algorithm = key, algorithm
    else:
        shown = {"typ": "dpop+jwt", "jwk": {"kty": "EC"}}
        text = jwt.encode({"htu": TOKEN}, key, algorithm=algorithm, headers=shown)
        asked = ClientRequest(dpop=(text,), fields=(("client_id", "rooms"),))
        proving.register(token_endpoint_auth_method="none", client_secret=None)
        assert error_of(await proving.provider.token(asked, proving.federation)) == "invalid_dpop_proof"
        return
    assert error_of(await proving.exchange(code)) == "invalid_dpop_proof"


async def test_4_3_a_proof_signed_by_another_key_than_it_shows_is_refused(proving: ServiceSide) -> None:
    code = await proving.code()
    other = Prover(clock=proving.clock)
    prover_of(proving).header = {"jwk": json.loads(jwt.algorithms.ECAlgorithm.to_jwk(other.key.public_key()))}
    assert error_of(await proving.exchange(code)) == "invalid_dpop_proof"


@pytest.mark.parametrize("headers", [("x",), ("",), ("a.b.c",), ("x" * 100_001,), ("é",)])
async def test_4_3_what_is_no_jwt_is_refused(side: ServiceSide, headers: tuple[str, ...]) -> None:
    side.register(token_endpoint_auth_method="none", client_secret=None)
    asked = ClientRequest(dpop=headers, fields=(("client_id", "rooms"),))
    assert error_of(await side.provider.token(asked, side.federation)) == "invalid_dpop_proof"


async def test_4_3_several_proofs_are_refused(proving: ServiceSide) -> None:
    proving.register(token_endpoint_auth_method="none", client_secret=None)
    proofs = tuple(prover_of(proving).proof(TOKEN) for _ in range(2))
    asked = ClientRequest(dpop=proofs, fields=(("client_id", "rooms"),))
    assert error_of(await proving.provider.token(asked, proving.federation)) == "invalid_dpop_proof"


@pytest.mark.parametrize("seconds", [-10, 10, -300])
async def test_4_3_a_clock_that_is_a_little_off_is_no_harm(proving: ServiceSide, seconds: int) -> None:
    code = await proving.code()
    prover_of(proving).changes = {"iat": int(proving.clock().timestamp()) + seconds}
    assert (await proving.exchange(code)).status == 200


@pytest.mark.parametrize("seconds", [61, -361])
async def test_4_3_an_old_or_a_future_proof_is_refused(proving: ServiceSide, seconds: int) -> None:
    code = await proving.code()
    prover_of(proving).changes = {"iat": int(proving.clock().timestamp()) + seconds}
    assert error_of(await proving.exchange(code)) == "invalid_dpop_proof"


@pytest.mark.parametrize(
    "address", [f"{BASE_URL}/oidc/token?x=1", f"{BASE_URL}:443/oidc/token#y", "HTTPS://Broker.Example/oidc/token"]
)
async def test_4_3_9_the_address_is_compared_without_query_fragment_and_case(
    proving: ServiceSide, address: str
) -> None:
    code = await proving.code()
    prover_of(proving).changes = {"htu": address}
    assert (await proving.exchange(code)).status == 200


async def test_11_1_a_proof_is_used_once(proving: ServiceSide) -> None:
    prover_of(proving).changes = {"jti": "the same"}
    assert (await proving.exchange(await proving.code())).status == 200
    assert error_of(await proving.exchange(await proving.code())) == "invalid_dpop_proof"


async def test_11_1_the_same_jti_of_another_key_is_another_proof(proving: ServiceSide) -> None:
    prover_of(proving).changes = {"jti": "the same"}
    assert (await proving.exchange(await proving.code())).status == 200
    proving.prover = Prover(clock=proving.clock, nonce=prover_of(proving).nonce, changes={"jti": "the same"})
    assert (await proving.exchange(await proving.code())).status == 200


# --- 8, 9 nonces --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nonce", [None, "", "x", 1, "é"])
async def test_8_without_a_nonce_of_ours_the_client_is_given_one(proving: ServiceSide, nonce: Any) -> None:
    code = await proving.code()
    prover_of(proving).changes = {"nonce": nonce}
    answer = await proving.exchange(code)
    assert error_of(answer) == "use_dpop_nonce"
    prover_of(proving).changes = {"nonce": answer.headers[HEADER]}
    assert (await proving.exchange(code)).status == 200, "the code was not spent by the refusal"


async def test_8_2_every_answer_to_a_proof_has_the_nonce_for_the_next(proving: ServiceSide) -> None:
    answer = await proving.exchange(await proving.code())
    token = json_of(answer)["access_token"]
    assert answer.headers[HEADER]
    assert (await use(proving, token)).headers[HEADER] == answer.headers[HEADER]


async def test_8_no_proof_no_nonce(side: ServiceSide) -> None:
    assert HEADER not in (await side.exchange(await side.code())).headers


async def test_8_a_nonce_ends(proving: ServiceSide) -> None:
    proving.clock.advance(minutes=5)
    assert (await proving.exchange(await proving.code())).status == 200
    proving.clock.advance(minutes=5)
    assert error_of(await proving.exchange(await proving.code())) == "use_dpop_nonce"


async def test_9_the_resource_asks_for_a_nonce_by_its_challenge(proving: ServiceSide) -> None:
    token = (await proving.tokens())["access_token"]
    prover_of(proving).nonce = None
    answer = await use(proving, token)
    assert challenge_of(answer, "use_dpop_nonce").startswith("DPoP ")
    assert answer.headers[HEADER]


# --- 7 Protected Resource Access --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["dpop", "DPoP", "DPOP"])
async def test_7_1_the_scheme_is_read_in_any_case(proving: ServiceSide, scheme: str) -> None:
    assert (await use(proving, (await proving.tokens())["access_token"], scheme)).status == 200


async def test_7_2_a_bound_token_is_no_bearer_token(proving: ServiceSide) -> None:
    token = (await proving.tokens())["access_token"]
    assert challenge_of(await use(proving, token, "Bearer"), "invalid_token").startswith("Bearer ")
    proving.prover = None
    assert challenge_of(await use(proving, token, "Bearer"), "invalid_token")
    assert (await proving.userinfo(None, (("access_token", token),))).status == 401


async def test_7_1_a_bearer_token_is_no_bound_token(side: ServiceSide) -> None:
    token = (await side.tokens())["access_token"]
    await side.prove()
    assert challenge_of(await use(side, token), "invalid_token")


async def test_7_1_without_a_proof_a_bound_token_opens_nothing(proving: ServiceSide) -> None:
    token = (await proving.tokens())["access_token"]
    proving.prover = None
    challenge = challenge_of(await use(proving, token), "invalid_dpop_proof")
    assert 'algs="PS256 ES256 EdDSA"' in challenge


async def test_7_1_another_key_opens_nothing(proving: ServiceSide) -> None:
    token = (await proving.tokens())["access_token"]
    proving.prover = Prover(clock=proving.clock, nonce=prover_of(proving).nonce)
    assert challenge_of(await use(proving, token), "invalid_token")


@pytest.mark.parametrize("changes", [{"ath": None}, {"ath": "x"}, {"ath": 1}, {"htm": "GET"}, {"htu": TOKEN}])
async def test_7_1_the_proof_is_of_this_token_and_request(proving: ServiceSide, changes: dict[str, Any]) -> None:
    token = (await proving.tokens())["access_token"]
    prover_of(proving).changes = changes
    assert challenge_of(await use(proving, token), "invalid_dpop_proof")


async def test_6_2_introspection_tells_the_key(proving: ServiceSide) -> None:
    token = (await proving.tokens())["access_token"]
    found = json_of(await proving.introspect(token))
    assert (found["token_type"], found["cnf"]) == ("DPoP", {"jkt": prover_of(proving).thumbprint})


async def test_6_2_introspection_of_a_bearer_token_tells_none(side: ServiceSide) -> None:
    found = json_of(await side.introspect((await side.tokens())["access_token"]))
    assert found["token_type"] == "Bearer"
    assert "cnf" not in found


# --- 10 Authorization Code Binding --------------------------------------------------------------------------------------------


async def test_10_a_code_is_bound_to_the_key_that_the_request_names(proving: ServiceSide) -> None:
    code = await proving.code(dpop_jkt=prover_of(proving).thumbprint)
    assert (await proving.exchange(code)).status == 200


async def test_10_another_key_or_none_does_not_open_the_code(proving: ServiceSide) -> None:
    mine = prover_of(proving)
    code = await proving.code(dpop_jkt=mine.thumbprint)
    proving.prover = Prover(clock=proving.clock, nonce=mine.nonce)
    assert error_of(await proving.exchange(code)) == "invalid_grant"
    code = await proving.code(dpop_jkt=mine.thumbprint)
    proving.prover = None
    assert error_of(await proving.exchange(code)) == "invalid_grant"


async def test_10_1_a_pushed_request_with_a_proof_binds_its_code(proving: ServiceSide) -> None:
    mine = prover_of(proving)
    request_uri = await proving.pushed()
    request = await proving.begin([("client_id", "rooms"), ("request_uri", request_uri)])
    code = fields_of(await proving.answer(request))["code"]
    proving.prover = Prover(clock=proving.clock, nonce=mine.nonce)
    assert error_of(await proving.exchange(code, code_verifier=VERIFIER)) == "invalid_grant"


async def test_10_1_the_pushed_thumbprint_is_that_of_the_proof(proving: ServiceSide) -> None:
    assert (await proving.push(dpop_jkt=prover_of(proving).thumbprint)).status == 201
    assert error_of(await proving.push(dpop_jkt=Prover(clock=proving.clock).thumbprint)) == "invalid_request"


@pytest.mark.parametrize("thumbprint", ["x", "x" * 42, "x" * 44, "é" * 43])
async def test_10_what_is_no_thumbprint_is_refused(side: ServiceSide, thumbprint: str) -> None:
    assert error_of(await side.push(dpop_jkt=thumbprint)) == "invalid_request"


async def test_P10_nonces_of_one_worker_are_known_to_the_others(proving: ServiceSide) -> None:
    other = ServiceSide(keys=proving.keys, clock=proving.clock, prover=proving.prover)
    assert (await other.exchange(await other.code())).status == 200
