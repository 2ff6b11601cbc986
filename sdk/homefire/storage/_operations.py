"""What can be done with objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict
from urllib.parse import urlencode

from homefire._transport.messages import json_request
from homefire.errors import StorageError
from homefire.storage._encoding import (
    Data,
    StringFormat,
    content_type_of,
    decode_string,
    multipart_related,
    quoted,
    read_data,
)
from homefire.storage._metadata import FullMetadata, SettableMetadata, from_wire, to_wire
from homefire.storage._storage import ATTEMPTS, StorageReference, decode_resource, pause

LIST_PAGE = 1000
CHUNK = 256 * 1024
"""Resumable uploads are sent in multiples of this many bytes."""


@dataclass(frozen=True, slots=True)
class UploadResult:
    """An upload that is done."""

    ref: StorageReference
    metadata: FullMetadata

    @property
    def total_bytes(self) -> int:
        """The object's size."""
        return self.metadata.size


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How far a resumable upload has come, in bytes."""

    bytes_transferred: int
    total_bytes: int


class ListOptions(TypedDict, total=False):
    """How many results at the most (1 to 1000), and from where on."""

    max_results: int | None
    page_token: str | None


@dataclass(frozen=True, slots=True)
class ListResult:
    """Objects and prefixes directly below a place."""

    prefixes: tuple[StorageReference, ...]
    items: tuple[StorageReference, ...]
    next_page_token: str | None = None


async def upload_bytes(
    reference: StorageReference, data: Data, metadata: SettableMetadata | None = None
) -> UploadResult:
    """Upload an object in one request.

    Without a ``content_type`` in the metadata the name's extension decides. Raises
    ``storage/unauthorized``, ``storage/quota-exceeded``, ...
    """
    reference._object_url("upload_bytes")
    content = read_data(data)
    resource = _resource(reference, metadata)
    content_type, body = multipart_related(resource, content)
    response = await reference.storage._call(
        "POST",
        f"{reference._objects_url()}?name={quoted(reference.full_path)}",
        reference.full_path,
        headers={"X-Goog-Upload-Protocol": "multipart", "Content-Type": content_type},
        content=body,
    )
    return UploadResult(reference, from_wire(decode_resource(response)))


async def upload_string(
    reference: StorageReference,
    value: str,
    string_format: StringFormat = "raw",
    metadata: SettableMetadata | None = None,
) -> UploadResult:
    """Upload text as it is, or bytes written as base64, base64url or a data URL."""
    content, content_type = decode_string(value, string_format)
    chosen: SettableMetadata = {**metadata} if metadata else {}
    if content_type and not chosen.get("content_type"):
        chosen["content_type"] = content_type
    return await upload_bytes(reference, content, chosen)


async def upload_bytes_resumable(
    reference: StorageReference,
    data: Data,
    metadata: SettableMetadata | None = None,
    *,
    on_progress: Callable[[UploadProgress], object] | None = None,
    chunk_size: int = 8 * CHUNK,
) -> UploadResult:
    """Upload an object in chunks; a chunk that is lost on the way is sent again, not the whole.

    ``on_progress`` is called after each chunk. ``chunk_size`` is rounded up to a multiple of 256 KiB.
    """
    reference._object_url("upload_bytes_resumable")
    content = read_data(data)
    session = await _start_session(reference, content, metadata)
    size = max(CHUNK, -(-chunk_size // CHUNK) * CHUNK)
    offset, failures = 0, 0
    while True:
        chunk = content[offset : offset + size]
        last = offset + len(chunk) >= len(content)
        try:
            resource = await _send_chunk(reference, session, chunk, offset, last=last)
        except StorageError as error:
            failures += 1
            if error.code != "storage/retry-limit-exceeded" or failures >= ATTEMPTS:
                raise
            await pause(failures)
            received = await _received(reference, session)
            if received is None:
                return UploadResult(reference, await get_metadata(reference))
            offset = received
            continue
        offset, failures = offset + len(chunk), 0
        if on_progress is not None:
            on_progress(UploadProgress(offset, len(content)))
        if last:
            return UploadResult(reference, from_wire(resource))


async def _start_session(
    reference: StorageReference, content: bytes, metadata: SettableMetadata | None
) -> str:
    resource = _resource(reference, metadata)
    url = f"{reference._objects_url()}?name={quoted(reference.full_path)}"
    request = json_request("POST", url, resource)
    response = await reference.storage._call(
        "POST",
        url,
        reference.full_path,
        headers={
            **request.headers,
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(len(content)),
            "X-Goog-Upload-Header-Content-Type": str(resource["contentType"]),
        },
        content=request.content,
    )
    session = response.headers.get("x-goog-upload-url")
    if not session:
        raise StorageError("storage/unknown", "The server gave no address to upload to.")
    return session


async def _send_chunk(
    reference: StorageReference, session: str, chunk: bytes, offset: int, *, last: bool
) -> dict[str, Any]:
    """Send one chunk; returns the object's resource after the last one."""
    response = await reference.storage._call(
        "POST",
        session,
        reference.full_path,
        headers={
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "upload, finalize" if last else "upload",
            "X-Goog-Upload-Offset": str(offset),
            "Content-Type": "application/octet-stream",
        },
        content=chunk,
        attempts=1,
    )
    status = response.headers.get("x-goog-upload-status", "final" if last else "active")
    if status != ("final" if last else "active"):
        raise StorageError("storage/unknown", f"The upload is {status} before its time.")
    return decode_resource(response) if last else {}


