"""Values and fields in proto3-JSON. Source: ``listen-and-write`` §7 and §9.

Two ways in: :func:`decode_value` and :func:`decode_fields_object` take what a client sent, check everything
and name the bad field; :func:`decode_fields` opens what :func:`encode_fields` made, and trusts it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import orjson

from baas.errors import InvalidArgument
from baas.model.limits import MAX_VALUE_DEPTH, check_field_name
from baas.model.values import (
    INT64_MAX,
    INT64_MIN,
    Fields,
    GeoPoint,
    Reference,
    Timestamp,
    Value,
    Vector,
)
from baas.wire.timestamps import format_timestamp, open_timestamp, parse_timestamp
from baas.wire.value_checks import (
    VECTOR_TYPE,
    BadField,
    checked_elements,
    checked_geopoint,
    checked_reference,
    map_or_vector,
    too_deep,
)

_INTEGER = re.compile(r"-?\d{1,20}", re.ASCII)
_DOUBLE = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_SPECIAL_DOUBLES: Final = {
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
_LONGEST_INTEGER: Final = 40
_URL_SAFE: Final = str.maketrans("-_", "+/")


# -- in: what a client sent --------------------------------------------------------------------------


def decode_value(raw: object, depth: int = 0) -> Value:
    """Decode and check one ``Value``.

    ``depth`` is how many maps and arrays lie around it; beyond 20 levels a value is refused.

    Raises:
        InvalidArgument: not a value, or one that breaks a limit; the message names the field within it.
    """
    if type(raw) is dict and len(raw) == 1:
        for kind, content in raw.items():
            decoder = _DECODERS.get(kind)
            if decoder is not None:
                return decoder(content)
            if kind == "mapValue":
                return _decode_map_value(content, depth + 1)
            if kind == "arrayValue":
                return _decode_array_value(content, depth + 1)
            if kind in _PROTO_NAMES:
                return decode_value({_PROTO_NAMES[kind]: content}, depth)
    raise _not_a_value(raw)


def decode_operand(raw: object, depth: int = 0) -> Value:
    """Decode what is only compared with, and never stored: arrays in it may hold arrays and vectors.

    Raises:
        InvalidArgument: as :func:`decode_value`.
    """
    if type(raw) is dict and len(raw) == 1:
        for kind, content in raw.items():
            if kind in ("arrayValue", "array_value"):
                if depth >= MAX_VALUE_DEPTH:
                    raise too_deep()
                return [decode_operand(each, depth + 1) for each in _elements(content)]
    return decode_value(raw, depth)


def listed_values(raw: object) -> int:
    """How many elements an array value seems to have, without decoding it; 0 for anything else."""
    if type(raw) is not dict:
        return 0
    content = raw.get("arrayValue", raw.get("array_value"))
    elements = content.get("values") if type(content) is dict else None
    return len(elements) if type(elements) is list else 0


def decode_fields_object(raw: object, depth: int = 0) -> Fields:
    """Decode and check the object of a ``fields`` key; ``None`` counts as empty.

    Raises:
        InvalidArgument: as :func:`decode_value`, and for field names that are not allowed.
    """
    if raw is None:
        return {}
    if type(raw) is not dict:
        raise BadField("an object of fields is expected.")
    fields: Fields = {}
    for name, value in raw.items():
        check_field_name(name)
        try:
            fields[name] = decode_value(value, depth)
        except BadField as error:
            raise error.within(name) from None
    return fields


def decode_base64(raw: object) -> bytes:
    """Decode base64 of either alphabet, with or without padding.

    Raises:
        InvalidArgument: not base64.
    """
    if type(raw) is str:
        text = raw.translate(_URL_SAFE).rstrip("=")
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            pass  # told below, with everything that is not even text
    raise BadField("base64 is expected.")


def decode_int64(raw: object) -> int:
    """An int64, given as a string or a number (an integral one may be written as 1.0 or 1e3).

    Raises:
        InvalidArgument: not an integer of 64 bits.
    """
    number: int | None = None
    if type(raw) is int:
        number = raw
    elif (type(raw) is str and _INTEGER.fullmatch(raw)) or (
        type(raw) is float and raw.is_integer()
    ):
        number = int(raw)
    elif type(raw) is str and len(raw) <= _LONGEST_INTEGER and _DOUBLE.fullmatch(raw):
        exact = Decimal(raw)
        if abs(exact.adjusted()) < _LONGEST_INTEGER and exact == exact.to_integral_value():
            number = int(exact)
    if number is None or not INT64_MIN <= number <= INT64_MAX:
        raise BadField("an integer of 64 bits is expected.")
    return number


def decode_double(raw: object) -> float:
    """A double: a number, a number as a string, ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``.

    Raises:
        InvalidArgument: none of these, or a number beyond the range of doubles.
    """
    if type(raw) is float:
        return raw
    if type(raw) is int:
        return float(raw)
    if type(raw) is str:
        special = _SPECIAL_DOUBLES.get(raw)
        if special is not None:
            return special
        if _DOUBLE.fullmatch(raw):
            number = float(raw)
            if abs(number) != float("inf"):
                return number
    raise BadField('a number, "NaN", "Infinity" or "-Infinity" is expected.')


def _decode_map_value(raw: object, depth: int) -> Value:
    if depth > MAX_VALUE_DEPTH:
        raise too_deep()
    content = _only_member(raw, "fields", "mapValue")
    if type(content) is dict and "__type__" in content:
        fields: Fields = {name: decode_value(value, depth) for name, value in content.items()}
        return map_or_vector(fields)
    return decode_fields_object(content, depth)


def _decode_array_value(raw: object, depth: int) -> list[Value]:
    if depth > MAX_VALUE_DEPTH:
        raise too_deep()
    return checked_elements([decode_value(element, depth) for element in _elements(raw)])


def _elements(raw: object) -> list[Any]:
    elements = _only_member(raw, "values", "arrayValue")
    if elements is None:
        return []
    if type(elements) is not list:
        raise BadField("arrayValue.values must be an array.")
    return elements


def _only_member(raw: object, member: str, what: str) -> object:
    if type(raw) is not dict or (raw and (len(raw) > 1 or member not in raw)):
        raise BadField(f"{what} must be an object with no other key than '{member}'.")
    return raw.get(member)


def _decode_null(raw: object) -> None:
    if raw is not None and raw != "NULL_VALUE" and (type(raw) is bool or raw != 0):
        raise BadField("nullValue must be null.")


def _decode_boolean(raw: object) -> bool:
    if type(raw) is not bool:
        raise BadField("booleanValue must be true or false.")
    return raw


def _decode_timestamp(raw: object) -> Timestamp:
    if type(raw) is not str:
        raise BadField("timestampValue must be a string.")
    try:
        return parse_timestamp(raw)
    except InvalidArgument as error:
        raise BadField(error.message) from None


def _decode_string(raw: object) -> str:
    if type(raw) is not str:
        raise BadField("stringValue must be a string.")
    return raw


def _decode_reference(raw: object) -> Reference:
    if type(raw) is not str:
        raise BadField("referenceValue must be the full name of a document.")
    return checked_reference(raw)


def _decode_geopoint(raw: object) -> GeoPoint:
    if type(raw) is not dict or not raw.keys() <= {"latitude", "longitude"}:
        raise BadField("geoPointValue must be an object of latitude and longitude.")
    degrees = [raw.get("latitude"), raw.get("longitude")]
    latitude, longitude = (0.0 if each is None else decode_double(each) for each in degrees)
    return checked_geopoint(latitude, longitude)


def _not_a_value(raw: object) -> BadField:
    if type(raw) is not dict:
        return BadField('a value must be an object such as {"stringValue": "text"}.')
    if not raw:
        return BadField("a value must have a type: it is unset.")
    if len(raw) > 1:
        return BadField("a value must have exactly one type.")
    return BadField(f"{next(iter(raw))[:100]!r} is not a type of value.")


_DECODERS: Final[dict[str, Callable[[object], Value]]] = {
    "nullValue": _decode_null,
    "booleanValue": _decode_boolean,
    "integerValue": decode_int64,
    "doubleValue": decode_double,
    "timestampValue": _decode_timestamp,
    "stringValue": _decode_string,
    "bytesValue": decode_base64,
    "referenceValue": _decode_reference,
    "geoPointValue": _decode_geopoint,
}


_PROTO_NAMES: Final = {
    re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", kind): kind
    for kind in (*_DECODERS, "mapValue", "arrayValue")
}
"""The names of the proto itself, which proto3-JSON takes too."""


# -- in: what is at rest -----------------------------------------------------------------------------


def decode_fields(encoded: bytes) -> Fields:
    """Open the bytes made by :func:`encode_fields`."""
    return {name: _open(value) for name, value in stored_values(encoded).items()}


def stored_values(encoded: bytes) -> dict[str, dict[str, Any]]:
    """The fields of what :func:`encode_fields` wrote, each for :func:`decode_stored_value` to open."""
    loaded: dict[str, dict[str, Any]] = orjson.loads(encoded)
    return loaded


def decode_stored_value(raw: dict[str, Any]) -> Value:
    """Open one value of what :func:`encode_fields` wrote."""
    return _open(raw)


def _open(raw: dict[str, Any]) -> Value:
    for kind, content in raw.items():
        if kind == "stringValue":
            return content  # type: ignore[no-any-return]
        return _OPENERS[kind](content)
    raise ValueError("a stored value has no type")


def _open_map(raw: dict[str, Any]) -> Value:
    content = raw.get("fields")
    if content is None:
        return {}
    fields = {name: _open(value) for name, value in content.items()}
    return Vector(tuple(fields["value"])) if "__type__" in fields else fields  # type: ignore[arg-type]


def _open_array(raw: dict[str, Any]) -> list[Value]:
    return [_open(element) for element in raw.get("values", ())]


def _open_geopoint(raw: dict[str, float]) -> GeoPoint:
    return GeoPoint(raw["latitude"], raw["longitude"])


_OPENERS: Final[dict[str, Callable[[Any], Value]]] = {
    "nullValue": lambda _raw: None,
    "booleanValue": lambda raw: raw,
    "integerValue": int,
    "doubleValue": decode_double,
    "timestampValue": open_timestamp,
    "bytesValue": base64.b64decode,
    "referenceValue": Reference,
    "geoPointValue": _open_geopoint,
    "mapValue": _open_map,
    "arrayValue": _open_array,
}


# -- out ---------------------------------------------------------------------------------------------


def encode_value(value: Value) -> dict[str, Any]:
    """One value as a ``Value`` object."""
    return _ENCODERS[type(value)](value)


def encode_fields_object(fields: Mapping[str, Value]) -> dict[str, Any]:
    """Fields as the object of a ``fields`` key."""
    return {name: _ENCODERS[type(value)](value) for name, value in fields.items()}


def encode_fields(fields: Fields) -> bytes:
    """Fields as the bytes of that object: a document at rest, ready to be spliced into an answer."""
    return orjson.dumps(encode_fields_object(fields))


def encode_base64(raw: bytes) -> str:
    """Base64, standard alphabet, padded."""
    return binascii.b2a_base64(raw, newline=False).decode("ascii")


def _encode_double(value: float) -> dict[str, Any]:
    if value - value == 0.0:
        return {"doubleValue": value}
    return {"doubleValue": "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"}


def _encode_vector(value: Vector) -> dict[str, Any]:
    components = [_encode_double(component) for component in value.components]
    return {
        "mapValue": {
            "fields": {
                "__type__": {"stringValue": VECTOR_TYPE},
                "value": {"arrayValue": {"values": components}},
            }
        }
    }


def _encode_geopoint(value: GeoPoint) -> dict[str, Any]:
    return {"geoPointValue": {"latitude": value.latitude, "longitude": value.longitude}}


def _encode_array(value: list[Value]) -> dict[str, Any]:
    return {"arrayValue": {"values": [encode_value(each) for each in value]} if value else {}}


def _encode_map(value: Fields) -> dict[str, Any]:
    return {"mapValue": {"fields": encode_fields_object(value)} if value else {}}


_ENCODERS: Final[dict[type, Callable[[Any], dict[str, Any]]]] = {
    type(None): lambda _value: {"nullValue": None},
    bool: lambda value: {"booleanValue": value},
    int: lambda value: {"integerValue": str(value)},
    float: _encode_double,
    Timestamp: lambda value: {"timestampValue": format_timestamp(value)},
    str: lambda value: {"stringValue": value},
    bytes: lambda value: {"bytesValue": encode_base64(value)},
    Reference: lambda value: {"referenceValue": value.name},
    GeoPoint: _encode_geopoint,
    list: _encode_array,
    Vector: _encode_vector,
    dict: _encode_map,
}
