"""The reasons for which a SAML message is refused: one class for each check.

Toward services: ``ServiceFault``. Toward cities: ``HomeAnswerInvalid``, whose context names the check where one class
stands for several (``check="doctype"``).
"""

from __future__ import annotations

from typing import ClassVar

from broker.errors import (
    REQUESTER,
    RESPONDER,
    BrokerFault,
    HomeAnswerInvalid,
    HomeIdpFault,
    HomeRefused,
    InvalidServiceRequest,
    ServiceFault,
)
from broker.saml.names import (
    INVALID_NAME_ID_POLICY,
    NO_AUTHN_CONTEXT,
    PROXY_COUNT_EXCEEDED,
    REQUEST_UNSUPPORTED,
    UNSUPPORTED_BINDING,
)

# --- a service's request ------------------------------------------------------------------------------------------------


class RequestSignatureInvalid(InvalidServiceRequest):
    """The AuthnRequest is not signed though the service's metadata says so, or its signature is wrong."""

    code = "saml_request_signature"


class RequestWrongDestination(InvalidServiceRequest):
    """saml-bindings 3.4.5.2, 3.5.5.2: the Destination of a signed message is there, and is us."""

    code = "saml_request_destination"


class RequestExpired(InvalidServiceRequest):
    """IssueInstant is too long ago, or in the future."""

    code = "saml_request_expired"


class RequestNotResolved(InvalidServiceRequest):
    """saml-bindings 3.6: the service does not hand out the AuthnRequest that its artifact stands for, or cannot be reached."""

    code = "saml_request_not_resolved"


class ServiceMetadataExpired(ServiceFault):
    """saml-metadata 2.3.2: validUntil of the service's metadata has passed."""

    code = "saml_service_metadata_expired"
    message_key = "service_request_wrong"


class RequestUnsupported(InvalidServiceRequest):
    """The AuthnRequest demands what we do not do: a certain subject, another version."""

    code = "saml_request_unsupported"
    saml_status: ClassVar[tuple[str, ...]] = (REQUESTER, REQUEST_UNSUPPORTED)


class UnsupportedBinding(InvalidServiceRequest):
    """saml-core 3.4.1: the answer is asked for by a binding by which the address takes none."""

    code = "saml_unsupported_binding"
    saml_status: ClassVar[tuple[str, ...]] = (REQUESTER, UNSUPPORTED_BINDING)


class UnsolicitedNotRegistered(ServiceFault):
    """saml-profiles 4.1.5: a login without a request of the service, which its registration does not allow."""

    code = "saml_unsolicited_not_registered"
    message_key = "service_request_wrong"


class InvalidNameIdPolicy(InvalidServiceRequest):
    """saml-core 3.4.1.1: the asked name identifier cannot be given to this service."""

    code = "saml_invalid_name_id_policy"
    saml_status: ClassVar[tuple[str, ...]] = (REQUESTER, INVALID_NAME_ID_POLICY)


class UnsupportedAuthnContext(InvalidServiceRequest):
    """saml-core 3.3.2.2.1: contexts are asked for by declaration, which we do not know."""

    code = "saml_no_authn_context"
    saml_status: ClassVar[tuple[str, ...]] = (RESPONDER, NO_AUTHN_CONTEXT)


class UnknownAttributeConsumingService(InvalidServiceRequest):
    """saml-core 3.4.1: AttributeConsumingServiceIndex names no set of attributes of the service's metadata."""

    code = "saml_unknown_attribute_consuming_service"
    saml_status: ClassVar[tuple[str, ...]] = (REQUESTER, REQUEST_UNSUPPORTED)


class ProxyCountExceeded(InvalidServiceRequest):
    """saml-core 3.4.1.5.1: the service forbids to ask another identity provider, and we are nothing else."""

    code = "saml_proxy_count_exceeded"
    saml_status: ClassVar[tuple[str, ...]] = (RESPONDER, PROXY_COUNT_EXCEEDED)


# --- a city's answer ----------------------------------------------------------------------------------------------------


class IdentityProviderMetadataExpired(HomeIdpFault):
    """saml-metadata 2.3.2: validUntil of the identity provider's metadata has passed."""

    code = "saml_idp_metadata_expired"


