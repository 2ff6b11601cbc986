"""Values on the wire."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from homefire.errors import FirestoreError
from homefire.firestore import GeoPoint, Timestamp, VectorValue, server_timestamp, vector
from homefire.firestore._codec import (
    decode_bytes,
    decode_time,
    decode_value,
    encode_map,
    encode_value,
)
from homefire.firestore._ordering import value_key
from homefire.firestore._values import ReferenceValue
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    TEXT,
    st.binary(),
    st.datetimes(timezones=st.just(UTC)),
    st.builds(GeoPoint, st.floats(-90, 90), st.floats(-180, 180)),
    st.lists(st.floats(allow_nan=False), max_size=3).map(vector),
)
KEYS = TEXT.filter(lambda key: key not in ("", "__type__"))
MAPS = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(st.one_of(SCALARS, st.dictionaries(KEYS, inner, max_size=3)), max_size=3)
            | st.dictionaries(KEYS, inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


@given(MAPS)
def test_what_is_stored_is_what_is_read(value: dict[str, Any]) -> None:
    got = decode_value(encode_value(value), ReferenceValue)
    assert same(got, value)


def same(left: Any, right: Any) -> bool:
    """Equal, in type too, NaN and the zeros' signs included."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return repr(left) == repr(right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (True, {"booleanValue": True}),
        (1, {"integerValue": "1"}),
        (math.nan, {"doubleValue": "NaN"}),
        (-math.inf, {"doubleValue": "-Infinity"}),
        (
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            {"timestampValue": "2026-01-02T03:04:05.000000Z"},
        ),
        (
            datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=2))),
            {"timestampValue": "2026-01-01T23:00:00.000000Z"},
        ),
        (Timestamp(0, 1999), {"timestampValue": "1970-01-01T00:00:00.000001Z"}),
        (b"\xff", {"bytesValue": "/w=="}),
        (bytearray(b"\xff"), {"bytesValue": "/w=="}),
        ((1,), {"arrayValue": {"values": [{"integerValue": "1"}]}}),
        (ReferenceValue("projects/p"), {"referenceValue": "projects/p"}),
    ],
)
def test_a_value_has_this_form(value: object, wire: dict[str, Any]) -> None:
    assert encode_value(value) == wire


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (2**63, "an integer beyond 64 bits (found in field a.b)"),
        (datetime(2026, 1, 1), "needs a time zone"),
        ([[1]], "an array directly inside an array"),
        ({1: 2}, "the key 1"),
        ({"": 2}, "the key ''"),
        ("\ud800", "a lone surrogate"),
        ({1, 2}, "a value of type set"),
        ([server_timestamp()], "server_timestamp() at this place"),
        (object(), "a value of type object"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_name(value: object, why: str) -> None:
    with pytest.raises(FirestoreError) as caught:
        encode_map({"a": {"b": value}})
    assert caught.value.code == "invalid-argument"
    assert why in caught.value.message


def test_nesting_has_a_limit() -> None:
    value: Any = 1
    for _ in range(25):
        value = {"m": value}
    with pytest.raises(FirestoreError, match="deeper than 20"):
        encode_value(value)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-01-01T00:00:00Z", 0),
        ("2026-01-01T00:00:00.5Z", 500_000),
        ("2026-01-01T00:00:00.123456789Z", 123_456),
        ("2026-01-01T01:00:00.000001+01:00", 1),
    ],
)
def test_times_come_with_any_number_of_digits(text: str, micros: int) -> None:
    assert decode_time(text) == datetime(2026, 1, 1, 0, 0, 0, micros, UTC)


@pytest.mark.parametrize("text", ["-_8", "-_8=", "+/8", "+/8="])
def test_bytes_come_in_either_alphabet(text: str) -> None:
    assert decode_bytes(text) == b"\xfb\xff"


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "-0", 1, 1.5])
def test_doubles_come_as_numbers_or_words(number: object) -> None:
    assert isinstance(decode_value({"doubleValue": number}, ReferenceValue), float)


def test_an_unknown_kind_of_value_is_an_error() -> None:
    with pytest.raises(FirestoreError, match="unknown kind"):
        decode_value({"novelValue": 1}, ReferenceValue)


@pytest.mark.parametrize(("latitude", "longitude"), [(90.1, 0), (0, -181), (math.nan, 0)])
def test_a_place_is_on_earth(latitude: float, longitude: float) -> None:
    with pytest.raises(FirestoreError, match="invalid-argument"):
        GeoPoint(latitude, longitude)


@given(st.integers(-62_135_596_800, 253_402_300_799), st.integers(0, 999_999))
def test_a_timestamp_and_its_date_are_the_same_instant(seconds: int, micros: int) -> None:
    moment = Timestamp(seconds, micros * 1000)
    assert Timestamp.from_date(moment.to_date()) == moment


@pytest.mark.parametrize(
    ("seconds", "nanoseconds"), [(10**12, 0), (-(10**12), 0), (0, 10**9), (0, -1)]
)
def test_a_timestamp_is_within_bounds(seconds: int, nanoseconds: int) -> None:
    with pytest.raises(FirestoreError, match="invalid-argument"):
        Timestamp(seconds, nanoseconds)


def test_a_vector_is_a_list_on_demand() -> None:
    assert vector([1, 2]).to_array() == [1.0, 2.0]
    assert vector([1]) == VectorValue((1.0,))


# Order


@given(st.lists(SCALARS, min_size=2, max_size=6))
def test_the_order_is_total_and_reads_equal_values_as_equal(values: list[Any]) -> None:
    keys = [value_key(encode_value(value)) for value in values]
    for left in keys:
        for right in keys:
            assert (left < right) + (left == right) + (right < left) == 1
    assert sorted(sorted(keys, reverse=True)) == sorted(keys)


@given(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))
def test_integers_and_doubles_compare_exactly(integer: int, double: float) -> None:
    left, right = value_key(encode_value(integer)), value_key(encode_value(double))
    assert (left < right) == (integer < double)
    assert (left == right) == (integer == double)


@given(TEXT, TEXT)
def test_strings_are_ordered_by_their_bytes(left: str, right: str) -> None:
    keys = value_key(encode_value(left)), value_key(encode_value(right))
    assert (keys[0] < keys[1]) == (left.encode() < right.encode())
