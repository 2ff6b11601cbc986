"""Logic, comparison, and functions about null, absent values and errors.

Three-valued: an absent operand of ``and``, ``or``, ``xor`` and ``not`` counts as null, and null is their
value when nothing decides. Comparisons are never null: values of different types are not equal, and neither
is before the other; null equals null, NaN equals NaN, an absent value equals only another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from baas.documents.pipelines.registry import Function, aware, expect, kind_of, lazy
from baas.documents.pipelines.rows import ABSENT, EvaluationError, Evaluator, Result, Row
from baas.model.ordering import compare, equal, type_order
from baas.model.values import Value


def _truth(value: Result) -> bool | None:
    if value is None or value is ABSENT:
        return None
    return bool(expect(value, bool, "a boolean"))


def _junction(decisive: bool, negated: bool = False) -> Callable[[Sequence[Evaluator]], Evaluator]:
    """``and`` (decided by false) and ``or`` (decided by true): whatever the other operands are, errors
    included."""

    def build(arguments: Sequence[Evaluator]) -> Evaluator:
        def evaluate(row: Row) -> Result:
            error: EvaluationError | None = None
            unknown = False
            for argument in arguments:
                try:
                    truth = _truth(argument(row))
                except EvaluationError as raised:
                    error = error or raised
                    continue
                if truth is decisive:
                    return decisive is not negated
                unknown = unknown or truth is None
            if error is not None:
                raise error
            return None if unknown else decisive is negated

        return evaluate

    return build


def _xor(*values: Result) -> Result:
    truths = [_truth(value) for value in values]
    return None if None in truths else sum(map(bool, truths)) % 2 == 1


def _not(value: Result) -> Result:
    truth = _truth(value)
    return None if truth is None else not truth


def same(a: Result, b: Result) -> bool:
    """Equality of values that may be absent."""
    if a is ABSENT or b is ABSENT:
        return a is b
    return equal(a, b)


def _ordered(test: Callable[[int], bool], with_equal: bool) -> Callable[[Result, Result], bool]:
    def body(a: Result, b: Result) -> bool:
        if a is ABSENT or b is ABSENT or type_order(a) != type_order(b):
            return False
        if a is None or a != a or b != b:  # null and NaN have no order but their equality
            return with_equal and equal(a, b)
        return test(compare(a, b))

    return body


def _cmp(a: Result, b: Result) -> Result:
    if a is ABSENT or b is ABSENT:
        return int(b is ABSENT) - int(a is ABSENT)
    order = compare(a, b)
    return (order > 0) - (order < 0)


def _equal_any(value: Result, candidates: Result) -> Result:
    if candidates is None or candidates is ABSENT:
        return None
    return any(same(value, each) for each in expect(candidates, list, "an array"))


def _not_equal_any(value: Result, candidates: Result) -> Result:
    found = _equal_any(value, candidates)
    return None if found is None else not found


def _conditional(arguments: Sequence[Evaluator]) -> Evaluator:
    condition, then, otherwise = arguments
    return lambda row: then(row) if _truth(condition(row)) else otherwise(row)


def _switch_on(arguments: Sequence[Evaluator]) -> Evaluator:
    pairs = list(zip(arguments[::2], arguments[1::2], strict=False))
    default = arguments[-1] if len(arguments) % 2 else None

    def evaluate(row: Row) -> Result:
        for condition, result in pairs:
            if _truth(condition(row)):
                return result(row)
        if default is None:
            raise EvaluationError(
                "switch_on: all switch cases evaluate to false, and there is no default"
            )
        return default(row)

    return evaluate


def _coalesce(arguments: Sequence[Evaluator]) -> Evaluator:
    def evaluate(row: Row) -> Result:
        for argument in arguments:
            value = argument(row)
            if value is not None and value is not ABSENT:
                return value
        return None

    return evaluate


def _if_absent(arguments: Sequence[Evaluator]) -> Evaluator:
    first, second = arguments

    def evaluate(row: Row) -> Result:
        value = first(row)
        return second(row) if value is ABSENT else value

    return evaluate


def _is_error(arguments: Sequence[Evaluator]) -> Evaluator:
    def evaluate(row: Row) -> Result:
        try:
            arguments[0](row)
        except EvaluationError:
            return True
        return False

    return evaluate


def _if_error(arguments: Sequence[Evaluator]) -> Evaluator:
    first, second = arguments

    def evaluate(row: Row) -> Result:
        try:
            return first(row)
        except EvaluationError:
            return second(row)

    return evaluate


def _error(message: Result) -> Result:
    raise EvaluationError(str(expect(message, str, "a message"))[:500])


def extreme(values: Sequence[Any], largest: bool) -> Value:
    """The first least, or greatest, of values, null and absent ones left aside; null if there is none."""
    best: Value = None
    for value in values:
        if value is None or value is ABSENT:
            continue
        if best is None or (compare(value, best) > 0 if largest else compare(value, best) < 0):
            best = value
    return best


def _extreme(largest: bool) -> Callable[..., Result]:
    """Of an array's elements, if that is the only argument, or of the arguments."""

    def body(*values: Result) -> Result:
        if len(values) == 1 and isinstance(values[0], list):
            return extreme(values[0], largest)
        return extreme(values, largest)

    return body


