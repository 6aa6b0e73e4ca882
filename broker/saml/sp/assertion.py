"""A city's Response: judged, and what it says of the person (saml-profiles 4.1.4.3).

Every check is a function, refuses by a class of its own, and takes the time as an argument. The order matters: what the
Response says outside a signature is read only in order to refuse; what is believed is read from a ``VerifiedElement``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import rsa

from broker.errors import SAML_STATUS, HomeAnswerInvalid, HomeRefused, NoPassive
from broker.federation.model import IdentityProviderId
from broker.login.identity import VerifiedAssertion
from broker.saml import encryption, names
from broker.saml.errors import (
    AuthnInstantInFuture,
    Expired,
    ForeignNameQualifier,
    HomeContextNotMet,
    NoAuthnStatement,
    NotAResponse,
    NotBearer,
    NotDecrypted,
    NotOneAssertion,
    NotYetValid,
    ProxyingForbidden,
    SessionEnded,
    SignatureInvalid,
    UnknownCondition,
    UnreadableResponse,
    WrongAudience,
    WrongDestination,
    WrongInResponseTo,
    WrongIssuer,
    WrongRecipient,
)
from broker.saml.names import saml, samlp
from broker.saml.signature import (
    STRONG,
    Allowed,
    SignatureRefused,
    VerificationKey,
    VerifiedElement,
    covered,
    decrypted,
    is_signed,
    verify,
)
from broker.saml.status import is_success, read_status
from broker.saml.xml import (
    Element,
    XmlRefused,
    check_message,
    child_text,
    instant,
    number,
    parse_message,
    text_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The answer that was asked for: from whom, to whom, to which request, at what time.

    ``acs``: our AssertionConsumerService. ``decryption_keys``: every one of ours that a city may still know.
    ``signatures``: by which algorithms the city may sign.
    """

    idp: IdentityProviderId
    idp_entity_id: str
    signing_keys: tuple[VerificationKey, ...]
    sp_entity_id: str
    acs: str
    request_id: str
    decryption_keys: tuple[rsa.RSAPrivateKey, ...]
    now: datetime
    skew: timedelta
    signatures: Allowed = STRONG


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """``id``: the assertion's, not to be accepted again before ``until``. ``by_sha1``: a signature of it is."""

    assertion: VerifiedAssertion
    id: str
    until: datetime
    by_sha1: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message of the city, believed in nothing yet. ``vouched``: it came in a signed ArtifactResponse, which covers it.
    ``by_artifact``: we fetched it ourselves, so no Destination is needed (saml-bindings 3.6)."""

    message: Element
    vouched: VerifiedElement | None = None
    by_artifact: bool = False


def read_response(octets: bytes, expected: Expected) -> Accepted:
    """By POST. Raises: as ``judge``."""
    with refusals_of(expected):
        message = parse_message(octets)
    return judge(Received(message=message), expected)


def judge(received: Received, expected: Expected) -> Accepted:
    """Raises: HomeAnswerInvalid (a subclass for each check), HomeRefused, NoPassive."""
    with refusals_of(expected):
        return _judge(received, expected)


@contextmanager
def refusals_of(expected: Expected) -> Iterator[None]:
    """What XML, signatures and encryption refuse, as the city's fault."""
    try:
        yield
    except XmlRefused as error:
        raise UnreadableResponse(str(error), check=error.code, identity_provider=expected.idp) from error
    except SignatureRefused as error:
        raise SignatureInvalid(str(error), check=error.code, identity_provider=expected.idp) from error
    except encryption.DecryptionRefused as error:
        raise NotDecrypted(str(error), check=error.code, identity_provider=expected.idp) from error


def _judge(received: Received, expected: Expected) -> Accepted:
    response = received.message
    check_kind(response, expected)
    check_not_before(response, "IssueInstant", expected)
    signed = _verify(response, expected) if is_signed(response) else None
    whole = signed or received.vouched
    if not received.by_artifact or response.get("Destination") is not None:
        check_destination(response, expected)
    check_in_response_to(response, expected)
    check_issuer(response, expected)
    check_status(response, expected)
    verified = _verified_assertion(response, whole, expected)
    relied_on = (received.vouched, signed, verified)
    accepted = _read_assertion(verified, expected)
    return replace(accepted, by_sha1=any(each.by_sha1 for each in relied_on if each is not None))


