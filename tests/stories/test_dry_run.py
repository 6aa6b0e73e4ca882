"""``broker explain`` of a login that has not happened: a sample of a city's answer in, and exactly what would leave out."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.bench import saml
from tests.bench.parties import OIDC_CITY, SAML_CITY, User
from tests.stories.office import Office

SAML_SERVICE, OIDC_SERVICE = "bench-saml-service", "bench-oidc-service"
CLAIMS: dict[str, object] = {
    "iss": "https://elsewhere.example",
    "sub": "subject-1",
    "tid": "tenant",
    "oid": "object-1",
    "name": "Aino Ääkkönen",
    "email": f"aino@{OIDC_CITY}.fi",
    "xms_edov": True,
    "preferred_username": f"aino@{OIDC_CITY}.fi",
    "employeeid": "17",
    "amr": ["pwd"],
}


@pytest.fixture
def here(office: Office) -> Office:
    office.begin_with_documents()
    return office


def saml_sample(office: Office, *, scope: str = f"{SAML_CITY}.fi", alone: bool = False) -> Path:
    """A Response as the bench's city makes it; or the assertion in it."""
    # What a city would check of the broker's request is of no concern here.
    keys: dict[str, Any] = {"key": None, "xml_key": None}
    peer = saml.Peer(entity_id=f"{office.base}/saml/sp/metadata", address=f"{office.base}/saml/sp/acs", **keys)
    received = saml.Received(id="_1", relay_state="")
    form = saml.response(office.ground.parties, peer, received, User(number=1, scope=scope), datetime.now(UTC))
    octets = b64decode(form["SAMLResponse"])
    if alone:
        octets = etree.tostring(etree.fromstring(octets).find(f"{{{saml.SAML}}}Assertion"))
    path = office.folder / "sample.xml"
    path.write_bytes(octets)
    return path


def claims_sample(office: Office, **changes: object) -> Path:
    path = office.folder / "token.json"
    path.write_text(json.dumps({**CLAIMS, **changes}), "utf-8")
    return path


def explained(office: Office, organisation: str, service: str, sample: Path, *more: str, status: int = 0) -> Any:
    words = ("--organisation", organisation, "--service", service, "--assertion", sample)
    return office.json("explain", *words, *more, status=status)


@pytest.mark.parametrize("alone", [False, True], ids=["response", "assertion"])
def test_a_saml_sample_ends_in_the_assertion_that_would_leave(here: Office, alone: bool) -> None:
    found = explained(here, SAML_CITY, SAML_SERVICE, saml_sample(here, alone=alone))

    assert found["what"] == "would be answered"
    assert found["identity_provider"].startswith(SAML_CITY)
    assertion = etree.fromstring(found["document"])
    assert assertion.tag == f"{{{saml.SAML}}}Assertion"
    assert assertion.findtext(f"{{{saml.SAML}}}Issuer") == f"{here.base}/saml/idp/metadata"
    names = [each.get("FriendlyName") for each in assertion.iter(f"{{{saml.SAML}}}Attribute")]
    assert names
    assert "mail" in names
    stages = {step["stage"] for step in found["trace"]}
    assert {"map", "scope", "access", "release"} <= stages


def test_claims_end_in_the_id_token_and_userinfo_that_would_leave(here: Office) -> None:
    found = explained(here, OIDC_CITY, OIDC_SERVICE, claims_sample(here))

    told = json.loads(found["document"])
    assert told["id_token"]["iss"] == here.base
    assert told["id_token"]["aud"] == "bench-service"
    assert told["id_token"]["sub"] == told["userinfo"]["sub"]
    assert told["userinfo"]["email"] == CLAIMS["email"]


def test_the_same_person_has_the_same_identifier_as_in_a_login(here: Office) -> None:
    first = explained(here, OIDC_CITY, OIDC_SERVICE, claims_sample(here))
    again = explained(here, OIDC_CITY, OIDC_SERVICE, claims_sample(here, name="Aino Uusinimi"))
    one, other = (json.loads(each["document"])["userinfo"]["sub"] for each in (first, again))
    assert one == other


