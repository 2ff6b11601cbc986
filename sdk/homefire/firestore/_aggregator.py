"""The watch stream's messages in, snapshots of each target out: a state machine without I/O.

A target's documents change only at a *global snapshot* (a ``targetChange`` without target ids that has a read
time), and only while the target is *current*: until then messages are kept aside. So every snapshot is the
query's answer at one version, and all targets of a stream move together. Whatever had been kept aside when a
connection ends is forgotten: the resume token stands for the last global snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from homefire.firestore._view import (
    Entry,
    KeyFunction,
    OrderPair,
    ViewChange,
    ViewSnapshot,
    WatchDocument,
    apply_updates,
    key_function,
)

_TARGET_CHANGES = ("NO_CHANGE", "ADD", "REMOVE", "CURRENT", "RESET")


class WatchProtocolError(Exception):
    """The server sent what the protocol does not allow; the connection is of no more use."""


@dataclass(frozen=True, slots=True)
class TargetSnapshot:
    """A target has a new state."""

    target_id: int
    view: ViewSnapshot


@dataclass(frozen=True, slots=True)
class TargetEnded:
    """The server has ended a target; ``code`` is the number of a canonical code."""

    target_id: int
    code: int
    message: str


@dataclass(frozen=True, slots=True)
class FilterMismatch:
    """The client does not hold what it should: listen anew, without resume token, by ``relisten``."""

    target_id: int


WatchEvent: TypeAlias = TargetSnapshot | TargetEnded | FilterMismatch


@dataclass(slots=True)
class _Target:
    key: KeyFunction
    single: bool
    entries: tuple[Entry, ...] = ()
    by_name: dict[str, Entry] = field(default_factory=dict)
    pending: dict[str, WatchDocument | None] = field(default_factory=dict)
    pending_reset: bool = False
    current: bool = False
    told: bool = False
    synced: bool = False
    resume_token: str | None = None
    pending_token: str | None = None

    def count(self) -> int:
        """How many documents there are, with those kept aside."""
        base: Mapping[str, Entry] = {} if self.pending_reset else self.by_name
        gained = sum(
            1 for name, doc in self.pending.items() if doc is not None and name not in base
        )
        lost = sum(1 for name, doc in self.pending.items() if doc is None and name in base)
        return len(base) + gained - lost

    def start_over(self) -> None:
        """Forget what the server said: it will say all again."""
        self.pending.clear()
        self.pending_reset = True
        self.pending_token = None
        self.resume_token = None
        self.current = False

    def updates(self) -> dict[str, Entry | None]:
        """What has been kept aside, as updates of the state."""
        updates: dict[str, Entry | None] = {}
        if self.pending_reset:
            updates.update(dict.fromkeys(self.by_name))
        for name, document in self.pending.items():
            updates[name] = None if document is None else (self.key(document), document)
        return updates


class WatchAggregator:
    """The targets of one stream. Feed it messages; it gives what is to be told."""

    def __init__(self) -> None:
        self._targets: dict[int, _Target] = {}

    def add_target(
        self, target_id: int, orders: Sequence[OrderPair] = (), *, single: bool = False
    ) -> None:
        """Know a target: its orderings as ``(path, descending)``, or that it is of one document."""
        self._targets[target_id] = _Target(key_function(orders), single)

    def remove_target(self, target_id: int) -> None:
        """Forget a target; messages for it are ignored from now on."""
        self._targets.pop(target_id, None)

    def relisten(self, target_id: int, new_id: int) -> None:
        """Go on with a target under another id, from nothing, comparing with what was told."""
        target = self._targets.pop(target_id)
        target.start_over()
        self._targets[new_id] = target

    def resume_token(self, target_id: int) -> str | None:
        """Where to go on after a reconnect: the token as the server sent it."""
        return self._targets[target_id].resume_token

    def disconnected(self) -> list[WatchEvent]:
        """The connection has ended: states go back to the last global snapshot."""
        events: list[WatchEvent] = []
        for target_id, target in self._targets.items():
            target.pending.clear()
            # A target that was starting over has no token, so the server will tell all again.
            target.pending_reset = target.resume_token is None
            target.pending_token = None
            target.current = False
            events.extend(self._out_of_sync(target_id, target, None))
        return events

    def feed(self, message: Mapping[str, Any]) -> list[WatchEvent]:
        """Take one message of the stream; raises :class:`WatchProtocolError`."""
        try:
            for kind, handle in (
                ("targetChange", self._target_change),
                ("documentChange", self._document_change),
                ("documentDelete", self._document_gone),
                ("documentRemove", self._document_gone),
                ("filter", self._filter),
            ):
                if kind in message:
                    return handle(message[kind])
        except (LookupError, TypeError, ValueError, AttributeError, StopIteration) as error:
            raise WatchProtocolError(f"malformed message: {error!r}") from error
        return []

    def _target_change(self, change: Mapping[str, Any]) -> list[WatchEvent]:
        kind = change.get("targetChangeType") or "NO_CHANGE"
        kind = _TARGET_CHANGES[kind] if isinstance(kind, int) else kind
        if kind not in _TARGET_CHANGES:
            raise ValueError(f"unknown kind of target change: {kind}")
        ids: Sequence[int] = change.get("targetIds") or ()
        if not ids and kind == "NO_CHANGE":
            if change.get("readTime") is None:
                return []
            return self._global_snapshot(change["readTime"], change.get("resumeToken"))
        events: list[WatchEvent] = []
        for target_id in ids or list(self._targets):
            target = self._targets.get(target_id)
            if target is not None:
                events.extend(self._one_target_change(target_id, target, kind, change))
        return events

    def _one_target_change(
        self, target_id: int, target: _Target, kind: str, change: Mapping[str, Any]
    ) -> list[WatchEvent]:
        if kind == "REMOVE":
            cause = change.get("cause") or {}
            message = cause.get("message") or "The server ended the listener without a cause."
            del self._targets[target_id]
            return [TargetEnded(target_id, int(cause.get("code") or 13), message)]
        if kind == "RESET":
            target.start_over()
            return []
        if kind == "CURRENT":
            target.current = True
        if kind != "ADD" and target.current and change.get("resumeToken"):
            target.pending_token = change["resumeToken"]
        return []

    def _global_snapshot(self, read_time: str, token: str | None) -> list[WatchEvent]:
        events: list[WatchEvent] = []
        for target_id, target in self._targets.items():
            if target.current:
                target.resume_token = token or target.pending_token or target.resume_token
                target.pending_token = None
                events.extend(self._advance(target_id, target, read_time))
            else:
                events.extend(self._out_of_sync(target_id, target, read_time))
        return events

    def _advance(self, target_id: int, target: _Target, read_time: str) -> list[WatchEvent]:
        before = target.entries
        changes = self._apply(target)
        news = bool(changes) or not target.told
        if not news and target.synced:
            return []
        target.told = target.synced = True
        view = ViewSnapshot(
            target.entries, before, changes, False, read_time, metadata_only=not news
        )
        return [TargetSnapshot(target_id, view)]

    @staticmethod
    def _apply(target: _Target) -> tuple[ViewChange, ...]:
        updates = target.updates()
        if not updates:
            target.pending_reset = False
            return ()
        old = {name: target.by_name[name] for name in updates if name in target.by_name}
        entries, changes = apply_updates(target.entries, old, updates)
        for change in changes:
            name = change.document.name
            if change.type == "removed":
                del target.by_name[name]
            else:
                entry = updates[name]
                assert entry is not None
                target.by_name[name] = entry
        target.entries = tuple(entries)
        target.pending.clear()
        target.pending_reset = False
        return changes

    @staticmethod
    def _out_of_sync(target_id: int, target: _Target, read_time: str | None) -> list[WatchEvent]:
        if not target.synced:
            return []
        target.synced = False
        view = ViewSnapshot(target.entries, target.entries, (), True, read_time, metadata_only=True)
        return [TargetSnapshot(target_id, view)]

    def _document_change(self, change: Mapping[str, Any]) -> list[WatchEvent]:
        document = WatchDocument.of(change["document"])
        for target_id in change.get("targetIds") or ():
            self._keep_aside(target_id, document.name, document)
        for target_id in change.get("removedTargetIds") or ():
            self._keep_aside(target_id, document.name, None)
        return []

    def _document_gone(self, change: Mapping[str, Any]) -> list[WatchEvent]:
        for target_id in change.get("removedTargetIds") or ():
            self._keep_aside(target_id, change["document"], None)
        return []

    def _keep_aside(self, target_id: int, name: str, document: WatchDocument | None) -> None:
        target = self._targets.get(target_id)
        if target is not None:
            target.pending[name] = document

    def _filter(self, existence: Mapping[str, Any]) -> list[WatchEvent]:
        target_id = existence["targetId"]
        target = self._targets.get(target_id)
        expected = int(existence.get("count") or 0)
        if target is None or target.count() == expected:
            return []
        if target.single and expected == 0:
            target.pending.update(dict.fromkeys({*target.by_name, *target.pending}))
            return []
        target.start_over()
        return [FilterMismatch(target_id)]
