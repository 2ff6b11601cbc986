"""Arithmetic. Integers stay integers where they can; an integer result beyond 64 bits is an error."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, localcontext
from typing import Any, TypeAlias

from baas.documents.pipelines.registry import Function, aware, expect, integer, strict
from baas.documents.pipelines.rows import EvaluationError
from baas.model.values import INT64_MAX, INT64_MIN

Number: TypeAlias = int | float
_MAX_PLACES = 400
_DIGITS = 1_100
"""Enough for every double's exact value."""


def number(value: Any) -> Number:
    """The value, if it is a number."""
    checked: Number = expect(value, (int, float), "a number")
    return checked


def within(value: int) -> int:
    """The integer, if it is one of 64 bits."""
    if not INT64_MIN <= value <= INT64_MAX:
        raise EvaluationError("the result is beyond the range of 64-bit integers")
    return value


def _chained(step: Callable[[Number, Number], Number]) -> Callable[..., Number]:
    def body(first: Any, *others: Any) -> Number:
        result = number(first)
        for other in others:
            result = step(result, number(other))
            if isinstance(result, int):
                within(result)
        return result

    return body


def _divide(a: Number, b: Number) -> Number:
    if isinstance(a, int) and isinstance(b, int):
        if b == 0:
            raise EvaluationError("division of integers by zero")
        quotient = abs(a) // abs(b)
        return quotient if (a < 0) == (b < 0) else -quotient
    if b == 0:
        sign = math.copysign(1.0, a) * math.copysign(1.0, b)
        return math.nan if a == 0 or a != a else sign * math.inf
    return float(a) / float(b)


def _mod(a: Number, b: Number) -> Number:
    """The remainder with the sign of the dividend."""
    if b == 0:
        if isinstance(a, int) and isinstance(b, int):
            raise EvaluationError("remainder of a division of integers by zero")
        return math.nan
    if isinstance(a, int) and isinstance(b, int):
        remainder = abs(a) % abs(b)
        return -remainder if a < 0 else remainder
    return math.nan if math.isinf(a) else math.fmod(a, b)


def _abs(value: Any) -> Number:
    result = abs(number(value))
    return within(result) if isinstance(result, int) else result


def _whole(function: Callable[[float], int]) -> Callable[[Any], Number]:
    def body(value: Any) -> Number:
        given = number(value)
        if isinstance(given, int) or not math.isfinite(given):
            return given
        return math.copysign(float(function(given)), given)

    return body


def _places(rounding: str) -> Callable[..., Number]:
    """Rounding to decimal places, which may be negative."""

    def body(value: Any, places: Any = 0) -> Number:
        given, exponent = number(value), integer(places)
        if not math.isfinite(given):
            return given
        exponent = max(-_MAX_PLACES, min(_MAX_PLACES, exponent))
        with localcontext(prec=_DIGITS):
            # doubles round as they are written: 2.675 to two places is 2.68
            exact = Decimal(given) if isinstance(given, int) else Decimal(repr(given))
            rounded = exact.quantize(Decimal(1).scaleb(-exponent), rounding=rounding)
        if isinstance(given, int):
            return within(int(rounded))
        return float(rounded)

    return body


def _real(function: Callable[..., float]) -> Callable[..., float]:
    """A function of doubles; outside its domain is an error, beyond their range infinity."""

    def body(*values: Any) -> float:
        try:
            return function(*(float(number(value)) for value in values))
        except ValueError:
            raise EvaluationError("the function has no value there") from None
        except OverflowError:
            return math.inf

    return body


def _ln(value: float) -> float:
    if value == 0:
        return -math.inf
    return math.log(value)


def _log(value: float, base: float) -> float:
    if base <= 0 or base == 1:
        raise ValueError
    return _ln(value) / math.log(base)


def _log10(value: float) -> float:
    return -math.inf if value == 0 else math.log10(value)


def _pow(base: Any, exponent: Any) -> Number:
    a, b = number(base), number(exponent)
    if isinstance(a, int) and isinstance(b, int) and b >= 0:
        if abs(a) > 1 and b > 63:
            raise EvaluationError("the result is beyond the range of 64-bit integers")
        return within(a ** (b if abs(a) > 1 else min(b, b % 2 + 2)))
    return _real(math.pow)(a, b)


FUNCTIONS: dict[str, Function] = {
    "add": strict(_chained(lambda a, b: a + b), 2, None),
    "subtract": strict(_chained(lambda a, b: a - b), 2),
    "multiply": strict(_chained(lambda a, b: a * b), 2, None),
    "divide": strict(_chained(_divide), 2),
    "mod": strict(_chained(_mod), 2),
    "abs": strict(_abs, 1),
    "ceil": strict(_whole(math.ceil), 1),
    "floor": strict(_whole(math.floor), 1),
    "round": strict(_places(ROUND_HALF_UP), 1, 2),
    "trunc": strict(_places(ROUND_DOWN), 1, 2),
    "pow": strict(_pow, 2),
    "sqrt": strict(_real(math.sqrt), 1),
    "exp": strict(_real(math.exp), 1),
    "ln": strict(_real(_ln), 1),
    "log": strict(_real(_log), 2),
    "log10": strict(_real(_log10), 1),
    "rand": aware(random.random, 0),
}