# --- the Response ------------------------------------------------------------------------------------------------------


def check_kind(response: Element, expected: Expected) -> None:
    """saml-core 3.3.3. Raises: NotAResponse."""
    if response.tag != samlp("Response") or response.get("Version") != "2.0":
        raise _refused(NotAResponse, "not a Response of SAML 2.0", expected)


def check_destination(response: Element, expected: Expected) -> None:
    """saml-bindings 3.5.5.2; stricter: unsigned ones need it as well. Raises: WrongDestination."""
    if response.get("Destination") != expected.acs:
        raise _refused(WrongDestination, "Destination is not our AssertionConsumerService", expected)


def check_in_response_to(element: Element, expected: Expected) -> None:
    """saml-profiles 4.1.4.3, of the Response or of a SubjectConfirmationData. Raises: WrongInResponseTo."""
    if element.get("InResponseTo") != expected.request_id:
        raise _refused(WrongInResponseTo, "InResponseTo is not the AuthnRequest of this login", expected)


def check_issuer(element: Element, expected: Expected) -> None:
    """saml-profiles 4.1.4.2, of the Response and of the assertion; stricter: always there. Raises: WrongIssuer."""
    issuer = element.find(saml("Issuer"))
    if issuer is None or text_of(issuer) != expected.idp_entity_id:
        raise _refused(WrongIssuer, "Issuer is not the identity provider that was asked", expected)
    if issuer.get("Format", names.ENTITY) != names.ENTITY:
        raise _refused(WrongIssuer, "Issuer is not an entity", expected)


def check_status(response: Element, expected: Expected) -> None:
    """saml-core 3.2.2. An unsigned refusal is believed: it gives nothing to anybody.

    Raises: HomeRefused, HomeContextNotMet, NoPassive.
    """
    codes = read_status(response)
    if is_success(codes):
        return
    if names.NO_PASSIVE in codes:
        raise NoPassive("the identity provider needs a page", identity_provider=expected.idp)
    if names.NO_AUTHN_CONTEXT in codes:
        raise HomeContextNotMet("no requested context can be met", identity_provider=expected.idp)
    known = " ".join(code.removeprefix(SAML_STATUS)[:100] for code in codes[:2])
    raise HomeRefused("the identity provider refused", identity_provider=expected.idp, status=known)


# --- the one assertion ---------------------------------------------------------------------------------------------------


def _verified_assertion(response: Element, whole: VerifiedElement | None, expected: Expected) -> VerifiedElement:
    """P1. Every signature that is there must be good, and one must cover the assertion.

    Raises: NotOneAssertion, SignatureRefused, DecryptionRefused, XmlRefused.
    """
    found = _one_assertion(response, expected)
    if found.tag == saml("EncryptedAssertion"):
        return _decrypted_assertion(found, whole, expected)
    if is_signed(found) or whole is None:
        return _verify(found, expected)
    return covered(whole, found)


def _one_assertion(response: Element, expected: Expected) -> Element:
    """Nowhere in the message is a second one. Raises: NotOneAssertion."""
    found = list(response.iter(saml("Assertion"), saml("EncryptedAssertion")))
    if len(found) != 1 or found[0].getparent() is not response:
        raise _refused(NotOneAssertion, f"{len(found)} assertions", expected)
    return found[0]


def _decrypted_assertion(encrypted: Element, whole: VerifiedElement | None, expected: Expected) -> VerifiedElement:
    if whole is None:
        return _verify(_opened(encrypted, expected, signed=False), expected)
    opened = decrypted(covered(whole, encrypted), lambda element: _opened(element, expected, signed=True))
    return _verify(opened.element, expected) if is_signed(opened.element) else opened


def _verify(element: Element, expected: Expected) -> VerifiedElement:
    return verify(element, expected.signing_keys, expected.signatures)


