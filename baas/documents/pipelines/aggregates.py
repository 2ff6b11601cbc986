"""Aggregation, with groups or without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from baas.documents.pipelines.expressions import Compiler
from baas.documents.pipelines.functions_collections import total
from baas.documents.pipelines.functions_logic import extreme
from baas.documents.pipelines.rows import ABSENT, Evaluator, Result, Row
from baas.errors import InvalidArgument, Unimplemented
from baas.model.key_encoding import encode_value
from baas.model.pipeline import Call, Expression
from baas.model.values import Fields

Finish = Callable[[list[Any]], Result]
"""From the values of a group's rows to the accumulator's."""


@dataclass(frozen=True, slots=True)
class Accumulator:
    """One accumulator: what it collects of each row, and what it makes of that."""

    collect: Evaluator
    finish: Finish


def _present(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if value is not None and value is not ABSENT]


def _average(values: list[Any]) -> Result:
    numbers = [each for each in values if type(each) in (int, float)]
    return total(numbers) / len(numbers) if numbers else None


def _or_null(values: Iterable[Any]) -> list[Any]:
    return [None if value is ABSENT else value for value in values]


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({encode_value(value): value for value in values}.values())


_ACCUMULATORS: Final[Mapping[str, Finish]] = {
    "count": lambda values: len(_present(values)),
    "count_if": lambda values: sum(value is True for value in values),
    "count_distinct": lambda values: len(_distinct(_present(values))),
    "sum": total,
    "average": _average,
    "minimum": lambda values: extreme(values, False),
    "maximum": lambda values: extreme(values, True),
    "first": lambda values: _or_null(values[:1])[0] if values else None,
    "last": lambda values: _or_null(values[-1:])[0] if values else None,
    "array_agg": _or_null,
    "array_agg_distinct": lambda values: _distinct(_or_null(values)),
}
ACCUMULATORS: Final = frozenset(_ACCUMULATORS)


def compile_accumulator(compiler: Compiler, expression: Expression) -> Accumulator:
    """One accumulator of an ``aggregate`` stage.

    Raises:
        InvalidArgument: not an aggregation, or a wrong number of arguments.
        Unimplemented: there is no such aggregation here.
    """
    if not isinstance(expression, Call):
        raise InvalidArgument("An accumulator must be an aggregate function.")
    name, args = expression.name, expression.args
    finish = _ACCUMULATORS.get(name)
    if finish is None:
        raise Unimplemented(f"The aggregate function {name[:100]!r} is not offered by this server.")
    if name == "count" and not args:
        return Accumulator(lambda _row: True, len)
    if len(args) != 1:
        raise InvalidArgument(f"The aggregate function {name!r} takes one argument.")
    return Accumulator(compiler.compile(args[0]), finish)


def aggregate(
    rows: Iterable[Row],
    accumulators: Mapping[str, Accumulator],
    groups: Mapping[str, Evaluator],
    keep: Callable[[int], None],
) -> Iterable[Row]:
    """One row a group, in the order in which the groups appear; without groups always one row.

    ``keep`` is told how many values are being held, to refuse too many.
    """
    found: dict[bytes, tuple[Fields, list[list[Any]]]] = {}
    if not groups:
        found[b""] = ({}, [[] for _ in accumulators])
    held = 0
    for row in rows:
        fields = grouped(row, groups)
        key = encode_value(fields) if groups else b""
        if key not in found:
            found[key] = (fields, [[] for _ in accumulators])
        for values, accumulator in zip(found[key][1], accumulators.values(), strict=True):
            values.append(accumulator.collect(row))
        held += 1 + len(accumulators)
        keep(held)
    for fields, collected in found.values():
        made = dict(fields)
        for (alias, accumulator), values in zip(accumulators.items(), collected, strict=True):
            value = accumulator.finish(values)
            if value is not ABSENT:
                made[alias] = value
        yield Row(made, None, {})


def grouped(row: Row, groups: Mapping[str, Evaluator]) -> Fields:
    """What a row is grouped by; absent values are not in it.

    Raises:
        EvaluationError: as the expressions do.
    """
    fields: Fields = {}
    for alias, group in groups.items():
        value = group(row)
        if value is not ABSENT:
            fields[alias] = value
    return fields
