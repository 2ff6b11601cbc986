"""Uploads of the Cloud Storage JSON API: ``uploadType`` is ``media``, ``multipart`` or ``resumable``."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from baas.access.principal import Principal
from baas.api.gcs_render import TOKENS_KEY
from baas.api.http import parse_object
from baas.api.storage_multipart import MultipartUpload, boundary_of
from baas.api.storage_requests import (
    body_stream,
    int_header,
    json_body,
    media_of,
    own_address,
    preconditions_of,
    until_media,
)
from baas.errors import InvalidArgument
from baas.storage.errors import UploadCancelled, UploadGone
from baas.storage.model import ObjectSettings, StoredObject, UploadRequest
from baas.storage.names import check_object_name
from baas.storage.options import StorageOptions
from baas.storage.resumable import FINAL, ResumableUploads
from baas.storage.service import StorageService
from baas.storage.settings_input import read_hashes, read_settings

_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18}|\*)|\*)/(\d{1,18}|\*)", re.ASCII)


class GcsUploads:
    """See the module."""

    def __init__(self, service: StorageService) -> None:
        self._service = service
        self._uploads = ResumableUploads(service)

    async def handle(
        self, request: Request, principal: Principal, bucket: str
    ) -> StoredObject | Response:
        """A new upload's request; answers the object, or where to go on.

        Raises:
            InvalidArgument; as :meth:`StorageService.upload` and :class:`ResumableUploads`.
        """
        protocol = request.headers.get("x-goog-upload-protocol", "media")
        kind = request.query_params.get("uploadType", protocol)
        if kind == "resumable":
            return await self._start(request, principal, bucket)
        if kind == "multipart":
            return await self._multipart(request, principal, bucket)
        if kind == "media":
            return await self._media(request, principal, bucket)
        raise InvalidArgument("'uploadType' is 'media', 'multipart' or 'resumable'.")

    async def _media(self, request: Request, principal: Principal, bucket: str) -> StoredObject:
        name = check_object_name(request.query_params.get("name", ""))
        wanted = UploadRequest(
            bucket,
            name,
            read_settings({}, name, self._service.options, request.headers.get("content-type")),
            size=int_header(request, "content-length"),
            preconditions=preconditions_of(request),
            tokens=(),
        )
        return await self._service.upload(principal, wanted, body_stream(request))

    async def _multipart(self, request: Request, principal: Principal, bucket: str) -> StoredObject:
        parser = MultipartUpload(
            boundary_of(request.headers.get("content-type")),
            self._service.options.max_metadata_json_bytes,
        )
        pieces = body_stream(request)
        first = await until_media(parser, pieces)
        metadata = parse_object(parser.metadata)
        length = int_header(request, "content-length")
        wanted = self._request(
            request,
            bucket,
            metadata,
            parser.media_type,
            size_estimates=() if length is None else parser.media_estimates(length),
        )
        return await self._service.upload(principal, wanted, media_of(parser, first, pieces))

    async def _start(self, request: Request, principal: Principal, bucket: str) -> Response:
        metadata = await json_body(request, self._service.options.max_metadata_json_bytes)
        wanted = self._request(
            request,
            bucket,
            metadata,
            request.headers.get("x-upload-content-type"),
            size=int_header(request, "x-upload-content-length"),
        )
        upload_id = await self._uploads.start(principal, wanted)
        location = session_url(own_address(request, self._service), bucket, wanted.name, upload_id)
        return Response(
            status_code=200, headers={"Location": location, "X-GUploader-UploadID": upload_id}
        )

    def _request(
        self,
        request: Request,
        bucket: str,
        metadata: dict[str, Any],
        fallback_type: str | None,
        *,
        size: int | None = None,
        size_estimates: tuple[int, ...] = (),
    ) -> UploadRequest:
        name = request.query_params.get("name") or metadata.get("name") or ""
        if not isinstance(name, str):
            raise InvalidArgument("'name' is a string.")
        settings, tokens = read_upload_settings(
            metadata, check_object_name(name), self._service.options, fallback_type
        )
        return UploadRequest(
            bucket,
            name,
            settings,
            size=size,
            size_estimates=size_estimates,
            hashes=read_hashes(metadata),
            preconditions=preconditions_of(request),
            tokens=tokens,
        )

    async def go_on(self, request: Request, upload_id: str) -> StoredObject | Response:
        """A request about a resumable upload that is begun: whoever has its address may make it.

        Raises:
            NotFound, UploadGone; as :class:`ResumableUploads`.
        """
        if request.method == "DELETE":
            await self._uploads.cancel(upload_id)
            return Response(status_code=499)
        try:
            return await self._append(request, upload_id)
        except UploadCancelled as error:
            raise UploadGone(error.message) from error

    async def _append(self, request: Request, upload_id: str) -> StoredObject | Response:
        start, end, total = _content_range(request.headers.get("content-range"))
        length = int_header(request, "content-length")
        if start is None and request.headers.get("content-range") is not None:
            upload = await self._uploads.query(upload_id)
            if total is not None and total == upload.received and upload.state != FINAL:
                upload = await self._uploads.append(
                    upload_id, None, body_stream(request), total=total, finalize=True, length=0
                )
        else:
            if end is not None and start is not None:
                length = end - start + 1
            upload = await self._uploads.append(
                upload_id,
                start,
                body_stream(request),
                total=total,
                finalize=end is None or total == end + 1,
                length=length,
            )
        if upload.result is not None:
            return upload.result
        headers = {"Range": f"bytes=0-{upload.received - 1}"} if upload.received else {}
        return Response(status_code=308, headers=headers)


def session_url(base: str, bucket: str, name: str, upload_id: str) -> str:
    """Where a resumable upload goes on, at the server's own address."""
    query = urlencode({"uploadType": "resumable", "name": name, "upload_id": upload_id})
    return f"{base}/upload/storage/v1/b/{quote(bucket)}/o?{query}"


def read_upload_settings(
    resource: Any,
    name: str,
    options: StorageOptions,
    fallback_type: str | None = None,
    *,
    guess: bool = True,
) -> tuple[ObjectSettings, tuple[str, ...]]:
    """An object's settings, and its download tokens, which this API has in the custom metadata.

    Raises:
        InvalidArgument: as :func:`read_settings`.
    """
    if not isinstance(resource, dict):
        raise InvalidArgument("An object's metadata is a JSON object.")
    settings = read_settings(resource, name, options, fallback_type, guess=guess)
    custom = dict(settings.custom)
    listed = custom.pop(TOKENS_KEY, "")
    tokens = tuple(token.strip() for token in listed.split(",") if token.strip())
    return ObjectSettings(settings.values, custom), tokens


def _content_range(header: str | None) -> tuple[int | None, int | None, int | None]:
    """(first, last, total) of a Content-Range; ``None`` for what it does not say. A last byte ``*`` means
    that this body brings all that is left.

    Raises:
        InvalidArgument: it is none.
    """
    if header is None:
        return None, None, None
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is None:
        raise InvalidArgument("Content-Range is 'bytes FIRST-LAST/TOTAL', TOTAL a number or '*'.")
    first, last, total = match.groups()
    whole = None if total == "*" else int(total)
    if first is None:
        return None, None, whole
    if last == "*":  # up to the end of this body, which is the object's
        return int(first), None, whole
    if int(last) < int(first) or (whole is not None and int(last) >= whole):
        raise InvalidArgument("Content-Range has its last byte before the first, or after the end.")
    return int(first), int(last), whole
