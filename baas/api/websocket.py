"""Homefire's WebSocket surface: Listen, and commits, as proto3-JSON frames (docs/protocol/websocket.md).

One connection has one Listen stream and an ordered row of commits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Message, Receive, Scope, Send

from baas.access.principal import ANONYMOUS, Principal
from baas.api.websocket_commits import CommitRow
from baas.api.websocket_frames import EXTENSION, RawFrames
from baas.api.websocket_sender import TOO_SLOW, AsgiSender, RawSender, Sender
from baas.errors import (
    ApiError,
    InternalError,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from baas.model.paths import DatabaseId
from baas.model.values import Timestamp
from baas.model.watch import AddTarget, RemoveTarget
from baas.model.write import Commit, CommitResult
from baas.realtime.service import RealtimeService
from baas.wire.json_codec import load_json, parse_commit, parse_target
from baas.wire.timestamps import format_timestamp

log = logging.getLogger(__name__)

SUBPROTOCOL: Final = "homefire.v1"
PATH: Final = "/v1/projects/{project}/databases/{database}/listen"

_CLOSE_CODES: Final[Mapping[str, int]] = {
    "UNAUTHENTICATED": 4401,
    "PERMISSION_DENIED": 4401,
    "INVALID_ARGUMENT": 4400,
    "NOT_FOUND": 4404,
    "RESOURCE_EXHAUSTED": 1008,
    "UNAVAILABLE": 1001,
    "DEADLINE_EXCEEDED": 4408,
}
_INTERNAL: Final = 1011
_BINARY: Final = 1003
_INT32: Final = range(-(2**31), 2**31)
_SAFE_INTEGERS: Final = range(-(2**53) + 1, 2**53)
_MAX_PING: Final = 64
_MAX_REASON: Final = 120


class BinaryFrame(InvalidArgument):
    """A client sent binary."""


class Documents(Protocol):
    """What the surface needs of the document store."""

    def commit(self, commit: Commit, principal: Principal) -> Coroutine[Any, Any, CommitResult]:
        """Make the writes, or none of them. Commits are made in the order in which they are begun."""


class Authenticate(Protocol):
    """Who shows a token."""

    def __call__(self, token: str | None, project: str) -> Coroutine[Any, Any, Principal]:
        """The caller; ``None``: signed out. Raises ``Unauthenticated``."""


@dataclass(frozen=True, slots=True)
class WebSocketOptions:
    """Limits of one connection."""

    max_commits: int = 1_000
    """Commits that may be under way."""
    max_commit_bytes: int = 32 * 1024 * 1024
    """Bytes of commits under way beyond which frames are not read for the while."""
    commits_ahead: int = 16
    """Commits handed to the database before the first of them is done."""
    max_frames: int = 10_000
    """Frames that a client may send at once; they are regained at ``frames_per_second``."""
    frames_per_second: float = 1_000.0
    bytes_a_frame: int = 16 * 1024
    """On a connection that compresses, so many bytes of a message count as a frame of their own: what was a
    few kilobytes on the way may be megabytes here."""
    slow_seconds: float = 60.0
    """A reader that takes nothing for so long is cut off."""


class WebSocketSurface:
    """All WebSocket connections of a server."""

    def __init__(
        self,
        documents: Documents,
        realtime: RealtimeService,
        authenticate: Authenticate,
        options: WebSocketOptions | None = None,
    ) -> None:
        self.documents = documents
        self.realtime = realtime
        self.authenticate = authenticate
        self.options = options or WebSocketOptions()
        self._open: dict[_Connection, None] = {}
        self._none_open = asyncio.Event()
        self._none_open.set()

    def routes(self) -> list[BaseRoute]:
        """To be put into the application."""
        return [WebSocketRoute(PATH, _Endpoint(self))]

    def close(self) -> None:
        """The server stops: connections end with 1001, so that clients come back elsewhere or later."""
        for connection in tuple(self._open):
            connection.end(Unavailable("The server is shutting down; connect again later."))

    async def wait_closed(self) -> None:
        """Wait until no connection is open."""
        await self._none_open.wait()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from handshake to close."""
        await receive()  # websocket.connect
        chosen = SUBPROTOCOL if SUBPROTOCOL in scope.get("subprotocols", ()) else None
        await send({"type": "websocket.accept", "subprotocol": chosen})
        try:
            database, principal = await self._identify(scope)
            connection = _Connection(self, database, principal, scope, send)
        except ApiError as error:
            await _close(send, error)
            return
        self._open[connection] = None
        self._none_open.clear()
        try:
            await connection.run(receive)
        finally:
            self._open.pop(connection, None)
            if not self._open:
                self._none_open.set()
            connection.stop()

    async def _identify(self, scope: Scope) -> tuple[DatabaseId, Principal]:
        path = scope["path_params"]
        try:
            database = DatabaseId.of(path["project"], path["database"])
        except InvalidArgument as error:
            raise NotFound(error.message) from None
        token = _bearer(scope)
        if token is None:
            return database, ANONYMOUS
        return database, await self.authenticate(token, database.project)


