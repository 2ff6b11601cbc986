"""Indexes: what they are, which keys a document has in them, and which there are.

All entries of all indexes are rows of one table, ``(index, key, document)``. A key is

    scope · the fields, each in its direction · the document's name

in the encoding that orders as the values do. The scope is the collection (8 bytes), or nothing where an index
spans a collection group. A document without one of the fields has no entry; one with an array under a
``contains`` field has an entry for each distinct element. The name is in the direction of the last field.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from baas.db.unit import Tx
from baas.model.document import Document
from baas.model.field_access import MISSING, get_field
from baas.model.key_encoding import descending, encode_path, encode_value
from baas.model.paths import FieldPath, format_field_path, parse_field_path
from baas.model.remembered import Remembered
from baas.model.values import Timestamp, Value

PLANS = 256
"""Queries whose plans are kept."""


class FieldKind(enum.Enum):
    """How an index holds a field."""

    ASCENDING = "asc"
    DESCENDING = "desc"
    CONTAINS = "contains"


class Scope(enum.Enum):
    """What an index spans."""

    COLLECTION = "collection"
    """Each collection of that id by itself."""
    GROUP = "group"
    """All of them together."""


class IndexState(enum.Enum):
    """Whether an index can be used."""

    BUILDING = "building"
    READY = "ready"
    DROPPING = "dropping"


@dataclass(frozen=True, slots=True)
class IndexField:
    """A field of an index."""

    path: FieldPath
    kind: FieldKind = FieldKind.ASCENDING


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """What an index holds; the order of the fields matters."""

    collection_id: str
    scope: Scope
    fields: tuple[IndexField, ...]

    @property
    def name_descending(self) -> bool:
        """The direction of the document's name, which ends every key."""
        return bool(self.fields) and self.fields[-1].kind is FieldKind.DESCENDING

    def __str__(self) -> str:
        fields = ", ".join(
            f"{format_field_path(field.path)} {field.kind.value}" for field in self.fields
        )
        return f"{self.collection_id} ({self.scope.value}): {fields}"


@dataclass(frozen=True, slots=True)
class Index:
    """An index and how it stands. ``requested_by`` tells an operator what asked for it; ``last_use`` is when
    a query used it, give or take some minutes."""

    id: int
    definition: IndexDefinition
    state: IndexState
    pinned: bool
    requested_by: str
    create_time: Timestamp
    last_use: Timestamp


