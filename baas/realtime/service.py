"""Realtime for all surfaces: open a stream, put Listen requests in, take Listen responses out.

A surface runs two loops on a :class:`WatchStream`: one awaits :meth:`WatchStream.request` for what its
client sends, one iterates the stream and sends what comes. A surface that can write without waiting may
instead set :attr:`WatchStream.on_ready` and call :meth:`WatchStream.take`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from baas.access.principal import Principal
from baas.errors import (
    ApiError,
    InvalidArgument,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from baas.model.change import CommitChanges
from baas.model.document import Document
from baas.model.paths import DatabaseId
from baas.model.watch import AddTarget, ListenRequest, ListenResponse
from baas.realtime.deltas import Batch
from baas.realtime.fan_out import Hub
from baas.realtime.options import RealtimeOptions
from baas.realtime.ports import Rights, Source
from baas.realtime.results import ResultLoader
from baas.realtime.rights import Judge
from baas.realtime.targets import WatchTarget, check_target, check_target_id
from baas.realtime.watch_stream import StreamState

_DENIED: Final = "Missing or insufficient permissions."


def _wall_micros() -> int:
    return time.time_ns() // 1_000


@dataclass(frozen=True, slots=True)
class RealtimeMetrics:
    """Where the service stands."""

    databases: int
    streams: int
    targets: int
    views: int
    pending_bytes: int
    held_bytes: int
    merges: int
    resets: int


class WatchStream:
    """One client's Listen stream. Not for use from several event loops."""

    __slots__ = (
        "_assigned",
        "_closed",
        "_expiry",
        "_failure",
        "_hub",
        "_judge",
        "_options",
        "_service",
        "_waiter",
        "on_ready",
        "principal",
        "state",
        "waits_for_turn",
    )

    def __init__(
        self, service: RealtimeService, hub: Hub, judge: Judge, principal: Principal
    ) -> None:
        self._service = service
        self._hub = hub
        self._judge = judge
        self._options = service.options
        self.principal = principal
        self.state = StreamState(
            service.options, hub.snapshot_message, self._may_read, hub.restart, hub.leave
        )
        self.on_ready: Callable[[], None] | None = None
        """Called, instead of waking the iteration, when there may be something to take."""
        self.waits_for_turn = False
        self._waiter: asyncio.Future[None] | None = None
        self._failure: ApiError | None = None
        self._assigned = 0  # the last id that was chosen for a target
        self._closed = False
        self._expiry: asyncio.TimerHandle | None = None
        self._watch_expiry()

    @property
    def database(self) -> DatabaseId:
        """The database that is listened to."""
        return self._hub.database

    @property
    def pending_bytes(self) -> int:
        """About how many bytes wait to be taken."""
        return self.state.pending_bytes

    @property
    def idle(self) -> bool:
        """Whether there is nothing to take, and no failure to be told."""
        return self._failure is None and self.state.idle

    @property
    def failure(self) -> ApiError | None:
        """Why the stream must end, if it must."""
        return self._failure

    async def request(self, request: ListenRequest) -> None:
        """Take a request; its answers come out of the iteration.

        Raises:
            InvalidArgument: the request is malformed: the stream has to end.
            ResourceExhausted: too many targets, or too many answers that nobody reads.
        """
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise Unavailable("The stream is closed.")
        if request.database != self.database:
            raise InvalidArgument(f"This stream is for {self.database.name}.")
        if isinstance(request, AddTarget):
            self._add(request)
        else:
            target = self.state.remove(request.target_id)
            if target is not None:
                self._hub.leave(target)
        self._hub.wake(self)

    async def set_principal(self, principal: Principal) -> None:
        """From here on another token, or another caller: every target is judged again."""
        same = principal == self.principal
        self.principal = principal
        self._watch_expiry()
        if not same:
            self.judge_again()

    def judge_again(self) -> None:
        """Decide again about every target."""
        self._hub.judge_all(self.state.targets.values())

    def take(self) -> Batch | None:
        """The next messages, if there are any, without waiting."""
        if self._closed:
            return None
        return self.state.take_shared() or self.state.take(self._hub.frontier)

    def advance(self) -> None:
        """Tell the newest version, if the stream has been idle; end it if the token has expired, which its
        timer does not see when the clock was set forward."""
        self._watch_expiry()
        self.state.advance(self._hub.frontier)
        self._hub.wake(self)

    async def __aiter__(self) -> AsyncIterator[tuple[ListenResponse, ...]]:
        """Batches of messages, until the stream is closed.

        Raises:
            ApiError: the stream ends with this status.
        """
        while not self._closed:
            batch = self.take()
            if batch is not None:
                yield batch
                continue
            if self._failure is not None:
                raise self._failure
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def ready(self) -> None:
        """There may be something to take. For the hub."""
        if self._closed:
            return
        if self.on_ready is not None:
            self.on_ready()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def fail(self, error: ApiError) -> None:
        """End the stream with a status, after what can still be told."""
        if self._failure is None and not self._closed:
            self._failure = error
            self._stop_watching()
            self.ready()

    def close(self) -> None:
        """Forget everything. The iteration ends."""
        if self._closed:
            return
        self._stop_watching()
        self.ready()
        self._closed = True
        self.state.discard()
        if self._expiry is not None:
            self._expiry.cancel()
        self._service.forget(self)

    def _add(self, request: AddTarget) -> None:
        target_id = check_target_id(request.target.target_id)
        if target_id == 0:
            target_id = self._assign_id()
        elif self._assigned:
            mixed = InvalidArgument(
                "This stream's targets get their ids from the server: ask for 0."
            )
            self.state.remove(target_id, mixed)
            self._hub.wake(self)
            return
        if target_id in self.state.targets:
            raise InvalidArgument(f"Target {target_id} is already being watched; remove it first.")
        if len(self.state.targets) >= self._options.max_targets:
            raise ResourceExhausted(
                f"A stream may watch at most {self._options.max_targets} targets at once."
            )
        try:
            if self.principal.project not in (None, self.database.project):
                raise PermissionDenied(_DENIED)
            watched = check_target(request.target, self.database, self._options)
        except ApiError as refusal:
            self.state.remove(target_id, refusal)
            self._hub.wake(self)
            return
        target = WatchTarget(target_id, watched, self, once=request.target.once)
        self.state.add(target)
        self._hub.wake(self)
        self._hub.admit(target)

    def _assign_id(self) -> int:
        """An id for a target whose client leaves the choice to the server, and tells all of them so."""
        self._assigned += 1
        while self._assigned in self.state.targets:
            self._assigned += 1
        return self._assigned

    def _may_read(self, document: Document) -> bool:
        return self._judge.may_get(self.principal, document)

    def _stop_watching(self) -> None:
        for target in tuple(self.state.targets.values()):
            target.dead = True
            self._hub.leave(target)

    def _watch_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        left = self._seconds_left()
        if left is not None:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(max(0.0, left), self._expire)

    def _seconds_left(self) -> float | None:
        expires_at = self.principal.expires_at
        if expires_at is None:
            return None
        return expires_at + self._options.expiry_grace - self._service.now() / 1e6

    def _expire(self) -> None:
        left = self._seconds_left()
        if left is not None and left > 0:  # the clock was set back
            self._watch_expiry()
        else:
            self.fail(Unauthenticated("The ID token has expired; authenticate with a fresh one."))


