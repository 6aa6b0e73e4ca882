"""The demo's parts against each other, without a broker: pysaml2 with pysaml2, idpyoidc with idpyoidc."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from aiohttp import ClientSession, encode_basic_auth, web
from lxml import etree, html
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

from broker.demo import saml_city, saml_service
from broker.demo.oidc_city import OidcCity
from broker.demo.oidc_service import OidcService
from broker.demo.people import PORI_DIRECTORY, ULVILA_DIRECTORY, Person, people_of
from broker.demo.saml_city import SamlCity
from broker.demo.saml_peer import city_metadata, identity_provider, service_metadata, service_provider
from broker.demo.saml_service import SamlService
from broker.demo.world import HOST, PreparedDemo, base_url


async def _serve(app: web.Application, port: int) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    return runner


def _matchmaker(prepared: PreparedDemo) -> web.Application:
    """In the broker's place: it introduces the SAML service and the SAML city to each other."""

    async def identity_provider(request: web.Request) -> web.Response:
        return web.Response(body=city_metadata(base_url(prepared.ports.pori), prepared.pori))

    async def service_provider(request: web.Request) -> web.Response:
        return web.Response(body=service_metadata(base_url(prepared.ports.shared_wiki), prepared.shared_wiki))

    app = web.Application()
    app.router.add_get("/saml/idp/metadata", identity_provider)
    app.router.add_get("/saml/sp/metadata", service_provider)
    return app


@pytest.fixture
async def saml(prepared: PreparedDemo) -> AsyncIterator[str]:
    """The shared wiki's address; it logs in straight at Pori."""
    ports = prepared.ports
    broker = base_url(ports.broker)
    runners = [
        await _serve(_matchmaker(prepared), ports.broker),
        await _serve(SamlCity(prepared, broker).application(), ports.pori),
        await _serve(SamlService(prepared, broker).application(), ports.shared_wiki),
    ]
    yield base_url(ports.shared_wiki)
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def oidc(prepared: PreparedDemo) -> AsyncIterator[str]:
    """The meeting rooms' address; they log in straight at Ulvila."""
    ports = prepared.ports
    rooms, ulvila = base_url(ports.meeting_rooms), base_url(ports.ulvila)
    city = OidcCity(prepared, base_url(ports.broker))
    city.register("meeting-rooms", prepared.environment["MEETING_ROOMS_SECRET"], f"{rooms}/callback")
    runners = [
        await _serve(city.application(), ports.ulvila),
        await _serve(OidcService(prepared, ulvila).application(), ports.meeting_rooms),
    ]
    yield rooms
    for runner in runners:
        await runner.cleanup()


async def _choose(browser: ClientSession, service: str, person: str) -> str:
    """From the service's login link to the page after the person was chosen."""
    async with browser.get(f"{service}/login") as response:
        page = html.fromstring(await response.text(), base_url=str(response.url))
        page.make_links_absolute()
    link = next(href for href in page.xpath("//main//a/@href") if parse_qs(urlsplit(href).query)["person"] == [person])
    async with browser.get(link) as response:
        return await response.text()


async def _post_form(browser: ClientSession, page: str) -> None:
    form = html.fromstring(page).forms[0]
    async with browser.post(form.action, data=dict(form.form_values())) as response:
        assert response.status == 200


async def _received(browser: ClientSession, service: str) -> dict[str, object]:
    async with browser.get(f"{service}/received.json") as response:
        received: dict[str, object] = await response.json()
        return received


@pytest.mark.parametrize("person", people_of(PORI_DIRECTORY), ids=lambda person: person.id)
async def test_the_shared_wiki_takes_pori_s_signed_answer(saml: str, browser: ClientSession, person: Person) -> None:
    await _post_form(browser, await _choose(browser, saml, person.id))

    received = await _received(browser, saml)
    assert received["error"] == []
    attributes = received["attributes"]
    assert attributes["upn"] == [person.user_name]
    assert attributes.get("emailAddress", []) == ([person.mail] if person.mail else [])


async def test_the_shared_wiki_takes_an_answer_once(saml: str, browser: ClientSession) -> None:
    page = await _choose(browser, saml, "aino-korhonen")
    await _post_form(browser, page)

    await _post_form(browser, page)

    assert (await _received(browser, saml))["error"] == ["UnsolicitedResponse"]


