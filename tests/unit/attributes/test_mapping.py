"""attributes.md 1.2, 1.3, 2.4 and 5: rules, limits, derivations and what an operator may add."""

from __future__ import annotations

from typing import Any

import pytest

from broker.attributes.mapping import MAX_NAMES_TRACED, map_attributes
from broker.attributes.trace import TraceStep, Verdict
from broker.federation.model import AttributeRule, OrganisationFrom, SubjectRule


def _notes(trace: list[TraceStep], subject: str, verdict: Verdict = Verdict.DROPPED) -> list[str]:
    return [step.note for step in trace if step.subject == subject and step.verdict is verdict]


def test_an_identity_providers_rule_overrides_the_dialects(
    trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    idp = an_idp(attributes=(AttributeRule(attribute="title", sources=("nimike",)),))

    mapped = map_attributes(an_assertion({"title": ("Boss",), "nimike": ("Johtaja",)}), idp, trace)

    assert mapped["title"] == ("Johtaja",)
    assert TraceStep(stage="map", subject="title", verdict=Verdict.MAPPED, rule="nimike") in trace


def test_the_first_source_that_has_a_value_wins(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    idp = an_idp(attributes=(AttributeRule(attribute="title", sources=("a", "b", "c")),))

    mapped = map_attributes(an_assertion({"a": ("", " "), "b": ("B",), "c": ("C",)}), idp, trace)

    assert mapped["title"] == ("B",)


@pytest.mark.parametrize(
    ("transform", "sent", "canonical"),
    [
        ("lower", "ABC", "abc"),
        ("upper", "abc", "ABC"),
        ("trim", " abc ", "abc"),
        ("left-of-at", "abc@pori.fi", "abc"),
        ("right-of-at", "abc@pori.fi", "pori.fi"),
        ("scope:pori.fi", "abc", "abc@pori.fi"),
        ("scope:pori.fi", "abc@ulvila.fi", "abc@ulvila.fi"),
        ("language", "sv-FI;q=0.9, fi", "sv-FI"),
        ("e164-fi", "040 123-4567", "+358401234567"),
        ("e164-fi", "00358401234567", "+358401234567"),
        ("e164-fi", "+358 (0)40 1234567", "+358401234567"),
        ("e164-fi", "112", "112"),
    ],
)
def test_a_transform_of_the_closed_set(
    transform: str, sent: str, canonical: str, trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    idp = an_idp(attributes=(AttributeRule(attribute="title", sources=("t",), transforms=(transform,)),))

    assert map_attributes(an_assertion({"t": (sent,)}), idp, trace)["title"] == (canonical,)


@pytest.mark.parametrize(("transform", "sent"), [("left-of-at", "@x"), ("right-of-at", "abc"), ("language", ";q=1")])
def test_a_transform_that_leaves_nothing_drops_the_value(
    transform: str, sent: str, trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    idp = an_idp(attributes=(AttributeRule(attribute="title", sources=("t",), transforms=(transform,)),))

    assert "title" not in map_attributes(an_assertion({"t": (sent,)}), idp, trace)
    assert _notes(trace, "title") == ["1 value: nothing left by the transforms"]


def test_a_table_takes_its_own_values_and_drops_others(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    table = {"Staff": "employee", "Council": "elected-official"}
    idp = an_idp(attributes=(AttributeRule(attribute="personType", sources=("roles",), table=table),))

    mapped = map_attributes(an_assertion({"roles": ("Staff", "Wizard", "Council")}), idp, trace)

    assert mapped["personType"] == ("employee", "elected-official")
    assert _notes(trace, "personType") == ["1 value: not in the table"]


def test_a_joined_string_is_split(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    idp = an_idp(attributes=(AttributeRule(attribute="department", sources=("units",), split=";"),))

    assert map_attributes(an_assertion({"units": ("A; B;;C",)}), idp, trace)["department"] == ("A", "B", "C")


def test_a_constant_needs_no_source(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    idp = an_idp(attributes=(AttributeRule(attribute="preferredLanguage", constant=("sv",)),))

    assert map_attributes(an_assertion(), idp, trace)["preferredLanguage"] == ("sv",)


def test_1_2_an_empty_value_makes_no_attribute(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    assert map_attributes(an_assertion({"displayName": ("",), "title": ()}), an_idp(), trace) == {}


def test_1_3_at_most_128_values_of_an_attribute(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    sent = {"title": tuple(f"Title {number}" for number in range(130))}

    assert len(map_attributes(an_assertion(sent), an_idp(), trace)["title"]) == 128
    assert _notes(trace, "title") == ["2 values: more than 128 values"]


def test_1_3_at_most_512_entitlements(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    sent = {"eduPersonEntitlement": tuple(f"urn:x:group:{number}#pori.fi" for number in range(600))}

    assert len(map_attributes(an_assertion(sent), an_idp(), trace)["entitlement"]) == 512


def test_1_3_a_record_of_at_most_64_kib(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    long = tuple(f"{number:03}" + "ö" * 250 for number in range(128))
    sent = {"title": long, "ou": long, "mailLocalAddress": long, "mail": ("a@pori.fi",)}

    mapped = map_attributes(an_assertion(sent), an_idp(), trace)

    size = sum(len(value.encode()) for values in mapped.values() for value in values)
    assert 60_000 < size <= 64 * 1024
    assert any("the record is longer" in step.note for step in trace)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(("x" * 1_000_000,), id="1_MB"),
        pytest.param(("\u202ex",), id="bidi"),
        pytest.param(("\x00",), id="nul"),
    ],
)
def test_1_3_a_monstrous_value_is_dropped(
    values: tuple[str, ...], trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    assert "title" not in map_attributes(an_assertion({"title": values}), an_idp(), trace)
    assert len(_notes(trace, "title")) == 1


def test_1_3_ten_thousand_values_cost_a_bounded_amount(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    mapped = map_attributes(an_assertion({"title": tuple(str(n) for n in range(10_000))}), an_idp(), trace)

    assert len(mapped["title"]) == 128
    assert "8976 values: more than 1024 values" in _notes(trace, "title")


def test_several_values_of_an_identifier_are_none(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    mapped = map_attributes(an_assertion({"employeeNumber": ("1", "2")}), an_idp(), trace)

    assert "employeeNumber" not in mapped
    assert _notes(trace, "employeeNumber") == ["2 values: several values where one is meant"]


def test_the_same_value_twice_is_one(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    assert map_attributes(an_assertion({"employeeNumber": ("1", "1")}), an_idp(), trace)["employeeNumber"] == ("1",)


def test_unknown_attributes_are_counted_by_name_and_their_names_bounded(
    trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    sent = {f"x{number}": ("secret value",) for number in range(MAX_NAMES_TRACED + 7)} | {"evil\nname": ("a", "b")}

    map_attributes(an_assertion(dict(reversed(sent.items()))), an_idp(), trace)

    unknown = [step for step in trace if step.verdict is Verdict.NOT_MAPPED]
    assert len(unknown) == MAX_NAMES_TRACED + 1
    assert unknown[0].subject == "evil\ufffdname"
    assert unknown[0].note == "2 values: no rule names it"
    assert unknown[-1].note == "8 more attributes that no rule names"
    assert not any("secret" in step.note for step in trace)


def test_what_decides_the_organisation_or_the_key_is_not_unknown(
    trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    idp = an_idp(
        organisation_from=OrganisationFrom(source="unit"), subject=SubjectRule(keyspace="hr", source="personId")
    )

    map_attributes(an_assertion({"UNIT": ("pori",), "personid": ("1",)}), idp, trace)

    assert trace == []


@pytest.mark.parametrize(
    ("kind", "affiliations"),
    [
        ("employee", ("employee", "staff", "member")),
        ("office-holder", ("employee", "staff", "member")),
        ("teacher", ("employee", "faculty", "member")),
        ("elected-official", ("affiliate",)),
        ("trainee", ("affiliate",)),
        ("contractor", ("affiliate",)),
        ("student", ("student", "member")),
        ("guest", ("affiliate",)),
    ],
)
def test_2_4_a_kind_of_person_tells_the_affiliations(
    kind: str, affiliations: tuple[str, ...], trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    idp = an_idp(attributes=(AttributeRule(attribute="personType", sources=("kind",)),))

    assert map_attributes(an_assertion({"kind": (kind,)}), idp, trace)["affiliationUnscoped"] == affiliations


def test_2_4_employee_is_never_guessed(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    mapped = map_attributes(an_assertion({"mail": ("a@pori.fi",)}), an_idp(), trace)

    assert mapped.keys() == {"mail"}


def test_2_4_groups_of_the_home_are_not_passed_on(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    sent = ("Admins", "urn:geant:x:group:admins", "https://wiki.example/admin", "urn:geant:x:group:a#pori.fi")

    mapped = map_attributes(an_assertion({"eduPersonEntitlement": sent}), an_idp(), trace)

    assert mapped["entitlement"] == ("urn:geant:x:group:a#pori.fi",)


def test_2_4_an_operator_maps_groups_by_a_table(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    table = {"cn=wiki,dc=pori": "https://wiki.example/admin"}
    idp = an_idp(attributes=(AttributeRule(attribute="entitlement", sources=("memberOf",), table=table),))

    mapped = map_attributes(an_assertion({"memberOf": ("cn=wiki,dc=pori", "cn=all,dc=pori")}), idp, trace)

    assert mapped["entitlement"] == ("https://wiki.example/admin",)


def test_4_assurance_without_its_base_value_is_dropped(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    sent = {"eduPersonAssurance": ("https://refeds.org/assurance/ID/unique",)}

    assert map_attributes(an_assertion(sent), an_idp(), trace) == {}
