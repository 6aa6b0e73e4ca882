"""LoginTransaction as it is stored: exact, versioned, strict."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.login.request import Hints, LoginRequest
from broker.login.transaction import LoginTransaction
from broker.state.errors import RecordUnreadable
from broker.state.transaction_json import from_octets, to_octets

instants = st.datetimes(timezones=st.just(UTC))


def every_field_of(kind, **given):
    """Also those with a default: a field that is added to the class and forgotten in the record is found."""
    return st.builds(kind, **{field.name: given.get(field.name, ...) for field in fields(kind)})


requests = every_field_of(LoginRequest, hints=every_field_of(Hints))
transactions = every_field_of(LoginTransaction, request=requests, begun_at=instants, expires_at=instants)


@settings(max_examples=60, deadline=None)
@given(transactions)
def test_every_transaction_is_read_as_it_was_written(transaction):
    assert from_octets(transaction.id, to_octets(transaction)) == transaction


@settings(max_examples=60, deadline=None)
@given(st.binary())
def test_octets_that_are_not_ours_are_refused(octets):
    with pytest.raises(RecordUnreadable):
        from_octets("id", octets)


def changed(transaction, path, value):
    record = json.loads(to_octets(transaction))
    inner = record
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return json.dumps(record).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(["v"], 1, id="another_version"),
        pytest.param(["v"], True, id="true_is_not_1"),
        pytest.param(["more"], 1, id="superfluous_member"),
        pytest.param(["request", "more"], 1, id="superfluous_member_of_the_request"),
        pytest.param(["request", "hints", "more"], 1, id="superfluous_member_of_the_hints"),
        pytest.param(["stage"], "answered", id="unknown_stage"),
        pytest.param(["browser"], None, id="no_browser"),
        pytest.param(["expires_at"], "2026-03-01T12:00:00", id="a_time_without_zone"),
        pytest.param(["upstream"], {"nonce": 1}, id="a_number_for_a_text"),
        pytest.param(["request", "passive"], "false", id="a_text_for_a_flag"),
        pytest.param(["request", "ui_locales"], "fi", id="a_text_for_a_list"),
        pytest.param(["request"], None, id="no_request"),
    ],
)
def test_what_this_version_does_not_write_it_does_not_read(a_transaction, path, value):
    octets = changed(a_transaction(), path, value)

    with pytest.raises(RecordUnreadable):
        from_octets("id", octets)


@pytest.mark.parametrize("name", ["reference", "browser", "request", "stage", "expires_at", "upstream", "refusal"])
def test_a_missing_member_is_refused(a_transaction, name):
    record = json.loads(to_octets(a_transaction()))
    del record[name]

    with pytest.raises(RecordUnreadable):
        from_octets("id", json.dumps(record).encode())


def test_P7_the_refusal_does_not_tell_what_was_stored(a_transaction):
    octets = changed(a_transaction(), ["stage"], "secret-value")

    with pytest.raises(RecordUnreadable) as refusal:
        from_octets("id", octets)
    assert "secret-value" not in str(refusal.value)
    assert refusal.value.__cause__ is None
