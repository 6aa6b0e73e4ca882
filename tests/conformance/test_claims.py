"""``docs/reference/conformance.md`` names tests; each one exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs/reference/conformance.md").read_text(encoding="utf-8")
TESTS = [
    path.read_text(encoding="utf-8")
    for folder in ("attacks", "conformance", "interop", "spec", "stories")
    for path in (PROJECT / "tests" / folder).rglob("test_*.py")
    if "node_modules" not in path.parts
]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", PAGE))))
def test_the_page_of_claims_names_tests_that_exist(name: str) -> None:
    assert any(f"def {name}(" in text for text in TESTS)


def test_the_page_of_claims_says_of_every_module_how_it_is_tested() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert all("`test_" in row for row in rows)
