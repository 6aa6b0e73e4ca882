"""The city's authorization response, and the exchange of its code for tokens (OIDC Core 3.1.2.5 to 3.1.3.5, RFC 9207)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from broker.errors import HomeRefused, HomeUnreachable, NoPassive
from broker.fetch import Fetched, Fetcher
from broker.oidc import json_object
from broker.oidc.errors import CallbackMalformed, HomeContextNotMet, TokenRequestRefused, WrongCallbackIssuer
from broker.oidc.rp import authenticated_request
from broker.oidc.rp.authenticated_request import Proof
from broker.oidc.rp.authorization_request import Sent
from broker.oidc.rp.discovery import ProviderMetadata

_NEEDS_A_PAGE = frozenset({"login_required", "interaction_required", "account_selection_required", "consent_required"})
_CONTEXT_NOT_MET = "unmet_authentication_requirements"
_UNAVAILABLE = frozenset({"server_error", "temporarily_unavailable"})
_OTHERS = frozenset(
    {"access_denied", "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope"}
)
_MAX_CODE_CHARACTERS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """As the token endpoint sent them; nothing of them is verified yet."""

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)


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


async def exchange(
    code: str, sent: Sent, proof: Proof, metadata: ProviderMetadata, fetcher: Fetcher, *, redirect_uri: str
) -> Tokens:
    """RFC 6749 4.1.3 with RFC 7636 4.5. Raises: TokenRequestRefused, HomeUnreachable."""
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": sent.code_verifier,
    }
    fetched = await authenticated_request.post(
        metadata.token_endpoint,
        fields,
        proof,
        fetcher,
        endpoint="token endpoint",
        success=200,
        refusal=TokenRequestRefused,
    )
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
    """RFC 6749 4.1.2.1, OIDC Core 3.1.2.6, OpenID Connect Core Error Code unmet_authentication_requirements 1.0.

    Only values that the standards know are repeated in the detail.
    """
    if passive and error in _NEEDS_A_PAGE:
        raise NoPassive(f"the city needs a page: {error}")
    if error in _UNAVAILABLE:
        raise HomeUnreachable(f"the city answered {error}")
    if error == _CONTEXT_NOT_MET:
        raise HomeContextNotMet(f"the city answered {error}")
    raise HomeRefused(f"the city answered {error if error in _OTHERS | _NEEDS_A_PAGE else 'an unknown error'}")
