"""The reasons for which an OpenID Connect message is refused: one class for each check.

Toward services: ``ServiceFault``, with OAuth's own error value. Toward cities: ``HomeAnswerInvalid``, or ``HomeUnreachable``
where the city cannot even be asked.
"""

from __future__ import annotations

from broker.errors import (
    RESPONDER,
    SAML_STATUS,
    HomeAnswerInvalid,
    HomeRefused,
    HomeUnreachable,
    InvalidServiceRequest,
    RequirementNotMet,
    UserFault,
)

_MOST_DESCRIBED = 400
"""Characters of a description."""

# --- a service's authorization request ---------------------------------------------------------------------------------


class InvalidRequest(InvalidServiceRequest):
    """RFC 6749 4.1.2.1, 5.2: a parameter is missing, malformed, given twice, or contradicts another."""

    code = "oidc_invalid_request"


class PkceRequired(InvalidServiceRequest):
    """RFC 7636 4.4.1: this client must send a code_challenge, and S256 is the only method."""

    code = "oidc_pkce_required"


class UnsupportedResponseType(InvalidServiceRequest):
    """RFC 6749 3.1.1: only ``code``."""

    code = "oidc_unsupported_response_type"
    oauth_error = "unsupported_response_type"


class UnauthorizedClient(InvalidServiceRequest):
    """RFC 6749 4.1.2.1, 5.2: the client's registration does not have this response type or grant."""

    code = "oidc_unauthorized_client"
    oauth_error = "unauthorized_client"


class InvalidScope(InvalidServiceRequest):
    """RFC 6749 3.3; OIDC Core 3.1.2.1: ``openid`` must be among the scopes."""

    code = "oidc_invalid_scope"
    oauth_error = "invalid_scope"


class InvalidRequestObject(InvalidServiceRequest):
    """RFC 9101 7: not signed by a registered key of the client, made for somebody else, or out of date."""

    code = "oidc_invalid_request_object"
    oauth_error = "invalid_request_object"


class InvalidRequestUri(InvalidServiceRequest):
    """RFC 9126 4: a pushed request that is unknown, used, expired or another client's."""

    code = "oidc_invalid_request_uri"
    oauth_error = "invalid_request_uri"


class RequestUriNotSupported(InvalidServiceRequest):
    """OIDC Core 6.2: no request objects by reference, but for those that were pushed to us."""

    code = "oidc_request_uri_not_supported"
    oauth_error = "request_uri_not_supported"


class RegistrationNotSupported(InvalidServiceRequest):
    """OIDC Core 7.2.1: no clients that register themselves by a parameter."""

    code = "oidc_registration_not_supported"
    oauth_error = "registration_not_supported"


class OtherPerson(UserFault):
    """OIDC Core 3.1.2.1, 5.5.1: the service named a person by id_token_hint or sub, and another one logged in."""

    code = "oidc_other_person"
    message_key = "requirement_not_met"
    http_status = 403
    oauth_error = "login_required"


class EssentialContextNotMet(RequirementNotMet):
    """OIDC Core 5.5.1.1: none of the essential acr values was proven."""

    code = "oidc_essential_acr_not_met"
    oauth_error = "unmet_authentication_requirements"


# --- a service's token and userinfo requests ---------------------------------------------------------------------------


class InvalidClient(InvalidServiceRequest):
    """RFC 6749 5.2: unknown client, wrong secret, or another method than the registered one."""

    code = "oidc_invalid_client"
    http_status = 401
    oauth_error = "invalid_client"


class ClientKeysUnavailable(InvalidClient):
    """RFC 7591 2: the client's keys cannot be fetched from its jwks_uri, or none are registered."""

    code = "oidc_client_keys_unavailable"


class InvalidGrant(InvalidServiceRequest):
    """RFC 6749 5.2: the code is unknown, used, expired, another client's, or for another redirect URI or verifier."""

    code = "oidc_invalid_grant"
    oauth_error = "invalid_grant"


class InvalidDpopProof(InvalidServiceRequest):
    """RFC 9449 5, 7.1: the DPoP proof is missing, malformed, out of date, used before, or for another request."""

    code = "oidc_invalid_dpop_proof"
    oauth_error = "invalid_dpop_proof"