class _Endpoint:
    """An ASGI application, so that Starlette adds nothing of its own to a connection."""

    def __init__(self, surface: WebSocketSurface) -> None:
        self._surface = surface

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._surface.serve(scope, receive, send)


class _Connection:
    """One client: its stream, its commits, its limits."""

    __slots__ = (
        "_allowance",
        "_closing",
        "_commits",
        "_compressed",
        "_database",
        "_principal",
        "_regained",
        "_send",
        "_sender",
        "_stream",
        "_surface",
    )

    def __init__(
        self,
        surface: WebSocketSurface,
        database: DatabaseId,
        principal: Principal,
        scope: Scope,
        send: Send,
    ) -> None:
        options = surface.options
        self._surface = surface
        self._database = database
        self._principal = principal
        self._send = send
        self._closing: asyncio.Task[None] | None = None
        self._allowance = float(options.max_frames)
        self._regained = time.monotonic()
        self._stream = surface.realtime.open(database, principal)
        raw: RawFrames | None = scope.get("extensions", {}).get(EXTENSION)
        self._compressed = raw is not None and raw.compressed
        self._sender: Sender
        if raw is not None:
            raw.forget_handshake()
        if raw is not None and not self._compressed:
            self._sender = RawSender(raw, options.slow_seconds, self.end)
        else:
            self._sender = AsgiSender(send, options.slow_seconds, self.end)
        self._commits: CommitRow | None = None
        self._sender.start(self._stream)

    def end(self, error: ApiError) -> None:
        """Close the connection with an error. What was to be sent before goes first."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._end(error))

    async def run(self, receive: Receive) -> None:
        """Read frames until the connection is gone or closed."""
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if self._closing is not None:
                continue
            try:
                await self._take(message)
            except ApiError as error:
                self.end(error)
            except Exception:
                log.exception("a WebSocket frame could not be served")
                self.end(InternalError("The server failed; its log says why."))

    def stop(self) -> None:
        """Let go of everything."""
        self._sender.stop()
        self._stream.close()
        if self._commits is not None:
            self._commits.cancel()

    async def _end(self, error: ApiError) -> None:
        self._stream.close()
        try:
            async with asyncio.timeout(self._surface.options.slow_seconds):
                if error is not TOO_SLOW:
                    await self._sender.flushed()
                self._sender.stop()
                await _close(self._send, error)
        except TimeoutError:
            log.info("a WebSocket reader was too slow to be told why it was closed")

    async def _take(self, message: Message) -> None:
        text = message.get("text")
        self._charge(text or "")
        if text is None:
            raise BinaryFrame("Frames must be text: JSON objects.")
        frame = load_json(text)
        if not isinstance(frame, dict) or len(frame) != 1:
            raise InvalidArgument("A frame must be a JSON object with exactly one key.")
        ((kind, body),) = frame.items()
        if kind == "commit":
            await self._commit(body, len(text))
        elif kind == "addTarget":
            target = parse_target(body, self._database)
            if target.target_id == 0:
                raise InvalidArgument("targetId must be a non-zero int32, chosen by the client.")
            await self._stream.request(AddTarget(self._database, target))
        elif kind == "removeTarget":
            target_id = _integer(body, _INT32, "removeTarget")
            await self._stream.request(RemoveTarget(self._database, target_id))
        elif kind == "ping":
            if not isinstance(body, str) or len(body) > _MAX_PING:
                raise InvalidArgument(f"ping must be a string of up to {_MAX_PING} characters.")
            self._sender.send(orjson.dumps({"pong": body}))
        elif kind == "authenticate":
            await self._authenticate(body)
        else:
            raise InvalidArgument(
                f"Unknown frame {kind[:50]!r}: expected authenticate, addTarget, removeTarget, commit "
                "or ping."
            )

    async def _authenticate(self, body: object) -> None:
        if not isinstance(body, dict) or body.keys() != {"token"}:
            raise InvalidArgument("authenticate must be an object with a token.")
        token = body["token"]
        if token is not None and not isinstance(token, str):
            raise InvalidArgument("authenticate.token must be a string, or null to sign out.")
        if token is None:
            principal = ANONYMOUS
        else:
            principal = await self._surface.authenticate(token, self._database.project)
        self._principal = principal
        answer: dict[str, Any] = {"uid": principal.uid}
        if principal.expires_at is not None:
            expires = Timestamp(round(principal.expires_at * 1_000_000))
            answer["expireTime"] = format_timestamp(expires)
        self._sender.send(orjson.dumps({"authenticated": answer}))
        await self._stream.set_principal(principal)

    async def _commit(self, body: object, size: int) -> None:
        if not isinstance(body, dict):
            raise InvalidArgument("commit must be an object.")
        request_id = _integer(body.get("requestId"), _SAFE_INTEGERS, "commit.requestId")
        request = {name: value for name, value in body.items() if name != "requestId"}
        database, principal, documents = self._database, self._principal, self._surface.documents
        row = self._commits
        if row is None:
            options = self._surface.options
            row = self._commits = CommitRow(
                self._sender.send,
                limit=options.max_commits,
                limit_bytes=options.max_commit_bytes,
                ahead=options.commits_ahead,
            )

        async def make() -> CommitResult:
            return await documents.commit(parse_commit(request, database), principal)

        row.add(request_id, size, make)
        await row.room()

    def _charge(self, text: str) -> None:
        """Count a frame against the client's allowance."""
        options, now = self._surface.options, time.monotonic()
        frames = 1 + (len(text) // options.bytes_a_frame if self._compressed else 0)
        regained = (now - self._regained) * options.frames_per_second
        self._regained = now
        self._allowance = min(float(options.max_frames), self._allowance + regained) - frames
        if self._allowance < 0:
            raise ResourceExhausted("Frames come faster than this connection may send them.")


async def _close(send: Send, error: ApiError) -> None:
    """Say why, then close."""
    code = _BINARY if isinstance(error, BinaryFrame) else _CLOSE_CODES.get(error.status, _INTERNAL)
    text = orjson.dumps(error.envelope()).decode()
    reason = error.message.encode()[:_MAX_REASON].decode(errors="ignore")
    try:
        await send({"type": "websocket.send", "text": text})
        await send({"type": "websocket.close", "code": code, "reason": reason})
    except (OSError, RuntimeError):
        log.debug("a WebSocket was gone before it could be closed")


def _bearer(scope: Scope) -> str | None:
    """The token of the handshake's Authorization header.

    Raises:
        Unauthenticated: the header has another form.
    """
    for name, value in scope["headers"]:
        if name == b"authorization" and value.strip():
            scheme, _, token = value.decode("latin-1").strip().partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                raise Unauthenticated("The Authorization header must be 'Bearer' and a token.")
            return str(token.strip())
    return None


def _integer(value: object, allowed: range, what: str) -> int:
    if type(value) is not int or value not in allowed:
        raise InvalidArgument(f"{what} must be an integer.")
    return value
