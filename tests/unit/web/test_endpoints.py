"""The addresses of FEDERATION.md: what each reads of its request, whom it asks, and the three cookies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from lxml import html
from yarl import URL

from broker.errors import HomeUnreachable, InvalidServiceRequest, UnknownService
from broker.federation.model import Federation, IdentityProvider
from broker.login.edges import RefusedRequest
from broker.login.request import Hints, LoginRequest
from broker.oidc.errors import LogoutTokenInvalid
from broker.oidc.op.http import ClientRequest, HttpAnswer
from broker.saml.descriptor import Document
from broker.web.client_certificate import ClientCertificateHeader
from broker.web.cookies import Cookies, fingerprint, new_browser
from broker.web.endpoints import Edges, Endpoints
from broker.web.middleware import Errors
from broker.web.pages import Pages
from broker.web.presenter import Presenter
from tests.unit.web.parties import Scene, a_request, to_pori

JSON = {"Content-Type": "application/json"}


@dataclass
class Edge:
    """All four edges: each answers what the test says, and notes what it was asked. ``raised``: instead of a request."""

    request: LoginRequest = field(default_factory=to_pori)
    raised: Exception | None = None
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def read_redirect(self, raw_query: str, federation: Federation) -> LoginRequest:
        return self._read("redirect", raw_query)

    def read_post(self, form: Mapping[str, str], raw_query: str, federation: Federation) -> LoginRequest:
        return self._read("post", (dict(form), raw_query))

    async def read_artifact(self, fields: Mapping[str, str], federation: Federation) -> LoginRequest:
        return self._read("artifact", dict(fields))

    def begin_unsolicited(
        self, service: str, hints: Hints, relay_state: str | None, federation: Federation
    ) -> LoginRequest:
        return self._read("unsolicited", (service, hints, relay_state))

    def read_unsolicited(self, message: Mapping[str, str], federation: Federation) -> IdentityProvider:
        self.asked.append(("unsolicited_from_home", dict(message)))
        return next(iter(federation.identity_providers.values()))

    async def push(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        self.asked.append(("push", (request.authorization, request.fields)))
        return HttpAnswer(status=201, headers=JSON, body=b"{}")

    async def begin_authorization(self, pairs: Sequence[tuple[str, str]], federation: Federation) -> LoginRequest:
        return self._read("authorization", pairs)

    def metadata(self, federation: Federation) -> Document:
        return Document(body=b"<EntityDescriptor/>", etag="e1")

    def discovery(self) -> HttpAnswer:
        return HttpAnswer(status=200, headers=JSON, body=b'{"issuer":"i"}')

    def jwks(self) -> HttpAnswer:
        return HttpAnswer(status=200, headers=JSON | {"Cache-Control": "public, max-age=300"}, body=b'{"keys":[]}')

    async def token(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        self.asked.append(("token", (request.authorization, request.fields)))
        return HttpAnswer(status=401, headers=JSON | {"WWW-Authenticate": "Basic"}, body=b"{}")

    async def authorize_device(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        self.asked.append(("authorize_device", (request.authorization, request.fields)))
        return HttpAnswer(status=200, headers=JSON, body=b"{}")

    async def revoke(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        self.asked.append(("revoke", (request.authorization, request.fields)))
        return HttpAnswer(status=200, headers={}, body=b"")

    async def introspect(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        self.asked.append(("introspect", (request.authorization, request.accept, request.fields)))
        return HttpAnswer(status=200, headers=JSON, body=b"{}")

    async def userinfo(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        self.asked.append(("userinfo", (request.authorization, request.fields)))
        return HttpAnswer(status=200, headers=JSON, body=b"{}")

    async def receive(self, form: Mapping[str, str], federation: Federation) -> None:
        self.asked.append(("logout", dict(form)))
        if self.raised is not None:
            raise self.raised

    def _read(self, what: str, given: object) -> LoginRequest:
        self.asked.append((what, given))
        if self.raised is not None:
            raise self.raised
        return self.request


@dataclass
class Site:
    client: TestClient
    scene: Scene
    edge: Edge

    async def get(self, path: str, **more: Any) -> ClientResponse:
        return await self.client.get(path, allow_redirects=False, **more)

    async def post(self, path: str, data: Any = None, **more: Any) -> ClientResponse:
        return await self.client.post(path, data=data, allow_redirects=False, **more)

    async def begin(self) -> str:
        """The address of a login's page of choice, in this browser."""
        self.edge.request = a_request()
        page = html.document_fromstring(await (await self.get("/saml/idp/sso?SAMLRequest=x")).text())
        links = page.xpath("//main//a/@href")
        return str(next(each for each in links if "/choose" in each)).partition("/choose")[0]


