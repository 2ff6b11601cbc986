"""What grows by itself is tended by itself: garbage blobs, left uploads, old events, lifecycle rules.

Nothing here is needed for correctness; a server that dies in the middle of it goes on at the next round.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import sqlalchemy as sa

from baas.db.tables.storage import storage_events as events
from baas.db.tables.storage import storage_objects as objects
from baas.db.tables.storage import storage_segments as segments
from baas.db.tables.storage import storage_uploads as uploads
from baas.db.unit import Tx
from baas.errors import ApiError, InvalidArgument, NotFound
from baas.storage import object_rows, object_writes, resumable
from baas.storage.blobs.base import BlobInfo
from baas.storage.lifecycle import ABORT, DELETE, LifecycleRule, read_lifecycle
from baas.storage.object_writes import Changed, now_micros
from baas.storage.service import StorageService

log = logging.getLogger(__name__)

_BATCH = 500


@dataclass(slots=True)
class SweepReport:
    """What a round did."""

    garbage_blobs: int = 0
    unfinished_blobs: int = 0
    dropped_uploads: int = 0
    deleted_objects: int = 0
    pruned_events: int = 0


@dataclass(slots=True)
class DoctorReport:
    """How metadata and blobs agree. Anything in ``missing`` or ``wrong_size`` is lost data."""

    objects: int = 0
    blobs: int = 0
    missing: list[str] = field(default_factory=list)
    wrong_size: list[str] = field(default_factory=list)
    garbage: int = 0


class Housekeeping:
    """Rounds of tending; see the module."""

    def __init__(self, service: StorageService) -> None:
        self._service = service
        self._database = service.database
        self._options = service.options

    async def run(self) -> None:
        """Make a round every ``sweep_interval``, until cancelled; one that fails is tried again later."""
        while True:
            await asyncio.sleep(self._options.sweep_interval)
            try:
                report = await self.sweep()
            except ApiError as error:
                log.warning("housekeeping of storage failed, and is tried again later: %s", error)
            else:
                log.info("storage was tended: %s", report)

    async def sweep(self) -> SweepReport:
        """Make a round.

        Raises:
            Unavailable: the database or the blobs do not answer.
        """
        report = SweepReport()
        await self._lifecycle(report)
        report.dropped_uploads += await self._drop_uploads(now_micros(), None, None)
        report.pruned_events = await self._prune_events()
        await self._service.leases.settle()
        report.garbage_blobs = await self._sweep_garbage()
        report.unfinished_blobs = await self._service.blobs.sweep_unfinished(
            self._options.sweep_grace
        )
        return report

    # Garbage

    async def _sweep_garbage(self) -> int:
        """Delete blobs that nothing names and that are too old to be about to be named."""
        before = now_micros() / 1_000_000 - self._options.sweep_grace
        count = 0
        async for batch in _batches(self._service.blobs.list()):
            old = [info.name for info in batch if info.modified < before]
            garbage = await self._database.read(
                lambda tx, old=old: object_rows.unnamed(tx, old)  # type: ignore[misc]
            )
            self._service.leases.discard(garbage)
            count += len(garbage)
        await self._service.leases.settle()
        return count

    # Uploads and events

    async def _drop_uploads(
        self, expired_at: int, bucket: str | None, rule: LifecycleRule | None
    ) -> int:
        """Drop uploads that have expired, or that a rule of their bucket is about."""
        chosen = uploads.c.expires < expired_at
        if rule is not None:
            chosen = sa.and_(
                uploads.c.bucket == bucket,
                uploads.c.time_created <= rule.created_until(expired_at),
                uploads.c.state == resumable.ACTIVE,
            )

        def unit(tx: Tx) -> int:
            rows = tx.core.execute(sa.select(uploads.c.id, uploads.c.name).where(chosen)).all()
            keys = [row.id for row in rows if rule is None or rule.names(bytes(row.name).decode())]
            for key in keys[:_BATCH]:
                resumable.drop_segments(tx, key, self._service)
                tx.core.execute(sa.delete(uploads).where(uploads.c.id == key))
            return len(keys[:_BATCH])

        count = 0
        while dropped := await self._database.write(unit):
            count += dropped
        return count

    async def _prune_events(self) -> int:
        before = now_micros() - int(self._options.event_retention * 1_000_000)
        prune = sa.delete(events).where(events.c.time < before)
        return await self._database.write(lambda tx: tx.core.execute(prune).rowcount)

    # Lifecycle

    async def _lifecycle(self, report: SweepReport) -> None:
        for bucket in await self._service.buckets.with_settings():
            try:
                rules = read_lifecycle(bucket.settings.get("lifecycle"))
            except InvalidArgument as error:
                log.warning("the lifecycle of bucket %s is left alone: %s", bucket.name, error)
                continue
            for rule in rules:
                if rule.action == DELETE:
                    report.deleted_objects += await self._delete_by(rule, bucket.name)
                elif rule.action == ABORT:
                    report.dropped_uploads += await self._drop_uploads(
                        now_micros(), bucket.name, rule
                    )

    async def _delete_by(self, rule: LifecycleRule, bucket: str) -> int:
        """Delete the objects of a bucket that a rule is about, a page at a time."""
        until, after, count = rule.created_until(now_micros()), b"", 0
        while True:
            select = (
                sa.select(objects.c.name)
                .where(
                    objects.c.bucket == bucket,
                    objects.c.name > after,
                    objects.c.time_created <= until,
                )
                .order_by(objects.c.name)
                .limit(_BATCH)
            )
            names = await self._database.read(
                lambda tx, select=select: [bytes(row.name) for row in tx.core.execute(select)]  # type: ignore[misc]
            )
            for name in names:
                if rule.names(name.decode()):
                    count += await self._delete_one(bucket, name.decode(), until)
            if len(names) < _BATCH:
                return count
            after = names[-1]

    async def _delete_one(self, bucket: str, name: str, until: int) -> int:
        def unit(tx: Tx) -> int:
            stored = object_rows.find(tx, bucket, name)
            if stored is None or stored.time_created > until:
                return 0
            object_writes.remove(tx, bucket, name, stored, self._service.leases.discard)
            return 1

        try:
            return await self._database.write(unit)
        except (Changed, NotFound):
            return 0

    # Doctor

    async def examine(self) -> DoctorReport:
        """Compare metadata with blobs. Changes nothing; needs a quiet server to be exact.

        Raises:
            Unavailable: the database or the blobs do not answer.
        """
        sizes = {info.name: info.size async for info in self._service.blobs.list()}
        report = DoctorReport(blobs=len(sizes))

        def unit(tx: Tx) -> None:
            joined = (
                sa.select(segments.c.blob, segments.c.size, objects.c.bucket, objects.c.name)
                .select_from(segments.outerjoin(objects, segments.c.object_id == objects.c.id))
                .order_by(segments.c.id)
            )
            named = set()
            for row in tx.core.execute(joined):
                named.add(row.blob)
                what = _described(row.bucket, row.name)
                if row.blob not in sizes:
                    report.missing.append(what)
                elif sizes[row.blob] != row.size:
                    report.wrong_size.append(what)
            report.garbage = len(sizes.keys() - named)
            report.objects = tx.core.execute(
                sa.select(sa.func.count()).select_from(objects)
            ).scalar_one()

        await self._database.read(unit)
        return report


def _described(bucket: str | None, name: bytes | None) -> str:
    return "an unfinished upload" if name is None else f"{bucket}/{bytes(name).decode()}"


async def _batches(infos: AsyncIterator[BlobInfo]) -> AsyncIterator[list[BlobInfo]]:
    batch: list[BlobInfo] = []
    async for info in infos:
        batch.append(info)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
