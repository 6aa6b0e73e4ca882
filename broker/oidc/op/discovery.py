"""What the OpenID Provider says of itself: only what is true (OpenID Connect Discovery 3, RFC 8414, RFC 9207)."""

from __future__ import annotations

from broker.attributes.assurance import STRENGTH, UNSPECIFIED
from broker.attributes.schema import ATTRIBUTES, NAMESPACE, Sensitivity
from broker.federation.model import LANGUAGES
from broker.oidc import jose, pkce
from broker.oidc.jose import Signer
from broker.oidc.op import authorization, client_authentication, dpop, token
from broker.oidc.op.mutual_tls import MutualTls

HOME_ISSUER = "home_issuer"
_CLAIMS_OF_THE_LOGIN = ("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid")


def home_issuer_claim(base_url: str) -> str:
    """Which identity provider the person logged in at (attributes.md 2.5)."""
    return base_url + NAMESPACE + HOME_ISSUER


def provider_metadata(base_url: str, signer: Signer, mutual_tls: MutualTls | None) -> dict[str, object]:
    methods = authentication_methods(mutual_tls)
    return {
        "issuer": base_url,
        "authorization_endpoint": f"{base_url}/oidc/authorize",
        "token_endpoint": f"{base_url}/oidc/token",
        "userinfo_endpoint": f"{base_url}/oidc/userinfo",
        "jwks_uri": f"{base_url}/oidc/jwks",
        "registration_endpoint": f"{base_url}/oidc/register",
        "scopes_supported": list(authorization.SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": list(authorization.RESPONSE_MODES),
        "revocation_endpoint": f"{base_url}/oidc/revoke",
        "introspection_endpoint": f"{base_url}/oidc/introspect",
        "device_authorization_endpoint": f"{base_url}/oidc/device_authorization",
        "grant_types_supported": list(token.GRANT_TYPES),
        "prompt_values_supported": list(authorization.PROMPTS),
        "acr_values_supported": [context for context in STRENGTH if context != UNSPECIFIED],
        "subject_types_supported": ["pairwise", "public"],
        "id_token_signing_alg_values_supported": list(signer.algorithms),
        "id_token_encryption_alg_values_supported": list(jose.KEY_ENCRYPTION),
        "id_token_encryption_enc_values_supported": list(jose.CONTENT_ENCRYPTION),
        "userinfo_signing_alg_values_supported": list(signer.algorithms),
        "userinfo_encryption_alg_values_supported": list(jose.KEY_ENCRYPTION),
        "userinfo_encryption_enc_values_supported": list(jose.CONTENT_ENCRYPTION),
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": list(jose.ACCEPTED_ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": list(jose.ACCEPTED_ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": [each for each in methods if each != "none"],
        "introspection_endpoint_auth_signing_alg_values_supported": list(jose.ACCEPTED_ALGORITHMS),
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
        "tls_client_certificate_bound_access_tokens": mutual_tls is not None,
        "code_challenge_methods_supported": [pkce.METHOD],
        "claim_types_supported": ["normal"],
        "claims_supported": _claims(base_url),
        "claims_parameter_supported": True,
        "request_parameter_supported": True,
        "request_object_signing_alg_values_supported": list(jose.ACCEPTED_ALGORITHMS),
        "pushed_authorization_request_endpoint": f"{base_url}/oidc/par",
        "require_pushed_authorization_requests": False,
        # Said in so many words, because its default is true.
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
        "ui_locales_supported": list(LANGUAGES),
        **_aliases(mutual_tls),
    }


def authentication_methods(mutual_tls: MutualTls | None) -> list[str]:
    """Those by certificate only where certificates can come, and by an authority only where there is one."""
    if mutual_tls is None:
        return list(client_authentication.METHODS)
    by_certificate = (
        client_authentication.CERTIFICATE_METHODS if mutual_tls.authorities else ("self_signed_tls_client_auth",)
    )
    return [*client_authentication.METHODS, *by_certificate]


def _aliases(mutual_tls: MutualTls | None) -> dict[str, object]:
    """RFC 8705 5: where a client with a certificate asks instead."""
    if mutual_tls is None or mutual_tls.base_url is None:
        return {}
    paths = {
        "token_endpoint": "/oidc/token",
        "userinfo_endpoint": "/oidc/userinfo",
        "revocation_endpoint": "/oidc/revoke",
        "introspection_endpoint": "/oidc/introspect",
        "pushed_authorization_request_endpoint": "/oidc/par",
        "device_authorization_endpoint": "/oidc/device_authorization",
    }
    return {"mtls_endpoint_aliases": {name: mutual_tls.base_url + path for name, path in paths.items()}}


def _claims(base_url: str) -> list[str]:
    of_persons = {
        claim.replace("{ns}", base_url + NAMESPACE)
        for attribute in ATTRIBUTES.values()
        if attribute.sensitivity is not Sensitivity.S3
        for claim in attribute.claims
    }
    return [*_CLAIMS_OF_THE_LOGIN, home_issuer_claim(base_url), *sorted(of_persons)]
