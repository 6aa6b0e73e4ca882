"""FEDERATION.md, "Files under metadata/"; promise P9: each mistake with file, line, field and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.federation import documents, registry, yaml_text
from broker.federation.documents import (
    DocumentErrors,
    DocumentSet,
    MetadataFacts,
    Problem,
    SecretError,
    UnreadableMetadata,
)
from broker.federation.metadata_validity import ending
from broker.federation.model import (
    AssuranceRule,
    AttributeRule,
    Federation,
    OrganisationFrom,
    OrganisationId,
    Protocol,
    Status,
    SubjectRule,
)
from broker.keys import keyring
from broker.keys.client_secrets import ClientSecrets

GENERATED = ClientSecrets(lambda: b"k" * 32)
ENVIRONMENT = {"ULVILA_SECRET": "ulvila's secret", "ROOMS_SECRET": "rooms' secret"}

ORGANISATIONS = """\
# The two cities.
kind: organisation
id: pori
name: {fi: Porin kaupunki, sv: Björneborgs stad}
municipality_code: "609"
business_id: 0137323-9
scopes: [pori.fi]
contacts:
  - {role: helpdesk, email: ict@pori.example, phone: "+358 2 000 0000"}
withhold: [phone]
---
kind: organisation
id: ulvila
name: {fi: Ulvilan kaupunki}
scopes: [ulvila.fi]
mail_domains: [ulvila.fi, edu.ulvila.fi]
"""
PORI_IDP = """\
kind: identity-provider
id: pori-adfs
protocol: saml
organisations: [pori]
metadata: pori-adfs.xml
dialect: adfs
subject: {keyspace: pori-hr, from: employeeNumber}
attributes:
  employeeNumber: {from: "urn:pori:employeeid"}
  title: {from: [a, b], transforms: [trim, lower], split: ";"}
  entitlement: {from: roles, table: {Admin: "urn:x:admin"}}
  preferredLanguage: {constant: fi}
assurance:
  "urn:x:token": {mfa: true}
"""
ULVILA_IDP = """\
kind: identity-provider
id: ulvila-entra
protocol: oidc
organisations: [ulvila]
issuer: https://login.example/9c1d/v2.0
client_id: broker
client_secret: env:ULVILA_SECRET
scopes: [openid, profile]
dialect: entra-oidc
"""
WIKI = """\
kind: service
id: wiki
protocol: saml
owner: pori
name: {en: Wiki}
metadata: ../saml/wiki.xml
attributes:
  - {name: mail, purpose: {en: Notices}, required: true}
  - {name: displayName, purpose: {en: Names}}
require: {affiliation: [employee], mfa: false}
entity_categories: ["https://refeds.org/category/pseudonymous"]
status: test
testers: [Aino@pori.fi]
"""
ROOMS = """\
kind: service
id: rooms
protocol: oidc
owner: ulvila
name: {en: Rooms}
client:
  client_id: rooms
  client_secret: env:ROOMS_SECRET
  redirect_uris: ["http://127.0.0.1:8081/callback", "https://rooms.example/callback"]
