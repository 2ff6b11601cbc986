"""Values as proto3-JSON, and back.

=============  ====================================================================
Python         Firestore
=============  ====================================================================
None           null
bool           boolean
int            integer (64 bits)
float          double
datetime       timestamp (aware; comes back in UTC), also :class:`Timestamp`
str            string
bytes          bytes
reference      reference (a ``DocumentReference``)
GeoPoint       geopoint
list, tuple    array
VectorValue    vector
dict           map
=============  ====================================================================
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from homefire.errors import FirestoreError
from homefire.firestore._field_value import FieldValue
from homefire.firestore._values import GeoPoint, ReferenceValue, Timestamp, VectorValue, aware

WireValue: TypeAlias = dict[str, Any]

MAX_DEPTH = 20
_INT64 = range(-(2**63), 2**63)
_VECTOR_TYPE = {"stringValue": "__vector__"}


def encode_value(value: object, where: str = "", depth: int = 0) -> WireValue:
    """A value on the wire; raises ``invalid-argument`` naming the field for what cannot be stored."""
    if value is None:
        return {"nullValue": None}
    if isinstance(value, bool):
        return {"booleanValue": value}
    if isinstance(value, int):
        if value not in _INT64:
            raise unsupported("an integer beyond 64 bits", where)
        return {"integerValue": str(int(value))}
    if isinstance(value, float):
        return {"doubleValue": _encode_double(float(value))}
    if isinstance(value, str):
        return {"stringValue": _checked_text(str(value), where)}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytesValue": base64.b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return {"mapValue": {"fields": encode_map(value, where, depth + 1)}}
    if isinstance(value, list | tuple):
        return _encode_array(value, where, depth + 1)
    return _encode_special(value, where)


def encode_map(
    values: Mapping[Any, object], where: str = "", depth: int = 0
) -> dict[str, WireValue]:
    """The fields of a map on the wire."""
    _check_depth(depth, where)
    fields: dict[str, WireValue] = {}
    for key, value in values.items():
        if not isinstance(key, str) or not key:
            raise unsupported(f"the key {key!r} (keys are strings, not empty)", where)
        path = f"{where}.{key}" if where else key
        fields[_checked_text(key, where)] = encode_value(value, path, depth)
    return fields


def _encode_array(values: list[Any] | tuple[Any, ...], where: str, depth: int) -> WireValue:
    _check_depth(depth, where)
    encoded = []
    for value in values:
        if isinstance(value, list | tuple):
            raise unsupported("an array directly inside an array", where)
        encoded.append(encode_value(value, where, depth))
    return {"arrayValue": {"values": encoded}}


def _encode_special(value: object, where: str) -> WireValue:
    if isinstance(value, datetime):
        return {"timestampValue": encode_time(value)}
    if isinstance(value, Timestamp):
        return {"timestampValue": encode_time(value.to_date())}
    if isinstance(value, GeoPoint):
        return {"geoPointValue": {"latitude": value.latitude, "longitude": value.longitude}}
    if isinstance(value, ReferenceValue):
        return {"referenceValue": value._name}
    if isinstance(value, VectorValue):
        components = [{"doubleValue": _encode_double(number)} for number in value.values]
        fields = {"__type__": _VECTOR_TYPE, "value": {"arrayValue": {"values": components}}}
        return {"mapValue": {"fields": fields}}
    if isinstance(value, FieldValue):
        raise unsupported(f"{value.name}() at this place", where)
    raise unsupported(f"a value of type {type(value).__name__}", where)


def unsupported(what: str, where: str) -> FirestoreError:
    """The error for a value that cannot be stored."""
    place = f" (found in field {where})" if where else ""
    return FirestoreError("invalid-argument", f"Firestore cannot store {what}{place}.")


def encode_time(date: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return aware(date).isoformat(timespec="microseconds").replace("+00:00", "Z")


def decode_time(text: str) -> datetime:
    """An RFC 3339 time, cut to microseconds, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def decode_value(value: Mapping[str, Any], reference: Callable[[str], Any]) -> Any:
    """A value from the wire; ``reference`` makes a document reference of a full name."""
    kind, content = next(iter(value.items()))
    match kind:
        case "stringValue" | "booleanValue":
            return content
        case "integerValue":
            return int(content)
        case "doubleValue":
            return float(content)
        case "nullValue":
            return None
        case "timestampValue":
            return decode_time(content)
        case "mapValue":
            return _decode_map(content.get("fields") or {}, reference)
        case "arrayValue":
            return [decode_value(item, reference) for item in content.get("values") or ()]
        case "bytesValue":
            return decode_bytes(content)
        case "referenceValue":
            return reference(content)
        case "geoPointValue":
            return GeoPoint(
                float(content.get("latitude", 0.0)), float(content.get("longitude", 0.0))
            )
    raise FirestoreError("internal", f"The server sent a value of an unknown kind: {kind}.")


def decode_fields(
    fields: Mapping[str, Mapping[str, Any]], reference: Callable[[str], Any]
) -> dict[str, Any]:
    """A document's fields from the wire."""
    return {name: decode_value(value, reference) for name, value in fields.items()}


def decode_bytes(text: str) -> bytes:
    """Bytes from base64 of either alphabet, padded or not."""
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(standard + "=" * (-len(standard) % 4))


def is_vector(fields: Mapping[str, Any]) -> bool:
    """Whether a map on the wire is a vector."""
    return fields.get("__type__") == _VECTOR_TYPE


def vector_components(fields: Mapping[str, Any]) -> list[float]:
    """The components of a vector on the wire."""
    values = fields.get("value", {}).get("arrayValue", {}).get("values") or ()
    return [float(next(iter(item.values()))) for item in values]


def _decode_map(fields: Mapping[str, Any], reference: Callable[[str], Any]) -> Any:
    if is_vector(fields):
        return VectorValue(tuple(vector_components(fields)))
    return decode_fields(fields, reference)


def _encode_double(value: float) -> float | str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _checked_text(text: str, where: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise unsupported("a string that is not valid Unicode (a lone surrogate)", where) from error
    return text


def _check_depth(depth: int, where: str) -> None:
    if depth > MAX_DEPTH:
        raise unsupported(f"maps and arrays nested deeper than {MAX_DEPTH} levels", where)
