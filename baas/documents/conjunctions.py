"""One disjunct of a query, taken apart for the planner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, cast

from baas.documents.bounds import END, START, Cut, Stretch
from baas.model.canonical import Conjunction, disjuncts
from baas.model.key_encoding import descending, encode_path, encode_value, type_range
from baas.model.paths import DOCUMENT_ID, DocumentName, FieldPath
from baas.model.query import Cursor, Direction, FieldFilter, Operator, Order, Query
from baas.model.values import Reference, Value

_NULL: Final = encode_value(None)
_NAN: Final = float("nan")


@dataclass(slots=True)
class Conjunct:
    """Filters that must all hold (``filters``), with the orders of their query.

    ``equal`` and ``contains``: encoded values by field. ``ranges``: where each field's encoded value must
    lie, in ascending order; ``excluded``: encoded values that it must not have. ``name``: the one document
    that can match. ``orders``: the orders that tell results apart, those on ``equal`` fields left out,
    ``__name__`` last. ``cursors``: where the keys of these orders must lie; ``None``: nowhere. ``exact``: the
    filters are wholly said by ``equal``, ``contains`` and ``ranges``; otherwise documents must be looked at.
    """

    filters: Conjunction = ()
    equal: dict[FieldPath, bytes] = field(default_factory=dict)
    contains: dict[FieldPath, bytes] = field(default_factory=dict)
    ranges: dict[FieldPath, Stretch] = field(default_factory=dict)
    excluded: dict[FieldPath, tuple[bytes, ...]] = field(default_factory=dict)
    orders: tuple[Order, ...] = ()
    cursors: Stretch | None = field(default_factory=Stretch)
    exact: bool = True
    impossible: bool = False
    name: DocumentName | None = None

    @property
    def required(self) -> frozenset[FieldPath]:
        """The fields that every result has."""
        ordered = (order.field_path for order in self.orders if order.field_path != DOCUMENT_ID)
        return frozenset((*self.equal, *self.contains, *self.ranges, *ordered))

    @property
    def fixed_count(self) -> int:
        """How many filters fix a value."""
        return len(self.equal) + len(self.contains)

    @property
    def key_orders(self) -> tuple[Order, ...]:
        """The orders on fields, ``__name__`` left out."""
        return self.orders[:-1]

    @property
    def name_descending(self) -> bool:
        """The direction of ``__name__``."""
        return self.orders[-1].direction is Direction.DESCENDING

    def order_stretch(self) -> Stretch | None:
        """Where keys of the orders lie, by cursors and by the filters on the first ordered field."""
        stretch = self.cursors
        if stretch is None:
            return None
        first = self.orders[0]
        bounds = self.ranges.get(first.field_path)
        if bounds is not None:
            descends = first.direction is Direction.DESCENDING
            stretch = stretch.both(bounds.inverted() if descends else bounds)
        return stretch


def conjuncts(query: Query) -> list[Conjunct]:
    """The disjuncts of a canonical query that can match anything."""
    parts = [_conjunct(query, filters) for filters in disjuncts(query.where)]
    return [part for part in parts if not part.impossible and part.cursors is not None]


def _conjunct(query: Query, filters: Conjunction) -> Conjunct:
    part = Conjunct(filters)
    for condition in filters:
        _add(part, condition)
    part.orders = tuple(
        order
        for position, order in enumerate(query.order_by)
        if order.field_path not in part.equal or position == len(query.order_by) - 1
    )
    part.cursors = _cursor_stretch(query, part)
    return part


def _add(part: Conjunct, condition: FieldFilter) -> None:
    path, op = condition.field_path, condition.op
    if op is Operator.EQUAL:
        if path == DOCUMENT_ID:
            part.name = DocumentName.parse(cast(Reference, condition.value).name)
        _add_equal(part, path, _encode(path, condition.value))
    elif op is Operator.IS_NULL:
        _add_equal(part, path, _NULL)
    elif op is Operator.IS_NAN:
        _add_equal(part, path, encode_value(_NAN))
    elif op is Operator.ARRAY_CONTAINS:
        encoded = encode_value(condition.value)
        if part.contains.setdefault(path, encoded) != encoded:
            part.exact = False
    elif op is Operator.IN:  # of nothing: the others have become disjuncts
        part.impossible = True
    else:
        _add_range(part, path, _range(path, op, condition.value))
        part.exact = part.exact and op in _RANGES
        if op not in _RANGES and path != DOCUMENT_ID:
            known = part.excluded.get(path, ())
            part.excluded[path] = (*known, *map(encode_value, _excluded(condition)))


def _excluded(condition: FieldFilter) -> list[Value]:
    if condition.op is Operator.IS_NOT_NAN:
        return [_NAN]
    several = condition.op is Operator.NOT_IN
    return cast("list[Value]", condition.value) if several else [condition.value]


def _add_equal(part: Conjunct, path: FieldPath, encoded: bytes) -> None:
    if part.equal.setdefault(path, encoded) != encoded:
        part.impossible = True


def _add_range(part: Conjunct, path: FieldPath, stretch: Stretch) -> None:
    known = part.ranges.get(path)
    part.ranges[path] = stretch if known is None else known.both(stretch)


_RANGES: Final = frozenset(
    {
        Operator.LESS_THAN,
        Operator.LESS_THAN_OR_EQUAL,
        Operator.GREATER_THAN,
        Operator.GREATER_THAN_OR_EQUAL,
        Operator.IS_NOT_NULL,
    }
)


def _range(path: FieldPath, op: Operator, value: Value) -> Stretch:
    if op not in _RANGES or op is Operator.IS_NOT_NULL:
        # not equal, not in, not NaN: anything but null, and the rest is looked at in the document
        return Stretch() if path == DOCUMENT_ID else Stretch(Cut(_NULL, after=True), END)
    bound = _encode(path, value)
    low, high = START, END
    if path != DOCUMENT_ID:
        first, beyond = type_range(value)
        low, high = Cut(first, after=False), Cut(beyond, after=False)
    if op is Operator.LESS_THAN:
        high = Cut(bound, after=False)
    elif op is Operator.LESS_THAN_OR_EQUAL:
        high = Cut(bound, after=True)
    elif op is Operator.GREATER_THAN:
        low = Cut(bound, after=True)
    else:
        low = Cut(bound, after=False)
    return Stretch(low, high)


def _encode(path: FieldPath, value: Value) -> bytes:
    if path == DOCUMENT_ID:
        return encode_path(DocumentName.parse(cast(Reference, value).name).segments)
    return encode_value(value)


def _cursor_stretch(query: Query, part: Conjunct) -> Stretch | None:
    low: Cut | None = START
    high: Cut | None = END
    if query.start_at is not None:
        low = _cursor_cut(query, part, query.start_at, after=not query.start_at.before)
    if query.end_at is not None:
        high = _cursor_cut(query, part, query.end_at, after=not query.end_at.before)
    return (
        None if low is None or high is None or low == END or high == START else Stretch(low, high)
    )


def _cursor_cut(query: Query, part: Conjunct, cursor: Cursor, *, after: bool) -> Cut:
    """The cut of a cursor among the keys of the conjunct's own orders.

    An order on a field that a filter fixes is not among them: there the cursor lies before all results,
    or after all, or the next order decides.
    """
    prefix = b""
    last = len(query.order_by) - 1
    for position, (order, encoded) in enumerate(_cursor_parts(query, cursor)):
        fixed = part.equal.get(order.field_path)
        if fixed is None or position == last:
            prefix += encoded
            continue
        if order.direction is Direction.DESCENDING:
            fixed = descending(fixed)
        if encoded != fixed:
            return Cut(prefix, after=encoded > fixed)
    return Cut(prefix, after=after)


def _cursor_parts(query: Query, cursor: Cursor) -> Iterator[tuple[Order, bytes]]:
    for order, value in zip(query.order_by, cursor.values, strict=False):
        encoded = _encode(order.field_path, value)
        if order.direction is Direction.DESCENDING:
            encoded = descending(encoded)
        yield order, encoded
