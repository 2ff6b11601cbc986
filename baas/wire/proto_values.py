"""Values, fields and documents as protobuf. Source: ``listen-and-write`` §7 and §9.

Messages are of the classes of :mod:`baas.wire.proto`, which exist only at run time: hence ``Any``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from baas.model.document import Document
from baas.model.field_access import project
from baas.model.limits import MAX_VALUE_DEPTH, check_field_name
from baas.model.paths import FieldPath
from baas.model.values import Fields, GeoPoint, Reference, Timestamp, Value, Vector
from baas.wire import proto
from baas.wire.timestamps import checked_timestamp
from baas.wire.value_checks import (
    VECTOR_TYPE,
    BadField,
    checked_elements,
    checked_geopoint,
    checked_reference,
    map_or_vector,
    too_deep,
)

# -- in ----------------------------------------------------------------------------------------------


def decode_value(message: Any, depth: int = 0) -> Value:
    """Decode and check one ``Value``; ``depth`` is how many maps and arrays lie around it.

    Raises:
        InvalidArgument: unset, or a value that breaks a limit; the message names the field within it.
    """
    kind = message.WhichOneof("value_type")
    if kind in _PLAIN:
        return cast(Value, getattr(message, kind))
    if kind == "map_value":
        if depth >= MAX_VALUE_DEPTH:
            raise too_deep()
        return _decode_map(message.map_value.fields, depth + 1)
    if kind == "array_value":
        if depth >= MAX_VALUE_DEPTH:
            raise too_deep()
        return decode_array(message.array_value, depth + 1)
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise BadField(
            "a value must have a type: it is unset."
            if kind is None
            else f"{kind!r} is not a type of value outside of pipelines."
        )
    return decoder(message)


def decode_operand(message: Any, depth: int = 0) -> Value:
    """Decode what is only compared with, and never stored: arrays in it may hold arrays and vectors.

    Raises:
        InvalidArgument: as :func:`decode_value`.
    """
    if message.WhichOneof("value_type") == "array_value":
        if depth >= MAX_VALUE_DEPTH:
            raise too_deep()
        return [decode_operand(each, depth + 1) for each in message.array_value.values]
    return decode_value(message, depth)


def decode_fields(fields: Mapping[str, Any], depth: int = 0) -> Fields:
    """Decode and check a map of fields.

    Raises:
        InvalidArgument: as :func:`decode_value`, and for field names that are not allowed.
    """
    result: Fields = {}
    for name, value in fields.items():
        check_field_name(name)
        try:
            result[name] = decode_value(value, depth)
        except BadField as error:
            raise error.within(name) from None
    return result


def decode_array(message: Any, depth: int = 1) -> list[Value]:
    """Decode and check an ``ArrayValue``.

    Raises:
        InvalidArgument: as :func:`decode_value`, and for an array or a vector directly within it.
    """
    return checked_elements([decode_value(each, depth) for each in message.values])


def decode_timestamp(message: Any) -> Timestamp:
    """A timestamp, cut off after the microseconds.

    Raises:
        InvalidArgument: outside the years 1 to 9999, or with an impossible fraction.
    """
    if not 0 <= message.nanos < 1_000_000_000:
        raise BadField("a timestamp's nanos must lie between 0 and 999999999.")
    return checked_timestamp(message.seconds * 1_000_000 + message.nanos // 1_000)


def _decode_map(fields: Mapping[str, Any], depth: int) -> Value:
    if "__type__" in fields:
        return map_or_vector({name: decode_value(value, depth) for name, value in fields.items()})
    return decode_fields(fields, depth)


def _decode_geopoint(message: Any) -> GeoPoint:
    point = message.geo_point_value
    return checked_geopoint(point.latitude, point.longitude)


_PLAIN: Final = frozenset(
    ("string_value", "integer_value", "boolean_value", "double_value", "bytes_value")
)
_DECODERS: Final[dict[str, Callable[[Any], Value]]] = {
    "null_value": lambda _message: None,
    "timestamp_value": lambda message: decode_timestamp(message.timestamp_value),
    "reference_value": lambda message: checked_reference(message.reference_value),
    "geo_point_value": _decode_geopoint,
}

# -- out ---------------------------------------------------------------------------------------------


def encode_value(value: Value) -> Any:
    """One value as a ``Value`` message."""
    message = proto.Value()
    write_value(message, value)
    return message


def write_value(message: Any, value: Value) -> None:
    """Set an empty ``Value`` message."""
    _WRITERS[type(value)](message, value)


def write_fields(target: Any, fields: Mapping[str, Value]) -> None:
    """Fill an empty map of fields."""
    for name, value in fields.items():
        _WRITERS[type(value)](target[name], value)


def write_timestamp(message: Any, timestamp: Timestamp) -> None:
    """Set a ``google.protobuf.Timestamp``."""
    seconds, micros = divmod(timestamp.micros, 1_000_000)
    message.seconds = seconds
    message.nanos = micros * 1_000
    message.SetInParent()


def encode_document(document: Document, mask: Sequence[FieldPath] | None = None) -> Any:
    """A ``Document`` message; with a mask only those of its fields."""
    message = proto.Document()
    write_document(message, document, mask)
    return message


def write_document(
    message: Any, document: Document, mask: Sequence[FieldPath] | None = None
) -> None:
    """Fill an empty ``Document`` message."""
    message.name = document.name.name
    fields = document.fields if mask is None else project(document.fields, mask)
    write_fields(message.fields, fields)
    write_timestamp(message.create_time, document.create_time)
    write_timestamp(message.update_time, document.update_time)


def _write_null(message: Any, _value: None) -> None:
    message.null_value = 0


def _write_boolean(message: Any, value: bool) -> None:
    message.boolean_value = value


def _write_integer(message: Any, value: int) -> None:
    message.integer_value = value


def _write_double(message: Any, value: float) -> None:
    message.double_value = value


def _write_timestamp_value(message: Any, value: Timestamp) -> None:
    write_timestamp(message.timestamp_value, value)


def _write_string(message: Any, value: str) -> None:
    message.string_value = value


def _write_bytes(message: Any, value: bytes) -> None:
    message.bytes_value = value


def _write_reference(message: Any, value: Reference) -> None:
    message.reference_value = value.name


def _write_geopoint(message: Any, value: GeoPoint) -> None:
    message.geo_point_value.latitude = value.latitude
    message.geo_point_value.longitude = value.longitude
    message.geo_point_value.SetInParent()


def _write_array(message: Any, value: list[Value]) -> None:
    message.array_value.SetInParent()
    elements = message.array_value.values
    for element in value:
        write_value(elements.add(), element)


def _write_vector(message: Any, value: Vector) -> None:
    fields = message.map_value.fields
    fields["__type__"].string_value = VECTOR_TYPE
    components = fields["value"].array_value.values
    for component in value.components:
        components.add().double_value = component


def _write_map(message: Any, value: Fields) -> None:
    message.map_value.SetInParent()
    write_fields(message.map_value.fields, value)


_WRITERS: Final[dict[type, Callable[[Any, Any], None]]] = {
    type(None): _write_null,
    bool: _write_boolean,
    int: _write_integer,
    float: _write_double,
    Timestamp: _write_timestamp_value,
    str: _write_string,
    bytes: _write_bytes,
    Reference: _write_reference,
    GeoPoint: _write_geopoint,
    list: _write_array,
    Vector: _write_vector,
    dict: _write_map,
}
