"""OpenID Connect Discovery 3, RFC 8414 2 and RFC 7517: what the broker says of itself as an OpenID Provider."""

from __future__ import annotations

import pytest
from authlib.oauth2 import rfc9101, rfc9207
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata

from broker.errors import Fault
from broker.login.edges import RefusedRequest
from broker.oidc.errors import RequestUriNotSupported
from broker.oidc.jose import ACCEPTED_ALGORITHMS
from tests.unit.oidc.parties import BASE_URL, ServiceSide, json_of


def test_discovery_3_authlib_finds_the_metadata_valid(side: ServiceSide) -> None:
    OpenIDProviderMetadata(json_of(side.provider.discovery())).validate()


def test_rfc8414_2_authlib_finds_the_metadata_valid(side: ServiceSide) -> None:
    """Authlib's class for OpenID Connect leaves out what RFC 8414, 9101 and 9207 have beside it."""
    beside = (rfc9101.AuthorizationServerMetadata, rfc9207.AuthorizationServerMetadata)
    AuthorizationServerMetadata(json_of(side.provider.discovery())).validate(metadata_classes=beside)


@pytest.mark.parametrize("endpoint", ["token", "revocation", "introspection"])
def test_rfc8414_2_where_assertions_prove_a_client_their_algorithms_are_named(side: ServiceSide, endpoint: str) -> None:
    found = json_of(side.provider.discovery())
    assert "private_key_jwt" in found[f"{endpoint}_endpoint_auth_methods_supported"]
    assert found[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] == list(ACCEPTED_ALGORITHMS)


def test_discovery_3_the_issuer_is_the_base_url_and_the_endpoints_are_below_it(side: ServiceSide) -> None:
    found = json_of(side.provider.discovery())
    assert found["issuer"] == BASE_URL
    endpoints = (
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "revocation_endpoint",
        "introspection_endpoint",
        "pushed_authorization_request_endpoint",
        "device_authorization_endpoint",
    )
    assert [found[name].removeprefix(BASE_URL) for name in endpoints] == [
        "/oidc/authorize",
        "/oidc/token",
        "/oidc/userinfo",
        "/oidc/jwks",
        "/oidc/revoke",
        "/oidc/introspect",
        "/oidc/par",
        "/oidc/device_authorization",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("response_types_supported", ["code"]),
        ("response_modes_supported", ["query", "form_post"]),
        (
            "grant_types_supported",
            [
                "authorization_code",
                "refresh_token",
                "urn:ietf:params:oauth:grant-type:device_code",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ],
        ),
        (
            "introspection_endpoint_auth_methods_supported",
            ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        ),
        ("subject_types_supported", ["pairwise", "public"]),
        ("id_token_signing_alg_values_supported", ["RS256", "PS256", "ES256", "EdDSA"]),
        (
            "token_endpoint_auth_methods_supported",
            ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
        ),
        ("code_challenge_methods_supported", ["S256"]),
        ("authorization_response_iss_parameter_supported", True),
        ("claims_parameter_supported", True),
        ("request_parameter_supported", True),
        ("require_pushed_authorization_requests", False),
        ("request_uri_parameter_supported", False),
    ],
)
def test_discovery_3_only_true_statements(side: ServiceSide, name: str, value: object) -> None:
    assert json_of(side.provider.discovery())[name] == value


@pytest.mark.parametrize(("name", "fault"), [("request_uri", RequestUriNotSupported)])
async def test_discovery_3_what_is_said_not_to_be_supported_is_refused(
    side: ServiceSide, name: str, fault: type[Fault]
) -> None:
    with pytest.raises(RefusedRequest) as caught:
        await side.begin(**{name: "x"})
    assert isinstance(caught.value.fault, fault)


async def test_discovery_3_every_scope_and_prompt_that_is_advertised_is_accepted(side: ServiceSide) -> None:
    found = json_of(side.provider.discovery())
    await side.begin(scope=" ".join(found["scopes_supported"]))
    for prompt in found["prompt_values_supported"]:
        await side.begin(prompt=prompt)


def test_discovery_3_no_restricted_claim_is_offered(side: ServiceSide) -> None:
    assert not [claim for claim in json_of(side.provider.discovery())["claims_supported"] if "national" in claim]


def test_rfc7517_5_the_keys_are_public_distinct_and_for_signatures(side: ServiceSide) -> None:
    keys = json_of(side.provider.jwks())["keys"]
    assert {key["kty"] for key in keys} == {"RSA", "EC", "OKP"}
    assert len({key["kid"] for key in keys}) == len(keys)
    for key in keys:
        assert key["use"] == "sig"
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys()
