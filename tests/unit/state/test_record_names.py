"""Names tell records apart, and tell nothing else."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.state import record_names

texts = st.text(st.characters(), max_size=20)


@settings(max_examples=100, deadline=None)
@given(texts, texts, texts, texts)
def test_two_messages_share_a_name_only_if_they_are_the_same(issuer, message_id, other_issuer, other_id):
    same = (issuer, message_id) == (other_issuer, other_id)

    assert (record_names.message(issuer, message_id) == record_names.message(other_issuer, other_id)) is same


def test_an_issuer_cannot_run_over_into_a_message_id():
    assert record_names.message("https://idp", "1:_a") != record_names.message("https://idp1:", "_a")


def test_names_are_namespaced_and_versioned():
    assert re.fullmatch(r"ks2:tx:[\w-]{43}", record_names.transaction("id"))
    assert re.fullmatch(r"ks2:seen:[\w-]{43}", record_names.message("issuer", "id"))
    assert re.fullmatch(r"ks2:grant:code:[\w-]{43}", record_names.grant("code", "secret"))


def test_a_name_stays_what_it_is_for_as_long_as_its_form():
    """Another name for the same record would lose every login of the moment of an upgrade."""
    assert record_names.transaction("id") == "ks2:tx:6Imwe1na3mCpe2DHfU_1LXXlQvicpwVDlTr18FxXXaE"
