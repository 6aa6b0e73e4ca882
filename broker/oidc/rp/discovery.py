"""What a city's OpenID Provider says of itself, and its keys (OpenID Connect Discovery 4, OIDC Core 10.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from broker.breaker import Breakers
from broker.errors import HomeUnreachable
from broker.fetch import Fetcher, FetchError
from broker.login.ports import Clock
from broker.oidc import jose, json_object
from broker.oidc.errors import UnknownKey
from broker.oidc.jose import KeySet, KeySetUnusable, KeyUnknown
from broker.oidc.kept import Kept

T = TypeVar("T")

WELL_KNOWN = "/.well-known/openid-configuration"
LIFETIME = timedelta(hours=1)
PAUSE = timedelta(seconds=30)


class MetadataUnusable(Exception):
    """The text says what is wrong with the city's metadata; it holds only names of members."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderMetadata:
    """``sends_issuer``: every authorization response has ``iss`` (RFC 9207 3). ``pushed_requests``: where authorization requests
    are pushed to (RFC 9126 5). ``takes_claims``: the claims parameter (OIDC Core 5.5). ``contexts``: the values of acr that it
    names. ``auth_methods``, ``auth_algorithms``: by which we may prove ourselves; None where nothing is said.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    sends_issuer: bool = False
    pushed_requests: str | None = None
    takes_claims: bool = False
    contexts: tuple[str, ...] = ()
    auth_methods: tuple[str, ...] | None = None
    auth_algorithms: tuple[str, ...] | None = None


def read_metadata(body: bytes, issuer: str) -> ProviderMetadata:
    """``issuer``: the registered one, which the document must repeat exactly (Discovery 4.3). Raises: MetadataUnusable."""
    try:
        found = json_object.read(body)
    except ValueError as error:
        raise MetadataUnusable("not a JSON object") from error
    if found.get("issuer") != issuer:
        raise MetadataUnusable("issuer is another than the registered one")
    response_types = _texts(found, "response_types_supported")
    if response_types is not None and "code" not in response_types:
        raise MetadataUnusable("response_types_supported lacks code")
    pushed_requests = _optional_endpoint(found, "pushed_authorization_request_endpoint", issuer)
    if pushed_requests is None and found.get("require_pushed_authorization_requests") is True:
        raise MetadataUnusable("require_pushed_authorization_requests without pushed_authorization_request_endpoint")
    return ProviderMetadata(
        issuer=issuer,
        authorization_endpoint=_endpoint(found, "authorization_endpoint", issuer),
        token_endpoint=_endpoint(found, "token_endpoint", issuer),
        jwks_uri=_endpoint(found, "jwks_uri", issuer),
        userinfo_endpoint=_optional_endpoint(found, "userinfo_endpoint", issuer),
        sends_issuer=found.get("authorization_response_iss_parameter_supported") is True,
        pushed_requests=pushed_requests,
        takes_claims=found.get("claims_parameter_supported") is True,
        contexts=_texts(found, "acr_values_supported") or (),
        auth_methods=_texts(found, "token_endpoint_auth_methods_supported"),
        auth_algorithms=_texts(found, "token_endpoint_auth_signing_alg_values_supported"),
    )


class Provider:
    """One city's provider, as far as it is known. Asked when it is needed, never before. ``fetcher``: the way to it."""

    def __init__(self, issuer: str, fetcher: Fetcher, clock: Clock) -> None:
        self._issuer = issuer
        self.fetcher = fetcher
        options = {"lifetime": LIFETIME, "pause": PAUSE}
        self._metadata = Kept(self._fetch_metadata, clock, errors=(FetchError, MetadataUnusable), **options)
        self._keys = Kept(self._fetch_keys, clock, errors=(FetchError, MetadataUnusable, KeySetUnusable), **options)

    async def metadata(self) -> ProviderMetadata:
        """Raises: HomeUnreachable."""
        try:
            return await self._metadata.get()
        except (FetchError, MetadataUnusable) as error:
            raise HomeUnreachable(f"discovery: {error}") from error

    async def keys(self) -> KeySet:
        """Raises: HomeUnreachable."""
        try:
            return await self._keys.get()
        except (FetchError, MetadataUnusable, KeySetUnusable) as error:
            raise HomeUnreachable(f"keys: {error}") from error

    async def newer_keys(self) -> KeySet:
        """For a token whose key is unknown: asks again, but not more often than once in ``PAUSE``. Raises: HomeUnreachable."""
        try:
            return await self._keys.renew()
        except (FetchError, MetadataUnusable, KeySetUnusable) as error:
            raise HomeUnreachable(f"keys: {error}") from error

    async def check(self, judge: Callable[[KeySet], T]) -> T:
        """What ``judge`` finds by the known keys; by newer ones, if the city signs by one that we do not know yet (OIDC Core
        10.1.1). Raises: UnknownKey, HomeUnreachable, and as ``judge``."""
        try:
            return judge(await self.keys())
        except KeyUnknown:
            keys = await self.newer_keys()
        try:
            return judge(keys)
        except KeyUnknown as error:
            raise UnknownKey(f"no key of the issuer fits: {error}") from error

    async def _fetch_metadata(self) -> ProviderMetadata:
        # Discovery 4.1: a slash at the end of the issuer is left out before the path is added.
        fetched = await self.fetcher.get(self._issuer.removesuffix("/") + WELL_KNOWN)
        return read_metadata(fetched.body, self._issuer)

    async def _fetch_keys(self) -> KeySet:
        metadata = await self._metadata.get()
        return jose.read_key_set((await self.fetcher.get(metadata.jwks_uri)).body)


class Providers:
    """The cities' providers by issuer: one of each for the whole process."""

    def __init__(self, fetcher: Fetcher, clock: Clock) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._breakers = Breakers(clock)
        self._by_issuer: dict[str, Provider] = {}

    def of(self, issuer: str) -> Provider:
        """``issuer``: a registered one, so that there are no more of them than identity providers."""
        found = self._by_issuer.get(issuer)
        if found is None:
            fetcher = self._fetcher.toward(self._breakers.of(issuer))
            found = self._by_issuer[issuer] = Provider(issuer, fetcher, self._clock)
        return found


def _texts(found: Mapping[str, object], name: str) -> tuple[str, ...] | None:
    """None when it is not there. Raises: MetadataUnusable."""
    listed = found.get(name)
    if listed is None:
        return None
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise MetadataUnusable(f"{name} is not a list of texts")
    return tuple(listed)


def _optional_endpoint(found: Mapping[str, object], name: str, issuer: str) -> str | None:
    return _endpoint(found, name, issuer) if found.get(name) else None


def _endpoint(found: Mapping[str, object], name: str, issuer: str) -> str:
    """An https URL; http only where the registered issuer itself is http, which the registry lets loopback be."""
    url = found.get(name)
    if not isinstance(url, str):
        raise MetadataUnusable(f"{name} is missing")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError as error:
        raise MetadataUnusable(f"{name} is not a URL") from error
    schemes = ("https", "http") if issuer.startswith("http://") else ("https",)
    if parts.scheme not in schemes or not parts.hostname or parts.fragment or not url.isprintable():
        raise MetadataUnusable(f"{name} is not an https URL")
    # A browser would be sent to another host than the one that a person reads.
    if "@" in parts.netloc:
        raise MetadataUnusable(f"{name} has a user name before its host")
    return url
