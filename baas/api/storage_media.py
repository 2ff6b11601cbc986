"""Objects' bytes as HTTP answers: ranges, conditions, and headers that keep content from running as ours."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from baas.api.storage_ranges import (
    ByteRange,
    http_date,
    not_modified,
    parse_range,
    range_applies,
)
from baas.api.storage_transcoding import decompressed, must_decompress
from baas.storage.downloads import Download
from baas.storage.model import StoredObject
from baas.storage.service import StorageService

log = logging.getLogger(__name__)

SEND_TIMEOUT = 60.0
"""Seconds that a client may take no byte of what is sent to it."""

# what a browser would run in a page of its own: HTML, anything of XML (SVG, XSLT), and pages in parts
_ACTIVE = re.compile(r"(?i)\s*(text/html|text/xml|application/xml|text/xsl|[^;]*\+xml|multipart/)")
_REDIRECTED = ("Content-Type", "Content-Disposition", "Content-Encoding", "Content-Language")
"""What the blob backend is told to answer with."""
_POLICY = (
    "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'"
)


class StreamResponse(Response):
    """A body from an iterator, which is closed whatever happens; ``length`` where it is known."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        length: int | None,
        status: int,
        headers: Mapping[str, str],
    ) -> None:
        self._chunks = chunks
        self._length = length
        super().__init__(None, status, dict(headers))
        if length is None:
            del self.headers["content-length"]
        else:
            self.headers["content-length"] = str(length)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            start = {"type": "http.response.start", "status": self.status_code}
            await send({**start, "headers": self.raw_headers})
            left = self._length  # where it is known, the last piece is known to be the last
            async for chunk in self._chunks:
                left = None if left is None else left - len(chunk)
                async with asyncio.timeout(SEND_TIMEOUT):
                    await send(
                        {"type": "http.response.body", "body": chunk, "more_body": left != 0}
                    )
                if left == 0:
                    return
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            # leaving without the last piece makes the server cut the connection: the client sees it
            log.info("a download was cut: its client took nothing for %g s", SEND_TIMEOUT)
            raise ConnectionAbortedError("the client is too slow") from None
        finally:
            await cast(Any, self._chunks).aclose()


async def media_response(
    service: StorageService, request: Request, look: Any, extra: Mapping[str, str] | None = None
) -> Response:
    """Answer with an object's bytes: all, a range, none of them (HEAD, 304), or where they are (302).

    ``look``: an asynchronous function that finds the :class:`Download`, again if it has to.

    Raises:
        PreconditionFailed, RangeNotSatisfiable; whatever ``look`` raises.
    """
    wanted: list[ByteRange | None] = [None]

    def start_end(download: Download) -> tuple[int, int]:
        stored = download.stored
        wanted[0] = None
        if must_decompress(
            stored, request.headers
        ):  # there are no ranges of what is made on the way
            return 0, stored.size
        if range_applies(request.headers.get("if-range"), stored.etag, stored.updated):
            wanted[0] = parse_range(request.headers.get("range"), stored.size)
        return (wanted[0].start, wanted[0].end) if wanted[0] else (0, stored.size)

    if request.method == "HEAD" or _conditional(request) or service.options.presigned_downloads:
        download: Download = await look()
        headers = _headers(download.stored, request, extra)
        if not_modified(request.headers, download.stored.etag, download.stored.updated):
            return Response(status_code=304, headers=_without_content(headers))
        if request.method == "HEAD":
            start, end = start_end(download)
            status = _describe_range(headers, wanted[0], download.stored.size)
            response = Response(status_code=status, headers=headers)
            if must_decompress(download.stored, request.headers):
                del response.headers["content-length"]
            else:
                response.headers["content-length"] = str(end - start)
            return response
        redirect = await _redirect(service, download, headers)
        if redirect is not None:
            return redirect
    download, chunks = await service.open(look, start_end)
    start, end = start_end(download)
    headers = _headers(download.stored, request, extra)
    if must_decompress(download.stored, request.headers):
        return StreamResponse(decompressed(chunks), None, 200, headers)
    status = _describe_range(headers, wanted[0], download.stored.size)
    return StreamResponse(chunks, end - start, status, headers)


