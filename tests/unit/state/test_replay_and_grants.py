"""ReplayRecords and GrantRecords: the ReplayCache and GrantStore ports."""

from __future__ import annotations

from datetime import timedelta

import pytest

from broker.state.grants import GrantRecords
from broker.state.replay import ReplayRecords

MINUTE = timedelta(minutes=1)


async def test_P2_a_message_is_used_once(store):
    replay = ReplayRecords(store)

    assert await replay.first_use("https://idp.pori.example", "_1", MINUTE) is True
    assert await replay.first_use("https://idp.pori.example", "_1", MINUTE) is False


async def test_two_issuers_may_use_the_same_message_id(store):
    replay = ReplayRecords(store)

    assert await replay.first_use("https://idp.pori.example", "_1", MINUTE)
    assert await replay.first_use("https://idp.ulvila.example", "_1", MINUTE)


async def test_a_message_whose_time_is_over_cannot_be_remembered_and_is_no_first_use(store):
    with pytest.raises(ValueError, match="positive"):
        await ReplayRecords(store).first_use("https://idp.pori.example", "_1", timedelta(0))


async def test_a_code_is_found_by_its_secret_and_taken_once(store):
    grants = GrantRecords(store)
    await grants.put("code", "secret", b"grant", MINUTE)

    assert await grants.get("code", "secret") == b"grant"
    assert await grants.take("code", "secret") == b"grant"
    assert await grants.take("code", "secret") is None


async def test_a_code_is_no_access_token(store):
    grants = GrantRecords(store)
    await grants.put("code", "secret", b"grant", MINUTE)

    assert await grants.get("access_token", "secret") is None


async def test_a_removed_grant_is_gone(store):
    grants = GrantRecords(store)
    await grants.put("access_token", "secret", b"grant", MINUTE)
    await grants.remove("access_token", "secret")

    assert await grants.get("access_token", "secret") is None


async def test_who_reads_the_store_does_not_learn_the_secret(store):
    await GrantRecords(store).put("code", "secret-of-the-client", b"grant", MINUTE)

    assert "secret-of-the-client" not in store.written[0][0]
