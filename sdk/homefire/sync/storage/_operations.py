"""What can be done with objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict
from urllib.parse import urlencode

from homefire._transport.messages import json_request
from homefire.errors import StorageError
from homefire.storage._encoding import (
    Data,
    StringFormat,
    decode_string,
    multipart_related,
    quoted,
    read_data,
)
from homefire.storage._metadata import (
    FullMetadata,
    SettableMetadata,
    from_wire,
    to_wire,
    upload_resource,
)
from homefire.sync.storage._storage import StorageReference, decode_resource

LIST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class UploadResult:
    """An upload that is done."""

    ref: StorageReference
    metadata: FullMetadata

    @property
    def total_bytes(self) -> int:
        """The object's size."""
        return self.metadata.size


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


def upload_bytes(
    reference: StorageReference, data: Data, metadata: SettableMetadata | None = None
) -> UploadResult:
    """Upload an object in one request.

    Without a ``content_type`` in the metadata the name's extension decides. Raises
    ``storage/unauthorized``, ``storage/quota-exceeded``, ...
    """
    reference._object_url("upload_bytes")
    content = read_data(data)
    resource = upload_resource(reference.full_path, metadata)
    content_type, body = multipart_related(resource, content)
    response = reference.storage._call(
        "POST",
        f"{reference._objects_url()}?name={quoted(reference.full_path)}",
        reference.full_path,
        headers={"X-Goog-Upload-Protocol": "multipart", "Content-Type": content_type},
        content=body,
    )
    return UploadResult(reference, from_wire(decode_resource(response)))


def upload_string(
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
    return upload_bytes(reference, content, chosen)


def get_download_url(reference: StorageReference) -> str:
    """An address from which anybody may download the object, until its token is revoked."""
    url = reference._object_url("get_download_url")
    response = reference.storage._call("GET", url, reference.full_path)
    tokens = from_wire(decode_resource(response)).download_tokens
    if not tokens:
        raise StorageError(
            "storage/no-download-url", "The object has no download token."
        )
    return f"{url}?{urlencode({'alt': 'media', 'token': tokens[0]})}"


def get_bytes(
    reference: StorageReference, max_download_size_bytes: int | None = None
) -> bytes:
    """An object's content, of it no more than ``max_download_size_bytes``."""
    url = f"{reference._object_url('get_bytes')}?alt=media"
    headers = {}
    if max_download_size_bytes is not None:
        if max_download_size_bytes < 1:
            raise StorageError("storage/invalid-argument", "Ask for one byte at least.")
        headers["Range"] = f"bytes=0-{max_download_size_bytes - 1}"
    response = reference.storage._call("GET", url, reference.full_path, headers=headers)
    return response.content[:max_download_size_bytes]


def get_metadata(reference: StorageReference) -> FullMetadata:
    """All that is known of an object."""
    url = reference._object_url("get_metadata")
    response = reference.storage._call("GET", url, reference.full_path)
    return from_wire(decode_resource(response))


def update_metadata(
    reference: StorageReference, metadata: SettableMetadata
) -> FullMetadata:
    """Change an object's metadata; what is not given stays, ``None`` removes."""
    url = reference._object_url("update_metadata")
    request = json_request("PATCH", url, to_wire(metadata))
    response = reference.storage._call(
        "PATCH",
        url,
        reference.full_path,
        headers=request.headers,
        content=request.content,
    )
    return from_wire(decode_resource(response))


def delete_object(reference: StorageReference) -> None:
    """Delete an object; raises ``storage/object-not-found`` where there is none."""
    url = reference._object_url("delete_object")
    reference.storage._call("DELETE", url, reference.full_path, attempts=1)


def list_(
    reference: StorageReference, options: ListOptions | None = None
) -> ListResult:
    """One page of what lies directly below a place."""
    options = options or {}
    max_results, page_token = options.get("max_results"), options.get("page_token")
    if max_results is not None and not 1 <= max_results <= LIST_PAGE:
        raise StorageError(
            "storage/invalid-argument", f"max_results is 1 to {LIST_PAGE}."
        )
    asked = {
        "prefix": f"{reference.full_path}/" if reference.full_path else "",
        "delimiter": "/",
    }
    if max_results is not None:
        asked["maxResults"] = str(max_results)
    if page_token is not None:
        asked["pageToken"] = page_token
    url = f"{reference._objects_url()}?{urlencode(asked)}"
    response = reference.storage._call(
        "GET", url, reference.full_path or reference.bucket
    )
    page = decode_resource(response)
    return ListResult(
        tuple(
            _below(reference, prefix.rstrip("/"))
            for prefix in page.get("prefixes") or ()
        ),
        tuple(_below(reference, item["name"]) for item in page.get("items") or ()),
        page.get("nextPageToken") or None,
    )


def list_all(reference: StorageReference) -> ListResult:
    """All that lies directly below a place, page after page."""
    prefixes: tuple[StorageReference, ...] = ()
    items: tuple[StorageReference, ...] = ()
    token: str | None = None
    while True:
        page = list_(reference, {"max_results": LIST_PAGE, "page_token": token})
        prefixes, items, token = (
            prefixes + page.prefixes,
            items + page.items,
            page.next_page_token,
        )
        if token is None:
            return ListResult(prefixes, items)


def _below(reference: StorageReference, path: str) -> StorageReference:
    return StorageReference(reference.storage, reference.bucket, path)