def _headers(
    stored: StoredObject, request: Request, extra: Mapping[str, str] | None
) -> dict[str, str]:
    """The headers of a download as this client gets it."""
    headers = {**media_headers(stored), **(extra or {})}
    if headers.get("Content-Type") and _ACTIVE.match(headers["Content-Type"]):
        shown = headers.get("Content-Disposition", "inline")
        headers["Content-Disposition"] = _attached(shown)
    if must_decompress(stored, request.headers):
        del headers["Content-Encoding"], headers["Accept-Ranges"]
        headers["Warning"] = "214 Homefire gunzipped"
    if headers.get("Content-Encoding") == "gzip" or "Warning" in headers:
        headers["Vary"] = "Accept-Encoding"
    return headers


async def _redirect(
    service: StorageService, download: Download, headers: Mapping[str, str]
) -> Response | None:
    if not service.options.presigned_downloads or len(download.segments) != 1:
        return None
    if "Warning" in headers:  # it must be decompressed, which only this server does
        return None
    shown = {key: headers[key] for key in _REDIRECTED if key in headers}
    url = await service.blobs.presigned_url(
        download.segments[0].blob,
        service.options.presigned_lifetime,
        {**shown, "Cache-Control": "private, max-age=0"},
    )
    if url is None:
        return None
    return RedirectResponse(url, 302, {"Cache-Control": "no-store"})


def media_headers(stored: StoredObject) -> dict[str, str]:
    """The headers of a download, as its owner said."""
    settings = stored.settings
    hashes = [f"crc32c={stored.crc32c_hash}"]
    if stored.md5_hash is not None:
        hashes.append(f"md5={stored.md5_hash}")
    encoding = settings.values.get("contentEncoding", "identity")
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": settings.values.get("cacheControl", "private, max-age=0"),
        "Content-Type": settings.content_type,
        "ETag": f'"{stored.etag}"',
        "Last-Modified": http_date(stored.updated),
        "X-Goog-Generation": str(stored.generation),
        "X-Goog-Metageneration": str(stored.metageneration),
        "X-Goog-Hash": ",".join(hashes),
        "X-Goog-Storage-Class": "STANDARD",
        "X-Goog-Stored-Content-Encoding": encoding,
        "X-Goog-Stored-Content-Length": str(stored.size),
        # whatever was uploaded, it is no page of this server: no guessing, no scripts, an origin of its own
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": _POLICY,
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if encoding != "identity":
        headers["Content-Encoding"] = encoding
    if "contentDisposition" in settings.values:
        headers["Content-Disposition"] = settings.values["contentDisposition"]
    if "contentLanguage" in settings.values:
        headers["Content-Language"] = settings.values["contentLanguage"]
    return {key: _latin1(value) for key, value in headers.items()}


def shown_as(name: str) -> str:
    """The disposition that the Firebase API gives new objects: shown in the browser, saved under their
    name."""
    return f"inline; filename*=utf-8''{quote(name.rpartition('/')[2], safe='')}"


def _attached(disposition: str) -> str:
    """The same for active content: it is saved, and never shown in a page of its own."""
    kind, semicolon, parameters = disposition.partition(";")
    if kind.strip().lower() in ("inline", ""):
        kind = "attachment"
    return kind + semicolon + parameters


def _conditional(request: Request) -> bool:
    names = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
    return any(name in request.headers for name in names)


def _describe_range(headers: dict[str, str], wanted: ByteRange | None, size: int) -> int:
    if wanted is None:
        return 200
    headers["Content-Range"] = f"bytes {wanted.start}-{wanted.end - 1}/{size}"
    return 206


def _without_content(headers: Mapping[str, str]) -> dict[str, str]:
    kept = {"etag", "cache-control", "last-modified", "x-goog-generation", "x-goog-metageneration"}
    return {key: value for key, value in headers.items() if key.lower() in kept}


def _latin1(value: str) -> str:
    """A header's value: what HTTP cannot write is percent-encoded."""
    if value.isascii():
        return value
    return "".join(char if ord(char) < 0x100 else quote(char) for char in value)
