from __future__ import annotations

import itertools

import pytest
from hypothesis import given

from baas.model.ordering import compare, compare_names, equal, sort_key, type_order
from baas.model.values import GeoPoint, Reference, Timestamp, Value, Vector
from tests.unit.model.strategies import values

NAN = float("nan")
INF = float("inf")

ASCENDING: list[Value] = [
    None,
    False,
    True,
    NAN,
    -INF,
    -(2**63),
    -1.5,
    -1,
    0,
    5e-324,
    1,
    2**53,
    2**53 + 1,
    2.0**53 + 2,
    2**63 - 1,
    2.0**63,
    INF,
    Timestamp(-1),
    Timestamp(0),
    "",
    "\x00",
    "a",
    "a\x00",
    "b",
    "é",
    "\uffff",
    "\U00010000",
    b"",
    b"\x00",
    b"\xff",
    Reference("projects/p/databases/(default)/documents/c/__id-1__"),
    Reference("projects/p/databases/(default)/documents/c/__id2__"),
    Reference("projects/p/databases/(default)/documents/c/__id10__"),
    Reference("projects/p/databases/(default)/documents/c/a"),
    Reference("projects/p/databases/(default)/documents/c/a/d/e"),
    Reference("projects/p/databases/(default)/documents/c/a\x00"),
    Reference("projects/q/databases/(default)/documents/a/a"),
    GeoPoint(-90, 180),
    GeoPoint(0, -1),
    GeoPoint(0, 1),
    [],
    [1],
    [1, "a"],
    [2],
    Vector((9.0,)),
    Vector((1.0, 2.0)),
    Vector((1.0, 3.0)),
    {},
    {"a": 1},
    {"a": 1, "b": 0},
    {"a": 2},
    {"b": 0},
]


def test_values_ascend_through_all_types_as_documented() -> None:
    for (i, a), (j, b) in itertools.product(enumerate(ASCENDING), repeat=2):
        result = compare(a, b)
        assert (result > 0) - (result < 0) == (i > j) - (i < j), (a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 1.0),
        (0.0, -0.0),
        (NAN, NAN),
        (2**53, 2.0**53),
        ([1, {"x": -0.0}], [1.0, {"x": 0}]),
        (GeoPoint(0.0, 0.0), GeoPoint(-0.0, -0.0)),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}),
    ],
)
def test_values_of_equal_worth_are_equal(a: Value, b: Value) -> None:
    assert equal(a, b)


@pytest.mark.parametrize(("a", "b"), [(True, 1), (0, False), ("1", 1), ([1], 1), (None, NAN)])
def test_values_of_different_types_are_never_equal(a: Value, b: Value) -> None:
    assert not equal(a, b)


def test_large_integers_are_not_rounded_to_doubles() -> None:
    assert not equal(2**53 + 1, 2.0**53)
    assert compare(2**63 - 1, 2.0**63) < 0


def test_a_path_sorts_before_those_that_continue_it() -> None:
    assert compare_names(["a"], ["a", "b"]) < 0


def test_sort_key_sorts() -> None:
    assert sorted([{}, "x", 3, None], key=sort_key) == [None, 3, "x", {}]


@given(values(), values())
def test_the_order_is_antisymmetric_and_respects_types(a: Value, b: Value) -> None:
    forth, back = compare(a, b), compare(b, a)
    assert (forth > 0) == (back < 0)
    assert (forth == 0) == (back == 0)
    if type_order(a) != type_order(b):
        assert (forth < 0) == (type_order(a) < type_order(b))


@given(values(), values(), values())
def test_the_order_is_transitive(a: Value, b: Value, c: Value) -> None:
    low, middle, high = sorted([a, b, c], key=sort_key)
    assert compare(low, middle) <= 0
    assert compare(middle, high) <= 0
    assert compare(low, high) <= 0
