"""At the limit of indexes, the one that is not used any more goes for one that is wished for."""

from __future__ import annotations

from typing import Any

import pytest

from baas.db.sqlite import SqliteDatabase
from baas.documents.indexes import IndexDefinition, IndexField, Scope
from baas.documents.options import DocumentOptions
from baas.documents.service import DocumentStore
from baas.model.query import Operator, Query
from tests.integration.documents.helpers import (
    DATABASE,
    OpenAccess,
    commit,
    found,
    put,
    query,
    where,
)

HOUR = 3_600_000_000


class Clock:
    """A clock that the test sets, in microseconds."""

    def __init__(self) -> None:
        self.micros = 1_000 * HOUR

    def __call__(self) -> int:
        return self.micros


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limited(database: SqliteDatabase, clock: Clock) -> Any:
    """Makes a store that may have two indexes, as after a restart."""
    options = DocumentOptions(max_indexes=2, index_idle=3_600, index_min_examined=10)

    def make() -> DocumentStore:
        return DocumentStore(database, OpenAccess(), options, now=clock)

    return make


def on(field: str) -> Query:
    return query("c", where(field, Operator.EQUAL, 7))


async def ask(store: DocumentStore, *fields: str) -> None:
    """Run a query on each field, twice: the second time with the index that the first wished for. The uses
    are noted, as the background does every minute."""
    for field in fields:
        assert await found(store, on(field)) == ["07"]
        await store.indexes.finish()
        assert await found(store, on(field)) == ["07"]
        await store.indexes.note_uses()


async def fields_with_index(store: DocumentStore) -> set[str]:
    await store.indexes.finish()
    return {index.definition.fields[0].path[0] for index in await store.indexes.list(DATABASE)}


async def fill(store: DocumentStore) -> None:
    fields = ("a", "b", "new")
    await commit(store, *(put(f"c/{i:02}", dict.fromkeys(fields, i)) for i in range(50)))


async def test_the_index_unused_for_the_longest_time_makes_room(limited: Any, clock: Clock) -> None:
    store = limited()
    await fill(store)
    await ask(store, "a", "b")
    clock.micros += 2 * HOUR
    await ask(store, "a")
    await ask(store, "new")
    assert await fields_with_index(store) == {"a", "new"}


async def test_indexes_in_use_stay_and_the_wish_is_heard_again(limited: Any, clock: Clock) -> None:
    store = limited()
    await fill(store)
    await ask(store, "a", "b", "new")
    assert await fields_with_index(store) == {"a", "b"}
    clock.micros += 2 * HOUR
    await ask(store, "b", "new")
    assert await fields_with_index(store) == {"b", "new"}


async def test_pinned_indexes_stay_however_long_unused(limited: Any, clock: Clock) -> None:
    store = limited()
    await fill(store)
    for field in ("a", "b"):
        definition = IndexDefinition("c", Scope.COLLECTION, (IndexField((field,)),))
        await store.indexes.request(DATABASE, definition, "declared", pinned=True)
    clock.micros += 2 * HOUR
    await ask(store, "new")
    assert await fields_with_index(store) == {"a", "b"}


async def test_the_last_use_outlives_a_restart(limited: Any, clock: Clock) -> None:
    first = limited()
    await fill(first)
    await ask(first, "a", "b")
    clock.micros += 2 * HOUR
    await ask(first, "a")
    await ask(limited(), "new")
    assert await fields_with_index(first) == {"a", "new"}


async def test_uses_close_to_each_other_are_stored_once(
    limited: Any, clock: Clock, database: SqliteDatabase
) -> None:
    store = limited()
    await fill(store)
    await ask(store, "a")
    clock.micros += HOUR
    await ask(store, "a")
    stored = (await store.indexes.list(DATABASE))[0].last_use.micros
    assert stored == clock.micros
    clock.micros += HOUR // 10
    await ask(store, "a")
    assert (await store.indexes.list(DATABASE))[0].last_use.micros == stored


async def test_a_query_that_needs_a_dropped_index_brings_it_back(limited: Any) -> None:
    store = limited()
    await fill(store)
    await ask(store, "a")
    (index,) = await store.indexes.list(DATABASE)
    await store.indexes.drop(DATABASE, index.id)
    assert await fields_with_index(store) == set()
    await ask(store, "a")
    assert await fields_with_index(store) == {"a"}
