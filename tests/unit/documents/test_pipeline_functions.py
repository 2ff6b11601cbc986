"""Functions of pipelines over one row: null, absent values, errors, types, edges."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pytest

from baas.documents.pipelines.expressions import Compiler
from baas.documents.pipelines.rows import ABSENT, EvaluationError, Row
from baas.errors import InvalidArgument, Unimplemented
from baas.model.pipeline import Call, Constant, Expression, FieldReference, Variable
from baas.model.values import GeoPoint, Reference, Timestamp, Vector

NOW = Timestamp(1_000_000)
MISSING = FieldReference(("nothing",), "nothing")
NAN = math.nan


def compiler() -> Compiler:
    def no_sub_pipelines(_pipeline: Any) -> Any:
        raise AssertionError("no pipeline within these expressions")

    return Compiler(NOW, no_sub_pipelines)


def argument(value: Any) -> Expression:
    if isinstance(value, Call | FieldReference | Variable):
        return value
    return Constant(value)


def call(name: str, *args: Any) -> Call:
    return Call(name, tuple(map(argument, args)))


def value_of(expression: Expression, **fields: Any) -> Any:
    return compiler().compile(expression)(Row(fields, None, {}))


def evaluated(name: str, *args: Any) -> Any:
    return value_of(call(name, *args))


def time(text: str) -> Timestamp:
    moment = dt.datetime.fromisoformat(text)
    return Timestamp(
        (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    )


ERROR = call("error", "on purpose")
NOON = time("2024-03-10T12:34:56.789012+00:00")  # a Sunday

CASES: list[tuple[str, list[Any], Any]] = [
    ("and", [True, None], None),
    ("and", [True, MISSING], None),
    ("and", [None, False], False),
    ("and", [ERROR, False], False),
    ("or", [False, None], None),
    ("or", [ERROR, True], True),
    ("or", [MISSING, False], None),
    ("nor", [False, False], True),
    ("nor", [False, True], False),
    ("nor", [False, None], None),
    ("xor", [True, True, True], True),
    ("xor", [True, None], None),
    ("not", [True], False),
    ("not", [MISSING], None),
    ("equal", [1, 1.0], True),
    ("equal", [NAN, NAN], True),
    ("equal", [None, None], True),
    ("equal", [None, MISSING], False),
    ("equal", ["1", 1], False),
    ("equal", [-0.0, 0], True),
    ("not_equal", [None, MISSING], True),
    ("greater_than", ["foo", 0], False),
    ("less_than", ["foo", 0], False),
    ("greater_than", [NAN, 0], False),
    ("less_than", [NAN, 0], False),
    ("greater_than", [None, None], False),
    ("greater_than_or_equal", [None, None], True),
    ("less_than_or_equal", [NAN, NAN], True),
    ("less_than", [MISSING, 1], False),
    ("less_than", [2**53, 2**53 + 1], True),
    ("cmp", [1, "a"], -1),
    ("cmp", ["b", "a"], 1),
    ("equal_any", [2, [1, 2.0]], True),
    ("equal_any", [None, [None]], True),
    ("equal_any", [1, None], None),
    ("not_equal_any", [MISSING, [1]], True),
    ("conditional", [None, "then", "else"], "else"),
    ("conditional", [True, "then", ERROR], "then"),
    ("switch_on", [False, 1, True, 2, 3], 2),
    ("switch_on", [False, 1, 3], 3),
    ("coalesce", [None, MISSING, 0], 0),
    ("if_null", [None, 1], 1),
    ("exists", [None], True),
    ("exists", [MISSING], False),
    ("is_absent", [MISSING], True),
    ("if_absent", [MISSING, 7], 7),
    ("if_absent", [None, 7], None),
    ("is_error", [ERROR], True),
    ("is_error", [MISSING], False),
    ("if_error", [ERROR, 3], 3),
    ("maximum", [1, "a", None], "a"),
    ("minimum", [None, MISSING], None),
    ("maximum", [[1, 3, 2]], 3),
    ("is_nan", [NAN], True),
    ("is_not_null", [None], False),
    ("type", [1], "int64"),
    ("type", [GeoPoint(1, 2)], "geo_point"),
    ("type", [Vector((1.0,))], "vector"),
    ("is_type", [1.5, "number"], True),
    ("is_type", [True, "number"], False),
    ("add", [1, 2, 3], 6),
    ("add", [1, 0.5], 1.5),
    ("add", [1, None], None),
    ("add", [1, MISSING], None),
    ("divide", [7, 2], 3),
    ("divide", [-7, 2], -3),
    ("divide", [1.0, 0], math.inf),
    ("divide", [-1.0, 0], -math.inf),
    ("mod", [-7, 3], -1),
    ("round", [2.5], 3.0),
    ("round", [-2.5], -3.0),
    ("round", [15, -1], 20),
    ("round", [2.675, 2], 2.68),
    ("trunc", [-2.7], -2.0),
    ("ceil", [1.2], 2.0),
    ("floor", [-1.2], -2.0),
    ("abs", [-3], 3),
    ("pow", [2, 10], 1024),
    ("pow", [2, -1], 0.5),
    ("pow", [-1, 10**15], 1),
    ("pow", [0, 0], 1),
    ("sqrt", [9], 3.0),
    ("ln", [0], -math.inf),
    ("log", [8, 2], 3.0),
    ("exp", [10_000], math.inf),
    ("string_concat", ["a", "b"], "ab"),
    ("string_concat", ["a", None], None),
    ("concat", [[1], [2]], [1, 2]),
    ("concat", [b"a", b"b"], b"ab"),
    ("like", ["100%", "1_0%"], True),
    ("like", ["a.c", "a.c"], True),
    ("like", ["abc", "a.c"], False),
    ("like", ["a\nb", "a%"], True),
    ("regex_contains", ["Guide", "(?i)guide"], True),
    ("regex_match", ["abc", "b"], False),
    ("regex_find", ["x12y3", "[0-9]+"], "12"),
    ("regex_find", ["x", "[0-9]+"], None),
    ("regex_find_all", ["x12y3", "[0-9]+"], ["12", "3"]),
    ("substring", ["Hitchhiker", 5], "hiker"),
    ("substring", ["é😀x", 1, 1], "😀"),
    ("substring", ["abc", -2], "bc"),
    ("trim", ["  a "], "a"),
    ("trim", ["xax", "x"], "a"),
    ("ltrim", [b" a "], b"a "),
    ("string_reverse", ["ab😀"], "😀ba"),
    ("string_repeat", ["ab", 2], "abab"),
    ("string_replace_all", ["aaa", "a", "b"], "bbb"),
    ("string_replace_one", ["aaa", "a", "b"], "baa"),
    ("string_index_of", ["abc", "c"], 2),
    ("string_index_of", ["abc", "z"], -1),
    ("split", ["a-b", "-"], ["a", "b"]),
    ("split", ["ab", ""], ["a", "b"]),
    ("join", [["a", None, "b"], ", "], "a, b"),
    ("char_length", ["é😀"], 2),
    ("byte_length", ["é😀"], 6),
    ("byte_length", [b"ab"], 2),
    ("array", [1, MISSING], [1, None]),
    ("array_contains", [[1, 2.0], 2], True),
    ("array_contains", [MISSING, 2], None),
    ("array_contains_all", [[1, 2, 3], [3.0, 1]], True),
    ("array_contains_any", [[1, 2], [5]], False),
    ("array_get", [[1, 2], -1], 2),
    ("array_get", [[1, 2], 2], ABSENT),
    ("array_first", [[]], ABSENT),
    ("array_first", [ABSENT], None),
    ("array_last", [[1, 2]], 2),
    ("array_last", [ABSENT], None),
    ("array_first_n", [[1, 2], 5], [1, 2]),
    ("array_last_n", [[1, 2, 3], 2], [2, 3]),
    ("array_last_n", [[1, 2, 3], 0], []),
    ("array_slice", [[1, 2, 3], 1], [2, 3]),
    ("array_slice", [[1, 2, 3], 1, 1], [2]),
    ("array_index_of", [["a", "b", "a"], "a", "first"], 0),
    ("array_index_of", [["a", "b", "a"], "a", "last"], 2),
    ("array_index_of", [["a"], "z"], -1),
    ("array_index_of_all", [["a", "b", "a"], "a"], [0, 2]),
    ("array_length", [[1, 2]], 2),
    ("array_reverse", [[1, 2]], [2, 1]),
    ("maximum_n", [[1, None, 3, 2], 2], [3, 2]),
    ("minimum_n", [[1, None, 3, 2], 2], [1, 2]),
    ("sum", [[1, "a", 2.5]], 3.5),
    ("map", ["a", 1, "b", MISSING], {"a": 1}),
    ("map_get", [{"a": 1}, "a"], 1),
    ("map_get", [{"a": 1}, "b"], ABSENT),
    ("map_get", [MISSING, "b"], ABSENT),
    ("get_field", ["text", "b"], ABSENT),
    ("map_set", [{"a": 1}, "b", None], {"a": 1, "b": None}),
    ("map_remove", [{"a": 1, "b": 2}, "a"], {"b": 2}),
    ("map_merge", [{"a": 1, "b": 1}, {"b": 2}], {"a": 1, "b": 2}),
    ("map_keys", [{"a": 1, "b": 2}], ["a", "b"]),
    ("map_values", [{"a": 1, "b": 2}], [1, 2]),
    ("map_entries", [{"a": 1}], [{"k": "a", "v": 1}]),
    ("length", [{"a": 1}], 1),
    ("length", [Vector((1.0, 2.0))], 2),
    ("reverse", [[1, 2]], [2, 1]),
    ("timestamp_to_unix_millis", [Timestamp(-1)], -1),
    ("unix_seconds_to_timestamp", [2], Timestamp(2_000_000)),
    ("timestamp_add", [Timestamp(0), "day", 1.5], Timestamp(129_600_000_000)),
    ("timestamp_subtract", [Timestamp(0), "hour", 1], Timestamp(-3_600_000_000)),
    ("timestamp_diff", [Timestamp(0), Timestamp(90_000_000), "minute"], -1),
    ("timestamp_trunc", [NOON, "week"], time("2024-03-10T00:00:00+00:00")),
    ("timestamp_trunc", [NOON, "isoweek"], time("2024-03-04T00:00:00+00:00")),
    ("timestamp_trunc", [NOON, "quarter"], time("2024-01-01T00:00:00+00:00")),
    ("timestamp_trunc", [NOON, "day", "+14:00"], time("2024-03-10T10:00:00+00:00")),
    ("timestamp_trunc", [NOON, "millisecond"], time("2024-03-10T12:34:56.789000+00:00")),
    ("timestamp_extract", [NOON, "dayofweek"], 1),
    ("timestamp_extract", [NOON, "dayofyear"], 70),
    ("timestamp_extract", [NOON, "week"], 10),
    ("timestamp_extract", [NOON, "isoweek"], 10),
    ("timestamp_extract", [NOON, "hour", "-02:00"], 10),
    ("current_timestamp", [], NOW),
    ("euclidean_distance", [Vector((0.0, 0.0)), Vector((3.0, 4.0))], 5.0),
    ("dot_product", [Vector((1.0, 2.0)), Vector((3.0, 4.0))], 11.0),
    ("cosine_distance", [Vector((1.0, 0.0)), Vector((0.0, 1.0))], 1.0),
    ("vector_length", [Vector((1.0, 2.0))], 2),
    ("collection_id", [Reference("projects/p/databases/(default)/documents/c/d")], "c"),
    ("document_id", [Reference("projects/p/databases/(default)/documents/c/d")], "d"),
    ("parent", [Reference("projects/p/databases/(default)/documents/c/d")], None),
    ("storage_size", ["abc"], 4),
]


@pytest.mark.parametrize(("name", "args", "expected"), CASES)
def test_function(name: str, args: list[Any], expected: Any) -> None:
    value = evaluated(name, *args)
    assert type(value) is type(expected)
    assert value == expected or value is expected


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("and", [True, ERROR]),
        ("and", [1, True]),
        ("switch_on", [False, 1]),
        ("add", [2**63 - 1, 1]),
        ("add", [1, "a"]),
        ("add", [True, 1]),
        ("divide", [1, 0]),
        ("mod", [1, 0]),
        ("pow", [2, 64]),
        ("pow", [3, 10**18]),
        ("sqrt", [-1]),
        ("log", [8, 1]),
        ("concat", ["a", [1]]),
        ("concat", [b"a", "b"]),
        ("char_length", [1]),
        ("string_repeat", ["a" * 1_000, 10**9]),
        ("string_replace_all", ["a" * 4_000, "a", "b" * 4_000]),
        ("join", [["a", 1], ","]),
        ("regex_match", ["a", "("]),
        ("substring", ["a", 0, -1]),
        ("array_length", ["text"]),
        ("array_first_n", [[1], -1]),
        ("map_get", [1, "a"]),
        ("is_type", [1, "no such type"]),
        ("timestamp_add", [Timestamp(0), "fortnight", 1]),
        ("timestamp_add", [Timestamp(0), "day", 10**9]),
        ("timestamp_trunc", [Timestamp(0), "day", "Nowhere/Here"]),
        ("timestamp_trunc", [Timestamp(0), "day", "../../etc/passwd"]),
        ("dot_product", [Vector((1.0,)), Vector((1.0, 2.0))]),
        ("document_id", ["c/d"]),
    ],
)
def test_function_refuses(name: str, args: list[Any]) -> None:
    with pytest.raises(EvaluationError):
        evaluated(name, *args)


def test_errors_name_the_function() -> None:
    with pytest.raises(EvaluationError, match=r"^divide: "):
        evaluated("add", 1, call("divide", 1, 0))


def test_a_switch_without_a_match_and_a_default_says_so_as_google_does() -> None:
    with pytest.raises(EvaluationError, match="all switch cases evaluate to false"):
        evaluated("switch_on", False, 1)


def test_elements_are_filtered_and_transformed_under_a_name() -> None:
    element, index = Variable("e"), Variable("i")
    kept = evaluated("array_filter", [1, 2, 3], "e", call("greater_than", element, 1))
    assert kept == [2, 3]
    made = evaluated("array_transform", [5, 6], "e", "i", call("add", element, index))
    assert made == [5, 7]


def test_nested_fields_are_reached_through_maps() -> None:
    reference = FieldReference(("a", "b"), "a.b")
    assert value_of(reference, a={"b": 1}) == 1
    assert value_of(reference, a=1) is ABSENT
    assert value_of(reference, **{"a.b": 2}) == 2


def test_an_unknown_function_is_unimplemented() -> None:
    with pytest.raises(Unimplemented, match="no_such"):
        evaluated("no_such", 1)


def test_a_wrong_number_of_arguments_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="does not take 3 arguments"):
        evaluated("equal", 1, 2, 3)


def test_an_unknown_variable_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="not defined"):
        value_of(Variable("v"))