def _opened(encrypted: Element, expected: Expected, *, signed: bool) -> Element:
    """Raises: NotOneAssertion, DecryptionRefused, XmlRefused."""
    opened = encryption.decrypt(encrypted, expected.decryption_keys, signed=signed)
    check_message(opened)
    if opened.tag != saml("Assertion") or len(list(opened.iter(saml("Assertion"), saml("EncryptedAssertion")))) != 1:
        raise _refused(NotOneAssertion, "not one assertion was encrypted", expected)
    return opened


def _read_assertion(verified: VerifiedElement, expected: Expected) -> Accepted:
    assertion = verified.element
    check_version(assertion, expected)
    check_issuer(assertion, expected)
    check_conditions(assertion, expected)
    until = check_subject_confirmation(assertion, expected)
    statement = check_authn_statements(assertion, expected)
    return Accepted(
        assertion=_said(assertion, statement, expected),
        id=assertion.get("ID", ""),
        until=until,
    )


def check_version(assertion: Element, expected: Expected) -> None:
    """saml-core 2.3.3. Raises: NotAResponse, NotYetValid."""
    if assertion.get("Version") != "2.0":
        raise _refused(NotAResponse, "not an assertion of SAML 2.0", expected)
    check_not_before(assertion, "IssueInstant", expected)


def check_not_before(element: Element, attribute: str, expected: Expected) -> None:
    """saml-core 2.5.1.2. Raises: NotYetValid."""
    value = element.get(attribute)
    if value is not None and instant(value) > expected.now + expected.skew:
        raise _refused(NotYetValid, f"{attribute} is in the future", expected)


def check_not_on_or_after(element: Element, attribute: str, expected: Expected) -> None:
    """saml-core 2.5.1.2: the instant itself is too late. Raises: Expired."""
    value = element.get(attribute)
    if value is not None and instant(value) <= expected.now - expected.skew:
        raise _refused(Expired, f"{attribute} has passed", expected)


# --- saml-core 2.5: conditions -------------------------------------------------------------------------------------------

_UNDERSTOOD = (saml("AudienceRestriction"), saml("OneTimeUse"), saml("ProxyRestriction"))


def check_conditions(assertion: Element, expected: Expected) -> None:
    """OneTimeUse holds for every assertion here. Raises: WrongAudience, NotYetValid, Expired, UnknownCondition …"""
    conditions = assertion.find(saml("Conditions"))
    if conditions is None:
        raise _refused(WrongAudience, "no Conditions", expected)
    check_not_before(conditions, "NotBefore", expected)
    check_not_on_or_after(conditions, "NotOnOrAfter", expected)
    check_interval(conditions, expected)
    if any(each.tag not in _UNDERSTOOD for each in conditions):
        raise _refused(UnknownCondition, "a condition that is not understood", expected)
    check_proxy_restriction(conditions, expected)
    check_audience(conditions, expected)


def check_proxy_restriction(conditions: Element, expected: Expected) -> None:
    """saml-core 2.5.1.6: we are one more, so a Count of 0 forbids. Audiences that may follow are never ours to know: none of
    them is a service's. Raises: ProxyingForbidden."""
    if _proxy_count(conditions) == 0:
        raise _refused(ProxyingForbidden, "ProxyRestriction with a Count of 0", expected)
    if conditions.find(f"{saml('ProxyRestriction')}/{saml('Audience')}") is not None:
        raise _refused(ProxyingForbidden, "ProxyRestriction with an Audience", expected)


def _proxy_count(conditions: Element) -> int | None:
    """How many may pass the login on; None: as many as like. The schema admits one restriction with a Count."""
    counts = (each.get("Count") for each in conditions.iterfind(saml("ProxyRestriction")))
    return min((number(each.strip()) for each in counts if each is not None), default=None)


def check_interval(conditions: Element, expected: Expected) -> None:
    """saml-core 2.5.1.2: NotBefore is before NotOnOrAfter, whatever the clocks are. Raises: Expired."""
    begins, ends = conditions.get("NotBefore"), conditions.get("NotOnOrAfter")
    if begins is not None and ends is not None and instant(begins) >= instant(ends):
        raise _refused(Expired, "NotOnOrAfter is not after NotBefore", expected)


