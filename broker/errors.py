"""The four faults: who is to blame for a refusal, how it is answered, and what the person is told.

A fault's class carries everything that the answer needs: the HTTP status of our own page, the message of the page, the
SAML status and the OAuth error that a service gets. ``detail`` goes to the log and to ``broker explain`` only; it must
not hold a secret, a token or an attribute value (promise P7).

``code`` is the stable reason: it is in the audit record, in the log and in the metric label, and tests assert it.
``message_key`` names the page's texts in ``broker/web``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

SAML_STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
REQUESTER = SAML_STATUS + "Requester"
RESPONDER = SAML_STATUS + "Responder"


class Fault(Exception):
    """A refusal. Never raised itself: one of the four branches says whose fault it is.

    ``context`` names the parties and things concerned (ids of the registry and names of attributes, never values), for
    the page and the trace: for example ``organisation="pori"``, ``attribute="mail"``.
    """

    code: ClassVar[str]
    message_key: ClassVar[str] = "unexpected"
    whose: ClassVar[str]
    http_status: ClassVar[int] = 400
    saml_status: ClassVar[tuple[str, ...]] = (RESPONDER,)
    oauth_error: ClassVar[str] = "server_error"

    def __init__(self, detail: str = "", **context: str) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.context: Mapping[str, str] = MappingProxyType(context)

    @property
    def description(self) -> str:
        """What a service is told beside the OAuth error: our stable reason, never what was sent."""
        return self.code


class UserFault(Fault):
    """The person or the browser: start again, or ask for something else."""

    whose = "user"
    oauth_error = "access_denied"


class ServiceFault(Fault):
    """The service sent a wrong request, or its registration does not allow what it asks."""

    whose = "service"
    saml_status: ClassVar[tuple[str, ...]] = (REQUESTER,)
    oauth_error = "invalid_request"


class HomeIdpFault(Fault):
    """The city's identity provider answered wrongly, or not at all."""

    whose = "home"
    oauth_error = "access_denied"
    message_key = "home_answer_wrong"


class BrokerFault(Fault):
    """Ours: something here is broken or misconfigured. Raises an alarm."""

    whose = "broker"
    http_status = 500


# --- the login as such -----------------------------------------------------------------------------------------------


class LoginUsedOrExpired(UserFault):
    """P2: the transaction was taken already, ran out, or never was."""

    code = "login_used_or_expired"
    message_key = "login_used"


class OtherBrowser(UserFault):
    """P2: the answer came in another browser than the one that began the login."""

    code = "other_browser"
    message_key = "login_used"


class OutOfOrder(UserFault):
    """A step of the login that does not follow from its stage."""

    code = "out_of_order"
    message_key = "login_used"


class MessageReplayed(UserFault):
    """P2: the message with this ID was accepted before (saml-profiles 4.1.4.5, OIDC Core 15.5.2)."""

    code = "message_replayed"
    message_key = "login_used"


class MalformedMessage(UserFault):
    """What the browser brought cannot be read at all, so nobody can be named as its sender."""

    code = "malformed_message"
    message_key = "not_understood"
    oauth_error = "invalid_request"


class PageNotFound(UserFault):
    """No such address here."""

    code = "not_found"
    message_key = "not_found"
    http_status = 404


# --- the service's request ---------------------------------------------------------------------------------------


class UnknownService(ServiceFault):
    """The request names an issuer or client that is not registered. Answered by a page, never sent anywhere."""

    code = "unknown_service"
    message_key = "unknown_service"


class InvalidServiceRequest(ServiceFault):
    """The service's request breaks its protocol or its own registration."""

    code = "invalid_service_request"
    message_key = "service_request_wrong"


class UnregisteredAddress(ServiceFault):
    """P5: an ACS or redirect URI that is not registered. Answered by a page, never sent anywhere."""

    code = "unregistered_address"
    message_key = "service_request_wrong"


class NoPassive(ServiceFault):
    """The service asked for a login without any page, and one is needed (saml-core 3.4.1, OIDC Core 3.1.2.6)."""

    code = "no_passive"
    saml_status = (RESPONDER, SAML_STATUS + "NoPassive")
    oauth_error = "login_required"


# --- the city's answer ------------------------------------------------------------------------------------------------