class HomeContextNotMet(HomeRefused):
    """saml-core 3.2.2.2: the city cannot authenticate the person by a context that was asked for."""

    code = "saml_home_context_not_met"
    saml_status = (RESPONDER, NO_AUTHN_CONTEXT)


class ArtifactNotResolved(HomeAnswerInvalid):
    """saml-core 3.5.3, saml-bindings 3.6.4.2: another's artifact, or the city does not hand out what it stands for."""

    code = "saml_artifact_not_resolved"


class UnsolicitedFromHome(HomeAnswerInvalid):
    """saml-profiles 4.1.5: an answer that nobody asked for, of an identity provider whose registration does not allow it."""

    code = "saml_unsolicited_from_home"
    message_key = "login_used"


class UnreadableResponse(HomeAnswerInvalid):
    """Not base64, not XML, a DOCTYPE, a comment, an ID twice, against the schema … as ``check`` says."""

    code = "saml_unreadable_response"


class SignatureInvalid(HomeAnswerInvalid):
    """P1: unsigned, of the wrong form, by a refused algorithm, or wrong, as ``check`` says."""

    code = "saml_signature_invalid"


class NotDecrypted(HomeAnswerInvalid):
    """No key of ours opens it, or its algorithm is refused, as ``check`` says."""

    code = "saml_not_decrypted"


class NotAResponse(HomeAnswerInvalid):
    """A SAML message of another kind, or of another version."""

    code = "saml_not_a_response"


class WrongIssuer(HomeAnswerInvalid):
    """saml-profiles 4.1.4.2: another issuer than the identity provider that was asked."""

    code = "saml_wrong_issuer"


class WrongDestination(HomeAnswerInvalid):
    """saml-bindings 3.5.5.2: Destination is there, and is our AssertionConsumerService."""

    code = "saml_wrong_destination"


class WrongInResponseTo(HomeAnswerInvalid):
    """saml-profiles 4.1.4.3: not the answer to the AuthnRequest of this login."""

    code = "saml_wrong_in_response_to"


class NotOneAssertion(HomeAnswerInvalid):
    """P1: no assertion, or several."""

    code = "saml_not_one_assertion"


class WrongAudience(HomeAnswerInvalid):
    """saml-core 2.5.1.4: we are not in every AudienceRestriction, or there is none."""

    code = "saml_wrong_audience"


class WrongRecipient(HomeAnswerInvalid):
    """saml-profiles 4.1.4.3: Recipient is not our AssertionConsumerService."""

    code = "saml_wrong_recipient"


class NotBearer(HomeAnswerInvalid):
    """saml-profiles 4.1.4.2: no usable SubjectConfirmation by bearer."""

    code = "saml_not_bearer"


class NotYetValid(HomeAnswerInvalid):
    """saml-core 2.5.1.2: NotBefore is in the future."""

    code = "saml_not_yet_valid"


class Expired(HomeAnswerInvalid):
    """saml-core 2.5.1.2, saml-profiles 4.1.4.3: NotOnOrAfter has passed, or the confirmation has none."""

    code = "saml_expired"


class SessionEnded(HomeAnswerInvalid):
    """saml-core 2.7.2: SessionNotOnOrAfter has passed."""

    code = "saml_session_ended"


class UnknownCondition(HomeAnswerInvalid):
    """saml-core 2.5.1: a condition that is not understood makes the assertion's validity undetermined."""

    code = "saml_unknown_condition"


class ProxyingForbidden(HomeAnswerInvalid):
    """saml-core 2.5.1.6: the identity provider forbids or limits to pass the login on, which is all we do."""

    code = "saml_proxying_forbidden"


class NoAuthnStatement(HomeAnswerInvalid):
    """saml-profiles 4.1.4.2: an assertion without AuthnStatement is no login."""

    code = "saml_no_authn_statement"


class AuthnInstantInFuture(HomeAnswerInvalid):
    code = "saml_authn_instant_in_future"


class ForeignNameQualifier(HomeAnswerInvalid):
    """saml-core 8.3.7: a persistent identifier in the name of another identity provider or for another service."""

    code = "saml_foreign_name_qualifier"


# --- ourselves ----------------------------------------------------------------------------------------------------------


class MetadataUnusable(BrokerFault):
    """Registered metadata that cannot be read any more: it was checked when it was applied."""

    code = "saml_metadata_unusable"
    message_key = "unexpected"
