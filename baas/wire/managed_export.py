"""The files of Firestore's managed export, read: records of a log, each an entity in Datastore's old form.

What ``gcloud firestore export`` (and the emulator's export) writes is a folder with
``*.overall_export_metadata`` and, below it, files ``output-N``. Such a file is a LevelDB log: blocks of
32 KiB with records of checksum, length, kind and data, a record cut into fragments where it crosses a
block. Each record is an ``EntityProto``: a key, and properties with a meaning that tells types apart.
Learned from the emulator's exports of every type; a test holds this against it where it is installed.

Pure but for the file that it is handed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import google_crc32c

from baas.errors import DataLoss, InvalidArgument
from baas.model.paths import DatabaseId, check_segments
from baas.model.values import Fields, GeoPoint, Reference, Timestamp, Value, Vector

_BLOCK: Final = 32 * 1024
_HEADER: Final = struct.Struct("<IHB")
_DOUBLE: Final = struct.Struct("<d")
_PADDING, _FULL, _FIRST, _MIDDLE, _LAST = range(5)
_MASK_DELTA: Final = 0xA282EAD8
_MAX_RECORD: Final = 16 * 1024 * 1024
_MAX_DEPTH: Final = 40

# The numbers of fields in EntityProto, Property, PropertyValue, Reference and Path.Element.
_KEY, _PROPERTY, _RAW_PROPERTY = 13, 14, 15
_MEANING, _NAME, _MULTIPLE, _VALUE = 1, 3, 4, 5
_INT64, _BOOLEAN, _STRING, _DOUBLE_VALUE, _POINT, _REFERENCE = 1, 2, 3, 4, 5, 12
_POINT_X, _POINT_Y = 6, 7
_PATH, _ELEMENT = 14, 1

_WHEN, _GEO, _BLOB, _BYTES, _ENTITY, _EMPTY_LIST, _VECTOR = 7, 9, 14, 16, 19, 24, 31


def read_records(file: BinaryIO) -> Iterator[bytes]:
    """The records of an ``output-N`` file.

    Raises:
        DataLoss: a checksum is wrong, or the file is cut off within a record.
    """
    parts: list[bytes] = []
    size = 0
    while block := file.read(_BLOCK):
        for kind, data in _fragments(block):
            size += len(data)
            if size > _MAX_RECORD:
                raise DataLoss("The export has a record that is larger than any document.")
            parts.append(data)
            if kind in (_FULL, _LAST):
                yield b"".join(parts)
                parts, size = [], 0
    if parts:
        raise DataLoss("The export is cut off within a document.")


def _fragments(block: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + _HEADER.size <= len(block):
        checksum, length, kind = _HEADER.unpack_from(block, position)
        if kind == _PADDING:
            return
        start = position + _HEADER.size
        data = block[start : start + length]
        if kind > _LAST or len(data) != length:
            raise DataLoss("The export is damaged: a record is cut off or of no known kind.")
        if _masked(google_crc32c.value(bytes((kind,)) + data)) != checksum:
            raise DataLoss("The export is damaged: a checksum is wrong.")
        yield kind, data
        position = start + length


def _masked(crc: int) -> int:
    """LevelDB's masking of a checksum."""
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def decode_entity(record: bytes, database: DatabaseId) -> tuple[tuple[str, ...], Fields]:
    """A record's document: its path, and its fields. References come to point into ``database``.

    Raises:
        InvalidArgument: the record is not a document.
    """
    try:
        message = _message(record, 0, len(record), None, 0)[0]
        key = _last(message, _KEY)
        segments = _segments(_message(key, 0, len(key), None, 0)[0], _ELEMENT)
        if not segments or not all(segments):
            raise KeyError(_PATH)
        return check_segments(segments), _fields(message, database, 0)
    except (IndexError, KeyError, struct.error, UnicodeDecodeError, TypeError) as error:
        raise InvalidArgument("A record of the export is not a document.") from error


_Message = list[tuple[int, Any]]