class HomeAnswerInvalid(HomeIdpFault):
    """The city's answer failed a check of its protocol; ``check`` in the context names the check.

    Protocol packages subclass this with one class for each check, so that a test can assert the reason.
    """

    code = "home_answer_invalid"
    saml_status = (RESPONDER, SAML_STATUS + "AuthnFailed")


class HomeLoginTooOld(HomeIdpFault):
    """The service asked for a new or recent login at home, and the city's answer does not prove one."""

    code = "home_login_too_old"
    message_key = "home_answer_wrong"
    saml_status = (RESPONDER, SAML_STATUS + "AuthnFailed")
    oauth_error = "login_required"


class HomeRefused(HomeIdpFault):
    """The city's identity provider said no: wrong password, cancelled, not allowed."""

    code = "home_refused"
    message_key = "home_refused"
    saml_status = (RESPONDER, SAML_STATUS + "AuthnFailed")


class HomeUnreachable(HomeIdpFault):
    """The city's identity provider is down, slow, or answers nonsense."""

    code = "home_unreachable"
    message_key = "home_unreachable"
    http_status = 502
    oauth_error = "temporarily_unavailable"


class ForeignScope(HomeIdpFault):
    """P3: the city asserts an identifier in a scope that is not its own."""

    code = "foreign_scope"
    message_key = "foreign_scope"
    http_status = 403
    saml_status = (RESPONDER, SAML_STATUS + "AuthnFailed")


class OrganisationUndecided(HomeIdpFault):
    """The identity provider serves several organisations and its answer does not tell which one this person is of."""

    code = "organisation_undecided"
    message_key = "organisation_undecided"
    http_status = 403


class SubjectMissing(HomeIdpFault):
    """The city's answer holds no stable key for the person."""

    code = "subject_missing"
    message_key = "subject_missing"
    http_status = 403


# --- rules of access, in the order of FEDERATION.md --------------------------------------------------------------------


class AccessRefused(UserFault):
    """The person is known, and may not reach this service. ``rule`` in the context names the rule that failed."""

    http_status = 403
    saml_status = (RESPONDER, SAML_STATUS + "RequestDenied")


class StatusDoesNotAdmit(AccessRefused):
    code = "service_status"
    message_key = "service_status"


class NoAgreement(AccessRefused):
    code = "no_agreement"
    message_key = "no_agreement"


class RequirementNotMet(AccessRefused):
    code = "requirement_not_met"
    message_key = "requirement_not_met"


class MfaNotProven(RequirementNotMet):
    code = "mfa_not_proven"
    message_key = "mfa_not_proven"
    saml_status = (RESPONDER, SAML_STATUS + "NoAuthnContext")


class RequiredAttributeMissing(AccessRefused):
    code = "required_attribute_missing"
    message_key = "attribute_missing"


# --- ourselves ----------------------------------------------------------------------------------------------------


class StateUnavailable(BrokerFault):
    """P10: the state store cannot be reached, so nothing can be begun or finished."""

    code = "state_unavailable"
    message_key = "broker_unavailable"
    http_status = 503
    oauth_error = "temporarily_unavailable"


class AuditUnavailable(BrokerFault):
    """P6: the audit record could not be made durable, so the answer may not leave."""

    code = "audit_unavailable"
    message_key = "broker_unavailable"
    http_status = 503
    oauth_error = "temporarily_unavailable"


class RegistryUnavailable(BrokerFault):
    """P10: the federation's data could not be changed now: too many change it at once, or what is there cannot be used."""

    code = "registry_unavailable"
    message_key = "broker_unavailable"
    http_status = 503
    oauth_error = "temporarily_unavailable"


class KeptScopeLost(BrokerFault):
    """A migration keeps a person's identifiers in a scope that the organisation's document does not have any more."""

    code = "kept_scope_lost"


class Unexpected(BrokerFault):
    """An error that nobody foresaw. The only place that makes one is the outermost middleware."""

    code = "unexpected"
    message_key = "unexpected"


def fault_class(code: str) -> type[Fault]:
    """The class that has this code, of every package that is loaded. Raises: KeyError."""
    waiting: list[type[Fault]] = [Fault]
    while waiting:
        found = waiting.pop()
        if getattr(found, "code", None) == code:
            return found
        waiting.extend(found.__subclasses__())
    raise KeyError(code)
