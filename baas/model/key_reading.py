"""Taking composite keys apart: where each encoded value in them ends, without decoding it.

The forms are those of :mod:`baas.model.key_encoding`, ascending.
"""

from __future__ import annotations

from typing import Final

from baas.model.key_encoding import encode_value

_END: Final = 0x01
_NUMERIC_SEGMENT: Final = 0x02
_STRING_END: Final = b"\x00\x01"

_NUMBER: Final = 0x31
_REFERENCE: Final = 0x70
_ARRAY: Final = 0x90
_VECTOR: Final = 0xA0
_MAP: Final = 0xB0
_FIXED: Final = {0x10: 1, 0x20: 1, 0x21: 1, 0x30: 1, 0x40: 9, 0x80: 17}
"""Bytes of the types that have so many always: null, booleans, NaN, timestamps, geopoints."""

_LARGE: Final = encode_value(2**53)[1:9]
_LARGE_NEGATIVE: Final = encode_value(-(2**53))[1:9]


def value_end(key: bytes, at: int) -> int:
    """The place after the encoded value that begins at a place of a key.

    Raises:
        ValueError: there is no such value.
    """
    tag = key[at]
    fixed = _FIXED.get(tag)
    if fixed is not None:
        return at + fixed
    if tag == _NUMBER:
        double = key[at + 1 : at + 9]
        return at + (9 if _LARGE_NEGATIVE < double < _LARGE else 11)
    if tag in (0x50, 0x60):
        return _string_end(key, at + 1)
    if tag == _REFERENCE:
        return _path_end(key, at + 1)
    if tag == _VECTOR:
        return at + 5 + 8 * int.from_bytes(key[at + 1 : at + 5], "big")
    if tag not in (_ARRAY, _MAP):
        raise ValueError(f"no encoded value begins with {tag:#x}")
    at += 1
    while key[at] != _END:
        if tag == _MAP:
            at = _string_end(key, at + 1)
        at = value_end(key, at)
    return at + 1


def _string_end(key: bytes, at: int) -> int:
    """After the end mark. A zero byte begins either that or an escape, whose second byte is no zero."""
    return key.index(_STRING_END, at) + 2


def _path_end(key: bytes, at: int) -> int:
    while key[at] != _END:
        at = at + 9 if key[at] == _NUMERIC_SEGMENT else _string_end(key, at + 1)
    return at + 1
