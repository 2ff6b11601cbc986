"""Records the values of an instrumented evaluation and finds the sub-expression that decided."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice

from rules import tree
from rules.decision import Outcome, Reason
from rules.errors import EvaluationError, UnprovableError
from rules.source import Source, Span
from rules.types import Abstract, MapDiff, PartialMap, Path, Set, Value, is_list, is_map

_MAX_RENDERED = 200
_MAX_SHOWN = 20
_MAX_TEXT = 1000


class Recorder:
    """A tracer that keeps the last value or error of each expression."""

    def __init__(self) -> None:
        self.values: dict[tree.Expr, Value] = {}
        self.errors: dict[tree.Expr, EvaluationError] = {}

    def value(self, node: tree.Expr, value: Value) -> None:
        self.values[node] = value
        self.errors.pop(node, None)

    def error(self, node: tree.Expr, error: EvaluationError) -> None:
        self.errors[node] = error

    def ran(self, node: tree.Expr) -> bool:
        return node in self.values or node in self.errors


def reason_of(
    source: Source,
    method: str,
    statement: Span,
    condition: tree.Expr | None,
    recorder: Recorder,
    bodies: Mapping[tree.Call, tree.Expr],
    outcome: Outcome,
    message: str,
) -> Reason:
    """The reason for one statement. `bodies`: the result expression behind each call of a user's function."""
    line, column = source.position(statement.start)
    if condition is None:
        return Reason(method, line, column, outcome, message, "", line, column, "true")
    node = _deciding(condition, recorder, bodies)
    at_line, at_column = source.position(node.span.start)
    error = recorder.errors.get(node)
    value = f"error: {error.message}" if error else render(recorder.values.get(node))
    text = source.snippet(node.span)
    return Reason(method, line, column, outcome, message, text, at_line, at_column, value)


def _deciding(
    node: tree.Expr, recorder: Recorder, bodies: Mapping[tree.Call, tree.Expr]
) -> tree.Expr:
    """Walks down from a condition to the smallest part that made it what it is."""
    for _ in range(10_000):
        below = _step(node, recorder, bodies)
        if below is None:
            return node
        node = below
    return node


def _step(
    node: tree.Expr, recorder: Recorder, bodies: Mapping[tree.Call, tree.Expr]
) -> tree.Expr | None:
    error = recorder.errors.get(node)
    if isinstance(node, tree.Paren):
        return node.inner
    if isinstance(node, tree.Call) and node in bodies and recorder.ran(bodies[node]):
        return bodies[node]
    if error is not None:
        return next((part for part in tree.children(node) if recorder.errors.get(part)), None)
    if isinstance(node, tree.Logical):
        verdict = recorder.values.get(node)
        same = [part for part in node.operands if _value_is(recorder, part, verdict)]
        return same[-1] if same else None
    if isinstance(node, tree.Unary) and node.op == "!":
        return node.operand if isinstance(_bare(node.operand), (tree.Logical, tree.Call)) else None
    if isinstance(node, tree.Ternary):
        return node.then if recorder.values.get(node.condition) is True else node.otherwise
    return None


def _value_is(recorder: Recorder, node: tree.Expr, verdict: Value) -> bool:
    return node in recorder.values and recorder.values[node] is verdict


def _bare(node: tree.Expr) -> tree.Expr:
    while isinstance(node, tree.Paren):
        node = node.inner
    return node


def outcome_of(error: EvaluationError | None, value: Value) -> Outcome:
    if isinstance(error, UnprovableError):
        return "unknown"
    if error is not None:
        return "error"
    return "true" if value is True else "false"


def plain(value: Value, depth: int = 4) -> Value:
    """A value as JSON: for reports and messages, not for reading back."""
    if isinstance(value, str):
        return value[:_MAX_TEXT]
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if depth == 0:
        return "…"
    if isinstance(value, bytes):
        return value[:_MAX_TEXT].hex()
    if type(value) is PartialMap:
        return {
            **{key: plain(item, depth - 1) for key, item in value.children.items()},
            "…": "unknown",
        }
    if type(value) is Abstract:
        return f"<{value.kind or 'any'} known in part>"
    if type(value) is Set:
        return [plain(item, depth - 1) for item in value.values[:_MAX_SHOWN]]
    if type(value) is MapDiff:
        return "<map diff>"
    if is_map(value):
        return {key: plain(value[key], depth - 1) for key in islice(value, _MAX_SHOWN)}
    if not isinstance(value, Path) and hasattr(value, "__len__") and is_list(value):
        return [plain(item, depth - 1) for item in islice(value, _MAX_SHOWN)]
    return str(value)


def render(value: Value) -> str:
    """A short text of a value for a message."""
    text = json.dumps(plain(value), ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_RENDERED else text[: _MAX_RENDERED - 1] + "…"
