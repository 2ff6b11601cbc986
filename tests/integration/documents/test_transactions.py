"""Transactions: one version for all reads, conflicts found at commit, everyone gets through."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from baas.access.principal import OWNER, Principal
from baas.documents.options import DocumentOptions
from baas.documents.service import DocumentStore
from baas.documents.transactions import Transactions
from baas.errors import Aborted, InvalidArgument, ResourceExhausted
from baas.model.query import Aggregation, AggregationKind, Consistency, Operator, TransactionOptions
from baas.model.values import Timestamp
from tests.integration.documents.helpers import (
    DATABASE,
    commit,
    delete,
    fields_of,
    found,
    name,
    put,
    query,
    where,
)

READ_WRITE = TransactionOptions()


def within(transaction: bytes) -> Consistency:
    return Consistency(transaction=transaction)


async def begin(store: DocumentStore, **options: Any) -> bytes:
    return await store.begin(DATABASE, TransactionOptions(**options), OWNER)


async def test_reads_see_one_version(store: DocumentStore) -> None:
    await commit(store, put("c/a", {"n": 1}))
    transaction = await begin(store)
    await commit(store, put("c/a", {"n": 2}), put("c/b"))
    read = await store.get(name("c/a"), OWNER, consistency=within(transaction))
    assert read.value is not None
    assert read.value.fields == {"n": 1}
    assert await found(store, query("c"), consistency=within(transaction)) == ["a"]


async def test_a_read_can_begin_one(store: DocumentStore) -> None:
    begun = Consistency(new_transaction=READ_WRITE)
    read = await store.get(name("c/a"), OWNER, consistency=begun)
    assert read.transaction is not None
    await commit(store, put("c/a"), transaction=read.transaction)
    assert await fields_of(store, "c/a") == {}


async def test_a_changed_document_aborts(store: DocumentStore) -> None:
    await commit(store, put("c/a", {"n": 1}))
    transaction = await begin(store)
    await store.get(name("c/a"), OWNER, consistency=within(transaction))
    await commit(store, put("c/a", {"n": 2}))
    with pytest.raises(Aborted):
        await commit(store, put("c/a", {"n": 10}), transaction=transaction)
    assert await fields_of(store, "c/a") == {"n": 2}


async def test_a_missing_document_that_appears_aborts(store: DocumentStore) -> None:
    transaction = await begin(store)
    await store.get(name("c/a"), OWNER, consistency=within(transaction))
    await commit(store, put("c/a"))
    with pytest.raises(Aborted):
        await commit(store, put("c/b"), transaction=transaction)


async def test_a_document_that_was_not_read_does_not_abort(store: DocumentStore) -> None:
    transaction = await begin(store)
    await store.get(name("c/a"), OWNER, consistency=within(transaction))
    await commit(store, put("c/other"))
    await commit(store, put("c/b"), transaction=transaction)


@pytest.mark.parametrize(
    "other",
    [put("c/new", {"n": 1}), put("c/leaves", {"n": 2}), delete("c/stays")],
    ids=["phantom", "leaves", "deleted"],
)
async def test_a_query_whose_result_changes_aborts(store: DocumentStore, other: Any) -> None:
    await commit(store, put("c/leaves", {"n": 1}), put("c/stays", {"n": 1}))
    transaction = await begin(store)
    asked = query("c", where("n", Operator.EQUAL, 1))
    await store.run_query(asked, OWNER, consistency=within(transaction))
    await commit(store, other)
    with pytest.raises(Aborted):
        await commit(store, put("d/x"), transaction=transaction)


async def test_of_transactions_that_exclude_each_other_one_wins(store: DocumentStore) -> None:
    """All of them saw that there is none yet, and each would add one."""
    transactions = [await begin(store) for _ in range(5)]
    for transaction in transactions:
        assert await found(store, query("c"), consistency=within(transaction)) == []
    outcomes = await asyncio.gather(
        *(commit(store, put(f"c/{n}"), transaction=each) for n, each in enumerate(transactions)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Aborted) for outcome in outcomes) == 4
    assert len(await found(store, query("c"))) == 1


async def test_an_aggregation_whose_input_changes_aborts(store: DocumentStore) -> None:
    transaction = await begin(store)
    count = [Aggregation("n", AggregationKind.COUNT)]
    await store.run_aggregation(query("c"), count, OWNER, consistency=within(transaction))
    await commit(store, put("c/new"))
    with pytest.raises(Aborted):
        await commit(store, put("d/x"), transaction=transaction)


async def test_a_change_outside_the_query_does_not_abort(store: DocumentStore) -> None:
    transaction = await begin(store)
    asked = query("c", where("n", Operator.EQUAL, 1))
    await store.run_query(asked, OWNER, consistency=within(transaction))
    await commit(store, put("c/new", {"n": 2}), put("d/new", {"n": 1}))
    await commit(store, put("d/x"), transaction=transaction)


async def test_a_read_only_transaction_cannot_write(store: DocumentStore) -> None:
    transaction = await begin(store, read_only=True)
    with pytest.raises(InvalidArgument, match="read-only"):
        await commit(store, put("c/a"), transaction=transaction)


async def test_a_read_only_transaction_ends_with_an_empty_commit(store: DocumentStore) -> None:
    transaction = await begin(store, read_only=True)
    await store.get(name("c/a"), OWNER, consistency=within(transaction))
    await commit(store, put("c/a"))
    await commit(store, transaction=transaction)


async def test_a_read_only_transaction_can_be_of_the_past(store: DocumentStore) -> None:
    first = (await commit(store, put("c/a", {"n": 1}))).commit_time
    await commit(store, put("c/a", {"n": 2}))
    transaction = await begin(store, read_only=True, read_time=first)
    read = await store.get(name("c/a"), OWNER, consistency=within(transaction))
    assert read.value is not None
    assert read.value.fields == {"n": 1}


async def test_a_read_time_needs_read_only(store: DocumentStore) -> None:
    time = (await commit(store, put("c/a"))).commit_time
    with pytest.raises(InvalidArgument):
        await begin(store, read_time=time)


async def test_a_finished_transaction_has_expired(store: DocumentStore) -> None:
    transaction = await begin(store)
    await commit(store, put("c/a"), transaction=transaction)
    with pytest.raises(InvalidArgument, match="transaction has expired"):
        await commit(store, put("c/a"), transaction=transaction)


async def test_rollback_ends_it_and_one_that_is_over_is_no_error(store: DocumentStore) -> None:
    transaction = await begin(store)
    await store.rollback(DATABASE, transaction, OWNER)
    await store.rollback(DATABASE, transaction, OWNER)
    with pytest.raises(InvalidArgument):
        await store.get(name("c/a"), OWNER, consistency=within(transaction))


@pytest.mark.parametrize("unknown", [b"", b"unknown", b"x" + bytes(17), b"t" + bytes(18)])
async def test_what_is_no_id_of_a_transaction_is_refused(
    store: DocumentStore, unknown: bytes
) -> None:
    with pytest.raises(InvalidArgument, match="Invalid transaction"):
        await store.rollback(DATABASE, unknown, OWNER)
    with pytest.raises(InvalidArgument, match="Invalid transaction"):
        await begin(store, retry_transaction=unknown)


async def test_a_write_in_a_read_only_transaction_ends_it(store: DocumentStore) -> None:
    transaction = await begin(store, read_only=True)
    with pytest.raises(InvalidArgument, match="read-only"):
        await commit(store, put("c/a"), transaction=transaction)
    with pytest.raises(InvalidArgument, match="no longer valid"):
        await commit(store, transaction=transaction)


async def test_a_transaction_belongs_to_its_caller(store: DocumentStore, user: Principal) -> None:
    transaction = await begin(store)
    with pytest.raises(InvalidArgument):
        await store.get(name("c/a"), user, consistency=within(transaction))


async def test_an_idle_transaction_expires() -> None:
    clock = [0.0]
    transactions = Transactions(DocumentOptions(), lambda: clock[0])
    transaction = await transactions.begin(DATABASE, READ_WRITE, OWNER)
    clock[0] = 59
    transactions.use(transaction.id, DATABASE, OWNER)
    clock[0] = 118
    transactions.use(transaction.id, DATABASE, OWNER)
    clock[0] = 179
    with pytest.raises(InvalidArgument, match="transaction has expired"):
        transactions.use(transaction.id, DATABASE, OWNER)


async def test_a_transaction_lives_270_seconds_at_most() -> None:
    clock = [0.0]
    transactions = Transactions(DocumentOptions(), lambda: clock[0])
    transaction = await transactions.begin(DATABASE, READ_WRITE, OWNER)
    for clock[0] in range(50, 270, 50):
        transactions.use(transaction.id, DATABASE, OWNER)
    clock[0] = 271
    with pytest.raises(InvalidArgument):
        transactions.use(transaction.id, DATABASE, OWNER)


async def test_open_transactions_are_limited() -> None:
    transactions = Transactions(DocumentOptions(max_transactions=1), lambda: 0.0)
    await transactions.begin(DATABASE, READ_WRITE, OWNER)
    with pytest.raises(ResourceExhausted):
        await transactions.begin(DATABASE, READ_WRITE, OWNER)


async def increment(store: DocumentStore, attempts: list[int]) -> None:
    """What the client libraries do: read, write, and on ABORTED again, naming the failed attempt."""
    retried: bytes | None = None
    for attempt in range(1, 6):
        options = TransactionOptions(retry_transaction=retried)
        transaction = await store.begin(DATABASE, options, OWNER)
        read = await store.get(name("c/counter"), OWNER, consistency=within(transaction))
        current: Any = 0 if read.value is None else read.value.fields["n"]
        try:
            await commit(store, put("c/counter", {"n": current + 1}), transaction=transaction)
        except Aborted:
            retried = transaction
            continue
        attempts.append(attempt)
        return
    raise AssertionError("never got through")


async def test_ten_clients_at_one_counter_all_get_through(store: DocumentStore) -> None:
    attempts: list[int] = []
    await asyncio.gather(*(increment(store, attempts) for _ in range(10)))
    assert await fields_of(store, "c/counter") == {"n": 10}
    assert max(attempts) <= 3


async def test_a_turn_that_is_not_used_passes_on() -> None:
    """A retried transaction that never comes back holds others up for a bounded time only."""
    clock = [0.0]
    transactions = Transactions(DocumentOptions(contention_wait=5), lambda: clock[0])
    lost = await transactions.begin(DATABASE, READ_WRITE, OWNER)
    lost.documents[name("c/a")] = Timestamp(1)
    transactions.finish(lost, aborted=True)
    await transactions.begin(DATABASE, TransactionOptions(retry_transaction=lost.id), OWNER)
    other = await transactions.begin(DATABASE, READ_WRITE, OWNER)
    other.documents[name("c/a")] = Timestamp(1)
    with pytest.raises(Aborted):
        transactions.check_turn(other)
    clock[0] = 6
    transactions.check_turn(other)


async def test_plain_writes_are_not_held_up(store: DocumentStore) -> None:
    await commit(store, put("c/a", {"n": 1}))
    transaction = await begin(store)
    await store.get(name("c/a"), OWNER, consistency=within(transaction))
    await commit(store, put("c/a", {"n": 2}))
    with pytest.raises(Aborted):
        await commit(store, put("c/a"), transaction=transaction)
    await begin(store, retry_transaction=transaction)
    await commit(store, put("c/a", {"n": 3}))
    assert await fields_of(store, "c/a") == {"n": 3}
