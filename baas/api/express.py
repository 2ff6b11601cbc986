"""An express way for small JSON calls: from the HTTP parser to the surface and back, with no ASGI in between.

Reads and writes of single documents are so quick that an ASGI request's own costs (scope, cycle, middleware,
routing, a response in several messages) were a third of what they took. A call whose path the surface
claims, and that asks nothing special of HTTP, is handed over as method, path, query, credentials and body,
and its answer written at once. Everything else goes the ordinary way, and so does what browsers send from
other origins.

Connections, pipelining, keep-alive and backpressure stay uvicorn's: an :class:`ExpressCycle` stands where its
own request cycle would.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from baas.api.assembly import Assembly
from baas.api.http_guard import GuardedHttpProtocol
from baas.errors import ApiError, Cancelled, InternalError

log = logging.getLogger(__name__)

_METHODS = {b"GET": "GET", b"POST": "POST", b"PATCH": "PATCH", b"DELETE": "DELETE"}
_ORDINARY = frozenset((b"origin", b"expect", b"upgrade", b"x-http-method-override"))
"""Headers whose requests go the ordinary way."""


class Surface(Protocol):
    """A surface that answers calls by themselves, in JSON."""

    body_limit: int
    """Bytes of a request's body at most."""

    assembly: Assembly
    """Counts the bodies that are arriving, of all surfaces together."""

    def claims(self, target: bytes) -> bool:
        """Whether the call with this request target is this surface's."""
        ...

    async def answer(
        self,
        method: str,
        raw_path: bytes,
        query_string: bytes,
        authorization: str | None,
        read_body: Callable[[], Awaitable[bytes]],
    ) -> bytes:
        """The body of the answer.

        Raises:
            ApiError: to be rendered.
        """
        ...

    def only_reads(self, method: str, target: bytes) -> bool:
        """Whether the call changes nothing, so that it need not go on once its client is gone."""
        ...

    def too_large(self) -> ApiError:
        """What a body over the limit is answered with."""
        ...


class _Heads:
    """The beginnings of answers, made anew when the server's default headers (the date) change."""

    def __init__(self) -> None:
        self._defaults: list[tuple[bytes, bytes]] | None = None
        self._common = b""
        self._ok = b""

    def of(self, status: int, defaults: list[tuple[bytes, bytes]]) -> bytes:
        """Status line and headers up to the length of the body."""
        if defaults is not self._defaults:
            lines = b"".join(b"%b: %b\r\n" % each for each in defaults)
            self._common = lines + b"content-type: application/json\r\ncontent-length: "
            self._ok = STATUS_LINE[200] + self._common
            self._defaults = defaults
        return self._ok if status == 200 else STATUS_LINE[status] + self._common


class ExpressProtocol(GuardedHttpProtocol):
    """Uvicorn's HTTP/1.1 with the express way for one surface."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None,
        surface: Surface,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self.surface = surface
        self.authorization: bytes | None = None
        self._plain = True

    def on_message_begin(self) -> None:
        self.head_begins()
        self.url = b""
        self.headers = []
        self.authorization = None
        self._plain = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head_grows(len(name) + len(value))
        name = name.lower()
        if name == b"authorization":
            if self.authorization is None:
                self.authorization = value
        elif name in _ORDINARY:
            self._plain = False
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self.parser
        cycle: Any = self.cycle  # none yet, on a new connection
        if (
            self._plain
            and self.surface.claims(self.url)
            and (cycle is None or cycle.response_complete)
            and (method := _METHODS.get(parser.get_method())) is not None
            and parser.get_http_version() == "1.1"
            and self.url.isascii()
            and b"#" not in self.url
            and self.limit_concurrency is None
        ):
            self.head_ends()
            self.cycle = ExpressCycle(self, method, parser.should_keep_alive())  # type: ignore[assignment]
            self._start_asgi_task(self.cycle, self.app)
        else:
            self._go_the_ordinary_way()

    def _go_the_ordinary_way(self) -> None:
        """Have uvicorn begin the message, with what came of it so far."""
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()


class ExpressCycle:
    """One call and its answer; in what uvicorn's protocol uses, like its ``RequestResponseCycle``."""

    __slots__ = (
        "_authorization",
        "_method",
        "_protocol",
        "_task",
        "_url",
        "_waiter",
        "body",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
    )

    heads = _Heads()

    def __init__(self, protocol: ExpressProtocol, method: str, keep_alive: bool) -> None:
        self._protocol = protocol
        self._method = method
        self._url = protocol.url
        self._authorization = protocol.authorization
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.keep_alive = keep_alive
        self.body = b""
        self.more_body = True
        self.disconnected = False
        self.response_complete = False

    @property
    def message_event(self) -> ExpressCycle:
        """What the protocol sets when something about the request has changed."""
        return self

    def set(self) -> None:
        """Something about the request has changed."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        elif self.disconnected and self._task is not None and self._is_only_read():
            self._task.cancel()

    def _is_only_read(self) -> bool:
        return self._protocol.surface.only_reads(self._method, self._url)

    async def run_asgi(self, _app: object) -> None:
        """Answer the call."""
        self._task = asyncio.current_task()
        try:
            await self._send(200, await self._call())
        except ApiError as error:
            await self._send(error.http_status, orjson.dumps(error.envelope()))
        except Exception:
            log.exception("%s %s failed", self._method, self._url.partition(b"?")[0].decode())
            failure = InternalError("The server failed to answer this request; its log says why.")
            await self._send(failure.http_status, orjson.dumps(failure.envelope()))

    def _call(self) -> Awaitable[bytes]:
        path, _, query = self._url.partition(b"?")
        given = self._authorization
        return self._protocol.surface.answer(
            self._method,
            path,
            query,
            None if given is None else given.decode("latin-1"),
            self._read_body,
        )

    async def _read_body(self) -> bytes:
        if self._is_here():
            return self.body
        flow, loop = self._protocol.flow, asyncio.get_running_loop()
        with self._protocol.surface.assembly.arriving() as so_far:
            while not self._is_here():
                so_far(len(self.body))
                flow.resume_reading()
                self._waiter = loop.create_future()
                await self._waiter
        return self.body

    def _is_here(self) -> bool:
        if self.disconnected:
            raise Cancelled("The client went away.")
        surface = self._protocol.surface
        if len(self.body) > surface.body_limit:
            raise surface.too_large()
        return not self.more_body

    async def _send(self, status: int, body: bytes) -> None:
        protocol = self._protocol
        if protocol.flow.write_paused and not self.disconnected:
            await protocol.flow.drain()
        if self.disconnected:
            return
        head = self.heads.of(status, protocol.server_state.default_headers)
        end = b"\r\n\r\n" if self.keep_alive else b"\r\nconnection: close\r\n\r\n"
        protocol.transport.write(b"%b%d%b%b" % (head, len(body), end, body))
        self.response_complete = True
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()
