"""Snapshots: the JSON tree of the Realtime Database, laid over documents (protocol section 7).

`/posts` is a collection, `/posts/p1` a document, `/posts/p1/title` a field or, where the document has
no such field, a subcollection. Nothing is read before somebody asks.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rules.errors import EvaluationError
from rules.lookups import LookupSession
from rules.request import Resource
from rules.types import LatLng, Path, Timestamp, Value, is_list, is_map


class Opaque:
    """The value of an inner node: good for comparing with null, nothing else."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<node>"


OPAQUE: Final = Opaque()
JsonPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FieldNode:
    """A field or what is below one; None is absent."""

    value: Value


@dataclass(frozen=True, slots=True)
class DocumentNode:
    path: JsonPath


@dataclass(frozen=True, slots=True)
class CollectionNode:
    """A collection; the root with an empty path."""

    path: JsonPath


Node = FieldNode | DocumentNode | CollectionNode


class View:
    """The database before or after a write. `touched` is the document at hand and needs no lookup."""

    def __init__(
        self, session: LookupSession, after: bool, path: JsonPath, touched: Resource | None
    ) -> None:
        self._session = session
        self._get = "get_after" if after else "get"
        self._has = "has_documents_after" if after else "has_documents"
        self._path = path
        self._touched = touched
        self._nodes: dict[JsonPath, Node] = {(): CollectionNode(())}

    def node(self, path: JsonPath) -> Node:
        known = len(path)
        while path[:known] not in self._nodes:
            known -= 1
        node = self._nodes[path[:known]]
        for at in range(known, len(path)):
            node = self._nodes[path[: at + 1]] = self._child(node, path[at])
        return node

    def _child(self, parent: Node, name: str) -> Node:
        if isinstance(parent, CollectionNode):
            path = (*parent.path, name)
            return CollectionNode(path) if not parent.path else DocumentNode(path)
        if isinstance(parent, FieldNode):
            return FieldNode(child_value(parent.value, name))
        stored = self.document(parent.path)
        if stored is not None and name in stored.data and value_exists(stored.data[name]):
            return FieldNode(stored.data[name])
        return CollectionNode((*parent.path, name))

    def document(self, path: JsonPath) -> Resource | None:
        if path == self._path:
            return self._touched
        return self._session.read(self._get, path)

    def exists(self, node: Node) -> bool:
        if isinstance(node, FieldNode):
            return value_exists(node.value)
        if isinstance(node, DocumentNode):
            return self.document(node.path) is not None
        if not node.path:
            raise EvaluationError("Whether the whole database is empty is not known to rules.")
        if self._touched is not None and self._path[:-1] == node.path:
            return True
        return self._session.has_documents(self._has, node.path)

    def has_children(self, node: Node) -> bool:
        if isinstance(node, FieldNode):
            return _is_inner(node.value) and value_exists(node.value)
        if isinstance(node, DocumentNode):
            stored = self.document(node.path)
            return stored is not None and any(value_exists(stored.data[k]) for k in stored.data)
        return self.exists(node)

    def value(self, node: Node) -> Value:
        """Null, a scalar, or OPAQUE for anything with something below it."""
        if isinstance(node, FieldNode):
            return scalar(node.value)
        return OPAQUE if self.exists(node) else None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A place in a view."""

    view: View
    path: JsonPath

    @property
    def node(self) -> Node:
        return self.view.node(self.path)

    def child(self, name: str) -> Snapshot:
        parts = tuple(part for part in name.split("/") if part)
        if not parts:
            raise EvaluationError("child() needs the name of a child.")
        if len(self.path) + len(parts) > 200:
            raise EvaluationError("The path is too deep.")
        return Snapshot(self.view, (*self.path, *parts))

    def parent(self) -> Snapshot:
        if not self.path:
            raise EvaluationError("The root has no parent.")
        return Snapshot(self.view, self.path[:-1])

    def exists(self) -> bool:
        return self.view.exists(self.node)

    def has_children(self, names: tuple[str, ...] = ()) -> bool:
        if names:
            return all(self.child(name).exists() for name in names)
        return self.view.has_children(self.node)

    def val(self) -> Value:
        return self.view.value(self.node)


def _is_inner(value: Value) -> bool:
    if value is None or isinstance(value, (str, bytes, bool, int, float)):
        return False
    return (
        isinstance(value, LatLng) or is_map(value) or (hasattr(value, "__len__") and is_list(value))
    )


def children_of(value: Value) -> Mapping[str, Value]:
    """Fields of a map, elements of a list by index, the parts of a geopoint."""
    if isinstance(value, LatLng):
        return {"latitude": value.latitude, "longitude": value.longitude}
    if is_map(value):
        found: Mapping[str, Value] = value
        return found
    return {str(i): item for i, item in enumerate(value)}


def child_value(value: Value, name: str) -> Value:
    if not _is_inner(value):
        return None
    if not isinstance(value, LatLng) and not is_map(value):
        return value[int(name)] if name.isdecimal() and int(name) < len(value) else None
    return children_of(value).get(name)


def value_exists(value: Value) -> bool:
    """Null is absent; so is a map or list with nothing in it."""
    if value is None:
        return False
    if not _is_inner(value):
        return True
    children = children_of(value)
    return any(value_exists(children[name]) for name in children)


def scalar(value: Value) -> Value:
    """A stored value as the dialect has it: null, bool, float, str or OPAQUE."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, Timestamp):
        return float(value.total_nanos // 1_000_000)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Path):
        return str(value)
    return OPAQUE if value_exists(value) else None
