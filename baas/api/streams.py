"""The Listen and Write RPCs over model types, for every transport that carries them.

gRPC and WebChannel only move messages; what the messages mean is here, in ``documents`` and in ``realtime``.
Source: ``listen-and-write`` §2 and §3, ``webchannel`` §9.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
)
from dataclasses import dataclass
from typing import Protocol, TypeVar

from baas.access.principal import Principal
from baas.errors import (
    ApiError,
    FailedPrecondition,
    InvalidArgument,
    Unauthenticated,
    Unavailable,
)
from baas.model.paths import DatabaseId
from baas.model.watch import ListenRequest, ListenResponse
from baas.model.write import Commit, CommitResult, Write
from baas.wire.requests import WriteStreamRequest

T = TypeVar("T")

EXPIRY_GRACE = 60.0
"""Seconds that a stream outlives its ID token: SDKs reopen theirs with a fresh token by themselves."""


@dataclass(frozen=True, slots=True)
class WriteResponse:
    """The answer to one message of a Write stream; the first, and that to no writes, has no result."""

    stream_token: bytes
    stream_id: str = ""
    result: CommitResult | None = None


class Authenticator(Protocol):
    """Implemented by ``auth``."""

    async def principal(self, authorization: str | None, project: str) -> Principal:
        """Who sends this ``Authorization`` value."""
        ...


class Commits(Protocol):
    """What a Write stream needs of ``documents``."""

    async def commit(self, commit: Commit, principal: Principal) -> CommitResult:
        """Make the writes, or none of them."""
        ...


class Watch(Protocol):
    """What a Listen stream needs of a ``WatchStream``; iteration ends once it is closed."""

    async def request(self, request: ListenRequest) -> None:
        """Take in one request."""
        ...

    def __aiter__(self) -> AsyncIterator[Iterable[ListenResponse]]: ...

    def close(self) -> None:
        """End it."""
        ...


class Watches(Protocol):
    """What a Listen stream needs of ``realtime``."""

    def open(self, database: DatabaseId, principal: Principal) -> Watch:
        """A watch stream for one caller."""
        ...


class Streams:
    """Opens Listen and Write streams, and ends all of them when the server stops."""

    def __init__(
        self,
        documents: Commits,
        realtime: Watches,
        authenticator: Authenticator,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._documents = documents
        self._realtime = realtime
        self._authenticator = authenticator
        self._now = now
        self._open: dict[_Ending, tuple[str, str | None]] = {}
        """Each with the project and the user whose stream it is."""
        self._stopped = False

    def close(self) -> None:
        """The server stops: every stream, open or to come, ends with UNAVAILABLE. Idempotent."""
        self._stopped = True
        for ending in list(self._open):
            ending.end(_stopping())

    def end_user(self, project: str, uid: str, error: ApiError) -> None:
        """End every stream of a user: the account was disabled or deleted, its tokens revoked."""
        for ending, owner in list(self._open.items()):
            if owner == (project, uid):
                ending.end(error)

    async def listen(
        self, authorization: str | None, requests: AsyncIterator[ListenRequest]
    ) -> AsyncGenerator[Iterable[ListenResponse], None]:
        """Answer Listen requests with batches of responses, until the client has ended its half.

        Raises:
            ApiError: the status that the stream ends with.
        """
        first = await anext(requests, None)
        if first is None:
            return
        database = first.database
        principal = await self._authenticator.principal(authorization, database.project)
        watch = self._realtime.open(database, principal)
        with contextlib.closing(watch), self._ending(database, principal, watch.close) as ending:
            await watch.request(first)
            async with ending.following(_feed(watch, database, requests)):
                async for batch in watch:
                    yield batch
            ending.check()

    async def write(
        self, authorization: str | None, requests: AsyncIterator[WriteStreamRequest]
    ) -> AsyncGenerator[WriteResponse, None]:
        """Answer each Write request, in order; the first failure ends the stream with its status, and what
        was sent after it is not executed.

        Raises:
            ApiError: the status that the stream ends with.
        """
        first = await anext(requests, None)
        if first is None:
            return
        database = _opened(first)
        principal = await self._authenticator.principal(authorization, database.project)
        with self._ending(database, principal) as ending:
            count = 0
            yield WriteResponse(stream_id=secrets.token_hex(8), stream_token=_token(count))
            while (request := await ending.unless(anext(requests, None))) is not None:
                if request.database not in (None, database):
                    raise InvalidArgument(
                        "A Write stream stays with the database that it began with."
                    )
                count += 1
                if request.writes:
                    yield await self._commit(database, request.writes, principal, _token(count))
                else:
                    yield WriteResponse(stream_token=_token(count))

    async def _commit(
        self, database: DatabaseId, writes: tuple[Write, ...], principal: Principal, token: bytes
    ) -> WriteResponse:
        result = await self._documents.commit(Commit(database, writes), principal)
        return WriteResponse(stream_token=token, result=result)

    @contextlib.contextmanager
    def _ending(
        self,
        database: DatabaseId,
        principal: Principal,
        on_end: Callable[[], None] = lambda: None,
    ) -> Iterator[_Ending]:
        ending = _Ending(on_end)
        if self._stopped:
            raise _stopping()
        timer = None
        if principal.expires_at is not None:
            timer = asyncio.get_running_loop().call_later(
                max(0.0, principal.expires_at - self._now()) + EXPIRY_GRACE, ending.end, _expired()
            )
        self._open[ending] = (database.project, principal.uid)
        try:
            yield ending
        finally:
            del self._open[ending]
            if timer is not None:
                timer.cancel()


class _Ending:
    """Why a stream must end before its client ends it."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._error: BaseException | None = None
        self._ended = asyncio.Event()
        self._on_end = on_end

    def end(self, error: BaseException | None) -> None:
        """End the stream: with an error, or (``None``) because the client is done. The first one counts."""
        if not self._ended.is_set():
            self._error = error
            self._ended.set()
            self._on_end()

    def check(self) -> None:
        """Raise the error, if there is one."""
        if self._error is not None:
            raise self._error

    async def unless(self, coming: Awaitable[T]) -> T:
        """Wait for something, or raise the error that comes first."""
        self.check()
        task = asyncio.ensure_future(coming)
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self.check()
            return await task
        finally:
            task.cancel()
            ended.cancel()

    @contextlib.asynccontextmanager
    async def following(self, feed: Coroutine[None, None, None]) -> AsyncIterator[None]:
        """Run the client's half beside; when it is over, or fails, so does the stream."""
        task = asyncio.create_task(feed)
        task.add_done_callback(self._fed)
        try:
            yield
        finally:
            task.remove_done_callback(self._fed)
            task.cancel()
            await asyncio.wait({task})

    def _fed(self, task: asyncio.Task[None]) -> None:
        self.end(None if task.cancelled() else task.exception())


async def _feed(watch: Watch, database: DatabaseId, requests: AsyncIterator[ListenRequest]) -> None:
    async for request in requests:
        if request.database != database:
            raise InvalidArgument("A Listen stream stays with the database that it began with.")
        await watch.request(request)


def _opened(request: WriteStreamRequest) -> DatabaseId:
    if request.database is None:
        raise InvalidArgument("The first message of a Write stream must name the database.")
    if request.writes:
        raise InvalidArgument("The first message of a Write stream must not have writes.")
    if request.stream_id:
        raise FailedPrecondition("A Write stream cannot be resumed: open a new one.")
    return request.database


def _token(count: int) -> bytes:
    return b"%d" % count


def _stopping() -> ApiError:
    return Unavailable("The server is stopping: connect again.")


def _expired() -> ApiError:
    return Unauthenticated(
        "The ID token of this stream has expired: open a new stream with a fresh one."
    )
