"""`query` of a `.read` rule: a store query in the Realtime Database's words."""

from __future__ import annotations

from rules.json_dialect.snapshots import OPAQUE, scalar
from rules.request import And, FieldFilter, Filter, ListRequest
from rules.types import Value

_NAME = ("__name__",)
_BOUNDS = {">": "startAt", ">=": "startAt", "<": "endAt", "<=": "endAt"}


def query_value(query: ListRequest | None) -> dict[str, Value]:
    """Only what surely narrows the query: an equality that stands alone, or ranges of one field."""
    members: dict[str, Value] = {
        "orderByKey": False,
        "orderByValue": False,
        "orderByPriority": False,
        "orderByChild": None,
        "startAt": None,
        "endAt": None,
        "equalTo": None,
        "limitToFirst": None,
        "limitToLast": None,
    }
    if query is None:
        return members
    if query.limit is not None:
        members["limitToFirst"] = float(query.limit)
    filters = _conjunction(query.filters)
    fields = {one.field_path for one in filters or ()}
    if filters and len(fields) == 1:
        _narrow(members, filters)
    elif query.order_by:
        _order(members, query.order_by[0][0])
    return members


def _order(members: dict[str, Value], field: tuple[str, ...]) -> None:
    members["orderByKey"] = field == _NAME
    members["orderByChild"] = None if field == _NAME else "/".join(field)


def _conjunction(root: Filter | None) -> tuple[FieldFilter, ...] | None:
    """The filters of a plain conjunction; None for anything with an `or` in it."""
    if root is None:
        return ()
    if isinstance(root, FieldFilter):
        return (root,)
    if isinstance(root, And) and all(isinstance(part, FieldFilter) for part in root.parts):
        return tuple(part for part in root.parts if isinstance(part, FieldFilter))
    return None


def _narrow(members: dict[str, Value], filters: tuple[FieldFilter, ...]) -> None:
    """All filters are about one field."""
    _order(members, filters[0].field_path)
    for one in filters:
        value = scalar(one.value)
        if value is OPAQUE:
            continue
        if one.op == "==" and len(filters) == 1:
            members["equalTo"] = value
        elif one.op in _BOUNDS:
            members[_BOUNDS[one.op]] = value
