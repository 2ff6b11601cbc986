from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from baas.errors import InvalidArgument
from baas.model.canonical import canonical_id, canonicalize, disjuncts
from baas.model.paths import DOCUMENT_ID, DatabaseId
from baas.model.query import (
    CompositeFilter,
    Cursor,
    Direction,
    DistanceMeasure,
    FieldFilter,
    Filter,
    FindNearest,
    Operator,
    Order,
    Query,
)
from baas.model.values import Reference, Value, Vector
from tests.unit.model.strategies import DATABASE
from tests.unit.model.test_matching import conditions, orders

Op = Operator
ASC, DESC = Direction.ASCENDING, Direction.DESCENDING
QUERY = Query(DATABASE, (), "c")
REFERENCE = Reference(f"{DATABASE.name}/documents/c/d")


def where(field: str, op: Operator, value: Value = None) -> FieldFilter:
    return FieldFilter((field,), op, value)


NAMED = FieldFilter(DOCUMENT_ID, Op.EQUAL, REFERENCE)
AFTER = FieldFilter(DOCUMENT_ID, Op.GREATER_THAN, REFERENCE)


def all_of(*filters: Filter) -> CompositeFilter:
    return CompositeFilter("AND", filters)


def any_of(*filters: Filter) -> CompositeFilter:
    return CompositeFilter("OR", filters)


def normalized(condition: Filter) -> Filter | None:
    return canonicalize(replace(QUERY, where=condition)).where


class TestOrders:
    def test_without_any_the_name_orders(self) -> None:
        assert canonicalize(QUERY).order_by == (Order(DOCUMENT_ID, ASC),)

    def test_inequality_fields_follow_in_lexicographic_order_then_the_name(self) -> None:
        condition = all_of(
            where("z", Op.GREATER_THAN, 1), where("b", Op.NOT_EQUAL, 1), where("a", Op.EQUAL, 1)
        )
        query = canonicalize(replace(QUERY, where=condition, order_by=(Order(("m",), DESC),)))
        assert query.order_by == (
            Order(("m",), DESC),
            Order(("b",), DESC),
            Order(("z",), DESC),
            Order(DOCUMENT_ID, DESC),
        )

    def test_implied_orders_are_compared_name_by_name_as_they_are_not_as_they_are_quoted(
        self,
    ) -> None:
        fields = [("a", "b"), ("a b",), ("od`d",), ("b",), ("a",), ("Z",), ("é",)]
        condition = all_of(*(FieldFilter(field, Op.GREATER_THAN, 1) for field in fields))
        orders = canonicalize(replace(QUERY, where=condition)).order_by
        assert [order.field_path for order in orders[:-1]] == [
            *(("Z",), ("a",), ("a", "b"), ("a b",), ("b",), ("od`d",), ("é",)),
        ]

    def test_an_explicit_name_ends_the_order(self) -> None:
        by_name = replace(QUERY, order_by=(Order(DOCUMENT_ID, DESC),))
        assert canonicalize(by_name).order_by == (Order(DOCUMENT_ID, DESC),)
        with pytest.raises(InvalidArgument, match="before it"):
            canonicalize(replace(by_name, where=where("a", Op.GREATER_THAN, 1)))

    def test_name_inequalities_add_no_second_name(self) -> None:
        query = replace(QUERY, where=FieldFilter(DOCUMENT_ID, Op.GREATER_THAN, REFERENCE))
        assert canonicalize(query).order_by == (Order(DOCUMENT_ID, ASC),)

    @pytest.mark.parametrize(
        "order_by",
        [
            (Order(("a",)), Order(("a",), DESC)),
            (Order(DOCUMENT_ID), Order(("a",))),
            (Order(("__x__",)),),
        ],
    )
    def test_refuses(self, order_by: tuple[Order, ...]) -> None:
        with pytest.raises(InvalidArgument):
            canonicalize(replace(QUERY, order_by=order_by))

    @pytest.mark.parametrize("nothing", [None, float("nan")])
    def test_a_comparison_that_nothing_fulfils_implies_no_order(self, nothing: Value) -> None:
        condition = any_of(where("a", Op.LESS_THAN, nothing), where("b", Op.EQUAL, 1))
        assert canonicalize(replace(QUERY, where=condition)).order_by == (Order(DOCUMENT_ID),)

    def test_a_list_of_exclusions_implies_an_order_even_if_nothing_fulfils_it(self) -> None:
        orders = canonicalize(replace(QUERY, where=where("a", Op.NOT_IN, [None]))).order_by
        assert orders == (Order(("a",)), Order(DOCUMENT_ID))