@pytest.fixture
async def site(scene: Scene) -> AsyncIterator[Site]:
    cookies, edge = Cookies(secure=False), Edge()
    presenter = Presenter(Pages("Kuntasilta"), lambda: scene.federation, cookies, scene.clock, secure=False)
    each = cast(Any, edge)
    edges = Edges(saml_idp=each, saml_sp=each, openid_provider=each, back_channel_logout=each)
    endpoints = Endpoints(
        scene.journey, edges, presenter, cookies, lambda: scene.federation, ClientCertificateHeader("", ())
    )
    app = web.Application(middlewares=[Errors(scene.journey, presenter).middleware])
    app.add_routes(endpoints.routes())
    async with TestClient(TestServer(app), headers={"Accept-Language": "en"}) as client:
        yield Site(client=client, scene=scene, edge=edge)


async def reason(answer: ClientResponse) -> str:
    return str(html.document_fromstring(await answer.text()).xpath("string(//main/@data-reason)"))


# --- toward services --------------------------------------------------------------------------------------------------


async def test_saml_bindings_3_4_4_1_the_query_is_handed_on_as_it_was_sent(site: Site) -> None:
    query = "SAMLRequest=a%2Bb%2fc%3d&RelayState=x+y%20z&SigAlg=%68ttp&Signature=%41"
    url = URL(f"{site.client.make_url('/saml/idp/sso')}?{query}", encoded=True)

    await site.client.session.get(url, allow_redirects=False)

    assert site.edge.asked == [("redirect", query)]


async def test_a_posted_request_is_read_with_the_query_of_its_address(site: Site) -> None:
    answer = await site.post("/saml/idp/sso?organisation=pori", {"SAMLRequest": "x", "RelayState": "r"})

    assert site.edge.asked == [("post", ({"SAMLRequest": "x", "RelayState": "r"}, "organisation=pori"))]
    assert answer.status == 303


async def test_rfc7009_2_1_rfc7662_2_1_and_rfc8628_3_1_these_are_asked_by_post_alone(site: Site) -> None:
    given = {"Authorization": "Basic x"}
    await site.client.post("/oidc/revoke", data={"token": "t"}, headers=given)
    await site.client.post("/oidc/introspect", data={"token": "t"}, headers={**given, "Accept": "application/json"})
    await site.client.post("/oidc/device_authorization", data={"token": "t"}, headers=given)

    fields = (("token", "t"),)
    assert site.edge.asked == [
        ("revoke", ("Basic x", fields)),
        ("introspect", ("Basic x", "application/json", fields)),
        ("authorize_device", ("Basic x", fields)),
    ]
    for path in ("/oidc/revoke", "/oidc/introspect", "/oidc/device_authorization"):
        assert (await site.client.get(path)).status == 405


async def test_back_channel_logout_2_8_the_city_is_told_in_few_words(site: Site) -> None:
    done = await site.client.post("/oidc/backchannel_logout", data={"logout_token": "t"})
    assert (done.status, done.headers["Cache-Control"], await done.text()) == (200, "no-store", "")
    assert site.edge.asked == [("logout", {"logout_token": "t"})]

    site.edge.raised = LogoutTokenInvalid("wrong", check="aud")
    refused = await site.client.post("/oidc/backchannel_logout", data={"logout_token": "t"})
    assert (refused.status, refused.headers["Cache-Control"]) == (400, "no-store")
    assert await refused.json() == {"error": "invalid_request"}
    assert (await site.client.get("/oidc/backchannel_logout")).status == 405


