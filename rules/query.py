"""The filters of a query in disjunctive normal form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rules.request import And, FieldFilter, Filter, Or
from rules.types import Path, Value, is_list

MAX_DISJUNCTS = 100
"""Beyond this a query is denied unjudged; the store itself allows 30."""
_SPLITS = {"in": "==", "array-contains-any": "array-contains"}


@dataclass(frozen=True, slots=True)
class Conjunction:
    """Filters that all hold."""

    filters: tuple[FieldFilter, ...]

    def is_empty(self) -> bool:
        """Whether two filters pin one field to different strings, so that nothing can match."""
        pinned: dict[tuple[str, ...], str] = {}
        for one in self.filters:
            if one.op != "==" or not isinstance(one.value, str):
                continue
            if pinned.setdefault(one.field_path, one.value) != one.value:
                return True
        return False

    def pinned_documents(self) -> list[tuple[str, ...]] | None:
        """Paths below `documents` that `__name__ ==` names, or None if the documents stay open."""
        for one in self.filters:
            if one.field_path == ("__name__",) and one.op == "==":
                path = _document_path(one.value)
                return None if path is None else [path]
        return None


def _document_path(value: Value) -> tuple[str, ...] | None:
    if not isinstance(value, Path):
        return None
    parts = value.segments
    if len(parts) < 5 or len(parts) % 2 == 0 or parts[0] != "databases" or parts[2] != "documents":
        return None
    return parts[3:]


def disjuncts(root: Filter | None) -> list[Conjunction] | None:
    """Conjunctions of which a document must match one; None if there would be too many."""
    if root is None:
        return [Conjunction(())]
    if _count(root, 0) > MAX_DISJUNCTS:
        return None
    return [Conjunction(filters) for filters in _expand(root, 0)]


_MAX_DEPTH = 50


def _count(node: Filter, depth: int) -> int:
    if depth > _MAX_DEPTH:
        return MAX_DISJUNCTS + 1
    if isinstance(node, FieldFilter):
        return len(_values(node)) if node.op in _SPLITS else 1
    if isinstance(node, Or):
        return min(sum(_count(part, depth + 1) for part in node.parts), MAX_DISJUNCTS + 1)
    total = 1
    for part in node.parts:
        total = min(total * _count(part, depth + 1), MAX_DISJUNCTS + 1)
    return total


def _values(node: FieldFilter) -> Sequence[Value]:
    if not isinstance(node.value, str) and is_list(node.value):
        return list(node.value)
    return [node.value]


def _expand(node: Filter, depth: int) -> list[tuple[FieldFilter, ...]]:
    if isinstance(node, FieldFilter):
        op = _SPLITS.get(node.op)
        if op == "==":
            return [(FieldFilter(node.field_path, "==", value),) for value in _values(node)]
        if op == "array-contains":
            return [(FieldFilter(node.field_path, "array-contains", v),) for v in _values(node)]
        return [(node,)]
    if isinstance(node, Or):
        return [one for part in node.parts for one in _expand(part, depth + 1)]
    assert isinstance(node, And)
    combined: list[tuple[FieldFilter, ...]] = [()]
    for part in node.parts:
        combined = [left + right for left in combined for right in _expand(part, depth + 1)]
    return combined
