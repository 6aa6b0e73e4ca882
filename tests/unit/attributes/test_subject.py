"""attributes.md 1.7, 2.1 and 7: identifiers that survive a change of mail, name and login product."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b32encode
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.attributes import values
from broker.attributes.subject import Subject, pairwise_id, subject_id, subject_key
from broker.errors import SubjectMissing
from broker.federation.model import IdentityProviderId, OidcClient, Organisation, OrganisationId, Protocol, SubjectRule
from broker.keys.keyring import SubjectKeys

KEYS = SubjectKeys(subject=b"s" * 32, pairwise=b"p" * 32)


def of(organisation: Organisation, keyspace: str, key: str) -> Subject:
    return Subject(organisation=organisation.id, keyspace=keyspace, key=key, scope=organisation.scopes[0])


def test_2_1_subject_id_is_the_published_formula(pori: Organisation) -> None:
    message = b"pori\x00pori-hr\x0010417"
    digest = hmac.new(KEYS.subject, message, hashlib.sha256).digest()
    expected = b32encode(digest).decode().rstrip("=").lower() + "@pori.fi"

    made = subject_id(KEYS, of(pori, "pori-hr", "10417"))

    assert made == expected
    assert len(made.partition("@")[0]) == 52
    assert values.subject_id(made) == made


def test_2_1_pairwise_id_is_the_published_formula(pori: Organisation, a_service: Any) -> None:
    message = b"pori\x00pori-hr\x0010417\x00rooms"
    digest = hmac.new(KEYS.pairwise, message, hashlib.sha256).digest()

    made = pairwise_id(KEYS, of(pori, "pori-hr", "10417"), a_service())

    assert made == b32encode(digest).decode().rstrip("=").lower() + "@pori.fi"


def test_p4_no_two_services_get_the_same_pairwise_id(pori: Organisation, a_service: Any) -> None:
    one, other = a_service(client_id="one"), a_service(client_id="other")

    assert pairwise_id(KEYS, of(pori, "k", "1"), one) != pairwise_id(KEYS, of(pori, "k", "1"), other)


def test_services_of_one_sector_share_the_pairwise_id(pori: Organisation, a_service: Any) -> None:
    def in_sector(client_id: str) -> Any:
        return a_service(client=OidcClient(client_id=client_id, sector_identifier_uri="https://sector.example/uris"))

    assert pairwise_id(KEYS, of(pori, "k", "1"), in_sector("a")) == pairwise_id(
        KEYS, of(pori, "k", "1"), in_sector("b")
    )


def test_7_the_identifier_outlives_mail_name_and_login_product(
    pori: Organisation, an_idp: Any, an_assertion: Any
) -> None:
    rule = SubjectRule(keyspace="pori-hr", source="employeeNumber")
    adfs = an_idp("adfs", subject=rule, protocol=Protocol.SAML)
    entra = an_idp("entra-oidc", id=IdentityProviderId("new"), subject=rule)

    before = subject_key(an_assertion(subject="old"), {"employeeNumber": ("1",), "mail": ("a@pori.fi",)}, adfs)
    after = subject_key(an_assertion(subject="new"), {"employeeNumber": ("1",), "mail": ("b@pori.fi",)}, entra)

    assert before == after
    assert subject_id(KEYS, of(pori, *before)) == subject_id(KEYS, of(pori, *after))


def test_7_two_upstreams_share_identifiers_only_in_one_keyspace(
    pori: Organisation, an_idp: Any, an_assertion: Any
) -> None:
    one = subject_key(an_assertion(), {}, an_idp(subject=SubjectRule(keyspace="a")))
    other = subject_key(an_assertion(), {}, an_idp(subject=SubjectRule(keyspace="b")))

    assert subject_id(KEYS, of(pori, *one)) != subject_id(KEYS, of(pori, *other))


def test_two_organisations_never_share_an_identifier(pori: Organisation) -> None:
    twin = replace(pori, id=OrganisationId("twin"))

    assert subject_id(KEYS, of(pori, "k", "1")) != subject_id(KEYS, of(twin, "k", "1"))


def test_the_key_is_the_subject_by_default(an_idp: Any, an_assertion: Any) -> None:
    assert subject_key(an_assertion(subject="tid/oid"), {}, an_idp()) == ("idp", "tid/oid")


def test_the_key_may_be_a_source_attribute(an_idp: Any, an_assertion: Any) -> None:
    idp = an_idp(subject=SubjectRule(keyspace="hr", source="personId"))

    assert subject_key(an_assertion({"PERSONID": ("77",)}), {}, idp) == ("hr", "77")


@pytest.mark.parametrize(
    ("subject", "source", "attributes", "mapped"),
    [
        pytest.param(None, None, {}, {}, id="only_a_transient_name_id"),
        pytest.param("", None, {}, {}, id="empty"),
        pytest.param("a\x00b", None, {}, {}, id="holds_the_separator"),
        pytest.param("a\nb", None, {}, {}, id="control_character"),
        pytest.param("a" * 1025, None, {}, {}, id="too_long"),
        pytest.param("x", "employeeNumber", {}, {}, id="attribute_not_sent"),
        pytest.param("x", "employeeNumber", {"employeeNumber": ("1",)}, {}, id="attribute_not_valid"),
        pytest.param("x", "personId", {"personId": ("1", "2")}, {}, id="two_values"),
        pytest.param("x", "employeeNumber", {}, {"employeeNumber": ()}, id="unknown"),
    ],
)
def test_without_one_stable_key_nobody_is_let_in(
    subject: str | None, source: str | None, attributes: Any, mapped: Any, an_idp: Any, an_assertion: Any
) -> None:
    idp = an_idp(subject=SubjectRule(keyspace="k", source=source))

    with pytest.raises(SubjectMissing) as refusal:
        subject_key(an_assertion(attributes, subject=subject), mapped, idp)

    assert refusal.value.context["identity_provider"] == "idp"


KEY = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=40)


@given(first=st.tuples(KEY, KEY), second=st.tuples(KEY, KEY))
def test_the_same_person_always_and_no_other_gets_the_same_identifier(
    first: tuple[str, str], second: tuple[str, str]
) -> None:
    pori = Organisation(id=OrganisationId("pori"), name={"fi": "Pori"}, scopes=("pori.fi",))
    one, other = subject_id(KEYS, of(pori, *first)), subject_id(KEYS, of(pori, *second))

    assert (one == other) == (first == second)
