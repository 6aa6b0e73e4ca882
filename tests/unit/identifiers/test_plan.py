"""What a migration would do, foreseen: who keeps, changes and collides, and at which services; and that logins then do just that."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.federation.model import AttributeRule
from broker.identifiers import plan
from broker.identifiers.ledger import Move
from broker.identifiers.plan import Ground, MoveRefused, Outcome, Plan, ServiceEffect
from tests.unit.identifiers.parties import (
    ADFS,
    ENTRA,
    FEDERATION,
    HARJAVALTA,
    HARJAVALTA_ADFS,
    MERGED,
    PORI,
    ROOMS,
    TODAY,
    WIKI,
    a_ground,
    a_service,
    an_identity,
    an_idp,
    applied,
    lines,
    seen,
    told,
)

TO_ENTRA = Move(from_organisation=PORI, from_keyspace=ADFS, to_organisation=PORI, to_keyspace=ENTRA)


def planned(*pairs: tuple[str, str], ground: Ground | None = None, same_people: bool = False, **changes: Any) -> Plan:
    return plan.plan(replace(TO_ENTRA, **changes), lines(*pairs), ground or a_ground(), same_people=same_people)


def outcomes(found: Plan) -> dict[str, int]:
    return {str(outcome): count for outcome, count in found.outcomes.items() if count}


def codes(found: Plan) -> dict[str, tuple[int, ...]]:
    return {each.code: each.lines for each in found.findings}


def a_login(key: str, service: Any = WIKI, idp: Any = ADFS) -> Any:
    return an_identity(idp, key), service


# --- lines ----------------------------------------------------------------------------------------------------------------


def test_who_has_accounts_keeps_them_and_who_has_none_is_told_apart() -> None:
    found = planned(("A1", "B1"), ("A2", "B2"), ground=a_ground(seen=seen(a_login("A1"))))

    assert outcomes(found) == {"keep": 1, "never_seen": 1}
    assert found.pairs == (("B1", "A1"), ("B2", "A2"))
    assert found.possible


@pytest.mark.parametrize(
    ("pairs", "code", "colliding"),
    [
        pytest.param([("A1", "B1"), ("A2", "B1"), ("A3", "B3")], "two_old_one_new", (2, 3), id="two_old_one_new"),
        pytest.param([("A1", "B1"), ("A1", "B2"), ("A3", "B3")], "one_old_two_new", (2, 3), id="one_old_two_new"),
        pytest.param([("A1", "B1"), ("A1", "B2"), ("A2", "B2")], "two_old_one_new", (3, 4), id="both"),
    ],
)
def test_a_collision_in_the_file_names_its_lines_and_forbids_all(
    pairs: list[tuple[str, str]], code: str, colliding: tuple[int, ...]
) -> None:
    found = planned(*pairs)

    assert codes(found)[code] == colliding
    assert not found.possible
    assert found.outcomes[Outcome.COLLIDE] >= 2


def test_a_swap_and_a_circle_of_keys_are_no_collision() -> None:
    """Both keyspaces deal out the same keys, to others."""
    found = planned(("1", "2"), ("2", "1"), ("3", "4"), ("4", "5"), ("5", "3"), ("6", "6"))

    assert found.possible
    assert len(found.pairs) == 6


def test_the_same_line_twice_is_refused_with_its_number() -> None:
    found = planned(("A1", "B1"), ("A2", "B2"), ("A1", "B1"))

    assert codes(found) == {"duplicate": (4,)}
    assert not found.possible


def test_a_new_key_that_logged_in_already_collides_unless_the_operator_vouches() -> None:
    ground = a_ground(seen=seen(a_login("A1"), a_login("B1", idp=ENTRA), a_login("B1", ROOMS, idp=ENTRA)))

    found = planned(("A1", "B1"), ("A2", "B2"), ground=ground)
    vouched = planned(("A1", "B1"), ("A2", "B2"), ground=ground, same_people=True)

    assert codes(found) == {"new_seen": (2,)}
    assert not found.possible
    assert vouched.possible
    assert outcomes(vouched) == {"change": 1, "never_seen": 1}
    assert {each.service: (each.accounts, each.kept, each.left) for each in vouched.services} == {
        WIKI: (1, 1, 1),
        ROOMS: (0, 0, 1),
    }


def test_what_is_in_force_is_not_stored_again() -> None:
    subjects = applied(a_ground().subjects, planned(("A1", "B1")))

    found = planned(("A1", "B1"), ("A2", "B2"), ground=a_ground(subjects=subjects))

    assert outcomes(found) == {"already": 1, "never_seen": 1}
    assert found.pairs == (("B2", "A2"),)
    assert found.base == 1


@pytest.mark.parametrize(
    ("pair", "code"), [(("A9", "B1"), "new_is_known"), (("A1", "B9"), "old_has_new")], ids=["new", "old"]
)
def test_a_key_of_a_migration_in_force_belongs_to_its_person(pair: tuple[str, str], code: str) -> None:
    subjects = applied(a_ground().subjects, planned(("A1", "B1")))

    found = planned(pair, ground=a_ground(subjects=subjects))

    assert codes(found) == {code: (2,)}
    assert not found.possible


def test_a_way_back_to_the_old_product_changes_nothing() -> None:
    subjects = applied(a_ground().subjects, planned(("A1", "B1"), ("A2", "B2")))
    ground = a_ground(subjects=subjects)
    back = {"from_keyspace": ENTRA, "to_keyspace": ADFS}

    assert outcomes(planned(("B1", "A1"), ground=ground, **back)) == {"already": 1}
    assert codes(planned(("B1", "A2"), ground=ground, **back)) == {"new_is_known": (2,)}


# --- services ---------------------------------------------------------------------------------------------------------------


def test_services_where_accounts_would_be_lost_are_named() -> None:
    ground = a_ground(seen=seen(a_login("A1"), a_login("A2"), a_login("A3"), a_login("A3", ROOMS)))

    found = planned(("A1", "B1"), ("A2", "B2"), ground=ground)

    assert found.services == (
        ServiceEffect(service=ROOMS, accounts=1, kept=0, changed=1, left=0, both=False),
        ServiceEffect(service=WIKI, accounts=3, kept=2, changed=1, left=0, both=False),
    )


def test_others_of_the_organisation_and_a_service_that_is_gone_do_not_count() -> None:
    other = an_idp(ENTRA, PORI)
    ground = a_ground(seen=seen(a_login("A1"), a_login("B7", idp=other.id)))

    (effect,) = planned(("A1", "B1"), ground=ground).services
    without = replace(FEDERATION, services={})

    assert effect.accounts == 1
    assert planned(("A1", "B1"), ground=replace(ground, now=without, then=without)).services == ()


def test_people_of_an_identity_provider_that_is_gone_count() -> None:
    gone = replace(FEDERATION, identity_providers={ENTRA: an_idp(ENTRA, PORI)})

    found = planned(("A1", "B1"), ground=a_ground(now=gone, then=gone, seen=seen(a_login("A1"))))

    assert outcomes(found) == {"keep": 1}
    assert "old_keyspace_unknown" in codes(found)


# --- findings -----------------------------------------------------------------------------------------------------------------


def test_a_keyspace_that_no_document_has_is_a_problem() -> None:
    found = planned(("A1", "B1"), to_keyspace="pori-entre")

    assert "new_keyspace_unknown" in codes(found)
    assert not found.possible


def test_a_file_of_other_keys_is_noticed() -> None:
    found = planned(("X1", "B1"), ground=a_ground(seen=seen(a_login("A1"))))

    assert "nobody_known" in codes(found)
    assert found.possible


def test_a_home_that_sends_its_own_subject_id_is_told() -> None:
    rule = AttributeRule(attribute="subjectId", sources=("subject_id",))
    asserting = replace(
        FEDERATION, identity_providers={ADFS: an_idp(ADFS, PORI), ENTRA: an_idp(ENTRA, PORI, attributes=(rule,))}
    )

    assert "subject_id_from_home" in codes(planned(("A1", "B1"), ground=a_ground(now=asserting, then=asserting)))
    assert "subject_id_from_home" not in codes(planned(("A1", "B1")))


def test_side_by_side_names_who_cannot_follow() -> None:
    ground = a_ground(seen=seen(a_login("A1"), a_login("A1", ROOMS)))

    found = planned(("A1", "B1"), ground=ground, until=TODAY)

    assert {each.service: each.both for each in found.services} == {WIKI: False, ROOMS: True}
    assert "cannot_follow" in codes(found)
    assert "cannot_follow" not in codes(planned(("A1", "B1"), ground=ground))
    assert "cannot_follow" not in codes(
        planned(("A1", "B1"), ground=a_ground(seen=seen(a_login("A1", ROOMS))), until=TODAY)
    )


# --- the move -----------------------------------------------------------------------------------------------------------------


def a_merger(**changes: Any) -> Move:
    ground = a_ground(**{"now": FEDERATION, "then": MERGED, **changes})
    return plan.move(ground, old=(HARJAVALTA, HARJAVALTA_ADFS), new=(PORI, ENTRA))


def test_a_merger_takes_the_scope_of_the_organisation_that_was() -> None:
    assert a_merger() == Move(
        from_organisation=HARJAVALTA,
        from_keyspace=HARJAVALTA_ADFS,
        to_organisation=PORI,
        to_keyspace=ENTRA,
        scope="harjavalta.fi",
    )


def test_of_an_organisation_that_is_in_no_document_the_scope_is_asked_for() -> None:
    ground = a_ground(now=MERGED, then=MERGED)
    sides = {"old": (HARJAVALTA, HARJAVALTA_ADFS), "new": (PORI, ENTRA)}

    with pytest.raises(MoveRefused, match="--old-scope"):
        plan.move(ground, **sides)
    assert plan.move(ground, **sides, old_scope="harjavalta.fi").scope == "harjavalta.fi"


def test_P3_a_merger_needs_the_scope_among_those_of_the_organisation_that_is() -> None:
    right = plan.plan(a_merger(), lines(("H1", "B1")), a_ground(then=MERGED))
    wrong = plan.plan(a_merger(then=FEDERATION), lines(("H1", "B1")), a_ground())

    assert right.possible
    assert "scope_not_taken_over" in codes(wrong)
    assert not wrong.possible


def test_people_of_a_merged_organisation_keep_their_accounts() -> None:
    her = an_identity(HARJAVALTA_ADFS, "H1", HARJAVALTA)
    before = {service: told(her, service) for service in (WIKI, ROOMS)}
    ground = a_ground(then=MERGED, seen=seen((her, WIKI), (her, ROOMS)))

    found = plan.plan(a_merger(), lines(("H1", "B1")), ground)

    assert outcomes(found) == {"keep": 1}
    assert {each.service: each.kept for each in found.services} == {WIKI: 1, ROOMS: 1}
    subjects = applied(ground.subjects, found)
    for service, names in before.items():
        assert told(an_identity(ENTRA, "B1"), service, subjects, federation=MERGED) == names


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"new": (PORI, ADFS)}, "give the identity provider a new keyspace"),
        ({"new": ("porri", ENTRA)}, "there is no organisation porri; the organisations are harjavalta, pori"),
        ({"until": TODAY - timedelta(days=1)}, "2026-02-28 is over"),
    ],
)
def test_a_move_that_makes_no_sense_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(MoveRefused, match=why):
        plan.move(a_ground(), **{"old": (PORI, ADFS), "new": (PORI, ENTRA), **changes})


# --- and logins do just that ------------------------------------------------------------------------------------------------

KEYS = st.integers(0, 5)
SERVICES = st.sampled_from([WIKI, ROOMS, "archive"])
ARCHIVE = replace(FEDERATION, services={**FEDERATION.services, "archive": a_service("archive", "subjectId")})


@given(
    file=st.lists(st.tuples(KEYS, KEYS), min_size=1, max_size=6),
    before=st.lists(st.tuples(KEYS, SERVICES), max_size=10),
    trial=st.lists(st.tuples(KEYS, SERVICES), max_size=3),
    same_people=st.booleans(),
    until=st.sampled_from([None, TODAY, TODAY + timedelta(days=30)]),
)
def test_what_is_foreseen_is_what_logins_then_do(
    file: list[tuple[int, int]], before: Any, trial: Any, same_people: bool, until: date | None
) -> None:
    """Each person logs in once more, by the new key, wherever they logged in before."""
    old = [(an_identity(ADFS, f"A{key}"), service) for key, service in before]
    new = [(an_identity(ENTRA, f"B{key}"), service) for key, service in trial]
    accounts = {
        service: {told(who, each, federation=ARCHIVE)["pairwise"] for who, each in old if each == service}
        for service in ARCHIVE.services
    }
    ground = a_ground(now=ARCHIVE, then=ARCHIVE, seen=seen(*old, *new, federation=ARCHIVE))
    found = planned(*((f"A{a}", f"B{b}") for a, b in file), ground=ground, same_people=same_people, until=until)

    if not found.possible:
        assert len(set(file)) < len(file) or found.outcomes[Outcome.COLLIDE]
        return
    subjects = applied(ground.subjects, found)
    new_key = dict(file)
    for effect in found.services:
        names = [
            told(an_identity(ENTRA, f"B{new_key[key]}"), effect.service, subjects, federation=ARCHIVE)
            for key, service in set(before)
            if service == effect.service and key in new_key
        ]
        given = [each.get("previousPairwiseId", each["pairwise"]) for each in names]
        assert effect.accounts == len(accounts[effect.service])
        assert effect.kept == len(accounts[effect.service].intersection(given)) == len(given)
        assert effect.changed == effect.accounts - effect.kept
        assert effect.both == any("previousPairwiseId" in each for each in names) or not names
        made = {key for key, service in trial if service == effect.service}
        assert effect.left == len(made & set(new_key.values()))
    assert len(found.pairs) == len(file)
