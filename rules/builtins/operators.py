"""Arithmetic, comparison, membership, indexes and slices: the parts that a compiled closure falls back on."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from rules.errors import EvaluationError, UnprovableError
from rules.types import (
    Abstract,
    Duration,
    PartialMap,
    Path,
    Set,
    Timestamp,
    Value,
    is_list,
    is_map,
    type_name,
)
from rules.types.duration import checked_duration
from rules.types.equality import equal_inside, utf16_key
from rules.types.limits import Steps, check_text
from rules.types.values import INT64_MAX, INT64_MIN

_ARITHMETIC_EXPECTED = {
    "+": "int + int, float + float, string + string, duration + duration, "
    "duration + timestamp, timestamp + duration",
    "-": "int - int, float - float, duration - duration, timestamp - duration, timestamp - timestamp",
    "*": "int * int, float * float",
    "/": "int / int, float / float",
    "%": "int % int, float % float",
}
_COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _unsupported(op: str, left: Value, right: Value, expected: str) -> NoReturn:
    raise EvaluationError(
        f"Unsupported operation error. Received: {type_name(left)} {op} {type_name(right)}. "
        f"Expected: {expected}."
    )


def _int64(value: int) -> int:
    if INT64_MIN <= value <= INT64_MAX:
        return value
    raise EvaluationError(f"Integer value is out of the [{INT64_MIN}, {INT64_MAX}] range.")


def _are_numbers(left: Value, right: Value) -> bool:
    return type(left) in (int, float) and type(right) in (int, float)


def add(left: Value, right: Value) -> Value:
    kind, other = type(left), type(right)
    if kind is int and other is int:
        return _int64(left + right)
    if kind is str and other is str:
        check_text(len(left) + len(right))
        return left + right
    if _are_numbers(left, right):
        return float(left) + float(right)
    if kind is Duration and other is Duration:
        return checked_duration(left.total_nanos + right.total_nanos)
    if kind is Timestamp and other is Duration:
        return left.plus(right)
    if kind is Duration and other is Timestamp:
        return right.plus(left)
    _unsupported("+", left, right, _ARITHMETIC_EXPECTED["+"])


def subtract(left: Value, right: Value) -> Value:
    kind, other = type(left), type(right)
    if kind is int and other is int:
        return _int64(left - right)
    if _are_numbers(left, right):
        return float(left) - float(right)
    if kind is Duration and other is Duration:
        return checked_duration(left.total_nanos - right.total_nanos)
    if kind is Timestamp and other is Duration:
        return left.minus(right)
    if kind is Timestamp and other is Timestamp:
        return checked_duration(left.total_nanos - right.total_nanos)
    _unsupported("-", left, right, _ARITHMETIC_EXPECTED["-"])


def multiply(left: Value, right: Value) -> Value:
    if type(left) is int and type(right) is int:
        return _int64(left * right)
    if _are_numbers(left, right):
        return float(left) * float(right)
    _unsupported("*", left, right, _ARITHMETIC_EXPECTED["*"])


def divide(left: Value, right: Value) -> Value:
    """Ints truncate toward zero. The minimum by -1 wraps around, as the official runtime has it."""
    if type(left) is int and type(right) is int:
        if right == 0:
            raise EvaluationError("Divide by zero error.")
        quotient = abs(left) // abs(right)
        if (left < 0) != (right < 0):
            return -quotient
        return INT64_MIN if quotient > INT64_MAX else quotient
    if not _are_numbers(left, right):
        _unsupported("/", left, right, _ARITHMETIC_EXPECTED["/"])
    dividend, divisor = float(left), float(right)
    if divisor != 0:
        return dividend / divisor
    if dividend == 0 or dividend != dividend:
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1, divisor)


def modulo(left: Value, right: Value) -> Value:
    """The remainder takes the sign of the dividend."""
    if type(left) is int and type(right) is int:
        if right == 0:
            raise EvaluationError("Divide by zero error.")
        rest = abs(left) % abs(right)
        return -rest if left < 0 else rest
    if not _are_numbers(left, right):
        _unsupported("%", left, right, _ARITHMETIC_EXPECTED["%"])
    dividend, divisor = float(left), float(right)
    if divisor == 0 or math.isinf(dividend) or dividend != dividend or divisor != divisor:
        return math.nan
    return math.fmod(dividend, divisor)


def negate(value: Value) -> Value:
    kind = type(value)
    if kind is int:
        return _int64(-value)
    if kind is float:
        return -value
    if kind is Duration:
        return Duration(-value.total_nanos)
    raise EvaluationError(
        f"Unsupported operation error. Received: -{type_name(value)}. Expected: -int, -float, -duration."
    )


def compare(op: str, left: Value, right: Value) -> bool:
    """`< <= > >=` for two values of one ordered kind."""
    kind, other = type(left), type(right)
    if kind is Abstract:
        return bool(left.compare(op, right))
    if other is Abstract:
        return bool(right.compare(_FLIPPED[op], left))
    run = _COMPARISONS[op]
    if kind is other:
        if kind is str:
            return (
                run(utf16_key(left), utf16_key(right))
                if _needs_utf16(left, right)
                else run(left, right)
            )
        if kind in (int, float, bytes, Timestamp, Duration):
            return run(left, right)
    elif _are_numbers(left, right):
        return run(float(left), float(right))
    kinds = ("string", "bytes", "int", "float", "duration", "timestamp")
    _unsupported(op, left, right, ", ".join(f"{one} {op} {one}" for one in kinds))


def _needs_utf16(left: str, right: str) -> bool:
    return not (left.isascii() and right.isascii()) and max(left + right) > "\ud7ff"


def contained(item: Value, holder: Value) -> bool:
    """`item in holder`: elements of a list or set, keys of a map."""
    if is_map(holder):
        if type(item) is not str:
            _bad_key(item)
        return item in holder
    if type(holder) is PartialMap:
        if type(item) is not str:
            _bad_key(item)
        return holder.has(item)
    if type(holder) is Set:
        return item in holder
    if type(holder) is Abstract:
        return holder.holds(item)
    if holder is None:
        raise EvaluationError("Null value error.")
    if is_list(holder):
        return list_contains(holder, item)
    raise EvaluationError("Function not found error: Name: [in].")


def _bad_key(item: Value) -> NoReturn:
    raise EvaluationError(
        f"Unsupported operation error. Received: map.in({type_name(item)}). Expected: map.in(string)."
    )


def list_contains(holder: Sequence[Value], item: Value) -> bool:
    """Element equality; ints and floats differ here. A pending unknown only counts if nothing matches."""
    if type(item) is str:
        if item in holder:
            return True
        if not any(type(one) is Abstract for one in holder):
            return False
    unsure: UnprovableError | None = None
    steps = Steps()
    for one in holder:
        try:
            if equal_inside(item, one, steps):
                return True
        except UnprovableError as error:
            unsure = error
    if unsure is not None:
        raise unsure
    return False


def member(receiver: Value, name: str) -> Value:
    """`receiver.name`."""
    if is_map(receiver):
        try:
            return receiver[name]
        except KeyError:
            raise EvaluationError(f"Property {name} is undefined on object.") from None
    if type(receiver) is PartialMap:
        return receiver.get(name)
    if receiver is None:
        raise EvaluationError("Null value error.")
    if type(receiver) is Path:
        return receiver.named(name)
    if type(receiver) is Abstract:
        raise UnprovableError(f"The query does not pin the property {name}.")
    raise EvaluationError(f"Type error. Received: [{type_name(receiver)}] Expected: [map,path].")


def index(receiver: Value, key: Value) -> Value:
    """`receiver[key]` on a map, list, string or path."""
    if type(key) is str and (type(receiver) in (Path, PartialMap) or is_map(receiver)):
        return member(receiver, key)
    if receiver is None or key is None:
        raise EvaluationError("Null value error.")
    if type(receiver) is Abstract or type(key) is Abstract:
        raise UnprovableError("The query does not pin the index or what is indexed.")
    kind = type_name(receiver)
    if kind in ("list", "string", "path", "map"):
        if type(key) is not int or kind == "map":
            wanted = "string" if kind == "map" else "int"
            raise EvaluationError(
                f"Unsupported operation error. Received: {kind}[{type_name(key)}]. "
                f"Expected: {kind}[{wanted}]."
            )
        if kind == "path":
            return receiver.segment(key)
        return _item(receiver, key) if kind == "list" else string_slice(receiver, key, key + 1)
    raise EvaluationError("Function not found error: Name: [[]].")


def _item(items: Sequence[Value], key: int) -> Value:
    if 0 <= key < len(items):
        return items[key]
    raise EvaluationError(f"Index out of bound error. Index: [{key}] , size: [{len(items)}].")


def slice_of(receiver: Value, low: Value, high: Value) -> Value:
    """`receiver[low:high]` of a list or string; nothing is clamped."""
    if receiver is None or low is None or high is None:
        raise EvaluationError("Null value error.")
    kind = type_name(receiver)
    if type(low) is not int or type(high) is not int or kind not in ("list", "string"):
        raise EvaluationError(
            f"Unsupported operation error. Received: {kind}[{type_name(low)}:{type_name(high)}]. "
            "Expected: list[int:int], string[int:int]."
        )
    size = len(receiver) if kind == "list" else string_size(receiver)
    if not (0 <= low < size and 0 < high <= size and low <= high):
        raise EvaluationError(f"Index out of bound error. Index: [{low}:{high}] , size: [{size}].")
    if kind == "list":
        return list(receiver[low:high])
    return string_slice(receiver, low, high)


def string_size(text: str) -> int:
    """In UTF-16 units, as the official runtime counts."""
    if text.isascii():
        return len(text)
    return len(text) + sum(1 for char in text if char > "\uffff")


def string_slice(text: str, low: int, high: int) -> str:
    size = string_size(text)
    if not (0 <= low <= high <= size) or (low == size and high > low):
        raise EvaluationError(f"Index out of bound error. Index: [{low}] , size: [{size}].")
    if size == len(text):
        return text[low:high]
    units = text.encode("utf-16-be", "surrogatepass")[2 * low : 2 * high]
    return units.decode("utf-16-be", "surrogatepass")


def map_keys(value: Mapping[str, Value]) -> list[str]:
    """Keys in the order that `keys()` promises."""
    if "".join(value).isascii():
        return sorted(value)
    return sorted(value, key=utf16_key)
