"""The shared schema: every canonical attribute with its names toward services, its sensitivity and its check.

attributes.md section 2. The rows below are that section's rows, in its order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType

from broker.attributes import values
from broker.attributes.values import Validator

NAMESPACE = "/ns/attr/"
"""``{ns}`` is the broker's base URL and this."""

ORGANISATION_NAME = "organizationName"
"""Has its text in each language under ``organizationName#sv`` as well, as OpenID Connect tags languages."""


class Sensitivity(IntEnum):
    """attributes.md 1.8. S2 and S3 are in no log; S3 is released to nobody."""

    S0 = 0
    S1 = 1
    S2 = 2
    S3 = 3


class Origin(StrEnum):
    """Who says it. home: the identity provider. registry: the organisation's own facts. broker: computed here."""

    HOME = "home"
    REGISTRY = "registry"
    BROKER = "broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaAttribute:
    """``saml_name``: an absolute Name, or one that stands after ``{ns}`` when it has no colon; None: not for SAML.

    ``claims``: OIDC claim names (one may begin with ``{ns}``); the first value alone goes into a claim of ``first_only``.
    ``oidc_scope``: the scope that asks for the claims; None: none is needed. ``identifier``: a value in a foreign scope
    refuses the login instead of being dropped. ``limit``: the most values.
    """

    name: str
    friendly_name: str
    saml_name: str | None
    claims: tuple[str, ...] = ()
    oidc_scope: str | None = None
    sensitivity: Sensitivity
    validate: Validator
    origin: Origin = Origin.HOME
    multi: bool = False
    scoped: bool = False
    identifier: bool = False
    first_only: bool = False
    limit: int = 128


S0, S1, S2, S3 = Sensitivity
_SUBJECT_ID = "urn:oasis:names:tc:SAML:attribute:subject-id"
_PAIRWISE_ID = "urn:oasis:names:tc:SAML:attribute:pairwise-id"
_EDU_PERSON = "urn:oid:1.3.6.1.4.1.5923.1.1.1."
_SCHAC = "urn:oid:1.3.6.1.4.1.25178.1.2."
_INET_ORG_PERSON = "urn:oid:2.16.840.1.113730.3.1."
_X500 = "urn:oid:2.5.4."

_IDENTIFIERS = (
    # ``sub`` is written by the protocol: which of the two it holds is the client's subject_type.
    SchemaAttribute(
        name="subjectId",
        friendly_name="subject-id",
        saml_name=_SUBJECT_ID,
        sensitivity=S2,
        validate=values.subject_id,
        scoped=True,
        identifier=True,
    ),
    SchemaAttribute(
        name="pairwiseId",
        friendly_name="pairwise-id",
        saml_name=_PAIRWISE_ID,
        sensitivity=S1,
        validate=values.subject_id,
        scoped=True,
        identifier=True,
    ),
    SchemaAttribute(
        name="eppn",
        friendly_name="eduPersonPrincipalName",
        saml_name=_EDU_PERSON + "6",
        claims=("eduperson_principal_name", "preferred_username"),
        oidc_scope="profile",
        sensitivity=S2,
        validate=values.eppn,
        scoped=True,
        identifier=True,
    ),
    SchemaAttribute(
        name="uniqueId",
        friendly_name="eduPersonUniqueId",
        saml_name=_EDU_PERSON + "13",
        sensitivity=S2,
        validate=values.subject_id,
        origin=Origin.BROKER,
        scoped=True,
        identifier=True,
    ),
    # What a service knew the person by before a change of the city's login product, for as long as it gets both.
    SchemaAttribute(
        name="previousSubjectId",
        friendly_name="previousSubjectId",
        saml_name="previousSubjectId",
        claims=("{ns}previous_subject_id",),
        sensitivity=S2,
        validate=values.subject_id,
        origin=Origin.BROKER,
        scoped=True,
    ),
    SchemaAttribute(
        name="previousPairwiseId",
        friendly_name="previousPairwiseId",
        saml_name="previousPairwiseId",
        claims=("{ns}previous_pairwise_id",),
        sensitivity=S1,
        validate=values.subject_id,
        origin=Origin.BROKER,
        scoped=True,
    ),
    SchemaAttribute(
        name="employeeNumber",
        friendly_name="employeeNumber",
        saml_name=_INET_ORG_PERSON + "3",
        claims=("employee_number",),
        oidc_scope="employment",
        sensitivity=S2,
        validate=values.employee_number,
    ),
    SchemaAttribute(
        name="personalUniqueCode",
        friendly_name="schacPersonalUniqueCode",
        saml_name=_SCHAC + "14",
        claims=("schac_personal_unique_code",),
        oidc_scope="employment",
        sensitivity=S2,
        validate=values.personal_unique_code,
        multi=True,
    ),
    SchemaAttribute(
        name="nationalId",
        friendly_name="nationalIdentificationNumber",
        saml_name="urn:oid:1.2.246.21",
        claims=("{ns}national_id",),
        sensitivity=S3,
        validate=values.national_id,
    ),
)

