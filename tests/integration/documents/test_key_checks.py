"""Queries whose filters lie on several parts of an index's keys fetch no document in vain."""

from __future__ import annotations

import dataclasses

import pytest

from baas.access.principal import OWNER
from baas.documents.indexes import FieldKind, IndexDefinition, IndexField, Scope
from baas.documents.service import DocumentStore
from baas.model.query import Aggregation, AggregationKind, Direction, Operator, Query
from baas.wire.requests import ExplainOptions
from tests.integration.documents.helpers import DATABASE, by, commit, found, put, query, where

COUNT = 400
UP, DOWN = FieldKind.ASCENDING, FieldKind.DESCENDING


async def looked_at(store: DocumentStore, asked: Query) -> tuple[int, int]:
    """Documents and index entries that running the query looks at."""
    result = await store.run_query(asked, OWNER, explain=ExplainOptions(analyze=True))
    assert result.explain is not None
    stats = result.explain.debug_stats
    return int(stats["documents_scanned"]), int(stats["index_entries_scanned"])


async def build(store: DocumentStore, scope: Scope, *fields: IndexField) -> None:
    await store.indexes.request(DATABASE, IndexDefinition("c", scope, fields), "test")
    await store.indexes.finish()


async def fill(store: DocumentStore) -> None:
    """``a`` counts up, ``b`` has the same 20 values over and over."""
    await commit(store, *(put(f"c/{i:03}", {"a": i, "b": i % 20}) for i in range(COUNT)))


TWO_RANGES = query(
    "c", where("a", Operator.GREATER_THAN, 100), where("b", Operator.GREATER_THAN_OR_EQUAL, 19)
)
IN_BOTH = [f"{i:03}" for i in range(101, COUNT) if i % 20 == 19]


@pytest.mark.parametrize("first", [UP, DOWN])
@pytest.mark.parametrize("second", [UP, DOWN])
@pytest.mark.parametrize("direction", list(Direction))
async def test_ranges_on_two_fields_fetch_only_what_lies_in_both(
    store: DocumentStore, first: FieldKind, second: FieldKind, direction: Direction
) -> None:
    await fill(store)
    await build(store, Scope.COLLECTION, IndexField(("a",), first), IndexField(("b",), second))
    asked = dataclasses.replace(TWO_RANGES, order_by=(by("a", direction),))
    expected = IN_BOTH if direction is Direction.ASCENDING else IN_BOTH[::-1]
    assert await found(store, asked) == expected
    assert await looked_at(store, asked) == (len(expected), COUNT - 101)


async def test_a_query_with_two_ranges_gets_such_an_index(store: DocumentStore) -> None:
    await fill(store)
    assert await found(store, TWO_RANGES) == IN_BOTH
    await store.indexes.finish()
    assert await looked_at(store, TWO_RANGES) == (len(IN_BOTH), COUNT - 101)


async def test_a_limit_ends_the_scan_when_enough_lies_in_both(store: DocumentStore) -> None:
    await fill(store)
    await build(store, Scope.COLLECTION, IndexField(("a",)), IndexField(("b",)))
    asked = dataclasses.replace(TWO_RANGES, limit=2)
    assert await found(store, asked) == ["119", "139"]
    assert await looked_at(store, asked) == (2, 139 - 100)


async def test_a_count_over_two_ranges_fetches_no_document(store: DocumentStore) -> None:
    await fill(store)
    await build(store, Scope.COLLECTION, IndexField(("a",)), IndexField(("b",)))
    count = Aggregation("n", AggregationKind.COUNT)
    explain = ExplainOptions(analyze=True)
    result = await store.run_aggregation(TWO_RANGES, [count], OWNER, explain=explain)
    assert result.values == {"n": len(IN_BOTH)}
    assert result.explain is not None
    assert result.explain.debug_stats["documents_scanned"] == "0"


async def test_an_equality_behind_a_range_is_checked_on_the_key(store: DocumentStore) -> None:
    await fill(store)
    await build(store, Scope.COLLECTION, IndexField(("a",)), IndexField(("b",)))
    asked = query("c", where("a", Operator.LESS_THAN, 100), where("b", Operator.EQUAL, 7))
    expected = ["007", "027", "047", "067", "087"]
    assert await found(store, asked) == expected
    assert await looked_at(store, asked) == (len(expected), 100)


async def fill_groups(store: DocumentStore) -> None:
    """150 collections ``c`` below users, with one document each, alike in ``a``."""
    await commit(store, *(put(f"users/{i:03}/c/one", {"a": 1, "b": i}) for i in range(150)))


def below_user(number: int, **more: object) -> Query:
    asked = query(f"users/{number:03}/c", where("a", Operator.EQUAL, 1))
    return dataclasses.replace(asked, all_descendants=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("kind", [UP, DOWN])
async def test_a_group_below_a_parent_is_sought_in_the_index(
    store: DocumentStore, direction: Direction, kind: FieldKind
) -> None:
    await fill_groups(store)
    await build(store, Scope.GROUP, IndexField(("a",), kind))
    asked = below_user(70, order_by=(by("__name__", direction),))
    assert await found(store, asked) == ["one"]
    assert await looked_at(store, asked) == (1, 1)


async def test_a_group_below_a_parent_in_an_order_fetches_only_its_own(
    store: DocumentStore,
) -> None:
    await fill_groups(store)
    await build(store, Scope.GROUP, IndexField(("a",)), IndexField(("b",)))
    asked = below_user(70, order_by=(by("b"),))
    assert await found(store, asked) == ["one"]
    assert await looked_at(store, asked) == (1, 150)


async def test_the_parent_itself_is_not_below_itself(store: DocumentStore) -> None:
    await commit(store, put("c/1", {"a": 1}), put("c/1/c/2", {"a": 1}), put("c/10/c/3", {"a": 1}))
    await build(store, Scope.GROUP, IndexField(("a",)))
    asked = query("c/1/c", where("a", Operator.EQUAL, 1))
    assert await found(store, dataclasses.replace(asked, all_descendants=True)) == ["2"]
