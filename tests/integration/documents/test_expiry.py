"""Expiry policies: due documents go, through the feed, and only they."""

from __future__ import annotations

import pytest
import pytest_asyncio

from baas.db.sqlite import SqliteDatabase
from baas.documents.options import DocumentOptions
from baas.documents.service import DocumentStore
from baas.documents.ttl import TtlPolicy
from baas.model.change import CommitChanges
from baas.model.values import Timestamp
from tests.integration.documents.helpers import (
    DATABASE,
    OpenAccess,
    commit,
    found,
    put,
    query,
)

POLICY = TtlPolicy("c", ("expires",))


@pytest.fixture
def clock() -> list[int]:
    """Microseconds, to be moved."""
    return [1_000_000]


@pytest_asyncio.fixture
async def expiring(database: SqliteDatabase, clock: list[int]) -> DocumentStore:
    """A store with a policy on collection group ``c``."""
    store = DocumentStore(
        database, OpenAccess(), DocumentOptions(ttl_chunk=2), now=lambda: clock[0]
    )
    await store.expiry.declare(DATABASE, POLICY)
    await store.indexes.finish()
    return store


async def test_due_documents_go_in_order_through_the_feed(
    expiring: DocumentStore, clock: list[int]
) -> None:
    soon = [put(f"c/{n}", {"expires": Timestamp(2_000_000 - n)}) for n in range(5)]
    await commit(expiring, *soon, put("c/later", {"expires": Timestamp(9_000_000)}))
    told: list[CommitChanges] = []
    expiring.changes.subscribe(told.append)
    assert await expiring.expiry.sweep() == 0
    clock[0] = 3_000_000
    assert await expiring.expiry.sweep() == 5
    assert [change.name.id for each in told for change in each.changes] == ["4", "3", "2", "1", "0"]
    assert await found(expiring, query("c")) == ["later"]


async def test_what_is_no_timestamp_never_expires(
    expiring: DocumentStore, clock: list[int]
) -> None:
    await commit(expiring, put("c/a", {"expires": 1}), put("c/b", {"expires": None}), put("c/c"))
    clock[0] = 3_000_000
    assert await expiring.expiry.sweep() == 0


async def test_the_policy_holds_for_the_whole_group(
    expiring: DocumentStore, clock: list[int]
) -> None:
    await commit(expiring, put("d/x/c/a", {"expires": Timestamp(2_000_000)}))
    clock[0] = 3_000_000
    assert await expiring.expiry.sweep() == 1


async def test_a_withdrawn_policy_deletes_nothing(
    expiring: DocumentStore, clock: list[int]
) -> None:
    await commit(expiring, put("c/a", {"expires": Timestamp(2_000_000)}))
    await expiring.expiry.withdraw(DATABASE, "c")
    clock[0] = 3_000_000
    assert await expiring.expiry.sweep() == 0
    assert await expiring.expiry.policies(DATABASE) == ()


async def test_policies_are_kept_and_pin_their_index(expiring: DocumentStore) -> None:
    assert await expiring.expiry.policies(DATABASE) == (POLICY,)
    assert [index.pinned for index in await expiring.indexes.list(DATABASE)] == [True]
