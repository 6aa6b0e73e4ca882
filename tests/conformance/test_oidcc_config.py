"""``oidcc-config-certification-test-plan``: discovery-endpoint-verification, and of ``oidcc-dynamic`` what discovery has to say."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from tests.conformance.suite import Suite

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "k"}


async def test_oidcc_discovery_endpoint_verification(suite: Suite) -> None:
    reply = await suite.ask("GET", "/.well-known/openid-configuration")
    found = reply.body

    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    assert found["issuer"] == suite.town.base
    assert not urlsplit(found["issuer"]).query
    for name, url in found.items():
        if name.endswith(("_endpoint", "_uri")):
            assert url.startswith(f"{suite.town.base}/"), name
    assert "code" in found["response_types_supported"]
    assert {"pairwise", "public"} == set(found["subject_types_supported"])
    assert "RS256" in found["id_token_signing_alg_values_supported"]
    assert "RS256" in found["request_object_signing_alg_values_supported"]
    assert "openid" in found["scopes_supported"]
    assert found["claims_supported"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["request_uri_parameter_supported"] is False
    assert found["authorization_response_iss_parameter_supported"] is True
    assert all(re.fullmatch(r"[a-z]{2}", each) for each in found.get("ui_locales_supported", []))
    assert found["registration_endpoint"]
    for name in found:
        assert found[name] not in ([], {}, ""), name


async def test_oidcc_discovery_jwks(suite: Suite) -> None:
    keys = (await suite.ask("GET", "/oidc/jwks")).body["keys"]
    assert keys
    assert len({each["kid"] for each in keys}) == len(keys)
    for each in keys:
        assert not PRIVATE & each.keys()
        assert each["use"] == "sig"


async def test_every_endpoint_that_is_advertised_is_there(suite: Suite) -> None:
    found = (await suite.ask("GET", "/.well-known/openid-configuration")).body
    for name, url in found.items():
        if name.endswith("_endpoint"):
            reply = await suite.ask("POST", url.removeprefix(suite.town.base))
            assert reply.status != 404, name
