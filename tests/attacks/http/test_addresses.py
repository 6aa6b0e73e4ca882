"""P5, P7 over HTTP: nothing is sent to an address that was not registered, and nothing that was sent to us is believed."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from tests.stories.town import Answer, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVIL = "https://evil.example/cb"
XSS = (
    "\"><script>alert('xss')</script>",
    "'\"><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "</title></main><svg onload=alert(1)>",
    "{{1789*1913}}${1789*1913}<%= 1789*1913 %>",
)


def assert_harmless(answer: Answer) -> None:
    """No element or attribute of the attacker's, under a policy that would not run them."""
    document = answer.page
    assert not document.xpath("//script[not(starts-with(@src, '/static/'))]")
    assert not document.xpath("//*[@onerror or @onload or @onclick or @style]")
    assert not document.xpath("//*[starts-with(@href, 'javascript:') or starts-with(@action, 'javascript:')]")
    assert not document.xpath("//img[@src='x'] | //svg[@onload]")
    assert "3422357" not in document.xpath("string(//main)")
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


# --- unregistered addresses --------------------------------------------------------------------------------------------


def variants(registered: str) -> list[str]:
    """Addresses that are like the registered one, and are another."""
    host = registered.split("/")[2]
    return [
        EVIL,
        "",
        registered + "/",
        registered + "?",
        registered + "?a=b",
        registered + "#",
        registered + "/../callback",
        registered + "%2f",
        registered + "%00",
        registered.upper(),
        registered.replace("http://", "HTTP://"),
        registered.replace("http://", "https://"),
        registered.replace(host, f"{host}.evil.example"),
        registered.replace(host, f"{host}@evil.example"),
        registered.replace(host, f"evil.example\\@{host}"),
        registered.replace("127.0.0.1", "localhost"),
        registered.replace("127.0.0.1", "127.1"),
        registered[:-1],
        f" {registered}",
        f"{registered} ",
        f"{registered}\r\nSet-Cookie: a=b",
        f"{registered} {EVIL}",
        "//evil.example/cb",
        "javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
    ]


async def test_P5_an_unregistered_redirect_uri_is_a_page_and_never_a_redirect(town: Town) -> None:
    for address in variants(town.parties.redirect_uri):
        for mode in ({}, {"response_mode": "form_post"}, {"prompt": "none"}, {"scope": "wrong"}):
            answer = await town.browser().get(town.ask_oidc(redirect_uri=address, **mode))

            event = await town.refused(answer, "unregistered_address")
            assert event.detail["context"] == {"service": "bench-oidc-service"}
            assert "evil" not in answer.text
            assert_harmless(answer)


async def test_P5_without_a_redirect_uri_there_is_none_even_when_one_alone_is_registered(town: Town) -> None:
    await town.refused(await town.browser().get(town.ask_oidc(redirect_uri=None)), "unregistered_address")


async def test_P5_a_redirect_uri_of_another_service_is_not_this_one_s(town: Town) -> None:
    other = "http://127.0.0.1:9/test/callback"

    await town.refused(await town.browser().get(town.ask_oidc(redirect_uri=other)), "unregistered_address")


@pytest.mark.parametrize("client", ["nobody", "", "bench-service ", "BENCH-SERVICE", "bench-saml-service", XSS[0]])
async def test_an_unknown_client_is_a_page_and_never_a_redirect(town: Town, client: str) -> None:
    answer = await town.browser().get(town.ask_oidc(client_id=client))

    await town.refused(answer, "unknown_service")
    assert_harmless(answer)


@pytest.mark.parametrize(
    "address", ["https://evil.example/acs", "{}/", "{}?a=b", "{}#f", "http://127.0.0.1:9/service/acs", "", "{} "]
)
async def test_P5_an_unregistered_acs_is_a_page_even_when_the_service_signed_it(town: Town, address: str) -> None:
    """The request's signature proves who asks, and registers nothing (saml-profiles 4.1.4.1)."""
    url = town.ask_saml(AssertionConsumerServiceURL=address.format(town.parties.service_acs))

    answer = await town.browser().get(url)

    await town.refused(answer, "unregistered_address")
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"AssertionConsumerServiceURL": None, "AssertionConsumerServiceIndex": "7"}, "unregistered_address"),
        ({"AssertionConsumerServiceURL": None, "AssertionConsumerServiceIndex": "-1"}, "malformed_message"),
        ({"AssertionConsumerServiceURL": None, "AssertionConsumerServiceIndex": "9" * 40}, "malformed_message"),
        ({"AssertionConsumerServiceIndex": "0"}, "unregistered_address"),
        ({"Issuer": "https://evil.example/sp"}, "unknown_service"),
        ({"Destination": "https://evil.example/saml/idp/sso"}, "saml_request_destination"),
    ],
    ids=["index", "negative_index", "huge_index", "both", "issuer", "destination"],
)
async def test_P5_a_signed_request_for_somewhere_else_is_a_page(
    town: Town, attributes: dict[str, str | None], reason: str
) -> None:
    answer = await town.browser().get(town.ask_saml(**attributes))

    await town.refused(answer, reason)
    assert "evil" not in answer.text


