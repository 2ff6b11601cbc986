"""Expiry: a field of a collection group whose timestamp says when a document is to go.

Due documents are deleted in the order of that time, by ordinary commits: listeners see them go. The field has
an index of its own, pinned while the policy lasts, so finding what is due costs what is due.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from baas.access.principal import OWNER
from baas.db.unit import Database, Tx
from baas.documents.catalogue import Catalogue
from baas.documents.index_builder import IndexBuilder
from baas.documents.indexes import IndexDefinition, IndexField, IndexState, Scope, load_indexes
from baas.documents.options import DocumentOptions
from baas.documents.records import document_of
from baas.documents.writer import Writer
from baas.errors import ApiError, Unavailable
from baas.model.field_access import get_field
from baas.model.key_encoding import encode_value, type_range
from baas.model.paths import (
    DatabaseId,
    DocumentName,
    FieldPath,
    format_field_path,
    parse_field_path,
)
from baas.model.values import Timestamp
from baas.model.write import Write, WriteKind

log = logging.getLogger(__name__)

_DUE = (
    "SELECT d.id, d.document_id, d.fields, d.create_time, d.update_time, d.collection_key"
    " FROM index_entries e CROSS JOIN documents d ON d.id = e.document"
    " WHERE e.index_id = ? AND e.key >= ? AND e.key < ? ORDER BY e.key LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class TtlPolicy:
    """Documents of the collection group go when the time in the field has come."""

    collection_id: str
    field: FieldPath

    @property
    def definition(self) -> IndexDefinition:
        """The index that finds what is due."""
        return IndexDefinition(self.collection_id, Scope.GROUP, (IndexField(self.field),))


class Expiry:
    """Keeps the policies, and deletes what is due."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        indexes: IndexBuilder,
        writer: Writer,
        options: DocumentOptions,
        now: Callable[[], int],
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._indexes = indexes
        self._writer = writer
        self._options = options
        self._now = now

    async def declare(self, database: DatabaseId, policy: TtlPolicy) -> None:
        """Let a field say when documents of a collection group expire; one field each group."""
        await self.withdraw(database, policy.collection_id)

        def unit(tx: Tx) -> None:
            entry = self._catalogue.database_for_write(tx, database)
            tx.run(
                "INSERT INTO ttl_policies (database_id, collection_id, field) VALUES (?, ?, ?)",
                (entry.key, policy.collection_id, format_field_path(policy.field)),
            )

        index = await self._indexes.request(
            database, policy.definition, f"ttl {policy.collection_id}", pinned=True
        )
        if index is None:
            raise Unavailable("The index of this field is being dropped; try again in a moment.")
        await self._database.write(unit)

    async def withdraw(self, database: DatabaseId, collection_id: str) -> None:
        """End the policy of a collection group, if it has one. Its index stays, no longer pinned."""
        for policy in await self.policies(database):
            if policy.collection_id == collection_id:
                for index in await self._indexes.list(database):
                    if index.definition == policy.definition and index.pinned:
                        await self._indexes.pin(database, index.id, pinned=False)

        def unit(tx: Tx) -> None:
            entry = self._catalogue.database_for_write(tx, database)
            tx.run(
                "DELETE FROM ttl_policies WHERE database_id = ? AND collection_id = ?",
                (entry.key, collection_id),
            )

        await self._database.write(unit)

    async def policies(self, database: DatabaseId) -> tuple[TtlPolicy, ...]:
        """All policies of a database."""

        def unit(tx: Tx) -> tuple[TtlPolicy, ...]:
            rows = tx.all(
                "SELECT t.collection_id, t.field FROM ttl_policies t"
                " JOIN databases b ON b.id = t.database_id"
                " WHERE b.project = ? AND b.name = ? ORDER BY t.collection_id",
                (database.project, database.database),
            )
            return tuple(TtlPolicy(row[0], parse_field_path(row[1])) for row in rows)

        return await self._database.read(unit)

    async def sweep(self) -> int:
        """Delete all that is due in all databases; answers how many documents."""
        rows = await self._database.read(
            lambda tx: tx.all(
                "SELECT b.project, b.name, t.collection_id, t.field FROM ttl_policies t"
                " JOIN databases b ON b.id = t.database_id"
            )
        )
        deleted = 0
        for project, name, collection_id, field in rows:
            policy = TtlPolicy(collection_id, parse_field_path(field))
            try:
                deleted += await self._sweep(DatabaseId(project, name), policy)
            except ApiError as error:
                log.error("expired documents of %s were not deleted: %s", collection_id, error)
        return deleted

    async def _sweep(self, database: DatabaseId, policy: TtlPolicy) -> int:
        deleted = 0
        while True:
            count = await self._database.write(lambda tx: self._delete_due(tx, database, policy))
            deleted += count
            if count < self._options.ttl_chunk:
                return deleted

    def _delete_due(self, tx: Tx, database: DatabaseId, policy: TtlPolicy) -> int:
        """Delete the next documents that are due. Looked up in the writer's own unit: a document that was
        given more time in the meantime stays."""
        entry = self._catalogue.database_for_write(tx, database)
        ready = [
            index
            for index in load_indexes(tx, entry.key)
            if index.definition == policy.definition and index.state is IndexState.READY
        ]
        if not ready:
            return 0
        now = Timestamp(self._now())
        low, _ = type_range(now)
        names = []
        bounds = (ready[0].id, low, encode_value(now), self._options.ttl_chunk)
        for row in tx.all(_DUE, bounds):
            collection = self._catalogue.collection_by_key(tx, entry, row[5])
            document = document_of(database, collection, row)
            if isinstance(get_field(document.fields, policy.field), Timestamp):
                names.append(document.name)
        if names:
            self._delete(tx, database, names)
        return len(names)

    def _delete(self, tx: Tx, database: DatabaseId, names: list[DocumentName]) -> None:
        deletes = [Write(WriteKind.DELETE, name) for name in names]
        self._writer.commit(tx, database, deletes, OWNER)