_NAME_AND_CONTACT = (
    SchemaAttribute(
        name="givenName",
        friendly_name="givenName",
        saml_name=_X500 + "42",
        claims=("given_name",),
        oidc_scope="profile",
        sensitivity=S2,
        validate=values.short_text,
    ),
    SchemaAttribute(
        name="surname",
        friendly_name="sn",
        saml_name=_X500 + "4",
        claims=("family_name",),
        oidc_scope="profile",
        sensitivity=S2,
        validate=values.short_text,
    ),
    SchemaAttribute(
        name="displayName",
        friendly_name="displayName",
        saml_name=_INET_ORG_PERSON + "241",
        claims=("name",),
        oidc_scope="profile",
        sensitivity=S2,
        validate=values.text,
    ),
    SchemaAttribute(
        name="commonName",
        friendly_name="cn",
        saml_name=_X500 + "3",
        sensitivity=S2,
        validate=values.text,
    ),
    SchemaAttribute(
        name="mail",
        friendly_name="mail",
        saml_name="urn:oid:0.9.2342.19200300.100.1.3",
        claims=("email",),
        oidc_scope="email",
        sensitivity=S2,
        validate=values.mail,
        multi=True,
        first_only=True,
    ),
    SchemaAttribute(
        name="mailVerified",
        friendly_name="mailVerified",
        saml_name=None,
        claims=("email_verified",),
        oidc_scope="email",
        sensitivity=S1,
        validate=values.boolean,
        origin=Origin.BROKER,
    ),
    SchemaAttribute(
        name="mailLocalAddress",
        friendly_name="mailLocalAddress",
        saml_name=_INET_ORG_PERSON + "13",
        sensitivity=S2,
        validate=values.mail,
        multi=True,
    ),
    SchemaAttribute(
        name="phone",
        friendly_name="telephoneNumber",
        saml_name=_X500 + "20",
        claims=("phone_number",),
        oidc_scope="phone",
        sensitivity=S2,
        validate=values.phone,
        multi=True,
        first_only=True,
    ),
    SchemaAttribute(
        name="preferredLanguage",
        friendly_name="preferredLanguage",
        saml_name=_INET_ORG_PERSON + "39",
        claims=("locale",),
        oidc_scope="profile",
        sensitivity=S2,
        validate=values.language,
    ),
)

_HOME_ORGANISATION = (
    SchemaAttribute(
        name="homeOrganization",
        friendly_name="schacHomeOrganization",
        saml_name=_SCHAC + "9",
        claims=("schac_home_organization",),
        oidc_scope="organization",
        sensitivity=S0,
        validate=values.domain,
        origin=Origin.REGISTRY,
    ),
    SchemaAttribute(
        name="homeOrganizationType",
        friendly_name="schacHomeOrganizationType",
        saml_name=_SCHAC + "10",
        sensitivity=S0,
        validate=values.text,
        origin=Origin.REGISTRY,
    ),
    SchemaAttribute(
        name="organizationType",
        friendly_name="organizationType",
        saml_name="organizationType",
        claims=("organization_type",),
        oidc_scope="organization",
        sensitivity=S0,
        validate=values.organization_type,
        origin=Origin.REGISTRY,
    ),
    SchemaAttribute(
        name=ORGANISATION_NAME,
        friendly_name="o",
        saml_name=_X500 + "10",
        claims=("organization_name",),
        oidc_scope="organization",
        sensitivity=S0,
        validate=values.text,
        origin=Origin.REGISTRY,
        multi=True,
        first_only=True,
    ),
    SchemaAttribute(
        name="businessId",
        friendly_name="organizationIdentifier",
        saml_name=_X500 + "97",
        claims=("organization_identifier",),
        oidc_scope="organization",
        sensitivity=S0,
        validate=values.business_id,
        origin=Origin.REGISTRY,
    ),
    SchemaAttribute(
        name="municipalityCode",
        friendly_name="municipalityCode",
        saml_name="municipalityCode",
        claims=("municipality_code",),
        oidc_scope="organization",
        sensitivity=S0,
        validate=values.municipality_code,
        origin=Origin.REGISTRY,
    ),
)

