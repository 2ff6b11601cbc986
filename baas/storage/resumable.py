"""Resumable uploads: begun once, gone on with over any number of connections, server restarts included.

What came of a chunk before its connection broke is kept, so a client goes on from there. Chunks are
segments of the upload, and become the object's when it is finished. The upload's id is a capability: who
holds it may go on, in the name of who began it, so the database keeps only its hash.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from baas.access.principal import Principal, PrincipalKind
from baas.db.tables.storage import storage_uploads as uploads
from baas.db.unit import Tx
from baas.errors import ApiError, InvalidArgument, NotFound, ResourceExhausted
from baas.storage import object_json, object_rows
from baas.storage.downloads import read_leased
from baas.storage.errors import OffsetMismatch, TooLarge, UploadCancelled, UploadGone
from baas.storage.model import (
    Hashes,
    ObjectSettings,
    Preconditions,
    Received,
    Segment,
    StoredObject,
    UploadRequest,
)
from baas.storage.object_writes import now_micros
from baas.storage.receiving import Digest
from baas.storage.service import StorageService

log = logging.getLogger(__name__)

ACTIVE, FINAL, CANCELLED = "active", "final", "cancelled"

_MAX_RUNNING_DIGESTS = 1_000


@dataclass(frozen=True, slots=True)
class Upload:
    """A resumable upload as it stands; ``result`` once it is final."""

    key: str
    request: UploadRequest
    principal: Principal
    state: str
    received: int
    crc32c: int
    expires: int
    result: StoredObject | None
    direct: str | None = None
    """The blob that its client was told how to write past this server."""


class ResumableUploads:
    """Begin, go on, ask, finish, cancel."""

    def __init__(self, service: StorageService) -> None:
        self._service = service
        self._database = service.database
        self._options = service.options
        # MD5 cannot be put away and taken up again: it runs on here, and is made anew after a restart
        self._digests: OrderedDict[str, tuple[int, Digest]] = OrderedDict()

    async def start(
        self, principal: Principal, request: UploadRequest, *, direct: str | None = None
    ) -> str:
        """Begin an upload; answers its id. ``direct``: see :class:`Upload`.

        Raises:
            As :meth:`StorageService.admit`; ResourceExhausted: too many are begun.
        """
        await self._service.admit(principal, request)
        upload_id = secrets.token_urlsafe(32)
        now = now_micros()
        row = {
            "id": key_of(upload_id),
            "bucket": request.bucket,
            "name": request.name.encode(),
            "plan": _dump_plan(principal, request, direct),
            "state": ACTIVE,
            "received": 0,
            "crc32c": 0,
            "result": None,
            "time_created": now,
            "expires": now + int(self._options.upload_lifetime * 1_000_000),
        }

        def unit(tx: Tx) -> None:
            active = sa.select(sa.func.count()).where(uploads.c.state == ACTIVE)
            if tx.core.execute(active).scalar_one() >= self._options.max_open_uploads:
                raise ResourceExhausted("Too many uploads are begun and not finished.")
            tx.core.execute(sa.insert(uploads).values(row))

        await self._database.write(unit)
        return upload_id

    async def query(self, upload_id: str) -> Upload:
        """How it stands.

        Raises:
            NotFound: there is no such upload. UploadCancelled. UploadGone: it is too old.
        """
        return self._usable(await self._database.read(lambda tx: _find(tx, key_of(upload_id))))

    async def look_up(self, upload_id: str) -> Upload:
        """The same, but a cancelled one is told as such.

        Raises:
            NotFound, UploadGone: as :meth:`query`.
        """
        upload = await self._database.read(lambda tx: _find(tx, key_of(upload_id)))
        if upload is not None and upload.state == CANCELLED:
            return upload
        return self._usable(upload)

    def _usable(self, upload: Upload | None) -> Upload:
        if upload is None:
            raise NotFound("There is no such upload.")
        if upload.state == CANCELLED:
            raise UploadCancelled("This upload was cancelled; begin a new one.")
        if upload.expires < now_micros():
            raise UploadGone("This upload has expired; begin a new one.")
        return upload

    async def append(
        self,
        upload_id: str,
        offset: int | None,
        source: AsyncIterator[bytes],
        *,
        total: int | None = None,
        finalize: bool = False,
        length: int | None = None,
    ) -> Upload:
        """Take a chunk, and finish if that is asked.

        Args:
            offset: where the chunk begins; ``None``: where the last one ended.
            total: the size of the whole, where only this chunk tells it.
            finalize: this is the last chunk.
            length: the size of the chunk, where it was declared; exactly so much must come.

        Raises:
            OffsetMismatch: there is a gap or an overlap; it knows how much is here.
            InvalidArgument, TooLarge: more bytes than declared; or, to finish, fewer.
            ClientGone, TooSlow: the connection broke; what came is kept.
            As :meth:`StorageService.publish`, if it is the last chunk.
        """
        upload = await self.query(upload_id)
        if upload.state == FINAL:
            return upload
        if offset is not None and offset != upload.received:
            raise OffsetMismatch(
                f"The chunk begins at {offset}; {upload.received} bytes are here.", upload.received
            )
        declared = upload.request.size if upload.request.size is not None else total
        room = (self._options.max_object_bytes if declared is None else declared) - upload.received
        if length is not None and length > room:
            raise self._too_much(declared)
        if length != 0:
            upload = await self._take_chunk(upload, source, room, length)
        if not finalize:
            return upload
        if declared is not None and upload.received != declared:
            raise InvalidArgument(
                f"The upload has {upload.received} bytes instead of the {declared} that were declared."
            )
        return await self.finalize(upload)

    def _too_much(self, declared: int | None) -> ApiError:
        if declared is not None and declared <= self._options.max_object_bytes:
            return InvalidArgument(f"More bytes came than the {declared} that were declared.")
        return TooLarge(f"An object has at most {self._options.max_object_bytes} bytes.")

    async def _take_chunk(
        self, upload: Upload, source: AsyncIterator[bytes], room: int, length: int | None
    ) -> Upload:
        digest = self._digest_so_far(upload)
        with self._service.transfer():
            blob = await self._service.receiver.receive(
                source, room=room, exactly=length, digest=digest, keep_partial=True
            )
        if blob.segment is not None:
            upload = await self._add_segment(upload, blob.segment, blob.digest.crc32c)
            self._remember(upload, blob.digest)
        if blob.cut_short is not None:
            raise blob.cut_short
        return upload

    def _digest_so_far(self, upload: Upload) -> Digest:
        kept = self._digests.get(upload.key)
        if kept is not None and kept[0] == upload.received:
            return kept[1].copy()
        return Digest(crc32c=upload.crc32c, whole=upload.received == 0)

    def _remember(self, upload: Upload, digest: Digest) -> None:
        self._digests.pop(upload.key, None)
        if digest.whole:
            self._digests[upload.key] = (upload.received, digest)
            if len(self._digests) > _MAX_RUNNING_DIGESTS:
                self._digests.popitem(last=False)

    async def _add_segment(self, upload: Upload, segment: Segment, crc32c: int) -> Upload:
        received = upload.received + segment.size

        def unit(tx: Tx) -> None:
            current = self._usable(_find(tx, upload.key))
            if current.state == FINAL or current.received != upload.received:
                raise OffsetMismatch(
                    f"Another chunk came first; {current.received} bytes are here.",
                    current.received,
                )
            count = len(object_rows.segments_of_upload(tx, upload.key))
            object_rows.add_segments(tx, (segment,), upload_id=upload.key, first=count)
            _set(tx, upload.key, received=received, crc32c=crc32c)

        try:
            await self._database.write(unit)
        except (OffsetMismatch, UploadCancelled, NotFound):
            self._service.leases.discard((segment.blob,))
            raise
        return dataclasses.replace(upload, received=received, crc32c=crc32c)

    async def finalize(self, upload: Upload) -> Upload:
        """Make an object of what is here. A second time answers as the first did."""
        segments = await self._database.read(
            lambda tx: object_rows.segments_of_upload(tx, upload.key)
        )
        digest = await self._whole_digest(upload, segments)
        digest.require(upload.request.hashes)
        flattened = await self._flattened(segments, upload.received)
        parts = segments if flattened is None else (flattened,)
        received = Received(parts, upload.received, digest.md5.digest(), digest.crc32c)

        try:
            stored = await self.publish(upload, received)
        except ApiError:
            if flattened is not None:
                self._service.leases.discard((flattened.blob,))
            raise
        self._digests.pop(upload.key, None)
        return dataclasses.replace(upload, state=FINAL, result=stored)

    async def publish(self, upload: Upload, received: Received) -> StoredObject:
        """Make an object of durable bytes, and the upload final, in one step.

        Raises:
            As :meth:`StorageService.publish`; OffsetMismatch: the upload is not what it was.
        """

        def unit(tx: Tx, stored: StoredObject) -> None:
            current = self._usable(_find(tx, upload.key))
            if current.state == FINAL or current.received != upload.received:
                raise OffsetMismatch("The upload was gone on with meanwhile.", current.received)
            drop_segments(tx, upload.key, self._service)
            _set(tx, upload.key, state=FINAL, result=object_json.dump(stored))

        return await self._service.publish(
            upload.principal, upload.request, received, after=unit, discard=False
        )

    async def _whole_digest(self, upload: Upload, segments: tuple[Segment, ...]) -> Digest:
        kept = self._digests.get(upload.key)
        if kept is not None and kept[0] == upload.received:
            return kept[1]
        return await self._service.receiver.digest_of(self._stored_bytes(segments, upload.received))

    async def _flattened(self, segments: tuple[Segment, ...], size: int) -> Segment | None:
        """One blob of a great many small ones, which would be slow to read."""
        if len(segments) <= self._options.flatten_above_segments:
            return None
        blob = await self._service.receiver.copy(self._stored_bytes(segments, size))
        return Segment(blob, size)

    def _stored_bytes(self, segments: tuple[Segment, ...], size: int) -> AsyncIterator[bytes]:
        return read_leased(self._service.blobs, self._service.leases, segments, 0, size)

    async def cancel(self, upload_id: str) -> None:
        """Give an upload up. Its bytes go.

        Raises:
            NotFound: there is no such upload. InvalidArgument: it is an object by now.
        """
        key = key_of(upload_id)

        def unit(tx: Tx) -> None:
            upload = _find(tx, key)
            if upload is None:
                raise NotFound("There is no such upload.")
            if upload.state == FINAL:
                raise InvalidArgument("This upload is finished; delete its object instead.")
            if upload.state == ACTIVE:
                drop_segments(tx, key, self._service)
                _set(tx, key, state=CANCELLED)

        await self._database.write(unit)
        self._digests.pop(key, None)


def drop_segments(tx: Tx, key: str, service: StorageService) -> None:
    """Let an upload's segments go, and with them the blobs that no object names."""
    unnamed = object_rows.unnamed(tx, object_rows.drop_segments(tx, upload_id=key))
    if unnamed:
        tx.on_flush(lambda: service.leases.discard(unnamed))


