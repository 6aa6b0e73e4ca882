"""About: who the broker is, as its metadata tells partners; and what it makes of the organisation that runs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from broker.federation.model import LANGUAGES, Contact, Federation, Organisation, OrganisationId, Texts, text_in
from broker.saml.canonical import Node, element

SECURITY_CONTACT = "http://refeds.org/metadata/contactType/security"
"""REFEDS Security Contact Metadata Extension."""

# Roles of FEDERATION.md → contactType of saml-metadata 2.3.2.2. A privacy contact has no type of its own.
_CONTACT_TYPES: Mapping[str, str] = {
    "technical": "technical",
    "operations": "technical",
    "helpdesk": "support",
    "coordinator": "administrative",
    "security": "other",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Logo:
    """``width``, ``height``: in pixels."""

    url: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """``name``: the federation's, in every language. Addresses: "" leaves them out; ``{language}`` in them is replaced.

    ``operator``: the organisation that runs the broker; its name and contacts are told. Without one, or while the registry
    does not know it, the federation's name stands for it, and nobody is named.
    """

    base_url: str
    name: str
    description: Texts = field(default_factory=dict)
    information_url: str = ""
    privacy_statement_url: str = ""
    logo: Logo | None = None
    operator: str = ""


def ui_info(about: About) -> Node:
    """What partners show for us (sstc-saml-metadata-ui 2.1)."""
    logo = about.logo
    size = {"height": str(logo.height), "width": str(logo.width)} if logo else {}
    return element(
        "mdui:UIInfo",
        None,
        *in_languages("mdui:DisplayName", about.name),
        *(_text("mdui:Description", language, about.description[language]) for language in about.description),
        *_addresses("mdui:InformationURL", about.information_url),
        *_addresses("mdui:PrivacyStatementURL", about.privacy_statement_url),
        element("mdui:Logo", size, logo.url) if logo else None,
    )


def organization(about: About, federation: Federation) -> Node:
    """Who answers for the broker (saml-metadata 2.3.2.1)."""
    operator = _operator(about, federation)
    name = operator.name if operator else dict.fromkeys(LANGUAGES, about.name)
    return element(
        "md:Organization",
        None,
        *(_text("md:OrganizationName", language, text_in(name, language)) for language in LANGUAGES),
        *(_text("md:OrganizationDisplayName", language, text_in(name, language)) for language in LANGUAGES),
        *_addresses("md:OrganizationURL", about.information_url or about.base_url + "/"),
    )


def contact_persons(about: About, federation: Federation) -> list[Node]:
    """The operator's contacts (saml-metadata 2.3.2.2), the security contact as REFEDS marks it."""
    operator = _operator(about, federation)
    return [_contact_person(each) for each in operator.contacts if _is_told(each)] if operator else []


def in_languages(tag: str, text: str) -> Iterable[Node]:
    return (_text(tag, language, text) for language in LANGUAGES)


def _operator(about: About, federation: Federation) -> Organisation | None:
    return federation.organisations.get(OrganisationId(about.operator))


def _is_told(contact: Contact) -> bool:
    """A contact that cannot be written to or called is of no use to a partner."""
    return contact.role in _CONTACT_TYPES and bool(contact.email or contact.phone)


def _contact_person(contact: Contact) -> Node:
    security = SECURITY_CONTACT if contact.role == "security" else None
    return element(
        "md:ContactPerson",
        {"contactType": _CONTACT_TYPES[contact.role], "remd:contactType": security},
        element("md:GivenName", None, contact.name) if contact.name else None,
        element("md:EmailAddress", None, f"mailto:{contact.email}") if contact.email else None,
        element("md:TelephoneNumber", None, contact.phone) if contact.phone else None,
    )


def _addresses(tag: str, address: str) -> Iterable[Node]:
    if not address:
        return ()
    return (_text(tag, language, address.replace("{language}", language)) for language in LANGUAGES)


def _text(tag: str, language: str, text: str) -> Node:
    return element(tag, {"xml:lang": language}, text)
