"""Quirks: named after the product that needs them, checked when a document is read."""

from __future__ import annotations

from broker.federation.quirks import QUIRKS

PRODUCTS = ("adfs", "entra-id", "google", "keycloak", "shibboleth", "simplesamlphp")


def test_every_quirk_names_its_product_and_says_why() -> None:
    for name, quirk in QUIRKS.items():
        assert name.startswith(PRODUCTS)
        assert quirk.why
