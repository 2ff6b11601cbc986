"""Verdicts on queries, kept for queries and callers that the rules cannot tell apart.

A verdict is kept only if nothing outside the query and the caller went into it: no document was read and
no statement reads the time. The caller counts by what the statements read of `request.auth`: rules that
only ask whether somebody is signed in share one verdict among all users.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from rules.dependencies import PRESENCE, WHOLE
from rules.request import Auth, FieldFilter, Filter, ListRequest
from rules.types import LatLng, Value, is_list, is_map

MAX_VERDICTS = 4096
MAX_KEY_CHARACTERS = 4096
"""Texts in one query, and in what the rules read of the caller, beyond which nothing is kept."""
_MAX_DEPTH = 20
_UNKEPT = frozenset({"time", "lookups"})

Place = tuple[str, str, tuple[str, ...], str | None, bool]
Verdict = tuple[bool, frozenset[str], str | None]
"""Whether it is allowed, what its statements use, and the problem that ended it."""


class _TooLarge(Exception):
    """The key would take more memory than its verdict is worth."""


class ProofCache:
    """Bounded; may be used from several threads."""

    def __init__(self) -> None:
        self._reads: dict[Place, frozenset[str]] = {}
        self._verdicts: dict[Any, Verdict] = {}
        self._lock = threading.Lock()

    def find(self, query: ListRequest) -> Verdict | None:
        """The verdict on an earlier query like this one."""
        reads = self._reads.get(_place(query))
        if reads is None:
            return None
        key = _key(query, reads)
        return None if key is None else self._verdicts.get(key)

    def keep(self, query: ListRequest, reads: frozenset[str], verdict: Verdict) -> None:
        """`reads`: what the statements that apply read, in the words of `rules.dependencies`."""
        if verdict[1] & _UNKEPT:
            return
        key = _key(query, reads)
        if key is None:
            return
        with self._lock:
            _insert(self._reads, _place(query), reads)
            _insert(self._verdicts, key, verdict)


def _insert(table: dict[Any, Any], key: Any, value: Any) -> None:
    if len(table) >= MAX_VERDICTS:
        del table[next(iter(table))]
    table[key] = value


def _place(query: ListRequest) -> Place:
    return query.service, query.database, query.parent, query.collection, query.all_descendants


def _key(query: ListRequest, reads: frozenset[str]) -> Any:
    builder = _KeyBuilder()
    try:
        return (
            _place(query),
            builder.of_caller(query.auth, reads),
            None if query.filters is None else builder.of_filter(query.filters, 0),
            query.limit,
            query.offset,
            query.order_by,
        )
    except _TooLarge:
        return None


class _KeyBuilder:
    """Makes hashables that are equal for equal values of one type only: 1, 1.0 and true differ."""

    def __init__(self) -> None:
        self._left = MAX_KEY_CHARACTERS

    def of_caller(self, auth: Auth | None, reads: frozenset[str]) -> Any:
        if auth is None:
            return None
        if WHOLE in reads:
            return auth.uid, self.of_value(auth.token, 0)
        return True, tuple(
            self._claim(auth, read.split(".")) for read in sorted(reads) if read != PRESENCE
        )

    def _claim(self, auth: Auth, path: list[str]) -> Any:
        if path[-1] == "uid":
            return auth.uid
        name = path[-1]
        return (self.of_value(auth.token[name], 0),) if name in auth.token else None

    def of_filter(self, node: Filter, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise _TooLarge
        if isinstance(node, FieldFilter):
            return node.field_path, node.op, self.of_value(node.value, depth)
        parts = tuple(self.of_filter(part, depth + 1) for part in node.parts)
        return type(node).__name__, parts

    def of_value(self, value: Value, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            self._take(len(value))
            return value
        self._take(8)
        if kind is float or kind is LatLng:
            return kind, repr(value)
        if depth > _MAX_DEPTH:
            raise _TooLarge
        if kind is bytes:
            self._take(len(value))
        elif is_map(value):
            return self._of_map(value, depth + 1)
        elif hasattr(value, "__len__") and is_list(value):
            return list, tuple(self.of_value(item, depth + 1) for item in value)
        return kind, value

    def _of_map(self, value: Mapping[str, Value], depth: int) -> Any:
        items = []
        for key in sorted(value):
            self._take(len(key))
            items.append((key, self.of_value(value[key], depth)))
        return dict, tuple(items)

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _TooLarge
