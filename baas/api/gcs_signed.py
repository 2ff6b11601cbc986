"""Signed URLs, ``/BUCKET/OBJECT?X-Goog-Signature=…``: downloads (GET, HEAD) and uploads (PUT)."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from baas.access.principal import Principal, PrincipalKind
from baas.api.storage_media import media_response
from baas.api.storage_requests import body_stream, endpoint, int_header, raw_path, unescape
from baas.errors import InvalidArgument, NotFound
from baas.storage.downloads import Download
from baas.storage.model import Hashes, Preconditions, UploadRequest
from baas.storage.service import StorageService
from baas.storage.settings_input import read_digest, read_settings
from baas.storage.signed_urls import (
    SignedRequest,
    SigningKeys,
    access_id_of,
    is_signed,
    verify,
)


def routes(service: StorageService, keys: SigningKeys) -> list[BaseRoute]:
    """The routes of this surface; they match nothing that is not signed. To be put after all others."""
    surface = _SignedUrls(service, keys)
    return [
        _SignedRoute(
            "/{bucket}/{object:path}", endpoint(surface.handle), methods=["GET", "HEAD", "PUT"]
        )
    ]


class _SignedRoute(Route):
    """A route whose path could be anybody's: only the signature tells."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if b"X-Goog-Signature=" not in scope.get("query_string", b""):
            return Match.NONE, {}
        return super().matches(scope)


class _SignedUrls:
    def __init__(self, service: StorageService, keys: SigningKeys) -> None:
        self._service = service
        self._keys = keys

    async def handle(self, request: Request) -> Response:
        """Check the signature, then do what it allows."""
        path = raw_path(request)
        bucket_part, _, object_part = path[1:].partition(b"/")
        bucket, name = unescape(bucket_part, "bucket name"), unescape(object_part, "object name")
        principal = await self._signer(request, path, bucket)
        if request.method == "PUT":
            return await self._put(request, principal, bucket, name)

        async def look() -> Download:
            return await self._service.download(principal, bucket, name)

        return await media_response(self._service, request, look, _overrides(request))

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
        headers = request.headers
        given: dict[str, Any] = {
            "contentType": headers.get("content-type"),
            "contentEncoding": headers.get("content-encoding"),
            "contentDisposition": headers.get("content-disposition"),
            "cacheControl": headers.get("cache-control"),
            "metadata": {
                key.removeprefix("x-goog-meta-"): value
                for key, value in headers.items()
                if key.startswith("x-goog-meta-")
            },
        }
        wanted = UploadRequest(
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
        stored = await self._service.upload(principal, wanted, body_stream(request))
        answer = {
            "ETag": f'"{stored.etag}"',
            "X-Goog-Generation": str(stored.generation),
            "X-Goog-Hash": f"crc32c={stored.crc32c_hash},md5={stored.md5_hash}",
        }
        return Response(status_code=200, headers=answer)


def _md5_header(value: str | None) -> Hashes:
    return Hashes() if value is None else Hashes(md5=read_digest("Content-MD5", value, 16))


def _overrides(request: Request) -> dict[str, str]:
    """Headers of the answer that the signer chose. Active content is shown by none of them."""
    chosen = request.query_params.get("response-content-disposition")
    if chosen is None or not chosen.lower().startswith("attachment") or not chosen.isprintable():
        return {}
    return {"Content-Disposition": chosen.encode("latin-1", "replace").decode("latin-1")}
