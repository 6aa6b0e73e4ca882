"""The city's userinfo endpoint (OIDC Core 5.3): asked with the access token, plain JSON only."""

from __future__ import annotations

from collections.abc import Mapping

from broker.errors import HomeUnreachable
from broker.fetch import Fetched, Fetcher, FetchError
from broker.oidc import json_object


async def fetch(url: str, access_token: str, fetcher: Fetcher) -> Mapping[str, object]:
    """Claims that nobody signed: see ``id_token.check_userinfo``. Raises: HomeUnreachable."""
    try:
        fetched = await fetcher.get(url, authorization=f"Bearer {access_token}")
    except FetchError as error:
        raise HomeUnreachable(f"userinfo endpoint: {error}") from error
    return read(fetched)


def read(fetched: Fetched) -> Mapping[str, object]:
    """Raises: HomeUnreachable. A signed answer (application/jwt) comes only to those who registered for it; we do not."""
    if fetched.content_type != "application/json":
        raise HomeUnreachable("userinfo endpoint: not application/json")
    try:
        return json_object.read(fetched.body)
    except ValueError as error:
        raise HomeUnreachable("userinfo endpoint: not a JSON object") from error
