"""Both edges, from end to end."""

from __future__ import annotations

from tests.unit.oidc.parties import BASE_URL, CitySide, ServiceSide, json_of


async def test_a_service_gets_the_person(side: ServiceSide) -> None:
    tokens = await side.tokens()

    claims = side.id_token(tokens["id_token"])
    userinfo = json_of(await side.userinfo(f"Bearer {tokens['access_token']}"))

    assert claims["sub"] == userinfo["sub"] == "pairwise@ulvila.fi"
    assert claims["nonce"] == "n-1"
    assert userinfo["email"] == "aino@ulvila.fi"
    assert claims[f"{BASE_URL}/ns/attr/home_issuer"] == "https://login.ulvila.example"


async def test_a_city_answers_who_it_is(home: CitySide) -> None:
    assertion = await home.log_in()

    assert assertion.subject == "tenant/object"
    assert assertion.attributes["name"] == ("Aino Lindqvist",)
    assert home.city.paths() == ["/.well-known/openid-configuration", "/token", "/jwks", "/userinfo"]
