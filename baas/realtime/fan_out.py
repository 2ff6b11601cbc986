"""The hub of one database: brings commits to views, and what they did to the streams.

Everything happens on the event loop; only reads are awaited (``timeline``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace

from baas.errors import ApiError, InternalError
from baas.model.change import Change
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.model.watch import ExistenceFilter
from baas.realtime.deltas import Key, ViewDelta
from baas.realtime.judging import Judging
from baas.realtime.matcher import AnyView, Matcher
from baas.realtime.options import RealtimeOptions
from baas.realtime.ports import Source
from baas.realtime.results import ResultLoader
from baas.realtime.resume import Replay, net_delta, wants_resume, window_delta
from baas.realtime.rights import Get, Judge
from baas.realtime.shelf import Shelf
from baas.realtime.targets import WatchTarget
from baas.realtime.tasks import Tasks
from baas.realtime.timeline import Timeline
from baas.realtime.turns import Turns
from baas.realtime.views import (
    DocumentsView,
    Keeping,
    QueryView,
    WindowView,
    documents_key,
    make_view,
    query_key,
)

log = logging.getLogger(__name__)


class Hub:
    """The views of one database and who watches them."""

    def __init__(
        self,
        database: DatabaseId,
        source: Source,
        judge: Judge,
        options: RealtimeOptions,
        loads: asyncio.Semaphore,
        results: ResultLoader,
    ) -> None:
        self._options = options
        self._results = results
        self._keeping = Keeping(options.kept_documents, options.kept_bytes, options.look_ahead)
        self._tasks = Tasks()
        self._timeline = Timeline(
            database, source, loads, self._tasks, self._spread, self._start_over
        )
        self._judging = Judging(
            judge, self._timeline, self._tasks, self._watched_get, self._allowed, self.refuse
        )
        self._matcher = Matcher()
        self._shelves: dict[bytes, Shelf] = {}
        self.commit = self._timeline.commit
        self.snapshot_message = self._timeline.snapshot_message
        self.wake = Turns(options.streams_per_turn).wake
        self.streams = 0
        """Open streams: without any the hub can go."""

    @property
    def database(self) -> DatabaseId:
        """Whose views these are."""
        return self._timeline.database

    @property
    def frontier(self) -> int:
        """The version up to which all commits went through the views."""
        return self._timeline.frontier

    @property
    def views(self) -> int:
        """How many views are shared by the targets."""
        return len(self._shelves)

    async def close(self) -> None:
        """Stop what is under way."""
        await self._tasks.close()

    def relieve(self) -> None:
        """Memory is short: let go of results that are kept for listeners to come."""
        for shelf in self._shelves.values():
            if isinstance(shelf.view, QueryView) and not shelf.waiting:
                shelf.view.forget()

    # -- commits -------------------------------------------------------------------------------------

    def _spread(self, version: int, changes: tuple[Change, ...], keys: frozenset[Key]) -> None:
        """Bring a commit to the views."""
        for view, concerned in self._matcher.affected(changes).items():
            self._tell(self._shelves[view.key], version, tuple(concerned))
        # nothing is handed out before this is over: streams are served in a turn of their own
        doubtful = self._doubtful(keys)
        for target in doubtful:
            self._judging.judge(target)

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
        wake = self.wake
        for target in shelf.ready:
            owner = target.owner
            owner.state.push(target, delta)
            if not owner.waits_for_turn:
                wake(owner)

    # -- targets -------------------------------------------------------------------------------------

    def admit(self, target: WatchTarget) -> None:
        """Begin to watch, if the caller may. The target is held until its result is queued."""
        if self.frontier < 0:
            self._tasks.spawn(self._admit_when_open(target))
        elif target.watched.query is None:
            self._join(target)  # the rules may depend on the documents: they are judged when known
        else:
            self._judging.judge(target)

    async def _admit_when_open(self, target: WatchTarget) -> None:
        try:
            await self._timeline.opened()
        except ApiError as error:
            self.refuse(target, error)
        else:
            if not target.dead:
                self.admit(target)

    def leave(self, target: WatchTarget) -> None:
        """Stop watching."""
        self._judging.forget(target)
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

    def _start_over(self) -> None:
        """The change log does not reach back to the frontier: every target begins afresh."""
        shelves, self._shelves = self._shelves, {}
        self._matcher = Matcher()
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
            self._tasks.spawn(self._resume(shelf, target))
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
            self._judging.judge(target)
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
            existence = self._existence(target, shelf.view)
            state.resume(target, delta, existence, self.frontier, replay.lease)
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
            bloom = documents.bloom
        return ExistenceFilter(target.id, len(documents), bloom)

    # -- rights --------------------------------------------------------------------------------------

    def judge_all(self, targets: Iterable[WatchTarget]) -> None:
        """The rules, or who the caller is, changed."""
        self._judging.judge_all(targets)

    def _watched_get(self, target: WatchTarget) -> Get:
        shelf: Shelf | None = target.shelf
        view = None if shelf is None else shelf.view
        return view.get if isinstance(view, DocumentsView) else _nothing

    def _allowed(self, target: WatchTarget) -> None:
        """The caller may watch the target."""
        if target.shelf is None:
            self._join(target)
        elif target.watched.query is None and not target.started:
            self._start(target)
        self.wake(target.owner)

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
            doubtful.update(dict.fromkeys(self._judging.dependents(key)))
        return doubtful

    # -- reading -------------------------------------------------------------------------------------

    def _load(self, shelf: Shelf) -> None:
        shelf.view.begin_load()
        self._tasks.spawn(self._run_load(shelf))

    async def _run_load(self, shelf: Shelf) -> None:
        view = shelf.view
        try:
            loaded = await self._results.load(self._timeline, view)
            delta = view.loaded(loaded.documents, loaded.version, self.frontier)
            view.lease = loaded.lease
            del loaded
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
        try:
            replay = await self._results.replay(self._timeline, view, watched)
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


def _nothing(_name: DocumentName) -> Document | None:
    return None
