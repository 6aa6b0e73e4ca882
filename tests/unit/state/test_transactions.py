"""TransactionRecords: the TransactionStore port."""

from __future__ import annotations

from datetime import timedelta

import pytest

from broker.errors import LoginUsedOrExpired
from broker.login.transaction import LIFETIME, new_transaction_id
from broker.state.errors import RecordUnreadable
from broker.state.transactions import TransactionRecords


@pytest.fixture
def transactions(store, clock):
    return TransactionRecords(store, clock)


async def test_a_transaction_is_read_as_it_was_stored(transactions, a_transaction):
    transaction = a_transaction()
    await transactions.put(transaction)

    assert await transactions.get(transaction.id) == transaction


async def test_a_later_stage_replaces_the_earlier_one(transactions, a_transaction):
    transaction = a_transaction()
    await transactions.put(transaction)
    sent = transaction.sent_to("pori-adfs", "pori", {"request_id": "_1"})
    await transactions.put(sent)

    assert await transactions.take(transaction.id) == sent


async def test_P2_a_transaction_is_taken_once(transactions, a_transaction):
    transaction = a_transaction()
    await transactions.put(transaction)

    assert await transactions.take(transaction.id) == transaction
    with pytest.raises(LoginUsedOrExpired):
        await transactions.take(transaction.id)
    with pytest.raises(LoginUsedOrExpired):
        await transactions.get(transaction.id)


async def test_a_transaction_that_never_was_is_refused(transactions):
    with pytest.raises(LoginUsedOrExpired):
        await transactions.take(new_transaction_id())


async def test_it_is_stored_until_it_expires(transactions, store, clock, a_transaction):
    clock.elapse(timedelta(minutes=5))
    await transactions.put(a_transaction())

    assert store.written[0][2] == LIFETIME - timedelta(minutes=5)


@pytest.mark.parametrize("method", ["get", "take"])
async def test_P2_an_expired_transaction_is_refused_even_if_the_store_still_has_it(
    transactions, clock, a_transaction, method
):
    transaction = a_transaction()
    await transactions.put(transaction)
    clock.elapse(LIFETIME)

    with pytest.raises(LoginUsedOrExpired):
        await getattr(transactions, method)(transaction.id)


async def test_an_expired_transaction_is_not_stored(transactions, store, clock, a_transaction):
    clock.elapse(LIFETIME)

    with pytest.raises(LoginUsedOrExpired):
        await transactions.put(a_transaction())
    assert store.written == []


async def test_who_reads_the_store_does_not_learn_the_id(transactions, store, a_transaction):
    transaction = a_transaction()
    await transactions.put(transaction)

    [(name, value, _)] = store.written
    assert transaction.id not in name
    assert transaction.id.encode() not in value


async def test_a_record_that_is_not_ours_is_refused(transactions, store, a_transaction):
    transaction = a_transaction()
    await transactions.put(transaction)
    await store.put(store.written[0][0], b"{}", timedelta(minutes=1))

    with pytest.raises(RecordUnreadable):
        await transactions.get(transaction.id)
