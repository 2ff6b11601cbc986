"""Limits of documents and queries, and the size of a document as Firestore counts it.

Source: ``listen-and-write`` §9, and Firestore's published rules of storage size.
"""

from __future__ import annotations

import re
from typing import Final

from baas.errors import InvalidArgument
from baas.model.paths import DocumentName, FieldPath, format_field_path
from baas.model.values import Fields, GeoPoint, Reference, Timestamp, Value, Vector

MAX_DOCUMENT_BYTES: Final = 1_048_576
MAX_VALUE_BYTES: Final = 1_048_487
"""A string or bytes value by itself, in bytes of its content."""
MAX_FIELD_NAME_BYTES: Final = 1_500
MAX_IMPLIED_PATH_BYTES: Final = 1_500
"""The names of a field and of the maps around it, with the dots between them."""
MAX_VALUE_DEPTH: Final = 20
MAX_VECTOR_DIMENSIONS: Final = 2_048
MAX_TRANSFORMS: Final = 500
"""Transforms of one document in one commit."""
MAX_REQUEST_BYTES: Final = 10 * 1_048_576
MAX_WRITES: Final = 10_000
"""Writes in one commit."""
MAX_BATCH_WRITES: Final = 500
"""Writes in one batch write."""
MAX_BATCH_GET: Final = 10_000
"""Documents in one batch get."""
MAX_DISJUNCTIONS: Final = 30
MAX_IN_VALUES: Final = 30
MAX_NOT_IN_VALUES: Final = 10
MAX_FILTERS: Final = 100
MAX_FILTER_DEPTH: Final = 20
MAX_ORDERS: Final = 100
MAX_NEAREST: Final = 1_000
MAX_AGGREGATIONS: Final = 5

_RESERVED_FIELD = re.compile(r"__.*__", re.DOTALL)
_NAME_OVERHEAD: Final = 16
_DOCUMENT_OVERHEAD: Final = 32
_VECTOR_OVERHEAD: Final = len("__type__") + 1 + len("__vector__") + 1 + len("value") + 1


def check_write_count(count: int, limit: int) -> None:
    """Check how many writes a request has.

    Raises:
        InvalidArgument: more than ``limit``.
    """
    if count > limit:
        raise InvalidArgument(f"At most {limit} writes are allowed in one request.")


def check_get_count(count: int, limit: int) -> None:
    """Check how many documents a request names.

    Raises:
        InvalidArgument: more than ``limit``.
    """
    if count > limit:
        raise InvalidArgument(f"At most {limit} documents can be read at once.")


def document_size(name: DocumentName, fields: Fields) -> int:
    """Bytes of a document as Firestore counts them: name, fields and 32 bytes more."""
    return name_size(name.segments) + _map_size(fields) + _DOCUMENT_OVERHEAD


def name_size(segments: tuple[str, ...]) -> int:
    """Bytes of a name: each id and one byte more, plus 16."""
    return sum(_string_size(segment) for segment in segments) + _NAME_OVERHEAD


def value_size(value: Value) -> int:
    """Bytes of one value."""
    kind = type(value)
    if kind is str:
        return _string_size(value)  # type: ignore[arg-type]
    fixed = _FIXED_SIZES.get(kind)
    if fixed is not None:
        return fixed
    if isinstance(value, dict):
        return _map_size(value)
    if isinstance(value, list):
        return sum(map(value_size, value))
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Vector):
        return _VECTOR_OVERHEAD + 8 * len(value.components)
    if isinstance(value, Reference):
        return name_size(tuple(value.name.split("/")[5:]))
    raise TypeError(f"not a value: {kind.__name__}")


