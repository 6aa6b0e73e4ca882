"""Quirks: named after the product that needs them, checked when a document is read."""

from __future__ import annotations

from pathlib import Path

from broker.attributes import dialects
from broker.federation.quirks import QUIRKS

PRODUCTS = ("adfs", "entra-id", "google", "keycloak", "shibboleth", "simplesamlphp")


def test_every_quirk_names_its_product_and_says_why() -> None:
    for name, quirk in QUIRKS.items():
        assert name.startswith(PRODUCTS)
        assert quirk.why


def test_every_quirk_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "add-a-city.md").read_text(encoding="utf-8")
    assert [name for name in QUIRKS if f"| `{name}` |" not in page] == []


def test_a_dialect_names_known_quirks_only() -> None:
    for name in dialects.names():
        assert dialects.load(name).quirks <= QUIRKS.keys()
