"""Buckets: those that the settings name, and those that admins make."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from baas.db.tables.storage import storage_buckets as buckets
from baas.db.tables.storage import storage_objects as objects
from baas.db.unit import Database, Tx
from baas.errors import AlreadyExists, FailedPrecondition, NotFound
from baas.storage.names import check_bucket_name
from baas.storage.object_writes import now_micros
from baas.storage.options import StorageOptions


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket. ``settings``: what the admin API lets one set (location, labels, lifecycle, ...)."""

    name: str
    project: str
    time_created: int = 0
    updated: int = 0
    metageneration: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)


class Buckets:
    """Which buckets there are, and whose."""

    def __init__(self, database: Database, options: StorageOptions) -> None:
        self._database = database
        self._options = options

    async def project_of(self, name: str) -> str | None:
        """The project of a bucket; ``None`` if there is no such bucket.

        Raises:
            InvalidArgument: no bucket can have this name.
        """
        check_bucket_name(name)
        configured = self._options.project_of(name)
        if configured is not None:
            return configured
        return await self._database.read(lambda tx: _project(tx, name))

    async def get(self, name: str) -> Bucket:
        """Raises:
        NotFound: there is no such bucket.
        """
        project = await self.project_of(name)
        if project is None:
            raise NotFound(f"The bucket {name} does not exist.")
        kept = await self._database.read(lambda tx: find(tx, name))
        return kept or Bucket(name, project)

    async def list_all(self, project: str) -> list[Bucket]:
        """The buckets of a project, by name: those of the settings, and those that were made or used."""
        kept = {bucket.name: bucket for bucket in await self._database.read(_all)}
        names = {name for name, owner in self._options.buckets.items() if owner == project}
        if project == self._options.project:
            names |= {f"{project}.appspot.com", f"{project}.firebasestorage.app"}
        names |= {bucket.name for bucket in kept.values() if bucket.project == project}
        return [kept.get(name) or Bucket(name, project) for name in sorted(names)]

    async def create(self, name: str, project: str, settings: Mapping[str, Any]) -> Bucket:
        """Make a bucket.

        Raises:
            AlreadyExists: there is one of that name.
            InvalidArgument: no bucket can have this name.
        """
        check_bucket_name(name)
        listed = name in self._options.buckets
        now = now_micros()
        bucket = Bucket(name, project, now, now, 1, settings)

        def unit(tx: Tx) -> None:
            if listed or find(tx, name) is not None:
                raise AlreadyExists(f"The bucket {name} exists.")
            tx.core.execute(sa.insert(buckets).values(_row(bucket)))

        await self._database.write(unit)
        return bucket

    async def update(self, name: str, patch: Mapping[str, Any]) -> Bucket:
        """Set settings; ``None`` removes one.

        Raises:
            NotFound: there is no such bucket.
        """
        current = await self.get(name)

        def unit(tx: Tx) -> Bucket:
            kept = find(tx, name)
            base = kept or dataclasses.replace(current, metageneration=0, time_created=now_micros())
            merged = {**base.settings, **patch}
            if isinstance(
                patch.get("labels"), dict
            ):  # of labels, too, only those that are named change
                labels = {**base.settings.get("labels", {}), **patch["labels"]}
                merged["labels"] = {
                    key: value for key, value in labels.items() if value is not None
                }
            changed = dataclasses.replace(
                base,
                settings={key: value for key, value in merged.items() if value is not None},
                metageneration=base.metageneration + 1,
                updated=now_micros(),
            )
            if kept is None:
                tx.core.execute(sa.insert(buckets).values(_row(changed)))
            else:
                where = buckets.c.name == name
                tx.core.execute(sa.update(buckets).where(where).values(_row(changed)))
            return changed

        return await self._database.write(unit)

    async def delete(self, name: str) -> None:
        """Delete an empty bucket that was made here.

        Raises:
            NotFound: there is no such bucket.
            FailedPrecondition: it has objects, or the settings name it.
        """
        await self.get(name)

        def unit(tx: Tx) -> None:
            some = sa.select(objects.c.id).where(objects.c.bucket == name).limit(1)
            if tx.core.execute(some).first() is not None:
                raise FailedPrecondition(f"The bucket {name} is not empty.")
            made = tx.core.execute(sa.delete(buckets).where(buckets.c.name == name)).rowcount
            if not made and not self._options.any_bucket:
                raise FailedPrecondition(f"The bucket {name} is there by the server's settings.")

        await self._database.write(unit)

    async def with_settings(self) -> list[Bucket]:
        """All buckets that have settings of their own."""
        return await self._database.read(_all)


def find(tx: Tx, name: str) -> Bucket | None:
    """The row of a bucket, if it has one."""
    row = tx.core.execute(sa.select(buckets).where(buckets.c.name == name)).one_or_none()
    return None if row is None else _bucket(row._mapping)


def _project(tx: Tx, name: str) -> str | None:
    bucket = find(tx, name)
    return None if bucket is None else bucket.project


def _all(tx: Tx) -> list[Bucket]:
    return [_bucket(row._mapping) for row in tx.core.execute(sa.select(buckets))]


def _bucket(row: Mapping[Any, Any]) -> Bucket:
    return Bucket(
        row["name"],
        row["project"],
        row["time_created"],
        row["updated"],
        row["metageneration"],
        json.loads(row["settings"]),
    )


def _row(bucket: Bucket) -> dict[str, Any]:
    return {
        "name": bucket.name,
        "project": bucket.project,
        "time_created": bucket.time_created,
        "updated": bucket.updated,
        "metageneration": bucket.metageneration,
        "settings": json.dumps(dict(bucket.settings)),
    }
