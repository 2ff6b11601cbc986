"""One Listen stream as a state machine without I/O (``listen-and-write`` §2).

It is told what happened (a target was added, its first result is there, a view changed) and is asked, when
the reader can take more, for the next batch of messages. What it guarantees, in whatever order it is told:

- each request is answered by exactly one ADD or REMOVE, in order;
- a target's documents come after its ADD and before its CURRENT;
- a global snapshot comes only when all targets stand at one version and everything up to that version
  has been told; its time never goes back; each document is told of at most once between two snapshots
  (first results aside);
- nothing of a target follows its REMOVE, and nothing at all while the right to it is in question;
- what waits for the reader is bounded: deltas are merged into the newest state, and beyond that dropped,
  with RESET and a fresh result once the reader is back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from baas.errors import ApiError, ResourceExhausted
from baas.model.document import Document
from baas.model.values import Timestamp
from baas.model.watch import (
    DocumentChange,
    ExistenceFilter,
    ListenResponse,
    TargetChange,
    TargetChangeType,
)
from baas.realtime.budget import Lease
from baas.realtime.deltas import (
    Batch,
    ItemKind,
    Merged,
    SharedKey,
    ViewDelta,
    merge,
    size_of,
)
from baas.realtime.options import RealtimeOptions
from baas.realtime.targets import WatchTarget

SnapshotMessage: TypeAlias = Callable[[int], TargetChange]


class Backlog:
    """The first result of a target, handed out piece by piece. The documents are shared, not copied.

    ``lease`` is of the memory that the tail takes, which goes in one piece.
    """

    __slots__ = ("_documents", "_generation", "_lease", "_position", "_tail", "target")

    def __init__(
        self,
        target: WatchTarget,
        documents: Sequence[Document],
        tail: tuple[ListenResponse, ...],
        lease: Lease | None = None,
    ) -> None:
        self._lease = lease
        self.target = target
        self._generation = target.generation
        self._documents = documents
        self._position = 0
        self._tail = tail

    @property
    def stale(self) -> bool:
        """Whether the target was removed or reset since."""
        return self.target.dead or self.target.generation != self._generation

    def fill(self, responses: list[ListenResponse], room: int) -> int | None:
        """Add messages until ``room`` bytes are used; answers the room left, ``None``: there is more."""
        ids = (self.target.id,)
        documents = self._documents
        position = self._position
        while position < len(documents) and room > 0:
            document = documents[position]
            responses.append(DocumentChange(document, ids))
            room -= size_of(document)
            position += 1
        self._position = position
        if position < len(documents):
            return None
        responses.extend(self._tail)
        self.target.current = True
        return room


class StreamState:
    """The state of one stream.

    ``snapshot_message(version)`` makes the global snapshot's message, with its resume token;
    ``restart(target)`` is called when a target that was reset needs its result again; ``finished(target)``
    when a ``once`` target is done.
    """

    __slots__ = (
        "_calm_bytes",
        "_finished",
        "_held",
        "_last_snapshot",
        "_lost",
        "_may_read",
        "_merged",
        "_options",
        "_outbox",
        "_pending",
        "_pending_bytes",
        "_restart",
        "_snapshot_message",
        "_wants_snapshot",
        "merges",
        "resets",
        "targets",
    )

    def __init__(
        self,
        options: RealtimeOptions,
        snapshot_message: SnapshotMessage,
        may_read: Callable[[Document], bool],
        restart: Callable[[WatchTarget], None],
        finished: Callable[[WatchTarget], None],
    ) -> None:
        self._options = options
        self._snapshot_message = snapshot_message
        self._may_read = may_read
        self._restart = restart
        self._finished = finished
        self.targets: dict[int, WatchTarget] = {}
        self._outbox: list[ListenResponse | Backlog] = []
        self._pending: list[tuple[WatchTarget, ViewDelta]] = []
        self._pending_bytes = 0
        self._calm_bytes = min(options.merge_bytes, options.reset_bytes)
        self._merged: Merged | None = None
        self._held = 0
        self._lost: list[WatchTarget] = []
        self._wants_snapshot = False
        self._last_snapshot = -1
        self.merges = 0
        self.resets = 0

    @property
    def pending_bytes(self) -> int:
        """About how much waits for the reader (first results, which are shared, aside)."""
        return self._pending_bytes + (self._merged.size if self._merged else 0)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to take, whatever happens to other streams."""
        return not (
            self._outbox or self._pending or self._merged or self._wants_snapshot or self._lost
        )

    def add(self, target: WatchTarget) -> None:
        """Answer an added target. It holds the stream's snapshots back until it is started.

        Raises:
            ResourceExhausted: too many answers wait to be read.
        """
        self._answer(TargetChange(TargetChangeType.ADD, (target.id,)))
        self.targets[target.id] = target
        self.hold(target)

    def remove(self, target_id: int, cause: ApiError | None = None) -> WatchTarget | None:
        """Answer a removal, asked for or (with a cause) not; unknown ids are answered too."""
        target = self.targets.pop(target_id, None)
        if target is not None:
            self._forget(target)
        self._answer(TargetChange(TargetChangeType.REMOVE, (target_id,), cause))
        return target

    def hold(self, target: WatchTarget) -> None:
        """The target is not at the newest version, or the right to it is in question."""
        target.holds += 1
        if target.holds == 1:
            self._held += 1

    def release(self, target: WatchTarget) -> None:
        """Undo one :meth:`hold`."""
        if target.dead:
            return
        target.holds -= 1
        if target.holds == 0:
            self._held -= 1

    def start(self, target: WatchTarget, documents: Sequence[Document], version: int) -> None:
        """Give the whole result as of ``version``, before or after which nothing of it was told."""
        self._begin(target, documents, (), version)

    def resume(
        self,
        target: WatchTarget,
        delta: ViewDelta | None,
        existence: ExistenceFilter | None,
        version: int,
        lease: Lease | None = None,
    ) -> None:
        """Give only what changed since the client's token; ``lease``: of the memory that this takes."""
        told: Iterable[ListenResponse] = ()
        if delta is not None:
            told = merge([(target.id, delta)]).responses(self._may_read)
        told = (*told, *(() if existence is None else (existence,)))
        self._begin(target, (), told, version, lease)

    def reset(self, target: WatchTarget) -> None:
        """Tell the client to forget the target's documents; they will come again."""
        target.generation += 1
        target.current = False
        self._outbox.append(TargetChange(TargetChangeType.RESET, (target.id,)))

    def push(self, target: WatchTarget, delta: ViewDelta) -> None:
        """A started target's view changed."""
        if target.dead or target.lost:
            return
        if self._merged is not None:
            self._merged.add(target.id, delta)
        else:
            self._pending.append((target, delta))
            self._pending_bytes = size = self._pending_bytes + delta.size
            if size <= self._calm_bytes:
                return
            if size > self._options.merge_bytes and len(self._pending) > 1:
                self._merge()
        if self.pending_bytes > self._options.reset_bytes:
            self._overflow()

    def lose(self, target: WatchTarget) -> None:
        """What happened to the target cannot be told: it begins afresh when the reader is ready."""
        if not target.lost:
            self._drop_pending(target)
            self._give_up(target)

    def advance(self, version: int) -> None:
        """Let the client know that nothing happened up to ``version``."""
        if self.targets and version > self._last_snapshot:
            self._wants_snapshot = True

    def take_shared(self) -> Batch | None:
        """The next batch, where it is one commit's and has been made for another stream already.

        A shorter way to what :meth:`take` would answer: it is gone once a listener and commit.
        """
        pending = self._pending
        if len(pending) != 1 or self._held or self._outbox or self._wants_snapshot or self._lost:
            return None
        target, delta = pending[0]
        batch = None if target.once else delta.shared.get(target.id)
        if batch is not None:
            pending.clear()
            self._pending_bytes = 0
            self._last_snapshot = delta.version
        return batch

    def take(self, version: int) -> Batch | None:
        """The next batch, if there is something to tell; the newest version is ``version``."""
        self._recover()
        responses: list[ListenResponse] = []
        if self._outbox and not self._drain(responses):
            return Batch.of(responses) if responses else None
        if self._held:
            return Batch.of(responses) if responses else None
        if not responses and not self._wants_snapshot and self._merged is None:
            shared = self._make_shared()
            if shared is not None:
                return shared
        if self._pending or self._merged is not None or self._wants_snapshot:
            responses.extend(self._take_changes())
            responses.append(self._snapshot(version))
            self._finish_once(responses)
        return Batch.of(responses) if responses else None

    def discard(self) -> None:
        """Nobody will take anything any more: let go of results that others wait to have room for."""
        self._outbox.clear()
        self._clear_pending()

    def _begin(
        self,
        target: WatchTarget,
        documents: Sequence[Document],
        told: tuple[ListenResponse, ...],
        version: int,
        lease: Lease | None = None,
    ) -> None:
        message = self._snapshot_message(version)
        current = TargetChange(
            TargetChangeType.CURRENT,
            (target.id,),
            resume_token=message.resume_token,
            read_time=Timestamp(version),
        )
        self._outbox.append(Backlog(target, documents, (*told, current), lease))
        self._wants_snapshot = True
        self.release(target)

    def _answer(self, response: TargetChange) -> None:
        if len(self._outbox) >= self._options.max_unsent_answers:
            raise ResourceExhausted("The stream's answers are not being read.")
        self._outbox.append(response)

    def _forget(self, target: WatchTarget) -> None:
        target.dead = True
        if target.holds:
            self._held -= 1
        self._drop_pending(target)
        if target.lost:
            self._lost.remove(target)

    def _drop_pending(self, target: WatchTarget) -> None:
        if self._pending:
            self._pending = [entry for entry in self._pending if entry[0] is not target]
            self._pending_bytes = sum(delta.size for _target, delta in self._pending)
        if self._merged is not None:
            self._merged.drop(target.id)

    def _drain(self, responses: list[ListenResponse]) -> bool:
        """Move answers and first results out; answers whether all of them went."""
        room: int | None = self._options.batch_bytes
        outbox = self._outbox
        gone = 0
        for entry in outbox:
            if not isinstance(entry, Backlog):
                responses.append(entry)
            elif not entry.stale:
                if entry.target.holds or room is None or room <= 0:
                    break
                room = entry.fill(responses, room)
                if room is None:
                    break
            gone += 1
        del outbox[:gone]
        return not outbox

    def _make_shared(self) -> Batch | None:
        """The batch that all streams with the same to tell have in common."""
        pending = self._pending
        if not pending:
            return None
        target, last = pending[-1]
        if any(each is not target for each, _delta in pending) or target.once:
            return None
        deltas = [delta for _target, delta in pending]
        readable = tuple(self._readable(deltas))
        key: SharedKey = (target.id, deltas[0].version, len(deltas), readable)
        if len(deltas) == 1 and not readable:
            key = target.id
        batch = last.shared.get(key)
        if batch is None:
            answers = iter(readable)
            merged = merge((target.id, delta) for delta in deltas)
            told = merged.responses(self._may_read if len(deltas) > 1 else lambda _: next(answers))
            batch = Batch.of([*told, self._snapshot_message(last.version)])
            if len(deltas) == 1 or not readable:
                last.shared[key] = batch
        self._clear_pending()
        self._last_snapshot = last.version
        return batch

    def _readable(self, deltas: Sequence[ViewDelta]) -> Iterator[bool]:
        """For each document that left the query, whether this stream's caller may still see it."""
        for delta in deltas:
            if delta.has_left:
                for item in delta.items:
                    if item.kind is ItemKind.LEFT and item.document is not None:
                        yield self._may_read(item.document)

    def _take_changes(self) -> list[ListenResponse]:
        merged = self._merged
        if merged is None:
            merged = merge((target.id, delta) for target, delta in self._pending)
        self._clear_pending()
        return merged.responses(self._may_read)

    def _snapshot(self, version: int) -> TargetChange:
        self._wants_snapshot = False
        self._last_snapshot = max(version, self._last_snapshot)
        return self._snapshot_message(self._last_snapshot)

    def _finish_once(self, responses: list[ListenResponse]) -> None:
        done = [target for target in self.targets.values() if target.once and target.current]
        for target in done:
            del self.targets[target.id]
            self._forget(target)
            responses.append(TargetChange(TargetChangeType.REMOVE, (target.id,)))
            self._finished(target)

    def _clear_pending(self) -> None:
        self._pending = []
        self._pending_bytes = 0
        self._merged = None

    def _merge(self) -> None:
        self.merges += 1
        self._merged = merge((target.id, delta) for target, delta in self._pending)
        self._pending = []
        self._pending_bytes = 0

    def _overflow(self) -> None:
        """Give up on deltas: started targets begin afresh when the reader is back."""
        self._clear_pending()
        for target in self.targets.values():
            if target.started and not target.lost:
                self._give_up(target)

    def _give_up(self, target: WatchTarget) -> None:
        target.lost = True
        target.generation += 1
        self._lost.append(target)

    def _recover(self) -> None:
        """The reader is back: reset what was lost and ask for it again."""
        if not self._lost:
            return
        lost, self._lost = self._lost, []
        for target in lost:
            self.resets += 1
            target.lost = False
            target.started = False
            self.reset(target)
            self.hold(target)
            self._restart(target)