def check_audience(conditions: Element, expected: Expected) -> None:
    """saml-core 2.5.1.4: several restrictions all have to name us. None at all is refused: it was asked for by us alone.

    Raises: WrongAudience.
    """
    restrictions = conditions.findall(saml("AudienceRestriction"))
    audiences = [[text_of(each) for each in restriction] for restriction in restrictions]
    if not audiences or any(expected.sp_entity_id not in each for each in audiences):
        raise _refused(WrongAudience, "we are not in every AudienceRestriction", expected)


# --- saml-core 2.4: the subject ------------------------------------------------------------------------------------------


def check_subject_confirmation(assertion: Element, expected: Expected) -> datetime:
    """saml-profiles 4.1.4.2: at least one confirmation by bearer holds; until when one does.

    Raises: NotBearer, or that for which the last one does not hold: WrongRecipient, WrongInResponseTo, Expired.
    """
    holding: list[datetime] = []
    refusal: HomeAnswerInvalid = _refused(NotBearer, "no SubjectConfirmation by bearer", expected)
    for confirmation in assertion.iterfind(f"{saml('Subject')}/{saml('SubjectConfirmation')}"):
        if confirmation.get("Method") != names.BEARER:
            continue
        try:
            holding.append(check_bearer(confirmation, expected))
        except HomeAnswerInvalid as fault:
            refusal = fault
    if not holding:
        raise refusal
    return max(holding)


def check_bearer(confirmation: Element, expected: Expected) -> datetime:
    """Address is not looked at: saml-profiles 4.1.4.3 leaves it to us, and people come by several addresses at once.

    Raises: NotBearer, WrongRecipient, WrongInResponseTo, Expired.
    """
    data = confirmation.find(saml("SubjectConfirmationData"))
    if data is None or data.get("NotBefore") is not None:
        raise _refused(NotBearer, "no SubjectConfirmationData, or with the forbidden NotBefore", expected)
    if data.get("Recipient") != expected.acs:
        raise _refused(WrongRecipient, "Recipient is not our AssertionConsumerService", expected)
    check_in_response_to(data, expected)
    until = data.get("NotOnOrAfter")
    if until is None:
        raise _refused(Expired, "no NotOnOrAfter in SubjectConfirmationData", expected)
    check_not_on_or_after(data, "NotOnOrAfter", expected)
    return instant(until)


def _name_id(assertion: Element, expected: Expected) -> Element | None:
    """The subject's NameID, opened if need be. Raises: DecryptionRefused, XmlRefused."""
    subject = assertion.find(saml("Subject"))
    if subject is None:
        return None
    encrypted = subject.find(saml("EncryptedID"))
    if encrypted is None:
        return subject.find(saml("NameID"))
    opened = encryption.decrypt(encrypted, expected.decryption_keys, signed=True)
    check_message(opened)
    if opened.tag != saml("NameID"):
        raise encryption.CannotOpen("not a NameID was encrypted")
    return opened


# What is the person's for good. Where no format is said, AD FS sends what its administrator chose as the name identifier.
_STABLE_FORMATS = (names.PERSISTENT, names.UNSPECIFIED)


def subject_key(name_id: Element | None, expected: Expected) -> str | None:
    """attributes.md 1.7: never a transient identifier, an address or an account name. Raises: ForeignNameQualifier."""
    if name_id is None or name_id.get("Format", names.UNSPECIFIED) not in _STABLE_FORMATS:
        return None
    if name_id.get("NameQualifier", expected.idp_entity_id) != expected.idp_entity_id:
        raise _refused(ForeignNameQualifier, "NameQualifier is another identity provider", expected)
    if name_id.get("SPNameQualifier", expected.sp_entity_id) != expected.sp_entity_id:
        raise _refused(ForeignNameQualifier, "SPNameQualifier is another service", expected)
    return text_of(name_id) or None


# --- saml-core 2.7: statements -------------------------------------------------------------------------------------------


