"""jose: what we sign can be read by our own published keys, through a rollover too, and by nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest
from jwt.algorithms import RSAAlgorithm

from broker.keys import keyring
from broker.keys.keyring import KeyRing, KeyRingError, KeyUse
from broker.oidc import jose
from broker.oidc.jose import KeySetUnusable, KeyUnknown, Signer
from tests.unit.oidc.parties import NOW, RSA_KEY, make_keys, public_jwk


@pytest.mark.parametrize("algorithm", list(jose.SIGNING_KEYS))
def test_a_token_of_ours_is_read_by_our_keys(keys: KeyRing, algorithm: str) -> None:
    signer = Signer(keys)
    claims, used = jose.verify(signer.sign({"a": "ä"}, algorithm), signer.key_set())
    assert (claims["a"], used) == ("ä", algorithm)


def test_an_algorithm_without_a_key_is_an_error(keys: KeyRing) -> None:
    with pytest.raises(KeyRingError):
        Signer(keys).sign({}, "HS256")


def test_a_rollover_publishes_the_next_key_first_and_the_previous_one_still(tmp_path: Path) -> None:
    before = make_keys(tmp_path)
    signed_before = Signer(before).sign({}, "RS256")
    keyring.create_next(tmp_path, KeyUse.OIDC_SIGNING, common_name="x", now=NOW)
    announced = Signer(keyring.load(tmp_path))
    keyring.rotate(tmp_path, KeyUse.OIDC_SIGNING)
    after = Signer(keyring.load(tmp_path))

    # Who fetched the keys before the rotation knows the key that signs after it, and the other way round.
    jose.verify(after.sign({}, "RS256"), announced.key_set())
    jose.verify(signed_before, after.key_set())
    with pytest.raises(KeyUnknown):
        jose.verify(after.sign({}, "RS256"), Signer(before).key_set())


def test_core_3_1_3_6_half_hashes() -> None:
    """The example of OpenID Connect Core A.3."""
    assert jose.half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256") == "77QmUPtjPfzWtF2AnpK9RQ"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": null}', b"\xff", b"[" * 99_999])
def test_rfc7517_5_what_is_no_key_set_is_refused(body: bytes) -> None:
    with pytest.raises(KeySetUnusable):
        jose.read_key_set(body)


def test_rfc7517_5_members_that_are_no_keys_are_left_out() -> None:
    with pytest.raises(KeyUnknown):
        jose.read_key_set(b'{"keys": [null, 1, "x", []]}').find(None, "RS256")


def test_of_two_keys_with_one_kid_none_is_meant() -> None:
    twice = jose.KeySet([public_jwk(RSA_KEY, kid="k"), public_jwk(RSA_KEY, kid="k")])
    with pytest.raises(KeyUnknown):
        twice.find("k", "RS256")


def test_a_key_is_parsed_once() -> None:
    keys = jose.KeySet([public_jwk(RSA_KEY, kid="k")])
    assert keys.find("k", "RS256") is keys.find("k", "RS256")


def test_a_private_key_in_a_partners_set_is_read_as_its_public_half() -> None:
    leaked = {**RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True), "kid": "k"}
    assert jose.KeySet([leaked]).find("k", "RS256") == RSA_KEY.public_key()