@pytest.mark.parametrize("change", ["unsigned", "relay_state", "signature", "message"])
async def test_a_request_that_its_signature_does_not_cover_is_a_page(town: Town, change: str) -> None:
    url = town.ask_saml()
    changed = {
        "unsigned": url.partition("&SigAlg=")[0],
        "relay_state": url.replace("RelayState=rs", "RelayState=evil"),
        "signature": re.sub(r"Signature=.{8}", "Signature=AAAAAAAA", url),
        "message": url.replace("&RelayState=rs", ""),
    }[change]
    assert changed != url

    await town.refused(await town.browser().get(changed), "saml_request_signature")


async def test_what_was_wrong_after_the_address_was_verified_goes_to_the_verified_address_alone(town: Town) -> None:
    answer = await town.browser().get(town.ask_oidc(scope="openid", response_type="token"))

    assert answer.status == 303
    assert answer.location.partition("?")[0] == town.parties.redirect_uri
    assert answer.parameters() == {
        "error": "unsupported_response_type",
        "error_description": "oidc_unsupported_response_type",
        "state": "st-1",
        "iss": town.base,
    }


# --- header injection ----------------------------------------------------------------------------------------------------

BREAKING = "a\r\nSet-Cookie: evil=1\r\n\r\n<script>alert(1)</script>"


async def test_a_state_with_line_breaks_comes_back_encoded_and_breaks_no_header(town: Town) -> None:
    browser = town.browser()
    answer = await browser.get(town.ask_oidc(state=BREAKING, prompt="none", organisation=None))

    assert answer.parameters()["state"] == BREAKING
    assert "\r" not in answer.location
    assert "\n" not in answer.location
    assert "evil" not in browser.cookies


async def test_a_relay_state_with_line_breaks_comes_back_as_text_of_a_form(town: Town) -> None:
    browser = town.browser()
    answer = await browser.get(town.ask_saml(relay_state=BREAKING, IsPassive="true"))

    action, fields = answer.form()
    assert action == town.parties.service_acs
    assert fields["RelayState"] == BREAKING.replace("\r\n", "\n")
    assert_harmless(answer)
    assert "evil" not in browser.cookies


@pytest.mark.parametrize("size", [1025, 20_000])
async def test_a_relay_state_that_is_too_long_is_refused(town: Town, size: int) -> None:
    await town.refused(await town.browser().get(town.ask_saml(relay_state="x" * size)), "malformed_message")


async def test_a_state_of_100_kb_is_refused_and_not_given_back(town: Town) -> None:
    """Too long for an address, it comes by POST: the service is told, without what nobody could carry."""
    url = town.ask_oidc(state="x" * 100_000)
    by_get = await town.browser().get(url)
    assert (by_get.status, by_get.location) == (400, "")

    body = url.partition("?")[2].encode()
    by_post = await town.browser().post(
        "/oidc/authorize", body, **{"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert by_post.location.partition("?")[0] == town.parties.redirect_uri
    assert by_post.parameters() == {
        "error": "invalid_request",
        "error_description": "oidc_invalid_request",
        "iss": town.base,
    }


@pytest.mark.parametrize(
    "path",
    [
        "/oidc/callback?code=x&state=",
        "/oidc/callback?state=x&code=",
        "/login/",
        "/login/x?q=",
        "/login/x/choose?organisation=",
        "/?lang=",
        "/static/",
    ],
)
async def test_line_breaks_in_any_address_break_no_header(town: Town, path: str) -> None:
    request = f"GET {path}{quote(BREAKING, safe='')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    head, _ = await town.raw(request.encode())

    assert b"evil" not in head.lower().replace(b"evil.example", b"")
    assert int(head.split()[1]) < 500


async def test_a_form_that_posts_to_its_own_page_redirects_nowhere_else(town: Town) -> None:
    for path in ("/login/%0d%0aSet-Cookie:evil=1", "/login/%2f%2fevil.example", "/login/%5cevil.example"):
        request = f"POST {path} HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

        head, _ = await town.raw(request.encode())

        assert f"\r\nLocation: {path}\r\n".encode() in head
        assert head.count(b"Location:") == 1
    for path in ("//evil.example/login/x", "http://evil.example/login/x"):
        request = f"POST {path} HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

        head, _ = await town.raw(request.encode())

        assert b"evil.example" not in head


# --- Host ------------------------------------------------------------------------------------------------------------------

HOSTS = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "Forwarded": "host=evil.example",
}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nowhere",
        "/login/x",
        "/saml/idp/metadata",
        "/saml/sp/metadata",
        "/.well-known/openid-configuration",
        "/oidc/jwks",
        "/oidc/userinfo",
    ],
)
async def test_no_address_takes_the_host_of_the_request(town: Town, path: str) -> None:
    answer = await town.browser().send("GET", path, headers=HOSTS)

    assert "evil.example" not in f"{answer.headers} {answer.text}"


