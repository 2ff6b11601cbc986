"""From expressions to closures over rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from baas.documents.pipelines import (
    functions_collections,
    functions_logic,
    functions_numbers,
    functions_other,
    functions_strings,
    functions_times,
)
from baas.documents.pipelines.registry import Function
from baas.documents.pipelines.rows import ABSENT, EvaluationError, Evaluator, Result, Row
from baas.errors import InvalidArgument, Unimplemented
from baas.model.field_access import get_field
from baas.model.paths import format_field_path
from baas.model.pipeline import (
    ArrayExpression,
    Call,
    Constant,
    Expression,
    FieldReference,
    MapExpression,
    Pipeline,
    ResourcePath,
    SubPipeline,
    Variable,
)
from baas.model.values import Fields, Reference, Timestamp

FUNCTIONS: Final[Mapping[str, Function]] = {
    **functions_logic.FUNCTIONS,
    **functions_numbers.FUNCTIONS,
    **functions_strings.FUNCTIONS,
    **functions_collections.FUNCTIONS,
    **functions_times.FUNCTIONS,
    **functions_other.FUNCTIONS,
}
"""All functions over one row, apart from those that need the pipeline itself (see :class:`Compiler`)."""

RunSubPipeline = Callable[[Row], list[Row]]


class Compiler:
    """Compiles the expressions of one execution.

    ``now`` is what ``current_timestamp`` tells; ``sub_pipeline`` compiles a pipeline within an expression.
    """

    def __init__(self, now: Timestamp, sub_pipeline: Callable[[Pipeline], RunSubPipeline]) -> None:
        self._now = now
        self._sub_pipeline = sub_pipeline

    def compile(self, expression: Expression) -> Evaluator:
        """The closure of an expression.

        Raises:
            InvalidArgument: wrong numbers of arguments, or an expression that has no place here.
            Unimplemented: there is no such function here.
        """
        match expression:
            case Constant(value):
                return lambda _row: value
            case FieldReference():
                return field(expression)
            case Variable(name):
                return _variable(name)
            case MapExpression(entries):
                return self._map(entries)
            case ArrayExpression(elements):
                return self._call(Call("array", elements))
            case Call():
                return self._call(expression)
            case ResourcePath(path):
                raise InvalidArgument(f"{path[:200]!r} is not the full name of a document.")
            case SubPipeline():
                raise InvalidArgument("A pipeline is only an argument of array, scalar and union.")

    def _map(self, entries: Mapping[str, Expression]) -> Evaluator:
        compiled = {name: self.compile(entry) for name, entry in entries.items()}

        def evaluate(row: Row) -> Result:
            made: Fields = {}
            for name, entry in compiled.items():
                value = entry(row)
                if value is not ABSENT:
                    made[name] = value
            return made

        return evaluate

    def _call(self, call: Call) -> Evaluator:
        if call.options:
            raise Unimplemented(f"Options of the function {call.name[:100]!r} are not offered.")
        if len(call.args) == 1 and isinstance(call.args[0], SubPipeline):
            return self._subquery(call.name, call.args[0].pipeline)
        if call.name == "current_timestamp" and not call.args:
            return lambda _row: self._now
        if call.name == "current_document" and not call.args:
            return lambda row: row.fields
        function = FUNCTIONS.get(call.name)
        if function is None:
            raise Unimplemented(f"The function {call.name[:100]!r} is not offered by this server.")
        count = len(call.args)
        if count < function.least or (function.most is not None and count > function.most):
            raise InvalidArgument(
                f"The function {call.name!r} does not take {count} argument{'s'[: count != 1]}."
            )
        try:
            evaluate = function.build([self.compile(argument) for argument in call.args])
        except EvaluationError as error:
            raise InvalidArgument(f"{call.name}: {error}.") from None
        return _named(call.name, evaluate)

    def _subquery(self, name: str, pipeline: Pipeline) -> Evaluator:
        run = self._sub_pipeline(pipeline)
        if name == "array":
            return lambda row: [_unwrapped(found) for found in run(row)]
        if name != "scalar":
            raise InvalidArgument("A pipeline is only an argument of array, scalar and union.")

        def evaluate(row: Row) -> Result:
            found = run(row)
            if len(found) > 1:
                raise EvaluationError("scalar: Subpipeline returned multiple results")
            return _unwrapped(found[0]) if found else None

        return evaluate


def _unwrapped(row: Row) -> Result:
    """A result of one field is that field's value."""
    if len(row.fields) == 1:
        return next(iter(row.fields.values()))
    return row.fields


def _named(name: str, evaluate: Evaluator) -> Evaluator:
    """The same, with the function's name in its errors."""

    def named(row: Row) -> Result:
        try:
            return evaluate(row)
        except EvaluationError as error:
            if ": " in str(error):
                raise
            raise EvaluationError(f"{name}: {error}") from None

    return named


def _variable(name: str) -> Evaluator:
    def evaluate(row: Row) -> Result:
        if name not in row.variables:
            raise EvaluationError(f"variable: {name[:100]!r} is not defined")
        return row.variables[name]

    return evaluate


def field(reference: FieldReference) -> Evaluator:
    """The value of a field, or of one of the three that every document has."""
    path = reference.path
    if len(path) == 1 and path[0] in _OF_DOCUMENTS:
        return _OF_DOCUMENTS[path[0]]
    if len(path) == 1:
        name = path[0]
        return lambda row: row.fields.get(name, ABSENT)
    alias = format_field_path(path)

    def evaluate(row: Row) -> Result:
        value = get_field(row.fields, path)
        # ``select`` names a nested field by its whole path
        return row.fields.get(alias, ABSENT) if value is ABSENT else value

    return evaluate


def _name(row: Row) -> Result:
    return ABSENT if row.document is None else Reference(row.document.name.name)


def _create_time(row: Row) -> Result:
    return ABSENT if row.document is None else row.document.create_time


def _update_time(row: Row) -> Result:
    return ABSENT if row.document is None else row.document.update_time


_OF_DOCUMENTS: Final[Mapping[str, Evaluator]] = {
    "__name__": _name,
    "__create_time__": _create_time,
    "__update_time__": _update_time,
}
