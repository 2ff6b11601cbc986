"""The versions of one database, as its views live through them.

The *frontier* is the version up to which all commits went through the views. A read may be ahead of it:
then the commits in between come with the read, from the change log, and the feed's later word of them is
passed over. So a result that was read is never ahead of the views, and a lost notification costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from baas.errors import ApiError
from baas.model.change import Change, CommitChanges
from baas.model.paths import DatabaseId
from baas.model.values import Timestamp
from baas.model.watch import TargetChange, TargetChangeType
from baas.realtime.deltas import Key
from baas.realtime.ports import NO_HISTORY, Source, VersionedReader
from baas.realtime.tasks import Tasks
from baas.wire.resume_token import encode_resume_token

log = logging.getLogger(__name__)

T = TypeVar("T")

_RECENT_COMMITS: Final = 1_000


class Timeline:
    """Puts commits and reads into one order.

    ``spread(version, changes, keys)`` brings a commit to the views; ``start_over()`` is called when the
    change log does not reach back to the frontier, so that every view has to be read anew.
    """

    def __init__(
        self,
        database: DatabaseId,
        source: Source,
        loads: asyncio.Semaphore,
        tasks: Tasks,
        spread: Callable[[int, tuple[Change, ...], frozenset[Key]], None],
        start_over: Callable[[], None],
    ) -> None:
        self.database = database
        self._source = source
        self._loads = loads
        self._tasks = tasks
        self._spread = spread
        self._start_over = start_over
        self.frontier = -1
        self.epoch = b""
        self._recent: deque[tuple[int, frozenset[Key]]] = deque(maxlen=_RECENT_COMMITS)
        self._recent_from = -1
        self._message: tuple[int, bytes, TargetChange] | None = None
        self._early: list[CommitChanges] | None = []
        self._opening: asyncio.Task[None] | None = None
        self._learning: asyncio.Task[None] | None = None

    def commit(self, commit: CommitChanges) -> None:
        """Take a commit of the feed; those that already came with a read are passed over."""
        if self._early is not None:
            self._early.append(commit)
        elif self.epoch == NO_HISTORY:
            self._early = [commit]
            self._bring_early()
        else:
            self._bring(commit)

    async def opened(self) -> None:
        """Wait until the frontier is known.

        Raises:
            ApiError: the database cannot be read.
        """
        if self._opening is None or self._opening.done():
            self._opening = self._tasks.spawn(self._open())
        await asyncio.shield(self._opening)

    async def read(self, unit: Callable[[VersionedReader], T]) -> tuple[T, int]:
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
        if epoch != NO_HISTORY:  # as old a read may come back when the epoch is known
            self.epoch = epoch
        self._bring_early()
        if version > self.frontier:
            if commits is None:
                self._recent.clear()
                self._recent_from = self.frontier = version
                self._start_over()
            else:
                for commit in commits:
                    self._bring(commit)
                self.frontier = max(self.frontier, version)
        return value, version

    def changed_since(self, keys: frozenset[Key], version: int) -> bool:
        """Whether one of the documents was changed after a version."""
        if not keys:
            return False
        if version < self._recent_from:
            return True
        return any(at > version and not keys.isdisjoint(names) for at, names in self._recent)

    def snapshot_message(self, version: int) -> TargetChange:
        """The global snapshot at a version, with its resume token."""
        message = self._message
        if message is None or message[0] != version or message[1] != self.epoch:
            time = Timestamp(version)
            token = encode_resume_token(self.epoch, time)
            change = TargetChange(TargetChangeType.NO_CHANGE, (), None, token, time)
            message = self._message = (version, self.epoch, change)
        return message[2]

    def _bring(self, commit: CommitChanges) -> None:
        version = commit.commit_time.micros
        if version <= self.frontier:
            return
        self.frontier = version
        keys = _touched(commit.changes)
        if len(self._recent) == _RECENT_COMMITS:
            self._recent_from = self._recent[0][0]
        self._recent.append((version, keys))
        self._spread(version, commit.changes, keys)

    def _bring_early(self) -> None:
        """Bring the commits that came before they could be taken.

        The first one begins the history, whose epoch resume tokens have to carry: it waits for that.
        """
        if self._early and self.epoch == NO_HISTORY:
            if self._learning is None or self._learning.done():
                self._learning = self._tasks.spawn(self._learn_epoch())
        else:
            self._release_early()

    def _release_early(self) -> None:
        early, self._early = self._early or [], None
        for commit in early:
            self._bring(commit)

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
        self._release_early()


def _touched(changes: Iterable[Change]) -> frozenset[Key]:
    """The documents that changed, and the collections that one of them entered or left."""
    keys = set()
    for change in changes:
        segments = change.name.segments
        keys.add(segments)
        if change.old is None or change.new is None:
            keys.add(segments[:-1])
    return frozenset(keys)
