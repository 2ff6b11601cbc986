"""Data that comes as text, bodies of several parts, and names in URLs."""

from __future__ import annotations

import base64
import binascii
import json
import mimetypes
import secrets
from typing import Any, BinaryIO, Literal, TypeAlias
from urllib.parse import quote, unquote_to_bytes

from homefire.errors import StorageError

StringFormat: TypeAlias = Literal["raw", "base64", "base64url", "data_url"]
Data: TypeAlias = bytes | bytearray | memoryview | BinaryIO

DEFAULT_TYPE = "application/octet-stream"


def read_data(data: Data) -> bytes:
    """The bytes to upload; an open binary file is read to its end."""
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    content = data.read() if hasattr(data, "read") else None
    if not isinstance(content, bytes):
        raise StorageError(
            "storage/invalid-argument", "Upload bytes, or a file that was opened in binary mode."
        )
    return content


def decode_string(value: str, string_format: StringFormat) -> tuple[bytes, str | None]:
    """The bytes of a string in some format, and the content type that it tells of itself."""
    match string_format:
        case "raw":
            return value.encode("utf-8"), None
        case "base64":
            return _base64(value, b"+/", string_format), None
        case "base64url":
            return _base64(value, b"-_", string_format), None
        case "data_url":
            return _data_url(value)
    raise StorageError("storage/invalid-argument", f"Unknown string format: {string_format!r}.")


def content_type_of(name: str) -> str:
    """The content type that a name's extension suggests."""
    return mimetypes.guess_type(name, strict=False)[0] or DEFAULT_TYPE


def multipart_related(resource: dict[str, Any], content: bytes) -> tuple[str, bytes]:
    """A body of an object resource and its content; returns the body's content type and the body."""
    boundary = secrets.token_hex(16)
    head = (
        f"--{boundary}\r\nContent-Type: application/json; charset=utf-8\r\n\r\n"
        f"{json.dumps(resource, ensure_ascii=False)}\r\n"
        f"--{boundary}\r\nContent-Type: {resource.get('contentType') or DEFAULT_TYPE}\r\n\r\n"
    )
    tail = f"\r\n--{boundary}--"
    body = head.encode("utf-8") + content + tail.encode("ascii")
    return f"multipart/related; boundary={boundary}", body


def quoted(text: str) -> str:
    """A name as one segment of a URL."""
    return quote(text, safe="")


def _base64(value: str, altchars: bytes, string_format: str) -> bytes:
    try:
        if altchars == b"-_" and ("+" in value or "/" in value):
            raise ValueError("'+' and '/' are of the other alphabet")
        padded = value + "=" * (-len(value) % 4)
        return base64.b64decode(padded, altchars=altchars, validate=True)
    except (binascii.Error, ValueError) as error:
        raise StorageError(
            "storage/invalid-format", f"Not valid {string_format}: {error}."
        ) from error


def _data_url(value: str) -> tuple[bytes, str | None]:
    head, comma, rest = value.partition(",")
    if not head.startswith("data:") or not comma:
        raise StorageError(
            "storage/invalid-format", "A data URL reads 'data:[<mediatype>][;base64],<data>'."
        )
    media_type = head.removeprefix("data:")
    if media_type.endswith(";base64"):
        content = _base64(unquote_to_bytes(rest).decode("ascii", "replace"), b"+/", "data_url")
        return content, media_type.removesuffix(";base64") or None
    return unquote_to_bytes(rest), media_type or None
