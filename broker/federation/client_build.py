"""A service's ``client`` → OidcClient: what does not fit together in client metadata (RFC 7591 2), and the value for the snapshot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields

from broker.federation.document_models import ClientModel
from broker.federation.model import FAPI2_ALGORITHMS, OidcClient

# FAPI 2.0 Security Profile 5.3.2.1 (6).
_FAPI2_METHODS = ("private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth")
_ALGORITHMS = (
    "token_endpoint_auth_signing_alg",
    "request_object_signing_alg",
    "id_token_signed_response_alg",
    "userinfo_signed_response_alg",
)

Complaint = tuple[str, str]
"""(member of ``client``, what is wrong with it)"""

_TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_SECRET_METHODS = ("client_secret_basic", "client_secret_post")
_CERTIFICATE_NAMES = (
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
)


def has_secret(model: ClientModel) -> bool:
    """Whether the client proves itself by a shared secret."""
    return model.token_endpoint_auth_method in _SECRET_METHODS


def complaints(model: ClientModel) -> Iterator[Complaint]:
    """What the client cannot be registered with, as far as the document alone tells."""
    method, has_keys = model.token_endpoint_auth_method, model.jwks is not None or model.jwks_uri is not None
    if not has_secret(model) and model.client_secret is not None:
        yield "client_secret", f"a client with token_endpoint_auth_method: {method} has no secret"
    if model.jwks is not None and model.jwks_uri is not None:
        yield "jwks_uri", "jwks and jwks_uri are not used together (RFC 7591 2)"
    if method in ("private_key_jwt", "self_signed_tls_client_auth") and not has_keys:
        yield "token_endpoint_auth_method", f"{method} needs jwks or jwks_uri"
    if method == "tls_client_auth" and sum(getattr(model, name) is not None for name in _CERTIFICATE_NAMES) != 1:
        yield "token_endpoint_auth_method", f"tls_client_auth needs exactly one of {', '.join(_CERTIFICATE_NAMES)}"
    for name in ("require_signed_request_object", "id_token_encrypted_response_alg", "userinfo_encrypted_response_alg"):
        if getattr(model, name) and not has_keys:
            yield name, "needs jwks or jwks_uri"
    if "authorization_code" in model.grant_types and not model.redirect_uris:
        yield "redirect_uris", "is missing: where answers go, exactly as the service sends it"
    if _TOKEN_EXCHANGE in model.grant_types and method == "none":
        yield "grant_types", "a public client cannot exchange tokens: it could not prove for whom it acts"
    if model.userinfo_encrypted_response_alg and not model.userinfo_signed_response_alg:
        yield "userinfo_encrypted_response_alg", "needs userinfo_signed_response_alg: what is encrypted is signed first"
    for use in ("id_token", "userinfo"):
        # Whoever asks for nothing but the content's encryption believes that there is encryption.
        enc, alg = f"{use}_encrypted_response_enc", f"{use}_encrypted_response_alg"
        if enc in model.model_fields_set and getattr(model, alg) is None:
            yield enc, f"needs {alg} (OpenID Connect Registration 2)"
    if model.security_profile == "fapi2":
        yield from _fapi2_complaints(model)


def _fapi2_complaints(model: ClientModel) -> Iterator[Complaint]:
    """FAPI 2.0 Security Profile 5.3.2.1 (3 to 6), 5.4.1."""
    if model.token_endpoint_auth_method not in _FAPI2_METHODS:
        yield "token_endpoint_auth_method", f"security_profile: fapi2 needs one of {', '.join(_FAPI2_METHODS)}"
    if not model.dpop_bound_access_tokens and not model.tls_client_certificate_bound_access_tokens:
        needed = "dpop_bound_access_tokens or tls_client_certificate_bound_access_tokens"
        yield "security_profile", f"fapi2 needs {needed}: true"
    for name in _ALGORITHMS:
        if getattr(model, name) not in (None, *FAPI2_ALGORITHMS):
            yield name, f"security_profile: fapi2 needs one of {', '.join(FAPI2_ALGORITHMS)}"


def client(model: ClientModel, secret: str | None, registration_access_token: str | None = None) -> OidcClient:
    """``secret``, ``registration_access_token``: resolved."""
    values = {each.name: getattr(model, each.name) for each in fields(OidcClient)}
    listed = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    fapi2 = model.security_profile == "fapi2"
    own = {
        "client_secret": secret,
        "registration_access_token": registration_access_token,
        "jwks": None if model.jwks is None else json.dumps(model.jwks, sort_keys=True),
        # RFC 9700 2.1.1: nothing else binds a public client's code to the client. FAPI 2.0 5.3.2.2 (5).
        "require_pkce": model.require_pkce or model.token_endpoint_auth_method == "none" or fapi2,
        # FAPI 2.0 5.3.2.2 (3).
        "require_pushed_authorization_requests": model.require_pushed_authorization_requests or fapi2,
    }
    return OidcClient(**{**values, **listed, **own})
