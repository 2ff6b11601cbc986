"""Which documents a query means, and in which order: decided on documents alone, without any index.

This is the definition that scans and realtime views agree with. Semantics (``listen-and-write`` §5
"Structured queries"; checked against Google's emulator):

- A document without a filtered or ordered field is not in the result.
- Range filters compare only within the type of their operand. NaN and null match no range and no
  equality; they are found by the unary filters alone.
- ``!=`` and ``not-in`` leave out missing fields and null; ``not-in`` with a null among its values
  matches nothing; NaN among the values excludes nothing.
- ``array-contains`` of null or NaN matches nothing; otherwise elements are compared by Firestore equality.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from baas.model.document import Document
from baas.model.field_access import MISSING, Missing, get_field
from baas.model.key_encoding import (
    descending,
    encode_path,
    encode_value,
    prefix_end,
    type_range,
)
from baas.model.ordering import compare
from baas.model.paths import DOCUMENT_ID, DocumentName, FieldPath
from baas.model.query import (
    CompositeFilter,
    Cursor,
    Direction,
    FieldFilter,
    Filter,
    Operator,
    Query,
)
from baas.model.values import Reference, Value

Predicate: TypeAlias = Callable[[Document], bool]
_ValueTest: TypeAlias = Callable[[Any], bool]

_RANGES: Final = frozenset(
    {
        Operator.LESS_THAN,
        Operator.LESS_THAN_OR_EQUAL,
        Operator.GREATER_THAN,
        Operator.GREATER_THAN_OR_EQUAL,
    }
)


def matches(query: Query, document: Document) -> bool:
    """Whether the document is among those that the query means: scope, filters, orders and cursors.

    ``query`` is in canonical form. Offset, limit and ``find_nearest`` are not a single document's matter.
    """
    return compile_filter(query)(document) and within_cursors(query)(document)


def compile_filter(query: Query) -> Predicate:
    """One function that tests scope, filters and the presence of the ordered fields (not cursors)."""
    tests = [compile_scope(query)]
    if query.where is not None:
        tests.append(compile_condition(query.where))
    ordered = [order.field_path for order in query.order_by if order.field_path != DOCUMENT_ID]
    if ordered:
        tests.append(_has_fields(ordered))
    return _all_of(tests)


def compile_scope(query: Query) -> Predicate:
    """Whether a document lies in the collection or collection group that the query reads."""
    parent = query.parent
    depth = len(parent)
    collection_id = query.collection_id
    database = query.database

    def in_collection(document: Document) -> bool:
        name = document.name
        segments = name.segments
        return (
            len(segments) == depth + 2
            and (not collection_id or segments[-2] == collection_id)
            and segments[:depth] == parent
            and name.database == database
        )

    def in_group(document: Document) -> bool:
        name = document.name
        segments = name.segments
        return (
            len(segments) >= depth + 2
            and (not collection_id or segments[-2] == collection_id)
            and segments[:depth] == parent
            and name.database == database
        )

    return in_group if query.all_descendants else in_collection


def compile_condition(condition: Filter) -> Predicate:
    """A filter as a function."""
    if isinstance(condition, CompositeFilter):
        parts = [compile_condition(part) for part in condition.filters]
        return _any_of(parts) if condition.op == "OR" else _all_of(parts)
    return _compile_field_filter(condition)


def compile_order(query: Query) -> Callable[[Document], bytes]:
    """A key function: documents of the result sorted by these bytes are in the query's order.

    The keys of two documents differ, since a canonical query's last order is ``__name__``.

    Raises (the key function):
        LookupError: the document lacks an ordered field, so it is not in the result.
    """
    parts = [
        _order_part(order.field_path, order.direction is Direction.DESCENDING)
        for order in query.order_by
    ]
    if len(parts) == 1:
        return parts[0]

    def key(document: Document) -> bytes:
        return b"".join([part(document) for part in parts])

    return key


def document_comparator(query: Query) -> Callable[[Document, Document], int]:
    """The query's order as a comparator: negative when the first document comes first."""
    orders = [
        (order.field_path, order.direction is Direction.DESCENDING) for order in query.order_by
    ]

    def compare_documents(a: Document, b: Document) -> int:
        for path, reverse in orders:
            result = compare(ordered_value(a, path), ordered_value(b, path))
            if result:
                return -result if reverse else result
        return 0

    return compare_documents


