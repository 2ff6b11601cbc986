"""Proves a query from its own constraints: rules are not filters (protocol section 6).

The filters are brought into disjunctive normal form. For each disjunct the rules run once on an
*abstract* document that holds what the disjunct pins and nothing else; reading anything open is an
error there, and an error never grants. So a granted query is granted for every document it can return.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rules.evaluation import (
    Candidates,
    Judge,
    auth_value,
    resource_value,
    root_path,
    run_statements,
)
from rules.query import Conjunction, disjuncts
from rules.request import FieldFilter, ListRequest
from rules.runtime import Runtime, Tracer
from rules.types import Abstract, Bound, LatLng, PartialMap, Path, Value, is_list, is_map, type_name

if TYPE_CHECKING:
    from rules.evaluation import Code, Group, MatchRuleset
    from rules.lookups import LookupSession

NAME = "__name__"
_OPEN_STRING = Abstract(kind="string")
_OPEN_PATH = Abstract(kind="path")
_RANGES = frozenset({"<", "<=", ">", ">="})


class Prover:
    """Judges one query; it may be run again, traced."""

    def __init__(self, ruleset: MatchRuleset, query: ListRequest) -> None:
        self._ruleset = ruleset
        self._query = query

    def judge(self, tracer: Tracer | None, session: LookupSession) -> Judge:
        parts = disjuncts(self._query.filters)
        if parts is None:
            return Judge(False, "The query has too many disjuncts to be judged.", Candidates(()))
        parts = [part for part in parts if not part.is_empty()] or parts[:1] or [Conjunction(())]
        tried: list[Candidates] = []
        for part in parts:
            for judge in self._judge_part(part, session, tracer):
                tried.append(judge.candidates)
                if not judge.allowed:
                    return Judge(False, judge.problem, _merged(tried))
        return Judge(True, None, _merged(tried))

    def _judge_part(
        self, part: Conjunction, session: LookupSession, tracer: Tracer | None
    ) -> Iterable[Judge]:
        pinned = part.pinned_documents()
        if pinned is None:
            yield self._judge_open(part, session, tracer)
            return
        for path in pinned:
            yield self._judge_document(path, session, tracer)

    def _judge_document(
        self, path: tuple[str, ...], session: LookupSession, tracer: Tracer | None
    ) -> Judge:
        """A document that the query names: judged as it is, like a get but by the method list."""
        query = self._query
        root = root_path(query.service, query.database)
        candidates = self._ruleset.candidates(
            lambda code: code.find(query.service, "list", root, path), tracer is not None
        )
        name = (*root, *path)
        stored = resource_value(session.read_pinned(path), query.service, query.database)
        runtime = Runtime(query_members(query), name, stored, session, tracer)
        allowed, problem = run_statements(candidates, runtime)
        return Judge(allowed, problem, candidates)

    def _judge_open(
        self, part: Conjunction, session: LookupSession, tracer: Tracer | None
    ) -> Judge:
        candidates = self._ruleset.candidates(self._open_blocks, tracer is not None)
        document = abstract_document(part.filters, self._query.order_by)
        runtime = Runtime(query_members(self._query), _OPEN_PATH, document, session, tracer)
        allowed, problem = run_statements(candidates, runtime)
        return Judge(allowed, problem, candidates)

    def _open_blocks(self, code: Code) -> Sequence[tuple[Group, tuple[Value, ...]]]:
        """Blocks that apply to every document the query could return."""
        query = self._query
        index = code.indexes.get((query.service, "list"))
        if index is None:
            return ()
        root = root_path(query.service, query.database)
        if query.all_descendants:
            return index.find_in_group([*root, *query.parent], query.collection)
        if query.collection is None:
            return ()
        return index.find_below(root, (*query.parent, query.collection, None))


def _merged(tried: Sequence[Candidates]) -> Candidates:
    return tried[0] if len(tried) == 1 else tried[0].merge(tried[1:])


def query_members(query: ListRequest) -> dict[str, Value]:
    """`request` of a list, without its path: which document it is about is open."""
    return {
        "auth": auth_value(query.auth),
        "method": "list",
        "time": query.time,
        "query": _query_value(query),
    }


def _query_value(query: ListRequest) -> dict[str, Value]:
    """`request.query`. Beside the documented `limit`, `offset` and `orderBy` it has what the official
    runtime puts there (read from the emulator; production has as many keys)."""
    above = Path.of_document(query.database, query.parent) if query.parent else None
    return {
        "allDescendants": query.all_descendants,
        "ancestor" if query.all_descendants else "parent": above,
        "distinct": False,
        "groupBy": {},
        "kind": query.collection,
        "limit": query.limit,
        "offset": query.offset,
        "orderBy": {".".join(field): direction for field, direction in query.order_by},
        "selectOnlyKeys": False,
    }


def abstract_document(
    filters: Iterable[FieldFilter], order_by: Sequence[tuple[tuple[str, ...], str]] = ()
) -> dict[str, Value]:
    """`resource` of a list: what the filters of one disjunct pin. A query also skips documents without
    a field that it orders by, so that field is there."""
    by_field: dict[tuple[str, ...], list[FieldFilter]] = {}
    for one in filters:
        if one.field_path and one.field_path[0] != NAME:
            by_field.setdefault(one.field_path, []).append(one)
    for path, _ in order_by:
        if path[0] != NAME:
            by_field.setdefault(path, [])
    return {
        "data": _partial_map({path: _leaf(found) for path, found in by_field.items()}),
        "id": _OPEN_STRING,
        NAME: _OPEN_PATH,
    }


def _partial_map(leaves: dict[tuple[str, ...], Value]) -> PartialMap:
    """Nested maps from pinned field paths. A map pinned whole says all there is to say of its children."""
    children: dict[str, Value] = {}
    inner: dict[str, dict[tuple[str, ...], Value]] = {}
    for path, value in leaves.items():
        if len(path) == 1:
            children[path[0]] = value
        else:
            inner.setdefault(path[0], {})[path[1:]] = value
    for key, nested in inner.items():
        if key not in children or type(children[key]) is Abstract:
            children[key] = _partial_map(nested)
    return PartialMap(children)


def _leaf(filters: Sequence[FieldFilter]) -> Value:
    for one in filters:
        if one.op == "==":
            return pinned_value(one.value)
        if one.op == "is-null":
            return None
    value = Abstract()
    for one in filters:
        value = _narrow(value, one)
    return value


def pinned_value(value: Value) -> Value:
    """What a document holds that equals `value` to the store, to which 1 and 1.0 are equal."""
    if type(value) in (int, float):
        if value != value:
            return Abstract(kind="number")
        bound = Bound(value, inclusive=True)
        return Abstract(kind="number", low=bound, high=bound, is_nan_free=True)
    if isinstance(value, LatLng) and (value.latitude == 0 or value.longitude == 0):
        return Abstract(kind="latlng")  # 0.0 and -0.0 are one to the store, two to the language
    if is_map(value):
        return {key: pinned_value(value[key]) for key in value}
    if not isinstance(value, (str, bytes, Path)) and hasattr(value, "__len__") and is_list(value):
        return [pinned_value(item) for item in value]
    return value


def _narrow(known: Abstract, one: FieldFilter) -> Abstract:
    if one.op in _RANGES:
        return _narrow_range(known, one.op, one.value)
    if one.op == "array-contains":
        return _with(known, kind="list", contains=(*known.contains, pinned_value(one.value)))
    if one.op == "is-nan":
        return _with(known, kind="number")
    if one.op == "is-not-nan":
        return _with(known, is_nan_free=True, excluded=(*known.excluded, None))
    excluded = [None]
    if one.op == "!=":
        excluded.append(one.value)
    elif one.op == "not-in" and is_list(one.value):
        excluded.extend(one.value)
    return _with(known, excluded=(*known.excluded, *excluded))


def _narrow_range(known: Abstract, op: str, value: Value) -> Abstract:
    """A range filter matches values of one kind only, and never NaN.

    A kind that contradicts an earlier one changes nothing: no document matches both, and what was
    known stays true of all of them.
    """
    name = type_name(value)
    kind = "number" if name in ("int", "float") else name
    if value != value or (known.kind is not None and known.kind != kind):
        return known if value == value else _with(known, kind=known.kind or kind)
    bound = Bound(value, inclusive=op.endswith("="))
    excluded = (*known.excluded, None) if value is not None else known.excluded
    if kind not in ("number", "string", "bytes", "timestamp", "bool"):
        return _with(known, kind=kind, excluded=excluded)
    if op.startswith(">"):
        low = bound if known.low is None else max(known.low, bound, key=_low_order)
        return _with(known, kind=kind, low=low, excluded=excluded, is_nan_free=True)
    high = bound if known.high is None else min(known.high, bound, key=_high_order)
    return _with(known, kind=kind, high=high, excluded=excluded, is_nan_free=True)


def _low_order(bound: Bound) -> tuple[Value, bool]:
    return bound.value, not bound.inclusive


def _high_order(bound: Bound) -> tuple[Value, bool]:
    return bound.value, bound.inclusive


def _with(
    known: Abstract,
    *,
    kind: str | None = None,
    low: Bound | None = None,
    high: Bound | None = None,
    excluded: tuple[Value, ...] | None = None,
    contains: tuple[Value, ...] | None = None,
    is_nan_free: bool = False,
) -> Abstract:
    return Abstract(
        kind=kind if known.kind is None else known.kind,
        low=low or known.low,
        high=high or known.high,
        excluded=known.excluded if excluded is None else excluded,
        contains=known.contains if contains is None else contains,
        is_nan_free=known.is_nan_free or is_nan_free,
    )