async def test_saml_bindings_3_6_3_an_artifact_comes_by_get_or_by_post(site: Site) -> None:
    await site.get("/saml/idp/sso?SAMLart=a%2B&RelayState=r")
    await site.post("/saml/idp/sso", {"SAMLart": "b"})
    twice = await site.get("/saml/idp/sso?SAMLart=a&SAMLart=b")

    assert site.edge.asked == [("artifact", {"SAMLart": "a+", "RelayState": "r"}), ("artifact", {"SAMLart": "b"})]
    assert (twice.status, await reason(twice)) == (400, "malformed_message")


async def test_oidc_core_3_1_2_1_the_request_comes_by_get_or_by_post(site: Site) -> None:
    await site.get("/oidc/authorize?a=1&a=2&b=%C3%A4+%2B")
    await site.post("/oidc/authorize?c=3", {"d": "4"})

    assert site.edge.asked == [
        ("authorization", (("a", "1"), ("a", "2"), ("b", "ä +"))),
        ("authorization", (("d", "4"),)),
    ]


async def test_profiles_4_1_5_a_login_begins_here_for_a_service_that_is_named(site: Site) -> None:
    answer = await site.get("/saml/idp/unsolicited?service=wiki&organisation=pori&RelayState=%2Fpage")
    await site.get("/saml/idp/unsolicited")

    assert site.edge.asked == [
        ("unsolicited", ("wiki", Hints(organisation="pori"), "/page")),
        ("unsolicited", ("", Hints(), None)),
    ]
    assert answer.status == 303
    assert answer.cookies["broker-browser"].value


async def test_P2_the_browser_is_bound_to_the_login_that_it_begins(site: Site) -> None:
    answer = await site.get("/oidc/authorize")

    cookie = answer.cookies["broker-browser"]
    assert cookie["httponly"]
    assert answer.headers["Location"] == "https://adfs.pori.example/sso"
    stored = next(iter(site.scene.store._records.values()))[1]
    assert fingerprint(cookie.value) in stored.decode()
    assert cookie.value not in stored.decode()


async def test_a_browser_keeps_its_secret_from_login_to_login(site: Site) -> None:
    first = (await site.get("/oidc/authorize")).cookies["broker-browser"].value
    second = (await site.get("/saml/idp/sso")).cookies["broker-browser"].value

    assert first == second


async def test_what_is_no_secret_of_ours_is_replaced(site: Site) -> None:
    answer = await site.get("/oidc/authorize", headers={"Cookie": "broker-browser=planted"})

    assert answer.cookies["broker-browser"].value != "planted"


async def test_a_refused_request_goes_back_to_the_service_and_binds_the_browser(site: Site) -> None:
    site.edge.raised = RefusedRequest(InvalidServiceRequest("x"), a_request())

    answer = await site.get("/oidc/authorize")

    assert answer.headers["Location"] == "https://service.example/acs?error=invalid_service_request"
    assert answer.cookies["broker-browser"].value


async def test_P5_a_stranger_s_request_goes_nowhere_and_leaves_no_cookie(site: Site) -> None:
    site.edge.raised = UnknownService("x")

    answer = await site.get("/oidc/authorize?redirect_uri=https://evil.example")

    assert answer.status == 400
    assert "Location" not in answer.headers
    assert not answer.cookies
    assert "evil.example" not in await answer.text()


@pytest.mark.parametrize("path", ["/saml/idp/metadata", "/saml/sp/metadata"])
async def test_metadata_have_their_registered_type(site: Site, path: str) -> None:
    answer = await site.get(path)

    assert (answer.status, answer.content_type) == (200, "application/samlmetadata+xml")
    assert answer.headers["Cache-Control"] == "public, max-age=3600"


