"""What the HTTP surfaces share: reading a bounded body, answering JSON, rendering errors."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from baas.api.assembly import Assembly
from baas.errors import ApiError, Cancelled, InvalidArgument, ResourceExhausted


class JSONResponse(Response):
    """A JSON answer, made by orjson."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class PayloadTooLarge(ResourceExhausted):
    """A body over the transport's bound, which lies well above the API's own limit."""

    http_status = 413


def error_response(error: ApiError) -> Response:
    """Google's error envelope."""
    return JSONResponse(error.envelope(), status_code=error.http_status)


async def read_body(receive: Receive, limit: int, assembly: Assembly | None = None) -> bytes:
    """The whole body. ``assembly`` counts what of it is here; without one ``limit`` must be small.

    Raises:
        PayloadTooLarge: it is longer than ``limit`` bytes; the rest is not read.
        ResourceExhausted: too much is arriving at once, on all connections.
        Cancelled: the client went away.
    """
    chunks: list[bytes] = []
    size = 0
    with (assembly or Assembly()).arriving() as so_far:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Cancelled("The client went away.") from ClientDisconnect()
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise PayloadTooLarge(f"The request body is larger than {limit} bytes.")
            so_far(size)
            if chunk:
                chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class BoundedBodies:
    """An application that gets bodies only when they are whole and within a bound: for frameworks that read
    them, whatever their size, before anything else is asked."""

    def __init__(self, app: ASGIApp, limit: int, assembly: Assembly) -> None:
        """``limit``: bytes of a body."""
        self._app = app
        self._limit = limit
        self._assembly = assembly

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            PayloadTooLarge: its body is over the bound.
            Cancelled: the client went away before the end of it.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body: bytes | None = await read_body(receive, self._limit, self._assembly)

        async def receive_whole() -> Message:
            nonlocal body
            if body is None:
                return await receive()
            whole, body = body, None
            return {"type": "http.request", "body": whole, "more_body": False}

        await self._app(scope, receive_whole, send)


def parse_object(body: bytes) -> dict[str, Any]:
    """A body that must be a JSON object; an empty one is ``{}``.

    Raises:
        InvalidArgument: it is not.
    """
    if not body.strip():
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"Invalid JSON payload received. {error}") from None
    except RecursionError:
        raise InvalidArgument("Invalid JSON payload received. It is nested too deeply.") from None
    if not isinstance(value, dict):
        raise InvalidArgument("Invalid JSON payload received. The body must be an object.")
    return value