def check_document(name: DocumentName, fields: Fields) -> None:
    """Check what can only be known of a whole document: its size, that of its values and of the paths to
    them, and their depth. A document smaller than a limit is not searched for what breaks it.

    Raises:
        InvalidArgument: it is larger than 1 MiB or nested deeper than 20 levels, one value is longer than
            1,048,487 bytes, or the path of a nested field longer than 1,500.
    """
    check_depth(fields)
    size = document_size(name, fields)
    if size > MAX_IMPLIED_PATH_BYTES:
        _check_implied_paths(fields)
    if size > MAX_VALUE_BYTES:
        _check_value_sizes(fields)
    if size > MAX_DOCUMENT_BYTES:
        raise InvalidArgument(
            f"Document '{name.name}' cannot be written because its size ({size:,} bytes) exceeds "
            f"the maximum allowed size of {MAX_DOCUMENT_BYTES:,} bytes."
        )


def check_depth(fields: Fields) -> None:
    """Check how deep maps and arrays are nested.

    Raises:
        InvalidArgument: a value lies deeper than 20 levels; the message names the outermost field.
    """
    for name, value in fields.items():
        if isinstance(value, dict | list) and _deeper_than(value, MAX_VALUE_DEPTH):
            raise InvalidArgument(
                f"Field {format_field_path((name,))[:200]} is nested too deeply: at most "
                f"{MAX_VALUE_DEPTH} levels of maps and arrays are allowed."
            )


def check_field_name(name: str, path: FieldPath = ()) -> None:
    """Check one field's name; ``path`` leads to the map that holds it, for the message.

    Raises:
        InvalidArgument: empty, reserved (``__.*__``), or longer than 1500 bytes.
    """
    if name.isascii() and name[:2] != "__" and 0 < len(name) <= MAX_FIELD_NAME_BYTES:
        return
    shown = format_field_path((*path, name))[:200]
    if not name:
        raise InvalidArgument(f"Field {shown}: a field name must not be empty.")
    if _RESERVED_FIELD.fullmatch(name):
        raise InvalidArgument(f"Field {shown}: names that match __.*__ are reserved.")
    if len(name.encode()) > MAX_FIELD_NAME_BYTES:
        raise InvalidArgument(
            f"Field {shown}: a field name may have at most {MAX_FIELD_NAME_BYTES} bytes."
        )


def _check_implied_paths(fields: Fields) -> None:
    for name, value in fields.items():
        if isinstance(value, dict | list) and (
            _name_bytes(name) + _longest_path(value) > MAX_IMPLIED_PATH_BYTES
        ):
            raise InvalidArgument(
                f"Property {format_field_path((name,))[:200]} contains an invalid nested entity: the "
                f"path of a nested field is longer than {MAX_IMPLIED_PATH_BYTES} bytes."
            )


def _longest_path(value: Value) -> int:
    """Bytes that the longest path into a value adds. Elements of arrays add none of their own."""
    if isinstance(value, dict):
        return max(
            (_name_bytes(name) + 1 + _longest_path(inner) for name, inner in value.items()),
            default=0,
        )
    return max(map(_longest_path, value), default=0) if isinstance(value, list) else 0


def _check_value_sizes(fields: Fields) -> None:
    for name, value in fields.items():
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, dict):
                _check_value_sizes(each)
            elif isinstance(each, str | bytes) and _content_bytes(each) > MAX_VALUE_BYTES:
                raise InvalidArgument(
                    f'The value of property "{name[:200]}" is longer than {MAX_VALUE_BYTES} bytes.'
                )


def _content_bytes(value: str | bytes) -> int:
    return len(value) if isinstance(value, bytes) else _name_bytes(value)


def _deeper_than(value: Value, levels: int) -> bool:
    if levels == 0:
        return isinstance(value, dict | list)
    if isinstance(value, dict):
        return any(_deeper_than(inner, levels - 1) for inner in value.values())
    if isinstance(value, list):
        return any(_deeper_than(inner, levels - 1) for inner in value)
    return False


def _map_size(fields: Fields) -> int:
    return sum(_string_size(name) + value_size(value) for name, value in fields.items())


def _string_size(text: str) -> int:
    return (len(text) if text.isascii() else len(text.encode())) + 1


def _name_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


_FIXED_SIZES: Final[dict[type, int]] = {
    type(None): 1,
    bool: 1,
    int: 8,
    float: 8,
    Timestamp: 8,
    GeoPoint: 16,
}
