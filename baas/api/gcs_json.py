"""The subset of the Cloud Storage JSON API (v1) that the Admin SDKs use.

Buckets and objects under ``/storage/v1/b``, also as ``/b`` and ``/download/storage/v1/b``; uploads under
``/upload/storage/v1/b``. It is an API for admins: callers that rules decide about are refused.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from baas.access.principal import OWNER, Principal, PrincipalKind
from baas.api.gcs_glob import compile_glob
from baas.api.gcs_render import TOKENS_KEY, bucket_resource, object_resource
from baas.api.gcs_uploads import GcsUploads, read_upload_settings
from baas.api.http import JSONResponse
from baas.api.storage_media import media_response
from baas.api.storage_requests import (
    Authenticator,
    Handler,
    endpoint,
    int_param,
    json_body,
    own_address,
    preconditions_of,
    raw_path,
)
from baas.errors import InvalidArgument, NotFound, PermissionDenied, Unauthenticated, Unimplemented
from baas.storage.copying import Copies, Source
from baas.storage.downloads import Download
from baas.storage.lifecycle import read_lifecycle
from baas.storage.model import SETTINGS, Preconditions, StoredObject, UploadRequest
from baas.storage.object_rows import ListQuery
from baas.storage.service import StorageService

_BUCKET_SETTINGS = {
    "location",
    "storageClass",
    "labels",
    "lifecycle",
    "cors",
    "versioning",
    "iamConfiguration",
    "website",
    "defaultEventBasedHold",
}
_ATTACHED = {"Content-Disposition": "attachment"}
"""As Cloud Storage answers media through this API, whatever the object says."""
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def routes(
    service: StorageService, authenticate: Authenticator, *, anonymous_is_admin: bool = False
) -> list[BaseRoute]:
    """The routes of this surface.

    ``anonymous_is_admin``: development, where the Admin SDKs send no credentials at all.
    """
    surface = _CloudStorage(service, authenticate, anonymous_is_admin)
    found = []
    for prefix in ("/storage/v1", "/download/storage/v1", "/download", ""):
        found += [
            Route(f"{prefix}/b", endpoint(surface.buckets), methods=["GET", "POST"]),
            Route(f"{prefix}/b/{{rest:path}}", endpoint(surface.dispatch), methods=_METHODS),
        ]
    for prefix in ("/upload/storage/v1", "/resumable/upload/storage/v1", "/upload"):
        found.append(
            Route(
                f"{prefix}/b/{{bucket}}/o",
                endpoint(surface.upload),
                methods=["POST", "PUT", "DELETE"],
            )
        )
    return list(found)


class _CloudStorage:
    def __init__(
        self, service: StorageService, authenticate: Authenticator, anonymous_is_admin: bool
    ) -> None:
        self._service = service
        self._authenticate = authenticate
        self._anonymous_is_admin = anonymous_is_admin
        self._copies = Copies(service)
        self._uploads = GcsUploads(service)

    async def dispatch(self, request: Request) -> Response:
        """Find what the path is about: names are told by their escaped slashes."""
        parts = _path_parts(request)
        handler: Handler
        match parts:
            case [_]:
                handler = self._bucket
            case [_, "o"]:
                handler = self._objects
            case [_, "o", _]:
                handler = self._object
            case [_, "o", _, "compose"]:
                handler = self._compose
            case [_, "o", _, "moveTo", "o", _]:
                handler = self._move
            case [_, "o", _, "copyTo" | "rewriteTo", "b", _, "o", _]:
                handler = self._copy
            case [_, "o", _, "acl"] if self._anonymous_is_admin and request.method in (
                "GET",
                "POST",
            ):
                handler = self._acl
            case [_, "acl" | "defaultObjectAcl" | "iam" | "notificationConfigs", *_] | [
                _,
                "o",
                _,
                "acl" | "iam",
                *_,
            ]:
                raise Unimplemented(
                    "Access is decided by security rules; there are no access control lists."
                )
            case _:
                raise NotFound("There is nothing at this path.")
        return await handler(request)

    # Buckets

    async def buckets(self, request: Request) -> Response:
        """List and create."""
        project = request.query_params.get("project") or self._service.options.project
        await self._admin(request, project)
        if request.method == "GET":
            found = await self._service.buckets.list_all(project)
            items = [
                bucket_resource(bucket, own_address(request, self._service)) for bucket in found
            ]
            return JSONResponse({"kind": "storage#buckets", "items": items})
        body = await json_body(request, self._service.options.max_metadata_json_bytes)
        name = body.get("name")
        if not isinstance(name, str):
            raise InvalidArgument("The bucket's name is missing.")
        bucket = await self._service.buckets.create(name, project, _bucket_settings(body))
        return JSONResponse(bucket_resource(bucket, own_address(request, self._service)))

    async def _bucket(self, request: Request) -> Response:
        (name,) = _path_parts(request)
        await self._admin_of(request, name)
        buckets = self._service.buckets
        if request.method in ("GET", "HEAD"):
            return JSONResponse(
                bucket_resource(await buckets.get(name), own_address(request, self._service))
            )
        if request.method == "DELETE":
            await buckets.delete(name)
            return Response(status_code=204)
        body = await json_body(request, self._service.options.max_metadata_json_bytes)
        changed = await buckets.update(name, _bucket_settings(body))
        return JSONResponse(bucket_resource(changed, own_address(request, self._service)))

    # Objects

    async def _objects(self, request: Request) -> Response:
        bucket, _ = _path_parts(request)
        if request.method == "POST":
            return await self.upload(request)
        principal = await self._admin_of(request, bucket)
        params, limit = request.query_params, self._service.options.max_list_results
        asked = int_param(request, "maxResults")
        if asked is not None and asked < 1:
            raise InvalidArgument("'maxResults' is a number of 1 or more.")
        glob = params.get("matchGlob")
        page = await self._service.list(
            principal,
            ListQuery(
                bucket,
                prefix=params.get("prefix", ""),
                delimiter=params.get("delimiter", ""),
                page_token=params.get("pageToken"),
                max_results=min(asked or limit, limit),
                start=params.get("startOffset", ""),
                end=params.get("endOffset", ""),
                include_trailing_delimiter=params.get("includeTrailingDelimiter") == "true",
                chosen=compile_glob(glob) if glob else None,
            ),
        )
        answer: dict[str, Any] = {"kind": "storage#objects"}
        if page.items:
            answer["items"] = [
                object_resource(item, own_address(request, self._service)) for item in page.items
            ]
        if page.prefixes:
            answer["prefixes"] = page.prefixes
        if page.next_page_token is not None:
            answer["nextPageToken"] = page.next_page_token
        return JSONResponse(answer)

    async def _object(self, request: Request) -> Response:
        bucket, _, name = _path_parts(request)
        principal = await self._admin_of(request, bucket)
        preconditions, generation = preconditions_of(request), int_param(request, "generation")
        if request.method in ("GET", "HEAD"):
            return await self._get(request, principal, bucket, name, preconditions, generation)
        if request.method == "DELETE":
            await self._service.delete(principal, bucket, name, preconditions, generation)
            return Response(status_code=204)
        if request.method not in ("PATCH", "PUT"):
            raise NotFound("There is nothing to do this way at this path.")
        patch = await json_body(request, self._service.options.max_metadata_json_bytes)
        return await self._amend(request, principal, bucket, name, patch, preconditions)

    async def _get(
        self,
        request: Request,
        principal: Principal,
        bucket: str,
        name: str,
        preconditions: Preconditions,
        generation: int | None,
    ) -> Response:
        media = raw_path(request).startswith(b"/download/")
        if media or request.query_params.get("alt") == "media":

            async def look() -> Download:
                return await self._service.download(
                    principal, bucket, name, preconditions=preconditions, generation=generation
                )

            return await media_response(self._service, request, look, _ATTACHED)
        stored = await self._service.get(
            principal, bucket, name, preconditions=preconditions, generation=generation
        )
        return self._answer(request, stored)

    async def _amend(
        self,
        request: Request,
        principal: Principal,
        bucket: str,
        name: str,
        patch: dict[str, Any],
        preconditions: Preconditions,
    ) -> Response:
        custom = patch.get("metadata")
        tokens: Any = None
        if isinstance(custom, dict) and TOKENS_KEY in custom:
            custom = dict(custom)
            tokens = custom.pop(TOKENS_KEY)
            patch = {**patch, "metadata": custom}
        stored = await self._service.update(principal, bucket, name, patch, preconditions)
        if isinstance(tokens, str) and tokens != ",".join(stored.tokens):
            wanted = tuple(token.strip() for token in tokens.split(",") if token.strip())
            stored = await self._service.tokens.set(principal, bucket, name, wanted)
        return self._answer(request, stored)

    async def _acl(self, request: Request) -> Response:
        """``makePublic`` and its like, in development: it succeeds and has no effect, as in Google's
        emulator."""
        bucket, _, name, _ = _path_parts(request)
        principal = await self._admin_of(request, bucket)
        stored = await self._service.get(principal, bucket, name)
        if request.method == "GET":
            return JSONResponse({"kind": "storage#objectAccessControls", "items": []})
        body = await json_body(request, self._service.options.max_metadata_json_bytes)
        where = f"storage/v1/b/{quote(bucket)}/o/{quote(name, safe='')}/acl/{body.get('entity')}"
        return JSONResponse(
            {
                "kind": "storage#objectAccessControl",
                "id": f"{bucket}/{name}/{stored.generation}/{body.get('entity')}",
                "bucket": bucket,
                "object": name,
                "generation": str(stored.generation),
                "entity": body.get("entity"),
                "role": body.get("role"),
                "selfLink": f"{own_address(request, self._service)}/{where}",
                "etag": stored.etag,
            }
        )

    async def _compose(self, request: Request) -> Response:
        bucket, _, name, _ = _path_parts(request)
        principal = await self._admin_of(request, bucket)
        body = await json_body(request, self._service.options.max_metadata_json_bytes)
        listed = body.get("sourceObjects")
        if not isinstance(listed, list):
            raise InvalidArgument("'sourceObjects' is a list.")
        sources = [_source(bucket, item) for item in listed]
        settings, tokens = read_upload_settings(
            body.get("destination") or {}, name, self._service.options, guess=False
        )
        wanted = UploadRequest(
            bucket, name, settings, preconditions=preconditions_of(request), tokens=tokens
        )
        return self._answer(request, await self._copies.compose(principal, sources, wanted))

    async def _move(self, request: Request) -> Response:
        bucket, _, name, _, _, to_name = _path_parts(request)
        principal = await self._admin_of(request, bucket)
        stored = await self._copies.move(
            principal, _source_of(request, bucket, name), to_name, preconditions_of(request)
        )
        return self._answer(request, stored)

    async def _copy(self, request: Request) -> Response:
        bucket, _, name, verb, _, to_bucket, _, to_name = _path_parts(request)
        principal = await self._admin_of(request, bucket)
        await self._admin_of(request, to_bucket)
        if "rewriteToken" in request.query_params:
            raise Unimplemented("There are no rewrite tokens: one request rewrites all of it.")
        body = await json_body(request, self._service.options.max_metadata_json_bytes)
        source = _source_of(request, bucket, name)
        wanted = None
        if any(key in body for key in (*SETTINGS, "metadata")):
            settings, tokens = read_upload_settings(body, to_name, self._service.options)
            wanted = (settings, tokens)
        stored = await self._copies.copy(
            principal, source, to_bucket, to_name, wanted, preconditions_of(request)
        )
        if verb == "copyTo":
            return self._answer(request, stored)
        return JSONResponse(
            {
                "kind": "storage#rewriteResponse",
                "totalBytesRewritten": str(stored.size),
                "objectSize": str(stored.size),
                "done": True,
                "resource": object_resource(stored, own_address(request, self._service)),
            }
        )

    # Uploads

    async def upload(self, request: Request) -> Response:
        """Insert an object, in one request or resumably."""
        parts = _path_parts(request)
        upload_id = request.query_params.get("upload_id")
        answer: StoredObject | Response
        if upload_id is not None:
            answer = await self._uploads.go_on(request, upload_id)
        else:
            principal = await self._admin_of(request, parts[0])
            answer = await self._uploads.handle(request, principal, parts[0])
        return self._answer(request, answer) if isinstance(answer, StoredObject) else answer

    def _answer(self, request: Request, stored: StoredObject) -> Response:
        return JSONResponse(object_resource(stored, own_address(request, self._service)))

    # Who

    async def _admin_of(self, request: Request, bucket: str) -> Principal:
        project = await self._service.buckets.project_of(bucket)
        if project is None:
            await self._admin(request, self._service.options.project)
            raise NotFound(f"The specified bucket {bucket} does not exist.")
        return await self._admin(request, project)

    async def _admin(self, request: Request, project: str) -> Principal:
        principal = await self._authenticate(request.headers.get("authorization"), project)
        if principal.bypasses_rules:
            if principal.project not in (None, project):
                raise PermissionDenied("The service account belongs to another project.")
            return principal
        if principal.kind is PrincipalKind.ANONYMOUS:
            if self._anonymous_is_admin:
                return OWNER
            raise Unauthenticated("This API wants a service account's access token.")
        raise PermissionDenied("This API is for service accounts; apps use the Firebase one.")


def _path_parts(request: Request) -> list[str]:
    """The path after ``/b/``, split at its own slashes and decoded."""
    _, _, rest = raw_path(request).partition(b"/b/")
    try:
        return [unquote_to_bytes(part).decode() for part in rest.split(b"/")]
    except UnicodeDecodeError:
        raise InvalidArgument("The path is not valid UTF-8.") from None


def _bucket_settings(body: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a bucket's resource.

    Raises:
        InvalidArgument: its lifecycle is not one that can be carried out.
    """
    read_lifecycle(body.get("lifecycle"))
    return {key: value for key, value in body.items() if key in _BUCKET_SETTINGS}


def _source_of(request: Request, bucket: str, name: str) -> Source:
    """The source of a copy or move, with the conditions on it."""
    return Source(
        bucket,
        name,
        int_param(request, "sourceGeneration"),
        Preconditions(
            int_param(request, "ifSourceGenerationMatch"),
            int_param(request, "ifSourceGenerationNotMatch"),
            int_param(request, "ifSourceMetagenerationMatch"),
            int_param(request, "ifSourceMetagenerationNotMatch"),
        ),
    )


def _source(bucket: str, item: Any) -> Source:
    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(name, str):
        raise InvalidArgument("Each of 'sourceObjects' has a 'name'.")
    conditions = item.get("objectPreconditions")
    wanted = conditions.get("ifGenerationMatch") if isinstance(conditions, dict) else None
    try:
        generation = None if item.get("generation") is None else int(item["generation"])
        match = None if wanted is None else int(wanted)
    except (TypeError, ValueError):
        raise InvalidArgument("A generation is a number.") from None
    return Source(bucket, name, generation, Preconditions(generation_match=match))
