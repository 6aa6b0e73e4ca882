"""What the two demo services have in common beside their look: their start page and the organisations it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from broker.demo.page import language_of

START: Final = "/"
_ORGANISATIONS: Mapping[str, Mapping[str, str]] = {
    "pori": {"en": "City of Pori", "fi": "Porin kaupunki"},
    "ulvila": {"en": "City of Ulvila", "fi": "Ulvilan kaupunki"},
}


def organisations_to_name(request: web.Request) -> list[tuple[str, str]]:
    """Ids and names of the organisations that a service may name beforehand."""
    return [(id, names[language_of(request)]) for id, names in _ORGANISATIONS.items()]
