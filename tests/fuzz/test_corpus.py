"""Every target over the whole corpus, once: what was found stays found. ``make fuzz`` goes on from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(path.relative_to(CORPUS).as_posix() for path in CORPUS.glob("*/*"))


def test_each_target_has_a_corpus() -> None:
    assert {each.partition("/")[0] for each in INPUTS} == set(TARGETS)


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_is_read_or_refused(name: str) -> None:
    TARGETS[name.partition("/")[0]]((CORPUS / name).read_bytes())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("octets", [b"", b"\x00", b"\xff\xfe", b"{}", b"<x/>", b"=", b"\xed\xa0\x80"])
def test_the_smallest_nonsense_is_read_or_refused(target: str, octets: bytes) -> None:
    TARGETS[target](octets)