@pytest.mark.parametrize(
    ("known", "status"), [('"e1"', 304), ('W/"e1"', 304), ('"e0", "e1"', 304), ("*", 304), ('"e0"', 200), ("e1", 200)]
)
async def test_rfc_9110_13_1_2_who_has_the_metadata_already_is_told_so(site: Site, known: str, status: int) -> None:
    answer = await site.get("/saml/idp/metadata", headers={"If-None-Match": known})

    assert (answer.status, answer.headers["ETag"]) == (status, '"e1"')
    assert bool(await answer.read()) == (status == 200)


async def test_rfc_9110_9_3_2_metadata_may_be_asked_for_by_head(site: Site) -> None:
    answer = await site.client.head("/saml/sp/metadata")

    assert (answer.status, answer.headers["ETag"], await answer.read()) == (200, '"e1"', b"")


async def test_what_the_provider_says_of_itself_is_handed_out_as_it_is(site: Site) -> None:
    assert await (await site.get("/.well-known/openid-configuration")).json() == {"issuer": "i"}
    assert (await site.get("/oidc/jwks")).headers["Cache-Control"] == "public, max-age=300"


async def test_a_client_s_request_is_handed_on_with_its_header_and_every_field(site: Site) -> None:
    answer = await site.post("/oidc/token", [("a", "1"), ("a", "2")], headers={"Authorization": "Basic eDp5"})
    await site.get("/oidc/userinfo?access_token=never-read", headers={"Authorization": "Bearer t"})
    await site.post("/oidc/userinfo", {"access_token": "t"})
    await site.post("/oidc/userinfo")

    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Basic")
    assert site.edge.asked == [
        ("token", ("Basic eDp5", (("a", "1"), ("a", "2")))),
        ("userinfo", ("Bearer t", ())),
        ("userinfo", (None, (("access_token", "t"),))),
        ("userinfo", (None, ())),
    ]


# --- toward cities ----------------------------------------------------------------------------------------------------


async def test_an_answer_finds_its_login_by_relay_state(site: Site) -> None:
    transaction = await site.scene.at_pori()
    browser = new_browser()
    await site.scene.transactions.put(_bound(transaction, browser))

    answer = await site.post(
        "/saml/sp/acs",
        {"SAMLResponse": "x", "RelayState": transaction.id},
        headers={"Cookie": f"broker-browser={browser}"},
    )

    assert answer.headers["Location"] == "https://service.example/acs?answer=1"


async def test_bindings_3_6_3_an_artifact_in_the_query_finds_its_login_by_relay_state(site: Site) -> None:
    transaction = await site.scene.at_pori()
    browser = new_browser()
    await site.scene.transactions.put(_bound(transaction, browser))

    answer = await site.get(
        f"/saml/sp/acs?SAMLart=x&RelayState={transaction.id}", headers={"Cookie": f"broker-browser={browser}"}
    )

    assert answer.headers["Location"] == "https://service.example/acs?answer=1"


@pytest.mark.parametrize("query", ["", "RelayState=x", "SAMLResponse=x&RelayState=x"])
async def test_profiles_4_1_2_a_Response_never_comes_in_a_query(site: Site, query: str) -> None:
    answer = await site.get(f"/saml/sp/acs?{query}")

    assert (answer.status, await reason(answer)) == (400, "malformed_message")


async def test_profiles_4_1_5_an_unsolicited_answer_for_a_service_begins_a_login_at_that_city(site: Site) -> None:
    [service, *_] = site.scene.federation.services
    [idp, *_] = site.scene.federation.identity_providers.values()

    answer = await site.post("/saml/sp/acs", {"SAMLResponse": "x", "RelayState": service})

    assert site.edge.asked == [
        ("unsolicited_from_home", {"SAMLResponse": "x", "RelayState": service}),
        ("unsolicited", (service, Hints(identity_providers=(idp.entity_id,)), None)),
    ]
    assert answer.headers["Location"] == "https://adfs.pori.example/sso"
    assert answer.cookies["broker-browser"].value


@pytest.mark.parametrize("form", [{"SAMLResponse": "x"}, {"SAMLResponse": "x", "RelayState": ""}])
async def test_P2_an_answer_that_nobody_asked_for_is_refused(site: Site, form: dict[str, str]) -> None:
    answer = await site.post("/saml/sp/acs", form)

    assert (answer.status, await reason(answer)) == (400, "unsolicited_answer")


