"""Where rows come from, and what of a pipeline's beginning can be asked of the database as a query.

The filters that open a pipeline are told to the database too: indexes serve them, and rules can be proven
from them. A query never means fewer documents than the pipeline's own conditions let through, which are
applied all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from baas.errors import InvalidArgument
from baas.model.canonical import canonicalize
from baas.model.paths import DOCUMENT_ID, DatabaseId, DocumentName, check_segments, split_name
from baas.model.pipeline import (
    Call,
    Constant,
    Expression,
    FieldReference,
    ResourcePath,
    Stage,
)
from baas.model.query import CompositeFilter, FieldFilter, Filter, Operator, Query
from baas.model.values import Reference, Value

MAX_DOCUMENTS: Final = 1_000
"""Documents that a ``documents`` stage names."""

_OPERATORS: Final = {
    "equal": Operator.EQUAL,
    "less_than": Operator.LESS_THAN,
    "less_than_or_equal": Operator.LESS_THAN_OR_EQUAL,
    "greater_than": Operator.GREATER_THAN,
    "greater_than_or_equal": Operator.GREATER_THAN_OR_EQUAL,
    "array_contains": Operator.ARRAY_CONTAINS,
    "array_contains_any": Operator.ARRAY_CONTAINS_ANY,
    "equal_any": Operator.IN,
}
_REVERSED: Final = {
    Operator.EQUAL: Operator.EQUAL,
    Operator.LESS_THAN: Operator.GREATER_THAN,
    Operator.LESS_THAN_OR_EQUAL: Operator.GREATER_THAN_OR_EQUAL,
    Operator.GREATER_THAN: Operator.LESS_THAN,
    Operator.GREATER_THAN_OR_EQUAL: Operator.LESS_THAN_OR_EQUAL,
}
_LISTS: Final = frozenset((Operator.IN, Operator.ARRAY_CONTAINS_ANY))


def collection_query(database: DatabaseId, stage: Stage) -> Query:
    """The query that means all of a source: ``collection``, ``collection_group`` or ``database``.

    Raises:
        InvalidArgument: the stage's arguments are not what it takes.
    """
    if stage.name == "database" and not stage.args:
        return Query(database, (), "", all_descendants=True)
    if stage.name == "collection" and len(stage.args) == 1:
        segments = path_of(database, stage.args[0])
        if len(segments) % 2 == 0:
            raise InvalidArgument(f"{'/'.join(segments)[:200]!r} is not the path of a collection.")
        return Query(database, segments[:-1], segments[-1])
    if stage.name == "collection_group" and len(stage.args) == 2:
        parent = path_of(database, stage.args[0])
        named = stage.args[1]
        if len(parent) % 2 or not isinstance(named, Constant) or not isinstance(named.value, str):
            raise InvalidArgument("collection_group takes a parent's path and a collection id.")
        check_segments((named.value,))
        return Query(database, parent, named.value, all_descendants=True)
    raise InvalidArgument(f"The stage {stage.name!r} was given arguments that it does not take.")


def document_names(database: DatabaseId, stage: Stage) -> list[DocumentName]:
    """The documents of a ``documents`` stage.

    Raises:
        InvalidArgument: not paths of documents, one twice, none, or too many.
    """
    if not 0 < len(stage.args) <= MAX_DOCUMENTS:
        raise InvalidArgument(f"documents takes 1 to {MAX_DOCUMENTS} documents.")
    names = [DocumentName(database, path_of(database, arg)) for arg in stage.args]
    if any(not name.segments or len(name.segments) % 2 for name in names):
        raise InvalidArgument("documents takes paths of documents.")
    if len(set(names)) < len(names):
        raise InvalidArgument("documents takes each document once.")
    return names


def path_of(database: DatabaseId, argument: Expression) -> tuple[str, ...]:
    """The segments of a path below ``documents``, absolute or with the whole name of the resource.

    Raises:
        InvalidArgument: not a path, or of another database.
    """
    if isinstance(argument, Constant) and isinstance(argument.value, Reference):
        of, segments = split_name(argument.value.name)
        if of != database:
            raise InvalidArgument(f"A source must be in the database {database.name}.")
        return segments
    if not isinstance(argument, ResourcePath):
        raise InvalidArgument("A source takes a path.")
    path = argument.path.removeprefix("/")
    return check_segments(tuple(path.split("/"))) if path else ()


def opening_query(query: Query, stages: Sequence[Stage], *, limited: bool) -> Query:
    """The source's query, in canonical form, narrowed by the ``where`` stages that follow it at once.

    ``limited``: also by the limit after them. Such a query tells what the caller can get to see; what must be
    read can be more.
    """
    filters = []
    limit = None
    for stage in stages:
        if stage.name == "where" and len(stage.args) == 1:
            found = _filter(stage.args[0])
            if found is not None:
                filters.append(found)
            continue
        if limited and stage.name == "limit" and len(stage.args) == 1:
            limit = limit_of(stage)
        break
    where = None
    if filters:
        where = filters[0] if len(filters) == 1 else CompositeFilter("AND", tuple(filters))
    try:
        return canonicalize(_with(query, where, limit))
    except InvalidArgument:
        # more than a query can say: the pipeline's own conditions do it alone
        return canonicalize(_with(query, None, limit))


def limit_of(stage: Stage) -> int | None:
    """The limit of a ``limit`` stage, if it is one that queries take."""
    argument = stage.args[0]
    if isinstance(argument, Constant) and type(argument.value) is int:
        return argument.value if 0 < argument.value < 2**31 else None
    return None


def _with(query: Query, where: Filter | None, limit: int | None) -> Query:
    return Query(
        query.database,
        query.parent,
        query.collection_id,
        query.all_descendants,
        where=where,
        limit=limit,
    )


def _filter(condition: Expression) -> Filter | None:
    """A filter that holds for every document for which the condition is true; ``None`` if none is known."""
    if not isinstance(condition, Call):
        return None
    if condition.name == "and":
        parts = tuple(part for part in map(_filter, condition.args) if part is not None)
        if len(parts) < 2:
            return parts[0] if parts else None
        return CompositeFilter("AND", parts)
    if condition.name == "or":
        branches = [_filter(branch) for branch in condition.args]
        known = tuple(branch for branch in branches if branch is not None)
        if len(known) < len(branches) or not known:
            return None
        return known[0] if len(known) == 1 else CompositeFilter("OR", known)
    return _field_filter(condition)


def _field_filter(condition: Call) -> Filter | None:
    op = _OPERATORS.get(condition.name)
    if op is None or len(condition.args) != 2:
        return None
    subject, operand = condition.args
    if isinstance(subject, Constant) and op in _REVERSED:
        subject, operand, op = operand, subject, _REVERSED[op]
    if not isinstance(subject, FieldReference) or not isinstance(operand, Constant):
        return None
    path, value = subject.path, operand.value
    if op in _LISTS:
        if not isinstance(value, list) or not value or not all(map(_plain, value)):
            return None
    elif not _plain(value):
        return None
    if path == DOCUMENT_ID:
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(each, Reference) for each in values):
            return None
    elif path[0].startswith("__"):
        return None
    return FieldFilter(path, op, value)


def _plain(value: Value) -> bool:
    """Whether queries compare with the value as pipelines do. Null and NaN are apart; a map or an array may
    hold them."""
    return not (value is None or value != value or isinstance(value, list | dict))