class RealtimeService:
    """Listeners of all databases. To be made inside a running event loop; close it in the end."""

    def __init__(
        self,
        source: Source,
        rights: Rights,
        options: RealtimeOptions | None = None,
        *,
        now: Callable[[], int] = _wall_micros,
    ) -> None:
        """``now`` gives microseconds since the epoch."""
        self.options = options or RealtimeOptions()
        self.now = now
        self._source = source
        self._rights = rights
        self._hubs: dict[DatabaseId, tuple[Hub, Judge]] = {}
        self._streams: dict[WatchStream, None] = {}
        self._loads = asyncio.Semaphore(self.options.concurrent_loads)
        self._results = ResultLoader(self.options, self._relieve)
        self._unsubscribe = source.subscribe(self._commit)
        self._sweeper: asyncio.Task[None] | None = None
        self._ending: list[asyncio.Task[None]] = []
        self._closed = False
        self._merges = 0  # of streams that are closed
        self._resets = 0

    def open(self, database: DatabaseId, principal: Principal) -> WatchStream:
        """A new stream.

        Raises:
            Unavailable: the service is shutting down.
        """
        if self._closed:
            raise Unavailable("The server is shutting down; listen again later.")
        if self._sweeper is None:
            self._sweeper = asyncio.ensure_future(self._sweep())
        hub, judge = self._hub(database)
        stream = WatchStream(self, hub, judge, principal)
        hub.streams += 1
        self._streams[stream] = None
        return stream

    def rules_released(self, project: str | None, service: str) -> None:
        """A ruleset was released: judge its listeners again (to be given to ``Releases.on_release``)."""
        if service != "cloud.firestore":
            return
        for stream in tuple(self._streams):
            if project in (None, stream.database.project):
                stream.judge_again()

    def end_user(self, project: str, uid: str, error: ApiError) -> None:
        """End every stream of a user: the account was disabled or deleted, its tokens revoked."""
        for stream in tuple(self._streams):
            if stream.principal.uid == uid and stream.database.project == project:
                stream.fail(error)

    def metrics(self) -> RealtimeMetrics:
        """Figures of the moment, and totals of merges and resets since the start."""
        states = [stream.state for stream in self._streams]
        return RealtimeMetrics(
            databases=len(self._hubs),
            streams=len(states),
            targets=sum(len(state.targets) for state in states),
            views=sum(hub.views for hub, _judge in self._hubs.values()),
            pending_bytes=sum(state.pending_bytes for state in states),
            held_bytes=self._results.held_bytes,
            merges=self._merges + sum(state.merges for state in states),
            resets=self._resets + sum(state.resets for state in states),
        )

    async def close(self) -> None:
        """End all streams with UNAVAILABLE, and stop."""
        self._closed = True
        self._unsubscribe()
        for stream in tuple(self._streams):
            stream.fail(Unavailable("The server is shutting down; listen again later."))
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        for hub, _judge in self._hubs.values():
            await hub.close()
        await asyncio.gather(*self._ending)

    def forget(self, stream: WatchStream) -> None:
        """A stream was closed. For the stream."""
        del self._streams[stream]
        self._merges += stream.state.merges
        self._resets += stream.state.resets
        hub, _judge = self._hubs[stream.database]
        hub.streams -= 1
        if not hub.streams:
            del self._hubs[stream.database]
            self._ending.append(asyncio.ensure_future(hub.close()))
            self._ending = [task for task in self._ending if not task.done()]

    def _hub(self, database: DatabaseId) -> tuple[Hub, Judge]:
        entry = self._hubs.get(database)
        if entry is None:
            judge = Judge(self._rights, database, self.now)
            hub = Hub(database, self._source, judge, self.options, self._loads, self._results)
            entry = self._hubs[database] = (hub, judge)
        return entry

    def _relieve(self) -> None:
        for hub, _judge in self._hubs.values():
            hub.relieve()

    def _commit(self, commit: CommitChanges) -> None:
        entry = self._hubs.get(commit.database)
        if entry is not None:
            entry[0].commit(commit)

    async def _sweep(self) -> None:
        """Keep the resume tokens of idle streams young."""
        while True:
            await asyncio.sleep(self.options.idle_advance)
            for count, stream in enumerate(tuple(self._streams), start=1):
                stream.advance()
                if count % self.options.streams_per_turn == 0:
                    await asyncio.sleep(0)
