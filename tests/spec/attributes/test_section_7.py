"""attributes.md 7, sentence by sentence, from a city's answer to what a service gets; promise P3.

Every preset's recorded sample is in ``tests/unit/attributes/test_dialects.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.attributes.identifiers import Subjects
from broker.attributes.mapping import map_attributes
from broker.attributes.release import release
from broker.attributes.scope import hold_to_scopes, home_organisation
from broker.attributes.subject import subject_key
from broker.attributes.trace import TraceStep, Verdict
from broker.errors import ForeignScope, RequirementNotMet
from broker.federation import access
from broker.federation.model import (
    AttributeRule,
    Federation,
    IdentityProvider,
    IdentityProviderId,
    OidcClient,
    OidcProvider,
    Organisation,
    OrganisationId,
    Protocol,
    RegisteredAttribute,
    Requirements,
    Service,
    ServiceId,
    Status,
    SubjectRule,
)
from broker.keys import keyring
from broker.keys.keyring import ROLLING, SubjectKeys
from broker.login.identity import Identity, VerifiedAssertion
from broker.login.steps import Release

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEYS = SubjectKeys(subject=b"s" * 32, pairwise=b"p" * 32)
Sent = Mapping[str, tuple[str, ...]]

PORI = Organisation(id=OrganisationId("pori"), name={"fi": "Porin kaupunki"}, scopes=("pori.fi",))
ULVILA = Organisation(id=OrganisationId("ulvila"), name={"fi": "Ulvilan kaupunki"}, scopes=("ulvila.fi",))
FEDERATION = Federation(
    revision=1, organisations={PORI.id: PORI, ULVILA.id: ULVILA}, identity_providers={}, services={}, agreements={}
)
NUMBER = SubjectRule(keyspace="pori-hr", source="employeeNumber")
ADFS = IdentityProvider(
    id=IdentityProviderId("pori-adfs"),
    protocol=Protocol.SAML,
    organisations=(PORI.id,),
    dialect="adfs",
    subject=NUMBER,
    attributes=(AttributeRule(attribute="employeeNumber", sources=("http://schemas.pori.example/employeeid",)),),
)
ENTRA = IdentityProvider(
    id=IdentityProviderId("pori-entra"),
    protocol=Protocol.OIDC,
    organisations=(PORI.id,),
    dialect="entra-oidc",
    subject=NUMBER,
    attributes=(AttributeRule(attribute="employeeNumber", sources=("employeeid",)),),
    oidc=OidcProvider(issuer="https://login.example/9c1d0000-0000-4000-8000-00000000beef/v2.0", client_id="broker"),
)
WIKI = Service(
    id=ServiceId("wiki"),
    protocol=Protocol.OIDC,
    owner=PORI.id,
    name={"en": "Wiki"},
    attributes=tuple(
        RegisteredAttribute(name=name, purpose={"en": "x"}) for name in ("subjectId", "mail", "displayName")
    ),
    status=Status.PRODUCTION,
    client=OidcClient(client_id="wiki"),
)
EPPN = "urn:oid:1.3.6.1.4.1.5923.1.1.1.6"
CLAIM = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"


def person(idp: IdentityProvider, sent: Sent, subject: str = "s") -> tuple[Identity, list[TraceStep]]:
    """Who this is, as ``login/decide.py`` finds it out. Raises: ForeignScope."""
    trace: list[TraceStep] = []
    assertion = VerifiedAssertion(idp=idp.id, subject=subject, attributes=sent)
    mapped = map_attributes(assertion, idp, trace)
    organisation = FEDERATION.organisations[home_organisation(assertion, mapped, idp, FEDERATION, trace)]
    held = hold_to_scopes(mapped, organisation, trace)
    keyspace, key = subject_key(assertion, held, idp)
    identity = Identity(
        organisation=organisation.id, idp=idp.id, keyspace=keyspace, key=key, attributes=held, authn_instant=NOW
    )
    return identity, trace


def told(idp: IdentityProvider, sent: Sent, subject: str = "s", keys: SubjectKeys = KEYS) -> Release:
    """What the service gets."""
    identity, trace = person(idp, sent, subject)
    home = FEDERATION.organisations[identity.organisation]
    return release(identity, WIKI, home, Subjects(keys=keys), NOW.date(), trace)


def identifiers(idp: IdentityProvider, sent: Sent, subject: str = "s") -> tuple[str, str]:
    released = told(idp, sent, subject)
    return released.subject_id, released.pairwise_id


# --- Scope: ``a@PORI.FI`` accepted for Pori, … refused; Ulvila asserting ``@pori.fi`` refused ----------------------------


def of(organisation: OrganisationId) -> IdentityProvider:
    return replace(ENTRA, organisations=(organisation,), dialect="eduperson-oid", subject=SubjectRule(keyspace="k"))


def test_7_a_scope_in_capitals_is_accepted_for_its_owner() -> None:
    identity, _ = person(of(PORI.id), {EPPN: ("a@PORI.FI",)})

    assert identity.attributes["eppn"] == ("a@pori.fi",)


@pytest.mark.parametrize(
    "name", [EPPN, "urn:oasis:names:tc:SAML:attribute:subject-id", "urn:oasis:names:tc:SAML:attribute:pairwise-id"]
)
@pytest.mark.parametrize("value", ["a@evil.pori.fi", "a@pori.fi.evil", "a@pori.fi@ulvila.fi", "a@\u0440ori.fi"])
def test_7_a_scope_that_only_looks_like_it_is_refused(value: str, name: str) -> None:
    with pytest.raises(ForeignScope):
        person(of(PORI.id), {name: (value,)})


def test_7_ulvila_asserting_pori_s_scope_is_refused() -> None:
    with pytest.raises(ForeignScope) as refusal:
        person(of(ULVILA.id), {EPPN: ("a@pori.fi",)})

    assert refusal.value.context["organisation"] == "ulvila"


# --- Identifier stays the same across key rollover of signing keys, mail change, name change, SAML↔OIDC ------------------

AT_ADFS: Sent = {
    "http://schemas.pori.example/employeeid": ("10417",),
    f"{CLAIM}emailaddress": ("aino.virta@pori.fi",),
    f"{CLAIM}givenname": ("Aino",),
    f"{CLAIM}surname": ("Virta",),
}
AT_ENTRA: Sent = {
    "employeeid": ("10417",),
    "email": ("aino.virta@pori.fi",),
    "xms_edov": ("true",),
    "name": ("Aino Virta",),
}


def test_7_the_identifier_outlives_a_rollover_of_every_key_that_rolls(tmp_path: Path) -> None:
    keyring.create(tmp_path, common_name="broker.example", now=NOW)
    before = told(ADFS, AT_ADFS, keys=keyring.load(tmp_path).subject)

    for use in ROLLING:
        keyring.create_next(tmp_path, use, common_name="broker.example", now=NOW)
        keyring.rotate(tmp_path, use)

    after = told(ADFS, AT_ADFS, keys=keyring.load(tmp_path).subject)
    assert (after.subject_id, after.pairwise_id) == (before.subject_id, before.pairwise_id)


@pytest.mark.parametrize(
    ("changed", "attribute"),
    [
        pytest.param({f"{CLAIM}emailaddress": ("aino.salo@pori.fi",)}, "mail", id="mail"),
        pytest.param({f"{CLAIM}surname": ("Salo",)}, "displayName", id="name"),
    ],
)
def test_7_the_identifier_outlives_a_change_of_mail_and_of_name(changed: Sent, attribute: str) -> None:
    before, after = told(ADFS, AT_ADFS), told(ADFS, {**AT_ADFS, **changed})

    assert before.attributes[attribute] != after.attributes[attribute]
    assert (after.subject_id, after.pairwise_id) == (before.subject_id, before.pairwise_id)


def test_7_the_identifier_outlives_the_way_from_saml_to_oidc_and_back() -> None:
    by_saml, by_oidc = identifiers(ADFS, AT_ADFS, "old NameID"), identifiers(ENTRA, AT_ENTRA, "tid/oid")

    assert by_saml == by_oidc == identifiers(ADFS, AT_ADFS, "another NameID")


# --- Two upstreams of one home organisation yield one subjectId only when they declare the same keyspace -----------------


@pytest.mark.parametrize(("keyspace", "same"), [("pori-hr", True), ("pori-schools", False), ("PORI-HR", False)])
def test_7_two_upstreams_yield_one_identifier_only_in_one_keyspace(keyspace: str, same: bool) -> None:
    other = replace(ENTRA, subject=SubjectRule(keyspace=keyspace, source="employeeNumber"))

    assert (told(ADFS, AT_ADFS).subject_id == told(other, AT_ENTRA).subject_id) is same
    assert (told(ADFS, AT_ADFS).pairwise_id == told(other, AT_ENTRA).pairwise_id) is same


# --- Overage never equals "no groups" ------------------------------------------------------------------------------------

GROUPS = AttributeRule(attribute="entitlement", sources=("groups",), table={"g1": "https://wiki.example/editor"})


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({"hasgroups": ("true",)}, "is unknown: the home could not say"),
        ({"_claim_names.groups": ("src1",)}, "is unknown: the home could not say"),
        ({}, "is not there"),
    ],
)
def test_7_overage_is_not_no_groups_and_both_are_kept_out(sent: Sent, why: str) -> None:
    idp = replace(ENTRA, attributes=(*ENTRA.attributes, GROUPS))
    identity, trace = person(idp, {**AT_ENTRA, **sent})
    needs = Requirements(attributes={"entitlement": frozenset({"https://wiki.example/editor"})})

    with pytest.raises(RequirementNotMet) as refusal:
        access.admit(identity, replace(WIKI, require=needs), FEDERATION, NOW, trace)

    assert refusal.value.detail == f"entitlement {why}"


# --- Unknown attributes are dropped and counted by name, values unlogged --------------------------------------------------


def test_7_unknown_attributes_are_dropped_and_counted_by_name_without_their_values() -> None:
    identity, trace = person(ENTRA, {**AT_ENTRA, "shoe_size": ("forty-one", "forty-two")})

    assert "forty" not in repr(identity.attributes)
    (step,) = [each for each in trace if each.subject == "shoe_size"]
    assert (step.verdict, step.note) == (Verdict.NOT_MAPPED, "2 values: no rule names it")
    assert "forty" not in repr(trace)
