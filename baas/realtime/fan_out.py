"""The hub of one database: brings commits to views, and what they did to the streams.

Everything happens on the event loop; only reads are awaited. The hub's *frontier* is the version up to
which all commits went through the views. A read may be ahead of it: then the commits in between come with
the read, from the change log, and the feed's later word of them is passed over. So a result that was read
is never ahead of the views, and a lost notification costs nothing.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from baas.access.principal import Principal
from baas.errors import ApiError, InternalError
from baas.model.change import Change, CommitChanges
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.model.query import Query
from baas.model.values import Timestamp
from baas.model.watch import ExistenceFilter, TargetChange, TargetChangeType
from baas.realtime.bloom import bloom_filter
from baas.realtime.deltas import Key, ViewDelta
from baas.realtime.matcher import AnyView, Matcher
from baas.realtime.options import RealtimeOptions
from baas.realtime.ports import NO_HISTORY, Source, VersionedReader
from baas.realtime.resume import (
    Replay,
    net_delta,
    read_replay,
    wants_resume,
    window_delta,
)
from baas.realtime.rights import ALLOWED, Get, Judge, Verdict
from baas.realtime.targets import WatchTarget
from baas.realtime.views import (
    DocumentsView,
    Keeping,
    QueryView,
    WindowView,
    documents_key,
    make_view,
    query_key,
)
from baas.realtime.watch_stream import StreamState
from baas.wire.resume_token import encode_resume_token

log = logging.getLogger(__name__)

T = TypeVar("T")

_RECENT_COMMITS = 1_000


class Watcher(Protocol):
    """A stream, as the hub sees it."""

    @property
    def principal(self) -> Principal:
        """On whose behalf it watches."""

    @property
    def state(self) -> StreamState:
        """What it has told and has to tell."""

    def ready(self) -> None:
        """It has something to tell, or may have."""

    def fail(self, error: ApiError) -> None:
        """It must end."""


class Shelf:
    """A view and the targets that watch it."""

    __slots__ = ("filling", "ready", "resuming", "view", "waiting")

    def __init__(self, view: AnyView) -> None:
        self.view = view
        self.ready: dict[WatchTarget, None] = {}
        """They get deltas."""
        self.waiting: dict[WatchTarget, None] = {}
        """They wait for the view's result."""
        self.resuming: dict[WatchTarget, list[tuple[int, tuple[Change, ...]]]] = {}
        """They wait for what they missed; meanwhile commits are noted for them."""
        self.filling = False
        """Whether the ready ones wait for a refill."""

    @property
    def unused(self) -> bool:
        return not (self.ready or self.waiting or self.resuming)


