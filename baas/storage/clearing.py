"""Emptying storage: all objects and unfinished uploads of a project. For development and tests."""

from __future__ import annotations

import sqlalchemy as sa

from baas.db.tables.storage import storage_buckets as buckets
from baas.db.tables.storage import storage_objects as objects
from baas.db.tables.storage import storage_uploads as uploads
from baas.db.unit import Tx
from baas.storage import object_rows, object_writes, resumable
from baas.storage.service import StorageService

_BATCH = 500


async def clear(service: StorageService, project: str | None) -> None:
    """Delete every object, upload and made bucket of a project; of all projects where it is ``None``."""

    def used(tx: Tx) -> list[str]:
        names = sa.union(
            sa.select(objects.c.bucket), sa.select(uploads.c.bucket), sa.select(buckets.c.name)
        )
        return [row[0] for row in tx.core.execute(names)]

    for bucket in await service.database.read(used):
        if project is None or await service.buckets.project_of(bucket) == project:
            await _clear_bucket(service, bucket)


async def _clear_bucket(service: StorageService, bucket: str) -> None:
    def some(tx: Tx) -> int:
        query = sa.select(objects.c.name).where(objects.c.bucket == bucket).limit(_BATCH)
        names = [bytes(row.name).decode() for row in tx.core.execute(query)]
        for name in names:
            stored = object_rows.find(tx, bucket, name)
            if stored is not None:
                object_writes.remove(tx, bucket, name, stored, service.leases.discard)
        return len(names)

    def rest(tx: Tx) -> None:
        query = sa.select(uploads.c.id).where(uploads.c.bucket == bucket)
        for row in tx.core.execute(query).all():
            resumable.drop_segments(tx, row.id, service)
            tx.core.execute(sa.delete(uploads).where(uploads.c.id == row.id))
        tx.core.execute(sa.delete(buckets).where(buckets.c.name == bucket))

    while await service.database.write(some):
        pass
    await service.database.write(rest)
