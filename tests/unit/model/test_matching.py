from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from baas.errors import InvalidArgument
from baas.model.canonical import canonicalize
from baas.model.document import Document
from baas.model.field_access import MISSING, get_field
from baas.model.matching import (
    compile_condition,
    compile_filter,
    compile_order,
    cursor_range,
    document_comparator,
    matches,
    within_cursors,
)
from baas.model.ordering import compare, type_order
from baas.model.paths import DOCUMENT_ID, DocumentName
from baas.model.query import (
    CompositeFilter,
    Cursor,
    Direction,
    FieldFilter,
    Filter,
    Operator,
    Order,
    Query,
)
from baas.model.values import Fields, Reference, Timestamp, Value
from tests.unit.model.strategies import DATABASE, documents, values

NAN, INF = float("nan"), float("inf")
Op = Operator
QUERY = Query(DATABASE, (), "v")

STORED: dict[str, Fields] = {
    "null": {"x": None},
    "f": {"x": False},
    "t": {"x": True},
    "nan": {"x": NAN},
    "ninf": {"x": -INF},
    "m1": {"x": -1},
    "z": {"x": 0},
    "one": {"x": 1},
    "oned": {"x": 1.0},
    "five": {"x": 5},
    "inf": {"x": INF},
    "se": {"x": ""},
    "s": {"x": "a"},
    "arr0": {"x": []},
    "arrnan": {"x": [NAN, None]},
    "arr": {"x": [1, 2]},
    "map0": {"x": {}},
    "map": {"x": {"a": 1}},
    "missing": {"y": 1},
}
PRESENT = set(STORED) - {"missing", "null"}


def document(id_: str, fields: Fields, collection: tuple[str, ...] = ("v",)) -> Document:
    name = DocumentName(DATABASE, (*collection, id_))
    return Document(name, Timestamp(0), Timestamp(0), fields=fields)


DOCUMENTS = [document(id_, fields) for id_, fields in STORED.items()]


def found(query: Query) -> list[str]:
    canonical = canonicalize(query)
    result = [each for each in DOCUMENTS if matches(canonical, each)]
    return [each.name.id for each in sorted(result, key=compile_order(canonical))]


def found_by(op: Operator, operand: Value) -> set[str]:
    condition = FieldFilter(("x",), op, operand)
    raw = {each.name.id for each in DOCUMENTS if compile_condition(condition)(each)}
    assert set(found(replace(QUERY, where=condition))) == raw  # the canonical form means the same
    return raw


# What Google's emulator answers for the same documents and filters.
@pytest.mark.parametrize(
    ("op", "operand", "expected"),
    [
        (Op.LESS_THAN, None, ""),
        (Op.LESS_THAN, NAN, ""),
        (Op.LESS_THAN, 1, "ninf m1 z"),
        (Op.LESS_THAN, True, "f"),
        (Op.LESS_THAN, "a", "se"),
        (Op.LESS_THAN, [1, 2], "arr0 arrnan"),
        (Op.LESS_THAN, {"a": 1}, "map0"),
        (Op.LESS_THAN_OR_EQUAL, None, ""),
        (Op.LESS_THAN_OR_EQUAL, NAN, ""),
        (Op.LESS_THAN_OR_EQUAL, 1, "ninf m1 z one oned"),
        (Op.LESS_THAN_OR_EQUAL, True, "f t"),
        (Op.GREATER_THAN, 1, "five inf"),
        (Op.GREATER_THAN, None, ""),
        (Op.GREATER_THAN, "a", ""),
        (Op.GREATER_THAN_OR_EQUAL, 1.0, "one oned five inf"),
        (Op.GREATER_THAN_OR_EQUAL, NAN, ""),
        (Op.GREATER_THAN_OR_EQUAL, {"a": 1}, "map"),
        (Op.EQUAL, None, ""),
        (Op.EQUAL, NAN, ""),
        (Op.EQUAL, 1, "one oned"),
        (Op.EQUAL, True, "t"),
        (Op.EQUAL, "a", "s"),
        (Op.EQUAL, [1.0, 2], "arr"),
        (Op.EQUAL, [NAN, None], "arrnan"),
        (Op.EQUAL, {"a": 1}, "map"),
        (Op.IN, [1], "one oned"),
        (Op.IN, [None], ""),
        (Op.IN, [NAN], ""),
        (Op.IN, [None, 1], "one oned"),
        (Op.IN, [[1, 2], "a"], "arr s"),
        (Op.NOT_IN, [None, 1], ""),
        (Op.ARRAY_CONTAINS, 1, "arr"),
        (Op.ARRAY_CONTAINS, None, ""),
        (Op.ARRAY_CONTAINS, NAN, ""),
        (Op.ARRAY_CONTAINS, [1], ""),
        (Op.ARRAY_CONTAINS_ANY, [1], "arr"),
        (Op.ARRAY_CONTAINS_ANY, [NAN, None], ""),
        (Op.ARRAY_CONTAINS_ANY, [None, 2.0], "arr"),
        (Op.IS_NAN, None, "nan"),
        (Op.IS_NULL, None, "null"),
        (Op.NOT_EQUAL, None, ""),
    ],
)
def test_filters_find(op: Operator, operand: Value, expected: str) -> None:
    assert found_by(op, operand) == set(expected.split())


