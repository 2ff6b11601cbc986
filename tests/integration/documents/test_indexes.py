"""Indexes: wished for by queries, built while writes go on, never needed for a right answer."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest

from baas.access.principal import OWNER
from baas.db.sqlite import SqliteDatabase
from baas.documents import integrity
from baas.documents.index_wishes import best_indexes, describe_shape, parse_declared
from baas.documents.indexes import FieldKind, IndexDefinition, IndexField, IndexState, Scope
from baas.documents.service import DocumentStore
from baas.errors import DeadlineExceeded, FailedPrecondition, InvalidArgument, NotFound
from baas.model.canonical import canonicalize
from baas.model.query import Direction, Operator, Query
from baas.model.values import Value
from baas.wire.requests import ExplainOptions
from tests.integration.documents.helpers import (
    DATABASE,
    by,
    commit,
    delete,
    found,
    put,
    query,
    where,
)

BY_AUTHOR = query(
    "c",
    where("author", Operator.EQUAL, "x"),
    order_by=(by("time", Direction.DESCENDING),),
    limit=20,
)
AUTHOR_AND_TIME = IndexDefinition(
    "c", Scope.COLLECTION, (IndexField(("author",)), IndexField(("time",)))
)


async def fill(store: DocumentStore, count: int = 300) -> None:
    await commit(
        store,
        *(
            put(f"c/{i:04}", {"author": "x" if i % 10 == 0 else "y", "time": i})
            for i in range(count)
        ),
    )


async def examined(store: DocumentStore, asked: Query) -> int:
    """How many documents running the query looks at."""
    result = await store.run_query(asked, OWNER, explain=ExplainOptions(analyze=True))
    assert result.explain is not None
    return int(result.explain.debug_stats["documents_scanned"])


async def test_a_costly_query_gets_its_index(store: DocumentStore) -> None:
    await fill(store)
    before = await found(store, BY_AUTHOR)
    assert await examined(store, BY_AUTHOR) == 300
    await store.indexes.finish()
    assert await examined(store, BY_AUTHOR) == 20
    assert await found(store, BY_AUTHOR) == before
    (index,) = await store.indexes.list(DATABASE)
    assert index.definition == AUTHOR_AND_TIME
    assert index.requested_by == "c where author == order by time desc"


async def test_a_query_that_takes_too_long_ends_and_gets_its_index(make_store: Any) -> None:
    store = make_store(query_seconds=0.0)
    await fill(store, 1_500)
    with pytest.raises(DeadlineExceeded):
        await found(store, BY_AUTHOR)
    await store.indexes.finish()
    assert len(await found(store, BY_AUTHOR)) == 20


async def test_the_background_builds_what_queries_wish(store: DocumentStore) -> None:
    await fill(store)
    store.start()
    try:
        async with asyncio.timeout(20):
            while await examined(store, BY_AUTHOR) > 20:
                await asyncio.sleep(0.01)
    finally:
        await store.close()


async def test_a_cheap_query_gets_none(store: DocumentStore) -> None:
    await fill(store, 50)
    await found(store, BY_AUTHOR)
    await store.indexes.finish()
    assert await store.indexes.list(DATABASE) == ()


async def test_one_index_serves_both_directions(store: DocumentStore) -> None:
    await fill(store)
    await store.indexes.request(DATABASE, AUTHOR_AND_TIME, "test")
    await store.indexes.finish()
    upwards = query("c", where("author", Operator.EQUAL, "x"), order_by=(by("time"),), limit=20)
    assert await examined(store, upwards) == 20
    assert await found(store, upwards) == [f"{i:04}" for i in range(0, 200, 10)]


async def test_cursors_and_ranges_bound_the_scan(store: DocumentStore) -> None:
    await fill(store)
    await store.indexes.request(DATABASE, AUTHOR_AND_TIME, "test")
    await store.indexes.finish()
    asked = query(
        "c",
        where("author", Operator.EQUAL, "x"),
        where("time", Operator.GREATER_THAN, 100),
        where("time", Operator.LESS_THAN_OR_EQUAL, 130),
    )
    assert await found(store, asked) == ["0110", "0120", "0130"]
    assert await examined(store, asked) == 3


@pytest.mark.parametrize("kind", [FieldKind.ASCENDING, FieldKind.DESCENDING])
@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize(
    ("op", "value", "kept"),
    [
        (Operator.NOT_EQUAL, "done", ["nan", "new", "open"]),
        (Operator.NOT_IN, ["open", "done", "absent"], ["nan", "new"]),
        (Operator.IS_NOT_NAN, None, ["done", "new", "open"]),
    ],
)
async def test_a_scan_jumps_over_what_is_excluded(
    store: DocumentStore,
    op: Operator,
    value: Value,
    kept: list[str],
    direction: Direction,
    kind: FieldKind,
) -> None:
    values: dict[str, Value] = {"done": "done", "nan": math.nan, "new": "new", "open": "open"}
    documents = [(f"c/{state}{i:02}", {"s": s}) for state, s in values.items() for i in range(10)]
    await commit(
        store, *(put(path, fields) for path, fields in documents), put("c/null", {"s": None})
    )
    definition = IndexDefinition("c", Scope.COLLECTION, (IndexField(("s",), kind),))
    await store.indexes.request(DATABASE, definition, "test")
    await store.indexes.finish()
    asked = query("c", where("s", op, value), order_by=(by("s", direction),))
    expected = [f"{state}{i:02}" for state in kept for i in range(10)]
    if direction is Direction.DESCENDING:
        expected.reverse()
    assert await found(store, asked) == expected
    assert await examined(store, asked) == len(expected)


async def test_array_contains_has_an_index_of_elements(store: DocumentStore) -> None:
    await commit(store, *(put(f"c/{i}", {"tags": [i % 50, "all", i % 50]}) for i in range(200)))
    asked = query("c", where("tags", Operator.ARRAY_CONTAINS, 7))
    before = await found(store, asked)
    await store.indexes.finish()
    assert await found(store, asked) == before
    assert await examined(store, asked) == 4


async def test_equalities_join_their_indexes(store: DocumentStore) -> None:
    documents = [put(f"c/{i:04}", {"a": i % 20, "b": i % 50, "tags": [i % 30]}) for i in range(400)]
    await commit(store, *documents)
    filters = (where("a", Operator.EQUAL, 3), where("b", Operator.EQUAL, 23))
    downwards = query("c", *filters, order_by=(by("__name__", Direction.DESCENDING),))
    expected = [f"{i:04}" for i in range(400) if i % 20 == 3 and i % 50 == 23]
    assert await found(store, query("c", *filters)) == expected
    await store.indexes.finish()
    assert len(await store.indexes.list(DATABASE)) == 2
    assert await found(store, query("c", *filters)) == expected
    assert await found(store, downwards) == expected[::-1]
    assert await examined(store, query("c", *filters)) == len(expected)


async def test_a_join_is_explained(store: DocumentStore) -> None:
    for path in ("a", "b"):
        definition = IndexDefinition("c", Scope.COLLECTION, (IndexField((path,)),))
        await store.indexes.request(DATABASE, definition, "test")
    await store.indexes.finish()
    asked = query("c", where("a", Operator.EQUAL, 3), where("b", Operator.EQUAL, 3))
    result = await store.run_query(asked, OWNER, explain=ExplainOptions())
    assert result.explain is not None
    assert [used["properties"] for used in result.explain.indexes_used] == [
        "(a ASC, __name__ ASC) and (b ASC, __name__ ASC)"
    ]


async def test_a_costly_join_gets_one_index_for_all(store: DocumentStore) -> None:
    """Two values that are common each, and rare together."""
    await commit(store, *(put(f"c/{i:04}", {"a": i % 2, "b": (i + 1) % 2}) for i in range(400)))
    asked = query("c", where("a", Operator.EQUAL, 1), where("b", Operator.EQUAL, 1))
    for _ in range(2):
        assert await found(store, asked) == []
        await store.indexes.finish()
    assert len(await store.indexes.list(DATABASE)) == 3
    assert await found(store, asked) == []


async def test_writes_keep_an_index_up_to_date(
    store: DocumentStore, database: SqliteDatabase
) -> None:
    await store.indexes.request(DATABASE, AUTHOR_AND_TIME, "test")
    await store.indexes.finish()
    await commit(store, put("c/a", {"author": "x", "time": 1}), put("c/b", {"author": "x"}))
    await commit(
        store, put("c/a", {"author": "y", "time": 1}), put("c/c", {"author": "x", "time": 2})
    )
    await commit(store, put("c/b", {"author": "x", "time": 3}), delete("c/c"))
    assert await found(store, BY_AUTHOR) == ["b"]
    assert await database.read(integrity.check) == []


async def test_an_index_is_not_used_before_it_is_ready(make_store: Any) -> None:
    store = make_store(index_chunk=10)
    await fill(store, 100)
    await store.indexes.request(DATABASE, AUTHOR_AND_TIME, "test")
    await store.indexes.step()
    assert await examined(store, BY_AUTHOR) == 100
    assert len(await found(store, BY_AUTHOR)) == 10


async def test_building_goes_on_after_a_restart(make_store: Any, database: SqliteDatabase) -> None:
    first = make_store(index_chunk=10)
    await fill(first, 100)
    await first.indexes.request(DATABASE, AUTHOR_AND_TIME, "test")
    for _ in range(3):
        await first.indexes.step()
    second = make_store(index_chunk=10)
    await commit(second, put("c/0000", {"author": "x", "time": 5}), delete("c/0099"))
    steps = 0
    while await second.indexes.step():
        steps += 1
    assert steps < 10
    assert await examined(second, BY_AUTHOR) == 10
    assert await database.read(integrity.check) == []


async def test_writes_go_on_while_an_index_is_built(
    make_store: Any, database: SqliteDatabase
) -> None:
    store = make_store(index_chunk=5)
    await fill(store, 200)
    await store.indexes.request(DATABASE, AUTHOR_AND_TIME, "test")

    async def write() -> None:
        for i in range(60):
            await commit(
                store, put(f"c/{i * 3:04}", {"author": "x", "time": -i}), delete(f"c/{i + 100:04}")
            )

    await asyncio.gather(store.indexes.finish(), write())
    await store.indexes.finish()
    assert await database.read(integrity.check) == []
    assert (await store.indexes.list(DATABASE))[0].state is IndexState.READY


async def test_a_reader_of_an_older_version_does_not_use_a_newer_index(
    store: DocumentStore, database: SqliteDatabase
) -> None:
    """A version held before the index was ready does not have all of its entries."""
    await fill(store)
    async with database.snapshot() as snapshot:
        await store.indexes.request(DATABASE, AUTHOR_AND_TIME, "test")
        await store.indexes.finish()
        assert await examined(store, BY_AUTHOR) == 20

        def unit(tx: Any) -> list[Any]:
            from baas.documents.queries import query_reader
            from baas.documents.reader import Reader

            reader = Reader(tx, store._catalogue, store._reads._indexes, DATABASE)
            return list(query_reader(reader, canonicalize(BY_AUTHOR)))

        assert len(await snapshot.read(unit)) == 20


async def test_a_dropped_index_goes_and_a_pinned_one_stays(store: DocumentStore) -> None:
    await fill(store)
    index = await store.indexes.request(DATABASE, AUTHOR_AND_TIME, "test", pinned=True)
    assert index is not None
    await store.indexes.finish()
    with pytest.raises(FailedPrecondition):
        await store.indexes.drop(DATABASE, index.id)
    await store.indexes.pin(DATABASE, index.id, pinned=False)
    await store.indexes.drop(DATABASE, index.id)
    assert len(await found(store, BY_AUTHOR)) == 20
    await store.indexes.finish()
    assert await store.indexes.list(DATABASE) == ()
    with pytest.raises(NotFound):
        await store.indexes.drop(DATABASE, index.id)


async def test_indexes_are_limited_but_pinned_ones_are_taken(make_store: Any) -> None:
    store = make_store(max_indexes=1)
    other = IndexDefinition("c", Scope.COLLECTION, (IndexField(("n",)),))
    third = IndexDefinition("c", Scope.COLLECTION, (IndexField(("m",)),))
    assert await store.indexes.request(DATABASE, AUTHOR_AND_TIME, "test") is not None
    assert await store.indexes.request(DATABASE, other, "test") is None
    assert await store.indexes.request(DATABASE, third, "test", pinned=True) is not None


async def test_the_same_index_is_registered_once(store: DocumentStore) -> None:
    first = await store.indexes.request(DATABASE, AUTHOR_AND_TIME, "test")
    second = await store.indexes.request(DATABASE, AUTHOR_AND_TIME, "again", pinned=True)
    assert first is not None
    assert second is not None
    assert (second.id, second.pinned) == (first.id, True)


async def test_repair_builds_a_broken_index_anew(
    store: DocumentStore, database: SqliteDatabase
) -> None:
    await fill(store)
    await store.indexes.request(DATABASE, AUTHOR_AND_TIME, "test")
    await store.indexes.finish()
    await database.write(
        lambda tx: tx.run(
            "DELETE FROM index_entries WHERE key IN (SELECT key FROM index_entries LIMIT 5)"
        )
    )
    problems = await database.read(integrity.check)
    assert [problem.what for problem in problems] == ["index 1 lacks 5 entries"]
    assert await database.write(integrity.repair) == 1
    await store.indexes.finish()
    assert await database.read(integrity.check) == []
    assert await examined(store, BY_AUTHOR) == 20


def test_the_best_index_of_each_disjunct() -> None:
    asked = query("c", where("b", Operator.EQUAL, 1), where("a", Operator.IN, [1, 2]))
    (definition,) = best_indexes(canonicalize(asked), joined=True)
    assert [field.path for field in definition.fields] == [("a",), ("b",)]
    singles = best_indexes(canonicalize(asked))
    assert [each.fields[0].path for each in singles] == [("a",), ("b",)]


def test_the_shape_of_a_query_tells_no_values() -> None:
    asked = query("c", where("secret", Operator.EQUAL, "hunter2"))
    assert describe_shape(canonicalize(asked)) == "c where secret =="


DECLARED = {
    "indexes": [
        {
            "collectionGroup": "posts",
            "queryScope": "COLLECTION_GROUP",
            "fields": [
                {"fieldPath": "tags", "arrayConfig": "CONTAINS"},
                {"fieldPath": "time", "order": "DESCENDING"},
                {"fieldPath": "__name__", "order": "DESCENDING"},
            ],
        },
        {"collectionGroup": "v", "fields": [{"fieldPath": "e", "vectorConfig": {"dimension": 3}}]},
    ],
    "fieldOverrides": [
        {"collectionGroup": "sessions", "fieldPath": "expires", "ttl": True, "indexes": []}
    ],
}


def test_a_firestore_indexes_file_is_read() -> None:
    declared = parse_declared(json.dumps(DECLARED))
    assert declared.indexes == (
        IndexDefinition(
            "posts",
            Scope.GROUP,
            (
                IndexField(("tags",), FieldKind.CONTAINS),
                IndexField(("time",), FieldKind.DESCENDING),
            ),
        ),
    )
    assert declared.ttl_fields == (("sessions", ("expires",)),)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"indexes": [{}]}', '{"indexes": [{"fields": 1}]}']
)
def test_a_malformed_indexes_file_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_declared(text)