def ordered_value(document: Document, path: FieldPath) -> Value:
    """The value that an order looks at: a field's, or for ``__name__`` the reference.

    Raises:
        LookupError: the field is missing.
    """
    if path == DOCUMENT_ID:
        return Reference(document.name.name)
    value = get_field(document.fields, path)
    if value is MISSING:
        raise LookupError(f"{document.name.name} has no field {path}")
    return value


def cursor_range(query: Query) -> tuple[bytes, bytes | None]:
    """``(low, high)``: the keys of :func:`compile_order` with ``low <= key < high`` are in the result.

    ``high`` is ``None`` for no bound; a range that can hold nothing has ``high == b""``.
    """
    low = b""
    high: bytes | None = None
    if query.start_at is not None:
        position = encode_cursor(query, query.start_at)
        if query.start_at.before:
            low = position
        else:
            after = prefix_end(position)
            if after is None:  # after the empty prefix, which every key has
                return b"", b""
            low = after
    if query.end_at is not None:
        position = encode_cursor(query, query.end_at)
        high = position if query.end_at.before else prefix_end(position)
    return low, high


def encode_cursor(query: Query, cursor: Cursor) -> bytes:
    """The prefix of the :func:`compile_order` keys of all documents at the cursor's position."""
    parts = []
    for order, value in zip(query.order_by, cursor.values, strict=False):
        if order.field_path == DOCUMENT_ID:
            encoded = _encode_reference_path(cast(Reference, value))
        else:
            encoded = encode_value(value)
        parts.append(descending(encoded) if order.direction is Direction.DESCENDING else encoded)
    return b"".join(parts)


def within_cursors(query: Query) -> Predicate:
    """Whether a document that matches the filters also lies between the query's cursors."""
    if query.start_at is None and query.end_at is None:
        return _always
    low, high = cursor_range(query)
    key = compile_order(query)
    if high is None:
        return lambda document: low <= key(document)
    bound = high
    return lambda document: low <= key(document) < bound


def _compile_field_filter(condition: FieldFilter) -> Predicate:
    path = condition.field_path
    if path == DOCUMENT_ID:
        return _compile_name_filter(condition)
    test = _compile_test(condition.op, condition.value)
    if len(path) == 1:
        field = path[0]
        return lambda document: (
            (value := document.fields.get(field, MISSING)) is not MISSING and (test(value))
        )

    def nested(document: Document) -> bool:
        value: Value | Missing = get_field(document.fields, path)
        return value is not MISSING and test(value)

    return nested


def _compile_name_filter(condition: FieldFilter) -> Predicate:
    """Filters on ``__name__``: references of one database, compared by their paths."""
    op = condition.op
    if op in (Operator.IN, Operator.NOT_IN):
        listed = cast("list[Reference]", condition.value)
        names = frozenset(reference.name for reference in listed)
        if op is Operator.IN:
            return lambda document: document.name.name in names
        return lambda document: document.name.name not in names
    reference = cast(Reference, condition.value)
    name = reference.name
    if op is Operator.EQUAL:
        return lambda document: document.name.name == name
    if op is Operator.NOT_EQUAL:
        return lambda document: document.name.name != name
    bound = _encode_reference_path(reference)
    compare_bytes = _BYTE_RANGES[op]
    return lambda document: compare_bytes(encode_path(document.name.segments), bound)


