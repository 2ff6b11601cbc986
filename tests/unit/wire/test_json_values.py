from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.errors import InvalidArgument
from baas.model.document import Document
from baas.model.ordering import identical
from baas.model.paths import DocumentName
from baas.model.values import INT64_MAX, INT64_MIN, Fields, GeoPoint, Timestamp, Value, Vector
from baas.wire.json_codec import (
    decode_base64,
    decode_fields,
    decode_fields_object,
    decode_value,
    document_to_json_bytes,
    encode_fields,
    encode_value,
    format_timestamp,
    load_json,
    parse_timestamp,
)
from baas.wire.timestamps import open_timestamp
from tests.unit.model.strategies import DATABASE, documents, maps, timestamps, values

NAN = float("nan")


def nested(levels: int, innermost: Any) -> Any:
    value = innermost
    for _ in range(levels):
        value = {"mapValue": {"fields": {"m": value}}}
    return value


@given(values())
def test_values_survive_the_round_trip(value: Value) -> None:
    assert identical(decode_value(orjson.loads(orjson.dumps(encode_value(value)))), value)


@given(maps())
def test_fields_at_rest_open_to_what_they_were(fields: Fields) -> None:
    encoded = encode_fields(fields)
    assert identical(decode_fields(encoded), fields)
    assert identical(decode_fields_object(orjson.loads(encoded)), fields)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"nullValue": None}, None),
        ({"nullValue": "NULL_VALUE"}, None),
        ({"nullValue": 0}, None),
        ({"booleanValue": False}, False),
        ({"integerValue": "-9223372036854775808"}, INT64_MIN),
        ({"integerValue": 9223372036854775807}, INT64_MAX),
        ({"integerValue": 1.0}, 1),
        ({"doubleValue": 1}, 1.0),
        ({"doubleValue": "1.5"}, 1.5),
        ({"doubleValue": "-0"}, -0.0),
        ({"doubleValue": "NaN"}, NAN),
        ({"doubleValue": "-Infinity"}, float("-inf")),
        ({"stringValue": ""}, ""),
        ({"bytesValue": "_-8"}, b"\xff\xef"),
        ({"bytesValue": "/+8="}, b"\xff\xef"),
        ({"geoPointValue": {}}, GeoPoint(0.0, 0.0)),
        ({"geoPointValue": {"latitude": 1, "longitude": -2.5}}, GeoPoint(1.0, -2.5)),
        ({"arrayValue": {}}, []),
        ({"mapValue": {}}, {}),
        ({"mapValue": {"fields": {}}}, {}),
        (encode_value(Vector((1.0, 2.5))), Vector((1.0, 2.5))),
        ({"timestampValue": "2026-11-21T23:34:19.748994000Z"}, Timestamp(1795304059748994)),
    ],
)
def test_accepts_all_forms_that_clients_send(raw: object, expected: Value) -> None:
    assert identical(decode_value(raw), expected)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "text",
        {},
        {"fooValue": 1},
        {"integerValue": "1", "stringValue": "a"},
        {"nullValue": False},
        {"nullValue": "null"},
        {"booleanValue": "true"},
        {"booleanValue": 1},
        {"integerValue": "9223372036854775808"},
        {"integerValue": "1.5"},
        {"integerValue": 1.5},
        {"integerValue": True},
        {"integerValue": "１"},
        {"integerValue": "1" * 5_000},
        {"doubleValue": "abc"},
        {"doubleValue": "1e999"},
        {"doubleValue": "nan"},
        {"doubleValue": True},
        {"stringValue": None},
        {"bytesValue": "a"},
        {"bytesValue": "a*b="},
        {"timestampValue": "yesterday"},
        {"timestampValue": 5},
        {"referenceValue": "c/d"},
        {"referenceValue": f"{DATABASE.name}/documents/c"},
        {"geoPointValue": {"latitude": 90.1}},
        {"geoPointValue": {"longitude": "NaN"}},
        {"geoPointValue": {"latitude": 1, "height": 2}},
        {"arrayValue": {"values": [{"arrayValue": {}}]}},
        {"arrayValue": {"values": {}}},
        {"arrayValue": []},
        {"mapValue": {"fields": []}},
        {"mapValue": {"fields": {"": {"nullValue": None}}}},
        {"mapValue": {"fields": {"__a__": {"nullValue": None}}}},
        {"mapValue": {"fields": {"x" * 1_501: {"nullValue": None}}}},
        {"mapValue": {"fields": {"__type__": {"stringValue": "other"}}}},
        nested(21, {"nullValue": None}),
    ],
)
def test_refuses(raw: object) -> None:
    with pytest.raises(InvalidArgument):
        decode_value(raw)