def test_a_refusal_is_the_answer_no_with_its_reason_and_steps(here: Office) -> None:
    found = explained(here, SAML_CITY, SAML_SERVICE, saml_sample(here, scope="elsewhere.fi"), status=1)

    assert (found["what"], found["reason"], found["document"]) == ("would be refused", "foreign_scope", "")
    assert any(step["verdict"] == "failed" for step in found["trace"])


def test_an_organisation_without_an_agreement_is_refused_by_the_rule(here: Office) -> None:
    found = explained(here, "outsider", OIDC_SERVICE, saml_sample(here, scope="outsider.fi"), status=1)
    assert found["reason"] == "no_agreement"


def test_changed_documents_are_tried_before_they_are_applied(here: Office) -> None:
    bench = here.documents / "bench.yaml"
    text = bench.read_text("utf-8")
    assert f"owner: {SAML_CITY}" in text
    bench.write_text(text.replace("status: production", "status: retired"), "utf-8")

    sample = claims_sample(here)
    now = explained(here, OIDC_CITY, OIDC_SERVICE, sample)
    changed = explained(here, OIDC_CITY, OIDC_SERVICE, sample, "--with", str(here.documents), status=1)

    assert (now["what"], changed["reason"]) == ("would be answered", "service_status")


def test_people_read_facts_steps_and_the_document(here: Office) -> None:
    words = ("--organisation", OIDC_CITY, "--service", OIDC_SERVICE, "--assertion", claims_sample(here))
    text = here.run("explain", *words).stdout
    assert "would be answered" in text
    assert "own_service_or_agreement_in_force" in text
    assert '"userinfo": {' in text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"organisation": "nobody"}, "there is no organisation nobody; the organisations are"),
        ({"service": "nothing"}, "there is no service nothing; the services are"),
        ({"identity_provider": "other"}, "has no identity provider other; it has"),
        ({"text": "no json"}, "neither a JSON object of claims nor an ID token"),
        ({"text": '{"name": "without sub"}'}, "sub is missing"),
        ({"text": '{"sub": "x", "amr": "pwd"}'}, "amr is not a list"),
    ],
)
def test_what_cannot_be_tried_is_told(here: Office, changes: dict[str, str], told: str) -> None:
    sample = claims_sample(here)
    if "text" in changes:
        sample.write_text(changes["text"], "utf-8")
    words = [
        *("--organisation", changes.get("organisation", OIDC_CITY)),
        *("--service", changes.get("service", OIDC_SERVICE)),
        *("--assertion", sample),
        *("--identity-provider", changes.get("identity_provider", "")),
    ]
    assert told in " ".join(here.run("explain", *words, status=1).stderr.split())


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (b"<", "not XML"),
        (b"<!DOCTYPE a><a/>", "DOCTYPE"),
        (b"<a/>", "there is no Assertion"),
        (
            b'<r xmlns:s="urn:oasis:names:tc:SAML:2.0:assertion"><s:EncryptedAssertion/></r>',
            "the assertion is encrypted",
        ),
    ],
)
def test_a_saml_sample_that_cannot_be_read(here: Office, octets: bytes, told: str) -> None:
    sample = here.folder / "sample.xml"
    sample.write_bytes(octets)
    words = ("--organisation", SAML_CITY, "--service", SAML_SERVICE, "--assertion", sample)
    assert told in " ".join(here.run("explain", *words, status=1).stderr.split())


@pytest.mark.parametrize(
    "words", [("--organisation", "pori"), ("K7M2-9QXA", "--service", "x"), ("--service", "x", "--assertion", "y")]
)
def test_half_a_question_is_used_wrongly(here: Office, words: tuple[str, ...]) -> None:
    here.run("explain", *words, status=2)


def test_nothing_is_recorded(here: Office) -> None:
    before = here.json("audit", "verify")
    explained(here, OIDC_CITY, OIDC_SERVICE, claims_sample(here))
    assert here.json("audit", "verify") == before