async def _received(reference: StorageReference, session: str) -> int | None:
    """How many bytes of an upload have arrived; ``None`` if it is done."""
    headers = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "query"}
    response = await reference.storage._call("POST", session, reference.full_path, headers=headers)
    status = response.headers.get("x-goog-upload-status")
    if status == "final":
        return None
    received = response.headers.get("x-goog-upload-size-received", "")
    if status != "active" or not received.isdigit():
        raise StorageError("storage/unknown", "The server does not say how far the upload came.")
    return int(received)


async def get_download_url(reference: StorageReference) -> str:
    """An address from which anybody may download the object, until its token is revoked."""
    url = reference._object_url("get_download_url")
    response = await reference.storage._call("GET", url, reference.full_path)
    tokens = from_wire(decode_resource(response)).download_tokens
    if not tokens:
        raise StorageError("storage/no-download-url", "The object has no download token.")
    return f"{url}?{urlencode({'alt': 'media', 'token': tokens[0]})}"


async def get_bytes(
    reference: StorageReference, max_download_size_bytes: int | None = None
) -> bytes:
    """An object's content, of it no more than ``max_download_size_bytes``."""
    url = f"{reference._object_url('get_bytes')}?alt=media"
    headers = {}
    if max_download_size_bytes is not None:
        if max_download_size_bytes < 1:
            raise StorageError("storage/invalid-argument", "Ask for one byte at least.")
        headers["Range"] = f"bytes=0-{max_download_size_bytes - 1}"
    response = await reference.storage._call("GET", url, reference.full_path, headers=headers)
    return response.content[:max_download_size_bytes]


async def get_metadata(reference: StorageReference) -> FullMetadata:
    """All that is known of an object."""
    url = reference._object_url("get_metadata")
    response = await reference.storage._call("GET", url, reference.full_path)
    return from_wire(decode_resource(response))


async def update_metadata(reference: StorageReference, metadata: SettableMetadata) -> FullMetadata:
    """Change an object's metadata; what is not given stays, ``None`` removes."""
    url = reference._object_url("update_metadata")
    request = json_request("PATCH", url, to_wire(metadata))
    response = await reference.storage._call(
        "PATCH", url, reference.full_path, headers=request.headers, content=request.content
    )
    return from_wire(decode_resource(response))


async def delete_object(reference: StorageReference) -> None:
    """Delete an object; raises ``storage/object-not-found`` where there is none."""
    url = reference._object_url("delete_object")
    await reference.storage._call("DELETE", url, reference.full_path, attempts=1)


async def list_(reference: StorageReference, options: ListOptions | None = None) -> ListResult:
    """One page of what lies directly below a place."""
    options = options or {}
    max_results, page_token = options.get("max_results"), options.get("page_token")
    if max_results is not None and not 1 <= max_results <= LIST_PAGE:
        raise StorageError("storage/invalid-argument", f"max_results is 1 to {LIST_PAGE}.")
    asked = {"prefix": f"{reference.full_path}/" if reference.full_path else "", "delimiter": "/"}
    if max_results is not None:
        asked["maxResults"] = str(max_results)
    if page_token is not None:
        asked["pageToken"] = page_token
    url = f"{reference._objects_url()}?{urlencode(asked)}"
    response = await reference.storage._call("GET", url, reference.full_path or reference.bucket)
    page = decode_resource(response)
    return ListResult(
        tuple(_below(reference, prefix.rstrip("/")) for prefix in page.get("prefixes") or ()),
        tuple(_below(reference, item["name"]) for item in page.get("items") or ()),
        page.get("nextPageToken") or None,
    )


async def list_all(reference: StorageReference) -> ListResult:
    """All that lies directly below a place, page after page."""
    prefixes: tuple[StorageReference, ...] = ()
    items: tuple[StorageReference, ...] = ()
    token: str | None = None
    while True:
        page = await list_(reference, {"max_results": LIST_PAGE, "page_token": token})
        prefixes, items, token = prefixes + page.prefixes, items + page.items, page.next_page_token
        if token is None:
            return ListResult(prefixes, items)


def _below(reference: StorageReference, path: str) -> StorageReference:
    return StorageReference(reference.storage, reference.bucket, path)


def _resource(reference: StorageReference, metadata: SettableMetadata | None) -> dict[str, Any]:
    resource = {"name": reference.full_path, **to_wire(metadata)}
    if not resource.get("contentType"):
        resource["contentType"] = content_type_of(reference.name)
    return resource