class DpopNonceNeeded(InvalidServiceRequest):
    """RFC 9449 8, 9: the proof must hold the nonce that comes with this answer."""

    code = "oidc_use_dpop_nonce"
    oauth_error = "use_dpop_nonce"


class CertificateMissing(InvalidServiceRequest):
    """RFC 8705 3: tokens are bound to the client's certificate, and the request came without one."""

    code = "oidc_certificate_missing"


class AuthorizationPending(InvalidServiceRequest):
    """RFC 8628 3.5: nobody has logged in for the device yet; it asks again."""

    code = "oidc_authorization_pending"
    oauth_error = "authorization_pending"


class SlowDown(InvalidServiceRequest):
    """RFC 8628 3.5: the device asks more often than it was told to."""

    code = "oidc_slow_down"
    oauth_error = "slow_down"


class DeviceCodeExpired(InvalidServiceRequest):
    """RFC 8628 3.5: nobody logged in for the device in time; it begins anew."""

    code = "oidc_device_code_expired"
    oauth_error = "expired_token"


class DeviceRefused(InvalidServiceRequest):
    """RFC 8628 3.5: the login for the device was refused, or the person broke it off."""

    code = "oidc_device_refused"
    oauth_error = "access_denied"


class DeviceCodeEnded(UserFault):
    """RFC 8628 3.3: the code that the device shows is no longer good, or a login for it was answered already."""

    code = "oidc_device_code_ended"
    message_key = "login_used"


class UnsupportedGrantType(InvalidServiceRequest):
    """RFC 6749 5.2."""

    code = "oidc_unsupported_grant_type"
    oauth_error = "unsupported_grant_type"


class InvalidTarget(InvalidServiceRequest):
    """RFC 8693 2.2.2: ``audience`` names no service for which a token can be exchanged."""

    code = "oidc_invalid_target"
    oauth_error = "invalid_target"


class ExchangeRefused(InvalidTarget):
    """RFC 8693 2.2.2: the person may not go on to that service in this way. In the context: ``because``, the rule's own reason,
    and ``reference``, of the person's login."""

    code = "oidc_exchange_refused"

    @property
    def description(self) -> str:
        return f"{self.code}: {self.context.get('because')} (reference {self.context.get('reference')})"


class TokenMissing(InvalidServiceRequest):
    """RFC 6750 3.1: a request without any token is told no error value."""

    code = "oidc_token_missing"
    http_status = 401
    oauth_error = "invalid_token"


class InvalidToken(InvalidServiceRequest):
    """RFC 6750 3.1: the access token is unknown, expired or revoked."""

    code = "oidc_invalid_token"
    http_status = 401
    oauth_error = "invalid_token"


# --- a city that does not take our request -----------------------------------------------------------------------------


class ClientAuthenticationUnsupported(HomeUnreachable):
    """OIDC Discovery 3: the city's metadata names no way to prove ourselves that is registered for us."""

    code = "oidc_client_auth_unsupported"


class PushRefused(HomeAnswerInvalid):
    """RFC 9126 2.3: the city does not take our pushed request or does not know us; ``detail`` has its error value."""

    code = "oidc_push_refused"


# --- a service that registers itself ------------------------------------------------------------------------------------


class _TellsWhy(InvalidServiceRequest):
    """``detail`` names members and what is wrong with them, and no value: who registers is told all of it."""

    @property
    def description(self) -> str:
        """RFC 6749 5.2: visible ASCII without quotation marks and backslashes."""
        text = self.detail.replace("…", "...").replace('"', "'").replace("\\", "/")
        return text.encode("ascii", "replace").decode("ascii")[:_MOST_DESCRIBED]


class InvalidRedirectUri(_TellsWhy):
    """RFC 7591 3.2.2: a redirect URI is malformed, or may not be registered; the description says why."""

    code = "oidc_invalid_redirect_uri"
    oauth_error = "invalid_redirect_uri"


class InvalidClientMetadata(_TellsWhy):
    """RFC 7591 3.2.2: a member of the client metadata cannot be registered; the description names it and says why."""

    code = "oidc_invalid_client_metadata"
    oauth_error = "invalid_client_metadata"


class SoftwareStatementRefused(InvalidServiceRequest):
    """RFC 7591 3.2.2: no software statement is approved here."""

    code = "oidc_software_statement_refused"
    oauth_error = "unapproved_software_statement"


