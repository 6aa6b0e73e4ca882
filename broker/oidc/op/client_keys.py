"""A client's own public keys: as registered, or from its ``jwks_uri`` (RFC 7591 2, OIDC Core 10.1.1)."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache, partial

from broker.federation.model import OidcClient
from broker.fetch import Fetcher, FetchError
from broker.login.ports import Clock
from broker.oidc import jose
from broker.oidc.errors import ClientKeysUnavailable
from broker.oidc.jose import KeySet, KeySetUnusable, KeyUnknown, SignedClaims
from broker.oidc.kept import Kept

LIFETIME = timedelta(hours=1)
PAUSE = timedelta(seconds=30)
"""The least time between two fetches of one client's keys, whatever it or a stranger sends."""


class ClientKeys:
    def __init__(self, fetcher: Fetcher, clock: Clock) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._by_uri: dict[str, Kept[KeySet]] = {}

    async def verify(
        self, token: str, client: OidcClient, *, types: tuple[str, ...] = ("JWT",)
    ) -> tuple[SignedClaims, str]:
        """The claims of a JWT that the client signed, and by which algorithm; keys of a ``jwks_uri`` are asked for anew when
        none fits.

        Raises: JoseError, ClientKeysUnavailable.
        """
        if client.jwks is not None:
            return jose.verify(token, _registered(client.jwks), types=types)
        kept = self._kept(client)
        try:
            try:
                return jose.verify(token, await kept.get(), types=types)
            except KeyUnknown:
                return jose.verify(token, await kept.renew(), types=types)
        except (FetchError, KeySetUnusable) as error:
            raise ClientKeysUnavailable(f"jwks_uri: {error}") from error

    async def encrypt(self, token: str, client: OidcClient, algorithm: str, content: str) -> str:
        """A token that the client alone can read. Raises: ClientKeysUnavailable."""
        try:
            return (await self._all(client)).encrypt(token, algorithm, content)
        except KeyUnknown as error:
            raise ClientKeysUnavailable(f"to encrypt: {error}") from error

    async def certificates(self, client: OidcClient) -> frozenset[bytes]:
        """Those that stand beside its keys, as DER. Raises: ClientKeysUnavailable."""
        return (await self._all(client)).certificates()

    async def _all(self, client: OidcClient) -> KeySet:
        """Raises: ClientKeysUnavailable."""
        if client.jwks is not None:
            return _registered(client.jwks)
        try:
            return await self._kept(client).get()
        except (FetchError, KeySetUnusable) as error:
            raise ClientKeysUnavailable(f"jwks_uri: {error}") from error

    def _kept(self, client: OidcClient) -> Kept[KeySet]:
        """Raises: ClientKeysUnavailable."""
        if client.jwks_uri is None:
            raise ClientKeysUnavailable("no keys are registered")
        found = self._by_uri.get(client.jwks_uri)
        if found is None:
            load = partial(self._fetch, client.jwks_uri)
            errors = (FetchError, KeySetUnusable)
            found = Kept(load, self._clock, lifetime=LIFETIME, pause=PAUSE, errors=errors)
            self._by_uri[client.jwks_uri] = found
        return found

    async def _fetch(self, uri: str) -> KeySet:
        return jose.read_key_set((await self._fetcher.get(uri)).body)


@lru_cache(maxsize=4096)
def _registered(jwks: str) -> KeySet:
    return jose.read_key_set(jwks.encode("utf-8"))
