"""Monograms: two letters for each organisation, told apart as far as its name allows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.federation.model import Organisation, OrganisationId, ServiceId
from broker.web.views import monograms, service_monogram
from tests.unit.web.parties import SERVICES


def named(**names: str) -> list[Organisation]:
    return [Organisation(id=OrganisationId(id), name={"fi": name}) for id, name in names.items()]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"pori": "Pori"}, {"pori": "Pr"}),
        ({"a": "Pori", "b": "Porvoo", "c": "Parainen"}, {"a": "Pr", "b": "Pv", "c": "Pn"}),
        ({"b": "Pori", "a": "Porvoo"}, {"a": "Pr", "b": "Po"}),
        ({"a": "Ii", "b": "Ii"}, {"a": "Ii", "b": "I"}),
        ({"a": "Äänekoski"}, {"a": "Än"}),
        ({"a": "  1. (testi)"}, {"a": "Ts"}),
        ({"a": "2026"}, {"a": "–"}),
        ({"a": "A\u030ahus"}, {"a": "Åh"}),
        ({"a": "<script>"}, {"a": "Sc"}),
    ],
)
def test_initial_and_the_next_consonant_that_no_earlier_one_has(
    names: dict[str, str], expected: dict[str, str]
) -> None:
    assert monograms(named(**names)) == expected


def test_the_short_name_is_what_people_know() -> None:
    organisation = replace(named(pori="Porin kaupunki")[0], short_name={"sv": "Björneborg"})
    assert monograms([organisation]) == {"pori": "Bj"}


def test_the_order_in_which_they_come_does_not_matter() -> None:
    organisations = named(**{f"o{number}": name for number, name in enumerate(["Pori", "Porvoo", "Parkano", "Pori"])})
    assert monograms(organisations) == monograms(reversed(organisations))


@pytest.mark.parametrize(
    ("id", "letters"),
    [("shared-wiki", "Sw"), ("wiki", "Wi"), ("a", "A"), ("a--b", "Ab"), ("a-b-c", "Ab"), ("w-", "W-")],
)
def test_a_service_has_the_initials_of_its_id(id: str, letters: str) -> None:
    assert service_monogram(replace(SERVICES[0], id=ServiceId(id))) == letters