class TestFilters:
    @pytest.mark.parametrize(
        ("given_", "expected"),
        [
            (where("a", Op.EQUAL, None), where("a", Op.IN, [])),
            (where("a", Op.LESS_THAN, float("nan")), where("a", Op.IN, [])),
            (where("a", Op.NOT_EQUAL, None), where("a", Op.IN, [])),
            (where("a", Op.NOT_IN, [1, None]), where("a", Op.IN, [])),
            (where("a", Op.NOT_EQUAL, float("nan")), where("a", Op.IS_NOT_NULL)),
            (where("a", Op.IN, [1]), where("a", Op.EQUAL, 1)),
            (where("a", Op.IN, ["b", 1, 1.0, None]), where("a", Op.IN, [1.0, "b"])),
            (where("a", Op.ARRAY_CONTAINS_ANY, [2]), where("a", Op.ARRAY_CONTAINS, 2)),
            (where("a", Op.NOT_IN, [3]), where("a", Op.NOT_EQUAL, 3)),
            (all_of(), None),
            (any_of(all_of(), where("a", Op.EQUAL, 1)), None),
            (all_of(any_of(where("a", Op.EQUAL, 1))), where("a", Op.EQUAL, 1)),
        ],
    )
    def test_are_brought_into_one_form(self, given_: Filter, expected: Filter | None) -> None:
        assert normalized(given_) == expected

    def test_nesting_order_and_duplicates_do_not_matter(self) -> None:
        a, b, c = (where(name, Op.EQUAL, 1) for name in "abc")
        one = canonicalize(replace(QUERY, where=all_of(a, all_of(b, c), a)))
        other = canonicalize(replace(QUERY, where=all_of(c, b, a)))
        assert canonical_id(one) == canonical_id(other)

    @pytest.mark.parametrize(
        ("condition", "message"),
        [
            (where("a", Op.IN, list(range(31))), "supports up to 30"),
            (where("a", Op.NOT_IN, list(range(11))), "supports up to 10"),
            (where("a", Op.NOT_IN, []), "non-empty"),
            (where("a", Op.IN, 1), "requires an ArrayValue"),
            (all_of(where("a", Op.NOT_EQUAL, 1), where("b", Op.NOT_IN, [1])), "Only a single"),
            (all_of(NAMED, where("a", Op.NOT_EQUAL, 1)), "Equality on key is not allowed"),
            (any_of(NAMED, where("a", Op.GREATER_THAN, 1)), "Equality on key is not allowed"),
            (all_of(where("a", Op.NOT_IN, [1]), where("b", Op.IN, [1, 2])), "cannot be used"),
            (any_of(where("a", Op.NOT_IN, [1]), where("b", Op.EQUAL, 1)), "cannot be used"),
            (any_of(where("a", Op.NOT_IN, [1])), "cannot be used"),
            (
                all_of(where("a", Op.ARRAY_CONTAINS, 1), where("a", Op.ARRAY_CONTAINS, None)),
                "maximum of 1 'ARRAY_CONTAINS'",
            ),
            (
                all_of(where("a", Op.ARRAY_CONTAINS, 1), where("b", Op.ARRAY_CONTAINS_ANY, [1, 2])),
                "maximum of 1 'ARRAY_CONTAINS'",
            ),
            (
                all_of(where("a", Op.IN, list(range(6))), where("b", Op.IN, list(range(6)))),
                "Too many disjunctions",
            ),
            (where("__x__", Op.EQUAL, 1), "reserved"),
            (FieldFilter(DOCUMENT_ID, Op.EQUAL, "d"), "document reference"),
            (FieldFilter(DOCUMENT_ID, Op.ARRAY_CONTAINS, REFERENCE), "__name__"),
            (FieldFilter(DOCUMENT_ID, Op.IN, [REFERENCE, 1]), "document reference"),
            (
                FieldFilter(
                    DOCUMENT_ID, Op.EQUAL, Reference(f"{DatabaseId('other').name}/documents/c/d")
                ),
                "database of the query",
            ),
            (any_of(), "at least one sub-filter"),
            (CompositeFilter("XOR", (where("a", Op.EQUAL, 1),)), "AND or OR"),
        ],
    )
    def test_refuses(self, condition: Filter, message: str) -> None:
        with pytest.raises(InvalidArgument, match=message):
            normalized(condition)

    def test_one_array_filter_in_each_disjunct_is_fine(self) -> None:
        assert normalized(
            any_of(where("a", Op.ARRAY_CONTAINS, 1), where("b", Op.ARRAY_CONTAINS, 1))
        )

    def test_the_same_array_filter_twice_counts_once(self) -> None:
        contains = where("a", Op.ARRAY_CONTAINS, 1)
        assert normalized(all_of(contains, contains)) == contains
        listed = where("a", Op.ARRAY_CONTAINS_ANY, [1, 2])
        again = where("a", Op.ARRAY_CONTAINS_ANY, [2, None, 1, 2])
        assert normalized(all_of(listed, again)) == normalized(listed)

    def test_refuses_filters_nested_without_end(self) -> None:
        condition: Filter = where("a", Op.EQUAL, 1)
        for _ in range(500):
            condition = all_of(condition)
        with pytest.raises(InvalidArgument, match="nested"):
            normalized(condition)


