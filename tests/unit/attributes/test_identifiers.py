"""By which of a person's identities a service knows them after a change of login product or a merger; promises P3 and P4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from broker.attributes import schema
from broker.attributes.identifiers import Kept, Subjects, lookup
from broker.attributes.release import follows, release
from broker.attributes.subject import Subject, pairwise_id, subject_id
from broker.attributes.trace import TraceStep, Verdict
from broker.errors import BrokerFault, KeptScopeLost
from broker.federation.model import Organisation, OrganisationId
from broker.keys.keyring import SubjectKeys

TODAY = date(2026, 3, 1)
LAST_DAY = date(2026, 3, 31)
AFTER = LAST_DAY + timedelta(days=1)
PORI = OrganisationId("pori")
BOTH = ("previousPairwiseId", "previousSubjectId")


def kept(key: str = "old", keyspace: str = "pori-adfs", organisation: str = "pori", **changes: Any) -> Kept:
    return Kept(organisation=OrganisationId(organisation), keyspace=keyspace, key=key, **{"migration": 1, **changes})


def keeping(keys: SubjectKeys, older: Kept, key: str = "10417", keyspace: str = "pori-hr") -> Subjects:
    return Subjects(keys=keys, kept={lookup(keys, "pori", keyspace, key): older}, number=1)


def names(
    keys: SubjectKeys, service: Any, key: str, keyspace: str, scope: str = "pori.fi", organisation: str = "pori"
) -> tuple[str, str]:
    """subject-id and pairwise-id of an identity."""
    own = Subject(organisation=OrganisationId(organisation), keyspace=keyspace, key=key, scope=scope)
    return subject_id(keys, own), pairwise_id(keys, own, service)


Told = Mapping[str, tuple[str, ...]]


def told(
    subjects: Subjects, service: Any, home: Organisation, identity: Any, today: date = TODAY
) -> tuple[tuple[str, str], Told]:
    found = release(identity, service, home, subjects, today, [])
    return (found.subject_id, found.pairwise_id), {
        name: values for name, values in found.attributes.items() if name in BOTH
    }


def test_who_is_in_no_migration_is_known_as_ever(
    keys: SubjectKeys, pori: Organisation, an_identity: Any, a_service: Any
) -> None:
    subjects = keeping(keys, kept(), key="another")

    assert told(subjects, a_service(*BOTH), pori, an_identity()) == (
        names(keys, a_service(), "10417", "pori-hr"),
        {},
    )


@pytest.mark.parametrize("day", [TODAY, date(2046, 1, 1)])
def test_7_without_a_last_day_the_old_identifiers_stay_for_good(
    day: date, keys: SubjectKeys, pori: Organisation, an_identity: Any, a_service: Any
) -> None:
    subjects = keeping(keys, kept())

    for service in (a_service(), a_service(*BOTH)):
        assert told(subjects, service, pori, an_identity(), day) == (names(keys, service, "old", "pori-adfs"), {})


@pytest.mark.parametrize("attribute", BOTH)
def test_a_service_that_can_follow_gets_the_new_identifier_and_the_old_one_beside_it_until_the_last_day(
    attribute: str, keys: SubjectKeys, pori: Organisation, an_identity: Any, a_service: Any
) -> None:
    subjects, service = keeping(keys, kept(until=LAST_DAY)), a_service(attribute)
    old, new = names(keys, service, "old", "pori-adfs"), names(keys, service, "10417", "pori-hr")
    beside = {"previousSubjectId": old[0], "previousPairwiseId": old[1]}[attribute]

    for day in (TODAY, LAST_DAY):
        assert told(subjects, service, pori, an_identity(), day) == (new, {attribute: (beside,)})
    assert told(subjects, service, pori, an_identity(), AFTER) == (new, {})


def test_any_other_service_gets_the_old_identifier_until_the_last_day_and_then_the_new_one(
    keys: SubjectKeys, pori: Organisation, an_identity: Any, a_service: Any
) -> None:
    subjects, service = keeping(keys, kept(until=LAST_DAY)), a_service("mail")

    for day, key, keyspace in (
        (TODAY, "old", "pori-adfs"),
        (LAST_DAY, "old", "pori-adfs"),
        (AFTER, "10417", "pori-hr"),
    ):
        assert told(subjects, service, pori, an_identity(), day) == (names(keys, service, key, keyspace), {})


def test_P4_the_older_identifier_goes_only_to_who_registered_it(
    keys: SubjectKeys, pori: Organisation, an_identity: Any, a_service: Any, trace: list[TraceStep]
) -> None:
    subjects = keeping(keys, kept(until=LAST_DAY))

    found = release(an_identity(), a_service("previousPairwiseId"), pori, subjects, TODAY, trace)

    assert found.attributes.keys() == {"previousPairwiseId"}
    steps = {step.subject: step.verdict for step in trace if step.stage == "release"}
    assert (steps["previousPairwiseId"], steps["previousSubjectId"]) == (Verdict.RELEASED, Verdict.WITHHELD)


def test_who_may_not_get_it_from_this_home_does_not_follow(
    keys: SubjectKeys, pori: Organisation, an_identity: Any, a_service: Any
) -> None:
    """Else it would get new identifiers and nothing to know its people again by."""
    subjects, strict = keeping(keys, kept(until=LAST_DAY)), replace(pori, withhold=frozenset(BOTH))
    service, own = a_service(*BOTH), a_service(*BOTH, owner=PORI)

    assert told(subjects, service, strict, an_identity()) == (names(keys, service, "old", "pori-adfs"), {})
    assert not follows(service, strict)
    assert follows(own, strict)


@pytest.mark.parametrize(
    ("first", "second", "follows_it", "current", "previous"),
    [
        pytest.param(None, None, True, "a", None, id="both_for_good"),
        pytest.param(None, LAST_DAY, True, "c", "a", id="the_newer_with_a_last_day"),
        pytest.param(None, LAST_DAY, False, "a", None, id="the_same_where_it_does_not_follow"),
        pytest.param(LAST_DAY, None, True, "b", "a", id="the_older_with_a_last_day"),
        pytest.param(LAST_DAY, None, False, "a", None, id="the_same_where_it_does_not_follow_either"),
        pytest.param(date(2025, 1, 1), None, True, "b", None, id="the_older_over"),
        pytest.param(None, date(2025, 1, 1), True, "c", None, id="the_newer_over"),
    ],
)
def test_of_two_changes_in_a_row(
    first: date | None,
    second: date | None,
    follows_it: bool,
    current: str,
    previous: str | None,
    keys: SubjectKeys,
    pori: Organisation,
    an_identity: Any,
    a_service: Any,
) -> None:
    """From a to b, and then from b to c, by which the person logs in."""
    older = kept("b", "kb", migration=2, until=second, older=kept("a", "ka", until=first))
    service = a_service(*BOTH) if follows_it else a_service()

    found, beside = told(keeping(keys, older, "c", "kc"), service, pori, an_identity(keyspace="kc", key="c"))

    assert found == names(keys, service, current, f"k{current}")
    wanted = {} if previous is None else names(keys, service, previous, f"k{previous}")
    assert {values[0] for values in beside.values()} == set(wanted)


def test_a_home_s_own_subject_id_is_passed_on_as_before(
    keys: SubjectKeys, pori: Organisation, an_identity: Any, a_service: Any
) -> None:
    identity = an_identity({"subjectId": ("a1@pori.fi",)})

    found, _ = told(keeping(keys, kept()), a_service(), pori, identity)

    assert found == ("a1@pori.fi", names(keys, a_service(), "old", "pori-adfs")[1])


# --- a merger -------------------------------------------------------------------------------------------------------------

MERGED = kept("h1", "harjavalta-adfs", "harjavalta", scope="harjavalta.fi")


def test_people_of_a_merged_organisation_keep_identifiers_in_its_scope(
    keys: SubjectKeys, pori: Organisation, an_identity: Any, a_service: Any, trace: list[TraceStep]
) -> None:
    both = replace(pori, scopes=("pori.fi", "harjavalta.fi"))

    found = release(an_identity(), a_service("homeOrganization"), both, keeping(keys, MERGED), TODAY, trace)

    assert (found.subject_id, found.pairwise_id) == names(
        keys, a_service(), "h1", "harjavalta-adfs", "harjavalta.fi", "harjavalta"
    )
    assert found.attributes == {"homeOrganization": ("pori.fi",)}
    assert trace[0] == TraceStep(
        stage="identifiers",
        subject="kept",
        verdict=Verdict.PASSED,
        rule="harjavalta.fi",
        note="those of harjavalta, keyspace harjavalta-adfs",
    )


def test_an_older_change_of_the_merged_organisation_stays_in_its_scope(
    keys: SubjectKeys, pori: Organisation, an_identity: Any, a_service: Any
) -> None:
    both = replace(pori, scopes=("pori.fi", "harjavalta.fi"))
    chain = replace(MERGED, older=kept("h0", "harjavalta-ldap", "harjavalta"))

    found, _ = told(keeping(keys, chain), a_service(), both, an_identity())

    assert found == names(keys, a_service(), "h0", "harjavalta-ldap", "harjavalta.fi", "harjavalta")


def test_P3_nobody_is_called_by_a_scope_that_is_not_their_organisation_s(
    keys: SubjectKeys, pori: Organisation, an_identity: Any, a_service: Any, trace: list[TraceStep]
) -> None:
    with pytest.raises(KeptScopeLost) as refusal:
        release(an_identity(), a_service(), pori, keeping(keys, MERGED), TODAY, trace)

    assert isinstance(refusal.value, BrokerFault)
    assert refusal.value.context == {"organisation": "pori"}
    assert [(step.stage, step.verdict) for step in trace] == [("identifiers", Verdict.FAILED)]


def test_P3_nor_is_the_older_identifier_of_such_a_scope_told(
    keys: SubjectKeys, pori: Organisation, an_identity: Any, a_service: Any
) -> None:
    with pytest.raises(KeptScopeLost):
        told(keeping(keys, replace(MERGED, until=LAST_DAY)), a_service(*BOTH), pori, an_identity())


def test_P7_neither_the_trace_nor_a_value_s_text_holds_a_key(
    keys: SubjectKeys, pori: Organisation, an_identity: Any, a_service: Any, trace: list[TraceStep]
) -> None:
    subjects = keeping(keys, kept("old-personal-key", until=LAST_DAY))
    release(an_identity(), a_service(*BOTH), pori, subjects, TODAY, trace)

    assert "old-personal-key" not in f"{trace}{subjects}{subjects.kept}"


# --- names -----------------------------------------------------------------------------------------------------------------


def test_the_names_of_the_older_identifiers() -> None:
    base = "https://broker.example"

    assert schema.saml_name("previousPairwiseId", base) == (f"{base}/ns/attr/previousPairwiseId", "previousPairwiseId")
    released = {"previousSubjectId": ("a@pori.fi",), "previousPairwiseId": ("b@pori.fi",)}
    assert schema.claims(released, frozenset({"openid"}), base) == {
        f"{base}/ns/attr/previous_subject_id": "a@pori.fi",
        f"{base}/ns/attr/previous_pairwise_id": "b@pori.fi",
    }