def fields_to_text(fields: Sequence[IndexField]) -> str:
    """The fields as the table holds them."""
    return json.dumps(
        [[format_field_path(field.path), field.kind.value] for field in fields],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def fields_from_text(text: str) -> tuple[IndexField, ...]:
    """Inverse of :func:`fields_to_text`."""
    return tuple(
        IndexField(parse_field_path(path), FieldKind(kind)) for path, kind in json.loads(text)
    )


def scope_key(collection_key: int) -> bytes:
    """A collection as the scope of index keys."""
    return collection_key.to_bytes(8, "big")


def scope_prefix(scope: Scope, collection_key: int) -> bytes:
    """How the keys of an index begin for the documents of one collection."""
    return scope_key(collection_key) if scope is Scope.COLLECTION else b""


def entry_keys(
    definition: IndexDefinition, collection_key: int, document: Document | None
) -> set[bytes]:
    """The keys under which the index holds the document."""
    if document is None:
        return set()
    fields = document.fields
    keys = [scope_prefix(definition.scope, collection_key)]
    for field in definition.fields:
        value = get_field(fields, field.path)
        if value is MISSING:
            return set()
        if field.kind is FieldKind.CONTAINS:
            if type(value) is not list:
                return set()
            elements = {encode_value(element) for element in cast("list[Value]", value)}
            keys = [key + element for key in keys for element in elements]
        else:
            encoded = encode_value(value)
            if field.kind is FieldKind.DESCENDING:
                encoded = descending(encoded)
            keys = [key + encoded for key in keys]
    name = encode_path(document.name.segments)
    if definition.name_descending:
        name = descending(name)
    return {key + name for key in keys}


INSERT_ENTRY = "INSERT OR IGNORE INTO index_entries (index_id, key, document) VALUES (?, ?, ?)"
DELETE_ENTRY = "DELETE FROM index_entries WHERE index_id = ? AND key = ?"


def maintain(
    tx: Tx,
    indexes: Sequence[Index],
    collection_key: int,
    row_id: int,
    before: Document | None,
    after: Document | None,
) -> None:
    """Bring the entries of one document from before to after, in every index given.

    That holds for an index that is still being built too: what it has not reached yet may be missing, and
    is added by the building later.
    """
    for index in indexes:
        if before is not None and after is not None and _untouched(index.definition, before, after):
            continue
        old = entry_keys(index.definition, collection_key, before)
        new = entry_keys(index.definition, collection_key, after)
        for key in old - new:
            tx.run(DELETE_ENTRY, (index.id, key))
        for key in new - old:
            tx.run(INSERT_ENTRY, (index.id, key, row_id))


def _untouched(definition: IndexDefinition, before: Document, after: Document) -> bool:
    """Whether an update left the very values in place that an index holds."""
    return all(
        get_field(before.fields, field.path) is get_field(after.fields, field.path)
        for field in definition.fields
    )


_SELECT = (
    "SELECT id, collection_id, scope, fields, state, pinned, requested_by, create_time,"
    " last_use FROM indexes WHERE database_id = ? ORDER BY id"
)


def load_indexes(tx: Tx, database_key: int) -> tuple[Index, ...]:
    """All indexes of a database, as the unit at hand sees them."""
    return tuple(
        Index(
            row[0],
            IndexDefinition(row[1], Scope(row[2]), fields_from_text(row[3])),
            IndexState(row[4]),
            bool(row[5]),
            row[6],
            Timestamp(row[7]),
            Timestamp(row[8]),
        )
        for row in tx.all(_SELECT, (database_key,))
    )


_ByCollection = dict[str, tuple[Index, ...]]


class IndexCatalogue:
    """The indexes in memory.

    The writer's picture is dropped whenever a unit changes an index, and again if that unit fails. A
    reader's is kept by the generation that its own unit sees: an index that became ready after the version
    it reads is not ready for it.
    """

    def __init__(self) -> None:
        self.plans: Remembered[object] = Remembered(PLANS)
        """Plans of queries that come again, by the query and the indexes that they were made for."""
        self._used: set[int] = set()
        self._for_writer: dict[int, _ByCollection] = {}
        self._for_readers: dict[int, tuple[int, _ByCollection]] = {}

    def of_collection(self, tx: Tx, database_key: int, collection_id: str) -> tuple[Index, ...]:
        """The indexes that a write to such a collection must maintain. For the writer."""
        known = self._for_writer.get(database_key)
        if known is None:
            known = self._for_writer[database_key] = _by_collection(
                index
                for index in load_indexes(tx, database_key)
                if index.state is not IndexState.DROPPING
            )
        return known.get(collection_id, ())

    def ready(
        self, tx: Tx, database_key: int, generation: int, collection_id: str
    ) -> tuple[Index, ...]:
        """The indexes that a query may use. ``generation`` is the database's in the same unit."""
        known = self._for_readers.get(database_key)
        if known is None or known[0] != generation:
            known = (
                generation,
                _by_collection(
                    index
                    for index in load_indexes(tx, database_key)
                    if index.state is IndexState.READY
                ),
            )
            self._for_readers[database_key] = known
        return known[1].get(collection_id, ())

    def note_use(self, index_ids: Collection[int]) -> None:
        """A query uses these indexes. For every query, from any thread: no more than a mark in memory."""
        self._used.update(index_ids)

    def take_uses(self) -> frozenset[int]:
        """The indexes that queries used since this was asked last."""
        used, self._used = self._used, set()
        return frozenset(
            list(used)
        )  # a copy made in one step, as a thread may hold the old set still

    def changed(self, tx: Tx, database_key: int) -> None:
        """A unit of the writer changed the indexes of a database."""
        tx.run(
            "UPDATE databases SET index_generation = index_generation + 1 WHERE id = ?",
            (database_key,),
        )
        self._for_writer.pop(database_key, None)

        def forget() -> None:
            self._for_writer.pop(database_key, None)

        tx.on_rollback(forget)


def _by_collection(indexes: Iterable[Index]) -> _ByCollection:
    result: dict[str, list[Index]] = {}
    for index in indexes:
        result.setdefault(index.definition.collection_id, []).append(index)
    return {collection_id: tuple(found) for collection_id, found in result.items()}