class RegistrationClosed(InvalidServiceRequest):
    """RFC 7592 2.2, 2.3: the service is an operator's to change, since it is not in test any more, or others need it."""

    code = "oidc_registration_closed"
    http_status = 403
    oauth_error = "access_denied"


# --- a city's answer: the authorization response -----------------------------------------------------------------------


class CallbackMalformed(HomeAnswerInvalid):
    """RFC 6749 4.1.2: neither a usable code nor an error."""

    code = "oidc_callback_malformed"


class WrongCallbackIssuer(HomeAnswerInvalid):
    """RFC 9207 2.4: ``iss`` of the response is another issuer than the one that was asked, or is missing though promised."""

    code = "oidc_wrong_callback_issuer"


class HomeContextNotMet(HomeRefused):
    """OIDC Core 5.5.1.1: the city could not meet the essential acr, by which a second factor was demanded of it."""

    code = "oidc_home_context_not_met"
    message_key = "mfa_not_proven"
    saml_status = (RESPONDER, SAML_STATUS + "NoAuthnContext")
    oauth_error = "unmet_authentication_requirements"


class TokenRequestRefused(HomeAnswerInvalid):
    """RFC 6749 5.2: the city does not take the code or does not know us; ``detail`` has its error value."""

    code = "oidc_token_refused"


class LogoutTokenInvalid(HomeAnswerInvalid):
    """OIDC Back-Channel Logout 2.6: a logout token that is not to be believed; ``check`` in the context names the check."""

    code = "oidc_logout_token_invalid"
    oauth_error = "invalid_request"


# --- a city's answer: the ID token -------------------------------------------------------------------------------------


class IdTokenMalformed(HomeAnswerInvalid):
    """OIDC Core 2: not a signed JWT, or a claim of the wrong type; ``check`` in the context names it."""

    code = "oidc_id_token_malformed"


class WrongAlgorithm(HomeAnswerInvalid):
    """OIDC Core 3.1.3.7 (7), RFC 8725 3.1: ``none``, an HMAC, or another algorithm that is not on the list."""

    code = "oidc_wrong_algorithm"


class UnknownKey(HomeAnswerInvalid):
    """OIDC Core 10.1: no key of the issuer's JWKS fits."""

    code = "oidc_unknown_key"


class BadSignature(HomeAnswerInvalid):
    """OIDC Core 3.1.3.7 (6)."""

    code = "oidc_bad_signature"


class WrongIssuer(HomeAnswerInvalid):
    """OIDC Core 3.1.3.7 (2)."""

    code = "oidc_wrong_issuer"


class WrongTenant(HomeAnswerInvalid):
    """attributes.md 5: Entra ID's ``tid`` is missing, or another tenant than the registered issuer's."""

    code = "oidc_wrong_tenant"


class WrongAudience(HomeAnswerInvalid):
    """OIDC Core 3.1.3.7 (3): we are not the audience, or not the only one: we trust no other."""

    code = "oidc_wrong_audience"


class WrongAuthorizedParty(HomeAnswerInvalid):
    """OIDC Core 3.1.3.7 (4, 5)."""

    code = "oidc_wrong_azp"


class IdTokenExpired(HomeAnswerInvalid):
    """OIDC Core 3.1.3.7 (9)."""

    code = "oidc_expired"


class IssuedAtWrong(HomeAnswerInvalid):
    """OIDC Core 3.1.3.7 (10): issued in the future or too long ago; RFC 7519 4.1.5: not valid yet."""

    code = "oidc_wrong_iat"


class WrongNonce(HomeAnswerInvalid):
    """OIDC Core 3.1.3.7 (11): not the nonce of this login, so not the answer to its request."""

    code = "oidc_wrong_nonce"


class AuthTimeWrong(HomeAnswerInvalid):
    """OIDC Core 2: auth_time is in the future."""

    code = "oidc_wrong_auth_time"


class WrongAtHash(HomeAnswerInvalid):
    """OIDC Core 3.1.3.8: the access token is not the one that was issued with the ID token."""

    code = "oidc_wrong_at_hash"


class WrongSubject(HomeAnswerInvalid):
    """OIDC Core 5.3.2: userinfo speaks of another person than the ID token."""

    code = "oidc_wrong_subject"
