"""Reading and changing fields by path, without changing the value given.

A path goes through maps only: below an array, a vector or a scalar nothing is found, and setting a field
there replaces what was in the way by a map (``listen-and-write`` §4: a masked path that is present in the
fields is set).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from baas.model.paths import FieldPath
from baas.model.values import Fields, Value


class _Missing(enum.Enum):
    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing.MISSING
"""Stands for a field that is not there, which is not the same as null."""

Missing: TypeAlias = Literal[_Missing.MISSING]


def get_field(fields: Fields, path: FieldPath) -> Value | Missing:
    """The value at the path, or :data:`MISSING`."""
    if len(path) == 1:
        return fields.get(path[0], MISSING)
    value: Value | Missing = fields
    for segment in path:
        if type(value) is not dict:
            return MISSING
        value = value.get(segment, MISSING)
    return value


def set_field(fields: Fields, path: FieldPath, value: Value) -> Fields:
    """A copy with the value at the path; maps on the way are made where they are missing."""
    copy = dict(fields)
    head = path[0]
    if len(path) == 1:
        copy[head] = value
        return copy
    inner = copy.get(head)
    copy[head] = set_field(inner if type(inner) is dict else {}, path[1:], value)
    return copy


def delete_field(fields: Fields, path: FieldPath) -> Fields:
    """A copy without the field at the path; the same object if there is none.

    A map that becomes empty stays, as an empty map.
    """
    head = path[0]
    if head not in fields:
        return fields
    if len(path) == 1:
        copy = dict(fields)
        del copy[head]
        return copy
    inner = fields[head]
    if type(inner) is not dict:
        return fields
    trimmed = delete_field(inner, path[1:])
    if trimmed is inner:
        return fields
    copy = dict(fields)
    copy[head] = trimmed
    return copy


def project(fields: Fields, paths: Iterable[FieldPath]) -> Fields:
    """Only the fields at the given paths, in the nesting they have: a projection by a field mask."""
    result: Fields = {}
    for path in paths:
        value = get_field(fields, path)
        if value is not MISSING:
            result = set_field(result, path, value)
    return result
