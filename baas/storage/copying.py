"""New objects of old ones: copies, and compositions of several. No byte is moved: segments are shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from baas.access.principal import Principal
from baas.db.unit import Tx
from baas.errors import Aborted, InvalidArgument
from baas.storage import crc32c, object_rows, object_writes
from baas.storage.deciding import ATTEMPTS
from baas.storage.downloads import Download
from baas.storage.errors import TooLarge
from baas.storage.model import ObjectSettings, Preconditions, Received, StoredObject, UploadRequest
from baas.storage.resources import resource_of
from baas.storage.service import StorageService

MAX_SOURCES = 32


@dataclass(frozen=True, slots=True)
class Source:
    """An object to take bytes from."""

    bucket: str
    name: str
    generation: int | None = None
    preconditions: Preconditions = field(default_factory=Preconditions)


class _SourceChanged(Aborted):
    """A source is not the one that was looked at."""


class Copies:
    """Copy and compose."""

    def __init__(self, service: StorageService) -> None:
        self._service = service

    async def copy(
        self,
        principal: Principal,
        source: Source,
        bucket: str,
        name: str,
        settings: tuple[ObjectSettings, tuple[str, ...]] | None = None,
        preconditions: Preconditions | None = None,
    ) -> StoredObject:
        """Copy an object, over itself too.

        Args:
            settings: what the copy is to be, and its download tokens; ``None``: those of the source.
            preconditions: conditions on the destination.

        Raises:
            PermissionDenied, NotFound, PreconditionFailed, QuotaExceeded, Aborted.
        """
        for _ in range(ATTEMPTS):
            found = await self._look(principal, source)
            stored = found.stored
            received = Received(
                found.segments, stored.size, stored.md5, stored.crc32c, stored.component_count
            )
            values, tokens = settings or (stored.settings, stored.tokens)
            wanted = UploadRequest(
                bucket,
                name,
                values,
                preconditions=preconditions or Preconditions(),
                tokens=tokens,
            )
            try:
                return await self._publish(principal, wanted, received, [found])
            except _SourceChanged:
                continue
        raise Aborted("The source object kept changing; try again.")

    async def move(
        self,
        principal: Principal,
        source: Source,
        name: str,
        preconditions: Preconditions | None = None,
    ) -> StoredObject:
        """Give an object another name in its bucket, in one step: it is never at both places, nor at none.

        Raises:
            As :meth:`copy`; InvalidArgument: it has this name already.
        """
        if name == source.name:
            raise InvalidArgument("An object cannot be moved to where it is.")
        for _ in range(ATTEMPTS):
            found = await self._look(principal, source)
            stored = found.stored
            await self._service.guard.check(
                principal, source.bucket, source.name, "delete", resource_of(stored)
            )
            received = Received(
                found.segments, stored.size, stored.md5, stored.crc32c, stored.component_count
            )
            wanted = UploadRequest(
                source.bucket,
                name,
                stored.settings,
                preconditions=preconditions or Preconditions(),
                tokens=stored.tokens,
            )

            def leave(tx: Tx, _: StoredObject, stored: StoredObject = stored) -> None:
                object_writes.remove(
                    tx, stored.bucket, stored.name, stored, self._service.leases.discard
                )

            try:
                return await self._publish(principal, wanted, received, [found], leave)
            except _SourceChanged:
                continue
        raise Aborted("The source object kept changing; try again.")

    async def compose(
        self, principal: Principal, sources: Sequence[Source], request: UploadRequest
    ) -> StoredObject:
        """Put objects of one bucket together, in order.

        Raises:
            As :meth:`copy`; InvalidArgument: no sources, or more than 32; TooLarge.
        """
        if not 1 <= len(sources) <= MAX_SOURCES:
            raise InvalidArgument(f"An object is composed of 1 to {MAX_SOURCES} sources.")
        for _ in range(ATTEMPTS):
            found = [await self._look(principal, source) for source in sources]
            try:
                return await self._publish(principal, request, self._joined(found), found)
            except _SourceChanged:
                continue
        raise Aborted("The source objects kept changing; try again.")

    def _joined(self, found: Sequence[Download]) -> Received:
        checksum, size, count = 0, 0, 0
        for part in found:
            checksum = crc32c.combine(checksum, part.stored.crc32c, part.stored.size)
            size += part.stored.size
            count += part.stored.component_count or 1
        if size > self._service.options.max_object_bytes:
            raise TooLarge(f"An object has at most {self._service.options.max_object_bytes} bytes.")
        segments = tuple(segment for part in found for segment in part.segments)
        return Received(segments, size, None, checksum, count)

    async def _look(self, principal: Principal, source: Source) -> Download:
        return await self._service.download(
            principal,
            source.bucket,
            source.name,
            generation=source.generation,
            preconditions=source.preconditions,
        )

    async def _publish(
        self,
        principal: Principal,
        request: UploadRequest,
        received: Received,
        sources: Sequence[Download],
        after: Callable[[Tx, StoredObject], None] | None = None,
    ) -> StoredObject:
        """Publish, if the sources are still what they were: else their blobs may be garbage by now."""

        def before(tx: Tx) -> None:
            for source in sources:
                now = object_rows.find(tx, source.stored.bucket, source.stored.name)
                if not object_writes.same(now, source.stored):
                    raise _SourceChanged("A source object was changed meanwhile.")

        return await self._service.publish(
            principal, request, received, before=before, after=after, discard=False
        )
