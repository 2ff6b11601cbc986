"""The structured query, as asked.

Source: ``listen-and-write`` §5 "Structured queries"; ``google.firestore.v1.StructuredQuery``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from baas.model.paths import DatabaseId, FieldPath
from baas.model.values import Timestamp, Value, Vector


class Operator(enum.Enum):
    """Operators of field filters, unary ones included."""

    LESS_THAN = "<"
    LESS_THAN_OR_EQUAL = "<="
    GREATER_THAN = ">"
    GREATER_THAN_OR_EQUAL = ">="
    EQUAL = "=="
    NOT_EQUAL = "!="
    ARRAY_CONTAINS = "array-contains"
    ARRAY_CONTAINS_ANY = "array-contains-any"
    IN = "in"
    NOT_IN = "not-in"
    IS_NAN = "is-nan"
    IS_NULL = "is-null"
    IS_NOT_NAN = "is-not-nan"
    IS_NOT_NULL = "is-not-null"


class Direction(enum.Enum):
    """Direction of an order."""

    ASCENDING = "asc"
    DESCENDING = "desc"


@dataclass(frozen=True, slots=True)
class FieldFilter:
    """A condition on one field. ``value`` is ``None`` for unary operators, a list for IN, NOT_IN and
    ARRAY_CONTAINS_ANY. On ``__name__`` the values are references."""

    field_path: FieldPath
    op: Operator
    value: Value = None


@dataclass(frozen=True, slots=True)
class CompositeFilter:
    """A conjunction (``"AND"``) or disjunction (``"OR"``)."""

    op: str
    filters: tuple[Filter, ...]


Filter: TypeAlias = FieldFilter | CompositeFilter


@dataclass(frozen=True, slots=True)
class Order:
    """One sort key."""

    field_path: FieldPath
    direction: Direction = Direction.ASCENDING


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in the order: ``before`` it or after it. Values: a prefix of the orders'."""

    values: tuple[Value, ...]
    before: bool


class DistanceMeasure(enum.Enum):
    """How two vectors are compared by ``find_nearest``."""

    EUCLIDEAN = "EUCLIDEAN"
    COSINE = "COSINE"
    DOT_PRODUCT = "DOT_PRODUCT"


@dataclass(frozen=True, slots=True)
class FindNearest:
    """Nearest neighbours of a vector."""

    field_path: FieldPath
    query_vector: Vector
    measure: DistanceMeasure
    limit: int
    distance_result_field: str | None = None
    distance_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A structured query.

    ``parent`` is the path of the parent document (empty: the root of the database). An empty
    ``collection_id`` means every collection directly below the parent or, with ``all_descendants``, below it
    at any depth.
    ``select`` is ``None`` for whole documents; ``(DOCUMENT_ID,)`` for names only. ``stated_orders`` is set
    on a canonical query: how many of its orders were asked for, before the implied ones.
    """

    database: DatabaseId
    parent: tuple[str, ...]
    collection_id: str
    all_descendants: bool = False
    where: Filter | None = None
    order_by: tuple[Order, ...] = ()
    start_at: Cursor | None = None
    end_at: Cursor | None = None
    offset: int = 0
    limit: int | None = None
    select: tuple[FieldPath, ...] | None = None
    find_nearest: FindNearest | None = None
    stated_orders: int | None = None

    @property
    def spans_collections(self) -> bool:
        """Whether results may lie in more than one collection."""
        return self.all_descendants or not self.collection_id


class AggregationKind(enum.Enum):
    """What an aggregation computes."""

    COUNT = "count"
    SUM = "sum"
    AVG = "avg"


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One aggregation: ``field_path`` for sum and avg, ``up_to`` for count."""

    alias: str
    kind: AggregationKind
    field_path: FieldPath | None = None
    up_to: int | None = None


@dataclass(frozen=True, slots=True)
class TransactionOptions:
    """How a transaction is begun."""

    read_only: bool = False
    retry_transaction: bytes | None = None
    read_time: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class Consistency:
    """At which version a read happens: in a transaction, in a new one, at a time, or (all absent) now."""

    transaction: bytes | None = None
    new_transaction: TransactionOptions | None = None
    read_time: Timestamp | None = None


LATEST = Consistency()
