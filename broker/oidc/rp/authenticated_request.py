"""Requests of ours at a city's endpoints for programs: the token endpoint and the pushed authorization request endpoint.

How we prove ourselves there (OIDC Core 9, RFC 9126 2): the registration says by secret or by key, the city's metadata in which
form; and how the city refuses (RFC 6749 5.2).
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote_plus

from broker.errors import HomeAnswerInvalid, HomeUnreachable
from broker.federation.model import OidcProvider
from broker.fetch import Fetched, Fetcher, FetchError, UnexpectedStatus
from broker.oidc import json_object
from broker.oidc.errors import ClientAuthenticationUnsupported
from broker.oidc.jose import Signer
from broker.oidc.rp.discovery import ProviderMetadata

_BY_SECRET = ("client_secret_basic", "client_secret_post")
_BY_KEY = "private_key_jwt"
_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_response_type",
        "invalid_scope",
        "invalid_request_object",
        "access_denied",
    }
)
_ASSERTION_LIFETIME = timedelta(minutes=1)
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Who we are, to be sent with one request: ``fields`` of the form, and the Authorization header."""

    fields: Mapping[str, str] = field(repr=False)
    authorization: str | None = field(default=None, repr=False)


def check(registered: OidcProvider, metadata: ProviderMetadata, signer: Signer) -> None:
    """Before anybody is sent to log in for nothing. Raises: ClientAuthenticationUnsupported."""
    if _method(registered, metadata) == _BY_KEY:
        _algorithm(metadata, signer)


def proof(registered: OidcProvider, metadata: ProviderMetadata, signer: Signer, now: datetime) -> Proof:
    """Raises: ClientAuthenticationUnsupported."""
    client_id, secret = registered.client_id, registered.client_secret or ""
    match _method(registered, metadata):
        case "private_key_jwt":
            assertion = signer.sign(_assertion(client_id, _audience(metadata), now), _algorithm(metadata, signer))
            proven = {"client_assertion_type": _JWT_BEARER, "client_assertion": assertion}
            return Proof(fields={"client_id": client_id} | proven)
        case "client_secret_post":
            return Proof(fields={"client_id": client_id, "client_secret": secret})
        case _:
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode("ascii")
            return Proof(fields={}, authorization=f"Basic {b64encode(pair).decode('ascii')}")


async def post(
    url: str,
    fields: Mapping[str, str],
    proof: Proof,
    fetcher: Fetcher,
    *,
    endpoint: str,
    success: int,
    refusal: type[HomeAnswerInvalid],
) -> Fetched:
    """``endpoint``: its name in a detail. ``success``: the status of a good answer. Raises: ``refusal``, HomeUnreachable."""
    try:
        return await fetcher.post_form(
            url, {**fields, **proof.fields}, authorization=proof.authorization, success=success
        )
    except UnexpectedStatus as error:
        if error.status in (400, 401):
            raise refusal(f"{endpoint}: {_error(error.body)}") from error
        raise HomeUnreachable(f"{endpoint}: status {error.status}") from error
    except FetchError as error:
        raise HomeUnreachable(f"{endpoint}: {error}") from error


def _method(registered: OidcProvider, metadata: ProviderMetadata) -> str:
    """The registered one where the city takes it; of the two that send a secret, the other one where it takes only that.

    A city that says nothing takes what it registered.
    """
    method, taken = registered.client_auth, metadata.auth_methods
    if taken is None or method in taken:
        return method
    for other in _BY_SECRET if method in _BY_SECRET else ():
        if other in taken:
            return other
    raise ClientAuthenticationUnsupported(f"token_endpoint_auth_methods_supported lacks {method}")


def _algorithm(metadata: ProviderMetadata, signer: Signer) -> str:
    """The first of ours that the city takes; RS256, which every city must know, where it does not say (OIDC Core 15.1)."""
    taken = metadata.auth_algorithms
    for ours in signer.algorithms:
        if taken is None or ours in taken:
            return ours
    listed = ", ".join(signer.algorithms)
    raise ClientAuthenticationUnsupported(f"token_endpoint_auth_signing_alg_values_supported has none of {listed}")


def _audience(metadata: ProviderMetadata) -> str:
    """The issuer where pushed requests are taken: such a city must accept it (RFC 9126 2), and FAPI 2.0 5.3.3.1, OIDC Core 9
    as it is being revised, and the successor of RFC 7523 know no other. The token endpoint's URL elsewhere: OIDC Core 9 as it
    was, and the only one that Entra ID documents.

    Another server can use neither: the one names the issuer whose metadata we read, the other is the very address that the
    assertion is sent to.
    """
    return metadata.token_endpoint if metadata.pushed_requests is None else metadata.issuer


def _assertion(client_id: str, audience: str, now: datetime) -> dict[str, object]:
    """RFC 7523 3."""
    return {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": secrets.token_urlsafe(16),
        "iat": int(now.timestamp()),
        "exp": int((now + _ASSERTION_LIFETIME).timestamp()),
    }


def _error(body: bytes) -> str:
    """Only values that the standards know; never the description."""
    try:
        error = json_object.read(body).get("error")
    except ValueError:
        error = None
    return error if isinstance(error, str) and error in _ERRORS else "an unknown error"
