"""OidcRelyingParty: the upstream edge of OpenID Connect, as the dispatcher uses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from broker.attributes import entra
from broker.errors import HomeUnreachable
from broker.federation.model import Federation, IdentityProvider
from broker.fetch import Fetcher
from broker.keys.keyring import KeyRing
from broker.login.edges import Departure, Redirect
from broker.login.identity import VerifiedAssertion
from broker.login.ports import Clock
from broker.login.steps import SendToIdp
from broker.login.transaction import LoginTransaction
from broker.oidc.errors import WrongIssuer
from broker.oidc.jose import Signer
from broker.oidc.rp import authenticated_request, authorization_request, callback, id_token, pushed_request, userinfo
from broker.oidc.rp.discovery import Provider, Providers
from broker.oidc.rp.id_token import Expected

CALLBACK_PATH = "/oidc/callback"


class OidcRelyingParty:
    def __init__(self, *, base_url: str, keys: KeyRing, fetcher: Fetcher, clock: Clock, clock_skew: timedelta) -> None:
        self._redirect_uri = base_url + CALLBACK_PATH
        self._signer = Signer(keys)
        self._fetcher = fetcher
        self._providers = Providers(fetcher, clock)
        self._clock = clock
        self._skew = clock_skew

    @property
    def providers(self) -> Providers:
        """Of the cities, as far as they are known."""
        return self._providers

    async def depart(
        self, transaction: LoginTransaction, step: SendToIdp, idp: IdentityProvider, federation: Federation
    ) -> Departure:
        """Raises: HomeUnreachable, PushRefused."""
        assert idp.oidc is not None
        sent = authorization_request.new(step, idp.oidc.issuer, self._clock())
        provider = self._providers.of(idp.oidc.issuer)
        async with self._one_deadline(idp, provider) as fetcher:
            metadata = await provider.metadata()
            authenticated_request.check(idp.oidc, metadata, self._signer)
            fields = authorization_request.fields_of(
                metadata, idp.oidc, step, sent, redirect_uri=self._redirect_uri, state=transaction.id
            )
            if metadata.pushed_requests is not None:
                proof = authenticated_request.proof(idp.oidc, metadata, self._signer, self._clock())
                request_uri = await pushed_request.push(metadata.pushed_requests, fields, proof, fetcher)
                fields = authorization_request.pushed(idp.oidc, request_uri)
        url = authorization_request.url(metadata, fields)
        return Departure(delivery=Redirect(url=url), remember=sent.strings())

    async def arrive(
        self, transaction: LoginTransaction, message: Mapping[str, str], idp: IdentityProvider
    ) -> VerifiedAssertion:
        """Raises: HomeAnswerInvalid (a subclass for each check), HomeRefused, HomeUnreachable, HomeLoginTooOld, SubjectMissing,
        NoPassive.
        """
        assert idp.oidc is not None
        sent = authorization_request.read(transaction.upstream)
        if sent.issuer != idp.oidc.issuer:
            raise WrongIssuer("the issuer was registered anew while the login was on its way")
        provider = self._providers.of(sent.issuer)
        async with self._one_deadline(idp, provider) as fetcher:
            metadata = await provider.metadata()
            code = callback.read(message, sent, metadata, passive=transaction.request.passive)
            proof = authenticated_request.proof(idp.oidc, metadata, self._signer, self._clock())
            tokens = await callback.exchange(code, sent, proof, metadata, fetcher, redirect_uri=self._redirect_uri)
            expected = Expected(
                issuer=sent.issuer,
                tenant=entra.pinned_tenant(idp),
                client_id=idp.oidc.client_id,
                nonce=sent.nonce,
                sent_at=sent.sent_at,
                max_age=sent.max_age,
                skew=self._skew,
            )
            claims = await provider.check(lambda keys: id_token.verify(tokens, keys, expected, self._clock()))
            found: Mapping[str, object] = {}
            if metadata.userinfo_endpoint is not None:
                found = await userinfo.fetch(metadata.userinfo_endpoint, tokens.access_token, fetcher)
                id_token.check_userinfo(found, claims)
        return id_token.assertion(idp, claims, found, tokens.id_token)

    @asynccontextmanager
    async def _one_deadline(self, idp: IdentityProvider, provider: Provider) -> AsyncIterator[Fetcher]:
        """The way to the city for all calls of one step together: the person waits no longer, however many there are.

        Raises: HomeUnreachable.
        """
        try:
            async with asyncio.timeout(self._fetcher.timeout_seconds) as deadline:
                yield provider.fetcher.until(deadline)
        except TimeoutError as error:
            raise HomeUnreachable("the city did not answer in time", identity_provider=idp.id) from error