@pytest.mark.parametrize(
    "components",
    [
        [],
        [{"integerValue": "1"}],
        [{"doubleValue": 1.0}] * 2_049,
        [{"stringValue": "a"}],
        [{"doubleValue": "NaN"}],
    ],
)
def test_refuses_vectors_that_are_empty_too_long_or_not_of_numbers(components: list[Any]) -> None:
    fields = {
        "__type__": {"stringValue": "__vector__"},
        "value": {"arrayValue": {"values": components}},
    }
    with pytest.raises(InvalidArgument, match="vector"):
        decode_value({"mapValue": {"fields": fields}})


def test_twenty_levels_are_not_too_deep() -> None:
    decode_value(nested(20, {"nullValue": None}))


def test_names_the_bad_field_by_its_path() -> None:
    bad = {"a": nested(1, {"mapValue": {"fields": {"x y": {"integerValue": "?"}}}})}
    with pytest.raises(InvalidArgument, match=r"Field a\.m\.`x y`: an integer"):
        decode_fields_object(bad)


@pytest.mark.parametrize(
    "text", ['{"a": "\\ud800"}', "{", "", b"\xff", "[" * 5_000, '{"a": 1e999}', "NaN"]
)
def test_refuses_what_is_not_json_or_not_unicode(text: str | bytes) -> None:
    with pytest.raises(InvalidArgument, match="Invalid JSON payload"):
        load_json(text)


class TestTimestamps:
    @given(timestamps())
    def test_survive_the_round_trip(self, timestamp: Timestamp) -> None:
        assert parse_timestamp(format_timestamp(timestamp)) == timestamp
        assert open_timestamp(format_timestamp(timestamp)) == timestamp

    @pytest.mark.parametrize(
        ("micros", "text"),
        [
            (0, "1970-01-01T00:00:00Z"),
            (1_000, "1970-01-01T00:00:00.001Z"),
            (1, "1970-01-01T00:00:00.000001Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (Timestamp.MIN_MICROS, "0001-01-01T00:00:00Z"),
            (Timestamp.MAX_MICROS, "9999-12-31T23:59:59.999999Z"),
        ],
    )
    def test_have_no_three_or_six_digits(self, micros: int, text: str) -> None:
        assert format_timestamp(Timestamp(micros)) == text

    @pytest.mark.parametrize(
        ("text", "micros"),
        [
            ("1970-01-01T00:00:00.123456789Z", 123_456),
            ("1970-01-01T00:00:00.1Z", 100_000),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1969-12-31T23:30:00-00:30", 0),
            ("1970-01-01t00:00:00z", 0),
        ],
    )
    def test_take_any_fraction_and_offset(self, text: str, micros: int) -> None:
        assert parse_timestamp(text) == Timestamp(micros)

    @pytest.mark.parametrize(
        "text",
        [
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-02-30T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:60Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-00:01",
            "1970-01-01T00:00:00.1234567890Z",
            "1970-01-01T00:00:00+1:00",
            "１970-01-01T00:00:00Z",
        ],
    )
    def test_refuse(self, text: str) -> None:
        with pytest.raises(InvalidArgument):
            parse_timestamp(text)


@given(st.binary(max_size=20))
def test_base64_of_both_alphabets_padded_or_not(raw: bytes) -> None:
    for text in (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()):
        assert decode_base64(text) == raw
        assert decode_base64(text.rstrip("=")) == raw


class TestDocuments:
    @given(documents())
    def test_are_whole_and_open_again(self, document: Document) -> None:
        loaded = orjson.loads(document_to_json_bytes(document))
        assert loaded["name"] == document.name.name
        assert identical(decode_fields_object(loaded["fields"]), document.fields)
        assert parse_timestamp(loaded["createTime"]) == document.create_time
        assert parse_timestamp(loaded["updateTime"]) == document.update_time

    def test_at_rest_are_spliced_in_without_being_decoded(self) -> None:
        def never(_encoded: bytes) -> Fields:
            raise AssertionError("decoded")

        at_rest = Document(
            DocumentName(DATABASE, ("c", "d")),
            Timestamp(0),
            Timestamp(0),
            encoded=b'{"a":{"integerValue":"1"}}',
            decode=never,
        )
        assert orjson.loads(document_to_json_bytes(at_rest))["fields"] == {
            "a": {"integerValue": "1"}
        }

    def test_a_mask_projects(self) -> None:
        document = Document(
            DocumentName(DATABASE, ("c", "d")),
            Timestamp(0),
            Timestamp(0),
            fields={"a": {"b": 1, "c": 2}, "d": 3},
        )
        projected = orjson.loads(document_to_json_bytes(document, (("a", "b"), ("x",))))
        assert decode_fields_object(projected["fields"]) == {"a": {"b": 1}}
        assert orjson.loads(document_to_json_bytes(document, ()))["fields"] == {}
