"""Requests of a wrong shape: too large, too many, twice, by another method, for another file, not HTTP at all."""

from __future__ import annotations

import json
from base64 import b64encode
from io import BytesIO
from urllib.parse import urlencode

import pytest

from tests.stories.town import Answer, Town, saml_request

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = "application/x-www-form-urlencoded"
PAGES = ("/saml/sp/acs", "/saml/idp/sso", "/oidc/authorize")
PROGRAMS = ("/oidc/token", "/oidc/userinfo", "/oidc/revoke", "/oidc/introspect", "/oidc/par")
BY_GET = (
    "/",
    "/saml/idp/sso",
    "/saml/idp/metadata",
    "/saml/idp/unsolicited",
    "/saml/sp/metadata",
    "/saml/sp/acs",
    "/.well-known/openid-configuration",
    "/oidc/authorize",
    "/oidc/userinfo",
    "/oidc/jwks",
    "/oidc/callback",
    "/login/x",
    "/login/x/choose",
    "/login/x/again",
    "/login/x/back",
    "/favicon.ico",
    "/healthz",
    "/readyz",
    "/metrics",
)
BY_POST = (
    "/saml/idp/sso",
    "/saml/sp/acs",
    "/oidc/authorize",
    "/oidc/token",
    "/oidc/userinfo",
    "/oidc/revoke",
    "/oidc/introspect",
    "/oidc/par",
    "/login/x",
)


async def post(town: Town, path: str, body: bytes, content_type: str = FORM) -> Answer:
    return await town.browser().post(path, BytesIO(body), **{"Content-Type": content_type})


# --- size ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
async def test_more_than_a_megabyte_is_not_read(town: Town, path: str) -> None:
    answer = await post(town, path, b"SAMLResponse=" + b"x" * 1024 * 1024)

    assert answer.status == 413
    await town.refused(answer, "body_too_large")


@pytest.mark.parametrize("path", PROGRAMS)
async def test_nor_from_a_program(town: Town, path: str) -> None:
    answer = await post(town, path, b"code=" + b"x" * 1024 * 1024)

    assert (answer.status, json.loads(answer.text)) == (413, {"error": "invalid_request"})


@pytest.mark.parametrize("path", PAGES)
async def test_a_body_that_never_says_its_size_is_cut_at_the_limit(town: Town, path: str) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n"

    answered, body = await town.raw(head.encode() + chunk * 20 + b"0\r\n\r\n")

    assert answered.startswith(b"HTTP/1.1 413")
    assert b'data-reason="body_too_large"' in body


async def test_a_message_that_unpacks_to_much_more_is_refused(town: Town) -> None:
    """saml-bindings 3.4.4.1: DEFLATE makes a thousand of one."""
    bomb = saml_request(town.parties, town.seen.saml_idp, "<!--" + " " * 5_000_000 + "-->")
    assert len(bomb) < 32 * 1024

    await town.refused(await town.browser().get(bomb), "malformed_message")


@pytest.mark.parametrize("name", ["Cookie", "Accept-Language", "If-None-Match", "Authorization", "X-Forwarded-For"])
@pytest.mark.parametrize("size", [15_000, 200_000])
async def test_a_very_long_header_is_no_error_of_ours(town: Town, name: str, size: int) -> None:
    request = f"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{name}: {'x,' * (size // 2)}\r\n\r\n"

    head, _ = await town.raw(request.encode())

    assert head.split()[1] in (b"200", b"400")
    # It serves on.
    assert (await town.browser().get("/healthz")).status == 200


# --- number, repetition, form ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
async def test_a_hundred_and_one_fields_are_refused(town: Town, path: str) -> None:
    body = "&".join(f"f{number}=x" for number in range(101)).encode()

    await town.refused(await post(town, path, body), "malformed_message")


