"""Checks that both wire forms make alike while they build the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from baas.errors import InvalidArgument
from baas.model.canonical import check_aggregations, check_field_path, check_filter_count
from baas.model.limits import MAX_FILTER_DEPTH, MAX_TRANSFORMS
from baas.model.paths import (
    DOCUMENT_ID,
    DatabaseId,
    DocumentName,
    FieldPath,
    format_field_path,
    parse_field_path,
    split_name,
)
from baas.model.query import Aggregation, FieldFilter, Operator
from baas.model.values import Value
from baas.model.write import FieldTransform, TransformKind, Write, WriteKind

LIST_OPERATORS = (Operator.IN, Operator.NOT_IN, Operator.ARRAY_CONTAINS_ANY)
_NUMERIC = (TransformKind.INCREMENT, TransformKind.MAXIMUM, TransformKind.MINIMUM)


def field_path(text: str) -> FieldPath:
    """Parse a path and refuse reserved names.

    Raises:
        InvalidArgument: malformed or reserved.
    """
    path = parse_field_path(text)
    check_field_path(path)
    return path


def field_mask(texts: Iterable[str]) -> tuple[FieldPath, ...]:
    """The paths of a mask, each once; ``__name__``, which no write can change, is dropped.

    Raises:
        InvalidArgument: a path is malformed or reserved.
    """
    paths = dict.fromkeys(map(field_path, texts))
    paths.pop(DOCUMENT_ID, None)
    return tuple(paths)


def parent_path(name: str) -> tuple[DatabaseId, tuple[str, ...]]:
    """Split a parent: ``…/documents`` or a document's name.

    Raises:
        InvalidArgument: the name of a collection, or no name at all.
    """
    database, segments = split_name(name)
    if len(segments) % 2:
        raise InvalidArgument(
            f"Parent {name[:200]!r} must be projects/P/databases/D/documents or the name of a document."
        )
    return database, segments


def checked_name(text: str, database: DatabaseId | None) -> DocumentName:
    """A document's name, in the given database if there is one.

    Raises:
        InvalidArgument: malformed, or of another database.
    """
    name = DocumentName.parse(text)
    if database is not None and name.database != database:
        raise InvalidArgument(
            f"Document {text[:200]!r} does not belong to the database of the request, {database.name}."
        )
    return name


def checked_write(write: Write) -> Write:
    """Refuse what a delete or verify must not carry.

    Raises:
        InvalidArgument: a delete or verify with a mask or transforms, or a verify without a precondition.
    """
    if write.kind is WriteKind.UPDATE:
        return write
    verb = write.kind.value
    if write.mask is not None:
        raise InvalidArgument(f"a {verb} must not specify a document mask.")
    if write.transforms:
        raise InvalidArgument(f"a {verb} must not specify an update transform.")
    if write.kind is WriteKind.VERIFY and not write.precondition:
        raise InvalidArgument("a verify must contain a precondition.")
    return write


def checked_transform(path: str, kind: TransformKind, operand: Value) -> FieldTransform:
    """A transform of a field that may be written, with an operand of the right kind.

    Raises:
        InvalidArgument: it is not.
    """
    parsed = field_path(path)
    if parsed == DOCUMENT_ID:
        raise InvalidArgument("__name__ cannot be transformed.")
    shown = format_field_path(parsed)[:200]
    if kind in _NUMERIC and type(operand) not in (int, float):
        raise InvalidArgument(f"Transform of {shown}: the operand must be an integer or a double.")
    return FieldTransform(parsed, kind, operand)


def check_transform_count(count: int) -> None:
    """Check how many transforms a write has.

    Raises:
        InvalidArgument: too many.
    """
    if count > MAX_TRANSFORMS:
        raise InvalidArgument(f"A document may have at most {MAX_TRANSFORMS} transforms a commit.")


def checked_transforms(transforms: Iterable[FieldTransform]) -> tuple[FieldTransform, ...]:
    """The transforms of one write. One path may be transformed repeatedly.

    Raises:
        InvalidArgument: a field is transformed together with one nested in it.
    """
    result = tuple(transforms)
    paths = {transform.field_path for transform in result}
    for path in paths:
        for length in range(1, len(path)):
            if path[:length] in paths:
                raise InvalidArgument(
                    f"Cannot transform {format_field_path(path[:length])[:200]} and a field nested in "
                    "it at the same time."
                )
    return result


def checked_filter(condition: FieldFilter) -> FieldFilter:
    """Refuse an empty list of comparison values (which the canonical form uses for "nothing").

    Raises:
        InvalidArgument: an operator that takes a list has none, or an empty one.
    """
    if condition.op in LIST_OPERATORS:
        if type(condition.value) is not list:
            raise InvalidArgument(f"'{condition.op.name}' requires an ArrayValue.")
        if not condition.value:
            raise InvalidArgument(f"'{condition.op.name}' requires a non-empty ArrayValue.")
    return condition


class FilterCount:
    """Counts the filters of one query, each before it is looked at."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 1

    def add(self, filters: int) -> None:
        """The parts of a composite filter, to be counted before they are parsed.

        Raises:
            InvalidArgument: too many by now.
        """
        self._count += filters
        check_filter_count(self._count)


