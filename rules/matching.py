"""Which match blocks cover a path: an index by literal segments (protocol section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rules.tree import Segment
from rules.types import Abstract, Path, Value

T = TypeVar("T")
_ANY_STRING = Abstract(kind="string")
_ANY_PATH = Abstract(kind="path")


@dataclass(slots=True)
class _Glob(Generic[T]):
    """What follows a `{x=**}`: the segments after it, and who is interested."""

    suffix: tuple[Segment, ...]
    items: list[T]


@dataclass(slots=True)
class _Node(Generic[T]):
    literals: dict[str, _Node[T]] = field(default_factory=dict)
    capture: _Node[T] | None = None
    globs: list[_Glob[T]] = field(default_factory=list)
    items: list[T] = field(default_factory=list)


_State = tuple[_Node[T], int, tuple[Value, ...]]
_MAX_STARTS = 64
_UNKNOWN: Any = object()


def _step(state: _State[T], part: str) -> list[_State[T]]:
    node, at, captures = state
    after: list[_State[T]] = []
    if node.capture is not None:
        after.append((node.capture, at + 1, (*captures, part)))
    if part in node.literals:
        after.append((node.literals[part], at + 1, captures))
    return after


class PathIndex(Generic[T]):
    """Finds the patterns that match a path, each with its captures from the outermost."""

    def __init__(self, version: int) -> None:
        self._shortest_glob = 1 if version == 1 else 0
        self._root: _Node[T] = _Node()
        self._with_glob: list[tuple[tuple[Segment, ...], T]] = []
        # Where the walk stands after a root path: every request to one database begins alike.
        self._starts: dict[tuple[str, ...], list[_State[T]] | None] = {}

    def add(self, pattern: tuple[Segment, ...], item: T) -> None:
        node = self._root
        for i, segment in enumerate(pattern):
            if segment.kind == "glob":
                node.globs.append(_Glob(pattern[i + 1 :], [item]))
                self._with_glob.append((pattern, item))
                return
            if segment.kind == "literal":
                node = node.literals.setdefault(segment.text, _Node())
            else:
                if node.capture is None:
                    node.capture = _Node()
                node = node.capture
        node.items.append(item)

    def find_below(
        self, root: tuple[str, ...], path: Sequence[str | None]
    ) -> list[tuple[T, tuple[Value, ...]]]:
        """Every pattern that matches `root` followed by `path`, found faster than by `find`."""
        starts = self._starts.get(root, _UNKNOWN)
        if starts is _UNKNOWN:
            starts = self._after(root)
            if len(self._starts) < _MAX_STARTS:
                self._starts[root] = starts
        if starts is None:
            return self.find([*root, *path])
        return self._walk(path, list(starts))

    def _after(self, root: tuple[str, ...]) -> list[_State[T]] | None:
        """The states of the walk after `root`; None if a recursive wildcard begins within it."""
        states: list[_State[T]] = [(self._root, 0, ())]
        for part in root:
            if any(node.globs for node, _, _ in states):
                return None
            states = [state for one in states for state in _step(one, part)]
        return [(node, 0, captures) for node, _, captures in states]

    def find(self, path: Sequence[str | None]) -> list[tuple[T, tuple[Value, ...]]]:
        """Every pattern that matches. An open segment is matched by wildcards only."""
        return self._walk(path, [(self._root, 0, ())])

    def _walk(
        self, path: Sequence[str | None], todo: list[_State[T]]
    ) -> list[tuple[T, tuple[Value, ...]]]:
        found: list[tuple[T, tuple[Value, ...]]] = []
        size = len(path)
        while todo:
            node, at, captures = todo.pop()
            if node.globs:
                self._find_globs(node, path, at, captures, found)
            if at == size:
                for item in node.items:
                    found.append((item, captures))
                continue
            part = path[at]
            if node.capture is not None:
                value = part if part is not None else _ANY_STRING
                todo.append((node.capture, at + 1, (*captures, value)))
            if part is not None:
                child = node.literals.get(part)
                if child is not None:
                    todo.append((child, at + 1, captures))
        return found

    def _find_globs(
        self,
        node: _Node[T],
        path: Sequence[str | None],
        at: int,
        captures: tuple[Value, ...],
        found: list[tuple[T, tuple[Value, ...]]],
    ) -> None:
        for glob in node.globs:
            end = len(path) - len(glob.suffix)
            if end - at < self._shortest_glob:
                continue
            tail = _match_suffix(glob.suffix, path[end:])
            if tail is not None:
                for item in glob.items:
                    found.append((item, (*captures, _rest(path[at:end]), *tail)))

    def find_in_group(
        self, prefix: Sequence[str], collection: str | None
    ) -> list[tuple[T, tuple[Value, ...]]]:
        """Patterns that match *every* document of a collection group below `prefix`, at any depth.

        Only patterns with a `{x=**}` can. `collection` None: any collection.
        """
        found: list[tuple[T, tuple[Value, ...]]] = []
        for pattern, item in self._with_glob:
            captures = self._group_captures(pattern, prefix, collection)
            if captures is not None:
                found.append((item, captures))
        return found

    def _group_captures(
        self, pattern: tuple[Segment, ...], prefix: Sequence[str], collection: str | None
    ) -> tuple[Value, ...] | None:
        cut = next(i for i, segment in enumerate(pattern) if segment.kind == "glob")
        head, tail = pattern[:cut], pattern[cut + 1 :]
        shortest = len(prefix) + 2
        if len(head) + len(tail) + self._shortest_glob > shortest:
            return None
        known_head = [*prefix[: len(head)], *[None] * max(0, len(head) - len(prefix))]
        known_tail = [*[None] * max(0, len(tail) - 2), *(collection, None)[max(0, 2 - len(tail)) :]]
        before = _match_suffix(head, known_head)
        after = _match_suffix(tail, known_tail)
        if before is None or after is None:
            return None
        return (*before, _ANY_PATH, *after)


def _match_suffix(
    pattern: Sequence[Segment], parts: Sequence[str | None]
) -> tuple[Value, ...] | None:
    """Captures of equally many segments, or None where a literal differs or meets an open segment."""
    captures: list[Value] = []
    for segment, part in zip(pattern, parts, strict=True):
        if segment.kind == "capture":
            captures.append(part if part is not None else _ANY_STRING)
        elif segment.text != part:
            return None
    return tuple(captures)


def _rest(parts: Sequence[str | None]) -> Value:
    known = tuple(part for part in parts if part is not None)
    return Path(known) if len(known) == len(parts) else _ANY_PATH