async def test_the_shared_wiki_takes_no_answer_that_another_browser_asked_for(
    saml: str, browser: ClientSession
) -> None:
    page = await _choose(browser, saml, "aino-korhonen")
    browser.cookie_jar.clear()

    await _post_form(browser, page)

    assert (await _received(browser, saml))["error"] == ["UnsolicitedResponse"]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda url: f"{url}&RelayState=not-signed", id="relay_state_added"),
        pytest.param(lambda url: url.partition("&SigAlg=")[0], id="signature_taken_away"),
    ],
)
async def test_saml_bindings_3_4_4_1_pori_refuses_an_authn_request_that_its_signature_does_not_cover(
    saml: str, browser: ClientSession, spoil: Callable[[str], str]
) -> None:
    async with browser.get(f"{saml}/login", allow_redirects=False) as response:
        url = response.headers["Location"]

    async with browser.get(spoil(url)) as response:
        assert response.status == 400


@pytest.mark.parametrize("person", people_of(ULVILA_DIRECTORY), ids=lambda person: person.id)
async def test_the_meeting_rooms_take_ulvila_s_id_token_and_userinfo(oidc: str, browser: ClientSession, person) -> None:
    await _choose(browser, oidc, person.id)

    received = await _received(browser, oidc)
    assert received["error"] == []
    assert received["attributes"]["upn"] == [person.user_name]
    assert received["attributes"]["email"] == [person.mail]


def _authorization_request(prepared: PreparedDemo, **changes: str) -> dict[str, str]:
    request = {
        "response_type": "code",
        "client_id": "broker",
        "redirect_uri": f"{base_url(prepared.ports.broker)}/oidc/callback",
        "scope": "openid profile email",
        "state": "a-state",
        "nonce": "a-nonce",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in (request | changes).items() if value}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"code_challenge": "", "code_challenge_method": ""}, id="rfc7636_no_code_challenge"),
        pytest.param({"redirect_uri": "http://127.0.0.1:9/oidc/callback"}, id="redirect_uri_not_registered"),
        pytest.param({"client_id": "somebody"}, id="client_not_known"),
    ],
)
@pytest.mark.parametrize("person", [{}, {"person": "juhani-makela"}], ids=["before_the_choice", "after_it"])
async def test_ulvila_answers_a_wrong_authorization_request_with_a_page_and_redirects_nowhere(
    oidc: str, browser: ClientSession, prepared: PreparedDemo, changes: dict[str, str], person: dict[str, str]
) -> None:
    url = f"{base_url(prepared.ports.ulvila)}/authorize"
    query = _authorization_request(prepared, **changes) | person

    async with browser.get(url, params=query, allow_redirects=False) as response:
        assert response.status == 400


async def _code(browser: ClientSession, prepared: PreparedDemo) -> str:
    url = f"{base_url(prepared.ports.ulvila)}/authorize"
    query = _authorization_request(prepared) | {"person": "juhani-makela"}
    async with browser.get(url, params=query, allow_redirects=False) as response:
        answer = parse_qs(urlsplit(response.headers["Location"]).query)
    assert answer["iss"] == [base_url(prepared.ports.ulvila)]
    assert answer["state"] == ["a-state"]
    return answer["code"][0]


def _basic(secret: str) -> dict[str, str]:
    return {"Authorization": encode_basic_auth("broker", secret)}


