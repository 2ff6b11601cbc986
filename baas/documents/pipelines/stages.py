"""Stages, compiled: each from rows to rows."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from baas.documents.nearest import distance_between
from baas.documents.pipelines.aggregates import aggregate, compile_accumulator
from baas.documents.pipelines.expressions import Compiler
from baas.documents.pipelines.registry import kind_of
from baas.documents.pipelines.rows import ABSENT, EvaluationError, Evaluator, Row, check_size
from baas.errors import InvalidArgument, ResourceExhausted, Unimplemented
from baas.model.field_access import delete_field, set_field
from baas.model.key_encoding import descending, encode_value
from baas.model.paths import FieldPath, parse_field_path
from baas.model.pipeline import (
    ArrayExpression,
    Call,
    Constant,
    Expression,
    FieldReference,
    MapExpression,
    Pipeline,
    ResourcePath,
    Stage,
    SubPipeline,
    Variable,
)
from baas.model.query import DistanceMeasure
from baas.model.values import Fields, GeoPoint, Reference, Timestamp, Value, Vector

MAX_HELD: Final = 500_000
"""Rows, or values of them, that stages which need all rows keep at once."""
_ABSENT_KEY: Final = b""
"""Sorts before every value."""

Flow: TypeAlias = Callable[[Iterable[Row]], Iterable[Row]]
SYSTEM_FIELDS: Final = frozenset(("__name__", "__create_time__", "__update_time__"))
CHANGING: Final = frozenset(("update", "delete"))
"""Stages that write; see :mod:`~baas.documents.pipelines.changes`."""


def held(count: int) -> None:
    """Check how much a stage keeps.

    Raises:
        ResourceExhausted: too much.
    """
    if count > MAX_HELD:
        raise ResourceExhausted(
            f"A stage of the pipeline would keep more than {MAX_HELD} values: filter or limit earlier."
        )


class StageCompiler:
    """Compiles all stages but sources. ``union`` gives the rows of another pipeline."""

    def __init__(
        self, compiler: Compiler, union: Callable[[Pipeline], Callable[[], Iterable[Row]]]
    ) -> None:
        self._compiler = compiler
        self._union_of = union
        self._stages: Mapping[str, Callable[[Stage], Flow]] = {
            "where": self._where,
            "select": self._select,
            "add_fields": self._add_fields,
            "remove_fields": self._remove_fields,
            "let": self._let,
            "sort": self._sort,
            "limit": self._limit,
            "offset": self._offset,
            "distinct": self._distinct,
            "aggregate": self._aggregate,
            "find_nearest": self._find_nearest,
            "union": self._union,
            "unnest": self._unnest,
            "replace_with": self._replace_with,
            "sample": self._sample,
        }

    def compile(self, stage: Stage) -> Flow:
        """One stage.

        Raises:
            InvalidArgument: its arguments are not what it takes.
            Unimplemented: there is no such stage here, or no such option.
        """
        compile_stage = self._stages.get(stage.name)
        if stage.name in CHANGING:
            raise InvalidArgument(
                f"The stage {stage.name!r} can only be the last one, and not in a pipeline within another."
            )
        if compile_stage is None:
            raise Unimplemented(f"The stage {stage.name[:100]!r} is not offered by this server.")
        unknown = set(stage.options) - _OPTIONS.get(stage.name, frozenset())
        if unknown:
            raise Unimplemented(
                f"The option {min(unknown)[:100]!r} of the stage {stage.name!r} is not offered."
            )
        return compile_stage(stage)

    def _where(self, stage: Stage) -> Flow:
        condition = self._compiler.compile(_only(stage))

        def holds(row: Row) -> bool:
            try:
                return condition(row) is True
            except EvaluationError:
                return False

        return lambda rows: filter(holds, rows)

    def _aliased(self, stage: Stage, at: int = 0) -> dict[str, Evaluator]:
        entries = aliases(stage, at)
        return {alias: self._compiler.compile(entry) for alias, entry in entries.items()}

    def _select(self, stage: Stage) -> Flow:
        selected = self._aliased(stage)
        if not selected:
            raise InvalidArgument("select takes at least one field.")
        named = [
            (_target(alias), made) for alias, made in selected.items() if alias not in SYSTEM_FIELDS
        ]

        def flow(row: Row) -> Row:
            fields: Fields = {}
            for path, made in named:
                value = made(row)
                if value is not ABSENT:
                    fields = set_field(fields, path, value)
            return _checked(row.with_fields(fields))

        return lambda rows: map(flow, rows)

    def _add_fields(self, stage: Stage) -> Flow:
        added = [(_target(alias), made) for alias, made in self._aliased(stage).items()]

        def flow(row: Row) -> Row:
            fields = row.fields
            for path, made in added:
                value = made(row)
                fields = (
                    delete_field(fields, path)
                    if value is ABSENT
                    else set_field(fields, path, value)
                )
            return _checked(row.with_fields(fields))

        return lambda rows: map(flow, rows)

    def _remove_fields(self, stage: Stage) -> Flow:
        paths = [_field(argument, stage).path for argument in stage.args]

        def flow(row: Row) -> Row:
            fields = row.fields
            for path in paths:
                fields = delete_field(fields, path)
            return row.with_fields(fields)

        return lambda rows: map(flow, rows)

    def _let(self, stage: Stage) -> Flow:
        variables = self._aliased(stage)

        def flow(row: Row) -> Row:
            return row.with_variables({name: made(row) for name, made in variables.items()})

        return lambda rows: map(flow, rows)

    def _sort(self, stage: Stage) -> Flow:
        orders = [self._order(argument) for argument in stage.args]
        if not orders:
            raise InvalidArgument("sort takes at least one order.")

        def key(row: Row) -> tuple[bytes, ...]:
            return tuple(order(row) for order in orders)

        return lambda rows: sorted(_kept(rows), key=key)

    def _order(self, argument: Expression) -> Callable[[Row], bytes]:
        entries = _entries(argument) or {}
        direction = entries.get("direction", Constant("ascending"))
        if "expression" not in entries or not isinstance(direction, Constant):
            raise InvalidArgument("sort takes orders: an expression and a direction.")
        if direction.value not in ("ascending", "descending"):
            raise InvalidArgument("A direction is 'ascending' or 'descending'.")
        evaluate = self._compiler.compile(entries["expression"])
        downwards = direction.value == "descending"

        def key(row: Row) -> bytes:
            value = evaluate(row)
            encoded = _ABSENT_KEY if value is ABSENT else b"\x01" + encode_value(value)
            return descending(encoded + b"\x00") if downwards else encoded

        return key

    def _limit(self, stage: Stage) -> Flow:
        size = _whole(stage)
        return lambda rows: itertools.islice(rows, size)

    def _offset(self, stage: Stage) -> Flow:
        size = _whole(stage)
        return lambda rows: itertools.islice(rows, size, None)

    def _distinct(self, stage: Stage) -> Flow:
        groups = self._aliased(stage)
        if not groups:
            raise InvalidArgument("distinct takes at least one field.")
        return lambda rows: aggregate(rows, {}, groups, held)

    def _aggregate(self, stage: Stage) -> Flow:
        accumulators = {
            alias: compile_accumulator(self._compiler, entry)
            for alias, entry in aliases(stage, 0).items()
        }
        if not accumulators:
            raise InvalidArgument("An aggregate stage requires at least one accumulator.")
        groups = self._aliased(stage, 1) if len(stage.args) > 1 else {}
        return lambda rows: map(_checked, aggregate(rows, accumulators, groups, held))

    def _find_nearest(self, stage: Stage) -> Flow:
        if len(stage.args) != 3:
            raise InvalidArgument("find_nearest takes a field, a vector and a distance measure.")
        subject = self._compiler.compile(stage.args[0])
        query = _constant(stage.args[1])
        measure = _MEASURES.get(str(_constant(stage.args[2])).lower())
        if not isinstance(query, Vector) or measure is None:
            raise InvalidArgument(
                "find_nearest takes a vector, and euclidean, cosine or dot_product as its measure."
            )
        target = stage.options.get("distance_field")
        path = None if target is None else _field(target, stage).path
        limit = stage.options.get("limit")
        most = None if limit is None else _size(limit, stage)
        sign = -1.0 if measure is DistanceMeasure.DOT_PRODUCT else 1.0
        wanted: Vector = query

        def near(row: Row) -> tuple[float, Row] | None:
            value = subject(row)
            if not isinstance(value, Vector) or len(value.components) != len(wanted.components):
                return None
            distance = distance_between(measure, value.components, wanted.components)
            if path is not None:
                row = row.with_fields(set_field(row.fields, path, distance))
            return (math.inf if math.isnan(distance) else sign * distance), row

        def flow(rows: Iterable[Row]) -> Iterable[Row]:
            found = (pair for row in _kept(rows) if (pair := near(row)) is not None)
            if most is None:
                ranked = sorted(found, key=lambda pair: pair[0])
            else:
                ranked = heapq.nsmallest(most, found, key=lambda pair: pair[0])
            return (row for _, row in ranked)

        return flow

    def _union(self, stage: Stage) -> Flow:
        other = _only(stage)
        if not isinstance(other, SubPipeline):
            raise InvalidArgument("union takes a pipeline.")
        run = self._union_of(other.pipeline)
        return lambda rows: itertools.chain(rows, _later(run))

    def _unnest(self, stage: Stage) -> Flow:
        if len(stage.args) != 2:
            raise InvalidArgument("unnest takes an array and an alias.")
        array = self._compiler.compile(stage.args[0])
        alias = _field(stage.args[1], stage).path
        index = stage.options.get("index_field")
        index_path = None if index is None else _field(index, stage).path

        def unnested(row: Row) -> Iterator[Row]:
            value = array(row)
            if value is ABSENT or not isinstance(value, list):
                # nothing to take apart: the row stays, with what it has
                pairs: Iterable[tuple[int | None, Any]] = ((None, value),)
            else:
                pairs = enumerate(value)
            for at, element in pairs:
                fields = row.fields
                if element is not ABSENT:
                    fields = set_field(fields, alias, element)
                if index_path is not None:
                    fields = set_field(fields, index_path, at)
                yield row.with_fields(fields)

        return lambda rows: itertools.chain.from_iterable(map(unnested, rows))

    def _replace_with(self, stage: Stage) -> Flow:
        if not 1 <= len(stage.args) <= 2:
            raise InvalidArgument("replace_with takes an expression and a mode.")
        mode = _constant(stage.args[1]) if len(stage.args) == 2 else "full_replace"
        if mode not in ("full_replace", "merge_prefer_next", "merge_prefer_parent"):
            raise InvalidArgument(f"{str(mode)[:100]!r} is not a mode of replace_with.")
        made = self._compiler.compile(stage.args[0])

        def flow(row: Row) -> Row:
            value = made(row)
            if not isinstance(value, dict):
                raise EvaluationError(f"replace_with: a map is expected, not {kind_of(value)}")
            if mode == "merge_prefer_next":
                value = row.fields | value
            elif mode == "merge_prefer_parent":
                value = value | row.fields
            return _checked(row.with_fields(value))

        return lambda rows: map(flow, rows)

    def _sample(self, stage: Stage) -> Flow:
        if len(stage.args) != 2:
            raise InvalidArgument("sample takes a size and its mode.")
        size, mode = _constant(stage.args[0]), _constant(stage.args[1])
        if mode == "percent" and type(size) in (int, float) and 0 <= _number(size) <= 1:
            share = _number(size)
            return lambda rows: (row for row in rows if random.random() < share)
        if mode == "documents" and type(size) is int and size >= 0:
            count = size

            def flow(rows: Iterable[Row]) -> Iterable[Row]:
                every = list(_kept(rows))
                return random.sample(every, min(count, len(every)))

            return flow
        raise InvalidArgument(
            "sample takes a number of 'documents', or a share from 0 to 1 as 'percent'."
        )


_OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "find_nearest": frozenset(("limit", "distance_field")),
    "unnest": frozenset(("index_field",)),
}
_VALUE_KINDS: Final[Mapping[type, str]] = {
    type(None): "NULL_VALUE",
    bool: "BOOLEAN_VALUE",
    int: "INTEGER_VALUE",
    float: "DOUBLE_VALUE",
    Timestamp: "TIMESTAMP_VALUE",
    str: "STRING_VALUE",
    bytes: "BYTES_VALUE",
    Reference: "REFERENCE_VALUE",
    GeoPoint: "GEO_POINT_VALUE",
    list: "ARRAY_VALUE",
    dict: "MAP_VALUE",
    Vector: "MAP_VALUE",
}
_EXPRESSION_KINDS: Final[Mapping[type, str]] = {
    ResourcePath: "REFERENCE_VALUE",
    FieldReference: "FIELD_REFERENCE_VALUE",
    Variable: "VARIABLE_REFERENCE_VALUE",
    Call: "FUNCTION_VALUE",
    MapExpression: "MAP_VALUE",
    ArrayExpression: "ARRAY_VALUE",
    SubPipeline: "PIPELINE_VALUE",
}
_MEASURES: Final = {measure.value.lower(): measure for measure in DistanceMeasure}


def aliases(stage: Stage, at: int) -> Mapping[str, Expression]:
    """A stage's argument that names expressions.

    Raises:
        InvalidArgument: it is not a map.
    """
    if at >= len(stage.args):
        raise InvalidArgument(f"The stage {stage.name!r} takes more arguments.")
    argument = stage.args[at]
    entries = _entries(argument)
    if entries is None:
        raise InvalidArgument(f"Expected fields to be MAP_VALUE, but was {_wire_kind(argument)}.")
    return entries


def _wire_kind(argument: Expression) -> str:
    """How ``google.firestore.v1.Value`` calls an argument."""
    if isinstance(argument, Constant):
        return _VALUE_KINDS[type(argument.value)]
    return _EXPRESSION_KINDS[type(argument)]


def _entries(argument: Expression) -> Mapping[str, Expression] | None:
    if isinstance(argument, MapExpression):
        return argument.entries
    if isinstance(argument, Constant) and isinstance(argument.value, dict):
        return {name: Constant(value) for name, value in argument.value.items()}
    return None


def _only(stage: Stage) -> Expression:
    if len(stage.args) != 1:
        raise InvalidArgument(f"The stage {stage.name!r} takes one argument.")
    return stage.args[0]


def _field(argument: Expression, stage: Stage) -> FieldReference:
    if not isinstance(argument, FieldReference) or argument.text in SYSTEM_FIELDS:
        raise InvalidArgument(f"The stage {stage.name!r} takes a field here.")
    return argument


def _target(alias: str) -> FieldPath:
    path = parse_field_path(alias)
    if path[0] in SYSTEM_FIELDS:
        raise InvalidArgument(f"The field {alias!r} cannot be set.")
    return path


def _constant(argument: Expression) -> Value:
    if not isinstance(argument, Constant):
        raise InvalidArgument("A constant is expected.")
    return argument.value


def _number(value: Any) -> float:
    return float(value)


def _whole(stage: Stage) -> int:
    return _size(_only(stage), stage)


def _size(argument: Expression, stage: Stage) -> int:
    value = _constant(argument)
    if type(value) is not int or not 0 <= value < 2**63:
        raise InvalidArgument(f"The stage {stage.name!r} takes a number that is not negative.")
    return value


def _checked(row: Row) -> Row:
    check_size(row.fields)
    return row


def _kept(rows: Iterable[Row]) -> Iterator[Row]:
    for count, row in enumerate(rows, 1):
        held(count)
        yield row


def _later(run: Callable[[], Iterable[Row]]) -> Iterator[Row]:
    yield from run()
