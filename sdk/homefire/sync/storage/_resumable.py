"""The protocol of resumable uploads: begin, send a chunk, ask how far it came, give up. One request each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from homefire._transport.messages import HttpResponse, TransportError, json_request
from homefire.errors import StorageError
from homefire.storage._encoding import quoted
from homefire.storage._errors import error_of, network_error
from homefire.storage._metadata import (
    FullMetadata,
    SettableMetadata,
    from_wire,
    upload_resource,
)
from homefire.sync.storage._storage import StorageReference, decode_resource

_STATUS = "x-goog-upload-status"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an upload is: the bytes that the server has, and the object once it is one."""

    received: int
    metadata: FullMetadata | None = None


def start(
    reference: StorageReference, size: int | None, metadata: SettableMetadata | None
) -> str:
    """Begin an upload; answers its address."""
    resource = upload_resource(reference.full_path, metadata)
    url = f"{reference._objects_url()}?name={quoted(reference.full_path)}"
    request = json_request("POST", url, resource)
    headers = {
        **request.headers,
        "X-Goog-Upload-Header-Content-Type": str(resource["contentType"]),
    }
    if size is not None:
        headers["X-Goog-Upload-Header-Content-Length"] = str(size)
    response = _command(reference, url, "start", headers, request.content)
    session = response.headers.get("x-goog-upload-url")
    if not session:
        raise StorageError(
            "storage/unknown", "The server gave no address to upload to."
        )
    return session


def send(
    reference: StorageReference, session: str, chunk: bytes, offset: int, *, last: bool
) -> Standing:
    """Send a chunk. One at a wrong place is not taken: the answer tells how far the upload is."""
    headers = {
        "X-Goog-Upload-Offset": str(offset),
        "Content-Type": "application/octet-stream",
    }
    command = "upload, finalize" if last else "upload"
    return _standing(_command(reference, session, command, headers, chunk))


def query(reference: StorageReference, session: str) -> Standing:
    """Ask how far the upload is."""
    return _standing(_command(reference, session, "query"))


def abandon(reference: StorageReference, session: str) -> None:
    """Tell the server that no more will come, so that it frees what came."""
    _command(reference, session, "cancel")


def _command(
    reference: StorageReference,
    url: str,
    command: str,
    headers: Mapping[str, str] | None = None,
    content: bytes = b"",
) -> HttpResponse:
    said = {
        **(headers or {}),
        "X-Goog-Upload-Protocol": "resumable",
        "X-Goog-Upload-Command": command,
    }
    try:
        response = reference.storage._send("POST", url, said, content)
    except TransportError as error:
        raise network_error(error) from error
    if response.ok or response.headers.get(_STATUS) == "active":
        return response
    raise error_of(response, reference.full_path)


def _standing(response: HttpResponse) -> Standing:
    status = response.headers.get(_STATUS)
    if status == "final":
        metadata = from_wire(decode_resource(response))
        return Standing(metadata.size, metadata)
    received = response.headers.get("x-goog-upload-size-received", "")
    if status != "active" or not received.isdigit():
        raise StorageError(
            "storage/unknown", "The server does not say how far the upload came."
        )
    return Standing(int(received))
