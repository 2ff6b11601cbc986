"""Reading storage requests: names in paths, bodies as streams, numbers in queries; and rendering errors."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from baas.access.principal import Principal
from baas.api.http import JSONResponse, parse_object
from baas.api.storage_multipart import MultipartUpload
from baas.errors import ApiError, InternalError, InvalidArgument, NotFound
from baas.storage.errors import ClientGone, NotModified, RangeNotSatisfiable
from baas.storage.model import Preconditions
from baas.storage.service import StorageService

log = logging.getLogger(__name__)

Authenticator = Callable[[str | None, str], Awaitable[Principal]]
"""The caller, by the Authorization header and the project that the request is about."""

Handler = Callable[[Request], Awaitable[Response]]


_REASONS = {
    400: "invalid",
    401: "authError",
    402: "quotaExceeded",
    403: "forbidden",
    404: "notFound",
    405: "methodNotAllowed",
    409: "conflict",
    410: "gone",
    412: "conditionNotMet",
    413: "uploadTooLarge",
    416: "requestedRangeNotSatisfiable",
    429: "rateLimitExceeded",
    501: "notImplemented",
}
"""What clients of Cloud Storage find as the reason of the first of an answer's ``errors``."""


def endpoint(handler: Handler) -> Handler:
    """A handler whose errors are told in Google's JSON envelope."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except ClientGone:
            return Response(status_code=499)
        except NotModified:
            return Response(status_code=304)
        except RangeNotSatisfiable as error:
            response = error_response(error)
            response.headers["Content-Range"] = f"bytes */{error.size}"
            return response
        except ApiError as error:
            return error_response(error)

    return handle


def error_response(error: ApiError) -> Response:
    """An error as these APIs answer it."""
    if isinstance(error, InternalError):
        log.error("internal error: %s", error)
    envelope = error.envelope()
    envelope["error"]["errors"] = [
        {
            "message": error.message,
            "domain": "global",
            "reason": _REASONS.get(error.http_status, "backendError"),
        }
    ]
    headers = {"Retry-After": "1"} if error.http_status in (429, 503) else None
    return JSONResponse(envelope, error.http_status, headers)


def own_address(request: Request, service: StorageService) -> str:
    """Where this server is, for addresses in its answers: behind a proxy the request alone does not tell."""
    if service.options.public_url is not None:
        return service.options.public_url.rstrip("/")
    return f"{request.url.scheme}://{request.url.netloc}"


def raw_path(request: Request) -> bytes:
    """The path as it was sent: a name's escaped slashes are told from the path's own."""
    raw = request.scope.get("raw_path")
    if isinstance(raw, bytes) and raw:
        return raw.partition(b"?")[0]
    return request.url.path.encode()


def unescape(part: bytes, what: str) -> str:
    """A percent-encoded part of a path.

    Raises:
        InvalidArgument: it is not UTF-8.
    """
    try:
        return unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise InvalidArgument(f"The {what} is not valid UTF-8.") from None


def bucket_and_object(request: Request, prefix: bytes) -> tuple[str, str]:
    """The names in ``<prefix>/b/BUCKET/o/OBJECT``, whose object may have slashes of its own.

    Raises:
        NotFound: the path is none of these.
    """
    rest = raw_path(request).removeprefix(prefix)
    if not rest.startswith(b"/b/"):
        raise NotFound("There is nothing at this path.")
    bucket, _, after = rest[3:].partition(b"/")
    name = after.partition(b"/")[2]
    return unescape(bucket, "bucket name"), unescape(name, "object name")


async def caller(
    service: StorageService, authenticate: Authenticator, request: Request, bucket: str
) -> Principal:
    """Who is asking about a bucket.

    Raises:
        NotFound: there is no such bucket, and so no project to have rights in.
        Unauthenticated: the credentials are no good.
    """
    project = await service.buckets.project_of(bucket)
    if project is None:
        raise NotFound(f"The bucket {bucket} does not exist.")
    return await authenticate(request.headers.get("authorization"), project)


async def body_stream(request: Request) -> AsyncIterator[bytes]:
    """The body's pieces.

    Raises:
        ClientGone: the client went away before the end.
    """
    try:
        async for piece in request.stream():
            if piece:
                yield piece
    except ClientDisconnect:
        raise ClientGone from None


async def until_media(parser: MultipartUpload, pieces: AsyncIterator[bytes]) -> bytes:
    """Feed the parser until the media begins; answers the media's bytes that came with that."""
    async for piece in pieces:
        media = parser.feed(piece)
        if parser.media_begun():
            return media
    parser.finish()
    return b""


async def media_of(
    parser: MultipartUpload, first: bytes, pieces: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """The media's bytes, of which ``first`` came already.

    Raises:
        InvalidArgument: the body ends too soon, or has a third part.
        ClientGone: the client went away.
    """
    if first:
        yield first
    async for piece in pieces:
        if media := parser.feed(piece):
            yield media
    parser.finish()


async def json_body(request: Request, limit: int) -> dict[str, Any]:
    """A small JSON object; nothing stands for an empty one.

    Raises:
        InvalidArgument: it is none, or too large.
        ClientGone: the client went away.
    """
    gathered = bytearray()
    async for piece in body_stream(request):
        gathered += piece
        if len(gathered) > limit:
            raise InvalidArgument(f"The request body has at most {limit} bytes.")
    return parse_object(bytes(gathered))


def int_param(request: Request, *names: str) -> int | None:
    """A number of the query, under the first of the names that is there.

    Raises:
        InvalidArgument: it is no number of 64 bits.
    """
    for name in names:
        text = request.query_params.get(name)
        if text is None:
            continue
        try:
            number = int(text) if len(text) <= 20 and text.isascii() else None
        except ValueError:
            number = None
        if number is None or not -(2**63) <= number < 2**63:
            raise InvalidArgument(f"'{name}' is a number.")
        return number
    return None


def int_header(request: Request, name: str) -> int | None:
    """A number of zero or more in a header.

    Raises:
        InvalidArgument: it is none.
    """
    text = request.headers.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidArgument(f"The header {name} is a number of bytes.")
    return int(text)


def preconditions_of(request: Request) -> Preconditions:
    """``ifGenerationMatch`` and its like.

    Raises:
        InvalidArgument: one is no number.
    """
    return Preconditions(
        generation_match=int_param(request, "ifGenerationMatch"),
        generation_not_match=int_param(request, "ifGenerationNotMatch"),
        metageneration_match=int_param(request, "ifMetagenerationMatch"),
        metageneration_not_match=int_param(request, "ifMetagenerationNotMatch"),
    )
