"""What can be worked out over a query's documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from homefire.firestore._paths import FieldPath, to_field_path


@dataclass(frozen=True, slots=True)
class AggregateField:
    """Made by :func:`count`, :func:`sum_` and :func:`average`."""

    aggregate_type: Literal["count", "sum", "avg"]
    path: FieldPath | None = None

    def wire(self) -> dict[str, Any]:
        """As an ``Aggregation``, without its alias."""
        if self.path is None:
            return {self.aggregate_type: {}}
        return {self.aggregate_type: {"field": {"fieldPath": self.path.canonical}}}


def count() -> AggregateField:
    """How many documents there are."""
    return AggregateField("count")


def sum_(field: str | FieldPath) -> AggregateField:
    """The sum of a field's numbers; 0 of none."""
    return AggregateField("sum", to_field_path(field))


def average(field: str | FieldPath) -> AggregateField:
    """The mean of a field's numbers; ``None`` of none."""
    return AggregateField("avg", to_field_path(field))
