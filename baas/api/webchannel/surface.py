"""The HTTP coat of WebChannel: four kinds of requests on one path a service.

Source: ``webchannel`` §1 (kinds), §2 (parameters), §7 (errors), §8 (terminate) and §10 (CORS).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from baas.api.assembly import Assembly
from baas.api.client_address import ClientAddresses
from baas.api.webchannel.channel import BackChannel, Channel, ChannelLimits, Rpc
from baas.api.webchannel.frames import (
    Forward,
    forward_frame,
    handshake_frame,
    parse_forward,
    parse_headers,
)
from baas.api.webchannel.session import Session, SessionLimits
from baas.api.webchannel.throttle import Throttle
from baas.errors import ApiError, InvalidArgument, Unavailable

_PARSE_IN_THREAD = 256 * 1_024
_EXPOSED = "X-HTTP-Session-Id, X-Client-Wire-Protocol"
_UNKNOWN_SESSION = "<html><body>Error 400: Unknown SID</body></html>"
_STREAM_HEADERS = {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-cache, no-store",
    "x-content-type-options": "nosniff",
    "x-accel-buffering": "no",
}


@dataclass(frozen=True, slots=True)
class WebChannelLimits:
    """Limits of the whole surface. Sizes in bytes, times in seconds."""

    sessions: int = 20_000
    body: int = 96 * 1_048_576
    """Of one POST: above ten pipelined messages, percent-encoded, in all but the worst case."""
    discard: int = 512 * 1_048_576
    """How much of a larger body is read and thrown away, so that its client learns why in-band."""
    handshake_delay: float = 10.0
    """A handshake that would be slowed down for longer is refused."""
    session: SessionLimits = field(default_factory=SessionLimits)
    channel: ChannelLimits = field(default_factory=ChannelLimits)


class WebChannel:
    """All sessions, and the routes that lead to them."""

    def __init__(
        self,
        rpcs: Mapping[str, Rpc],
        *,
        limits: WebChannelLimits = WebChannelLimits(),
        throttle: Throttle | None = None,
        address_of: Callable[[Request], str] | None = None,
        assembly: Assembly | None = None,
    ) -> None:
        """``rpcs`` by path: ``/google.firestore.v1.Firestore/Listen`` answers at that path + ``/channel``.
        ``address_of`` tells whom the throttle slows down, ``assembly`` counts requests that are arriving,
        of all surfaces together."""
        self._rpcs = dict(rpcs)
        self._limits = limits
        self._throttle = throttle or Throttle()
        self._address_of = address_of or ClientAddresses()
        self._assembly = assembly or Assembly()
        self._channels: dict[str, Channel] = {}
        self._stopped = False

    def routes(self) -> list[Route]:
        """One route a service."""
        return [
            Route(
                f"{path}/channel",
                self._endpoint(rpc),
                methods=["GET", "POST", "OPTIONS"],
            )
            for path, rpc in self._rpcs.items()
        ]

    @property
    def sessions(self) -> int:
        """How many sessions are open."""
        return len(self._channels)

    def close(self) -> None:
        """The server stops: tell every client, then let its GET go. Idempotent."""
        self._stopped = True
        for channel in list(self._channels.values()):
            channel.stop(Unavailable("The server is stopping: connect again."))

    async def aclose(self) -> None:
        """Drop all sessions and wait for their RPCs to end."""
        self.close()
        channels = list(self._channels.values())
        for channel in channels:
            channel.end()
        for channel in channels:
            await channel.wait_ended()

    def _endpoint(self, rpc: Rpc) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                return await self._answer(rpc, request)
            except ApiError as error:
                return _text(request, error.http_status, error.message)
            except ClientDisconnect:
                return _text(request, 400, "The request ended before its body did.")

        return endpoint

    async def _answer(self, rpc: Rpc, request: Request) -> Response:
        params = request.query_params
        if request.method == "OPTIONS":
            return _preflight(request)
        if params.get("TYPE") == "terminate":
            return self._terminate(request)
        session_id = params.get("SID")
        if request.method == "POST" and not session_id:
            return await self._handshake(rpc, request)
        channel = self._channels.get(session_id or "")
        if channel is None:
            return _text(request, 400, _UNKNOWN_SESSION, "text/html; charset=utf-8")
        if request.method == "POST":
            return await self._forward(channel, request)
        return self._back(channel, request)

    async def _handshake(self, rpc: Rpc, request: Request) -> Response:
        await self._slow_down(request)
        if self._stopped or len(self._channels) >= self._limits.sessions:
            raise Unavailable("No more sessions can be opened on this server now.")
        refusal, forward = await self._body(request)
        metadata = dict(forward.metadata)
        if "$httpHeaders" in request.query_params:
            metadata = parse_headers(request.query_params["$httpHeaders"]) | metadata
        channel = Channel(
            secrets.token_urlsafe(24),
            metadata,
            rpc,
            Session(self._limits.session),
            self._limits.channel,
            self._forget,
        )
        self._channels[channel.id] = channel
        if refusal is not None:
            channel.fail(refusal)
        channel.receive(forward.maps)
        frame = handshake_frame(channel.id, self._limits.channel.keepalive)
        response = _frame(request, frame)
        if "X-HTTP-Session-Id" in request.query_params:
            response.headers["x-http-session-id"] = secrets.token_urlsafe(9)
        return response

    def _forget(self, channel: Channel) -> None:
        self._channels.pop(channel.id, None)

    async def _forward(self, channel: Channel, request: Request) -> Response:
        refusal, forward = await self._body(request)
        channel.acknowledge(_number(request, "AID", -1))
        if refusal is not None:
            channel.fail(refusal)
        channel.receive(forward.maps)
        session = channel.session
        return _frame(
            request,
            forward_frame(channel.has_back_channel, session.last_array, session.outstanding_bytes),
        )

    def _back(self, channel: Channel, request: Request) -> Response:
        after = _number(request, "AID", 0)
        poll = request.query_params.get("CI") == "1"
        hold = _number(request, "TO", int(self._limits.channel.keepalive * 1_000)) / 1_000
        channel.acknowledge(after)
        return BackChannelResponse(channel, after, hold if poll else None, _cors(request))

    def _terminate(self, request: Request) -> Response:
        channel = self._channels.get(request.query_params.get("SID", ""))
        if channel is not None:
            channel.end()
        return _frame(request, b"")

    async def _body(self, request: Request) -> tuple[ApiError | None, Forward]:
        """The body's maps; or an error to be told in-band, since an HTTP status would be taken for a
        failure of the transport, to be tried again for ever (``webchannel`` §4)."""
        chunks, size = [], 0
        with self._assembly.arriving() as so_far:
            async for chunk in request.stream():
                size += len(chunk)
                if size <= self._limits.body:
                    so_far(size)
                    chunks.append(chunk)
                elif size > self._limits.discard:
                    raise InvalidArgument("The request is too large.")
                else:
                    chunks.clear()
        if size > self._limits.body:
            too_large = f"A request may have at most {self._limits.body} bytes."
            return InvalidArgument(too_large), Forward()
        body = b"".join(chunks)
        if size > _PARSE_IN_THREAD:
            return None, await asyncio.to_thread(parse_forward, body)
        return None, parse_forward(body)

    async def _slow_down(self, request: Request) -> None:
        now = asyncio.get_running_loop().time()
        delay = self._throttle.delay(self._address_of(request), now)
        if delay > self._limits.handshake_delay:
            raise Unavailable("Too many sessions are being opened from this address.")
        if delay:
            await asyncio.sleep(delay)


class BackChannelResponse(Response):
    """A GET's answer, for as long as it lasts."""

    def __init__(
        self, channel: Channel, after: int, hold: float | None, headers: Mapping[str, str]
    ) -> None:
        super().__init__(headers={**_STREAM_HEADERS, **headers})
        del self.headers["content-length"]
        self._channel = channel
        self._after = after
        self._hold = hold

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        back = self._channel.open_back_channel()
        watcher = asyncio.create_task(_until_disconnected(receive, back))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})

            async def write(frame: bytes) -> None:
                await send({"type": "http.response.body", "body": frame, "more_body": True})

            if self._hold is None:
                await self._channel.stream(back, self._after, write)
            else:
                await self._channel.poll(back, self._after, self._hold, write)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._channel.close_back_channel(back)
            watcher.cancel()


async def _until_disconnected(receive: Receive, back: BackChannel) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    back.end()


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        return int(text) if len(text) <= 12 else default
    except ValueError as error:
        raise InvalidArgument(f"{name} must be a number.") from error


def _cors(request: Request) -> dict[str, str]:
    origin = request.headers.get("origin")
    if origin is None:
        return {"vary": "Origin"}
    return {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": _EXPOSED,
        "vary": "Origin",
    }


def _preflight(request: Request) -> Response:
    headers = _cors(request)
    headers["access-control-allow-methods"] = "GET, POST, OPTIONS"
    headers["access-control-max-age"] = "3600"
    asked = request.headers.get("access-control-request-headers")
    if asked:
        headers["access-control-allow-headers"] = asked
    return Response(status_code=200, headers=headers)


def _frame(request: Request, frame: bytes) -> Response:
    return Response(frame, headers={**_STREAM_HEADERS, **_cors(request)})


def _text(
    request: Request, status: int, text: str, content_type: str = "text/plain; charset=utf-8"
) -> Response:
    headers = {**_cors(request), "cache-control": "no-cache, no-store"}
    return Response(text, status, {**headers, "content-type": content_type})