def _message(
    data: bytes, position: int, end: int, group: int | None, depth: int
) -> tuple[_Message, int]:
    """The fields of a message, groups nested; a group ends with its own number."""
    if depth > _MAX_DEPTH:
        raise InvalidArgument("A record of the export is nested too deeply.")
    found: _Message = []
    while position < end:
        tag, position = _varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        value: Any
        if wire_type == 0:
            value, position = _varint(data, position)
        elif wire_type == 1:
            value, position = data[position : position + 8], position + 8
        elif wire_type == 2:
            length, position = _varint(data, position)
            value, position = data[position : position + length], position + length
        elif wire_type == 3:
            value, position = _message(data, position, end, number, depth + 1)
        elif wire_type == 4 and number == group:
            return found, position
        elif wire_type == 5:
            value, position = data[position : position + 4], position + 4
        else:
            raise InvalidArgument("A record of the export is not a document.")
        found.append((number, value))
    return found, position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7
        if shift > 63:
            raise InvalidArgument("A record of the export is not a document.")


def _all(message: _Message, number: int) -> list[Any]:
    return [value for each, value in message if each == number]


def _last(message: _Message, number: int) -> Any:
    """The last value of a field. Raises KeyError without one."""
    values = _all(message, number)
    if not values:
        raise KeyError(number)
    return values[-1]


def _segments(reference: _Message, element: int) -> tuple[str, ...]:
    """The path of a key: bytes with groups of type, id and name, or the groups themselves."""
    if element == _ELEMENT:
        path = _last(reference, _PATH)
        elements = _all(_message(path, 0, len(path), None, 0)[0], _ELEMENT)
        kind, number, name = 2, 3, 4
    else:
        elements = _all(reference, element)
        kind, number, name = 15, 16, 17
    segments: list[str] = []
    for each in elements:
        segments.append(_last(each, kind).decode())
        ids = _all(each, name)
        segments.append(ids[-1].decode() if ids else f"__id{_signed(_last(each, number))}__")
    return tuple(segments)


def _fields(entity: _Message, database: DatabaseId, depth: int) -> Fields:
    fields: Fields = {}
    for number, data in entity:
        if number not in (_PROPERTY, _RAW_PROPERTY):
            continue
        prop = _message(data, 0, len(data), None, 0)[0]
        name = _last(prop, _NAME).decode()
        meaning = (_all(prop, _MEANING) or [0])[-1]
        if meaning == _EMPTY_LIST:
            fields[name] = []
            continue
        encoded = _last(prop, _VALUE)
        value = _value(_message(encoded, 0, len(encoded), None, 0)[0], meaning, database, depth)
        if not (_all(prop, _MULTIPLE) or [0])[-1]:
            fields[name] = value
        elif meaning == _VECTOR:
            before = fields.get(name)
            components = before.components if isinstance(before, Vector) else ()
            fields[name] = Vector((*components, float(value)))  # type: ignore[arg-type]
        else:
            fields.setdefault(name, []).append(value)  # type: ignore[union-attr]
    return fields


def _value(value: _Message, meaning: int, database: DatabaseId, depth: int) -> Value:
    if not value:
        return None
    number, raw = value[-1]
    if number == _INT64:
        return Timestamp(_signed(raw)) if meaning == _WHEN else _signed(raw)
    if number == _BOOLEAN:
        return bool(raw)
    if number == _DOUBLE_VALUE:
        return float(_DOUBLE.unpack(raw)[0])
    if number == _POINT:
        latitude, longitude = _last(raw, _POINT_X), _last(raw, _POINT_Y)
        return GeoPoint(_DOUBLE.unpack(latitude)[0], _DOUBLE.unpack(longitude)[0])
    if number == _REFERENCE:
        path = "/".join(_segments(raw, _PATH))
        return Reference(f"{database.name}/documents/{path}")
    if number != _STRING:
        raise KeyError(number)
    if meaning == _ENTITY:
        if depth > _MAX_DEPTH:
            raise InvalidArgument("A record of the export is nested too deeply.")
        return _fields(_message(raw, 0, len(raw), None, 0)[0], database, depth + 1)
    return bytes(raw) if meaning in (_BLOB, _BYTES) else str(raw.decode())


def _signed(number: int) -> int:
    """A 64-bit varint as the int64 that it stands for."""
    return number - 2**64 if number >= 2**63 else number