def check_filter_depth(depth: int) -> None:
    """Refuse filters nested beyond the limit, before recursion goes further.

    Raises:
        InvalidArgument: too deep.
    """
    if depth > MAX_FILTER_DEPTH:
        raise InvalidArgument(f"Filters may be nested at most {MAX_FILTER_DEPTH} deep.")


def named_aggregations(aggregations: Sequence[Aggregation]) -> tuple[Aggregation, ...]:
    """Give aggregations without an alias the names ``field_1``, ``field_2``… that clients expect.

    Raises:
        InvalidArgument: none at all, too many, two with one alias, a reserved alias, or an aggregation
            of ``__name__``.
    """
    for aggregation in aggregations:
        check_field_path((aggregation.alias,))
        if aggregation.field_path == DOCUMENT_ID:
            raise InvalidArgument("__name__ cannot be aggregated: only counted.")
    taken = {aggregation.alias for aggregation in aggregations if aggregation.alias}
    result = []
    number = 1
    for aggregation in aggregations:
        if not aggregation.alias:
            while f"field_{number}" in taken:
                number += 1
            aggregation = replace(aggregation, alias=f"field_{number}")
            number += 1
        result.append(aggregation)
    check_aggregations(result)
    return tuple(result)


def checked_page_size(size: int) -> int:
    """A page size, 0 for the server's choice.

    Raises:
        InvalidArgument: negative.
    """
    if size < 0:
        raise InvalidArgument("pageSize must not be negative.")
    return size


def checked_partition_count(count: int) -> int:
    """How many partitions are wanted.

    Raises:
        InvalidArgument: not positive.
    """
    if count <= 0:
        raise InvalidArgument("partitionCount must be greater than 0.")
    return count


def checked_up_to(up_to: int | None) -> int | None:
    """The bound of a count.

    Raises:
        InvalidArgument: not positive.
    """
    if up_to is not None and up_to <= 0:
        raise InvalidArgument("count.upTo must be greater than 0.")
    return up_to


def check_written_once(writes: Sequence[Write]) -> None:
    """Refuse a batch write that writes to one document twice.

    Raises:
        InvalidArgument: it does.
    """
    if len({write.name for write in writes}) != len(writes):
        raise InvalidArgument("A batch write must not write to one document more than once.")


def check_query_given(given: bool) -> None:
    """Refuse a request to run a query that has none.

    Raises:
        InvalidArgument: it has not.
    """
    if not given:
        raise InvalidArgument("A structured query must be given: only those are supported.")


def check_unnamed(name: str) -> None:
    """Refuse a document to create that has a name: its id is a parameter.

    Raises:
        InvalidArgument: it has.
    """
    if name:
        raise InvalidArgument(
            "document.name must not be set: name the document to create by its parent and documentId."
        )
