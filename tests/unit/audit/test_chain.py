"""The hash chain: any change to what was recorded is found, at its place."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.audit.chain import CONTENT, GENESIS, AuditRecord, Break, columns, content, record_hash, verify
from broker.audit.events import AuditEvent


def record(event, previous=GENESIS):
    stored = columns(event)
    return AuditRecord(
        **stored,
        sequence=previous.sequence + 1,
        previous_hash=previous.hash,
        hash=record_hash(previous, content(stored)),
    )


@pytest.fixture
def records(an_event):
    found = []
    for number in range(5):
        found.append(record(an_event(f"login-{number}"), found[-1].head if found else GENESIS))
    return found


def test_a_chain_that_nobody_touched_is_whole(records):
    assert verify(records) is None


def test_a_part_of_a_chain_is_whole_after_the_record_before_it(records):
    assert verify(records[2:], after=records[1].head) is None


def test_no_records_at_all_are_whole():
    assert verify([]) is None


def test_the_hash_is_what_its_description_says(an_event):
    """Anyone can check it without this program."""
    first = record(an_event(detail={"b": "ä", "a": [1, None]}))

    members = {name: getattr(first, name) for name in CONTENT}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert first.detail == '{"a":[1,null],"b":"ä"}'
    assert first.at == "2026-03-01T12:00:00.123456Z"
    assert first.hash == hashlib.sha256(b"0" * 64 + b"\n1\n" + text.encode()).hexdigest()


@pytest.mark.parametrize("name", [name for name in CONTENT if name not in ("revision", "detail")])
def test_P6_a_changed_text_is_found(records, name):
    records[2] = replace(records[2], **{name: "tampered"})

    assert verify(records) == Break(sequence=3, reason="is not what was recorded")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"revision": 4}, id="revision"),
        pytest.param({"detail": "{}"}, id="detail"),
        pytest.param({"hash": "f" * 64}, id="hash"),
    ],
)
def test_P6_any_other_change_is_found(records, change):
    records[2] = replace(records[2], **change)

    assert verify(records) == Break(sequence=3, reason="is not what was recorded")


def test_P6_detail_that_says_the_same_in_other_octets_is_found(records):
    records[2] = replace(records[2], detail=records[2].detail.replace(",", ", "))

    assert verify(records).sequence == 3


def test_P6_a_record_that_is_made_to_fit_breaks_the_next_one(records, an_event):
    records[2] = record(an_event("forged"), records[1].head)

    assert verify(records) == Break(sequence=4, reason="does not continue the record before it")


def test_P6_a_removed_record_is_found(records):
    del records[2]

    assert verify(records).sequence == 4


def test_P6_a_removed_beginning_is_found(records):
    assert verify(records[1:]).sequence == 2


def test_P6_swapped_records_are_found(records):
    records[1], records[2] = records[2], records[1]

    assert verify(records) is not None


def test_P6_an_inserted_record_is_found(records, an_event):
    records.insert(2, record(an_event("inserted"), records[1].head))

    assert verify(records).sequence == 3


@settings(max_examples=60, deadline=None)
@given(
    at=st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.timezones()),
    reason=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    detail=st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.booleans() | st.text(max_size=5)),
)
def test_an_event_is_read_as_it_was_written(at, reason, detail):
    """Its time in UTC: a local time that its zone skipped equals no time of another zone."""
    event = AuditEvent(kind="login.refused", at=at, reason=reason, detail=detail)

    assert record(event).event() == replace(event, at=at.astimezone(UTC))


def test_text_that_no_database_stores_is_written_out(an_event):
    """A stranger's broken message must not keep its refusal out of the log."""
    stored = columns(an_event(reason="a\0b\udc80c", detail={"why": "\udc80\0"}))

    assert stored["reason"] == r"a\0b\udc80c"
    assert json.loads(stored["detail"]) == {"why": "\udc80\0"}
    assert "\0" not in stored["detail"]
    stored["detail"].encode("utf-8")


def test_times_are_stored_in_utc(an_event):
    at = datetime(2026, 3, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))

    assert columns(an_event(at=at))["at"] == "2026-03-01T12:00:00.000000Z"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"at": datetime(2026, 3, 1)}, id="a_time_without_its_zone"),
        pytest.param({"detail": {"ms": float("nan")}}, id="not_a_number"),
        pytest.param({"detail": {"at": datetime(2026, 3, 1, tzinfo=UTC)}}, id="not_json"),
    ],
)
def test_an_event_that_cannot_be_written_as_json_is_a_mistake(an_event, change):
    with pytest.raises((TypeError, ValueError)):
        columns(an_event(**change))
