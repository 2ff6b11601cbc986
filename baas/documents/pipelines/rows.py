"""What flows through a pipeline, and what can go wrong with one value of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from baas.model.document import Document
from baas.model.field_access import MISSING, Missing
from baas.model.values import Fields, Value

ABSENT: Final = MISSING
"""The value of a field that is not there: not null, and never an element or a result."""

MAX_ROW_BYTES: Final = 16 * 1_048_576
"""What one computed row may hold. Stored documents are far below."""
MAX_ROW_DEPTH: Final = 40
_OVERHEAD: Final = 8

Result: TypeAlias = Value | Missing


class EvaluationError(Exception):
    """A function was given what it cannot take. ``is_error`` and ``if_error`` see it; elsewhere it ends the
    pipeline, except that a condition which fails is one that does not hold."""


class Row:
    """One row: its fields, the document that it stems from if it still stands for one, and variables."""

    __slots__ = ("document", "fields", "variables")

    def __init__(
        self, fields: Fields, document: Document | None, variables: Mapping[str, Result]
    ) -> None:
        self.fields = fields
        self.document = document
        self.variables = variables

    def with_fields(self, fields: Fields) -> Row:
        """The same row with other fields."""
        return Row(fields, self.document, self.variables)

    def with_variables(self, variables: Mapping[str, Result]) -> Row:
        """The same row with more variables."""
        return Row(self.fields, self.document, {**self.variables, **variables})


Evaluator: TypeAlias = Callable[[Row], Result]


def check_size(value: Value) -> None:
    """Check that a computed value is of a size that can be kept and sent.

    Values may share parts, so that a small one in memory can be a huge one on the wire: the walk ends as soon
    as it is too much.

    Raises:
        EvaluationError: too large or too deep.
    """
    _measure(value, MAX_ROW_BYTES, 0)


def _measure(value: Value, left: int, depth: int) -> int:
    if depth > MAX_ROW_DEPTH:
        raise EvaluationError(f"a value is nested deeper than {MAX_ROW_DEPTH} levels")
    left -= _OVERHEAD
    if isinstance(value, str | bytes):
        left -= len(value)
    elif isinstance(value, list):
        for each in value:
            left = _measure(each, left, depth + 1)
    elif isinstance(value, dict):
        for name, each in value.items():
            left = _measure(each, left - len(name), depth + 1)
    if left < 0:
        raise EvaluationError(f"a row holds more than {MAX_ROW_BYTES} bytes")
    return left
