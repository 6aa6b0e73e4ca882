"""The broker's two EntityDescriptors (saml-metadata 2)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from signxml import XMLVerifier

from broker.attributes.release import BUNDLES
from broker.attributes.schema import saml_name
from broker.federation.model import (
    Contact,
    Federation,
    Organisation,
    OrganisationId,
    Protocol,
    RegisteredAttribute,
    Requirements,
    Service,
    ServiceId,
    Status,
)
from broker.keys import keyring
from broker.keys.keyring import KeyRing, KeyUse
from broker.saml import names
from broker.saml.about import About, Logo
from broker.saml.descriptor import Document
from broker.saml.idp.edge import SamlIdentityProvider
from broker.saml.metadata import read_facts, read_idp, read_sp
from broker.saml.sp.edge import SamlServiceProvider
from broker.saml.xml import schema
from broker.state.grants import GrantRecords
from broker.state.memory import MemoryStore

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
BASE = "https://broker.example"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
NS = {
    "md": names.MD,
    "mdui": names.MDUI,
    "alg": names.ALG,
    "mdattr": names.MDATTR,
    "shibmd": names.SHIBMD,
    "saml": names.SAML,
    "ds": names.DS,
}
BARE = About(base_url=BASE, name="Kuntasilta & co")
FULL = About(
    base_url=BASE,
    name="Kuntasilta & co",
    description={"fi": "Yhdistää kirjautumisen", "sv": "Förenar inloggningen", "en": "Joins the logins"},
    information_url="https://silta.example/{language}/",
    privacy_statement_url="https://silta.example/privacy",
    logo=Logo(url=f"{BASE}/static/mark.svg", width=80, height=80),
    operator="pori",
)
PORI = Organisation(
    id=OrganisationId("pori"),
    name={"fi": "Porin kaupunki", "sv": "Björneborgs stad", "en": "City of Pori"},
    scopes=("pori.fi", "edu.pori.fi"),
    contacts=(
        Contact(role="technical", name="Ylläpito", email="yllapito@pori.example"),
        Contact(role="security", name="CERT", email="cert@pori.example", phone="+358 2 000 0001"),
        Contact(role="helpdesk", name="ICT-palvelupiste", phone="+358 2 000 0000"),
        Contact(role="coordinator", name="Koordinaattori", email="koordinaattori@pori.example"),
        Contact(role="privacy", name="Tietosuojavastaava", email="tietosuoja@pori.example"),
        Contact(role="operations", name="Päivystys"),
    ),
)
ULVILA = Organisation(id=OrganisationId("ulvila"), name={"fi": "Ulvilan kaupunki"}, scopes=("ulvila.fi",))


def a_service(id: str, *attributes: str, status: Status = Status.PRODUCTION, **more: Any) -> Service:
    registered = tuple(RegisteredAttribute(name=name, purpose={"en": "For testing"}) for name in attributes)
    return Service(
        id=ServiceId(id),
        protocol=Protocol.OIDC,
        owner=PORI.id,
        name={"en": id},
        attributes=registered,
        status=status,
        **more,
    )


def a_federation(*services: Service) -> Federation:
    return Federation(
        revision=1,
        organisations={PORI.id: PORI, ULVILA.id: ULVILA},
        identity_providers={},
        services={each.id: each for each in services},
        agreements={},
    )


FEDERATION = a_federation(a_service("wiki", "mail", "displayName"))


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def idp_edge(keys: KeyRing, about: About, clock: Clock) -> SamlIdentityProvider:
    return SamlIdentityProvider(
        base_url=BASE,
        keys=keys,
        clock=clock,
        clock_skew=timedelta(0),
        saml_names=lambda _: None,
        grants=GrantRecords(MemoryStore()),
        fetcher=None,  # type: ignore[arg-type]  # metadata needs none
        about=about,
    )


def sp_edge(keys: KeyRing, about: About, clock: Clock) -> SamlServiceProvider:
    return SamlServiceProvider(
        base_url=BASE,
        keys=keys,
        clock=clock,
        clock_skew=timedelta(0),
        replay=None,  # type: ignore[arg-type]  # metadata needs none
        fetcher=None,  # type: ignore[arg-type]  # nor this
        saml_names=lambda name: saml_name(name, BASE),
        about=about,
    )


def idp(keys: KeyRing, about: About = FULL, federation: Federation = FEDERATION) -> bytes:
    return idp_edge(keys, about, Clock()).metadata(federation).body


def sp(keys: KeyRing, about: About = FULL, federation: Federation = FEDERATION) -> bytes:
    return sp_edge(keys, about, Clock()).metadata(federation).body


Write = Callable[..., bytes]
both = pytest.mark.parametrize("write", [idp, sp])


def texts(octets: bytes, path: str) -> dict[str | None, str | None]:
    return {each.get(LANG): each.text for each in etree.fromstring(octets).iterfind(path, NS)}


# --- the whole --------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("about", [FULL, BARE])
def test_metadata_2_both_are_valid_by_the_schemas(keys: KeyRing, write: Write, about: About) -> None:
    schemas = schema(
        {
            names.MD: "saml-schema-metadata-2.0.xsd",
            names.MDUI: "sstc-saml-metadata-ui-v1.0.xsd",
            names.ALG: "sstc-saml-metadata-algsupport-v1.0.xsd",
            names.MDATTR: "sstc-metadata-attr.xsd",
        }
    )
    schemas.assertValid(etree.fromstring(write(keys, about)))
    schemas.assertValid(etree.fromstring(write(keys, about, a_federation())))


@both
def test_metadata_3_signed_by_the_metadata_key(keys: KeyRing, write: Write) -> None:
    certificate = keys.active(KeyUse.METADATA_SIGNING).certificate
    assert certificate
    found = XMLVerifier().verify(write(keys), x509_cert=certificate.decode(), id_attribute="ID").signed_xml
    assert found.get("validUntil") == "2027-01-15T00:00:00Z"
    assert found.get("cacheDuration") == "P1D"


@both
def test_exc_c14n_it_is_written_in_canonical_form_also_with_attributes_of_other_namespaces(
    keys: KeyRing, write: Write
) -> None:
    body = write(keys).removeprefix(b'<?xml version="1.0" encoding="UTF-8"?>\n')
    assert b"remd:contactType" in body
    canonical = BytesIO()
    etree.fromstring(body).getroottree().write_c14n(canonical, exclusive=True, with_comments=False)
    assert canonical.getvalue() == body


# --- published: the same octets from every worker, anew when something changes -----------------------------------------


@pytest.mark.parametrize("make", [idp_edge, sp_edge])
def test_P6_every_worker_publishes_the_same_octets(keys: KeyRing, make: Any) -> None:
    first, second = (make(keys, FULL, Clock()).metadata(FEDERATION) for _ in range(2))
    assert first == second
    assert first.etag


@pytest.mark.parametrize("make", [idp_edge, sp_edge])
def test_it_is_made_once_for_a_revision_and_a_day(keys: KeyRing, make: Any) -> None:
    clock = Clock()
    edge = make(keys, FULL, clock)
    first: Document = edge.metadata(FEDERATION)
    clock.now += timedelta(hours=11)
    assert edge.metadata(FEDERATION) is first

    clock.now += timedelta(hours=1)
    tomorrow: Document = edge.metadata(FEDERATION)
    assert b'validUntil="2027-01-16T00:00:00Z"' in tomorrow.body
    assert tomorrow.etag != first.etag

    changed = a_federation(a_service("wiki", "mail", "givenName"))
    assert edge.metadata(changed) is not tomorrow
    assert edge.metadata(changed) is edge.metadata(changed)


# --- the two roles ----------------------------------------------------------------------------------------------------


def test_metadata_2_4_3_the_identity_provider(keys: KeyRing) -> None:
    found = read_idp(idp(keys))
    assert found.entity_id == read_facts(idp(keys), "idp").entity_id == f"{BASE}/saml/idp/metadata"
    assert {(each.binding.rpartition(":")[2], each.location) for each in found.single_sign_on_services} == {
        ("HTTP-Redirect", f"{BASE}/saml/idp/sso"),
        ("HTTP-POST", f"{BASE}/saml/idp/sso"),
        ("HTTP-Artifact", f"{BASE}/saml/idp/sso"),
    }
    assert len(found.signing_keys) == 1


def test_metadata_2_4_4_the_service_provider(keys: KeyRing) -> None:
    found = read_sp(sp(keys))
    assert found.entity_id == read_facts(sp(keys), "sp").entity_id == f"{BASE}/saml/sp/metadata"
    post, artifact = found.assertion_consumer_services
    assert (post.location, post.is_default) == (f"{BASE}/saml/sp/acs", True)
    assert (artifact.location, artifact.index) == (f"{BASE}/saml/sp/acs", 1)
    assert found.authn_requests_signed
    assert found.want_assertions_signed
    assert found.encryption_key is not None


def requested(octets: bytes) -> list[str | None]:
    return [each.get("FriendlyName") for each in etree.fromstring(octets).iterfind(".//md:RequestedAttribute", NS)]


def test_metadata_2_4_4_1_cities_are_asked_for_what_some_service_needs_and_no_more(keys: KeyRing) -> None:
    federation = a_federation(
        a_service("wiki", "mail", "displayName", "homeOrganization", "pairwiseId"),
        a_service("rooms", "mail", require=Requirements(attributes={"affiliation": frozenset({"employee"})})),
        a_service("later", "mobile", status=Status.DRAFT),
        a_service("former", "title", status=Status.RETIRED),
    )
    # What the broker itself knows or computes is no city's to send.
    assert requested(sp(keys, FULL, federation)) == ["displayName", "mail", "eduPersonScopedAffiliation"]
    assert texts(sp(keys, FULL, federation), ".//md:ServiceName") == dict.fromkeys(("fi", "sv", "en"), FULL.name)


def test_metadata_2_4_4_1_an_entity_category_s_attributes_are_asked_for_as_well(keys: KeyRing) -> None:
    pseudonymous = a_service("wiki", entity_categories=("https://refeds.org/category/pseudonymous",))
    assert requested(sp(keys, FULL, a_federation(pseudonymous))) == ["eduPersonScopedAffiliation", "eduPersonAssurance"]


def test_metadata_2_4_4_1_there_is_no_such_service_when_nothing_is_needed(keys: KeyRing) -> None:
    assert b"AttributeConsumingService" not in sp(keys, FULL, a_federation())


# --- who we are -------------------------------------------------------------------------------------------------------


@both
def test_mdui_2_1_names_texts_and_addresses_in_three_languages(keys: KeyRing, write: Write) -> None:
    document = write(keys)
    assert texts(document, ".//mdui:DisplayName") == dict.fromkeys(("fi", "sv", "en"), "Kuntasilta & co")
    assert texts(document, ".//mdui:Description") == FULL.description
    assert texts(document, ".//mdui:InformationURL")["sv"] == "https://silta.example/sv/"
    assert texts(document, ".//mdui:PrivacyStatementURL")["fi"] == "https://silta.example/privacy"
    (logo,) = etree.fromstring(document).iterfind(".//mdui:Logo", NS)
    assert (logo.text, logo.get("width"), logo.get("height")) == (f"{BASE}/static/mark.svg", "80", "80")


@both
def test_mdui_2_1_what_the_operator_did_not_set_is_left_out(keys: KeyRing, write: Write) -> None:
    document = write(keys, BARE)
    assert texts(document, ".//mdui:DisplayName")
    for name in (b"Description", b"InformationURL", b"PrivacyStatementURL", b"mdui:Logo"):
        assert name not in document


@both
def test_metadata_2_3_2_1_the_organisation_that_runs_the_broker(keys: KeyRing, write: Write) -> None:
    assert texts(write(keys), "md:Organization/md:OrganizationName") == PORI.name
    assert texts(write(keys), "md:Organization/md:OrganizationURL")["en"] == "https://silta.example/en/"


@both
@pytest.mark.parametrize("operator", ["", "unknown"])
def test_metadata_2_3_2_1_without_one_the_federation_s_name_stands_there(
    keys: KeyRing, write: Write, operator: str
) -> None:
    document = write(keys, About(base_url=BASE, name="Kuntasilta", operator=operator))
    assert texts(document, "md:Organization/md:OrganizationDisplayName") == dict.fromkeys(
        ("fi", "sv", "en"), "Kuntasilta"
    )
    assert texts(document, "md:Organization/md:OrganizationURL")["fi"] == f"{BASE}/"
    assert b"ContactPerson" not in document


@both
def test_metadata_2_3_2_2_the_operator_s_contacts_by_type(keys: KeyRing, write: Write) -> None:
    found = [
        (
            each.get("contactType"),
            each.findtext("md:EmailAddress", None, NS),
            each.findtext("md:TelephoneNumber", None, NS),
        )
        for each in etree.fromstring(write(keys)).iterfind("md:ContactPerson", NS)
    ]
    # SAML has no word for a privacy contact; one that cannot be reached is none.
    assert found == [
        ("technical", "mailto:yllapito@pori.example", None),
        ("other", "mailto:cert@pori.example", "+358 2 000 0001"),
        ("support", None, "+358 2 000 0000"),
        ("administrative", "mailto:koordinaattori@pori.example", None),
    ]


@both
def test_refeds_security_contact_is_marked_as_such(keys: KeyRing, write: Write) -> None:
    marked = [
        each.findtext("md:GivenName", None, NS)
        for each in etree.fromstring(write(keys)).iterfind("md:ContactPerson", NS)
        if each.get(f"{{{names.REMD}}}contactType") == "http://refeds.org/metadata/contactType/security"
    ]
    assert marked == ["CERT"]


# --- what we can do ---------------------------------------------------------------------------------------------------


@both
def test_algsupport_2_the_algorithms_by_which_partners_may_sign(keys: KeyRing, write: Write) -> None:
    root = etree.fromstring(write(keys))
    methods = {each.get("Algorithm"): each.get("MinKeySize") for each in root.iterfind(".//alg:SigningMethod", NS)}
    assert methods[names.RSA_SHA256] == "2048"
    assert methods[names.ECDSA_SHA256] is None
    assert names.RSA_SHA1 not in methods
    digests = {each.get("Algorithm") for each in root.iterfind(".//alg:DigestMethod", NS)}
    assert digests == {names.SHA256, names.SHA384, names.SHA512}


def test_shibmd_every_member_s_scopes_are_ours_to_assert(keys: KeyRing) -> None:
    scopes = list(etree.fromstring(idp(keys)).iterfind("md:IDPSSODescriptor/md:Extensions/shibmd:Scope", NS))
    assert [each.text for each in scopes] == ["edu.pori.fi", "pori.fi", "ulvila.fi"]
    assert {each.get("regexp") for each in scopes} == {"false"}
    assert b"shibmd" not in sp(keys)


def entity_attributes(octets: bytes) -> dict[str, list[str | None]]:
    path = "md:Extensions/mdattr:EntityAttributes/saml:Attribute"
    return {
        each.get("Name", ""): [value.text for value in each] for each in etree.fromstring(octets).iterfind(path, NS)
    }


def test_entity_category_support_is_told_to_services(keys: KeyRing) -> None:
    assert entity_attributes(idp(keys)) == {"http://macedir.org/entity-category-support": list(BUNDLES)}


def test_subject_id_4_cities_are_told_that_either_identifier_is_of_use(keys: KeyRing) -> None:
    assert entity_attributes(sp(keys)) == {"urn:oasis:names:tc:SAML:profiles:subject-id:req": ["any"]}


# --- keys -------------------------------------------------------------------------------------------------------------


def uses(octets: bytes) -> list[str]:
    return [each.get("use", "") for each in etree.fromstring(octets).iterfind(".//md:KeyDescriptor", NS)]


def test_during_a_rollover_the_next_keys_are_published(tmp_path: Path) -> None:
    keyring.create(tmp_path, common_name="broker.example", now=NOW)
    for use in (KeyUse.SAML_SIGNING, KeyUse.SAML_ENCRYPTION):
        keyring.create_next(tmp_path, use, common_name="broker.example", now=NOW)
    assert uses(idp(keyring.load(tmp_path))) == ["signing", "signing"]
    assert uses(sp(keyring.load(tmp_path))) == ["signing", "signing", "encryption", "encryption"]

    keyring.rotate(tmp_path, KeyUse.SAML_ENCRYPTION)
    # The previous one still opens what comes, and is not offered any more.
    assert uses(sp(keyring.load(tmp_path))) == ["signing", "signing", "encryption"]


def test_an_ec_key_is_published_to_services_behind_the_rsa_key_and_to_no_city(tmp_path: Path) -> None:
    keyring.create(tmp_path, common_name="broker.example", now=NOW)
    keyring.create_next_ec(tmp_path, common_name="broker.example", now=NOW)
    keys = keyring.load(tmp_path)
    published = etree.fromstring(idp(keys)).findall(".//md:KeyDescriptor//ds:X509Certificate", NS)
    lengths = [len(each.text or "") for each in published]
    assert len(lengths) == 2
    assert lengths[1] < lengths[0], "the shorter certificate is the EC key's"
    assert uses(sp(keys)) == ["signing", "encryption"]


def test_what_was_encrypted_for_the_previous_key_is_opened(upstream: Any, tool: Any, tmp_path: Path) -> None:
    keyring.create(tmp_path, common_name="broker.example", now=NOW)
    old = keyring.load(tmp_path).active(KeyUse.SAML_ENCRYPTION).certificate
    keyring.create_next(tmp_path, KeyUse.SAML_ENCRYPTION, common_name="broker.example", now=NOW)
    keyring.rotate(tmp_path, KeyUse.SAML_ENCRYPTION)

    rolled = tool.Upstream(keyring.load(tmp_path), upstream.pairs, upstream.idp, upstream.federation)

    assert rolled.post(rolled.encrypted(rolled.draft, encryption_key=old)).subject == "pori-4711"
