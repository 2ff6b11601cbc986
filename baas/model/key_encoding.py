"""Values and paths as bytes that order as the values do.

``encode_value(a) < encode_value(b)`` exactly when ``compare(a, b) < 0``, and values that are equal in
Firestore's sense (1 and 1.0, 0.0 and -0.0) encode alike. Every encoding is self-delimiting: none is a
proper prefix of another. So encodings concatenate into composite keys, and :func:`descending` (all bits
inverted) turns the order round exactly, component by component.

Forms, after a tag byte that gives the type's place in the order:

==========  ==========================================================================================
number      the nearest double, its bits made monotone; from 2**53 on followed by 2 bytes of difference
            between the integer and that double, so that every int64 keeps its exact place
timestamp   microseconds, 8 bytes with the sign bit turned
string      UTF-8; byte 0 is escaped as ``00 FF``; end mark ``00 01``
bytes       likewise
reference   its path, see :func:`encode_path`
geopoint    latitude and longitude as doubles
array       the elements, end mark ``01`` (below every tag)
vector      4 bytes of length, the components as doubles
map         key and value in the order of the keys, each key behind ``02``; end mark ``01``
==========  ==========================================================================================

Values are encoded in full, whatever their size. (Google's service cuts indexed values off at 1500 bytes and
leaves the order beyond unspecified; here the order is exact, and keys are as long as their values.)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from baas.model.paths import numeric_id
from baas.model.values import GeoPoint, Reference, Timestamp, Value, Vector

_NULL: Final = b"\x10"
_FALSE: Final = b"\x20"
_TRUE: Final = b"\x21"
_NAN: Final = b"\x30"
_NUMBER: Final = b"\x31"
_TIMESTAMP: Final = b"\x40"
_STRING: Final = b"\x50"
_BYTES: Final = b"\x60"
_REFERENCE: Final = b"\x70"
_GEOPOINT: Final = b"\x80"
_ARRAY: Final = b"\x90"
_VECTOR: Final = b"\xa0"
_MAP: Final = b"\xb0"

_END: Final = b"\x01"
_KEY: Final = b"\x02"
_NUMERIC_SEGMENT: Final = b"\x02"
_STRING_SEGMENT: Final = b"\x03"
_STRING_END: Final = b"\x00\x01"
_SEGMENT_BREAK: Final = "\x00\x01\x03"
"""The end of one string segment and the tag of the next."""
_ZERO_ESCAPED: Final = b"\x00\xff"
_NAN_DOUBLE: Final = bytes(8)
_ZERO_DOUBLE: Final = b"\x80" + bytes(7)

_INVERT: Final = bytes(255 - i for i in range(256))
_EXACT: Final = 2**53
_pack_double = struct.Struct(">d").pack
_pack_tagged_double = struct.Struct(">cd").pack
_pack_unsigned = struct.Struct(">Q").pack
_pack_length = struct.Struct(">I").pack
_pack_difference = struct.Struct(">H").pack


def encode_value(value: Value) -> bytes:
    """The value's place in the total order, as bytes."""
    return _ENCODERS[type(value)](value)


def encode_segment(segment: str) -> bytes:
    """A collection or document id; ``__id<int64>__`` ids first, by number. Self-delimiting."""
    if segment.startswith("__id"):
        number = numeric_id(segment)
        if number is not None:
            return _NUMERIC_SEGMENT + _pack_unsigned(number + 2**63)
    return _STRING_SEGMENT + _escape(segment.encode())


def encode_path(segments: Sequence[str]) -> bytes:
    """A path of ids. Self-delimiting; a path sorts before all paths that continue it."""
    return encode_path_prefix(segments) + _END


def encode_path_prefix(segments: Sequence[str]) -> bytes:
    """The bytes with which the path and all paths below it begin. Not self-delimiting."""
    joined = _SEGMENT_BREAK.join(segments)
    if "__id" in joined or joined.count("\x00") != len(segments) - 1:
        return b"".join(map(encode_segment, segments))
    # nothing to escape and no number: the same bytes, made in one go
    return _STRING_SEGMENT + joined.encode() + _STRING_END


def descending(encoded: bytes) -> bytes:
    """The same key for the opposite direction: all bits inverted. Its own inverse."""
    return encoded.translate(_INVERT)


