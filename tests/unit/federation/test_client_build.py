"""RFC 7591 2, and what the FAPI 2.0 Security Profile wants of a registration: what does not fit together, and what follows."""

from __future__ import annotations

from typing import Any

import pytest

from broker.federation import client_build
from broker.federation.document_models import ClientModel

KEYS = {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}
FAPI2: dict[str, Any] = {
    "security_profile": "fapi2",
    "token_endpoint_auth_method": "private_key_jwt",
    "jwks": KEYS,
    "dpop_bound_access_tokens": True,
    "id_token_signed_response_alg": "ES256",
}


def model(**members: Any) -> ClientModel:
    return ClientModel.model_validate({"client_id": "rooms", "redirect_uris": ["https://rooms.example/cb"], **members})


def test_every_member_of_the_document_reaches_the_client() -> None:
    registered = client_build.client(
        model(default_max_age=60, default_acr_values=["a"], access_token_format="jwt", jwks=KEYS), "s"
    )
    assert (registered.default_max_age, registered.default_acr_values) == (60, ("a",))
    assert registered.access_token_format == "jwt"
    assert registered.jwks == '{"keys": [{"crv": "P-256", "kty": "EC", "x": "AA", "y": "AA"}]}'
    assert registered.client_secret == "s"


def test_fapi2_a_good_registration_must_push_and_prove_its_code() -> None:
    registration = model(**FAPI2)
    assert not [*client_build.complaints(registration)]
    registered = client_build.client(registration, None)
    assert registered.fapi2
    assert registered.require_pkce
    assert registered.require_pushed_authorization_requests


@pytest.mark.parametrize("method", ["tls_client_auth", "self_signed_tls_client_auth"])
def test_fapi2_5_3_2_1_6_by_certificate(method: str) -> None:
    changed = {"token_endpoint_auth_method": method, "dpop_bound_access_tokens": False}
    named = {"tls_client_auth_san_dns": "rooms.example"} if method == "tls_client_auth" else {}
    bound = {"tls_client_certificate_bound_access_tokens": True}
    assert not [*client_build.complaints(model(**{**FAPI2, **changed, **named, **bound}))]


@pytest.mark.parametrize(
    ("member", "changes"),
    [
        ("token_endpoint_auth_method", {"token_endpoint_auth_method": "client_secret_basic"}),
        ("token_endpoint_auth_method", {"token_endpoint_auth_method": "none"}),
        ("security_profile", {"dpop_bound_access_tokens": False}),
        ("id_token_signed_response_alg", {"id_token_signed_response_alg": "RS256"}),
        ("userinfo_signed_response_alg", {"userinfo_signed_response_alg": "RS256"}),
        ("token_endpoint_auth_signing_alg", {"token_endpoint_auth_signing_alg": "RS256"}),
        ("request_object_signing_alg", {"request_object_signing_alg": "RS512"}),
    ],
)
def test_fapi2_what_is_weaker_is_refused(member: str, changes: dict[str, Any]) -> None:
    assert [found for found, _ in client_build.complaints(model(**{**FAPI2, **changes}))] == [member]


@pytest.mark.parametrize(("method", "refused"), [("none", ["grant_types"]), ("client_secret_basic", [])])
def test_rfc8693_5_only_a_client_that_proves_itself_exchanges_tokens(method: str, refused: list[str]) -> None:
    exchanging = ["authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"]
    found = client_build.complaints(model(grant_types=exchanging, token_endpoint_auth_method=method))
    assert [member for member, _ in found] == refused


@pytest.mark.parametrize(
    ("grant_types", "missing"),
    [
        (["urn:ietf:params:oauth:grant-type:device_code"], []),
        (["urn:ietf:params:oauth:grant-type:device_code", "authorization_code"], ["redirect_uris"]),
        (["authorization_code"], ["redirect_uris"]),
    ],
)
def test_rfc7591_2_redirect_uris_are_needed_by_grants_that_redirect(grant_types: list[str], missing: list[str]) -> None:
    found = client_build.complaints(model(redirect_uris=[], grant_types=grant_types))
    assert [member for member, _ in found] == missing
