"""attributes.md 1.1, 1.2, 2 and 6: the names and shapes in which attributes leave."""

from __future__ import annotations

import pytest
from saml2.attributemaps import saml_uri

from broker.attributes.schema import ATTRIBUTES, OIDC_SCOPES, Origin, Sensitivity, claims, saml_name

BASE = "https://broker.example"
ALL_SCOPES = frozenset(OIDC_SCOPES)


@pytest.mark.parametrize(
    ("canonical", "name", "friendly_name"),
    [
        ("subjectId", "urn:oasis:names:tc:SAML:attribute:subject-id", "subject-id"),
        ("pairwiseId", "urn:oasis:names:tc:SAML:attribute:pairwise-id", "pairwise-id"),
        ("eppn", "urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "eduPersonPrincipalName"),
        ("mail", "urn:oid:0.9.2342.19200300.100.1.3", "mail"),
        ("businessId", "urn:oid:2.5.4.97", "organizationIdentifier"),
        ("personType", "https://broker.example/ns/attr/personType", "personType"),
        ("municipalityCode", "https://broker.example/ns/attr/municipalityCode", "municipalityCode"),
    ],
)
def test_1_1_the_saml_name_of_an_attribute(canonical: str, name: str, friendly_name: str) -> None:
    assert saml_name(canonical, BASE) == (name, friendly_name)


@pytest.mark.parametrize("canonical", ["mailVerified", "organizationName#sv", "noSuchAttribute"])
def test_what_saml_services_do_not_get_has_no_name(canonical: str) -> None:
    assert saml_name(canonical, BASE) is None


def test_1_1_names_are_those_of_an_independent_attribute_map() -> None:
    compared = 0

    for attribute in ATTRIBUTES.values():
        known = saml_uri.MAP["fro"].get(attribute.saml_name)
        if known is not None:
            assert known.lower() == attribute.friendly_name.lower()
            compared += 1

    assert compared > 15


def test_1_1_no_two_attributes_share_a_name_or_a_claim() -> None:
    names = [attribute.saml_name for attribute in ATTRIBUTES.values() if attribute.saml_name]
    all_claims = [claim for attribute in ATTRIBUTES.values() for claim in attribute.claims]

    assert len(names) == len(set(names))
    assert len(all_claims) == len(set(all_claims))


def test_1_2_several_values_are_an_array_also_when_there_is_one() -> None:
    released = {"affiliation": ("employee@porvoo.fi",), "entitlement": ("urn:x:y",)}

    assert claims(released, ALL_SCOPES, BASE) == {
        "eduperson_scoped_affiliation": ["employee@porvoo.fi"],
        "entitlements": ["urn:x:y"],
        "eduperson_entitlement": ["urn:x:y"],
    }


def test_1_2_an_unknown_or_empty_attribute_makes_no_claim() -> None:
    assert claims({"title": ()}, ALL_SCOPES, BASE) == {}


def test_2_only_what_a_requested_scope_asks_for_is_given() -> None:
    released = {"mail": ("a@pori.fi",), "displayName": ("Aino",), "affiliationUnscoped": ("employee",)}

    assert claims(released, frozenset({"openid", "email"}), BASE) == {
        "email": "a@pori.fi",
        "eduperson_affiliation": ["employee"],
    }


@pytest.mark.parametrize(("value", "claim"), [("true", True), ("false", False)])
def test_2_2_mail_verified_is_a_boolean(value: str, claim: bool) -> None:
    assert claims({"mailVerified": (value,)}, ALL_SCOPES, BASE) == {"email_verified": claim}


def test_2_the_first_address_and_number_are_the_claims() -> None:
    released = {"mail": ("a@pori.fi", "b@pori.fi"), "phone": ("+3581", "+3582")}

    assert claims(released, ALL_SCOPES, BASE) == {"email": "a@pori.fi", "phone_number": "+3581"}


def test_the_subject_is_written_by_the_protocol_not_as_an_attribute() -> None:
    assert claims({"subjectId": ("a@pori.fi",), "pairwiseId": ("b@pori.fi",)}, ALL_SCOPES, BASE) == {}


def test_6_the_worked_example() -> None:
    released = {
        "displayName": ("Aino Lindqvist",),
        "givenName": ("Aino",),
        "surname": ("Lindqvist",),
        "mail": ("aino.lindqvist@porvoo.fi",),
        "mailVerified": ("true",),
        "preferredLanguage": ("sv",),
        "homeOrganization": ("porvoo.fi",),
        "organizationName": ("Porvoon kaupunki", "Borgå stad"),
        "organizationName#sv": ("Borgå stad",),
        "municipalityCode": ("638",),
        "affiliation": ("employee@porvoo.fi", "member@porvoo.fi"),
        "assurance": ("https://refeds.org/assurance", "https://refeds.org/assurance/ID/unique"),
    }

    assert claims(released, ALL_SCOPES, BASE) == {
        "name": "Aino Lindqvist",
        "given_name": "Aino",
        "family_name": "Lindqvist",
        "email": "aino.lindqvist@porvoo.fi",
        "email_verified": True,
        "locale": "sv",
        "schac_home_organization": "porvoo.fi",
        "organization_name": "Porvoon kaupunki",
        "organization_name#sv": "Borgå stad",
        "municipality_code": "638",
        "eduperson_scoped_affiliation": ["employee@porvoo.fi", "member@porvoo.fi"],
        "eduperson_assurance": ["https://refeds.org/assurance", "https://refeds.org/assurance/ID/unique"],
    }


def test_1_8_only_the_national_id_is_restricted_and_only_facts_of_the_organisation_are_open() -> None:
    assert [name for name, each in ATTRIBUTES.items() if each.sensitivity is Sensitivity.S3] == ["nationalId"]
    assert {name for name, each in ATTRIBUTES.items() if each.sensitivity is Sensitivity.S0} == {
        name for name, each in ATTRIBUTES.items() if each.origin is Origin.REGISTRY
    }
