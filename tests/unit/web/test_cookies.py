"""P2: the binding cookie is ours alone, secret, and comes along when a city's page posts its answer."""

import pytest
from aiohttp import web

from broker.web.cookies import Cookies, fingerprint, new_browser


def _cookie(*, secure: bool) -> str:
    response = web.Response()
    Cookies(secure=secure).bind(response, new_browser())
    return response.cookies.output(header="")


def test_over_https_no_neighbour_can_plant_it_and_a_cross_site_post_brings_it() -> None:
    cookie = _cookie(secure=True)
    assert cookie.strip().startswith("__Host-broker-browser=")
    assert {"Secure", "HttpOnly", "SameSite=None", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie
    assert "Max-Age" not in cookie


def test_on_loopback_without_https_it_is_a_plain_cookie_of_this_site() -> None:
    cookie = _cookie(secure=False)
    assert cookie.strip().startswith("broker-browser=")
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


@pytest.mark.parametrize("value", ["", "short", "a" * 44, "a" * 42 + "=", "a" * 43 + "\n"])
def test_what_we_never_set_binds_nothing(value: str) -> None:
    assert Cookies(secure=True).browser({"__Host-broker-browser": value}) is None


def test_the_plain_name_is_not_believed_over_https() -> None:
    assert Cookies(secure=True).browser({"broker-browser": new_browser()}) is None


def test_a_browser_without_cookie_has_no_fingerprint() -> None:
    assert fingerprint(None) == ""
    assert fingerprint(new_browser()) != fingerprint(new_browser())
