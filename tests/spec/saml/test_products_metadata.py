"""Metadata in the shapes that products really publish: what is read out of each (saml-metadata 2.4)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.federation.documents import UnreadableMetadata
from broker.saml.metadata import read_facts, read_idp, read_sp

VECTORS = Path(__file__).parents[2] / "vectors" / "metadata"


@dataclass(frozen=True, kw_only=True)
class Idp:
    """``ways``: SingleSignOnServices that we could use."""

    entity_id: str
    sso: str
    keys: int = 1
    ways: int = 2
    wants_signed: bool = False
    resolves: bool = False
    valid_until: str = ""


@dataclass(frozen=True, kw_only=True)
class Sp:
    """``acs``: the locations at which an answer may arrive."""

    entity_id: str
    acs: tuple[str, ...]
    keys: int = 1
    encrypts: bool = False
    signs_requests: bool = False
    want_signed: bool | None = None
    prefers: tuple[str, ...] = ()
    attribute_sets: int = 0


IDPS = {
    "adfs": Idp(entity_id="http://sts.pori.example/adfs/services/trust", sso="https://sts.pori.example/adfs/ls/"),
    "entra-id": Idp(
        entity_id="https://sts.windows.net/7b0d4f57-5d5e-4c4f-9c38-0a8a5c2b7d01/",
        sso="https://login.ulvila.example/7b0d4f57-5d5e-4c4f-9c38-0a8a5c2b7d01/saml2",
    ),
    "keycloak": Idp(
        entity_id="https://sso.porvoo.example/realms/porvoo",
        sso="https://sso.porvoo.example/realms/porvoo/protocol/saml",
        wants_signed=True,
        resolves=True,
    ),
    "shibboleth-idp": Idp(
        entity_id="https://idp.hameenlinna.example/idp/shibboleth",
        sso="https://idp.hameenlinna.example/idp/profile/SAML2/Redirect/SSO",
        keys=2,
        resolves=True,
        valid_until="2036-11-01T09:00:00+00:00",
    ),
    "simplesamlphp": Idp(
        entity_id="https://idp.loviisa.example/simplesaml/saml2/idp/metadata.php",
        sso="https://idp.loviisa.example/simplesaml/saml2/idp/SSOService.php",
        ways=1,
    ),
    "google-workspace": Idp(
        entity_id="https://accounts.kauniainen.example/o/saml2?idpid=C0abc12de",
        sso="https://accounts.kauniainen.example/o/saml2/idp?idpid=C0abc12de",
        valid_until="2031-05-20T08:00:00+00:00",
    ),
}
SPS = {
    "adfs": Sp(
        entity_id="http://sts.pori.example/adfs/services/trust",
        acs=("https://sts.pori.example/adfs/ls/",),
        encrypts=True,
        want_signed=True,
    ),
    "mod-auth-mellon": Sp(
        entity_id="https://wiki.example/wiki/mellon/metadata",
        acs=("https://wiki.example/wiki/mellon/postResponse", "https://wiki.example/wiki/mellon/artifactResponse"),
        encrypts=True,
        signs_requests=True,
        want_signed=True,
    ),
    "shibboleth-sp": Sp(
        entity_id="https://library.example/shibboleth",
        acs=(
            "https://library.example/Shibboleth.sso/SAML2/POST",
            "https://library.example/Shibboleth.sso/SAML2/Artifact",
        ),
        encrypts=True,
        prefers=("ecdsa-sha512", "rsa-sha512", "rsa-sha256", "rsa-sha1"),
    ),
    "keycloak-client": Sp(
        entity_id="https://case.example/saml", acs=("https://case.example/saml/acs",), keys=0, want_signed=False
    ),
    "pysaml2": Sp(
        entity_id="https://archive.example/sp",
        acs=("https://archive.example/acs",),
        signs_requests=True,
        want_signed=True,
        attribute_sets=1,
    ),
}


def vector(name: str) -> bytes:
    return (VECTORS / f"{name}.xml").read_bytes()


@pytest.mark.parametrize("name", IDPS)
def test_metadata_2_4_3_a_city_s_product(name: str) -> None:
    found = read_idp(vector(name))
    usable = [each for each in found.single_sign_on_services if each.binding.endswith(("HTTP-Redirect", "HTTP-POST"))]
    assert (
        Idp(
            entity_id=found.entity_id,
            sso=found.single_sign_on_service.location,
            keys=len(found.signing_keys),
            ways=len(usable),
            wants_signed=found.want_authn_requests_signed,
            resolves=read_facts(vector(name), "idp").resolves_artifacts,
            valid_until=found.valid_until.isoformat() if found.valid_until else "",
        )
        == IDPS[name]
    )


@pytest.mark.parametrize("name", SPS)
def test_metadata_2_4_4_a_service_s_product(name: str) -> None:
    found = read_sp(vector(name))
    assert (
        Sp(
            entity_id=found.entity_id,
            acs=tuple(each.location for each in found.assertion_consumer_services),
            keys=len(found.signing_keys),
            encrypts=found.encryption_key is not None,
            signs_requests=found.authn_requests_signed,
            want_signed=found.want_assertions_signed,
            prefers=tuple(each.rpartition("#")[2] for each in found.signing_methods),
            attribute_sets=len(found.attribute_consuming_services),
        )
        == SPS[name]
    )


def test_every_vector_is_expected() -> None:
    assert {each.stem for each in VECTORS.glob("*.xml")} == IDPS.keys() | SPS.keys()


@pytest.mark.parametrize("name", sorted(IDPS.keys() - SPS.keys()))
def test_a_city_s_metadata_at_a_service_s_place_is_said_to_be_there(name: str) -> None:
    with pytest.raises(UnreadableMetadata, match="is it in the right place"):
        read_sp(vector(name))


def test_loading_one_partner_s_metadata_costs_nothing_for_the_others() -> None:
    """Each content is read once in a process: a new revision reads what is new in it."""
    for name in IDPS:
        read_idp(vector(name))
    before = read_idp.cache_info().misses
    changed = vector("keycloak").replace(b"porvoo.example", b"porvoo2.example")

    for content in (*(vector(name) for name in IDPS), changed):
        read_idp(content)

    assert read_idp.cache_info().misses == before + 1


@given(
    name=st.sampled_from(sorted(IDPS)),
    at=st.floats(0, 1),
    length=st.integers(0, 40),
    inserted=st.binary(max_size=20) | st.sampled_from([b"<x>", b"</md:x>", b'"', b"&amp;", b"<!--x-->", b"<?x?>"]),
)
@settings(max_examples=200, deadline=None)
def test_P9_whatever_is_changed_in_it_is_read_or_refused_with_a_reason(
    name: str, at: float, length: int, inserted: bytes
) -> None:
    content = vector(name)
    start = int(at * len(content))
    changed = content[:start] + inserted + content[start + length :]
    reason, found = "", None
    try:
        found = read_idp(changed)
    except UnreadableMetadata as error:
        reason = str(error)
    assert reason or (found and found.entity_id and found.signing_keys)
