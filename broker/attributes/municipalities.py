"""Statistics Finland's classification of municipalities: which numbers exist. Shipped as dated data.

The classification changes at 1 January. To bring it up to date, replace ``data/municipalities.csv`` by the
classification of the new year (its first line holds the date).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources


def names() -> Mapping[str, str]:
    """The Finnish name of every municipality by its number, three digits."""
    return _read()[1]


def date() -> str:
    """The day from which the shipped classification holds: ``2026-01-01``."""
    return _read()[0]


@cache
def _read() -> tuple[str, Mapping[str, str]]:
    content = resources.files("broker.attributes").joinpath("data/municipalities.csv").read_text(encoding="utf-8")
    first, *lines = content.splitlines()
    return first.rpartition(" ")[2], dict(line.split(",", 1) for line in lines if not line.startswith("#"))
