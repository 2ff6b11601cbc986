"""Object storage: objects by bucket and name, their bytes and what is said of them.

Every method takes the caller and asks access. A decision about a write is made on the object as it was
read; the unit of work that writes makes sure that it still is so, or the decision is made again. Nothing
is published before its bytes are durable, and nothing is deleted before what replaces it is.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from baas.access.principal import Principal
from baas.db.unit import Database, Tx
from baas.errors import (
    ApiError,
    DataLoss,
    PermissionDenied,
    Unavailable,
)
from baas.storage import object_rows, object_writes
from baas.storage.access import StorageAuthorizer
from baas.storage.blobs.base import BlobMissing, BlobStore
from baas.storage.buckets import Buckets
from baas.storage.deciding import ATTEMPTS, Decisions
from baas.storage.download_tokens import DownloadTokens, has_token, new_token
from baas.storage.downloads import Download, read_leased
from baas.storage.errors import TooLarge
from baas.storage.guard import Guard
from baas.storage.leases import BlobLeases
from baas.storage.model import (
    Page,
    Preconditions,
    Received,
    Segment,
    StoredObject,
    UploadRequest,
)
from baas.storage.names import check_object_name
from baas.storage.object_writes import NewObject
from baas.storage.options import StorageOptions
from baas.storage.receiving import Receiver
from baas.storage.resources import (
    DeclaredResource,
    new_resource_of,
    patched_resource_of,
    resource_of,
)
from baas.storage.settings_input import patch_settings

log = logging.getLogger(__name__)

_QUICK_SEGMENTS = 8
"""An object of more segments is not written on the event loop."""


class StorageService:
    """See the module.

    Args:
        database: where rows live; the schema must be current.
        blobs: where bytes live; started.
        authorize: the rules.
        options: limits and names.
    """

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        authorize: StorageAuthorizer,
        options: StorageOptions | None = None,
    ) -> None:
        self.options = options or StorageOptions()
        self.database = database
        self.blobs = blobs
        self.buckets = Buckets(database, self.options)
        self.leases = BlobLeases(blobs)
        self.receiver = Receiver(blobs, self.options)
        self.guard = Guard(database, authorize, self.buckets)
        self.decisions = Decisions()
        self.tokens = DownloadTokens(database, self.guard, self.decisions, self.options)
        self.uploads_running = 0

    async def close(self) -> None:
        """Finish what is being published or deleted. The database and the blobs stay open."""
        await self.decisions.settle()
        await self.leases.settle()
        await self.receiver.close()

    # Reading

    async def get(
        self,
        principal: Principal,
        bucket: str,
        name: str,
        *,
        token: str | None = None,
        preconditions: Preconditions | None = None,
        generation: int | None = None,
    ) -> StoredObject:
        """An object's metadata.

        Args:
            token: a download token, which stands in for a right.
            preconditions: conditions on the object as it is.
            generation: only this one; older ones are not kept.

        Raises:
            PermissionDenied: the rules say no, also where the object is missing.
            NotFound: there is no such bucket or object.
        """
        stored = await self.guard.find(bucket, name)
        await self._require_get(principal, bucket, name, stored, token)
        if stored is None or generation not in (None, stored.generation):
            raise object_writes.not_found(bucket, name)
        (preconditions or Preconditions()).check(stored, reading=True)
        return stored

    async def download(
        self,
        principal: Principal,
        bucket: str,
        name: str,
        *,
        token: str | None = None,
        preconditions: Preconditions | None = None,
        generation: int | None = None,
    ) -> Download:
        """An object with its segments, for :meth:`read`. Arguments and errors as for :meth:`get`."""
        await self.guard.known_bucket(bucket)
        check_object_name(name)

        def unit(tx: Tx) -> tuple[StoredObject | None, tuple[Segment, ...]]:
            return object_rows.find_with_segments(tx, bucket, name)

        stored, segments = await self.database.read(unit, quick=True)
        await self._require_get(principal, bucket, name, stored, token)
        if stored is None or generation not in (None, stored.generation):
            raise object_writes.not_found(bucket, name)
        (preconditions or Preconditions()).check(stored, reading=True)
        return Download(stored, segments)

    def read(
        self, download: Download, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to, not including, ``end``.

        Raises:
            BlobMissing: at the first chunk, if the object was overwritten since: look again.
            DataLoss: the backend lost bytes.
        """
        stop = download.stored.size if end is None else min(end, download.stored.size)
        return read_leased(self.blobs, self.leases, download.segments, start, stop)

    async def open(
        self,
        look: Callable[[], Awaitable[Download]],
        start_end: Callable[[Download], tuple[int, int]],
    ) -> tuple[Download, AsyncIterator[bytes]]:
        """Look an object up and begin to read it, again if it was overwritten in between.

        Answers once the first chunk is here, so that an error can still be told to the client.
        """
        for _ in range(ATTEMPTS):
            download = await look()
            start, end = start_end(download)
            try:
                held = self._held(download, start, end)
                if held is not None:
                    return download, _only(held)
                chunks = self.read(download, start, end)
                first = await anext(chunks, b"")
            except BlobMissing:
                continue
            return download, _chained(first, chunks)
        log.error("the bytes of %s/%s are missing", download.stored.bucket, download.stored.name)
        raise DataLoss("The bytes of this object are missing.")

    def _held(self, download: Download, start: int, end: int) -> bytes | None:
        """The bytes, where the backend has them on the spot. No lease is needed, since nothing is awaited."""
        if len(download.segments) != 1 or not 0 <= start < end <= download.stored.size:
            return None
        return self.blobs.held(download.segments[0].blob, start, end)

    async def list(self, principal: Principal, query: object_rows.ListQuery) -> Page:
        """A page of the objects whose names begin with a prefix.

        Raises:
            PermissionDenied: the rules say no to ``list`` of the folder that holds all of them: of ``a`` for
                the prefixes ``a/`` and ``a/b``, since ``a/bc`` begins with the latter, too.
            InvalidArgument: the page token is none of ours.
        """
        folder = query.prefix.rpartition("/")[0].strip("/")
        await self.guard.known_bucket(query.bucket)
        await self.guard.check(principal, query.bucket, folder, "list")
        return await self.database.read(lambda tx: object_rows.list_page(tx, query))

    async def _require_get(
        self,
        principal: Principal,
        bucket: str,
        name: str,
        stored: StoredObject | None,
        token: str | None,
    ) -> None:
        if stored is not None and token is not None and has_token(stored, token):
            return
        resource = None if stored is None else resource_of(stored)
        await self.guard.check(principal, bucket, name, "get", resource)

    # Writing

    async def upload(
        self, principal: Principal, request: UploadRequest, source: AsyncIterator[bytes]
    ) -> StoredObject:
        """Store a stream as an object.

        Raises:
            PermissionDenied: before the bytes are taken, where what was declared is enough to say no; else
                when they are here.
            PreconditionFailed, InvalidArgument, TooLarge, QuotaExceeded, TooSlow, ClientGone, Unavailable:
                nothing was stored, and what was there stays.
        """
        await self.admit(principal, request)
        with self.transfer():
            blob = await self.receiver.receive(
                source, room=self.options.max_object_bytes, exactly=request.size
            )
        parts = () if blob.segment is None else (blob.segment,)
        size = sum(part.size for part in parts)
        received = Received(parts, size, blob.digest.md5.digest(), blob.digest.crc32c)
        try:
            blob.digest.require(request.hashes)
        except ApiError:
            self.leases.discard(part.blob for part in parts)
            raise
        return await self.publish(principal, request, received)

    async def admit(self, principal: Principal, request: UploadRequest) -> None:
        """Refuse an upload before its bytes come, where that can be said by what was declared.

        Raises:
            NotFound, InvalidArgument, PreconditionFailed, PermissionDenied, TooLarge, QuotaExceeded.
        """
        existing = await self.guard.find(request.bucket, request.name)
        request.preconditions.check(existing)
        sizes: Sequence[int | None] = (
            (request.size,) if request.size is not None else request.size_estimates or (None,)
        )
        least = min((size for size in sizes if size is not None), default=0)
        if least > self.options.max_object_bytes:
            raise TooLarge(
                f"An object has at most {self.options.max_object_bytes} bytes; {least} are declared."
            )
        denial: PermissionDenied | None = None
        for size in sizes:
            denial = await self._denial_by_declaration(principal, request, existing, size)
            if denial is None:
                break
        if denial is not None:
            raise denial
        if self.options.has_quotas:
            await self._check_room(principal, request.bucket, existing, least)

    async def _check_room(
        self, principal: Principal, bucket: str, existing: StoredObject | None, size: int
    ) -> None:
        more = size - (existing.size if existing is not None else 0)
        owner = principal.uid or ""
        await self.database.read(
            lambda tx: object_writes.check_quota(tx, bucket, owner, self.options, more)
        )

    async def _denial_by_declaration(
        self,
        principal: Principal,
        request: UploadRequest,
        existing: StoredObject | None,
        size: int | None,
    ) -> PermissionDenied | None:
        declared = DeclaredResource(request.bucket, request.name, request.settings, size)
        try:
            await self.guard.check_write(
                principal, request.bucket, request.name, existing, declared
            )
        except PermissionDenied as denial:
            return None if declared.asked_unknown else denial
        return None

    @contextlib.contextmanager
    def transfer(self) -> Any:
        """Count an upload that is on its way.

        Raises:
            Unavailable: too many are.
        """
        if self.uploads_running >= self.options.max_concurrent_uploads:
            raise Unavailable("Too many uploads are on their way; try again later.")
        self.uploads_running += 1
        try:
            yield
        finally:
            self.uploads_running -= 1

    async def publish(
        self,
        principal: Principal,
        request: UploadRequest,
        received: Received,
        *,
        before: Callable[[Tx], None] | None = None,
        after: Callable[[Tx, StoredObject], None] | None = None,
        discard: bool = True,
    ) -> StoredObject:
        """Let the name stand for bytes that are durable, if the rules and the preconditions hold now.

        ``before`` and ``after`` are run in the same unit of work. A refusal drops the bytes, unless
        ``discard`` says that they are somebody else's.
        """

        async def attempt() -> StoredObject:
            existing = await self.guard.find(request.bucket, request.name)
            request.preconditions.check(existing)
            proposed = new_resource_of(request.bucket, request.name, request.settings, received)
            await self.guard.check_write(
                principal, request.bucket, request.name, existing, proposed
            )
            tokens = (new_token(),) if request.tokens is None else request.tokens
            new = NewObject(
                request.bucket,
                request.name,
                request.settings,
                received,
                tokens,
                principal.uid or "",
            )

            def unit(tx: Tx) -> StoredObject:
                if before is not None:
                    before(tx)
                stored = object_writes.publish(tx, new, existing, self.options, self.leases.discard)
                if after is not None:
                    after(tx, stored)
                return stored

            return await self.database.write(unit, quick=len(received.segments) <= _QUICK_SEGMENTS)

        try:
            return await self.decisions.carry_out(attempt)
        except Unavailable:
            raise  # it may have become durable all the same: the sweep will know
        except ApiError:
            if discard:
                self.leases.discard(part.blob for part in received.segments)
            raise

    async def update(
        self,
        principal: Principal,
        bucket: str,
        name: str,
        patch: Mapping[str, Any],
        preconditions: Preconditions | None = None,
    ) -> StoredObject:
        """Change what is said of an object; see :func:`baas.storage.settings_input.patch_settings`.

        Raises:
            PermissionDenied, NotFound, PreconditionFailed, InvalidArgument.
        """

        async def attempt() -> StoredObject:
            existing = await self.guard.find(bucket, name)
            if existing is None:
                await self.guard.check_write(principal, bucket, name, None, {})
                raise object_writes.not_found(bucket, name)
            settings = patch_settings(existing.settings, patch, self.options)
            proposed = patched_resource_of(existing, settings)
            await self.guard.check_write(principal, bucket, name, existing, proposed)
            (preconditions or Preconditions()).check(existing)
            return await self.database.write(
                lambda tx: object_writes.amend(tx, existing, settings=settings)
            )

        return await self.decisions.carry_out(attempt)

    async def delete(
        self,
        principal: Principal,
        bucket: str,
        name: str,
        preconditions: Preconditions | None = None,
        generation: int | None = None,
    ) -> None:
        """Delete an object.

        Raises:
            PermissionDenied, NotFound, PreconditionFailed.
        """

        async def attempt() -> None:
            existing = await self.guard.find(bucket, name)
            resource = None if existing is None else resource_of(existing)
            await self.guard.check(principal, bucket, name, "delete", resource)
            if existing is None or generation not in (None, existing.generation):
                raise object_writes.not_found(bucket, name)
            (preconditions or Preconditions()).check(existing)
            await self.database.write(
                lambda tx: object_writes.remove(tx, bucket, name, existing, self.leases.discard)
            )

        await self.decisions.carry_out(attempt)


async def _only(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        if first:
            yield first
        async for chunk in rest:
            yield chunk
    finally:
        await rest.aclose()  # type: ignore[attr-defined]