attributes: [{name: mail, purpose: {en: Invitations}}]
status: production
"""
AGREEMENT = """\
kind: agreement
id: pact
name: {en: Pact}
parties: [pori, ulvila]
services: [wiki, rooms]
valid_from: 2026-01-01
valid_until: 2029-12-31
signed: {pori: 2025-12-10}
"""
FILES: Mapping[str, str] = {
    "organisations.yaml": ORGANISATIONS,
    "idps/pori.yaml": PORI_IDP,
    "idps/ulvila.yml": ULVILA_IDP,
    "idps/pori-adfs.xml": "<md>https://adfs.pori.example</md>",
    "services/wiki.yaml": WIKI,
    "services/rooms.yaml": ROOMS,
    "saml/wiki.xml": "<md>https://wiki.example</md>",
    "agreements/pact.yaml": AGREEMENT,
}


def read_metadata(content: bytes, role: Literal["idp", "sp"]) -> MetadataFacts:
    """``<md>ENTITYID what it has</md>``."""
    match = re.fullmatch(rb"<md>(\S*)(.*)</md>", content)
    if match is None:
        raise UnreadableMetadata("no descriptor", line=3)
    has = {name: name.encode() in match[2] for name in ("signs", "encrypts", "resolves_artifacts")}
    until = datetime(2026, 2, 1, tzinfo=UTC) if b"until" in match[2] else None
    return MetadataFacts(entity_id=match[1].decode(), valid_until=until, **has)


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))
    return folder


def build(found: DocumentSet) -> Federation:
    return documents.build(
        found,
        revision=7,
        read_metadata=read_metadata,
        secret=documents.secret_resolver(ENVIRONMENT, Path("/nowhere"), GENERATED),
        loaded_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def problems_of(folder: Path, files: Mapping[str, str]) -> list[Problem]:
    with pytest.raises(DocumentErrors) as errors:
        build(documents.read_folder(write(folder, files)))
    return list(errors.value.problems)


@pytest.fixture
def found(tmp_path: Path) -> DocumentSet:
    return documents.read_folder(write(tmp_path, FILES))


# --- what is right -----------------------------------------------------------------------------------------------------


def test_a_folder_becomes_a_federation(found: DocumentSet) -> None:
    federation = build(found)

    assert federation.revision == 7
    assert federation.loaded_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert sorted(federation.organisations) == ["pori", "ulvila"]
    assert sorted(federation.identity_providers) == ["pori-adfs", "ulvila-entra"]
    assert sorted(federation.services) == ["rooms", "wiki"]
    assert sorted(federation.agreements) == ["pact"]


def test_an_organisation(found: DocumentSet) -> None:
    organisations = build(found).organisations

    pori = organisations[OrganisationId("pori")]
    assert pori.name == {"fi": "Porin kaupunki", "sv": "Björneborgs stad"}
    assert (pori.municipality_code, pori.business_id) == ("609", "0137323-9")
    assert (pori.scopes, pori.mail_domains) == (("pori.fi",), frozenset({"pori.fi"}))
    assert pori.contacts[0].phone == "+358 2 000 0000"
    assert pori.withhold == {"phone"}
    assert organisations[OrganisationId("ulvila")].mail_domains == {"ulvila.fi", "edu.ulvila.fi"}


def test_an_identity_provider_by_saml(found: DocumentSet) -> None:
    [idp] = [each for each in build(found).identity_providers.values() if each.protocol is Protocol.SAML]

    assert idp.entity_id == "https://adfs.pori.example"
    assert idp.metadata is not None
    assert idp.metadata.path == "idps/pori-adfs.xml"
    assert idp.subject == SubjectRule(keyspace="pori-hr", source="employeeNumber")
    assert idp.assurance == {"urn:x:token": AssuranceRule(mfa=True)}
    assert idp.attributes == (
        AttributeRule(attribute="employeeNumber", sources=("urn:pori:employeeid",)),
        AttributeRule(attribute="title", sources=("a", "b"), transforms=("trim", "lower"), split=";"),
        AttributeRule(attribute="entitlement", sources=("roles",), table={"Admin": "urn:x:admin"}),
        AttributeRule(attribute="preferredLanguage", constant=("fi",)),
    )


def test_an_identity_provider_by_oidc_without_a_subject_is_its_own_keyspace(found: DocumentSet) -> None:
    [idp] = [each for each in build(found).identity_providers.values() if each.protocol is Protocol.OIDC]

    assert idp.entity_id == "https://login.example/9c1d/v2.0"
    assert idp.subject == SubjectRule(keyspace="ulvila-entra")
    assert idp.oidc is not None
    assert idp.oidc.client_secret == "ulvila's secret"
    assert "secret" not in repr(idp.oidc).replace("client_secret_basic", "")


def test_services(found: DocumentSet) -> None:
    rooms, wiki = sorted(build(found).services.values(), key=lambda each: each.id)

    assert rooms.client is not None
    assert (rooms.client.client_secret, rooms.client.subject_type) == ("rooms' secret", "pairwise")
    assert (wiki.status, wiki.testers) == (Status.TEST, frozenset({"aino@pori.fi"}))
    assert wiki.require.attributes == {"affiliation": frozenset({"employee"})}
    assert [each.required for each in wiki.attributes] == [True, False]


@pytest.mark.parametrize(
    "keys", ["  jwks: {keys: [{kty: EC, crv: P-256, x: a, y: b}]}\n", "  jwks_uri: https://rooms.example/jwks\n"]
)
def test_a_client_that_proves_itself_by_a_key_has_no_secret(tmp_path: Path, keys: str) -> None:
    rooms = ROOMS.replace(
        "  client_secret: env:ROOMS_SECRET\n", f"  token_endpoint_auth_method: private_key_jwt\n{keys}"
    )

    federation = build(documents.read_folder(write(tmp_path, {**FILES, "services/rooms.yaml": rooms})))

    [client] = [each.client for each in federation.services.values() if each.client]
    assert (client.client_secret, client.token_endpoint_auth_method) == (None, "private_key_jwt")
    assert (client.jwks is None) is (client.jwks_uri is not None)


@pytest.mark.parametrize(
    ("document", "metadata", "switch", "fact", "missing"),
    [
        ("idps/pori.yaml", "idps/pori-adfs.xml", "artifact", "resolves_artifacts", "ArtifactResolutionService"),
        ("services/wiki.yaml", "saml/wiki.xml", "sign_requests", "signs", "certificate for signing"),
        ("services/wiki.yaml", "saml/wiki.xml", "cbc", "encrypts", "key for encryption"),
    ],
)
def test_P9_a_switch_that_the_metadata_cannot_fulfil(
    tmp_path: Path, document: str, metadata: str, switch: str, fact: str, missing: str
) -> None:
    files = {**FILES, document: f"{FILES[document]}{switch}: true\n"}
    (problem,) = problems_of(tmp_path / "without", files)
    assert (problem.path, problem.field) == (document, switch)
    assert metadata in problem.message
    assert missing in problem.message

    fulfilled = {**files, metadata: FILES[metadata].replace("</md>", f" {fact}</md>")}
    build(documents.read_folder(write(tmp_path / "with", fulfilled)))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), None),
        (datetime(2026, 1, 20, tzinfo=UTC), "the metadata of wiki ends 2026-02-01; logins will be refused then"),
        (datetime(2026, 2, 1, tzinfo=UTC), "the metadata of wiki ended 2026-02-01; logins are refused"),
    ],
)
def test_metadata_2_3_2_validUntil_is_told_before_it_has_passed(
    tmp_path: Path, now: datetime, said: str | None
) -> None:
    files = {**FILES, "saml/wiki.xml": "<md>https://wiki.example until</md>"}
    federation = build(documents.read_folder(write(tmp_path, files)))

    found = [str(each) for each in ending(federation, now)]

    assert found == ([] if said is None else [f"saml/wiki.xml: {said}: get it anew"])


def test_a_public_client_always_needs_pkce(tmp_path: Path) -> None:
    public = ROOMS.replace("client_secret: env:ROOMS_SECRET", "token_endpoint_auth_method: none")

    federation = build(documents.read_folder(write(tmp_path, {**FILES, "services/rooms.yaml": public})))

    [client] = [each.client for each in federation.services.values() if each.client]
    assert (client.client_secret, client.require_pkce) == (None, True)


def test_an_agreement(found: DocumentSet) -> None:
    [agreement] = build(found).agreements.values()

    assert agreement.parties == {"pori", "ulvila"}
    assert (agreement.valid_from, agreement.valid_until) == (date(2026, 1, 1), date(2029, 12, 31))
    assert agreement.signed == {"pori": date(2025, 12, 10)}


def test_an_identity_provider_of_several_organisations(tmp_path: Path) -> None:
    several = PORI_IDP.replace("[pori]", "[pori, ulvila]") + "organisation_from: {from: unit, table: {U: ulvila}}\n"

    federation = build(documents.read_folder(write(tmp_path, {**FILES, "idps/pori.yaml": several})))

    [idp] = [each for each in federation.identity_providers.values() if each.metadata]
    assert idp.organisation_from == OrganisationFrom(source="unit", table={"U": OrganisationId("ulvila")})


def test_the_documents_are_the_files_octet_for_octet(tmp_path: Path) -> None:
    odd = ORGANISATIONS.replace("---\n", "...\r\n# between\r\n---\r\n") + "\n# the end"
    write(tmp_path, {**FILES, "organisations.yaml": odd})

    found = documents.read_folder(tmp_path)

    for path, content in registry.files(found).items():
        assert content == (tmp_path / path).read_bytes()
    first, second = (each for each in found.documents if each.path == "organisations.yaml")
    assert (first.position, first.line, first.text[:1]) == (0, 2, "#")
    assert (second.position, second.line, second.text[:4]) == (1, 14, "---\r")


def test_documents_are_in_the_order_of_their_paths_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, {**FILES, ".git/x.yaml": "nonsense", "idps/.old.yaml": "nonsense", "notes.txt": "nonsense"})

    found = documents.read_folder(tmp_path)

    assert [each.path for each in found.documents] == sorted(each.path for each in found.documents)
    assert set(found.files) == {"idps/pori-adfs.xml", "saml/wiki.xml"}


def test_the_first_document_builds_without_reading_any_text(found: DocumentSet) -> None:
    without_text = tuple(replace(each, text="") for each in found.documents)

    assert build(DocumentSet(documents=without_text, files=found.files)) == build(found)


def test_a_schema_is_published_for_each_kind() -> None:
    schemas = documents.json_schemas()

    assert sorted(schemas) == ["agreement", "identity-provider", "organisation", "service"]
    assert schemas["organisation"]["additionalProperties"] is False
    assert schemas["agreement"]["required"] == ["kind", "id", "name", "parties", "valid_from", "valid_until"]


# --- each kind of mistake ------------------------------------------------------------------------------------------------

# file, what stands there, what is written instead, and the problem: line, field, words of the message
Mistake = tuple[str, str, str, int, str, str]
ORG, PORI, ULVILA, WIKI_FILE, ROOMS_FILE, PACT = (
    "organisations.yaml",
    "idps/pori.yaml",
    "idps/ulvila.yml",
    "services/wiki.yaml",
    "services/rooms.yaml",
    "agreements/pact.yaml",
)
MISTAKES: dict[str, Mistake] = {
    # of any document
    "unknown_key": (ORG, "withhold:", "withold:", 10, "withold", "unknown key; did you mean withhold?"),
    "unknown_key_far_from_any": (ORG, "withhold:", "zzz:", 10, "zzz", "unknown key"),
    "unknown_key_below": (ORG, "email: ict", "mail: ict", 9, "contacts.0.mail", "did you mean email?"),
    "key_of_the_other_protocol": (WIKI_FILE, "status: test", "client: {}", 12, "client", "unknown key; it is one of protocol oidc"),
    "unknown_kind": (ORG, "kind: organisation\nid: pori", "kind: organization\nid: pori", 2, "kind", "no such kind; did you mean organisation?"),
    "missing_kind": (ORG, "kind: organisation\nid: pori", "id: pori", 2, "kind", "is missing"),
    "missing_id": (ORG, "id: pori\n", "", 2, "id", "is missing"),
    "id_is_no_text": (ORG, "id: pori\n", "id: 609\n", 3, "id", "write it in quotes"),
    "wrong_id": (PACT, "id: pact", "id: Pact!", 2, "id", "lower-case letters"),
    "missing_key": (ORG, "name: {fi: Porin kaupunki, sv: Björneborgs stad}\n", "", 2, "name", "is missing"),
    "duplicate_id": (ORG, "id: ulvila", "id: pori", 13, "id", "organisation pori is there already, in organisations.yaml:2"),
    "unknown_language": (ORG, "{fi: Ulvilan kaupunki}", "{de: Ulvila}", 14, "name.de", "unknown language: fi, sv or en"),
    "no_language": (ORG, "{fi: Ulvilan kaupunki}", "{}", 14, "name", "at least 1"),
    "control_character_in_a_text": (ORG, "{fi: Ulvilan kaupunki}", '{fi: "Ulvila\\u202e"}', 14, "name.fi", "bidirectional override"),
    "number_instead_of_text": (ORG, '"609"', "609", 5, "municipality_code", "must be text: write it in quotes"),
    "text_instead_of_list": (ORG, "scopes: [pori.fi]", "scopes: pori.fi", 7, "scopes", "must be a list"),
    "text_instead_of_mapping": (PORI, "subject: {keyspace: pori-hr, from: employeeNumber}", "subject: x", 7, "subject", "must be keys with values"),
    "empty_document": (ORG, "mail_domains: [ulvila.fi, edu.ulvila.fi]\n", "---\n", 17, "", "is empty"),
    "not_a_mapping": (PACT, AGREEMENT, "- a\n- b\n", 1, "", "must be keys with values"),
    # organisations
    "business_id_check_digit": (ORG, "0137323-9", "0137323-8", 6, "business_id", "check digit of the Y-tunnus is wrong"),
    "unknown_municipality": (ORG, '"609"', '"999"', 5, "municipality_code", "no municipality has this number"),
    "scope_in_capitals": (ORG, "[pori.fi]", "[Pori.fi]", 7, "scopes.0", "must be lower-case: pori.fi"),
    "scope_is_no_domain": (ORG, "[pori.fi]", '["*.pori.fi"]', 7, "scopes.0", "not a domain name"),
    "scope_of_another_organisation": (ORG, "scopes: [ulvila.fi]", "scopes: [ulvila.fi, pori.fi]", 15, "scopes.1", "is a scope of pori already"),
    "scope_twice": (ORG, "scopes: [ulvila.fi]", "scopes: [ulvila.fi, ulvila.fi]", 15, "scopes.1", "is a scope of ulvila already"),
    "unknown_organization_type": (ORG, "scopes: [ulvila.fi]", "scopes: [ulvila.fi]\norganization_type: city", 16, "organization_type", "not a kind of organisation"),
    "unknown_role": (ORG, "role: helpdesk", "role: boss", 9, "contacts.0.role", "must be helpdesk"),
    "wrong_address": (ORG, "ict@pori.example", "ict", 9, "contacts.0.email", "not an e-mail address"),
    "wrong_telephone": (ORG, "+358 2 000 0000", "02 000", 9, "contacts.0.phone", "not an international telephone number"),
    "withheld_attribute_unknown": (ORG, "[phone]", "[telephone]", 10, "withhold.0", "no attribute of the schema is called telephone"),
    # identity providers
    "missing_protocol": (PORI, "protocol: saml\n", "", 1, "protocol", "is missing: must be saml or oidc"),
    "unknown_protocol": (PORI, "protocol: saml", "protocol: cas", 3, "protocol", "is unknown: must be saml or oidc"),
    "unknown_organisation": (PORI, "[pori]", "[porri]", 4, "organisations.0", "there is no organisation porri; did you mean pori?"),
    "organisation_twice": (ULVILA, "[ulvila]", "[ulvila, ulvila]\norganisation_from: {from: x}", 4, "organisations.1", "is named twice"),
    "no_organisation": (PORI, "[pori]", "[]", 4, "organisations", "at least 1"),
    "several_organisations_undecided": (PORI, "[pori]", "[pori, ulvila]", 4, "organisations", "organisation_from must say"),
    "organisation_table_names_another": (PORI, "[pori]", "[pori]\norganisation_from: {from: x, table: {U: ulvila}}", 5, "organisation_from.table.U", "ulvila is not among the organisations"),
    "organisation_without_scopes": (ORG, "scopes: [ulvila.fi]\n", "", 4, "organisations.0", "ulvila has no scopes"),
    "metadata_missing": (PORI, "metadata: pori-adfs.xml\n", "", 1, "metadata", "is missing"),
    "metadata_file_missing": (PORI, "pori-adfs.xml", "adfs.xml", 5, "metadata", "there is no file idps/adfs.xml"),
    "metadata_outside": (PORI, "pori-adfs.xml", "../../etc/passwd", 5, "metadata", "must be in the documents' folder"),
    "metadata_absolute": (PORI, "pori-adfs.xml", "/etc/passwd", 5, "metadata", "must be in the documents' folder"),
    "metadata_unreadable": (PORI, "pori-adfs.xml", "pori.yaml", 5, "metadata", "idps/pori.yaml:3: no descriptor"),
    "unknown_quirk": (PORI, "dialect: adfs", "dialect: adfs\nquirks: [adfs-no-scopping]", 7, "quirks.0", "no quirk that is known here; there are adfs-no-scoping"),
    "sha1_forever": (PORI, "dialect: adfs", "dialect: adfs\nsha1_until: true", 7, "sha1_until", "must be a date"),
    "unknown_dialect": (PORI, "dialect: adfs", "dialect: addfs", 6, "dialect", "no such dialect; there are adfs"),
    "dialect_of_the_other_protocol": (PORI, "dialect: adfs", "dialect: entra-oidc", 6, "dialect", "is a dialect of oidc, not saml"),
    "rule_for_an_unknown_attribute": (PORI, "  title:", "  titel:", 10, "attributes.titel", "no attribute of the schema is called titel; did you mean title?"),
    "rule_for_a_fact_of_the_organisation": (PORI, "  title:", "  businessId:", 10, "attributes.businessId", "comes from the registry"),
    "rule_for_what_the_broker_makes": (PORI, "  title:", "  mailVerified:", 10, "attributes.mailVerified", "made by the broker"),
    "rule_for_the_national_id": (PORI, "  title:", "  nationalId:", 10, "attributes.nationalId", "is restricted"),
    "rule_without_source": (PORI, "{constant: fi}", "{split: x}", 12, "attributes.preferredLanguage", "either from or constant"),
    "rule_with_source_and_constant": (PORI, "{constant: fi}", "{constant: fi, from: x}", 12, "attributes.preferredLanguage", "either from or constant"),
    "unknown_transform": (PORI, "[trim, lower]", "[trim, eval]", 10, "attributes.title.transforms.1", "no such transform; there are lower"),
    "scope_transform_without_domain": (PORI, "[trim, lower]", '["scope:x"]', 10, "attributes.title.transforms.0", "no such transform"),
    "key_that_may_change": (PORI, "from: employeeNumber", "from: mail", 7, "subject.from", "cannot be a stable key"),
    "key_by_a_source_that_may_change": (PORI, "from: employeeNumber", 'from: "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/UPN"', 7, "subject.from", "cannot be a stable key"),
    "key_that_no_rule_makes": (PORI, '  employeeNumber: {from: "urn:pori:employeeid"}\n', "", 7, "subject.from", "no rule of the dialect or of this document makes employeeNumber"),
    "unknown_assurance_level": (PORI, "{mfa: true}", "{level: high}", 14, "assurance.urn:x:token.level", "no level of the schema"),
    "mfa_is_no_boolean": (PORI, "{mfa: true}", "{mfa: yes}", 14, "assurance.urn:x:token.mfa", "must be true or false"),
    "issuer_by_http": (ULVILA, "https://login", "http://login", 5, "issuer", "must be https"),
    "issuer_with_query": (ULVILA, "v2.0", "v2.0?x=1", 5, "issuer", "has no query"),
    "issuer_of_every_tenant": (ULVILA, "https://login.example/9c1d/v2.0", "https://login.microsoftonline.com/common/v2.0", 5, "issuer", "common stands for every tenant: write https://login.microsoftonline.com/TENANT-ID/v2.0"),
    "issuer_of_no_tenant": (ULVILA, "https://login.example/9c1d/v2.0", "https://login.microsoftonline.com/ulvila.fi/v2.0", 5, "issuer", "must be https://login.microsoftonline.com/TENANT-ID/v2.0"),
    "secret_written_in": (ULVILA, "env:ULVILA_SECRET", "hunter2", 7, "client_secret", "secrets are never written in: name it by env:NAME or file:PATH"),
    "secret_not_set": (ULVILA, "env:ULVILA_SECRET", "env:NO_SUCH", 7, "client_secret", "the environment variable NO_SUCH is not set"),
    "secret_missing": (ULVILA, "client_secret: env:ULVILA_SECRET\n", "", 1, "client_secret", "is missing"),
    "scope_openid_missing": (ULVILA, "[openid, profile]", "[profile]", 8, "scopes", "must hold openid"),
    # services
    "unknown_owner": (WIKI_FILE, "owner: pori", "owner: porri", 4, "owner", "there is no organisation porri; did you mean pori?"),
    "attribute_unknown": (WIKI_FILE, "name: mail,", "name: email,", 8, "attributes.0.name", "no attribute of the schema is called email; did you mean mail?"),
    "attribute_without_purpose": (WIKI_FILE, ", purpose: {en: Names}", "", 9, "attributes.1.purpose", "is missing"),
    "attribute_with_empty_purpose": (WIKI_FILE, "{en: Names}", '{en: ""}', 9, "attributes.1.purpose.en", "empty"),
    "attribute_twice": (WIKI_FILE, "name: displayName", "name: mail", 9, "attributes.1.name", "is registered twice"),
    "attribute_for_a_time": (WIKI_FILE, "name: mail,", "name: previousPairwiseId,", 8, "attributes.0.name", "cannot be required"),
    "attribute_restricted": (WIKI_FILE, "name: displayName", "name: nationalId", 9, "attributes.1.name", "is restricted"),
    "requirement_unknown": (WIKI_FILE, "require: {affiliation:", "require: {affilation:", 10, "require.affilation", "did you mean affiliation?"),
    "requirement_without_value": (WIKI_FILE, "[employee]", "[]", 10, "require.affiliation", "at least 1"),
    "unknown_category": (WIKI_FILE, "pseudonymous", "pseudo", 11, "entity_categories.0", "no entity category that is known here"),
    "unknown_status": (WIKI_FILE, "status: test", "status: live", 12, "status", "must be draft, test, production or retired"),
    "exception_without_scope": (WIKI_FILE, "[Aino@pori.fi]", '[Aino@pori.fi]\nexceptions: [{person: eeva, valid_until: 2026-06-30, reason: x}]', 14, "exceptions.0.person", "has no @"),
    "exception_without_end": (WIKI_FILE, "[Aino@pori.fi]", '[Aino@pori.fi]\nexceptions: [{person: e@pori.fi, reason: x}]', 14, "exceptions.0.valid_until", "is missing"),
    "exception_without_reason": (WIKI_FILE, "[Aino@pori.fi]", '[Aino@pori.fi]\nexceptions: [{person: e@pori.fi, valid_until: 2026-06-30}]', 14, "exceptions.0.reason", "is missing"),
    "exception_ends_first": (WIKI_FILE, "[Aino@pori.fi]", '[Aino@pori.fi]\nexceptions: [{person: e@pori.fi, valid_from: 2026-07-01, valid_until: 2026-06-30, reason: x}]', 14, "exceptions.0.valid_until", "is before valid_from"),
    "tester_without_scope": (WIKI_FILE, "[Aino@pori.fi]", "[aino]", 13, "testers.0", "has no @"),
    "client_missing": (ROOMS_FILE, ROOMS[ROOMS.index("client:") : ROOMS.index("attributes:")], "", 1, "client", "is missing"),
    "client_id_with_blank": (ROOMS_FILE, "client_id: rooms", "client_id: r ooms", 7, "client.client_id", "without blanks"),
    "client_secret_written_in": (ROOMS_FILE, "env:ROOMS_SECRET", "hunter2", 8, "client.client_secret", "secrets are never written in"),
    "client_secret_missing": (ROOMS_FILE, "  client_secret: env:ROOMS_SECRET\n", "", 6, "client.client_secret", "is missing"),
    "secret_of_a_public_client": (ROOMS_FILE, "  client_id: rooms\n", "  client_id: rooms\n  token_endpoint_auth_method: none\n", 9, "client.client_secret", "has no secret"),
    "private_key_jwt_without_keys": (ROOMS_FILE, "  client_secret: env:ROOMS_SECRET\n", "  token_endpoint_auth_method: private_key_jwt\n", 8, "client.token_endpoint_auth_method", "needs jwks or jwks_uri"),
    "certificate_without_its_name": (ROOMS_FILE, "  client_secret: env:ROOMS_SECRET\n", "  token_endpoint_auth_method: tls_client_auth\n", 8, "client.token_endpoint_auth_method", "needs exactly one of"),
    "certificate_with_two_names": (ROOMS_FILE, "  client_secret: env:ROOMS_SECRET\n", "  token_endpoint_auth_method: tls_client_auth\n  tls_client_auth_san_ip: 192.0.2.1\n  tls_client_auth_san_dns: a.example\n", 8, "client.token_endpoint_auth_method", "needs exactly one of"),
    "certificate_name_malformed": (ROOMS_FILE, "  client_secret: env:ROOMS_SECRET\n", "  token_endpoint_auth_method: tls_client_auth\n  tls_client_auth_subject_dn: rooms\n", 9, "client.tls_client_auth_subject_dn", "must be a distinguished name"),
    "self_signed_without_keys": (ROOMS_FILE, "  client_secret: env:ROOMS_SECRET\n", "  token_endpoint_auth_method: self_signed_tls_client_auth\n", 8, "client.token_endpoint_auth_method", "needs jwks or jwks_uri"),
    "encryption_without_keys": (ROOMS_FILE, "  client_id: rooms\n", "  client_id: rooms\n  id_token_encrypted_response_alg: ECDH-ES\n", 8, "client.id_token_encrypted_response_alg", "needs jwks or jwks_uri"),
    "content_encryption_alone_id_token": (ROOMS_FILE, "  client_id: rooms\n", "  client_id: rooms\n  id_token_encrypted_response_enc: A256GCM\n", 8, "client.id_token_encrypted_response_enc", "needs id_token_encrypted_response_alg"),
    "content_encryption_alone_userinfo": (ROOMS_FILE, "  client_id: rooms\n", "  client_id: rooms\n  userinfo_encrypted_response_enc: A256GCM\n", 8, "client.userinfo_encrypted_response_enc", "needs userinfo_encrypted_response_alg"),
    "encryption_without_signature": (ROOMS_FILE, "  client_id: rooms\n", "  client_id: rooms\n  jwks_uri: https://rooms.example/jwks\n  userinfo_encrypted_response_alg: ECDH-ES\n", 9, "client.userinfo_encrypted_response_alg", "needs userinfo_signed_response_alg"),
    "private_key_jwt_with_a_secret": (ROOMS_FILE, "  client_secret: env:ROOMS_SECRET\n", "  client_secret: env:ROOMS_SECRET\n  token_endpoint_auth_method: private_key_jwt\n  jwks: {keys: [{kty: EC, crv: P-256, x: a, y: b}]}\n", 8, "client.client_secret", "has no secret"),
    "jwks_and_jwks_uri": (ROOMS_FILE, "  client_secret: env:ROOMS_SECRET\n", "  token_endpoint_auth_method: private_key_jwt\n  jwks: {keys: [{kty: EC, crv: P-256, x: a, y: b}]}\n  jwks_uri: https://rooms.example/jwks\n", 10, "client.jwks_uri", "not used together"),
    "jwks_that_is_none": (ROOMS_FILE, "  client_secret: env:ROOMS_SECRET\n", "  token_endpoint_auth_method: private_key_jwt\n  jwks: {a: b}\n", 9, "client.jwks", "must be a JWK Set"),
    "private_key_in_jwks": (ROOMS_FILE, "  client_secret: env:ROOMS_SECRET\n", "  token_endpoint_auth_method: private_key_jwt\n  jwks: {keys: [{kty: EC, crv: P-256, x: a, y: b, d: c}]}\n", 9, "client.jwks", "holds a private or shared key"),
    "shared_key_in_jwks": (ROOMS_FILE, "  client_secret: env:ROOMS_SECRET\n", "  token_endpoint_auth_method: private_key_jwt\n  jwks: {keys: [{kty: oct}]}\n", 9, "client.jwks", "holds a private or shared key"),
    "jwks_uri_by_http": (ROOMS_FILE, "  client_secret: env:ROOMS_SECRET\n", "  token_endpoint_auth_method: private_key_jwt\n  jwks_uri: http://rooms.example/jwks\n", 9, "client.jwks_uri", "must be https"),
    "unknown_auth_method": (ROOMS_FILE, "  client_id: rooms\n", "  client_id: rooms\n  token_endpoint_auth_method: magic\n", 8, "client.token_endpoint_auth_method", "must be client_secret_basic"),
    "implicit_flow": (ROOMS_FILE, "  client_id: rooms\n", "  client_id: rooms\n  response_types: [token]\n", 8, "client.response_types.0", "must be code"),
    "redirect_by_http": (ROOMS_FILE, "https://rooms", "http://rooms", 9, "client.redirect_uris.1", "must be https"),
    "redirect_with_fragment": (ROOMS_FILE, "rooms.example/callback", "rooms.example/callback#x", 9, "client.redirect_uris.1", "no fragment"),
    "redirect_with_wildcard": (ROOMS_FILE, "rooms.example/callback", "*.rooms.example/callback", 9, "client.redirect_uris.1", "no wildcard"),
    "redirect_with_password": (ROOMS_FILE, "https://rooms", "https://a:b@rooms", 9, "client.redirect_uris.1", "no user name or password"),
    "redirect_relative": (ROOMS_FILE, "https://rooms.example/callback", "/callback", 9, "client.redirect_uris.1", "must be a web address"),
    "redirect_by_javascript": (ROOMS_FILE, "https://rooms.example/callback", "javascript:alert(1)", 9, "client.redirect_uris.1", "must be a web address"),
    "redirect_with_wrong_port": (ROOMS_FILE, "rooms.example/callback", "rooms.example:99999/callback", 9, "client.redirect_uris.1", "not a web address"),
    "redirect_missing": (ROOMS_FILE, '["http://127.0.0.1:8081/callback", "https://rooms.example/callback"]', "[]", 9, "client.redirect_uris", "is missing"),
    # agreements
    "unknown_party": (PACT, "[pori, ulvila]", "[pori, ulvila, nakkila]", 4, "parties.2", "there is no organisation nakkila"),
    "one_party_alone": (PACT, "[pori, ulvila]", "[pori]", 4, "parties", "at least 2"),
    "unknown_service": (PACT, "[wiki, rooms]", "[wiki, room]", 5, "services.1", "there is no service room; did you mean rooms?"),
    "unknown_agreement_owner": (PACT, "services: [wiki, rooms]", "owners: [kokemäki]", 5, "owners.0", "lower-case letters"),
    "covers_nothing": (PACT, "services: [wiki, rooms]\n", "", 1, "", "covers nothing"),
    "signed_by_a_stranger": (PACT, "{pori: 2025-12-10}", "{nakkila: 2025-12-10}", 8, "signed.nakkila", "has signed, but is not a party"),
    "ends_before_it_begins": (PACT, "2029-12-31", "2025-12-31", 7, "valid_until", "is before valid_from"),
    "no_such_day": (PACT, "2029-12-31", "2029-02-30", 7, "valid_until", "must be a date: 2026-01-31"),
    # YAML
    "syntax": (PACT, "[pori, ulvila]", "[pori, ulvila", 5, "", "not YAML"),
    "tab": (PACT, "name:", "\tname:", 3, "", "not YAML"),
    "duplicate_key": (PACT, "valid_from: 2026-01-01", "valid_until: 2026-01-01", 7, "valid_until", "the same key stands here twice"),
    "anchor": (PACT, "[pori, ulvila]", "&all [pori, ulvila]", 4, "parties", "anchors and aliases"),
    "alias": (PACT, "[pori, ulvila]", "*all", 4, "parties", "anchors and aliases"),
    "tag": (PACT, "[pori, ulvila]", "!!set {pori, ulvila}", 4, "parties", "tags (!)"),
    "directive": (PACT, "kind: agreement", "%YAML 1.1\n---\nkind: agreement", 1, "", "directives (%)"),
    "nested_too_deeply": (PACT, "[pori, ulvila]", "[" * 30 + "]" * 30, 4, "", "nested too deeply"),
    "byte_order_mark": (PACT, "kind: agreement", "\ufeffkind: agreement", 1, "", "byte order mark"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_file_line_and_field(mistake: Mistake, tmp_path: Path) -> None:
    file, right, wrong, line, field, words = mistake
    assert right in FILES[file]

    problems = problems_of(tmp_path, {**FILES, file: FILES[file].replace(right, wrong, 1)})

    assert len(problems) == 1 or (file == ORG and field in {"kind", "id"}), problems
    told = [each for each in problems if each.field == field and words in each.message]
    assert [each.line for each in told] == [line], problems
    assert told[0].path == (ULVILA if field == "organisations.0" and file == ORG else file)
    assert "hunter2" not in str(problems)


@pytest.mark.parametrize(
    ("file", "right", "wrong", "field"),
    [
        pytest.param("saml/wiki2.xml", "", "", "metadata", id="saml_services"),
        pytest.param("services/rooms2.yaml", "id: rooms", "id: rooms2", "client.client_id", id="oidc_services"),
        pytest.param("idps/ulvila2.yaml", "id: ulvila-entra", "id: ulvila2", "issuer", id="identity_providers"),
    ],
)
def test_an_entity_id_is_registered_once(file: str, right: str, wrong: str, field: str, tmp_path: Path) -> None:
    if file.endswith(".xml"):
        more = {file: FILES["saml/wiki.xml"]}
        file = "services/wiki2.yaml"
        more[file] = WIKI.replace("id: wiki", "id: wiki2").replace("wiki.xml", "wiki2.xml")
    else:
        more = {file: FILES[file.replace("2.yaml", ".yml" if "ulvila" in file else ".yaml")].replace(right, wrong, 1)}

    [problem] = problems_of(tmp_path, {**FILES, **more})

    assert (problem.path, problem.field) == (file, field)
    assert "already" in problem.message


def test_every_problem_is_told_at_once_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    wrong = {
        ORG: ORGANISATIONS.replace('"609"', '"999"').replace("[ulvila.fi]", "[Ulvila.fi]"),
        WIKI_FILE: WIKI.replace("status: test", "state: test"),
    }

    problems = problems_of(tmp_path, {**FILES, **wrong})

    assert problems == sorted(problems)
    assert [(each.path, each.line) for each in problems] == [(ORG, 5), (ORG, 15), (WIKI_FILE, 12)]
    assert str(problems[-1]) == "services/wiki.yaml:12: state: unknown key; did you mean status?"


def test_syntax_is_told_of_every_file(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, {**FILES, ORG: "a: [", PACT: "b: ]"})

    assert [each.path for each in problems] == [PACT, ORG]


def test_a_file_that_is_not_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    (tmp_path / PACT).write_bytes(b"kind: agreement\nid: p\xe4ct\n")

    with pytest.raises(DocumentErrors) as errors:
        documents.read_folder(tmp_path)

    assert [(each.path, each.line, each.message) for each in errors.value.problems] == [(PACT, 2, "is not UTF-8")]


def test_metadata_may_not_lead_out_of_the_folder_by_a_link(tmp_path: Path) -> None:
    secret = tmp_path / "secret.xml"
    secret.write_text("<md>x</md>")
    folder = write(tmp_path / "metadata", FILES)
    (folder / "idps/pori-adfs.xml").unlink()
    (folder / "idps/pori-adfs.xml").symlink_to(secret)

    with pytest.raises(DocumentErrors) as errors:
        documents.read_folder(folder)

    assert [each.message for each in errors.value.problems] == ["must be in the documents' folder"]


def test_lines_are_right_in_documents_that_come_from_the_registry(tmp_path: Path) -> None:
    wrong = ORGANISATIONS.replace("[ulvila.fi]", "[Ulvila.fi]")
    found = documents.read_folder(write(tmp_path, {**FILES, ORG: "\n\n" + wrong}))

    with pytest.raises(DocumentErrors) as errors:
        build(DocumentSet(documents=tuple(reversed(found.documents)), files=found.files))

    assert [each.line for each in errors.value.problems] == [17]


# --- secrets --------------------------------------------------------------------------------------------------------------


def resolved(reference: str, environment: Mapping[str, str], base: Path, owner: str = "client_secret rooms") -> str:
    return documents.secret_resolver(environment, base, GENERATED)(reference, owner)


def test_a_secret_from_the_environment() -> None:
    assert resolved("env:A", {"A": "s3cret"}, Path("/nowhere")) == "s3cret"


def test_a_secret_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")

    assert resolved("file:secret", {}, tmp_path) == "s3cret"
    assert resolved(f"file:{tmp_path}/secret", {}, Path("/nowhere")) == "s3cret"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("env:B", "environment variable B is not set"),
        ("env:EMPTY", "environment variable EMPTY is not set"),
        ("file:none", "cannot be read"),
        ("file:.", "cannot be read"),
        ("file:empty", "is empty"),
        ("hunter2", "never written in"),
        ("generated:hunter2", "must be generated:NONCE"),
        (f"generated:{'n' * 22}!", "must be generated:NONCE"),
    ],
)
def test_a_secret_that_is_not_there(reference: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")

    with pytest.raises(SecretError, match=words) as error:
        resolved(reference, {"A": "x", "EMPTY": ""}, tmp_path)

    assert "hunter2" not in str(error.value)


NONCE = "generated:" + "n" * 22


def test_a_generated_secret_is_the_same_for_every_worker_and_another_for_each_owner_nonce_and_key() -> None:
    nowhere = Path("/nowhere")
    secret = resolved(NONCE, {}, nowhere)

    assert secret == resolved(NONCE, {}, nowhere)
    assert len(secret) == 43
    others = {
        resolved(NONCE, {}, nowhere, owner="client_secret wiki"),
        resolved(NONCE, {}, nowhere, owner="registration_access_token rooms"),
        resolved(NONCE + "n", {}, nowhere),
        documents.secret_resolver({}, nowhere, ClientSecrets(lambda: b"K" * 32))(NONCE, "client_secret rooms"),
    }
    assert len(others | {secret}) == 5


def test_a_generated_secret_is_never_one_of_a_city_s_making() -> None:
    with pytest.raises(SecretError, match="our own making"):
        resolved(NONCE, {}, Path("/nowhere"), owner="")


def test_P9_a_generated_secret_without_the_sealing_key_says_which_file_is_missing(tmp_path: Path) -> None:
    missing = ClientSecrets(partial(keyring.sealing_key, tmp_path))

    with pytest.raises(SecretError, match=r"sealing/active\.key: missing; make the keys with `broker keys create`"):
        documents.secret_resolver({}, tmp_path, missing)(NONCE, "client_secret rooms")


# --- YAML -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("079", "079"),
        ("609", 609),
        ("-5", -5),
        ("1.0", "1.0"),
        ("+358200", "+358200"),
        ("12:30", "12:30"),
        ("0x1f", "0x1f"),
        ("true", True),
        ("~", None),
        ("", None),
        ("2026-01-31", date(2026, 1, 31)),
        ("2026-02-30", "2026-02-30"),
        ('"2026-01-31"', "2026-01-31"),
        ("'true'", "true"),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_a_scalar_means_what_it_looks_like(written: str, value: object) -> None:
    [part] = yaml_text.parts(f"key: {written}")

    assert part.body == {"key": value}
    assert type(part.body["key"]) is type(value)


@given(text=st.text(alphabet=st.sampled_from("ab: -\n[]{}#&*!|>'\"%,?ä~0"), max_size=60))
def test_any_text_is_read_or_refused_and_never_lost(text: str) -> None:
    try:
        parts = yaml_text.parts(text)
    except yaml_text.UnreadableYaml:
        return

    assert not parts or "".join(part.text for part in parts) == text
    for part in parts:
        assert yaml_text.lines(part.text, [("a",), (0, "b")]) is not None


@pytest.mark.parametrize(
    ("written", "quirks"),
    [
        pytest.param("", {"adfs-no-scoping"}, id="those_of_the_dialect"),
        pytest.param("quirks: []\n", set(), id="none"),
        pytest.param("quirks: [entra-id-no-scoping]\n", {"entra-id-no-scoping"}, id="others"),
    ],
)
def test_quirks_of_a_document_replace_those_of_its_dialect(written: str, quirks: set[str], tmp_path: Path) -> None:
    folder = write(tmp_path, {**FILES, PORI: FILES[PORI] + written})
    federation = build(documents.read_folder(folder))
    assert {each.quirks for each in federation.identity_providers.values() if each.metadata} == {frozenset(quirks)}
