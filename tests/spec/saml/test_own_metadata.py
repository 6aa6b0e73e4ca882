"""The broker's two EntityDescriptors (saml-metadata 2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from signxml import XMLVerifier

from broker.keys import keyring
from broker.keys.keyring import KeyRing, KeyUse
from broker.saml.idp.edge import SamlIdentityProvider
from broker.saml.metadata import read_entity_id, read_idp, read_sp
from broker.saml.sp.edge import SamlServiceProvider
from broker.saml.xml import schema
from broker.state.grants import GrantRecords
from broker.state.memory import MemoryStore

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
BASE = "https://broker.example"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
MDUI = "urn:oasis:names:tc:SAML:metadata:ui"
NS = {"md": MD, "mdui": MDUI, "ds": "http://www.w3.org/2000/09/xmldsig#"}


def idp(keys: KeyRing, name: str = "Kuntasilta & co") -> bytes:
    edge = SamlIdentityProvider(
        base_url=BASE,
        keys=keys,
        clock=lambda: NOW,
        clock_skew=timedelta(0),
        saml_names=lambda _: None,
        grants=GrantRecords(MemoryStore()),
        federation_name=name,
    )
    return edge.metadata()


def sp(keys: KeyRing, name: str = "Kuntasilta & co") -> bytes:
    edge = SamlServiceProvider(
        base_url=BASE,
        keys=keys,
        clock=lambda: NOW,
        clock_skew=timedelta(0),
        replay=None,  # type: ignore[arg-type]  # metadata needs none
        fetcher=None,  # type: ignore[arg-type]  # nor this
        federation_name=name,
    )
    return edge.metadata()


@pytest.mark.parametrize("role", [idp, sp])
@pytest.mark.parametrize("name", ["Kuntasilta & co", ""])
def test_metadata_2_both_are_valid_by_the_schemas(keys: KeyRing, role: Any, name: str) -> None:
    schemas = schema({MD: "saml-schema-metadata-2.0.xsd", MDUI: "sstc-saml-metadata-ui-v1.0.xsd"})
    schemas.assertValid(etree.fromstring(role(keys, name)))


@pytest.mark.parametrize("role", [idp, sp])
def test_metadata_3_signed_by_the_metadata_key(keys: KeyRing, role: Any) -> None:
    certificate = keys.active(KeyUse.METADATA_SIGNING).certificate
    assert certificate
    found = XMLVerifier().verify(role(keys), x509_cert=certificate.decode(), id_attribute="ID").signed_xml
    assert found.get("validUntil") == "2027-01-15T12:00:00Z"


def test_metadata_2_4_3_the_identity_provider(keys: KeyRing) -> None:
    found = read_idp(idp(keys))
    assert found.entity_id == read_entity_id(idp(keys), "idp") == f"{BASE}/saml/idp/metadata"
    assert {(each.binding.rpartition(":")[2], each.location) for each in found.single_sign_on_services} == {
        ("HTTP-Redirect", f"{BASE}/saml/idp/sso"),
        ("HTTP-POST", f"{BASE}/saml/idp/sso"),
    }
    assert len(found.signing_keys) == 1


def test_metadata_2_4_4_the_service_provider(keys: KeyRing) -> None:
    found = read_sp(sp(keys))
    assert found.entity_id == read_entity_id(sp(keys), "sp") == f"{BASE}/saml/sp/metadata"
    post, artifact = found.assertion_consumer_services
    assert (post.location, post.is_default) == (f"{BASE}/saml/sp/acs", True)
    assert (artifact.location, artifact.index) == (f"{BASE}/saml/sp/acs", 1)
    assert found.authn_requests_signed
    assert found.want_assertions_signed
    assert found.encryption_key is not None


def test_mdui_2_1_the_federation_s_name_in_each_language(keys: KeyRing) -> None:
    names = etree.fromstring(idp(keys)).findall(".//mdui:DisplayName", NS)
    assert [(each.get("{http://www.w3.org/XML/1998/namespace}lang"), each.text) for each in names] == [
        ("fi", "Kuntasilta & co"),
        ("sv", "Kuntasilta & co"),
        ("en", "Kuntasilta & co"),
    ]


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


def test_what_was_encrypted_for_the_previous_key_is_opened(upstream: Any, tool: Any, tmp_path: Path) -> None:
    keyring.create(tmp_path, common_name="broker.example", now=NOW)
    old = keyring.load(tmp_path).active(KeyUse.SAML_ENCRYPTION).certificate
    keyring.create_next(tmp_path, KeyUse.SAML_ENCRYPTION, common_name="broker.example", now=NOW)
    keyring.rotate(tmp_path, KeyUse.SAML_ENCRYPTION)

    rolled = tool.Upstream(keyring.load(tmp_path), upstream.pairs, upstream.idp, upstream.federation)

    assert rolled.post(rolled.encrypted(rolled.draft, encryption_key=old)).subject == "pori-4711"
