"""OpenIdProvider: the downstream edge of OpenID Connect, as ``web`` and the dispatcher use it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode

from broker.attributes.identifiers import Subjects
from broker.errors import Fault, UnregisteredAddress
from broker.federation.model import Federation, OidcClient, Service
from broker.fetch import Fetcher
from broker.keys.keyring import KeyRing
from broker.login.edges import Delivery, FormPost, Redirect
from broker.login.ports import AuditLog, Clock, GrantStore, ReplayCache
from broker.login.request import LoginRequest
from broker.login.steps import Answer
from broker.login.transaction import LoginTransaction
from broker.oidc import home_sessions, jose
from broker.oidc.errors import EssentialContextNotMet, InvalidRequest, InvalidRequestObject, OtherPerson
from broker.oidc.home_sessions import HomeSessions
from broker.oidc.jose import JoseError, Signer
from broker.oidc.op import authorization, device, discovery, exchange, released, reply
from broker.oidc.op.authorization import Come
from broker.oidc.op.client_assertion import ClientAssertions
from broker.oidc.op.client_authentication import ClientAuthentication
from broker.oidc.op.client_certificates import ClientCertificates
from broker.oidc.op.client_endpoint import ClientEndpoint, Serve
from broker.oidc.op.client_keys import ClientKeys
from broker.oidc.op.client_tokens import ClientTokens
from broker.oidc.op.device import DeviceAuthorization
from broker.oidc.op.dpop import DpopNonces, DpopProofs
from broker.oidc.op.exchange import TokenExchange
from broker.oidc.op.grants import CODE, CODE_LIFETIME, LONGEST_REFRESH, CodeGrant, LoginGrant
from broker.oidc.op.http import ClientRequest, HttpAnswer, json_answer
from broker.oidc.op.introspection import IntrospectionEndpoint
from broker.oidc.op.issuing import Tokens
from broker.oidc.op.mutual_tls import MutualTls
from broker.oidc.op.parameters import Parameters
from broker.oidc.op.pushed_requests import PREFIX, PushedRequests
from broker.oidc.op.released import ClaimsOf
from broker.oidc.op.reply import FORM_POST, Reply
from broker.oidc.op.request_object import Pairs, RequestObjects
from broker.oidc.op.revocation import RevocationEndpoint
from broker.oidc.op.sealed_person import SealedPeople
from broker.oidc.op.token import TokenEndpoint
from broker.oidc.op.userinfo import UserInfoEndpoint

# Of LoginRequest.reply, beside what ``Reply`` writes.
_REQUEST_URI = "request_uri"
# Keys are published long before they sign (KeyRing's next), so a copy may be kept.
_CACHED = {"Cache-Control": "public, max-age=300"}


class OpenIdProvider:
    """``mutual_tls``: None, unless a proxy passes clients' certificates on."""

    def __init__(
        self,
        *,
        base_url: str,
        keys: KeyRing,
        grants: GrantStore,
        replay: ReplayCache,
        fetcher: Fetcher,
        clock: Clock,
        clock_skew: timedelta,
        claims_of: ClaimsOf,
        subjects: Callable[[], Subjects],
        audit: AuditLog,
        mutual_tls: MutualTls | None = None,
    ) -> None:
        self._issuer = base_url
        self._grants = grants
        self._claims_of = claims_of
        signer = Signer(keys)
        self._own_keys = signer.key_set()
        self._clock = clock
        client_keys = ClientKeys(fetcher, clock)
        jwts = ClientTokens(signer, client_keys)
        sessions = HomeSessions(grants, clock)
        tokens = Tokens(issuer=base_url, jwts=jwts, grants=grants, sessions=sessions, audit=audit, clock=clock)
        assertions = ClientAssertions(issuer=base_url, keys=client_keys, replay=replay, skew=clock_skew)
        certificates = ClientCertificates(mutual_tls.authorities if mutual_tls else (), client_keys, clock)
        clients = ClientAuthentication(assertions, certificates, clock)
        bases = (base_url, mutual_tls.base_url) if mutual_tls and mutual_tls.base_url else (base_url,)
        nonces = DpopNonces(keys.sealing, clock)
        proofs = DpopProofs(bases=bases, nonces=nonces, replay=replay, clock=clock, skew=clock_skew)
        self._objects = RequestObjects(issuer=base_url, keys=client_keys, clock=clock, skew=clock_skew)
        self._pushed = PushedRequests(grants, self._checked)
        introspection = IntrospectionEndpoint(issuer=base_url, tokens=tokens, signer=signer, clock=clock)

        def endpoint(name: str, path: str, serve: Serve) -> ClientEndpoint:
            return ClientEndpoint(name, path, issuer=base_url, clients=clients, proofs=proofs, serve=serve)

        self._push = endpoint("pushed_request", "/oidc/par", self._pushed.serve)
        self._devices = DeviceAuthorization(issuer=base_url, grants=grants, clock=clock)
        self._device = endpoint("device", "/oidc/device_authorization", self._devices.serve)
        self._people = SealedPeople(keys.sealing)
        exchanges = TokenExchange(
            tokens=tokens,
            people=self._people,
            claims_of=claims_of,
            subjects=subjects,
            audit=audit,
            clock=clock,
        )
        self._token = endpoint("token", "/oidc/token", TokenEndpoint(grants, tokens, self._devices, exchanges).serve)
        self._revocation = endpoint("revocation", "/oidc/revoke", RevocationEndpoint(tokens).serve)
        self._introspection = endpoint("introspection", "/oidc/introspect", introspection.serve)
        self._userinfo = UserInfoEndpoint(issuer=base_url, tokens=tokens, jwts=jwts, proofs=proofs)
        self._discovery = json_answer(discovery.provider_metadata(base_url, signer, mutual_tls), headers=_CACHED)
        self._jwks = json_answer(signer.jwks(), headers=_CACHED)

    async def begin_authorization(self, pairs: Sequence[tuple[str, str]], federation: Federation) -> LoginRequest:
        """A request as it comes: open, with a request object, or as a reference to what was pushed.

        ``pairs``: parameters of the query or the form, decoded once, in order. Raises: UnknownService, UnregisteredAddress,
        InvalidRequest, InvalidRequestUri, InvalidRequestObject (a page), RefusedRequest (the service is told), StateUnavailable.
        """
        asked = Parameters(pairs)
        request_uri = asked.get("request_uri") or ""
        if request_uri.startswith(PREFIX):
            pushed = await self._pushed.parameters(request_uri, asked.get("client_id"))
            request = authorization.read(pushed, federation, self._subject_of_hint, Come.PUSHED)
            return replace(request, reply={**request.reply, _REQUEST_URI: request_uri})
        found, come = await self._resolved(tuple(pairs), federation)
        return authorization.read(found, federation, self._subject_of_hint, come)

    async def push(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        """Raises: StateUnavailable."""
        return await self._push.answer(request, federation)

    async def authorize_device(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        """Raises: StateUnavailable."""
        return await self._device.answer(request, federation)

    async def service_of_device(self, user_code: str, federation: Federation) -> Service | None:
        """The service whose device shows this code. Raises: StateUnavailable."""
        return await self._devices.service_of(user_code, federation)

    async def begin_for_device(self, user_code: str, federation: Federation) -> LoginRequest:
        """Raises: DeviceCodeEnded, StateUnavailable."""
        return await self._devices.begin(user_code, federation)

    async def finish_for_device(self, code: str) -> None:
        """Raises: DeviceCodeEnded, StateUnavailable."""
        await self._devices.finish(code)

    async def _resolved(self, pairs: Pairs, federation: Federation) -> tuple[Pairs, Come]:
        """The parameters of a request object in place of those around it. Raises: InvalidRequestObject, UnknownService."""
        asked = Parameters(pairs)
        text = asked.get("request")
        if text is None:
            return pairs, Come.OPEN
        client = authorization.client_of(asked, federation)
        try:
            asked.check()
            return await self._objects.parameters(text, client), Come.SIGNED
        except (InvalidRequest, InvalidRequestObject) as fault:
            raise authorization.refusal(asked, federation, fault) from fault

    async def _checked(self, pairs: Pairs, federation: Federation) -> Pairs:
        """What was pushed, proven to be a good request. A client that must sign signs what it pushes too."""
        found, come = await self._resolved(pairs, federation)
        if come is Come.OPEN and authorization.client_of(Parameters(found), federation).require_signed_request_object:
            raise InvalidRequest("this client's requests must be signed (RFC 9101 10.5)")
        authorization.read(found, federation, self._subject_of_hint, Come.PUSHED)
        return found

    async def token(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        """Raises: StateUnavailable."""
        return await self._token.answer(request, federation)

    async def userinfo(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        """Raises: StateUnavailable."""
        return await self._userinfo.answer(request, federation)

    async def revoke(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        """Raises: StateUnavailable."""
        return await self._revocation.answer(request, federation)

    async def introspect(self, request: ClientRequest, federation: Federation) -> HttpAnswer:
        """Raises: StateUnavailable."""
        return await self._introspection.answer(request, federation)

    def discovery(self) -> HttpAnswer:
        return self._discovery

    def jwks(self) -> HttpAnswer:
        return self._jwks

    async def answer(self, transaction: LoginTransaction, answer: Answer, service: Service) -> Delivery:
        """A code for this person (RFC 6749 4.1.2), or what their device waits for.

        Raises: UnregisteredAddress, OtherPerson, EssentialContextNotMet, DeviceCodeEnded, StateUnavailable.
        """
        asked = reply.read(transaction.request.reply)
        client = _registered(asked, service)
        login = self._login(transaction, asked, client, answer)
        if asked.user_code is not None:
            return Redirect(url=await self._devices.answer(asked.user_code, login))
        code = secrets.token_urlsafe(32)
        grant = CodeGrant(
            redirect_uri=asked.redirect_uri, code_challenge=asked.code_challenge, login=login, dpop_jkt=asked.dpop_jkt
        )
        await self._grants.put(CODE, code, grant.write(), CODE_LIFETIME)
        if (request_uri := transaction.request.reply.get(_REQUEST_URI)) is not None:
            await self._pushed.spend(request_uri)
        return self._deliver(asked, {"code": code})

    def _login(self, transaction: LoginTransaction, asked: Reply, client: OidcClient, answer: Answer) -> LoginGrant:
        """Raises: OtherPerson, EssentialContextNotMet."""
        subject = released.subject_of(answer.release, client)
        check_expectations(asked, subject, answer)
        longest, service = self._clock() + LONGEST_REFRESH, answer.service
        return LoginGrant(
            service=service,
            organisation=answer.organisation,
            scopes=asked.scopes,
            until=min(answer.session_ends or longest, longest),
            answered_at=self._clock(),
            home_session=home_sessions.names(answer.idp, answer.session),
            reference=transaction.reference,
            person=self._people.seal(answer.identity, service) if exchange.GRANT_TYPE in client.grant_types else None,
            id_token=released.id_token(asked, subject, answer, self._issuer, self._claims_of),
            userinfo=released.userinfo(asked, subject, answer, self._claims_of),
        )

    async def refuse(self, transaction: LoginTransaction, fault: Fault, service: Service) -> Delivery:
        """RFC 6749 4.1.2.1. The description is our stable reason. Raises: UnregisteredAddress, DeviceCodeEnded, StateUnavailable."""
        asked = reply.read(transaction.request.reply)
        _registered(asked, service)
        if asked.user_code is not None:
            return Redirect(url=await self._devices.refuse(asked.user_code, fault))
        return self._deliver(asked, {"error": fault.oauth_error, "error_description": fault.code})

    def _deliver(self, asked: Reply, fields: Mapping[str, str]) -> Delivery:
        """With ``iss``, so that a client of several providers knows whose answer this is (RFC 9207)."""
        state = {} if asked.state is None else {"state": asked.state}
        fields = {**fields, **state, "iss": self._issuer}
        if asked.response_mode == FORM_POST:
            return FormPost(url=asked.redirect_uri, fields=fields)
        joint = "&" if "?" in asked.redirect_uri else "?"
        return Redirect(url=f"{asked.redirect_uri}{joint}{urlencode(fields)}")

    def _subject_of_hint(self, hint: str, client_id: str) -> str:
        """An expired ID token is a good hint too (OIDC Core 3.1.2.1). Raises: InvalidRequest."""
        try:
            claims, _ = jose.verify(hint, self._own_keys)
        except JoseError as error:
            raise InvalidRequest("id_token_hint is not an ID token of ours") from error
        subject = claims.get("sub")
        if claims.get("iss") != self._issuer or claims.get("aud") != client_id or not isinstance(subject, str):
            raise InvalidRequest("id_token_hint is not an ID token of ours for this client")
        return subject


def check_expectations(asked: Reply, subject: str, answer: Answer) -> None:
    """What the service demanded of the answer. Raises: OtherPerson, EssentialContextNotMet."""
    if asked.expected_subject is not None and asked.expected_subject != subject:
        raise OtherPerson("another person logged in than the service named", service=answer.service)
    if asked.essential_acr and answer.authn_context not in asked.essential_acr:
        raise EssentialContextNotMet("no essential acr was proven", service=answer.service)


def _registered(asked: Reply, service: Service) -> OidcClient:
    """Once more, because the registration may have changed since the request (promise P5). Raises: UnregisteredAddress."""
    client = service.client
    if client is None or (asked.user_code is None and asked.redirect_uri not in client.redirect_uris):
        raise UnregisteredAddress("redirect_uri is no longer registered", service=service.id)
    if asked.user_code is not None and device.GRANT_TYPE not in client.grant_types:
        raise UnregisteredAddress("devices are no longer registered", service=service.id)
    return client