@pytest.mark.parametrize(
    ("op", "operand", "excluded"),
    [
        (Op.NOT_EQUAL, NAN, ""),
        (Op.NOT_EQUAL, 1, "one oned"),
        (Op.NOT_EQUAL, True, "t"),
        (Op.NOT_EQUAL, [1, 2], "arr"),
        (Op.NOT_IN, [1, "a"], "one oned s"),
        (Op.NOT_IN, [NAN], ""),
        (Op.IS_NOT_NAN, None, "nan"),
        (Op.IS_NOT_NULL, None, ""),
    ],
)
def test_exclusions_find_all_but_null_missing_and(
    op: Operator, operand: Value, excluded: str
) -> None:
    assert found_by(op, operand) == PRESENT - set(excluded.split())


def test_an_ordered_field_must_be_there_and_all_types_are_in_order() -> None:
    assert found(replace(QUERY, order_by=(Order(("x",)),))) == [
        id_ for id_ in STORED if id_ != "missing"
    ]


def test_descending_turns_the_whole_order_round() -> None:
    ascending = found(replace(QUERY, order_by=(Order(("x",)),)))
    descending = found(replace(QUERY, order_by=(Order(("x",), Direction.DESCENDING),)))
    assert descending == ascending[::-1]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (Cursor((1,), True), None, "one oned five inf se s arr0 arrnan arr map0 map"),
        (Cursor((1,), False), None, "five inf se s arr0 arrnan arr map0 map"),
        (None, Cursor((1,), True), "null f t nan ninf m1 z"),
        (None, Cursor((1,), False), "null f t nan ninf m1 z one oned"),
        (Cursor((1,), True), Cursor((5,), False), "one oned five"),
        (Cursor((), False), None, ""),
        (None, Cursor((), True), ""),
    ],
)
def test_cursors_cut_the_order(start: Cursor | None, end: Cursor | None, expected: str) -> None:
    query = replace(QUERY, order_by=(Order(("x",)),), start_at=start, end_at=end)
    assert found(query) == expected.split()


def test_a_cursor_may_go_down_to_the_name() -> None:
    query = replace(
        QUERY,
        order_by=(Order(("x",)), Order(DOCUMENT_ID)),
        start_at=Cursor((1, Reference(f"{DATABASE.name}/documents/v/one")), before=False),
        end_at=Cursor((5,), before=True),
    )
    assert found(query) == ["oned"]


@pytest.mark.parametrize(
    ("op", "operand", "expected"),
    [
        (Op.EQUAL, "v/one", "one"),
        (Op.GREATER_THAN, "v/s", "se t z"),
        (Op.GREATER_THAN, "a/a", " ".join(sorted(STORED))),
        (Op.LESS_THAN_OR_EQUAL, "v/arr0", "arr arr0"),
        (Op.IN, ["v/one", "w/z", "v/z"], "one z"),
    ],
)
def test_names_are_filtered_by_reference(op: Operator, operand: Any, expected: str) -> None:
    def reference(path: str) -> Reference:
        return Reference(f"{DATABASE.name}/documents/{path}")

    value: Value = [reference(each) for each in operand] if op is Op.IN else reference(operand)
    where = FieldFilter(DOCUMENT_ID, op, value)
    assert found(replace(QUERY, where=where)) == expected.split()


@pytest.mark.parametrize(
    ("path", "parent", "collection", "group", "inside"),
    [
        (("v", "d"), (), "v", False, True),
        (("w", "d"), (), "v", False, False),
        (("v", "d", "v", "e"), (), "v", False, False),
        (("v", "d", "v", "e"), (), "v", True, True),
        (("v", "d", "v", "e"), ("v", "d"), "v", False, True),
        (("v", "x", "v", "e"), ("v", "d"), "v", True, False),
        (("v", "d", "w", "e"), ("v", "d"), "", True, True),
        (("v", "d"), ("v", "d"), "", True, False),
    ],
)
def test_a_query_reads_one_collection_or_a_group_below_its_parent(
    path: tuple[str, ...], parent: tuple[str, ...], collection: str, group: bool, inside: bool
) -> None:
    query = Query(DATABASE, parent, collection, all_descendants=group)
    assert compile_filter(query)(document(path[-1], {}, path[:-1])) == inside


# -- against a naive model -----------------------------------------------------------------------