def successor(key: bytes) -> bytes:
    """The least byte string greater than ``key``."""
    return key + b"\x00"


def prefix_end(prefix: bytes) -> bytes | None:
    """The least byte string above all that begin with ``prefix``; ``None`` if there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None


def type_range(value: Value) -> tuple[bytes, bytes]:
    """``(low, high)``: every value of the same type encodes within ``low <= key < high``.

    For range filters, which compare only within one type. The range of numbers leaves NaN out, which no
    range filter matches.
    """
    return _TYPE_RANGES[type(value)]


def _escape(raw: bytes) -> bytes:
    return raw.replace(b"\x00", _ZERO_ESCAPED) + _STRING_END


def _encode_double(value: float) -> bytes:
    """8 bytes in the order of doubles, NaN first, -0.0 as 0.0."""
    if value > 0:
        return _pack_double(-value)  # its bits with the sign set: above all negative ones
    if value < 0:
        return _pack_double(value).translate(_INVERT)
    return _ZERO_DOUBLE if value == 0 else _NAN_DOUBLE


def _encode_int(value: int) -> bytes:
    if 0 < value <= _EXACT - 1:
        return _pack_tagged_double(_NUMBER, -value)
    if -_EXACT < value <= 0:
        return _NUMBER + _encode_double(value)
    nearest = float(value)
    return _NUMBER + _encode_double(nearest) + _pack_difference(value - int(nearest) + 0x8000)


def _encode_float(value: float) -> bytes:
    if -_EXACT < value < _EXACT:
        return _NUMBER + _encode_double(value)
    if value != value:
        return _NAN
    return _NUMBER + _encode_double(value) + b"\x80\x00"


def _encode_bool(value: bool) -> bytes:
    return _TRUE if value else _FALSE


def _encode_null(_value: None) -> bytes:
    return _NULL


def _encode_timestamp(value: Timestamp) -> bytes:
    return _TIMESTAMP + _pack_unsigned(value.micros + 2**63)


def _encode_string(value: str) -> bytes:
    return _STRING + value.encode().replace(b"\x00", _ZERO_ESCAPED) + _STRING_END


def _encode_bytes(value: bytes) -> bytes:
    return _BYTES + _escape(value)


def _encode_reference(value: Reference) -> bytes:
    return _REFERENCE + encode_path(value.name.split("/"))


def _encode_geopoint(value: GeoPoint) -> bytes:
    return _GEOPOINT + _encode_double(value.latitude) + _encode_double(value.longitude)


def _encode_array(value: list[Value]) -> bytes:
    return _ARRAY + b"".join(map(encode_value, value)) + _END


def _encode_vector(value: Vector) -> bytes:
    components = value.components
    return _VECTOR + _pack_length(len(components)) + b"".join(map(_encode_double, components))


def _encode_map(value: dict[str, Value]) -> bytes:
    parts = [_MAP]
    for key in sorted(value):  # by code point, which is the order of UTF-8 bytes
        parts.append(_KEY)
        parts.append(_escape(key.encode()))
        parts.append(encode_value(value[key]))
    parts.append(_END)
    return b"".join(parts)


_ENCODERS: Final[dict[type, Callable[[Any], bytes]]] = {
    int: _encode_int,
    str: _encode_string,
    float: _encode_float,
    bool: _encode_bool,
    type(None): _encode_null,
    Timestamp: _encode_timestamp,
    bytes: _encode_bytes,
    Reference: _encode_reference,
    GeoPoint: _encode_geopoint,
    list: _encode_array,
    Vector: _encode_vector,
    dict: _encode_map,
}


def _range(low: bytes, high: bytes | None = None) -> tuple[bytes, bytes]:
    return low, bytes(((high or low)[0] + 1,))


_TYPE_RANGES: Final[dict[type, tuple[bytes, bytes]]] = {
    type(None): _range(_NULL),
    bool: _range(_FALSE, _TRUE),
    int: _range(_NUMBER),
    float: _range(_NUMBER),
    Timestamp: _range(_TIMESTAMP),
    str: _range(_STRING),
    bytes: _range(_BYTES),
    Reference: _range(_REFERENCE),
    GeoPoint: _range(_GEOPOINT),
    list: _range(_ARRAY),
    Vector: _range(_VECTOR),
    dict: _range(_MAP),
}
