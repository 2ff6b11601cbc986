"""A query's documents in order, and how one state of them differs from the next. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal, TypeAlias

from homefire.firestore._ordering import MISSING, Descending, SortKey, name_key, value_key
from homefire.firestore._paths import parse_canonical

ChangeType: TypeAlias = Literal["added", "modified", "removed"]
OrderPair: TypeAlias = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class WatchDocument:
    """A document as the server sent it: full name, fields and times on the wire."""

    name: str
    fields: Mapping[str, Any]
    create_time: str | None = None
    update_time: str | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> WatchDocument:
        """From a ``Document`` message."""
        return cls(
            document["name"],
            document.get("fields") or {},
            document.get("createTime"),
            document.get("updateTime"),
        )

    def same_as(self, other: WatchDocument) -> bool:
        """Whether nothing changed from one to the other."""
        if self.update_time is not None and self.update_time == other.update_time:
            return self.create_time == other.create_time
        return self.update_time == other.update_time and self.fields == other.fields


class SnapshotBase:
    """A document's state at some time: what cursors read of a snapshot."""

    __slots__ = ("_document", "_name")

    def __init__(self, name: str, document: WatchDocument | None) -> None:
        self._name = name
        self._document = document


Entry: TypeAlias = tuple[SortKey, WatchDocument]
KeyFunction: TypeAlias = Callable[[WatchDocument], SortKey]

_key_of = itemgetter(0)


@dataclass(frozen=True, slots=True)
class ViewChange:
    """One document's change; an index is -1 where the document is not in that state."""

    type: ChangeType
    document: WatchDocument
    old_index: int
    new_index: int


@dataclass(frozen=True, slots=True)
class ViewSnapshot:
    """A query's state at one time, and how it differs from the state told before.

    ``from_cache`` means that the server cannot be asked just now; ``metadata_only`` that nothing
    but ``from_cache`` differs.
    """

    entries: tuple[Entry, ...]
    before: tuple[Entry, ...]
    changes: tuple[ViewChange, ...]
    from_cache: bool
    read_time: str | None
    metadata_only: bool = False

    @property
    def documents(self) -> list[WatchDocument]:
        """The documents in order."""
        return [document for _, document in self.entries]

    def after(self, earlier: ViewSnapshot) -> ViewSnapshot:
        """This state told as the difference from before ``earlier``, which then need not be told."""
        names = {change.document.name for change in (*earlier.changes, *self.changes)}
        old = {entry[1].name: entry for entry in earlier.before if entry[1].name in names}
        new = {entry[1].name: entry for entry in self.entries if entry[1].name in names}
        updates = {name: new.get(name) for name in names}
        _, changes = apply_updates(earlier.before, old, updates)
        return ViewSnapshot(
            self.entries,
            earlier.before,
            changes,
            self.from_cache,
            self.read_time,
            metadata_only=earlier.metadata_only and self.metadata_only,
        )


def key_function(orders: Sequence[OrderPair]) -> KeyFunction:
    """The sort key of a document under orderings ``(path, descending)``; the name comes last if not named."""
    full = list(orders)
    if all(path != "__name__" for path, _ in full):
        full.append(("__name__", full[-1][1] if full else False))
    parts = [(None if path == "__name__" else path, descending) for path, descending in full]

    def key(document: WatchDocument) -> SortKey:
        keys: list[Any] = []
        for path, descending in parts:
            part = name_key(document.name) if path is None else _field_key(document, path)
            keys.append(Descending(part) if descending else part)
        return tuple(keys)

    return key


def _field_key(document: WatchDocument, path: str) -> SortKey:
    value = wire_field(document.fields, path)
    return MISSING if value is None else value_key(value)


def wire_field(fields: Mapping[str, Any], path: str) -> dict[str, Any] | None:
    """The value at a path in the protocol's spelling, ``None`` where there is none."""
    value: dict[str, Any] | None = None
    for segment in parse_canonical(path):
        value = fields.get(segment)
        if value is None:
            return None
        fields = value.get("mapValue", {}).get("fields") or {}
    return value


def apply_updates(
    entries: Sequence[Entry],
    old: Mapping[str, Entry],
    updates: Mapping[str, Entry | None],
) -> tuple[list[Entry], tuple[ViewChange, ...]]:
    """The next state, and the changes that lead there when applied one after another.

    ``old`` gives the entries of the names in ``updates`` as they are now; ``None`` in ``updates`` takes a
    document out. Removals come first, then additions, then modifications, each in the query's order.
    """
    removed, added, modified = _sorted_by_kind(old, updates)
    state = list(entries)
    changes: list[ViewChange] = []
    for entry in removed:
        index = bisect_left(state, entry[0], key=_key_of)
        del state[index]
        changes.append(ViewChange("removed", entry[1], index, -1))
    for entry in added:
        insort(state, entry, key=_key_of)
        index = bisect_left(state, entry[0], key=_key_of)
        changes.append(ViewChange("added", entry[1], -1, index))
    for before, entry in modified:
        old_index = bisect_left(state, before[0], key=_key_of)
        del state[old_index]
        insort(state, entry, key=_key_of)
        index = bisect_left(state, entry[0], key=_key_of)
        changes.append(ViewChange("modified", entry[1], old_index, index))
    return state, tuple(changes)


def _sorted_by_kind(
    old: Mapping[str, Entry], updates: Mapping[str, Entry | None]
) -> tuple[list[Entry], list[Entry], list[tuple[Entry, Entry]]]:
    removed: list[Entry] = []
    added: list[Entry] = []
    modified: list[tuple[Entry, Entry]] = []
    for name, entry in updates.items():
        before = old.get(name)
        if entry is None:
            if before is not None:
                removed.append(before)
        elif before is None:
            added.append(entry)
        elif not before[1].same_as(entry[1]):
            modified.append((before, entry))
    removed.sort(key=_key_of)
    added.sort(key=_key_of)
    modified.sort(key=lambda pair: pair[1][0])
    return removed, added, modified
