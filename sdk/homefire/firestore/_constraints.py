"""What narrows and orders a query: the arguments of ``query()``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from homefire.errors import FirestoreError
from homefire.firestore._paths import FieldPath, to_field_path

WhereOperator: TypeAlias = Literal[
    "<", "<=", "==", "!=", ">=", ">", "array-contains", "in", "array-contains-any", "not-in"
]
Direction: TypeAlias = Literal["asc", "desc"]

OPERATORS: dict[str, str] = {
    "<": "LESS_THAN",
    "<=": "LESS_THAN_OR_EQUAL",
    "==": "EQUAL",
    "!=": "NOT_EQUAL",
    ">=": "GREATER_THAN_OR_EQUAL",
    ">": "GREATER_THAN",
    "array-contains": "ARRAY_CONTAINS",
    "in": "IN",
    "array-contains-any": "ARRAY_CONTAINS_ANY",
    "not-in": "NOT_IN",
}


class QueryConstraint:
    """One argument of ``query()``."""

    __slots__ = ()


class QueryFilterConstraint(QueryConstraint):
    """A constraint that may stand inside ``and_()`` and ``or_()``."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class QueryFieldFilterConstraint(QueryFilterConstraint):
    """Made by :func:`where`."""

    path: FieldPath
    op: str
    value: object


@dataclass(frozen=True, slots=True)
class QueryCompositeFilterConstraint(QueryFilterConstraint):
    """Made by :func:`and_` and :func:`or_`."""

    op: Literal["AND", "OR"]
    parts: tuple[QueryFilterConstraint, ...]


@dataclass(frozen=True, slots=True)
class QueryOrderByConstraint(QueryConstraint):
    """Made by :func:`order_by`."""

    path: FieldPath
    descending: bool


@dataclass(frozen=True, slots=True)
class QueryLimitConstraint(QueryConstraint):
    """Made by :func:`limit` and :func:`limit_to_last`."""

    count: int
    to_last: bool


@dataclass(frozen=True, slots=True)
class QueryCursorConstraint(QueryConstraint):
    """Made by :func:`start_at` and its kin."""

    at_start: bool
    inclusive: bool
    values: tuple[object, ...]


def where(
    field_path: str | FieldPath, op_str: WhereOperator, value: object
) -> QueryFieldFilterConstraint:
    """Documents whose field compares with ``value`` in this way."""
    if op_str not in OPERATORS:
        known = ", ".join(OPERATORS)
        raise FirestoreError(
            "invalid-argument", f"Unknown operator {op_str!r} in where(): it is one of {known}."
        )
    return QueryFieldFilterConstraint(to_field_path(field_path), op_str, value)


def and_(*constraints: QueryFilterConstraint) -> QueryCompositeFilterConstraint:
    """Documents for which all of these hold."""
    return _composite("AND", constraints)


def or_(*constraints: QueryFilterConstraint) -> QueryCompositeFilterConstraint:
    """Documents for which any of these holds."""
    return _composite("OR", constraints)


def order_by(field_path: str | FieldPath, direction: Direction = "asc") -> QueryOrderByConstraint:
    """In the order of a field; documents without it are not in the result."""
    if direction not in ("asc", "desc"):
        raise FirestoreError(
            "invalid-argument", f"order_by() goes 'asc' or 'desc', not {direction!r}."
        )
    return QueryOrderByConstraint(to_field_path(field_path), direction == "desc")


def limit(count: int) -> QueryLimitConstraint:
    """The first ``count`` documents only."""
    return QueryLimitConstraint(_positive("limit", count), False)


def limit_to_last(count: int) -> QueryLimitConstraint:
    """The last ``count`` documents only; needs an ``order_by``."""
    return QueryLimitConstraint(_positive("limit_to_last", count), True)


def start_at(*values: object) -> QueryCursorConstraint:
    """From these values of the ordering (or this document's snapshot) on, themselves included."""
    return _cursor("start_at", True, True, values)


def start_after(*values: object) -> QueryCursorConstraint:
    """From behind these values of the ordering (or this document's snapshot) on."""
    return _cursor("start_after", True, False, values)


def end_at(*values: object) -> QueryCursorConstraint:
    """Up to these values of the ordering (or this document's snapshot), themselves included."""
    return _cursor("end_at", False, True, values)


def end_before(*values: object) -> QueryCursorConstraint:
    """Up to before these values of the ordering (or this document's snapshot)."""
    return _cursor("end_before", False, False, values)


def _composite(
    op: Literal["AND", "OR"], constraints: tuple[QueryFilterConstraint, ...]
) -> QueryCompositeFilterConstraint:
    for constraint in constraints:
        if not _is_filter(constraint):
            raise FirestoreError(
                "invalid-argument", "and_() and or_() take where(), and_() and or_() only."
            )
    if not constraints:
        raise FirestoreError("invalid-argument", "and_() and or_() need at least one filter.")
    return QueryCompositeFilterConstraint(op, constraints)


def _is_filter(constraint: object) -> bool:
    return isinstance(constraint, QueryFilterConstraint)


def _positive(name: str, count: int) -> int:
    if isinstance(count, bool) or count <= 0:
        raise FirestoreError(
            "invalid-argument", f"{name}() takes a positive number, not {count!r}."
        )
    return count


def _cursor(
    name: str, at_start: bool, inclusive: bool, values: tuple[object, ...]
) -> QueryCursorConstraint:
    if not values:
        raise FirestoreError("invalid-argument", f"{name}() needs a snapshot or values.")
    return QueryCursorConstraint(at_start, inclusive, values)
