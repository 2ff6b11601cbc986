"""Signed URLs, ``/BUCKET/OBJECT?X-Goog-Signature=…``: downloads (GET, HEAD), uploads (PUT; POST begins a
resumable one), and DELETE."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from baas.access.principal import OWNER, Principal, PrincipalKind
from baas.api.gcs_uploads import session_url
from baas.api.storage_media import media_response
from baas.api.storage_requests import (
    body_stream,
    endpoint,
    int_header,
    int_param,
    own_address,
    raw_path,
    unescape,
)
from baas.errors import InvalidArgument, NotFound
from baas.storage.downloads import Download
from baas.storage.model import Hashes, Preconditions, UploadRequest
from baas.storage.resumable import ResumableUploads
from baas.storage.service import StorageService
from baas.storage.settings_input import read_digest, read_settings
from baas.storage.signed_urls import (
    SignedRequest,
    SigningKeys,
    access_id_of,
    is_signed,
    verify,
)


def routes(
    service: StorageService, keys: SigningKeys, *, anonymous_is_admin: bool = False
) -> list[BaseRoute]:
    """The routes of this surface; they match nothing that is not signed. To be put after all others.

    ``anonymous_is_admin``: development, where an object's public address is read without any signature,
    as in Google's emulator. There the bucket's name must have a dot, as default buckets' names do.
    """
    surface = _SignedUrls(service, keys)
    path, methods = "/{bucket}/{object:path}", ["GET", "HEAD", "PUT", "POST", "DELETE"]
    found: list[BaseRoute] = [_SignedRoute(path, endpoint(surface.handle), methods=methods)]
    if anonymous_is_admin:
        found.append(_PublicRoute(path, endpoint(surface.public), methods=["GET", "HEAD"]))
    return found


class _SignedRoute(Route):
    """A route whose path could be anybody's: only the signature tells."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if b"X-Goog-Signature=" not in scope.get("query_string", b""):
            return Match.NONE, {}
        return super().matches(scope)


class _PublicRoute(Route):
    """A route of buckets whose names have a dot, which hardly any other path begins with."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        _, bucket, name = (*scope["path"].split("/", 2), "", "")[:3]
        if "." not in bucket or not name:
            return Match.NONE, {}
        return super().matches(scope)


class _SignedUrls:
    def __init__(self, service: StorageService, keys: SigningKeys) -> None:
        self._service = service
        self._keys = keys
        self._uploads = ResumableUploads(service)

    async def handle(self, request: Request) -> Response:
        """Check the signature, then do what it allows."""
        path = raw_path(request)
        bucket, name = _names(path)
        principal = await self._signer(request, path, bucket)
        if request.method == "PUT":
            return await self._put(request, principal, bucket, name)
        if request.method == "POST":
            return await self._start(request, principal, bucket, name)
        generation = int_param(request, "generation")
        if request.method == "DELETE":
            await self._service.delete(principal, bucket, name, generation=generation)
            return Response(status_code=204)

        async def look() -> Download:
            return await self._service.download(principal, bucket, name, generation=generation)

        return await media_response(self._service, request, look, _overrides(request))

    async def public(self, request: Request) -> Response:
        """Answer an object by its public address."""
        bucket, name = _names(raw_path(request))

        async def look() -> Download:
            return await self._service.download(OWNER, bucket, name)

        return await media_response(self._service, request, look)

    async def _signer(self, request: Request, path: bytes, bucket: str) -> Principal:
        try:
            query = parse_qsl(
                request.scope["query_string"].decode(), keep_blank_values=True, errors="strict"
            )
            signed_path = path.decode("ascii")
        except (UnicodeDecodeError, ValueError):
            raise InvalidArgument("The address is not valid.") from None
        parameters = dict(query)
        if not is_signed(parameters):
            raise InvalidArgument("X-Goog-Algorithm is missing.")
        project = await self._service.buckets.project_of(bucket)
        access_id = access_id_of(parameters)
        keys = await self._keys.find(access_id)
        signed = SignedRequest(request.method, signed_path, query, dict(request.headers.items()))
        key = verify(signed, keys, dt.datetime.now(dt.UTC))
        if project is None or project != key.project:
            raise NotFound(f"The bucket {bucket} does not exist.")
        return Principal(
            PrincipalKind.SERVICE_ACCOUNT, uid=access_id, project=project, role=key.role
        )

    async def _put(
        self, request: Request, principal: Principal, bucket: str, name: str
    ) -> Response:
        wanted = self._wanted(request, bucket, name, request.headers.get("content-type"))
        stored = await self._service.upload(principal, wanted, body_stream(request))
        answer = {
            "ETag": f'"{stored.etag}"',
            "X-Goog-Generation": str(stored.generation),
            "X-Goog-Hash": f"crc32c={stored.crc32c_hash},md5={stored.md5_hash}",
        }
        return Response(status_code=200, headers=answer)

    async def _start(
        self, request: Request, principal: Principal, bucket: str, name: str
    ) -> Response:
        """Begin a resumable upload, which goes on at the address that is answered."""
        if request.headers.get("x-goog-resumable", "").lower() != "start":
            raise InvalidArgument("A signed POST begins an upload: x-goog-resumable is 'start'.")
        wanted = self._wanted(request, bucket, name, request.headers.get("content-type"))
        wanted = dataclasses.replace(
            wanted, size=int_header(request, "x-upload-content-length"), hashes=Hashes()
        )
        upload_id = await self._uploads.start(principal, wanted)
        return Response(
            status_code=201,
            headers={
                "Location": session_url(
                    own_address(request, self._service), bucket, name, upload_id
                ),
                "X-GUploader-UploadID": upload_id,
            },
        )

    def _wanted(
        self, request: Request, bucket: str, name: str, content_type: str | None
    ) -> UploadRequest:
        headers = request.headers
        given: dict[str, Any] = {
            "contentType": content_type,
            "contentEncoding": headers.get("content-encoding"),
            "contentDisposition": headers.get("content-disposition"),
            "cacheControl": headers.get("cache-control"),
            "metadata": {
                key.removeprefix("x-goog-meta-"): value
                for key, value in headers.items()
                if key.startswith("x-goog-meta-")
            },
        }
        return UploadRequest(
            bucket,
            name,
            read_settings(given, name, self._service.options),
            size=int_header(request, "content-length"),
            hashes=_md5_header(headers.get("content-md5")),
            preconditions=Preconditions(
                generation_match=int_header(request, "x-goog-if-generation-match")
            ),
            tokens=(),
        )


def _names(path: bytes) -> tuple[str, str]:
    bucket, _, name = path[1:].partition(b"/")
    return unescape(bucket, "bucket name"), unescape(name, "object name")


def _md5_header(value: str | None) -> Hashes:
    return Hashes() if value is None else Hashes(md5=read_digest("Content-MD5", value, 16))


_OVERRIDES = {
    "response-content-disposition": "Content-Disposition",
    "response-content-type": "Content-Type",
}


def _overrides(request: Request) -> dict[str, str]:
    """Headers of the answer that the signer chose. Active content is shown by none of them."""
    chosen = {
        header: request.query_params[parameter]
        for parameter, header in _OVERRIDES.items()
        if parameter in request.query_params
    }
    return {
        header: value.encode("latin-1", "replace").decode("latin-1")
        for header, value in chosen.items()
        if value.isprintable()
    }
