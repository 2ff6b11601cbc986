from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from baas.model.key_encoding import (
    descending,
    encode_path,
    encode_path_prefix,
    encode_segment,
    encode_value,
    prefix_end,
    successor,
    type_range,
)
from baas.model.ordering import compare, compare_names, type_order
from baas.model.values import Value
from tests.unit.model.strategies import doubles, ids, integers, values
from tests.unit.model.test_ordering import ASCENDING

NAN = float("nan")
paths = st.lists(ids(), max_size=4)


def sign(number: int) -> int:
    return (number > 0) - (number < 0)


def order(a: bytes, b: bytes) -> int:
    return (a > b) - (a < b)


@given(values(), values())
def test_encodings_order_as_the_values_do(a: Value, b: Value) -> None:
    assert order(encode_value(a), encode_value(b)) == sign(compare(a, b))


@given(integers() | doubles(), integers() | doubles())
def test_numbers_of_both_types_order_exactly(a: int | float, b: int | float) -> None:
    assert order(encode_value(a), encode_value(b)) == sign(compare(a, b))


def test_encodings_order_all_types_as_documented() -> None:
    for a, b in itertools.pairwise(ASCENDING):
        assert encode_value(a) < encode_value(b), (a, b)


@given(st.lists(values(3), min_size=2, max_size=2), st.lists(values(3), min_size=2, max_size=2))
def test_concatenated_encodings_order_component_by_component(
    a: list[Value], b: list[Value]
) -> None:
    expected = sign(compare(a[0], b[0])) or sign(compare(a[1], b[1]))
    assert order(b"".join(map(encode_value, a)), b"".join(map(encode_value, b))) == expected


@given(st.lists(values(3), min_size=2, max_size=2), st.lists(values(3), min_size=2, max_size=2))
def test_descending_turns_one_component_round(a: list[Value], b: list[Value]) -> None:
    def key(pair: list[Value]) -> bytes:
        return descending(encode_value(pair[0])) + encode_value(pair[1])

    expected = -sign(compare(a[0], b[0])) or sign(compare(a[1], b[1]))
    assert order(key(a), key(b)) == expected


@given(values())
def test_descending_is_its_own_inverse(value: Value) -> None:
    assert descending(descending(encode_value(value))) == encode_value(value)


@given(values(), values())
def test_no_encoding_is_a_proper_prefix_of_another(a: Value, b: Value) -> None:
    first, second = encode_value(a), encode_value(b)
    assert first == second or not second.startswith(first)


@given(paths, paths)
def test_paths_order_segment_by_segment(a: list[str], b: list[str]) -> None:
    assert order(encode_path(a), encode_path(b)) == sign(compare_names(a, b))
    assert order(encode_path_prefix(a), encode_path_prefix(b)) == sign(compare_names(a, b))


@given(paths, paths)
def test_descending_paths_order_in_reverse(a: list[str], b: list[str]) -> None:
    assert order(descending(encode_path(a)), descending(encode_path(b))) == -sign(
        compare_names(a, b)
    )


@given(paths, paths)
def test_a_prefix_range_holds_exactly_the_paths_below(a: list[str], b: list[str]) -> None:
    low = encode_path_prefix(a)
    high = prefix_end(low) if low else None
    inside = low <= encode_path(b) and (high is None or encode_path(b) < high)
    assert inside == (b[: len(a)] == a)


def test_numeric_ids_come_first_by_number() -> None:
    ordered = ["__id-9__", "__id7__", "__id10__", "A", "__idx", "a"]
    assert sorted(ordered, key=encode_segment) == ordered


@given(values(), values())
def test_a_type_range_holds_the_values_of_that_type_and_no_nan(a: Value, b: Value) -> None:
    low, high = type_range(a)
    expected = type_order(a) == type_order(b) and b == b
    assert (low <= encode_value(b) < high) == expected


def test_successor_is_the_next_key_and_prefix_end_lies_above_all_continuations() -> None:
    assert b"a" < successor(b"a") <= b"a\x00"
    assert prefix_end(b"a\xff") == b"b"
    assert prefix_end(b"\xff\xff") is None


def test_strings_beyond_the_old_index_limit_keep_their_exact_order() -> None:
    long = "x" * 5_000
    assert encode_value(long + "a") < encode_value(long + "b")