async def test_a_login_through_a_false_host_is_sent_to_the_registered_addresses(town: Town) -> None:
    browser = town.browser()
    page = await browser.send("GET", town.ask_oidc(), headers=HOSTS)
    assert "evil.example" not in f"{page.headers} {page.text}"

    sent = await browser.send("GET", page.link_to("choose"), headers=HOSTS)

    assert sent.location.startswith(town.parties.base)
    assert "evil.example" not in f"{sent.headers}"


# --- what is reflected -------------------------------------------------------------------------------------------------

REFLECTING = (
    "/?lang={}",
    "/{}",
    "/static/{}",
    "/login/{}",
    "/login/x?q={}",
    "/login/x?mail={}",
    "/login/x/choose?organisation={}",
    "/login/{}/again",
    "/oidc/callback?state={}&code=x",
    "/oidc/callback?state=x&error={}&error_description={}",
    "/oidc/callback?state=x&iss={}",
    "/oidc/authorize?client_id={}",
    "/saml/idp/sso?SAMLRequest={}",
    "/saml/idp/sso?SAMLRequest=x&RelayState={}",
    "/oidc/callback?{}=x",
)


@pytest.mark.parametrize("path", REFLECTING)
async def test_P7_nothing_that_a_stranger_sends_is_written_into_a_page(town: Town, path: str) -> None:
    for payload in XSS:
        answer = await town.browser().get(path.replace("{}", quote(payload, safe="")))

        assert answer.status < 500
        assert_harmless(answer)
        assert payload not in answer.text


@pytest.mark.parametrize("field", ["SAMLResponse", "RelayState", "SAMLRequest", "other"])
@pytest.mark.parametrize("path", ["/saml/sp/acs", "/saml/idp/sso", "/oidc/authorize"])
async def test_P7_nor_what_it_posts(town: Town, path: str, field: str) -> None:
    for payload in XSS:
        answer = await town.browser().post(path, {field: payload})

        assert 400 <= answer.status < 500
        assert_harmless(answer)
        assert payload not in answer.text


@pytest.mark.parametrize("parameter", ["q", "mail", "lang", "organisation", "anything"])
async def test_P7_a_page_of_choice_holds_nothing_of_its_address_but_the_search(town: Town, parameter: str) -> None:
    browser = town.browser()
    page = await browser.get(town.ask_oidc())
    here = page.link_to("choose").partition("/choose")[0]
    for payload in XSS:
        for address in (f"{here}?", f"{here}/choose?", f"{here}/again?"):
            answer = await browser.get(f"{address}{parameter}={quote(payload, safe='')}")

            assert answer.status == 200
            assert_harmless(answer)
            assert payload not in answer.text


@pytest.mark.parametrize(
    "parameter", ["state", "nonce", "login_hint", "domain_hint", "organisation", "ui_locales", "acr_values", "claims"]
)
async def test_P7_a_service_s_parameters_are_on_no_page(town: Town, parameter: str) -> None:
    for payload in XSS:
        answer = await town.browser().get(town.ask_oidc(**{parameter: payload}))

        if parameter == "claims":
            assert answer.location.startswith(town.parties.redirect_uri)
            continue
        assert answer.status == 200
        assert_harmless(answer)
        assert payload not in answer.text


@pytest.mark.parametrize("cookie", ["broker-browser", "broker-organisation", "broker-language"])
async def test_P7_nor_is_a_cookie(town: Town, cookie: str) -> None:
    for payload in ("<script>alert(1)</script>", "../../etc/passwd", "x" * 4000, "fi\\073"):
        browser = town.browser(cookies={cookie: payload})

        answer = await browser.get(town.ask_oidc())

        assert answer.status == 200
        assert_harmless(answer)
        assert payload not in answer.text