_ROLE_AND_WORK = (
    SchemaAttribute(
        name="affiliation",
        friendly_name="eduPersonScopedAffiliation",
        saml_name=_EDU_PERSON + "9",
        claims=("eduperson_scoped_affiliation",),
        oidc_scope="affiliation",
        sensitivity=S1,
        validate=values.scoped_affiliation,
        multi=True,
        scoped=True,
    ),
    SchemaAttribute(
        name="affiliationUnscoped",
        friendly_name="eduPersonAffiliation",
        saml_name=_EDU_PERSON + "1",
        claims=("eduperson_affiliation",),
        sensitivity=S1,
        validate=values.affiliation,
        multi=True,
    ),
    SchemaAttribute(
        name="externalAffiliation",
        friendly_name="voPersonExternalAffiliation",
        saml_name="externalAffiliation",
        claims=("voperson_external_affiliation",),
        oidc_scope="affiliation",
        sensitivity=S1,
        validate=values.scoped_affiliation,
        multi=True,
        scoped=True,
    ),
    SchemaAttribute(
        name="personType",
        friendly_name="personType",
        saml_name="personType",
        claims=("person_type",),
        oidc_scope="employment",
        sensitivity=S2,
        validate=values.person_type,
        multi=True,
    ),
    SchemaAttribute(
        name="title",
        friendly_name="title",
        saml_name=_X500 + "12",
        claims=("title",),
        oidc_scope="employment",
        sensitivity=S2,
        validate=values.text,
        multi=True,
    ),
    SchemaAttribute(
        name="department",
        friendly_name="ou",
        saml_name=_X500 + "11",
        claims=("department",),
        oidc_scope="employment",
        sensitivity=S2,
        validate=values.text,
        multi=True,
    ),
    SchemaAttribute(
        name="departmentNumber",
        friendly_name="departmentNumber",
        saml_name=_INET_ORG_PERSON + "2",
        claims=("department_number",),
        oidc_scope="employment",
        sensitivity=S2,
        validate=values.unit_code,
        multi=True,
    ),
    SchemaAttribute(
        name="costCentre",
        friendly_name="costCentre",
        saml_name="costCentre",
        claims=("cost_center",),
        oidc_scope="employment",
        sensitivity=S2,
        validate=values.unit_code,
        multi=True,
    ),
    SchemaAttribute(
        name="entitlement",
        friendly_name="eduPersonEntitlement",
        saml_name=_EDU_PERSON + "7",
        claims=("entitlements", "eduperson_entitlement"),
        oidc_scope="entitlements",
        sensitivity=S2,
        validate=values.entitlement,
        multi=True,
        limit=512,
    ),
    SchemaAttribute(
        name="assurance",
        friendly_name="eduPersonAssurance",
        saml_name=_EDU_PERSON + "11",
        claims=("eduperson_assurance",),
        oidc_scope="assurance",
        sensitivity=S1,
        validate=values.assurance,
        multi=True,
    ),
)

ATTRIBUTES: Mapping[str, SchemaAttribute] = MappingProxyType(
    {each.name: each for each in (*_IDENTIFIERS, *_NAME_AND_CONTACT, *_HOME_ORGANISATION, *_ROLE_AND_WORK)}
)
"""Every canonical attribute by its name."""

PREVIOUS = ("previousSubjectId", "previousPairwiseId")
"""There for some people and for some time only. Who registers one of them says that it can follow a change of identifiers."""

MADE_OF: Mapping[str, tuple[frozenset[str], ...]] = MappingProxyType(
    {
        "displayName": (frozenset({"givenName", "surname"}),),
        "mailVerified": (frozenset({"mail"}),),
        "affiliationUnscoped": (frozenset({"affiliation"}), frozenset({"personType"})),
        "affiliation": (frozenset({"affiliationUnscoped"}),),
        "commonName": (frozenset({"displayName"}),),
        "externalAffiliation": (frozenset({"affiliation"}),),
    }
)
"""What is made of other attributes when the home does not send it itself; what is needed for one stands before it, or is sent."""

OIDC_SCOPES = frozenset(each.oidc_scope for each in ATTRIBUTES.values() if each.oidc_scope)


def saml_name(canonical: str, base_url: str) -> tuple[str, str] | None:
    """The Name and FriendlyName of a released attribute; None when SAML services do not get it."""
    attribute = ATTRIBUTES.get(canonical)
    if attribute is None or attribute.saml_name is None:
        return None
    if ":" in attribute.saml_name:
        return attribute.saml_name, attribute.friendly_name
    return base_url + NAMESPACE + attribute.saml_name, attribute.friendly_name


def claims(released: Mapping[str, tuple[str, ...]], scopes: frozenset[str], base_url: str) -> dict[str, object]:
    """A release as OpenID Connect claims (attributes.md 1.2), without ``sub``.

    An attribute whose scope was not requested is left out; several values are always an array, also when there is one.
    """
    found: dict[str, object] = {}
    for name, given in released.items():
        canonical, _, language = name.partition("#")
        attribute = ATTRIBUTES[canonical]
        if not given or (attribute.oidc_scope is not None and attribute.oidc_scope not in scopes):
            continue
        for claim in attribute.claims:
            tagged = f"{claim}#{language}" if language else claim
            found[tagged.replace("{ns}", base_url + NAMESPACE)] = _claim_value(attribute, given)
    return found


def _claim_value(attribute: SchemaAttribute, given: tuple[str, ...]) -> object:
    if attribute.validate is values.boolean:
        return given[0] == "true"
    return list(given) if attribute.multi and not attribute.first_only else given[0]
