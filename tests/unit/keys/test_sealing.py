"""Sealing: only the broker reads again what it sealed, for the same purpose and thing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.keys.sealing import SealBroken, Sealer

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
ABOUT = "rooms"


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_was_sealed_is_read_again(plain: bytes, about: str) -> None:
    assert Sealer(KEY, "person").open(Sealer(KEY, "person").seal(plain, about), about) == plain


@pytest.mark.parametrize(
    ("sealer", "about"),
    [(Sealer(OTHER_KEY, "person"), ABOUT), (Sealer(KEY, "session"), ABOUT), (Sealer(KEY, "person"), "wiki")],
    ids=["another key", "another purpose", "another thing"],
)
def test_a_seal_opens_for_nothing_else(sealer: Sealer, about: str) -> None:
    sealed = Sealer(KEY, "person").seal(b"Aino", ABOUT)
    with pytest.raises(SealBroken):
        sealer.open(sealed, about)


@given(st.integers(0, 31), st.integers(1, 255))
def test_a_changed_seal_does_not_open(place: int, change: int) -> None:
    sealed = bytearray(Sealer(KEY, "person").seal(b"Aino", ABOUT))
    sealed[place] ^= change
    with pytest.raises(SealBroken):
        Sealer(KEY, "person").open(bytes(sealed), ABOUT)


@given(st.binary(max_size=40))
def test_whatever_else_is_no_seal(octets: bytes) -> None:
    with pytest.raises(SealBroken):
        Sealer(KEY, "person").open(octets, ABOUT)


def test_SP_800_38D_8_2_no_two_seals_are_alike() -> None:
    sealer = Sealer(KEY, "person")
    assert len({sealer.seal(b"Aino", ABOUT) for _ in range(1000)}) == 1000