def check_authn_statements(assertion: Element, expected: Expected) -> Element:
    """The person's last authentication, after all were checked: their order says nothing (saml-core 2.7.2).

    Raises: NoAuthnStatement, AuthnInstantInFuture, SessionEnded.
    """
    statements = assertion.findall(saml("AuthnStatement"))
    if not statements:
        raise _refused(NoAuthnStatement, "no AuthnStatement", expected)
    for statement in statements:
        if _authn_instant(statement) > expected.now + expected.skew:
            raise _refused(AuthnInstantInFuture, "AuthnInstant is in the future", expected)
        ends = statement.get("SessionNotOnOrAfter")
        if ends is not None and instant(ends) <= expected.now - expected.skew:
            raise _refused(SessionEnded, "SessionNotOnOrAfter has passed", expected)
    return max(statements, key=_authn_instant)


def _said(assertion: Element, statement: Element, expected: Expected) -> VerifiedAssertion:
    context = statement.find(saml("AuthnContext"))
    assert context is not None, "the schema asks for it"
    name_id = _name_id(assertion, expected)
    return VerifiedAssertion(
        idp=expected.idp,
        subject=subject_key(name_id, expected),
        attributes=attributes(assertion, expected),
        authn_instant=_authn_instant(statement),
        authn_context=child_text(context, saml("AuthnContextClassRef")),
        authenticating_authorities=tuple(text_of(each) for each in context.iterfind(saml("AuthenticatingAuthority"))),
        session_ends=None if (ends := statement.get("SessionNotOnOrAfter")) is None else instant(ends),
        proxy_count=_proxy_count(_conditions_of(assertion)),
        session=dict(_session(name_id, statement)),
    )


def _conditions_of(assertion: Element) -> Element:
    found = assertion.find(saml("Conditions"))
    assert found is not None, "check_conditions asks for it"
    return found


def _authn_instant(statement: Element) -> datetime:
    return instant(statement.get("AuthnInstant", ""))


def attributes(assertion: Element, expected: Expected) -> Mapping[str, tuple[str, ...]]:
    """By Name, as sent; statements and attributes of one Name are read as one. Raises: DecryptionRefused, XmlRefused."""
    found: dict[str, tuple[str, ...]] = {}
    for child in assertion.iterfind(f"{saml('AttributeStatement')}/*"):
        attribute = _decrypted_attribute(child, expected) if child.tag == saml("EncryptedAttribute") else child
        name = attribute.get("Name", "")
        found[name] = (*found.get(name, ()), *_values(attribute))
    return found


def _decrypted_attribute(encrypted: Element, expected: Expected) -> Element:
    """saml-core 2.7.3.2. The verified assertion covers it. Raises: DecryptionRefused, XmlRefused."""
    opened = encryption.decrypt(encrypted, expected.decryption_keys, signed=True)
    check_message(opened)
    if opened.tag != saml("Attribute"):
        raise encryption.CannotOpen("not an Attribute was encrypted")
    return opened


def _values(attribute: Element) -> Iterable[str]:
    """Texts. eduPersonTargetedID holds a NameID, whose text counts; other structures are left out."""
    for value in attribute.iterchildren(saml("AttributeValue")):
        inner = value[0] if len(value) == 1 and value[0].tag == saml("NameID") else value
        if len(inner) == 0 and inner.text:
            yield inner.text


def _session(name_id: Element | None, statement: Element) -> Iterable[tuple[str, str]]:
    """What a LogoutRequest to the city names (saml-core 3.7.1)."""
    if name_id is not None:
        yield "name_id", text_of(name_id)
        for key, attribute in _NAME_ID_ATTRIBUTES.items():
            if (value := name_id.get(attribute)) is not None:
                yield key, value
    if (index := statement.get("SessionIndex")) is not None:
        yield "session_index", index


_NAME_ID_ATTRIBUTES = {
    "name_id_format": "Format",
    "name_qualifier": "NameQualifier",
    "sp_name_qualifier": "SPNameQualifier",
}


def _refused(fault: type[HomeAnswerInvalid], detail: str, expected: Expected) -> HomeAnswerInvalid:
    return fault(detail, identity_provider=expected.idp)