@pytest.mark.parametrize(
    ("secret", "verifier", "status"),
    [
        pytest.param(None, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", 200, id="in_order"),
        pytest.param("wrong", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", 401, id="wrong_client_secret"),
        pytest.param(None, "another-verifier-another-verifier-another-v", 400, id="wrong_code_verifier"),
    ],
)
async def test_ulvila_s_token_endpoint(
    oidc: str, browser: ClientSession, prepared: PreparedDemo, secret: str | None, verifier: str, status: int
) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": await _code(browser, prepared),
        "redirect_uri": f"{base_url(prepared.ports.broker)}/oidc/callback",
        "code_verifier": verifier,
    }
    headers = _basic(secret or prepared.environment["ULVILA_CLIENT_SECRET"])

    async with browser.post(f"{base_url(prepared.ports.ulvila)}/token", data=form, headers=headers) as response:
        assert response.status == status
        assert ("id_token" in await response.json()) is (status == 200)


async def test_ulvila_s_code_is_used_once(oidc: str, browser: ClientSession, prepared: PreparedDemo) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": await _code(browser, prepared),
        "redirect_uri": f"{base_url(prepared.ports.broker)}/oidc/callback",
        "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    }
    headers = _basic(prepared.environment["ULVILA_CLIENT_SECRET"])
    url = f"{base_url(prepared.ports.ulvila)}/token"
    async with browser.post(url, data=form, headers=headers) as response:
        assert response.status == 200

    async with browser.post(url, data=form, headers=headers) as response:
        assert response.status == 400


async def test_ulvila_s_userinfo_wants_a_token_of_its_own(
    oidc: str, browser: ClientSession, prepared: PreparedDemo
) -> None:
    headers = {"Authorization": "Bearer not-a-token"}
    async with browser.get(f"{base_url(prepared.ports.ulvila)}/userinfo", headers=headers) as response:
        assert response.status == 401


async def test_the_meeting_rooms_take_no_answer_to_a_login_that_this_browser_did_not_begin(
    oidc: str, browser: ClientSession
) -> None:
    async with browser.get(f"{oidc}/callback", params={"state": "planted", "code": "x"}) as response:
        assert response.status == 200

    assert (await _received(browser, oidc))["error"] == ["unknown_state"]


async def test_the_meeting_rooms_show_the_provider_s_error(oidc: str, browser: ClientSession) -> None:
    async with browser.get(f"{oidc}/login", allow_redirects=False) as response:
        state = parse_qs(urlsplit(response.headers["Location"]).query)["state"][0]
    answer = {"state": state, "error": "access_denied", "error_description": "No agreement."}

    async with browser.get(f"{oidc}/callback", params=answer) as response:
        assert "access_denied" in await response.text()

    received = await _received(browser, oidc)
    assert (received["error"], received["message"]) == (["access_denied"], "No agreement.")


async def test_ports_do_not_keep_cookies_apart_so_each_service_has_a_name_of_its_own(
    saml: str, oidc: str, browser: ClientSession
) -> None:
    cookies = []
    for service in (saml, oidc):
        async with browser.get(f"{service}/login", allow_redirects=False) as response:
            cookies.append(response.headers["Set-Cookie"])

    assert len({cookie.partition("=")[0] for cookie in cookies}) == 2
    assert all("HttpOnly" in cookie and "SameSite=Lax" in cookie for cookie in cookies)


def test_pori_signs_response_and_assertion_with_sha256(prepared: PreparedDemo) -> None:
    pori, wiki = base_url(prepared.ports.pori), base_url(prepared.ports.shared_wiki)
    client = service_provider(wiki, prepared.shared_wiki, city_metadata(pori, prepared.pori).decode())
    server = identity_provider(pori, prepared.pori, service_metadata(wiki, prepared.shared_wiki).decode())
    _, info = client.prepare_for_authenticate(sign=True)
    query = dict(parse_qsl(urlsplit(dict(info["headers"])["Location"]).query))

    reply = saml_city.answer(server, saml_city.read(server, query), people_of(PORI_DIRECTORY)[0])

    response = etree.fromstring(b64decode(reply.response))
    signatures = response.findall(".//{http://www.w3.org/2000/09/xmldsig#}SignatureMethod")
    digests = response.findall(".//{http://www.w3.org/2000/09/xmldsig#}DigestMethod")
    assert [each.get("Algorithm") for each in signatures] == [SIG_RSA_SHA256] * 2
    assert [each.get("Algorithm") for each in digests] == [DIGEST_SHA256] * 2


async def test_both_services_pass_the_organisation_on(
    saml: str, oidc: str, browser: ClientSession, prepared: PreparedDemo
) -> None:
    for service in (saml, oidc):
        async with browser.get(f"{service}/login?organisation=ulvila", allow_redirects=False) as response:
            assert parse_qs(urlsplit(response.headers["Location"]).query)["organisation"] == ["ulvila"]


def test_saml_core_3_2_2_2_the_wiki_shows_both_levels_of_an_error_status(prepared: PreparedDemo) -> None:
    pori, wiki = base_url(prepared.ports.pori), base_url(prepared.ports.shared_wiki)
    client = service_provider(wiki, prepared.shared_wiki, city_metadata(pori, prepared.pori).decode())
    server = identity_provider(pori, prepared.pori, service_metadata(wiki, prepared.shared_wiki).decode())
    request_id, info = client.prepare_for_authenticate(sign=True, is_passive="true")
    query = dict(parse_qsl(urlsplit(dict(info["headers"])["Location"]).query))

    reply = saml_city.refuse_passive(server, saml_city.read(server, query))
    received = saml_service.receive(client, reply.response, {request_id: "/"})

    assert query["SigAlg"] == SIG_RSA_SHA256
    assert reply.url == f"{wiki}/saml/acs"
    assert received.error == (
        "urn:oasis:names:tc:SAML:2.0:status:Responder",
        "urn:oasis:names:tc:SAML:2.0:status:NoPassive",
    )