def naive(condition: Filter, fields: Fields) -> bool:
    """The semantics once more, by the comparator and without encodings or normal forms."""
    if isinstance(condition, CompositeFilter):
        results = [naive(part, fields) for part in condition.filters]
        return any(results) if condition.op == "OR" else all(results)
    value, operand, op = get_field(fields, condition.field_path), condition.value, condition.op
    if value is MISSING:
        return False
    if op is Op.IN:
        return any(same(value, each) for each in as_list(operand))
    if op in (Op.NOT_IN, Op.NOT_EQUAL):
        excluded = as_list(operand) if op is Op.NOT_IN else [operand]
        nulls = value is None or any(each is None for each in excluded)
        return not nulls and not any(same(value, each) for each in excluded)
    if op in (Op.ARRAY_CONTAINS, Op.ARRAY_CONTAINS_ANY):
        wanted = as_list(operand) if op is Op.ARRAY_CONTAINS_ANY else [operand]
        return isinstance(value, list) and any(same(e, each) for e in value for each in wanted)
    if op is Op.EQUAL:
        return same(value, operand)
    if type_order(value) != type_order(operand) or not comparable(value) or not comparable(operand):
        return False
    order = compare(value, operand)
    return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[op.value]


def as_list(operand: Value) -> list[Value]:
    assert isinstance(operand, list)
    return operand


def comparable(value: Value) -> bool:
    return value is not None and value == value


def same(a: Value, b: Value) -> bool:
    return comparable(a) and comparable(b) and compare(a, b) == 0


paths = st.sampled_from([("a",), ("b",), ("c",), ("a", "b")])
single = st.sampled_from(
    [Op.LESS_THAN, Op.LESS_THAN_OR_EQUAL, Op.GREATER_THAN, Op.EQUAL, Op.ARRAY_CONTAINS]
)
field_conditions = st.builds(FieldFilter, paths, single, values(4)) | st.builds(
    FieldFilter,
    paths,
    st.sampled_from([Op.IN, Op.ARRAY_CONTAINS_ANY]),
    st.lists(values(3), min_size=1, max_size=3),
)
conditions: st.SearchStrategy[Filter] = st.recursive(
    field_conditions,
    lambda inner: st.builds(
        CompositeFilter,
        st.sampled_from(["AND", "OR"]),
        st.lists(inner, max_size=3).map(tuple),
    ),
    max_leaves=4,
)
exclusions = st.builds(FieldFilter, paths, st.just(Op.NOT_EQUAL), values(4)) | st.builds(
    FieldFilter, paths, st.just(Op.NOT_IN), st.lists(values(3), min_size=1, max_size=3)
)


@given(conditions | exclusions, documents())
def test_filters_mean_what_the_naive_model_says(condition: Filter, doc: Document) -> None:
    assert compile_condition(condition)(doc) == naive(condition, doc.fields)


@given(conditions | exclusions, documents(), st.data())
def test_a_condition_on_a_stored_value_means_what_the_naive_model_says(
    condition: Filter, doc: Document, data: st.DataObject
) -> None:
    """As above, with operands taken from the document, so that equality is common."""
    assume(doc.fields)
    field = data.draw(st.sampled_from(sorted(doc.fields)))
    value = doc.fields[field]
    op = data.draw(single)
    chosen: Filter = FieldFilter((field,), op, value)
    both = CompositeFilter("OR", (chosen, condition))
    assert compile_condition(both)(doc) == naive(both, doc.fields)


@given(conditions | exclusions, documents())
def test_the_canonical_form_keeps_the_meaning(condition: Filter, doc: Document) -> None:
    try:
        canonical = canonicalize(replace(QUERY, where=condition))
    except InvalidArgument:  # too many array filters: refused, not misread
        reject()
    kept = canonical.where is None or compile_condition(canonical.where)(doc)
    assert kept == naive(condition, doc.fields)


orders = st.lists(
    st.builds(Order, st.sampled_from([("a",), ("b",)]), st.sampled_from(Direction)),
    max_size=2,
    unique_by=lambda order: order.field_path,
).map(tuple)


@given(orders, st.lists(documents(), min_size=2, max_size=4))
def test_order_keys_sort_as_the_comparator_does(
    order_by: tuple[Order, ...], docs: list[Document]
) -> None:
    query = canonicalize(replace(QUERY, order_by=order_by))
    present = [
        doc
        for doc in docs
        if all(get_field(doc.fields, order.field_path) is not MISSING for order in order_by)
    ]
    by_key = sorted(present, key=compile_order(query))
    by_comparator = sorted(present, key=functools.cmp_to_key(document_comparator(query)))
    assert [doc.name for doc in by_key] == [doc.name for doc in by_comparator]


@given(st.sampled_from(Direction), values(4), st.booleans(), st.booleans(), st.lists(values(4)))
def test_cursors_cut_where_the_comparator_says(
    direction: Direction, at: Value, before: bool, start: bool, stored: list[Value]
) -> None:
    cursor = Cursor((at,), before)
    query = replace(QUERY, order_by=(Order(("a",), direction),))
    query = replace(query, start_at=cursor) if start else replace(query, end_at=cursor)
    canonical = canonicalize(query)
    low, high = cursor_range(canonical)
    for value in stored:
        doc = document("d", {"a": value})
        order = compare(value, at) * (-1 if direction is Direction.DESCENDING else 1)
        beyond = order >= 0 if before else order > 0
        assert within_cursors(canonical)(doc) == (beyond if start else not beyond)
        key = compile_order(canonical)(doc)
        assert (low <= key and (high is None or key < high)) == (beyond if start else not beyond)
