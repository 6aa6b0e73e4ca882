"""Endpoints: the protocol and page addresses of FEDERATION.md. Each reads its request, asks the dispatcher or an edge, and answers.

Nothing is decided here: what a message means is the edges', what happens next is ``journey``'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

from broker.errors import HomeAnswerInvalid, MalformedMessage
from broker.federation.model import Federation, Protocol
from broker.login.edges import RefusedRequest
from broker.login.request import Hints, LoginRequest
from broker.login.transaction import TransactionId
from broker.oidc.op.edge import OpenIdProvider
from broker.oidc.op.http import ClientRequest, HttpAnswer
from broker.oidc.rp import back_channel_logout
from broker.oidc.rp.back_channel_logout import BackChannelLogout
from broker.saml import soap
from broker.saml.descriptor import Document
from broker.saml.idp.edge import SamlIdentityProvider
from broker.saml.sp.edge import SamlServiceProvider
from broker.web.client_certificate import ClientCertificateHeader
from broker.web.cookies import Cookies, fingerprint, new_browser
from broker.web.inbound import each_once, form_pairs, query_pairs, whole_body
from broker.web.journey import Journey, Outcome
from broker.web.presenter import Presenter, see_other

_SAML_METADATA = "application/samlmetadata+xml"


@dataclass(frozen=True, kw_only=True)
class Edges:
    """The protocol edges, as the endpoints use them."""

    saml_idp: SamlIdentityProvider
    saml_sp: SamlServiceProvider
    openid_provider: OpenIdProvider
    back_channel_logout: BackChannelLogout


class Endpoints:
    def __init__(
        self,
        journey: Journey,
        edges: Edges,
        presenter: Presenter,
        cookies: Cookies,
        federation: Callable[[], Federation],
        certificates: ClientCertificateHeader,
    ) -> None:
        self._journey = journey
        self._edges = edges
        self._presenter = presenter
        self._cookies = cookies
        self._federation = federation
        self._certificates = certificates

    def routes(self) -> list[web.RouteDef]:
        provider = self._edges.openid_provider
        return [
            web.get("/saml/idp/sso", self.single_sign_on_redirect),
            web.post("/saml/idp/sso", self.single_sign_on_post),
            web.get("/saml/idp/unsolicited", self.unsolicited),
            web.post("/saml/idp/artifact", self.artifact_resolution_service),
            web.get("/saml/sp/acs", self.assertion_consumer_service_by_artifact),
            web.post("/saml/sp/acs", self.assertion_consumer_service),
            web.get("/saml/idp/metadata", self.saml_idp_metadata),
            web.get("/saml/sp/metadata", self.saml_sp_metadata),
            web.get("/.well-known/openid-configuration", self.openid_configuration),
            web.get("/oidc/authorize", self.authorize),
            web.post("/oidc/authorize", self.authorize),
            web.post("/oidc/par", self._for_programs(provider.push)),
            web.post("/oidc/token", self._for_programs(provider.token)),
            web.post("/oidc/revoke", self._for_programs(provider.revoke)),
            web.post("/oidc/introspect", self._for_programs(provider.introspect)),
            web.get("/oidc/userinfo", self._for_programs(provider.userinfo)),
            web.post("/oidc/userinfo", self._for_programs(provider.userinfo)),
            web.post("/oidc/device_authorization", self._for_programs(provider.authorize_device)),
            web.get("/oidc/jwks", self.jwks),
            web.get("/oidc/callback", self.callback),
            web.post(back_channel_logout.PATH, self.back_channel_logout),
            web.get("/login/{id}", self.show),
            web.post("/login/{id}", self.forget),
            web.get("/login/{id}/choose", self.choose),
            web.get("/login/{id}/again", self.again),
            web.get("/login/{id}/back", self.back),
        ]

    # --- toward services ---------------------------------------------------------------------------------------------

    async def single_sign_on_redirect(self, request: web.Request) -> web.StreamResponse:
        return await self.begin(request, self._authn_request_in_query(request))

    async def single_sign_on_post(self, request: web.Request) -> web.StreamResponse:
        return await self.begin(request, self._authn_request_in_form(request))

    async def unsolicited(self, request: web.Request) -> web.StreamResponse:
        """A login that begins here: ``service`` names it, ``organisation`` and ``RelayState`` may."""
        return await self.begin(request, self._unsolicited_here(request))

    async def authorize(self, request: web.Request) -> web.StreamResponse:
        return await self.begin(request, self._authorization_request(request))

    async def saml_idp_metadata(self, request: web.Request) -> web.StreamResponse:
        return _metadata(request, self._edges.saml_idp.metadata(self._federation()))

    async def artifact_resolution_service(self, request: web.Request) -> web.StreamResponse:
        answer = await self._edges.saml_idp.resolve(await whole_body(request), self._federation())
        content_type = {"Content-Type": soap.CONTENT_TYPE} if answer.body else {}
        headers = {"Cache-Control": "no-store", **content_type}
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    async def openid_configuration(self, request: web.Request) -> web.StreamResponse:
        return _answer(self._edges.openid_provider.discovery())

    async def jwks(self, request: web.Request) -> web.StreamResponse:
        return _answer(self._edges.openid_provider.jwks())

    def _for_programs(self, answer: Callable[[ClientRequest, Federation], Awaitable[HttpAnswer]]) -> Handler:
        """An endpoint that a client asks itself, without a browser."""

        async def handler(request: web.Request) -> web.StreamResponse:
            return _answer(await answer(await self._client_request(request), self._federation()))

        return handler

    # --- toward cities -----------------------------------------------------------------------------------------------

    async def saml_sp_metadata(self, request: web.Request) -> web.StreamResponse:
        return _metadata(request, self._edges.saml_sp.metadata(self._federation()))

    async def assertion_consumer_service(self, request: web.Request) -> web.StreamResponse:
        """By POST, or by artifact in a form (saml-bindings 3.5.4, 3.6.3). RelayState names a login, or where nobody asked,
        the service that the person wants to reach."""
        form = each_once(await form_pairs(request))
        if form.get("RelayState") in self._federation().services:
            return await self.begin(request, self._unsolicited_from_home(form))
        return await self._receive(request, form, form.get("RelayState", ""), Protocol.SAML)

    async def assertion_consumer_service_by_artifact(self, request: web.Request) -> web.StreamResponse:
        """By artifact in the query (saml-bindings 3.6.3); a whole Response never comes that way (saml-profiles 4.1.2)."""
        query = each_once(query_pairs(request))
        if "SAMLart" not in query:
            raise MalformedMessage("no SAMLart in the query")
        return await self._receive(request, query, query.get("RelayState", ""), Protocol.SAML)

    async def callback(self, request: web.Request) -> web.StreamResponse:
        query = each_once(query_pairs(request))
        return await self._receive(request, query, query.get("state", ""), Protocol.OIDC)

    async def back_channel_logout(self, request: web.Request) -> web.StreamResponse:
        """OpenID Connect Back-Channel Logout 2.8."""
        await self._edges.back_channel_logout.receive(each_once(await form_pairs(request)), self._federation())
        return web.Response(status=200, headers={"Cache-Control": "no-store"})

    # --- pages of a login --------------------------------------------------------------------------------------------

    async def show(self, request: web.Request) -> web.StreamResponse:
        return self._present(request, await self._journey.show(_id(request), self._browser(request)))

    async def forget(self, request: web.Request) -> web.StreamResponse:
        """ "Forget this choice": a form that posts to its own page."""
        response = see_other(request.rel_url.raw_path)
        self._cookies.forget_organisation(response)
        return response

    async def choose(self, request: web.Request) -> web.StreamResponse:
        organisation = each_once(query_pairs(request)).get("organisation", "")
        outcome = await self._journey.choose(_id(request), organisation, self._browser(request))
        response = self._present(request, outcome)
        if organisation in self._federation().organisations:
            self._cookies.remember_organisation(response, organisation)
        return response

    async def again(self, request: web.Request) -> web.StreamResponse:
        return self._present(request, await self._journey.reopen(_id(request), self._browser(request)))

    async def back(self, request: web.Request) -> web.StreamResponse:
        return self._present(request, await self._journey.back_to_service(_id(request), self._browser(request)))

    # --- requests, read ----------------------------------------------------------------------------------------------

    async def _authn_request_in_query(self, request: web.Request) -> LoginRequest:
        """By HTTP-Redirect, whose signature covers the query as it was sent; or by artifact."""
        if "SAMLart" in request.rel_url.query:
            query = each_once(query_pairs(request))
            return await self._edges.saml_idp.read_artifact(query, self._federation())
        return self._edges.saml_idp.read_redirect(request.rel_url.raw_query_string, self._federation())

    async def _authn_request_in_form(self, request: web.Request) -> LoginRequest:
        form = each_once(await form_pairs(request))
        if "SAMLart" in form:
            return await self._edges.saml_idp.read_artifact(form, self._federation())
        return self._edges.saml_idp.read_post(form, request.rel_url.raw_query_string, self._federation())

    async def _unsolicited_here(self, request: web.Request) -> LoginRequest:
        query = each_once(query_pairs(request))
        hints = Hints(organisation=query.get("organisation") or None)
        service, relay_state = query.get("service", ""), query.get("RelayState")
        return self._edges.saml_idp.begin_unsolicited(service, hints, relay_state, self._federation())

    async def _authorization_request(self, request: web.Request) -> LoginRequest:
        pairs = await form_pairs(request) if request.method == "POST" else query_pairs(request)
        return await self._edges.openid_provider.begin_authorization(pairs, self._federation())

    async def _unsolicited_from_home(self, form: Mapping[str, str]) -> LoginRequest:
        """The city's portal sends a person on: a login begins here, and the city is asked as in any other (ADR 0011)."""
        federation = self._federation()
        idp = self._edges.saml_sp.read_unsolicited(form, federation)
        hints = Hints(identity_providers=(idp.entity_id,))
        return self._edges.saml_idp.begin_unsolicited(form["RelayState"], hints, None, federation)

    # --- shared ------------------------------------------------------------------------------------------------------

    async def begin(self, request: web.Request, read: Awaitable[LoginRequest]) -> web.StreamResponse:
        """A service's request: it is read, the browser is bound to it, and the first step is taken."""
        browser = self._cookies.browser(request.cookies) or new_browser()
        try:
            outcome = await self._journey.begin(await read, fingerprint(browser))
        except RefusedRequest as refused:
            outcome = await self._journey.refuse_request(refused, fingerprint(browser))
        response = self._present(request, outcome)
        self._cookies.bind(response, browser)
        return response

    async def _receive(
        self, request: web.Request, message: Mapping[str, str], id: str, protocol: Protocol
    ) -> web.StreamResponse:
        """A city's answer. Without an id it answers no request of ours: unsolicited answers are refused (P2)."""
        if not id:
            raise UnsolicitedAnswer("no RelayState or state")
        outcome = await self._journey.receive(TransactionId(id), message, self._browser(request), protocol)
        return self._present(request, outcome)

    async def _client_request(self, request: web.Request) -> ClientRequest:
        fields = await form_pairs(request) if request.method == "POST" and request.can_read_body else ()
        return ClientRequest(
            method=request.method,
            authorization=request.headers.get("Authorization"),
            accept=request.headers.get("Accept"),
            dpop=tuple(request.headers.getall("DPoP", ())),
            certificate=self._certificates.of(request),
            fields=fields,
        )

    def _browser(self, request: web.Request) -> str:
        return fingerprint(self._cookies.browser(request.cookies))

    def _present(self, request: web.Request, outcome: Outcome) -> web.StreamResponse:
        return self._presenter.present(request, outcome)


class UnsolicitedAnswer(HomeAnswerInvalid):
    """P2: an answer that no login of ours asked for (saml-profiles 4.1.5, OIDC Core 3.1.2.7)."""

    code = "unsolicited_answer"
    message_key = "login_used"


def _id(request: web.Request) -> TransactionId:
    return TransactionId(request.match_info["id"])


def _metadata(request: web.Request, document: Document) -> web.Response:
    """Metadata, or 304 to who has it already (RFC 9110 13.1.2)."""
    headers = {"ETag": f'"{document.etag}"', "Cache-Control": "public, max-age=3600"}
    known = {each.value for each in request.if_none_match or ()}
    if known & {document.etag, "*"}:
        return web.Response(status=304, headers=headers)
    return web.Response(body=document.body, content_type=_SAML_METADATA, headers=headers)


def _answer(answer: HttpAnswer) -> web.Response:
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
