from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from lxml import etree

from broker.demo import saml_peer, world
from broker.demo.people import PEOPLE
from broker.demo.world import HOST, DemoUnavailable, Ports, PreparedDemo, prepare, shipped_metadata


def test_keys_and_secrets_are_readable_by_their_owner_only(prepared: PreparedDemo) -> None:
    private = [prepared.pori.key, prepared.shared_wiki.key, prepared.folder / "secrets.json"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}


def test_the_second_run_uses_the_first_one_s_keys_and_secrets(prepared: PreparedDemo) -> None:
    before = prepared.pori.key.read_bytes(), prepared.shared_wiki.key.read_bytes(), dict(prepared.environment)

    again = prepare(prepared.folder, prepared.ports, shipped_metadata())

    assert (again.pori.key.read_bytes(), again.shared_wiki.key.read_bytes(), dict(again.environment)) == before


def test_the_default_ports_leave_every_document_as_it_is_shipped(demo_keys: Path) -> None:
    prepared = prepare(demo_keys, Ports(), shipped_metadata())

    for document in shipped_metadata().rglob("*.yaml"):
        copy = prepared.documents / document.relative_to(shipped_metadata())
        assert copy.read_text() == document.read_text()


def test_other_ports_are_written_into_the_documents_even_when_they_cross(demo_keys: Path) -> None:
    swapped = Ports(broker=8084, meeting_rooms=8082, shared_wiki=8081, pori=8080, ulvila=8083)

    prepared = prepare(demo_keys, swapped, shipped_metadata())

    rooms = yaml.safe_load((prepared.documents / "services" / "meeting-rooms.yaml").read_text())
    ulvila = yaml.safe_load((prepared.documents / "identity-providers" / "ulvila-entra.yaml").read_text())
    assert rooms["client"]["redirect_uris"] == [f"http://{HOST}:8082/callback"]
    assert ulvila["issuer"] == f"http://{HOST}:8083"


def test_a_document_that_is_no_longer_shipped_disappears(prepared: PreparedDemo) -> None:
    stale = prepared.documents / "organisations" / "gone.yaml"
    stale.write_text("kind: organisation\n")

    prepare(prepared.folder, prepared.ports, shipped_metadata())

    assert not stale.exists()


def test_secrets_are_named_in_the_documents_and_never_written(prepared: PreparedDemo) -> None:
    text = "".join(path.read_text() for path in prepared.documents.rglob("*.yaml"))

    for name, secret in prepared.environment.items():
        assert f"env:{name}" in text
        assert secret not in text
    assert json.loads((prepared.folder / "secrets.json").read_text()).keys() == prepared.environment.keys()


@pytest.mark.parametrize(
    ("document", "role", "files"),
    [
        ("identity-providers/pori-adfs.xml", "IDPSSODescriptor", "pori"),
        ("services/shared-wiki.xml", "SPSSODescriptor", "shared_wiki"),
    ],
)
def test_the_saml_metadata_holds_this_machine_s_certificate(
    prepared: PreparedDemo, document: str, role: str, files: str
) -> None:
    keys: saml_peer.KeyFiles = getattr(prepared, files)
    tree = etree.parse(prepared.documents / document)
    names = {"md": "urn:oasis:names:tc:SAML:2.0:metadata", "ds": "http://www.w3.org/2000/09/xmldsig#"}

    certificates = tree.xpath(f"/md:EntityDescriptor/md:{role}//ds:X509Certificate/text()", namespaces=names)

    pem = keys.certificate.read_text()
    assert certificates
    assert all("".join(each.split()) in "".join(pem.split()) for each in certificates)
    assert x509.load_pem_x509_certificate(pem.encode()).signature_hash_algorithm.name == "sha256"


def test_without_xmlsec1_the_demo_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(DemoUnavailable, match="xmlsec1"):
        prepare(tmp_path / "demo", Ports(), shipped_metadata())


def test_every_person_is_of_an_organisation_that_the_documents_have() -> None:
    organisations = {path.stem for path in (shipped_metadata() / "organisations").glob("*.yaml")}
    services = {path.stem for path in (shipped_metadata() / "services").glob("*.yaml")}
    directories = {
        document["id"]: set(document["organisations"])
        for path in (shipped_metadata() / "identity-providers").glob("*.yaml")
        for document in [yaml.safe_load(path.read_text())]
    }

    for person in PEOPLE:
        assert {person.organisation, person.choose} <= organisations & directories[person.directory]
        assert person.refused.keys() <= services


def test_each_city_has_four_staff() -> None:
    assert sorted(person.directory for person in PEOPLE) == ["pori-adfs"] * 4 + ["ulvila-entra"] * 4


def test_documents_of_the_checkout_are_found() -> None:
    assert (shipped_metadata() / "agreements" / "pori-ulvila-2026.yaml").is_file()
    assert world.shipped_metadata().is_dir()