def _compile_test(op: Operator, operand: Value) -> _ValueTest:
    """The test of one value that is there."""
    if op in _UNARY:
        return _UNARY[op]
    if op in _RANGES:
        return _range_test(op, operand)
    if op is Operator.EQUAL:
        return _never if _is_null_or_nan(operand) else _equality_test(operand)
    if op is Operator.NOT_EQUAL:
        return _not_in_test([operand])
    if op is Operator.ARRAY_CONTAINS:
        return _array_test([operand])
    operands = cast("list[Value]", operand)
    if op is Operator.IN:
        return _membership_test(operands)
    if op is Operator.NOT_IN:
        return _not_in_test(operands)
    return _array_test(operands)


def _equality_test(operand: Value) -> _ValueTest:
    if type(operand) is str:
        return lambda value: type(value) is str and value == operand
    encoded = encode_value(operand)
    return lambda value: encode_value(value) == encoded


def _encoded_operands(operands: list[Value]) -> frozenset[bytes]:
    return frozenset(encode_value(value) for value in operands if not _is_null_or_nan(value))


def _membership_test(operands: list[Value]) -> _ValueTest:
    members = _encoded_operands(operands)
    return lambda value: encode_value(value) in members


def _not_in_test(operands: list[Value]) -> _ValueTest:
    if any(value is None for value in operands):
        return _never
    excluded = _encoded_operands(operands)
    return lambda value: value is not None and encode_value(value) not in excluded


def _array_test(operands: list[Value]) -> _ValueTest:
    wanted = _encoded_operands(operands)

    def test(value: Any) -> bool:
        return type(value) is list and any(encode_value(element) in wanted for element in value)

    return test if wanted else _never


def _range_test(op: Operator, operand: Value) -> _ValueTest:
    if _is_null_or_nan(operand):
        return _never
    bound = encode_value(operand)
    low, high = type_range(operand)
    compare_bytes = _BYTE_RANGES[op]

    def test(value: Any) -> bool:
        encoded = encode_value(value)
        return low <= encoded < high and compare_bytes(encoded, bound)

    return test


def _order_part(path: FieldPath, reverse: bool) -> Callable[[Document], bytes]:
    def name_key(document: Document) -> bytes:
        return encode_path(document.name.segments)

    def field_key(document: Document) -> bytes:
        return encode_value(ordered_value(document, path))

    part = name_key if path == DOCUMENT_ID else field_key
    return (lambda document: descending(part(document))) if reverse else part


def _encode_reference_path(reference: Reference) -> bytes:
    return encode_path(DocumentName.parse(reference.name).segments)


def _has_fields(paths: list[FieldPath]) -> Predicate:
    def present(document: Document) -> bool:
        fields = document.fields
        return all(get_field(fields, path) is not MISSING for path in paths)

    return present


def _all_of(tests: list[Predicate]) -> Predicate:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda document: first(document) and second(document)
    return lambda document: all(test(document) for test in tests)


def _any_of(tests: list[Predicate]) -> Predicate:
    return lambda document: any(test(document) for test in tests)


def _is_null_or_nan(value: Value) -> bool:
    return value is None or value != value


def _never(_value: Any) -> bool:
    return False


def _always(_document: Document) -> bool:
    return True


_UNARY: Final[dict[Operator, _ValueTest]] = {
    Operator.IS_NULL: lambda value: value is None,
    Operator.IS_NOT_NULL: lambda value: value is not None,
    Operator.IS_NAN: lambda value: type(value) is float and value != value,
    Operator.IS_NOT_NAN: lambda value: value is not None and value == value,
}

_BYTE_RANGES: Final[dict[Operator, Callable[[bytes, bytes], bool]]] = {
    Operator.LESS_THAN: lambda value, bound: value < bound,
    Operator.LESS_THAN_OR_EQUAL: lambda value, bound: value <= bound,
    Operator.GREATER_THAN: lambda value, bound: value > bound,
    Operator.GREATER_THAN_OR_EQUAL: lambda value, bound: value >= bound,
}