@pytest.mark.parametrize("path", ["/oidc/callback", "/oidc/authorize", "/login/x/choose"])
async def test_a_hundred_and_one_parameters_are_refused(town: Town, path: str) -> None:
    query = "&".join(f"f{number}=x" for number in range(101))

    await town.refused(await town.browser().get(f"{path}?{query}"), "malformed_message")


@pytest.mark.parametrize("path", PROGRAMS)
async def test_a_program_is_told_in_json(town: Town, path: str) -> None:
    for body, kind in (
        (b"&".join(b"f%d=x" % number for number in range(101)), FORM),
        (b'{"grant_type": "authorization_code"}', "application/json"),
        (b"a=%ff", FORM),
    ):
        answer = await post(town, path, body, kind)

        assert (answer.status, json.loads(answer.text)) == (400, {"error": "invalid_request"})
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["SAMLResponse", "RelayState", "other"])
async def test_a_field_of_an_answer_that_comes_twice_is_refused(town: Town, name: str) -> None:
    browser = town.browser()
    form = town.saml_answer(await town.at_saml_city(browser))
    for second in ("x", form.get(name, "x")):
        pairs = [*form.items(), (name, second)] if name in form else [*form.items(), (name, "y"), (name, second)]

        await town.refused(await browser.post(town.seen.saml_sp.address, pairs), "malformed_message")

    # The login was not touched.
    assert (await browser.post(town.seen.saml_sp.address, form)).status == 303


@pytest.mark.parametrize("name", ["code", "state", "iss", "other"])
async def test_a_parameter_of_a_callback_that_comes_twice_is_refused(town: Town, name: str) -> None:
    browser = town.browser()
    url = await town.at_oidc_city(browser)
    extra = f"&{name}=x" if name != "other" else "&other=x&other=x"

    await town.refused(await browser.get(url + extra), "malformed_message")
    assert (await browser.get(url)).status == 303


@pytest.mark.parametrize(
    ("name", "reason"), [("client_id", "unknown_service"), ("redirect_uri", "unregistered_address")]
)
async def test_rfc6749_3_1_a_repeated_client_or_address_is_a_page(town: Town, name: str, reason: str) -> None:
    url = town.ask_oidc()
    for second in (f"&{name}=https://evil.example", f"&{name}={town.parties.redirect_uri}"):
        await town.refused(await town.browser().get(url + second), reason)


@pytest.mark.parametrize("name", ["SAMLRequest", "RelayState", "SigAlg", "Signature", "organisation"])
async def test_a_parameter_of_a_signed_request_that_comes_twice_is_refused(town: Town, name: str) -> None:
    for spelling in (name, f"%{ord(name[0]):02x}{name[1:]}"):
        for url in (f"{town.ask_saml()}&{name}=a&{spelling}=b", f"{town.ask_saml()}&{spelling}=b"):
            if name == "organisation" and url.count("rganisation") == 1:
                continue
            await town.refused(await town.browser().get(url), "malformed_message")


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/json", "text/xml", ""])
@pytest.mark.parametrize("path", PAGES)
async def test_only_a_form_is_read(town: Town, path: str, kind: str) -> None:
    await town.refused(await post(town, path, b"SAMLResponse=x&RelayState=y", kind), "malformed_message")


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"<!DOCTYPE x []><x/>", b"<x/>", b"", b"\0" * 100, b"x" * 700_000]
)
async def test_P1_what_is_no_saml_message_is_refused_in_a_running_login(town: Town, content: bytes) -> None:
    browser = town.browser()
    received = await town.at_saml_city(browser)
    form = {"SAMLResponse": b64encode(content).decode(), "RelayState": received.relay_state}
    answer = await browser.post(town.seen.saml_sp.address, BytesIO(urlencode(form).encode()), **{"Content-Type": FORM})

    await town.refused(answer, "saml_unreadable_response")


