"""Uploads whose bytes go to the blob backend directly, past this server.

Such an upload is begun as a resumable one, with its size and its CRC-32C declared. Its client is given an
address of the backend that takes exactly these bytes, once. When it says that they are there, they are looked
at from here, and published as any others.
"""

from __future__ import annotations

import dataclasses

from baas.access.principal import Principal
from baas.errors import FailedPrecondition, InvalidArgument
from baas.storage.blobs.base import BlobMissing, new_name
from baas.storage.errors import UploadGone
from baas.storage.model import Received, Segment, UploadRequest
from baas.storage.object_writes import now_micros
from baas.storage.resumable import FINAL, ResumableUploads, Upload
from baas.storage.service import StorageService


class DirectUploads:
    """Begin and finish."""

    def __init__(self, service: StorageService, uploads: ResumableUploads) -> None:
        self._service = service
        self._uploads = uploads

    async def start(self, principal: Principal, request: UploadRequest) -> tuple[str, str | None]:
        """Begin an upload; answers its id, and where to send the bytes.

        Where they cannot be sent to the backend (it is not set so, it has no such addresses, the size or the
        CRC-32C were not declared, it is too large for one request), the address is ``None`` and the upload an
        ordinary one.

        Raises:
            As :meth:`ResumableUploads.start`.
        """
        name, options = new_name(), self._service.options
        url = None
        if (
            options.presigned_uploads
            and request.size is not None
            and request.hashes.crc32c is not None
        ):
            url = await self._service.blobs.presigned_put(
                name, request.size, request.hashes.crc32c, options.presigned_lifetime
            )
        direct = None if url is None else name
        return await self._uploads.start(principal, request, direct=direct), url

    async def finish(self, upload_id: str) -> Upload:
        """Publish what was sent. A second time answers as the first did.

        Raises:
            FailedPrecondition: the bytes are not there. UploadGone: they came too long ago.
            InvalidArgument: this is no such upload, or the bytes have another MD5 than was declared.
            As :meth:`ResumableUploads.publish`.
        """
        upload = await self._uploads.query(upload_id)
        if upload.state == FINAL:
            return upload
        request = upload.request
        if upload.direct is None or request.hashes.crc32c is None or upload.received:
            raise InvalidArgument("The bytes of this upload are sent to this server.")
        try:
            blob = await self._service.blobs.stat(upload.direct)
        except BlobMissing:
            raise FailedPrecondition("The bytes of this upload are not there yet.") from None
        # the sweep takes blobs that nothing names when they are twice as old as this
        if now_micros() / 1_000_000 - blob.modified > self._service.options.sweep_grace / 2:
            raise UploadGone("The bytes of this upload came too long ago; begin a new one.")
        if blob.size != request.size:
            raise InvalidArgument(f"{blob.size} bytes came instead of the {request.size} declared.")
        if None not in (request.hashes.md5, blob.md5) and request.hashes.md5 != blob.md5:
            raise InvalidArgument("The bytes do not match the declared MD5; nothing was stored.")
        received = Received(
            (Segment(upload.direct, blob.size),), blob.size, blob.md5, request.hashes.crc32c
        )
        stored = await self._uploads.publish(upload, received)
        return dataclasses.replace(upload, state=FINAL, received=blob.size, result=stored)