def key_of(upload_id: str) -> str:
    """What the database knows an upload by."""
    return hashlib.sha256(upload_id.encode()).hexdigest()


def _find(tx: Tx, key: str) -> Upload | None:
    row = tx.core.execute(sa.select(uploads).where(uploads.c.id == key)).one_or_none()
    if row is None:
        return None
    principal, request, direct = _load_plan(row.bucket, bytes(row.name).decode(), row.plan)
    return Upload(
        key=key,
        request=request,
        principal=principal,
        state=row.state,
        received=row.received,
        crc32c=row.crc32c,
        expires=row.expires,
        result=None if row.result is None else object_json.load(row.result),
        direct=direct,
    )


def _set(tx: Tx, key: str, **values: Any) -> None:
    tx.core.execute(sa.update(uploads).where(uploads.c.id == key).values(**values))


def _dump_plan(principal: Principal, request: UploadRequest, direct: str | None) -> str:
    hashes = request.hashes
    return json.dumps(
        {
            "principal": {
                "kind": principal.kind.value,
                "uid": principal.uid,
                "claims": dict(principal.claims),
                "project": principal.project,
                "expires_at": principal.expires_at,
                "role": principal.role,
            },
            "values": dict(request.settings.values),
            "custom": dict(request.settings.custom),
            "size": request.size,
            "md5": None if hashes.md5 is None else hashes.md5.hex(),
            "crc32c": hashes.crc32c,
            "preconditions": request.preconditions.as_json(),
            "tokens": None if request.tokens is None else list(request.tokens),
            "direct": direct,
        }
    )


def _load_plan(bucket: str, name: str, plan: str) -> tuple[Principal, UploadRequest, str | None]:
    kept: Mapping[str, Any] = json.loads(plan)
    who = dict(kept["principal"])
    principal = Principal(PrincipalKind(who.pop("kind")), **who)
    request = UploadRequest(
        bucket=bucket,
        name=name,
        settings=ObjectSettings(kept["values"], kept["custom"]),
        size=kept["size"],
        hashes=Hashes(None if kept["md5"] is None else bytes.fromhex(kept["md5"]), kept["crc32c"]),
        preconditions=Preconditions(**kept["preconditions"]),
        tokens=None if kept["tokens"] is None else tuple(kept["tokens"]),
    )
    return principal, request, kept.get("direct")
