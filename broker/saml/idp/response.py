"""Our Response to a service: one signed assertion, or an error (saml-core 3.3.3, saml-profiles 4.1.4.2).

The Response is always signed: pysaml2's and node-saml's service providers demand it unless told otherwise, saml2int asks
for it of every identity provider, and an error is proven too. The assertion is signed as well, since others (AD FS,
WantAssertionsSigned) look there, unless the service's metadata says WantAssertionsSigned="false" in so many words: then
the one signature covers it. A second signature costs 0.3 ms.

The assertion is encrypted when the service's metadata has a KeyDescriptor with use="encryption". One for any use is left
alone, though saml-metadata 2.4.1.1 allows it: many services that publish one cannot decrypt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.login.steps import Answer, Release
from broker.saml import names
from broker.saml.canonical import Child, Node, Rendered, canonical, element
from broker.saml.encryption import encrypt
from broker.saml.errors import InvalidNameIdPolicy
from broker.saml.ids import new_id
from broker.saml.metadata import SpDescriptor
from broker.saml.names import SamlNames
from broker.saml.signature import Signer
from broker.saml.status import status
from broker.saml.xml import write_instant

LIFETIME = timedelta(minutes=5)
"""How long a service may take to consume the assertion."""

LONGEST_SESSION = timedelta(hours=12)
"""How long a service may keep the person logged in without asking again, when the city does not say less: longer than any
shift, and over before the next one on a shared computer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """What every Response says of itself. ``request_id``: of the AuthnRequest that it answers; None when it answers none
    (saml-profiles 4.1.5)."""

    issuer: str
    acs: str
    request_id: str | None
    now: datetime
    skew: timedelta


def sealed(assertion: Node, sp: SpDescriptor, signer: Signer, *, cbc: bool) -> Child:
    """The assertion, signed and encrypted as the service's metadata asks. ``cbc``: by AES-CBC, if it is encrypted."""
    if sp.want_assertions_signed is False:
        rendered = Rendered(canonical(assertion))
    else:
        rendered = signer.enveloped(assertion, after=1)
    if sp.encryption_key is None:
        return rendered
    return element("saml:EncryptedAssertion", None, encrypt(rendered, sp.encryption_key, cbc=cbc))


def write_answer(content: Child, addressed: Addressed, signer: Signer) -> str:
    """``content``: what ``sealed`` made."""
    return _response(addressed, status((names.SUCCESS,)), content, signer)


def write_error(codes: tuple[str, ...], message: str, addressed: Addressed, signer: Signer) -> str:
    """``codes``: the top-level status and those inside. ``message``: for the service's log."""
    return _response(addressed, status(codes, message), None, signer)


def name_id(formats: tuple[str, ...], release: Release, issuer: str, sp: SpDescriptor) -> Node:
    """By the first of ``formats`` that can be given to this person. Raises: InvalidNameIdPolicy."""
    mail = release.attributes.get("mail", ())
    for wanted in formats:
        if wanted == names.TRANSIENT:
            return element("saml:NameID", _qualified(wanted, issuer, sp), new_id())
        if wanted == names.PERSISTENT:
            return element("saml:NameID", _qualified(wanted, issuer, sp), release.pairwise_id)
        if wanted == names.EMAIL_ADDRESS and mail:
            return element("saml:NameID", {"Format": wanted}, mail[0])
    raise InvalidNameIdPolicy("the service does not get the mail address that it asks for as NameID")


def _qualified(format: str, issuer: str, sp: SpDescriptor) -> Mapping[str, str]:
    return {"Format": format, "NameQualifier": issuer, "SPNameQualifier": sp.entity_id}


def _response(addressed: Addressed, status: Node, content: Child | None, signer: Signer) -> str:
    node = element(
        "samlp:Response",
        {
            "ID": new_id(),
            "Version": "2.0",
            "IssueInstant": write_instant(addressed.now),
            "Destination": addressed.acs,
            "InResponseTo": addressed.request_id,
        },
        element("saml:Issuer", None, addressed.issuer),
        status,
        content,
    )
    return signer.enveloped(node, after=1).text


def assertion(answer: Answer, name_id: Node, sp: SpDescriptor, addressed: Addressed, saml_names: SamlNames) -> Node:
    return element(
        "saml:Assertion",
        {"ID": new_id(), "Version": "2.0", "IssueInstant": write_instant(addressed.now)},
        element("saml:Issuer", None, addressed.issuer),
        _subject(name_id, addressed),
        _conditions(answer.proxy_count, sp, addressed),
        _authn_statement(answer, addressed),
        _attribute_statement(answer.release, saml_names),
    )


def _subject(name_id: Node, addressed: Addressed) -> Node:
    data = {
        "InResponseTo": addressed.request_id,
        "NotOnOrAfter": write_instant(addressed.now + LIFETIME),
        "Recipient": addressed.acs,
    }
    confirmation = element(
        "saml:SubjectConfirmation", {"Method": names.BEARER}, element("saml:SubjectConfirmationData", data)
    )
    return element("saml:Subject", None, name_id, confirmation)


def _conditions(proxy_count: int | None, sp: SpDescriptor, addressed: Addressed) -> Node:
    times = {
        # A service whose clock is a little behind must not find the assertion too new.
        "NotBefore": write_instant(addressed.now - addressed.skew),
        "NotOnOrAfter": write_instant(addressed.now + LIFETIME),
    }
    audience = element("saml:Audience", None, sp.entity_id)
    # saml-core 2.5.1.6: the city's restriction goes on, one less.
    restriction = None if proxy_count is None else element("saml:ProxyRestriction", {"Count": str(proxy_count)})
    return element("saml:Conditions", times, element("saml:AudienceRestriction", None, audience), restriction)


def _authn_statement(answer: Answer, addressed: Addressed) -> Node:
    context = element(
        "saml:AuthnContext",
        None,
        element("saml:AuthnContextClassRef", None, answer.authn_context),
        *(element("saml:AuthenticatingAuthority", None, each) for each in answer.authenticating_authorities),
    )
    longest = addressed.now + LONGEST_SESSION
    # A city whose clock is behind by less than the skew may have named a moment that has passed: then it is the skew's end.
    ends = max(min(answer.session_ends or longest, longest), addressed.now + addressed.skew)
    attributes = {
        "AuthnInstant": write_instant(answer.authn_instant),
        "SessionIndex": new_id(),
        "SessionNotOnOrAfter": write_instant(ends),
    }
    return element("saml:AuthnStatement", attributes, context)


def _attribute_statement(release: Release, saml_names: SamlNames) -> Node | None:
    attributes = [
        _attribute(found, values)
        for name, values in release.attributes.items()
        if values and (found := saml_names(name)) is not None
    ]
    return element("saml:AttributeStatement", None, *attributes) if attributes else None


def _attribute(names_of_it: tuple[str, str], values: tuple[str, ...]) -> Node:
    name, friendly_name = names_of_it
    return element(
        "saml:Attribute",
        {"Name": name, "NameFormat": names.NAME_FORMAT_URI, "FriendlyName": friendly_name},
        *(element("saml:AttributeValue", None, value) for value in values),
    )