class Hub:
    """The views of one database and who watches them."""

    def __init__(
        self,
        database: DatabaseId,
        source: Source,
        judge: Judge,
        options: RealtimeOptions,
        loads: asyncio.Semaphore,
    ) -> None:
        self.database = database
        self._source = source
        self._judge = judge
        self._options = options
        self._keeping = Keeping(options.kept_documents, options.kept_bytes, options.look_ahead)
        self._loads = loads
        self._matcher = Matcher()
        self._shelves: dict[bytes, Shelf] = {}
        self._dependents: dict[Key, dict[WatchTarget, None]] = {}
        self._dirty: dict[Watcher, None] = {}
        self._serving = False
        self._recent: deque[tuple[int, frozenset[Key]]] = deque(maxlen=_RECENT_COMMITS)
        self._recent_from = -1
        self._tasks: set[asyncio.Task[None]] = set()
        self._message: tuple[int, bytes, TargetChange] | None = None
        self._early: list[CommitChanges] | None = []
        self._opening: asyncio.Task[None] | None = None
        self.streams = 0
        """Open streams: without any the hub can go."""
        self.epoch = b""
        self.frontier = -1

    @property
    def views(self) -> int:
        """How many views are shared by the targets."""
        return len(self._shelves)

    async def close(self) -> None:
        """Stop what is under way."""
        tasks = [*self._tasks, *(() if self._opening is None else (self._opening,))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- commits -------------------------------------------------------------------------------------

    def commit(self, commit: CommitChanges) -> None:
        """Take a commit of the feed; those that already came with a read are passed over."""
        if self._early is not None:
            self._early.append(commit)
        elif self.epoch == NO_HISTORY:
            # the first commit begins the history, whose epoch resume tokens have to carry
            self._early = [commit]
            self._spawn(self._learn_epoch())
        else:
            self._bring(commit)

    def _bring(self, commit: CommitChanges) -> None:
        """Bring a commit to the views."""
        version = commit.commit_time.micros
        if version <= self.frontier:
            return
        self.frontier = version
        keys = _touched(commit.changes)
        if len(self._recent) == _RECENT_COMMITS:
            self._recent_from = self._recent[0][0]
        self._recent.append((version, keys))
        for view, changes in self._matcher.affected(commit.changes).items():
            self._tell(self._shelves[view.key], version, tuple(changes))
        # nothing is handed out before this is over: streams are served in a turn of their own
        doubtful = self._doubtful(keys)
        for target in doubtful:
            self.judge(target)

    def _tell(self, shelf: Shelf, version: int, changes: tuple[Change, ...]) -> None:
        for noted in shelf.resuming.values():
            noted.append((version, changes))
        view = shelf.view
        delta = view.commit(version, changes)
        if delta is not None:
            self._push(shelf, delta)
        if view.holds_back and not shelf.filling:
            shelf.filling = True
            for target in shelf.ready:
                target.owner.state.hold(target)
        if view.holds_back and view.wants_load:
            self._load(shelf)

    def _push(self, shelf: Shelf, delta: ViewDelta) -> None:
        dirty = self._dirty
        for target in shelf.ready:
            owner = target.owner
            owner.state.push(target, delta)
            dirty[owner] = None
        self._serve_soon()

    def wake(self, watcher: Watcher) -> None:
        """A stream has something to tell."""
        self._dirty[watcher] = None
        self._serve_soon()

    def _serve_soon(self) -> None:
        if not self._serving:
            self._serving = True
            asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        """Let streams hand out what they have, a limited number in each turn of the loop."""
        dirty = self._dirty
        for _ in range(min(len(dirty), self._options.streams_per_turn)):
            watcher = next(iter(dirty))
            del dirty[watcher]
            watcher.ready()
        self._serving = False
        if dirty:
            self._serve_soon()

    def snapshot_message(self, version: int) -> TargetChange:
        """The global snapshot at a version, with its resume token."""
        message = self._message
        if message is None or message[0] != version or message[1] != self.epoch:
            time = Timestamp(version)
            token = encode_resume_token(self.epoch, time)
            change = TargetChange(TargetChangeType.NO_CHANGE, (), None, token, time)
            message = self._message = (version, self.epoch, change)
        return message[2]

    # -- targets -------------------------------------------------------------------------------------

    def admit(self, target: WatchTarget) -> None:
        """Begin to watch, if the caller may. The target is held until its result is queued."""
        if self.frontier < 0:
            self._spawn(self._admit_when_open(target))
        elif target.watched.query is None:
            self._join(target)  # the rules may depend on the documents: they are judged when known
        else:
            self.judge(target)

    async def _admit_when_open(self, target: WatchTarget) -> None:
        if self._opening is None or self._opening.done():
            self._opening = asyncio.ensure_future(self._open())
        try:
            await asyncio.shield(self._opening)
        except ApiError as error:
            self.refuse(target, error)
        else:
            if not target.dead:
                self.admit(target)

    def leave(self, target: WatchTarget) -> None:
        """Stop watching."""
        self._forget_dependencies(target)
        shelf: Shelf | None = target.shelf
        if shelf is None:
            return
        shelf.ready.pop(target, None)
        shelf.waiting.pop(target, None)
        shelf.resuming.pop(target, None)
        target.shelf = None
        if shelf.unused and self._shelves.get(shelf.view.key) is shelf:
            del self._shelves[shelf.view.key]
            self._matcher.remove(shelf.view)

    def restart(self, target: WatchTarget) -> None:
        """Give a target, which was reset, its whole result again."""
        target.watched = replace(target.watched, resume_token=None, read_time=None)
        shelf: Shelf | None = target.shelf
        if shelf is None:
            self._join(target)
            return
        if target in shelf.ready:
            del shelf.ready[target]
            if shelf.filling:
                target.owner.state.release(target)
        self._attend(target)

    def _start_over(self, version: int) -> None:
        """The change log does not reach back to the frontier: every target begins afresh."""
        shelves, self._shelves = self._shelves, {}
        self._matcher = Matcher()
        self._recent.clear()
        self._recent_from = self.frontier = version
        for shelf in shelves.values():
            ready, shelf.ready = shelf.ready, {}
            for target in ready:
                if shelf.filling:
                    target.owner.state.release(target)
                target.shelf = None
                target.owner.state.lose(target)
                self.wake(target.owner)
            unstarted = {**shelf.waiting, **dict.fromkeys(shelf.resuming)}
            shelf.waiting, shelf.resuming = {}, {}
            for target in unstarted:
                target.shelf = None
                self._join(target)

    def _join(self, target: WatchTarget) -> None:
        watched = target.watched
        query = watched.query
        key = documents_key(watched.names) if query is None else query_key(query)
        shelf = self._shelves.get(key)
        if shelf is None:
            view: AnyView = (
                DocumentsView(watched.names) if query is None else make_view(query, self._keeping)
            )
            shelf = self._shelves[key] = Shelf(view)
            self._matcher.add(view)
        target.shelf = shelf
        if wants_resume(watched):
            shelf.resuming[target] = []
            self._spawn(self._resume(shelf, target))
        else:
            self._attend(target)

    def _attend(self, target: WatchTarget) -> None:
        """Go on with the target now, or when the view has its result."""
        shelf: Shelf = target.shelf
        if shelf.view.has_result:
            self._arrive(target)
            return
        shelf.waiting[target] = None
        if shelf.view.wants_load:
            self._load(shelf)

    def _arrive(self, target: WatchTarget) -> None:
        """The view has its result."""
        if target.watched.query is None:
            self.judge(target)
        else:
            self._start(target)

    def _start(self, target: WatchTarget) -> None:
        shelf: Shelf = target.shelf
        state = target.owner.state
        noted = shelf.resuming.pop(target, None)
        replay: Replay | None = target.replay
        target.replay = None
        if noted is None or replay is None:
            state.start(target, shelf.view.initial(), self.frontier)
        else:
            delta = self._missed(shelf.view, replay, noted)
            state.resume(target, delta, self._existence(target, shelf.view), self.frontier)
        target.started = True
        shelf.ready[target] = None
        self.wake(target.owner)

    def _missed(
        self, view: AnyView, replay: Replay, noted: Iterable[tuple[int, tuple[Change, ...]]]
    ) -> ViewDelta | None:
        for version, changes in noted:
            if version > replay.version:
                replay.missed.add(version, changes)
        if isinstance(view, WindowView):
            return window_delta(view, replay.window or {}, replay.missed, self.frontier)
        return net_delta(view, replay.missed, self.frontier)

    def _existence(self, target: WatchTarget, view: AnyView) -> ExistenceFilter | None:
        """An existence filter, where one was asked for and the result is at hand."""
        if target.watched.expected_count is None or not view.has_result:
            return None
        documents = view.initial()
        bloom = None
        if len(documents) <= self._options.bloom_names:
            bloom = bloom_filter([document.name.name for document in documents])
        return ExistenceFilter(target.id, len(documents), bloom)

    # -- rights --------------------------------------------------------------------------------------

    def judge(self, target: WatchTarget) -> None:
        """Decide (again) whether the caller may watch the target; until then it is held."""
        target.doubts += 1
        if target.judging or target.dead:
            return
        owner = target.owner
        owner.state.hold(target)
        verdict = ALLOWED
        if not owner.principal.bypasses_rules:
            asked = self._judge.at_once(owner.principal, target.watched, self._watched_get(target))
            if asked is None:
                target.judging = True
                self._spawn(self._judge_in_unit(target))
                return
            verdict = asked
        self._conclude(target, verdict)

    def judge_all(self, targets: Iterable[WatchTarget]) -> None:
        """The rules, or who the caller is, changed."""
        for target in tuple(targets):
            known = target.watched.query is not None or target.started
            if known or target.judging:
                self.judge(target)

    def _watched_get(self, target: WatchTarget) -> Get:
        shelf: Shelf | None = target.shelf
        view = None if shelf is None else shelf.view
        return view.get if isinstance(view, DocumentsView) else _nothing

    async def _judge_in_unit(self, target: WatchTarget) -> None:
        owner = target.owner
        own = frozenset(name.segments for name in target.watched.names)
        verdict = ALLOWED
        while not target.dead:
            doubts, principal = target.doubts, owner.principal
            if principal.bypasses_rules:
                verdict = ALLOWED
                break
            try:
                verdict, _ = await self._read(
                    functools.partial(self._judge.in_unit, principal, target.watched)
                )
            except ApiError as error:
                verdict = Verdict(error, frozenset(), -1)
            changed = self._changed_since(verdict.dependencies | own, verdict.version)
            if doubts == target.doubts and not changed:
                break
        target.judging = False
        if not target.dead:
            self._conclude(target, verdict)

    def _conclude(self, target: WatchTarget, verdict: Verdict) -> None:
        owner = target.owner
        owner.state.release(target)
        if verdict.refusal is not None:
            self.refuse(target, verdict.refusal)
            return
        self._forget_dependencies(target)
        target.dependencies = verdict.dependencies
        for key in verdict.dependencies:
            self._dependents.setdefault(key, {})[target] = None
        if target.shelf is None:
            self._join(target)
        elif target.watched.query is None and not target.started:
            self._start(target)
        self.wake(owner)

    def refuse(self, target: WatchTarget, cause: ApiError) -> None:
        """End a target with a cause."""
        if target.dead:
            return
        owner = target.owner
        try:
            owner.state.remove(target.id, cause)
        except ApiError as error:
            owner.fail(error)
        self.leave(target)
        self.wake(owner)

    def _doubtful(self, changed: Iterable[Key]) -> dict[WatchTarget, None]:
        """The targets whose right may have changed with these documents."""
        doubtful: dict[WatchTarget, None] = {}
        for key in changed:
            for view in self._matcher.of_document(key):
                for target in self._shelves[view.key].ready:
                    if not target.owner.principal.bypasses_rules:
                        doubtful[target] = None
            doubtful.update(self._dependents.get(key, {}))
        return doubtful

    def _forget_dependencies(self, target: WatchTarget) -> None:
        for key in target.dependencies:
            targets = self._dependents.get(key)
            if targets is not None:
                targets.pop(target, None)
                if not targets:
                    del self._dependents[key]
        target.dependencies = frozenset()

    def _changed_since(self, keys: frozenset[Key], version: int) -> bool:
        """Whether one of the documents was changed after a version."""
        if not keys:
            return False
        if version < self._recent_from:
            return True
        return any(at > version and not keys.isdisjoint(names) for at, names in self._recent)

    # -- reading -------------------------------------------------------------------------------------

    async def _open(self) -> None:
        def position(reader: VersionedReader) -> tuple[int, bytes]:
            return reader.version.micros, reader.epoch

        self.frontier, self.epoch = await self._source.read(self.database, position)
        self._bring_early()

    async def _learn_epoch(self) -> None:
        try:
            self.epoch = await self._source.read(self.database, lambda reader: reader.epoch)
        except ApiError:
            log.exception("the epoch of %s could not be read", self.database.name)
        self._bring_early()

    def _bring_early(self) -> None:
        """Bring the commits that came before the hub could take them."""
        early, self._early = self._early or [], None
        for commit in early:
            self._bring(commit)

    async def _read(self, unit: Callable[[VersionedReader], T]) -> tuple[T, int]:
        """Run a unit; when this returns, the views are not behind the version that it saw.

        Raises:
            ApiError: the database cannot be read.
        """

        def with_commits(
            reader: VersionedReader,
        ) -> tuple[T, int, bytes, Sequence[CommitChanges] | None]:
            # looked at on the reader's thread, and as late as possible: the frontier only ever grows
            since = Timestamp(self.frontier)
            ahead = reader.version > since
            commits = reader.changes_since(since) if ahead else ()
            return unit(reader), reader.version.micros, reader.epoch, commits

        async with self._loads:
            value, version, epoch, commits = await self._source.read(self.database, with_commits)
        self.epoch = epoch
        self._bring_early()
        if version > self.frontier:
            if commits is None:
                self._start_over(version)
            else:
                for commit in commits:
                    self._bring(commit)
                self.frontier = max(self.frontier, version)
        return value, version

    def _load(self, shelf: Shelf) -> None:
        shelf.view.begin_load()
        self._spawn(self._run_load(shelf))

    async def _run_load(self, shelf: Shelf) -> None:
        view = shelf.view
        try:
            if isinstance(view, DocumentsView):
                states, version = await self._read(_get_all(view))
                view.loaded(states, version, self.frontier)
            elif isinstance(view, QueryView):
                documents, version = await self._read(_run(view.query))
                view.loaded(documents, version, self.frontier)
            else:
                documents, version = await self._read(_run(view.query_to_load()))
                delta = view.loaded(documents, version, self.frontier)
                if delta is not None:
                    self._push(shelf, delta)
        except ApiError as error:
            self._load_failed(shelf, error)
            return
        except Exception:
            log.exception("reading a listener's result failed")
            self._load_failed(shelf, InternalError("The server failed to read the result."))
            return
        if view.wants_load:
            self._load(shelf)
            return
        self._filled(shelf)
        waiting, shelf.waiting = shelf.waiting, {}
        for target in waiting:
            self._arrive(target)
        if isinstance(view, QueryView):
            view.let_go()

    def _filled(self, shelf: Shelf) -> None:
        if shelf.filling:
            shelf.filling = False
            for target in shelf.ready:
                target.owner.state.release(target)
                self.wake(target.owner)

    def _load_failed(self, shelf: Shelf, error: ApiError) -> None:
        shelf.view.abandon_load()
        hurt = {**shelf.waiting, **(shelf.ready if shelf.filling else {})}
        for target in hurt:
            self.refuse(target, error)

    async def _resume(self, shelf: Shelf, target: WatchTarget) -> None:
        view, watched = shelf.view, target.watched
        limit = self._options.replayed_changes
        try:
            replay, _ = await self._read(lambda reader: read_replay(reader, watched, view, limit))
        except ApiError as error:
            self.refuse(target, error)
            return
        if target.dead or target.shelf is not shelf:
            return
        if replay is None:
            shelf.resuming.pop(target, None)
            target.owner.state.reset(target)
        elif isinstance(view, QueryView):
            target.replay = replay
            view.follow(self.frontier)
            self._start(target)
            return
        target.replay = replay
        self._attend(target)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a listener's task failed", exc_info=task.exception())


def _run(query: Query) -> Callable[[VersionedReader], list[Document]]:
    return lambda reader: reader.query(query)


def _get_all(view: DocumentsView) -> Callable[[VersionedReader], list[Document | None]]:
    return lambda reader: [reader.get(name) for name in view.names]


def _touched(changes: Iterable[Change]) -> frozenset[Key]:
    """The documents that changed, and the collections that one of them entered or left."""
    keys = set()
    for change in changes:
        segments = change.name.segments
        keys.add(segments)
        if change.old is None or change.new is None:
            keys.add(segments[:-1])
    return frozenset(keys)


def _nothing(_name: DocumentName) -> Document | None:
    return None