def _is_nan(value: Result) -> Result:
    if value is None or value is ABSENT:
        return None
    return bool(expect(value, (int, float), "a number") != value)


def _is_null(value: Result) -> Result:
    return value is None


def _negated(body: Callable[[Result], Result]) -> Callable[[Result], Result]:
    def negated(value: Result) -> Result:
        truth = body(value)
        return None if truth is None else not truth

    return negated


def _type(value: Result) -> Result:
    return ABSENT if value is ABSENT else kind_of(value)


_TYPES = frozenset(
    (
        *("null", "boolean", "number", "int32", "int64", "float64", "decimal128", "timestamp"),
        *("string", "bytes", "reference", "geo_point", "array", "vector", "map"),
        *("max_key", "min_key", "object_id", "regex", "request_timestamp"),
    )
)


def _is_type(value: Result, name: Result) -> Result:
    if expect(name, str, "the name of a type") not in _TYPES:
        raise EvaluationError(f"{name!r} is not the name of a type")
    if value is ABSENT:
        return False
    kind = kind_of(value)
    return kind == name or (name == "number" and kind in ("int64", "float64"))


FUNCTIONS: dict[str, Function] = {
    "and": lazy(_junction(False), 1, None),
    "or": lazy(_junction(True), 1, None),
    "nor": lazy(_junction(True, negated=True), 1, None),
    "xor": aware(_xor, 1, None),
    "not": aware(_not, 1),
    "equal": aware(same, 2),
    "not_equal": aware(lambda a, b: not same(a, b), 2),
    "less_than": aware(_ordered(lambda order: order < 0, False), 2),
    "less_than_or_equal": aware(_ordered(lambda order: order <= 0, True), 2),
    "greater_than": aware(_ordered(lambda order: order > 0, False), 2),
    "greater_than_or_equal": aware(_ordered(lambda order: order >= 0, True), 2),
    "cmp": aware(_cmp, 2),
    "equal_any": aware(_equal_any, 2),
    "not_equal_any": aware(_not_equal_any, 2),
    "conditional": lazy(_conditional, 3),
    "switch_on": lazy(_switch_on, 2, None),
    "coalesce": lazy(_coalesce, 1, None),
    "if_null": lazy(_coalesce, 2, None),
    "exists": aware(lambda value: value is not ABSENT, 1),
    "is_absent": aware(lambda value: value is ABSENT, 1),
    "if_absent": lazy(_if_absent, 2),
    "is_error": lazy(_is_error, 1),
    "if_error": lazy(_if_error, 2),
    "error": aware(_error, 1),
    "is_null": aware(_is_null, 1),
    "is_not_null": aware(_negated(_is_null), 1),
    "is_nan": aware(_is_nan, 1),
    "is_not_nan": aware(_negated(_is_nan), 1),
    "maximum": aware(_extreme(True), 1, None),
    "minimum": aware(_extreme(False), 1, None),
    "type": aware(_type, 1),
    "is_type": aware(_is_type, 2),
}
