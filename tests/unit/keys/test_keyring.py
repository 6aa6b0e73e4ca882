"""The broker's keys: made once, never readable by others, rolled over next → active → previous."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from broker.keys import keyring
from broker.keys.keyring import KeyRingError, KeyState, KeyUse

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    keyring.create(tmp_path, common_name="broker.example", now=NOW)
    return tmp_path


def test_create_makes_what_is_missing_and_nothing_else(certs: Path) -> None:
    before = {path: path.read_bytes() for path in certs.rglob("*") if path.is_file()}
    (certs / "saml-signing" / "active.key.pem").unlink()
    (certs / "saml-signing" / "active.crt.pem").unlink()
    made = keyring.create(certs, common_name="broker.example", now=NOW)
    assert {path.name for path in made} == {"active.key.pem", "active.crt.pem"}
    assert {path.parent.name for path in made} == {"saml-signing"}
    unchanged = {path: content for path, content in before.items() if path not in made}
    assert {path: path.read_bytes() for path in unchanged} == unchanged


def test_every_private_file_is_readable_by_its_owner_alone(certs: Path) -> None:
    assert {oct(path.stat().st_mode & 0o777) for path in certs.rglob("*") if path.is_file()} == {"0o600"}


def test_a_key_that_others_may_read_is_refused(certs: Path) -> None:
    path = certs / "oidc-signing" / "active.rsa.key.pem"
    path.chmod(0o644)
    with pytest.raises(KeyRingError, match=r"active\.rsa\.key\.pem: others may read it .*chmod 600"):
        keyring.load(certs)


def test_a_missing_key_is_named_with_the_command_that_makes_it(certs: Path) -> None:
    (certs / "subject-identifiers" / "pairwise.key").unlink()
    with pytest.raises(KeyRingError, match=r"pairwise\.key: missing; make the keys with `broker keys create`"):
        keyring.load(certs)


def test_active_gives_a_key_of_the_algorithm_asked(certs: Path) -> None:
    ring = keyring.load(certs)
    assert isinstance(ring.active(KeyUse.OIDC_SIGNING).private, rsa.RSAPrivateKey)
    assert isinstance(ring.active(KeyUse.OIDC_SIGNING, ec.EllipticCurvePrivateKey).private, ec.EllipticCurvePrivateKey)


def test_rollover_moves_next_to_active_to_previous(certs: Path) -> None:
    first = keyring.load(certs).active(KeyUse.SAML_SIGNING).kid
    keyring.create_next(certs, KeyUse.SAML_SIGNING, common_name="broker.example", now=NOW)
    published = keyring.load(certs).published(KeyUse.SAML_SIGNING)
    assert [key.state for key in published] == [KeyState.ACTIVE, KeyState.NEXT]
    second = published[1].kid
    keyring.rotate(certs, KeyUse.SAML_SIGNING)
    after = keyring.load(certs).published(KeyUse.SAML_SIGNING)
    assert [(key.state, key.kid) for key in after] == [(KeyState.ACTIVE, second), (KeyState.PREVIOUS, first)]


def test_an_ec_key_comes_beside_the_rsa_key_and_rolls_over_by_itself(certs: Path) -> None:
    before = keyring.load(certs).active(KeyUse.SAML_SIGNING).kid
    keyring.create_next_ec(certs, common_name="broker.example", now=NOW)
    with pytest.raises(KeyRingError, match="a next key is there already"):
        keyring.create_next_ec(certs, common_name="broker.example", now=NOW)
    assert [key.kid for key in keyring.load(certs).all_active(KeyUse.SAML_SIGNING)] == [before]

    keyring.rotate(certs, KeyUse.SAML_SIGNING)

    first, second = keyring.load(certs).all_active(KeyUse.SAML_SIGNING)
    assert first.kid == before
    assert keyring.kind_of(second) == "EC secp256r1"
    assert second.certificate

    keyring.create_next(certs, KeyUse.SAML_SIGNING, common_name="broker.example", now=NOW)
    keyring.rotate(certs, KeyUse.SAML_SIGNING)
    found = [(key.state, keyring.is_rsa(key)) for key in keyring.load(certs).published(KeyUse.SAML_SIGNING)]
    assert found == [(KeyState.ACTIVE, True), (KeyState.ACTIVE, False), (KeyState.PREVIOUS, True)]


def test_rollover_without_a_next_key_is_refused_and_moves_nothing(certs: Path) -> None:
    before = keyring.load(certs).active(KeyUse.OIDC_SIGNING).kid
    with pytest.raises(KeyRingError, match="no next key"):
        keyring.rotate(certs, KeyUse.OIDC_SIGNING)
    assert keyring.load(certs).active(KeyUse.OIDC_SIGNING).kid == before


def test_a_second_next_key_is_refused(certs: Path) -> None:
    keyring.create_next(certs, KeyUse.OIDC_SIGNING, common_name="broker.example", now=NOW)
    with pytest.raises(KeyRingError, match="a next key is there already"):
        keyring.create_next(certs, KeyUse.OIDC_SIGNING, common_name="broker.example", now=NOW)


def test_p7_a_key_ring_shows_no_secret_when_printed(certs: Path) -> None:
    ring = keyring.load(certs)
    assert ring.subject.subject.hex() not in repr(ring)
    assert "PRIVATE" not in repr(ring)