class TestDisjuncts:
    def test_lists_expand_and_products_multiply(self) -> None:
        a, b = where("a", Op.EQUAL, 1), where("b", Op.EQUAL, 2)
        result = disjuncts(all_of(a, where("c", Op.IN, [1, True])))
        assert [set(map(repr, each)) for each in result] == [
            {repr(a), repr(where("c", Op.EQUAL, 1))},
            {repr(a), repr(where("c", Op.EQUAL, True))},
        ]
        assert disjuncts(any_of(a, b)) == ((a,), (b,))

    def test_no_filter_is_one_empty_conjunction_and_an_impossible_one_is_none(self) -> None:
        assert disjuncts(None) == ((),)
        assert disjuncts(all_of(where("a", Op.EQUAL, 1), where("b", Op.IN, []))) == ()


NEAREST = FindNearest(("v",), Vector((1.0,)), DistanceMeasure.COSINE, 1)


class TestRest:
    @pytest.mark.parametrize(
        ("query", "message"),
        [
            (replace(QUERY, limit=-1), "limit is negative"),
            (replace(QUERY, offset=-1), "offset is negative"),
            (replace(QUERY, parent=("c",)), "parent"),
            (replace(QUERY, start_at=Cursor((1,), True)), "too many values"),
            (
                replace(QUERY, order_by=(Order(DOCUMENT_ID),), end_at=Cursor(("d",), True)),
                "document reference",
            ),
            (
                replace(
                    QUERY,
                    find_nearest=FindNearest(
                        ("v",), Vector((1.0,)), DistanceMeasure.COSINE, limit=0
                    ),
                ),
                "findNearest.limit",
            ),
            (
                replace(
                    QUERY,
                    find_nearest=FindNearest(
                        ("v",), Vector((1.0,)), DistanceMeasure.COSINE, 1, "not a path"
                    ),
                ),
                "Field path",
            ),
            (
                replace(
                    QUERY,
                    find_nearest=FindNearest(
                        ("v",), Vector((1.0,)), DistanceMeasure.COSINE, 1, "__name__"
                    ),
                ),
                "must not be __name__",
            ),
            (replace(QUERY, find_nearest=NEAREST, limit=1), "limit cannot be used"),
            (replace(QUERY, find_nearest=NEAREST, offset=1), "offset cannot be used"),
            (
                replace(QUERY, find_nearest=NEAREST, end_at=Cursor((), True)),
                "cursor cannot be used",
            ),
        ],
    )
    def test_refuses(self, query: Query, message: str) -> None:
        with pytest.raises(InvalidArgument, match=message):
            canonicalize(query)

    @pytest.mark.parametrize(
        "condition",
        [
            all_of(NAMED, where("a", Op.EQUAL, 1)),
            all_of(NAMED, where("a", Op.GREATER_THAN, 1), AFTER),
        ],
    )
    def test_a_name_goes_with_equalities_and_with_ranges_of_names(self, condition: Filter) -> None:
        canonicalize(replace(QUERY, where=condition))

    def test_a_limit_of_zero_is_not_an_absent_one(self) -> None:
        zero, absent = canonicalize(replace(QUERY, limit=0)), canonicalize(QUERY)
        assert canonical_id(zero) != canonical_id(absent)

    def test_true_and_one_are_different_queries(self) -> None:
        ids = {
            canonical_id(canonicalize(replace(QUERY, where=where("a", Op.EQUAL, value))))
            for value in (1, True, "1")
        }
        assert len(ids) == 3

    def test_a_selection_keeps_each_field_once(self) -> None:
        selected = replace(QUERY, select=(("b",), ("a",), ("b",), DOCUMENT_ID))
        assert canonicalize(selected).select == (("a",), ("b",))
        assert canonicalize(replace(QUERY, select=(DOCUMENT_ID,))).select == (DOCUMENT_ID,)

    def test_an_empty_selection_is_the_name_alone(self) -> None:
        assert canonicalize(replace(QUERY, select=())).select == (DOCUMENT_ID,)

    @given(conditions, orders)
    def test_is_idempotent(self, condition: Filter, order_by: tuple[Order, ...]) -> None:
        try:
            once = canonicalize(replace(QUERY, where=condition, order_by=order_by))
        except InvalidArgument:
            return
        assert canonical_id(canonicalize(once)) == canonical_id(once)
