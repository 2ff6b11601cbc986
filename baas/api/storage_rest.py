"""Firebase Storage's REST API, v0, as the official client SDKs call it.

``/v0/b/{bucket}/o`` lists (GET) and uploads (POST), ``/v0/b/{bucket}/o/{object}`` reads, amends and
deletes; an object's name is percent-encoded, its slashes too. Credentials come as ``Authorization:
Firebase TOKEN`` or ``Bearer TOKEN``; a download token in the address stands in for them.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from baas.api.http import JSONResponse, parse_object
from baas.api.storage_media import media_response, shown_as
from baas.api.storage_multipart import MultipartUpload, boundary_of
from baas.api.storage_requests import (
    Authenticator,
    body_stream,
    bucket_and_object,
    caller,
    endpoint,
    error_response,
    int_header,
    int_param,
    json_body,
    media_of,
    own_address,
    preconditions_of,
    until_media,
)
from baas.api.storage_times import rfc3339
from baas.errors import InvalidArgument, PermissionDenied
from baas.storage.direct_uploads import DirectUploads
from baas.storage.downloads import Download
from baas.storage.errors import OffsetMismatch
from baas.storage.model import Hashes, ObjectSettings, StoredObject, UploadRequest
from baas.storage.names import check_object_name
from baas.storage.object_rows import ListQuery
from baas.storage.resumable import CANCELLED, FINAL, ResumableUploads, Upload
from baas.storage.service import StorageService
from baas.storage.settings_input import read_hashes, read_settings

log = logging.getLogger(__name__)

GRANULARITY = 256 * 1024
"""What the real service wants chunks of a resumable upload to be multiples of; here any size will do."""

_DIRECT = "X-Homefire-Upload-Direct"
"""Asks, as a resumable upload begins, for an address of the blob backend; tells, at its end, that it was
used."""
_DIRECT_URL = "X-Homefire-Upload-Direct-URL"

_PREFIX = b"/v0"


def routes(service: StorageService, authenticate: Authenticator) -> list[BaseRoute]:
    """The routes of this surface."""
    surface = _FirebaseStorage(service, authenticate)
    return [
        Route("/v0/b/{bucket}/o", endpoint(surface.list), methods=["GET"]),
        Route("/v0/b/{bucket}/o", endpoint(surface.upload), methods=["POST", "PUT"]),
        Route("/v0/b/{bucket}/o/{object:path}", endpoint(surface.get), methods=["GET", "HEAD"]),
        Route("/v0/b/{bucket}/o/{object:path}", endpoint(surface.amend), methods=["PATCH", "PUT"]),
        Route("/v0/b/{bucket}/o/{object:path}", endpoint(surface.delete), methods=["DELETE"]),
        Route("/v0/b/{bucket}/o/{object:path}", endpoint(surface.post), methods=["POST"]),
    ]


class _FirebaseStorage:
    def __init__(self, service: StorageService, authenticate: Authenticator) -> None:
        self._service = service
        self._authenticate = authenticate
        self._uploads = ResumableUploads(service)
        self._direct = DirectUploads(service, self._uploads)

    # Reading

    async def list(self, request: Request) -> Response:
        bucket, _ = bucket_and_object(request, _PREFIX)
        principal = await caller(self._service, self._authenticate, request, bucket)
        limit = self._service.options.max_list_results
        asked = int_param(request, "maxResults")
        if asked is not None and asked < 0:
            raise InvalidArgument("'maxResults' is a number of 1 or more.")
        page = await self._service.list(
            principal,
            ListQuery(
                bucket,
                prefix=request.query_params.get("prefix", ""),
                delimiter=request.query_params.get("delimiter", ""),
                page_token=request.query_params.get("pageToken"),
                max_results=min(asked or limit, limit),
            ),
        )
        answer: dict[str, Any] = {
            "prefixes": page.prefixes,
            "items": [{"name": item.name, "bucket": item.bucket} for item in page.items],
        }
        if page.next_page_token is not None:
            answer["nextPageToken"] = page.next_page_token
        return JSONResponse(answer)

    async def get(self, request: Request) -> Response:
        bucket, name = bucket_and_object(request, _PREFIX)
        token = request.query_params.get("token")
        principal = await caller(self._service, self._authenticate, request, bucket)
        preconditions = preconditions_of(request)
        generation = int_param(request, "generation")
        if request.query_params.get("alt") == "media":

            async def look() -> Download:
                return await self._service.download(
                    principal,
                    bucket,
                    name,
                    token=token,
                    preconditions=preconditions,
                    generation=generation,
                )

            return await media_response(self._service, request, look)
        stored = await self._service.get(
            principal,
            bucket,
            name,
            token=token,
            preconditions=preconditions,
            generation=generation,
        )
        return JSONResponse(resource(await self._service.tokens.ensure(stored)))

    # Changing

    async def amend(self, request: Request) -> Response:
        bucket, name = bucket_and_object(request, _PREFIX)
        principal = await caller(self._service, self._authenticate, request, bucket)
        patch = await json_body(request, self._service.options.max_metadata_json_bytes)
        stored = await self._service.update(
            principal, bucket, name, patch, preconditions_of(request)
        )
        return JSONResponse(resource(stored))

    async def delete(self, request: Request) -> Response:
        bucket, name = bucket_and_object(request, _PREFIX)
        principal = await caller(self._service, self._authenticate, request, bucket)
        await self._service.delete(
            principal,
            bucket,
            name,
            preconditions_of(request),
            generation=int_param(request, "generation"),
        )
        return Response(status_code=204)

    async def post(self, request: Request) -> Response:
        """Download tokens, a PATCH or DELETE in disguise, or an upload that names its object in the path."""
        bucket, name = bucket_and_object(request, _PREFIX)
        override = request.headers.get("x-http-method-override", "").upper()
        if override == "PATCH":
            return await self.amend(request)
        if override == "DELETE":
            return await self.delete(request)
        create = request.query_params.get("create_token")
        revoke = request.query_params.get("delete_token")
        if (create is None) == (revoke is None):
            return await self.upload(request)
        principal = await caller(self._service, self._authenticate, request, bucket)
        if revoke is not None:
            stored = await self._service.tokens.revoke(principal, bucket, name, revoke)
        elif create == "true":
            stored = await self._service.tokens.create(principal, bucket, name)
        else:
            raise InvalidArgument("'create_token' is 'true'.")
        return JSONResponse(resource(stored))

    # Uploading

    async def upload(self, request: Request) -> Response:
        upload_id = request.query_params.get("upload_id")
        command = _commands(request)
        if upload_id is not None:
            return await self._go_on(request, upload_id, command)
        bucket, in_path = bucket_and_object(request, _PREFIX)
        name = check_object_name(request.query_params.get("name") or in_path)
        protocol = request.headers.get("x-goog-upload-protocol", "").lower()
        if protocol == "resumable" or "start" in command:
            try:
                return await self._start(request, bucket, name)
            except PermissionDenied as denial:
                return _ended(denial)
        if protocol == "multipart" or request.query_params.get("uploadType") == "multipart":
            return await self._multipart(request, bucket, name)
        return await self._simple(request, bucket, name)

    def _settings(
        self, metadata: dict[str, Any], name: str, fallback_type: str | None
    ) -> ObjectSettings:
        """What is said of a new object; this API gives each a file name to be shown under."""
        settings = read_settings(metadata, name, self._service.options, fallback_type)
        return ObjectSettings(
            {"contentDisposition": shown_as(name), **settings.values}, settings.custom
        )

    async def _simple(self, request: Request, bucket: str, name: str) -> Response:
        """The body is the object."""
        principal = await caller(self._service, self._authenticate, request, bucket)
        declared = UploadRequest(
            bucket,
            name,
            self._settings({}, name, request.headers.get("content-type")),
            size=int_header(request, "content-length"),
            preconditions=preconditions_of(request),
        )
        stored = await self._service.upload(principal, declared, body_stream(request))
        return JSONResponse(resource(stored))

    async def _multipart(self, request: Request, bucket: str, name: str) -> Response:
        parser = MultipartUpload(
            boundary_of(request.headers.get("content-type")),
            self._service.options.max_metadata_json_bytes,
        )
        principal = await caller(self._service, self._authenticate, request, bucket)
        pieces = body_stream(request)
        first = await until_media(parser, pieces)
        metadata = parse_object(parser.metadata)
        length = int_header(request, "content-length")
        declared = UploadRequest(
            bucket,
            name,
            self._settings(metadata, name, parser.media_type),
            size_estimates=() if length is None else parser.media_estimates(length),
            hashes=_hashes(request, metadata),
            preconditions=preconditions_of(request),
        )
        stored = await self._service.upload(principal, declared, media_of(parser, first, pieces))
        return JSONResponse(resource(stored))

    async def _start(self, request: Request, bucket: str, name: str) -> Response:
        principal = await caller(self._service, self._authenticate, request, bucket)
        metadata = await json_body(request, self._service.options.max_metadata_json_bytes)
        declared = UploadRequest(
            bucket,
            name,
            self._settings(
                metadata, name, request.headers.get("x-goog-upload-header-content-type")
            ),
            size=int_header(request, "x-goog-upload-header-content-length"),
            hashes=read_hashes(metadata),
            preconditions=preconditions_of(request),
        )
        direct = None
        if _DIRECT in request.headers:
            upload_id, direct = await self._direct.start(principal, declared)
        else:
            upload_id = await self._uploads.start(principal, declared)
        query = urlencode({"name": name, "upload_id": upload_id, "upload_protocol": "resumable"})
        url = f"{own_address(request, self._service)}/v0/b/{quote(bucket)}/o?{query}"
        headers = {
            "X-Goog-Upload-Status": "active",
            "X-Goog-Upload-URL": url,
            "X-Goog-Upload-Control-URL": url,
            "X-Goog-Upload-Chunk-Granularity": str(GRANULARITY),
            "X-GUploader-UploadID": upload_id,
        }
        if direct is not None:
            headers[_DIRECT_URL] = direct
        return Response(status_code=200, headers=headers)

    async def _go_on(self, request: Request, upload_id: str, command: set[str]) -> Response:
        if "cancel" in command:
            await self._uploads.cancel(upload_id)
            return Response(status_code=200, headers={"X-Goog-Upload-Status": CANCELLED})
        if command == {"query"}:
            return _standing(await self._uploads.look_up(upload_id))
        if not command or not command <= {"upload", "finalize"}:
            raise InvalidArgument(
                "X-Goog-Upload-Command is 'start', 'upload', 'upload, finalize', 'finalize', 'query' or"
                " 'cancel'."
            )
        offset = int_header(request, "x-goog-upload-offset")
        if offset is None and "upload" in command:
            raise InvalidArgument("The header X-Goog-Upload-Offset is missing.")
        try:
            if _DIRECT in request.headers and command == {"finalize"}:
                return _standing(await self._direct.finish(upload_id))
            upload = await self._uploads.append(
                upload_id,
                offset,
                body_stream(request),
                finalize="finalize" in command,
                length=int_header(request, "content-length") if "upload" in command else 0,
            )
        except PermissionDenied as denial:
            return _ended(denial)
        except OffsetMismatch as error:
            headers = {
                "X-Goog-Upload-Status": "active",
                "X-Goog-Upload-Size-Received": str(error.received),
            }
            return JSONResponse(error.envelope(), error.http_status, headers)
        return _standing(upload)


def _ended(denial: PermissionDenied) -> Response:
    """The answer to a resumable upload that the rules refuse: no chunk will change that."""
    response = error_response(denial)
    response.headers["X-Goog-Upload-Status"] = FINAL
    return response


def _standing(upload: Upload) -> Response:
    headers = {
        "X-Goog-Upload-Status": upload.state,
        "X-Goog-Upload-Size-Received": str(upload.received),
        "X-Goog-Upload-Chunk-Granularity": str(GRANULARITY),
    }
    if upload.result is None:
        return Response(status_code=200, headers=headers)
    return JSONResponse(resource(upload.result), headers=headers)


def _commands(request: Request) -> set[str]:
    text = request.headers.get("x-goog-upload-command", "")
    return {command.strip().lower() for command in text.split(",") if command.strip()}


def _hashes(request: Request, metadata: dict[str, Any]) -> Hashes:
    """Declared checksums, in the metadata or as ``X-Goog-Hash: crc32c=…,md5=…``."""
    named = {"md5": "md5Hash", "crc32c": "crc32c"}
    declared = dict(metadata)
    for pair in request.headers.get("x-goog-hash", "").split(","):
        key, equals, value = pair.strip().partition("=")
        if equals and key in named:
            declared[named[key]] = value
    return read_hashes(declared)


def resource(stored: StoredObject) -> dict[str, Any]:
    """An object's metadata in this API's words."""
    values = stored.settings.values
    answer: dict[str, Any] = {
        "name": stored.name,
        "bucket": stored.bucket,
        "generation": str(stored.generation),
        "metageneration": str(stored.metageneration),
        "contentType": stored.settings.content_type,
        "timeCreated": rfc3339(stored.time_created),
        "updated": rfc3339(stored.updated),
        "storageClass": "STANDARD",
        "size": str(stored.size),
        "md5Hash": stored.md5_hash,
        "crc32c": stored.crc32c_hash,
        "etag": stored.etag,
        "contentEncoding": values.get("contentEncoding", "identity"),
        "contentDisposition": values.get("contentDisposition"),
        "contentLanguage": values.get("contentLanguage"),
        "cacheControl": values.get("cacheControl"),
        "downloadTokens": ",".join(stored.tokens) or None,
        "metadata": dict(stored.settings.custom) or None,
    }
    return {key: value for key, value in answer.items() if value is not None}
