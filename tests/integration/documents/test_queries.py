"""Aggregations, projections, nearest neighbours, plans."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from baas.access.principal import OWNER
from baas.db.sqlite import SqliteDatabase
from baas.documents.reader import Reader
from baas.documents.scan import Scan
from baas.documents.service import DocumentStore
from baas.errors import InvalidArgument
from baas.model.canonical import canonicalize
from baas.model.query import (
    Aggregation,
    AggregationKind,
    CompositeFilter,
    DistanceMeasure,
    FindNearest,
    Operator,
    Query,
)
from baas.model.values import INT64_MAX, Value, Vector
from baas.wire.requests import ExplainOptions
from tests.integration.documents.helpers import (
    DATABASE,
    Direction,
    OpenAccess,
    by,
    commit,
    found,
    ids,
    put,
    query,
    where,
)

COUNT = Aggregation("count", AggregationKind.COUNT)
SUM = Aggregation("sum", AggregationKind.SUM, ("n",))
AVERAGE = Aggregation("avg", AggregationKind.AVG, ("n",))


async def aggregated(store: DocumentStore, *numbers: Value) -> dict[str, Value]:
    """Count, sum and average of documents with these values."""
    await commit(store, *(put(f"c/{i}", {"n": value}) for i, value in enumerate(numbers)))
    result = await store.run_aggregation(query("c"), [COUNT, SUM, AVERAGE], OWNER)
    return dict(result.values)


async def test_nothing_sums_to_integer_zero_and_has_no_average(store: DocumentStore) -> None:
    values = await aggregated(store)
    assert values == {"count": 0, "sum": 0, "avg": None}
    assert type(values["sum"]) is int


async def test_what_is_no_number_is_left_out(store: DocumentStore) -> None:
    assert await aggregated(store, 1, "2", None, 4, [8]) == {"count": 5, "sum": 5, "avg": 2.5}


async def test_a_double_makes_the_sum_a_double(store: DocumentStore) -> None:
    values = await aggregated(store, 1, 2.0)
    assert (values["sum"], type(values["sum"])) == (3.0, float)


async def test_an_integer_sum_that_overflows_is_a_double(store: DocumentStore) -> None:
    values = await aggregated(store, INT64_MAX, 1)
    assert values["sum"] == float(2**63)
    assert type(values["sum"]) is float


async def test_nan_makes_nan(store: DocumentStore) -> None:
    values = await aggregated(store, 1, float("nan"))
    assert isinstance(values["sum"], float)
    assert math.isnan(values["sum"])


async def test_only_documents_with_all_aggregated_fields_count(store: DocumentStore) -> None:
    await commit(store, put("c/a", {"n": 1, "m": 10}), put("c/b", {"n": 2}), put("c/c", {"m": 5}))
    other = Aggregation("m", AggregationKind.AVG, ("m",))
    result = await store.run_aggregation(query("c"), [COUNT, SUM, other], OWNER)
    assert result.values == {"count": 1, "sum": 1, "m": 10.0}


async def test_a_limit_takes_documents_in_the_order_of_the_aggregated_fields(
    store: DocumentStore,
) -> None:
    numbers = {"a": {"n": 9, "m": 1}, "b": {"n": 5, "m": 3}, "c": {"m": 2}, "d": {"n": 1, "m": 4}}
    await commit(store, *(put(f"c/{each}", fields) for each, fields in numbers.items()))

    async def total(asked: Query, *aggregations: Aggregation) -> dict[str, Value]:
        return dict((await store.run_aggregation(asked, aggregations, OWNER)).values)

    assert await total(query("c", limit=2), SUM) == {"sum": 6}
    assert await total(query("c", limit=3), SUM, COUNT) == {"sum": 15, "count": 3}
    assert await total(query("c", offset=1), SUM) == {"sum": 14}
    assert await total(query("c", order_by=(by("m"),), limit=2), SUM) == {"sum": 14}
    descending = (by("m", Direction.DESCENDING),)
    assert await total(query("c", order_by=descending, limit=2), SUM) == {"sum": 6}
    other = Aggregation("m", AggregationKind.SUM, ("m",))
    assert await total(query("c", limit=2), SUM, other) == {"sum": 14, "m": 4}
    assert await total(query("c", order_by=(by("__name__"),), limit=2), SUM) == {"sum": 14}


async def test_up_to_bounds_a_count(store: DocumentStore) -> None:
    await commit(store, *(put(f"c/{i}") for i in range(5)))
    bounded = Aggregation("n", AggregationKind.COUNT, up_to=3)
    result = await store.run_aggregation(
        query("c"), [bounded], OWNER, explain=ExplainOptions(analyze=True)
    )
    assert result.values == {"n": 3}
    assert result.explain is not None
    assert result.explain.debug_stats["index_entries_scanned"] == "3"
    assert result.explain.debug_stats["documents_scanned"] == "0"


@pytest.mark.parametrize(
    ("more", "total"),
    [
        ({"limit": 2}, 1 + 2),
        ({"offset": 2}, 8 + 9),
        ({"limit": 2, "order_by": (by("k"),)}, 2 + 8),
        ({"limit": 2, "order_by": (by("k", Direction.DESCENDING),)}, 9 + 1),
        ({"limit": 2, "order_by": (by("__name__"),)}, 9),  # of the query's own first two
    ],
)
async def test_a_limited_sum_is_of_the_first_by_the_summed_field(
    store: DocumentStore, more: dict[str, Any], total: int
) -> None:
    rows = [("a", 9, 1), ("b", 8, 0), ("c", 1, 1), ("d", 2, 0)]
    await commit(store, *(put(f"c/{i}", {"n": n, "k": k}) for i, n, k in rows))
    await commit(store, put("c/0", {"k": 0}))  # has not the field: it is not even counted
    result = await store.run_aggregation(query("c", **more), [SUM], OWNER)
    assert result.values == {"sum": total}


async def test_aggregations_keep_to_the_limit_of_the_query(store: DocumentStore) -> None:
    await commit(store, *(put(f"c/{i}") for i in range(5)))
    result = await store.run_aggregation(query("c", limit=2, offset=1), [COUNT], OWNER)
    assert result.values == {"count": 2}


@pytest.mark.parametrize(
    "asked",
    [
        [],
        [COUNT, COUNT],
        [Aggregation(f"n{i}", AggregationKind.COUNT) for i in range(6)],
        [Aggregation("n", AggregationKind.COUNT, up_to=0)],
        [Aggregation("n", AggregationKind.SUM)],
    ],
    ids=["none", "same alias", "too many", "up to nothing", "no field"],
)
async def test_malformed_aggregations_are_refused(
    store: DocumentStore, asked: list[Aggregation]
) -> None:
    with pytest.raises(InvalidArgument):
        await store.run_aggregation(query("c"), asked, OWNER)


async def test_a_projection_keeps_only_its_fields(store: DocumentStore) -> None:
    await commit(store, put("c/a", {"n": 1, "m": {"x": 1, "y": 2}}))
    result = await store.run_query(query("c", select=(("m", "x"),)), OWNER)
    assert [document.fields for document in result.documents] == [{"m": {"x": 1}}]


async def test_a_projection_of_names_keeps_no_fields(store: DocumentStore) -> None:
    await commit(store, put("c/a", {"n": 1}))
    result = await store.run_query(query("c", select=(("__name__",),)), OWNER)
    assert [document.fields for document in result.documents] == [{}]


async def test_an_offset_is_told(store: DocumentStore) -> None:
    await commit(store, put("c/a"), put("c/b"))
    assert (await store.run_query(query("c", offset=5), OWNER)).skipped == 2


async def test_a_disjunct_that_fixes_the_ordered_field_keeps_the_order(
    store: DocumentStore,
) -> None:
    """It is read in the order of names, which orders nothing but its own documents."""
    both = {"tags": ["x"]}
    await commit(
        store, put("c/a", {"n": 2, **both}), put("c/b", {"n": 1, **both}), put("c/c", {"n": 3})
    )
    either = CompositeFilter(
        "OR", (where("n", Operator.EQUAL, 3), where("tags", Operator.ARRAY_CONTAINS, "x"))
    )
    for direction, expected in (
        (Direction.DESCENDING, ["c", "a", "b"]),
        (Direction.ASCENDING, ["b", "a", "c"]),
    ):
        asked = Query(DATABASE, (), "c", where=either, order_by=(by("n", direction),))
        assert await found(store, asked) == expected


async def test_a_document_that_matches_twice_comes_once(store: DocumentStore) -> None:
    await commit(store, put("c/a", {"n": 1, "m": 1}), put("c/b", {"n": 1}), put("c/c", {"m": 1}))
    either = CompositeFilter("OR", (where("n", Operator.EQUAL, 1), where("m", Operator.EQUAL, 1)))
    assert await found(store, Query(DATABASE, (), "c", where=either)) == ["a", "b", "c"]


def near(measure: DistanceMeasure, **more: object) -> FindNearest:
    return FindNearest(("v",), Vector((1.0, 0.0)), measure, **{"limit": 2, **more})  # type: ignore[arg-type]


async def put_vectors(store: DocumentStore) -> None:
    vectors = {"same": (1.0, 0.0), "far": (-9.0, 0.0), "long": (5.0, 0.0), "up": (0.0, 1.0)}
    await commit(
        store,
        *(put(f"c/{key}", {"v": Vector(value)}) for key, value in vectors.items()),
        put("c/none", {"v": 1}),
        put("c/three", {"v": Vector((1.0, 0.0, 0.0))}),
    )


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (DistanceMeasure.EUCLIDEAN, ["same", "up"]),
        (DistanceMeasure.COSINE, ["long", "same"]),
        (DistanceMeasure.DOT_PRODUCT, ["long", "same"]),
    ],
)
async def test_the_nearest_come_first(
    store: DocumentStore, measure: DistanceMeasure, expected: list[str]
) -> None:
    await put_vectors(store)
    assert await found(store, query("c", find_nearest=near(measure))) == expected


async def test_a_threshold_and_a_field_for_the_distance(store: DocumentStore) -> None:
    await put_vectors(store)
    asked = near(
        DistanceMeasure.EUCLIDEAN, limit=10, distance_threshold=2.0, distance_result_field="d"
    )
    result = await store.run_query(query("c", find_nearest=asked, select=(("d",),)), OWNER)
    assert ids(result.documents) == ["same", "up"]
    assert result.documents[0].fields == {"d": 0.0}


async def test_a_vector_without_direction_is_farthest_by_cosine(store: DocumentStore) -> None:
    await commit(
        store, put("c/a", {"v": Vector((0.0, 0.0))}), put("c/b", {"v": Vector((-1.0, 0.0))})
    )
    assert await found(store, query("c", find_nearest=near(DistanceMeasure.COSINE))) == ["b", "a"]
    bounded = near(DistanceMeasure.COSINE, distance_threshold=9.0)
    assert await found(store, query("c", find_nearest=bounded)) == ["b"]


async def test_explain_tells_the_plan_without_running(store: DocumentStore) -> None:
    await commit(store, put("c/a"))
    result = await store.run_query(query("c"), OWNER, explain=ExplainOptions())
    assert result.documents == ()
    assert result.explain is not None
    assert result.explain.indexes_used == (
        {"query_scope": "Collection", "properties": "(__name__ ASC)"},
    )
    assert result.explain.results_returned is None


async def test_explain_tells_what_running_took(store: DocumentStore) -> None:
    await commit(store, *(put(f"c/{i}", {"n": i}) for i in range(10)))
    asked = query("c", where("n", Operator.EQUAL, 3))
    result = await store.run_query(asked, OWNER, explain=ExplainOptions(analyze=True))
    assert result.explain is not None
    assert result.explain.results_returned == 1
    assert result.explain.debug_stats["documents_scanned"] == "10"


async def test_a_group_is_one_order_over_all_parents(store: DocumentStore) -> None:
    paths = ["c/a", "c/b", "c/a/c/x", "c/a/c/z", "d/q/c/m", "c/a/e/f/c/g"]
    await commit(store, *(put(path) for path in paths))
    group = Query(DATABASE, (), "c", all_descendants=True)
    result = await store.run_query(group, OWNER)
    assert ["/".join(each.name.segments) for each in result.documents] == [
        "c/a",
        "c/a/c/x",
        "c/a/c/z",
        "c/a/e/f/c/g",
        "c/b",
        "d/q/c/m",
    ]
    below = Query(DATABASE, ("c", "a"), "c", all_descendants=True)
    assert await found(store, below) == ["x", "z", "g"]


async def test_a_limit_stops_the_scan(store: DocumentStore) -> None:
    await commit(store, *(put(f"c/{i:03}") for i in range(100)))
    result = await store.run_query(
        query("c", limit=3, order_by=(by("__name__", Direction.DESCENDING),)),
        OWNER,
        explain=ExplainOptions(analyze=True),
    )
    assert ids(result.documents) == ["099", "098", "097"]
    assert result.explain is not None
    assert result.explain.debug_stats["documents_scanned"] == "3"


async def test_a_scan_that_stopped_early_does_not_hold_its_version(
    database: SqliteDatabase,
) -> None:
    """Readers go on to what was acknowledged since, however their last query ended."""

    store = DocumentStore(database, OpenAccess())
    await commit(store, put("c/a", {"n": 0}), put("c/b"), put("c/c"))
    for n in range(1, 8):
        assert await found(store, query("c", limit=1)) == ["a"]

        def fail(reader: Reader) -> None:
            next(Scan(reader, canonicalize(query("c"))).documents())
            raise RuntimeError("in the middle of a scan")

        with pytest.raises(RuntimeError):
            await store.read_at_version(DATABASE, fail)
        await commit(store, put("c/a", {"n": n}))
        asked = query("c", where("n", Operator.EQUAL, n))
        results = await asyncio.gather(*(found(store, asked) for _ in range(4)))
        assert results == [["a"]] * 4
