"""The city's authorization response, and the exchange of its code for tokens (OIDC Core 3.1.2.5 to 3.1.3.5, RFC 9207)."""

from __future__ import annotations

import hmac
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote_plus

from broker.errors import HomeRefused, HomeUnreachable, NoPassive
from broker.federation.model import OidcProvider
from broker.fetch import Fetched, Fetcher, FetchError, UnexpectedStatus
from broker.oidc import json_object
from broker.oidc.errors import CallbackMalformed, TokenRequestRefused, WrongCallbackIssuer
from broker.oidc.jose import Signer
from broker.oidc.rp.authorization_request import Sent
from broker.oidc.rp.discovery import ProviderMetadata

_NEEDS_A_PAGE = frozenset({"login_required", "interaction_required", "account_selection_required", "consent_required"})
_UNAVAILABLE = frozenset({"server_error", "temporarily_unavailable"})
_OTHERS = frozenset(
    {"access_denied", "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope"}
)
_TOKEN_ERRORS = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"}
)
_MAX_CODE_CHARACTERS = 8192
_ASSERTION_LIFETIME = timedelta(minutes=1)
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """As the token endpoint sent them; nothing of them is verified yet."""

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    fields: Mapping[str, str] = field(repr=False)
    authorization: str | None = field(default=None, repr=False)


def read(message: Mapping[str, str], sent: Sent, metadata: ProviderMetadata, *, passive: bool) -> str:
    """The code. The issuer is looked at first: an answer of another provider is not read further (mix-up, RFC 9207).

    ``message``: the callback's parameters, each once; ``state`` was used already to find the login.
    Raises: WrongCallbackIssuer, CallbackMalformed, HomeRefused, HomeUnreachable, NoPassive.
    """
    issuer = message.get("iss")
    if issuer is None and metadata.sends_issuer:
        raise WrongCallbackIssuer("iss is missing though the metadata promises it")
    if issuer is not None and not hmac.compare_digest(issuer.encode("utf-8", "replace"), sent.issuer.encode("utf-8")):
        raise WrongCallbackIssuer("iss is another issuer")
    if "error" in message:
        _refuse(message["error"], passive=passive)
    code = message.get("code")
    if not code or len(code) > _MAX_CODE_CHARACTERS or not code.isascii() or not code.isprintable():
        raise CallbackMalformed("no usable code")
    return code


def token_request(
    code: str,
    sent: Sent,
    registered: OidcProvider,
    metadata: ProviderMetadata,
    signer: Signer,
    *,
    redirect_uri: str,
    now: datetime,
) -> TokenRequest:
    """RFC 6749 4.1.3 with RFC 7636 4.5, and our authentication as it is registered (OIDC Core 9)."""
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": sent.code_verifier,
    }
    secret = registered.client_secret or ""
    match registered.client_auth:
        case "private_key_jwt":
            assertion = signer.sign(_assertion(registered.client_id, metadata.token_endpoint, now), "RS256")
            proof = {"client_assertion_type": _JWT_BEARER, "client_assertion": assertion}
            return TokenRequest(fields=fields | {"client_id": registered.client_id} | proof)
        case "client_secret_post":
            return TokenRequest(fields=fields | {"client_id": registered.client_id, "client_secret": secret})
        case _:
            pair = f"{quote_plus(registered.client_id)}:{quote_plus(secret)}".encode("ascii")
            return TokenRequest(fields=fields, authorization=f"Basic {b64encode(pair).decode('ascii')}")


async def exchange(request: TokenRequest, metadata: ProviderMetadata, fetcher: Fetcher) -> Tokens:
    """Raises: TokenRequestRefused, HomeUnreachable."""
    try:
        fetched = await fetcher.post_form(metadata.token_endpoint, request.fields, authorization=request.authorization)
    except UnexpectedStatus as error:
        if error.status in (400, 401):
            raise TokenRequestRefused(_token_error(error.body)) from error
        raise HomeUnreachable(f"token endpoint: status {error.status}") from error
    except FetchError as error:
        raise HomeUnreachable(f"token endpoint: {error}") from error
    return read_tokens(fetched)


def read_tokens(fetched: Fetched) -> Tokens:
    """OIDC Core 3.1.3.3. Raises: HomeUnreachable, when it is no token response."""
    try:
        found = json_object.read(fetched.body)
    except ValueError as error:
        raise HomeUnreachable("token endpoint: not a JSON object") from error
    access_token, id_token, kind = found.get("access_token"), found.get("id_token"), found.get("token_type")
    if not isinstance(access_token, str) or not access_token.isascii() or not access_token.isprintable():
        raise HomeUnreachable("token endpoint: no access_token")
    if not isinstance(id_token, str):
        raise HomeUnreachable("token endpoint: no id_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise HomeUnreachable("token endpoint: token_type is not Bearer")
    return Tokens(access_token=access_token, id_token=id_token)


def _refuse(error: str, *, passive: bool) -> None:
    """RFC 6749 4.1.2.1, OIDC Core 3.1.2.6. Only values that the standards know are repeated in the detail."""
    if passive and error in _NEEDS_A_PAGE:
        raise NoPassive(f"the city needs a page: {error}")
    if error in _UNAVAILABLE:
        raise HomeUnreachable(f"the city answered {error}")
    raise HomeRefused(f"the city answered {error if error in _OTHERS | _NEEDS_A_PAGE else 'an unknown error'}")


def _token_error(body: bytes) -> str:
    try:
        error = json_object.read(body).get("error")
    except ValueError:
        error = None
    return f"token endpoint: {error if error in _TOKEN_ERRORS else 'an unknown error'}"


def _assertion(client_id: str, audience: str, now: datetime) -> dict[str, object]:
    """RFC 7523 3. The audience is the very address that it is sent to, so that no other endpoint can use it."""
    return {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": secrets.token_urlsafe(16),
        "iat": int(now.timestamp()),
        "exp": int((now + _ASSERTION_LIFETIME).timestamp()),
    }
