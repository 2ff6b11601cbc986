"""`string()`, `int()`, `float()` and `path()`."""

from __future__ import annotations

import math
import re

from rules.errors import EvaluationError
from rules.types import Path, Value, type_name
from rules.types.values import INT64_MAX, INT64_MIN

_INT = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(
    r"[+-]?(?:NaN|Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fFdD]?)"
)
_JAVA_SPACE = "".join(map(chr, range(0x21)))


def to_string(value: Value) -> str:
    kind = type(value)
    if kind is str:
        return str(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return float_text(value)
    if kind is int or kind is Path:
        return str(value)
    raise EvaluationError(
        f"Unsupported operation error. Received: string({type_name(value)}). Expected: string(int), "
        "string(float), string(null), string(string), string(bool), string(path)."
    )


def float_text(value: float) -> str:
    """A float as the official runtime writes it: always a point, an exponent outside 1e-3 .. 1e7."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    mantissa, _, exponent = f"{value!r}".partition("e")
    if not exponent:
        digits = f"{value:.17e}"
        for precision in range(17):
            candidate = f"{value:.{precision}e}"
            if float(candidate) == value:
                digits = candidate
                break
        mantissa, _, exponent = digits.partition("e")
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}E{int(exponent)}"


def to_int(value: Value) -> int:
    kind = type(value)
    if kind is int:
        return int(value)
    if kind is float:
        return _truncate(value)
    if kind is str:
        if len(value) <= 40 and _INT.fullmatch(value) and INT64_MIN <= int(value) <= INT64_MAX:
            return int(value)
        raise EvaluationError(
            f"Type conversion error. Argument: [{value}], From type: [string], To type: [int]."
        )
    raise EvaluationError(
        f"Unsupported operation error. Received: int({type_name(value)}). "
        "Expected: int(int), int(float), int(string)."
    )


def _truncate(value: float) -> int:
    if value != value:
        return 0
    if math.isinf(value):
        return INT64_MAX if value > 0 else INT64_MIN
    return max(INT64_MIN, min(INT64_MAX, int(value)))


def to_float(value: Value) -> float:
    kind = type(value)
    if kind is float or kind is int:
        return float(value)
    if kind is str:
        text = value.strip(_JAVA_SPACE)
        if len(text) <= 400 and _FLOAT.fullmatch(text):
            if text[-1] in "fFdD":
                text = text[:-1]
            return float(text)
        raise EvaluationError(
            f"Type conversion error. Argument: [{value}], From type: [string], To type: [float]."
        )
    raise EvaluationError(
        f"Unsupported operation error. Received: float({type_name(value)}). "
        "Expected: float(int), float(float), float(string)."
    )


def to_path(value: Value) -> Path:
    if type(value) is str:
        return Path.parse(value)
    raise EvaluationError(
        f"Unsupported operation error. Received: path({type_name(value)}). Expected: path(string)."
    )
