"""How functions are told of: what they take, and how they treat null and absent values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from baas.documents.pipelines.rows import ABSENT, EvaluationError, Evaluator, Result, Row

Body: TypeAlias = Callable[..., Result]
Builder: TypeAlias = Callable[[Sequence[Evaluator]], Evaluator]


@dataclass(frozen=True, slots=True)
class Function:
    """One function: how many arguments it takes (``most`` ``None``: any number), and how it is compiled."""

    least: int
    most: int | None
    build: Builder


def strict(body: Body, least: int, most: int | None = -1) -> Function:
    """A function of values: with a null or absent argument its value is null.

    ``most`` is ``least`` unless given.
    """

    def build(arguments: Sequence[Evaluator]) -> Evaluator:
        if len(arguments) == 1:
            only = arguments[0]

            def unary(row: Row) -> Result:
                value = only(row)
                return None if value is None or value is ABSENT else body(value)

            return unary

        def evaluate(row: Row) -> Result:
            values = [argument(row) for argument in arguments]
            if any(value is None or value is ABSENT for value in values):
                return None
            return body(*values)

        return evaluate

    return Function(least, least if most == -1 else most, build)


def aware(body: Body, least: int, most: int | None = -1) -> Function:
    """A function that is given null and absent arguments as they are."""

    def build(arguments: Sequence[Evaluator]) -> Evaluator:
        return lambda row: body(*[argument(row) for argument in arguments])

    return Function(least, least if most == -1 else most, build)


def lazy(build: Builder, least: int, most: int | None = -1) -> Function:
    """A function that decides which of its arguments are evaluated."""
    return Function(least, least if most == -1 else most, build)


def expect(value: Any, kinds: type | tuple[type, ...], what: str) -> Any:
    """The value, if it is of a type. Booleans are no numbers.

    Raises:
        EvaluationError: it is not.
    """
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
        raise EvaluationError(f"{what} is expected, not {kind_of(value)}")
    return value


def integer(value: Any) -> int:
    """The value as an integer; a double without a fraction is one.

    Raises:
        EvaluationError: it is none.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(expect(value, int, "an integer"))


def kind_of(value: Any) -> str:
    """The name of a value's type, as the ``type`` function tells it."""
    return _KINDS[type(value).__name__]


_KINDS = {
    "NoneType": "null",
    "bool": "boolean",
    "int": "int64",
    "float": "float64",
    "Timestamp": "timestamp",
    "str": "string",
    "bytes": "bytes",
    "Reference": "reference",
    "GeoPoint": "geo_point",
    "list": "array",
    "Vector": "vector",
    "dict": "map",
    "_Missing": "absent",
}
