"""Field transforms: what a field becomes at commit. Source: ``listen-and-write`` §4."""

from __future__ import annotations

from baas.errors import InvalidArgument
from baas.model.field_access import MISSING, Missing, get_field, set_field
from baas.model.key_encoding import encode_value
from baas.model.paths import format_field_path
from baas.model.values import INT64_MAX, INT64_MIN, Fields, Timestamp, Value
from baas.model.write import FieldTransform, TransformKind


def apply_transforms(
    fields: Fields, transforms: tuple[FieldTransform, ...], now: Timestamp
) -> tuple[Fields, tuple[Value, ...]]:
    """Apply transforms in order; answers the fields after, and one result a transform.

    A result is the new value for REQUEST_TIME and the numeric transforms, and null for the array ones.

    Raises:
        InvalidArgument: an operand is not of the kind that its transform takes.
    """
    results: list[Value] = []
    for transform in transforms:
        current = get_field(fields, transform.field_path)
        value = transform_value(current, transform, now)
        fields = set_field(fields, transform.field_path, value)
        results.append(None if isinstance(value, list) else value)
    return fields, tuple(results)


def transform_value(current: Value | Missing, transform: FieldTransform, now: Timestamp) -> Value:
    """The value of one field after one transform."""
    kind = transform.kind
    if kind is TransformKind.REQUEST_TIME:
        return now
    if kind is TransformKind.APPEND_MISSING:
        return _append_missing(_array(current), _elements(transform))
    if kind is TransformKind.REMOVE_ALL:
        return _remove_all(_array(current), _elements(transform))
    operand = _number(transform)
    if type(current) is not int and type(current) is not float:
        return operand
    if kind is TransformKind.INCREMENT:
        return _increment(current, operand)
    return _extreme(current, operand, maximum=kind is TransformKind.MAXIMUM)


def _increment(current: int | float, operand: int | float) -> int | float:
    total = current + operand
    if type(total) is int:
        return min(max(total, INT64_MIN), INT64_MAX)
    return total


def _extreme(current: int | float, operand: int | float, *, maximum: bool) -> int | float:
    """The winner keeps its type; of equals (3 and 3.0, the zeros) the stored one stays; NaN wins."""
    if current != current or operand == current:
        return current
    if operand != operand:
        return operand
    return operand if (operand > current) == maximum else current


def _append_missing(array: list[Value], elements: list[Value]) -> list[Value]:
    present = set(map(encode_value, array))
    result = list(array)
    for element in elements:
        key = encode_value(element)
        if key not in present:
            present.add(key)
            result.append(element)
    return result


def _remove_all(array: list[Value], elements: list[Value]) -> list[Value]:
    removed = set(map(encode_value, elements))
    return [element for element in array if encode_value(element) not in removed]


def _array(current: Value | Missing) -> list[Value]:
    return current if current is not MISSING and type(current) is list else []


def _elements(transform: FieldTransform) -> list[Value]:
    if type(transform.operand) is not list:
        raise InvalidArgument(
            f"Transform of {format_field_path(transform.field_path)[:200]}: "
            f"{transform.kind.value} takes an array of values."
        )
    return transform.operand


def _number(transform: FieldTransform) -> int | float:
    operand = transform.operand
    if type(operand) is not int and type(operand) is not float:
        raise InvalidArgument(
            f"Transform of {format_field_path(transform.field_path)[:200]}: "
            f"{transform.kind.value} takes an integer or a double."
        )
    return operand