# --- methods -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
async def test_no_address_takes_another_method(town: Town, method: str) -> None:
    for path in {*BY_GET, *BY_POST}:
        head, body = await town.raw(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

        assert head.startswith(b"HTTP/1.1 405"), path
        allowed = head.partition(b"Allow: ")[2].partition(b"\r\n")[0].decode().split(", ")
        assert ("GET" in allowed) is (path in BY_GET)
        assert ("POST" in allowed) is (path in BY_POST)
        # TRACE must give nothing back that was sent.
        assert method.encode() not in body


async def test_by_post_only_what_takes_a_post_and_by_get_only_what_takes_a_get(town: Town) -> None:
    for path in set(BY_GET) - set(BY_POST):
        assert (await town.browser().post(path, {})).status == 405
    for path in set(BY_POST) - set(BY_GET):
        assert (await town.browser().get(path)).status == 405


async def test_rfc9110_9_3_2_head_is_get_without_its_body(town: Town) -> None:
    for path in BY_GET:
        get = await town.browser().get(path)
        head = await town.browser().send("HEAD", path)

        assert (head.status, head.text) == (get.status, "")
        assert head.status < 500


# --- other files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2fapp.py",
        "/static/..%5capp.py",
        "/static/....//app.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/%252e%252e%252fapp.py",
        "/static/base.css%00.js",
        "/static/.",
        "/static/",
        "/static",
        "/static/%c0%ae%c0%ae/app.py",
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/.git/config",
        "/broker.sqlite",
        "/certs/subject.key",
    ],
)
async def test_no_path_leads_to_a_file_that_is_not_served(town: Town, path: str) -> None:
    head, body = await town.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    assert head.startswith(b"HTTP/1.1 404")
    assert b'data-reason="not_found"' in body
    assert b"root:" not in body


# --- not HTTP ---------------------------------------------------------------------------------------------------------------

NOT_HTTP = {
    "octets_in_the_path": b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "octets_in_the_query": b"GET /oidc/callback?state=\xff&code=secret-code HTTP/1.1\r\nHost: x\r\n\r\n",
    "two_lengths": b"POST /saml/sp/acs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "length_and_chunks": (
        b"POST /saml/sp/acs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x"
    ),
    "negative_length": b"POST /saml/sp/acs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "wrong_chunk": b"POST /saml/sp/acs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50,
    "line_of_a_megabyte": b"GET /oidc/callback?state=" + b"x" * 1024 * 1024 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "header_without_a_colon": b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
    "folded_header": b"GET / HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n c\r\n\r\n",
    "null_in_a_header": b"GET / HTTP/1.1\r\nHost: x\r\nCookie: a=\0\r\n\r\n",
}


@pytest.mark.parametrize("octets", NOT_HTTP.values(), ids=NOT_HTTP)
async def test_what_is_not_http_is_refused_and_the_connection_ends(town: Town, octets: bytes) -> None:
    head, body = await town.raw(octets)

    assert not head or head.split()[1] == b"400"
    assert b"Traceback" not in body
    assert b"Set-Cookie" not in head
    assert (await town.browser().get("/healthz")).status == 200


async def test_an_octet_that_is_no_text_is_refused_in_a_form_too(town: Town) -> None:
    for body, reason in (
        (b"SAMLResponse=x&RelayState=\xff", "login_used_or_expired"),
        (b"SAMLResponse=\xff&RelayState=x", "login_used_or_expired"),
        (b"\xff=\xff", "unsolicited_answer"),
    ):
        await town.refused(await post(town, "/saml/sp/acs", body), reason)
    for body in (b"client_id=\xff", b"client_id=bench-service&redirect_uri=\xff"):
        await town.refused(await post(town, "/oidc/authorize", body), "oidc_invalid_request")


@pytest.mark.parametrize("strange", ["\ud7ff", "\ue000", "\U0001f600", "\u202e", "\0"], ids=ascii)
async def test_strange_letters_in_a_state_come_back_as_they_were(town: Town, strange: str) -> None:
    answer = await town.browser().get(town.ask_oidc(state=strange, prompt="none"))

    assert answer.parameters()["state"] == strange