@pytest.mark.parametrize("query", ["code=x", "code=x&state=", ""])
async def test_P2_a_code_that_nobody_asked_for_is_refused(site: Site, query: str) -> None:
    answer = await site.get(f"/oidc/callback?{query}")

    assert (answer.status, await reason(answer)) == (400, "unsolicited_answer")


async def test_a_parameter_that_comes_twice_is_refused_before_anything_is_looked_up(site: Site) -> None:
    found = [
        await site.get("/oidc/callback?state=a&state=b"),
        await site.post("/saml/sp/acs", [("RelayState", "a"), ("RelayState", "a")]),
        await site.post("/saml/idp/sso", [("SAMLRequest", "a"), ("SAMLRequest", "a")]),
        await site.get("/login/x/choose?organisation=pori&organisation=ulvila"),
    ]

    assert [await reason(each) for each in found] == ["malformed_message"] * 4


# --- pages of a login -------------------------------------------------------------------------------------------------


async def test_a_choice_leads_to_the_city_and_is_remembered(site: Site) -> None:
    here = await site.begin()

    answer = await site.get(f"{here}/choose?organisation=ulvila")

    assert answer.headers["Location"] == "https://login.ulvila.example/sso"
    cookie = answer.cookies["broker-organisation"]
    assert (cookie.value, cookie["httponly"], cookie["samesite"]) == ("ulvila", True, "Lax")


@pytest.mark.parametrize("organisation", ["nobody", "", "%3Cscript%3E"])
async def test_an_organisation_that_nobody_registered_is_not_remembered(site: Site, organisation: str) -> None:
    here = await site.begin()

    answer = await site.get(f"{here}/choose?organisation={organisation}")

    assert answer.status == 200
    assert "broker-organisation" not in answer.cookies


async def test_a_hint_is_no_choice_and_is_not_remembered(site: Site) -> None:
    answer = await site.get("/oidc/authorize")

    assert answer.status == 303
    assert "broker-organisation" not in answer.cookies


async def test_a_remembered_choice_is_forgotten_by_a_form_that_shows_its_page_again(site: Site) -> None:
    here = await site.begin()
    await site.get(f"{here}/choose?organisation=ulvila")
    assert "row-main" in await (await site.get(here)).text()

    answer = await site.post(here, {"forget": "organisation"})

    assert (answer.status, answer.headers["Location"]) == (303, here)
    assert answer.cookies["broker-organisation"]["max-age"] == "0"
    assert "row-main" not in await (await site.get(here)).text()


async def test_the_ways_on_from_a_refusal(site: Site) -> None:
    here = await site.begin()
    await site.get(f"{here}/choose?organisation=pori")
    # Pori was asked by SAML.
    answer = await site.get(f"/oidc/callback?state={here.rpartition('/')[2]}&code=x")
    assert (answer.status, await reason(answer)) == (400, "out_of_order")

    assert await reason(await site.get(here)) == "out_of_order"
    again = await site.get(f"{here}/again")
    assert again.status == 200
    assert await reason(again) == ""


async def test_a_refused_person_goes_back_to_the_service(site: Site) -> None:
    site.scene.city.unreachable = HomeUnreachable("timed out", organisation="pori")
    here = await site.begin()
    refused = await site.get(f"{here}/choose?organisation=pori")
    assert (refused.status, await reason(refused)) == (502, "home_unreachable")

    answer = await site.get(f"{here}/back")

    assert answer.headers["Location"] == "https://service.example/acs?error=home_unreachable"
    assert await reason(await site.get(f"{here}/back")) == "login_used_or_expired"


async def test_a_login_is_shown_to_no_other_browser(site: Site) -> None:
    here = await site.begin()
    site.client.session.cookie_jar.clear()

    for way in ("", "/choose?organisation=pori", "/again", "/back"):
        answer = await site.get(here + way)
        assert (answer.status, await reason(answer)) == (400, "other_browser")


def _bound(transaction: Any, browser: str) -> Any:
    return replace(transaction, browser=fingerprint(browser))
