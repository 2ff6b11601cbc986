"""The outermost layer of the HTTP side: cross-origin answers, and errors that nobody rendered.

Origins are open, as Firebase's are: callers are told apart by tokens in headers, never by cookies, so a
foreign page gains nothing that it could not do from its own server.
"""

from __future__ import annotations

import logging

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from baas.api.http import error_response
from baas.errors import ApiError, InternalError, InvalidArgument, NotFound, Unimplemented

log = logging.getLogger(__name__)

EXPOSED = ", ".join(
    (
        "X-HTTP-Session-Id",
        "X-Client-Wire-Protocol",
        "X-Goog-Upload-Status",
        "X-Goog-Upload-URL",
        "X-Goog-Upload-Control-URL",
        "X-Goog-Upload-Chunk-Granularity",
        "X-Goog-Upload-Size-Received",
        "X-Homefire-Upload-Direct-URL",
        "X-GUploader-UploadID",
        "X-Goog-Generation",
        "X-Goog-Hash",
        "Content-Range",
        "Content-Disposition",
        "ETag",
        "Location",
        "Range",
    )
)
METHODS = "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"
PREFLIGHT_SECONDS = "3600"


class Edge:
    """ASGI middleware around every HTTP surface."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None and scope["method"] == "OPTIONS":
            await self._preflight(headers, origin, send)
            return
        started = False
        scope["app"] = (
            self  # with an application named, routes raise what they refuse, to be rendered here
        )

        async def send_with_cors(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if origin is not None:
                    _allow(MutableHeaders(scope=message), origin)
            await send(message)

        try:
            await self._app(scope, receive, send_with_cors)
        except ApiError as error:
            if started:
                raise
            await error_response(error)(scope, receive, send_with_cors)
        except HTTPException as error:
            if started:
                raise
            await error_response(_as_api_error(error))(scope, receive, send_with_cors)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if started:
                raise
            failure = InternalError("The server failed to answer this request; its log says why.")
            await error_response(failure)(scope, receive, send_with_cors)

    @staticmethod
    async def _preflight(headers: Headers, origin: str, send: Send) -> None:
        answer = MutableHeaders()
        _allow(answer, origin)
        answer["Access-Control-Allow-Methods"] = METHODS
        answer["Access-Control-Max-Age"] = PREFLIGHT_SECONDS
        answer["Content-Length"] = "0"
        asked = headers.get("access-control-request-headers")
        if asked is not None:
            answer["Access-Control-Allow-Headers"] = asked
        if headers.get("access-control-request-private-network") == "true":
            answer["Access-Control-Allow-Private-Network"] = "true"
        await send({"type": "http.response.start", "status": 204, "headers": answer.raw})
        await send({"type": "http.response.body", "body": b""})


def _allow(headers: MutableHeaders, origin: str) -> None:
    headers["Access-Control-Allow-Origin"] = origin
    headers["Access-Control-Allow-Credentials"] = "true"
    headers["Access-Control-Expose-Headers"] = EXPOSED
    headers.add_vary_header("Origin")


class _MethodNotAllowed(Unimplemented):
    """The path is there, for other methods."""

    http_status = 405


def _as_api_error(error: HTTPException) -> ApiError:
    """The framework's own refusals, in Google's words."""
    if error.status_code == 404:
        return NotFound("There is no such method; see the documentation of the REST surfaces.")
    if error.status_code == 405:
        return _MethodNotAllowed("The method is not allowed on this path.")
    return InvalidArgument(str(error.detail))


async def render_http_exception(_request: Request, error: Exception) -> Response:
    """A handler for FastAPI: the framework's own refusals as Google's envelope."""
    if not isinstance(error, HTTPException):
        raise error
    return error_response(_as_api_error(error))


async def render_api_error(_request: Request, error: Exception) -> Response:
    """A handler for FastAPI: our errors as Google's envelope."""
    if not isinstance(error, ApiError):
        raise error
    return error_response(error)
