"""What a listener that comes back has missed (``listen-and-write`` §2.3): replay, or else RESET. Pure.

The change log tells what each document was before it was changed, so the result at the client's version
can be worked out: exactly what entered, changed and left since is told, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from baas.model.change import Change, CommitChanges
from baas.model.document import Document
from baas.model.values import Timestamp
from baas.realtime.budget import Lease
from baas.realtime.deltas import Item, ItemKind, Key, ViewDelta, size_of
from baas.realtime.ports import VersionedReader
from baas.realtime.targets import Watched
from baas.realtime.views import DocumentsView, QueryView, WindowView
from baas.wire.resume_token import decode_resume_token


@dataclass(slots=True)
class Net:
    """A document at the client's version and now, with the version of its last change."""

    change: Change
    version: int


class Missed:
    """The net changes since a version, by document."""

    def __init__(self) -> None:
        self.by_key: dict[Key, Net] = {}

    def add(self, version: int, changes: Iterable[Change]) -> None:
        """Take in a later commit."""
        for change in changes:
            key = change.name.segments
            net = self.by_key.get(key)
            if net is None:
                self.by_key[key] = Net(change, version)
            else:
                net.change = Change(change.name, net.change.old, change.new)
                net.version = version


@dataclass(slots=True)
class Replay:
    """What was read for a resume: the changes up to ``version``, and for limited queries the window
    as it was at the client's version. ``lease`` is of the memory that all of it takes."""

    version: int
    missed: Missed
    window: dict[Key, Document] | None
    size: int
    lease: Lease | None = None


@dataclass(frozen=True, slots=True)
class Most:
    """How much may be read for a resume."""

    changes: int
    bytes: int


def version_of(watched: Watched, epoch: bytes) -> Timestamp | None:
    """The version from which a target wants to go on, if it is of this history.

    A token is preferred over a bare time; a bad token means beginning afresh, it is no error.
    """
    if watched.resume_token:
        return decode_resume_token(watched.resume_token, epoch)
    return watched.read_time


def wants_resume(watched: Watched) -> bool:
    """Whether the client has a result to go on from."""
    return bool(watched.resume_token) or watched.read_time is not None


def read_replay(
    reader: VersionedReader,
    watched: Watched,
    view: DocumentsView | QueryView | WindowView,
    most: Most,
) -> Replay | None:
    """Read what was missed; ``None`` if that cannot be told, or is too much."""
    since = version_of(watched, reader.epoch)
    if since is None or since > reader.version:
        return None
    commits = reader.changes_since(since, most.changes, most.bytes)
    if commits is None:
        return None
    missed = fold(commits)
    size = sum(size_of(net.change.old) + size_of(net.change.new) for net in missed.by_key.values())
    window = None
    if isinstance(view, WindowView):
        candidates = _candidates(reader, view, missed, most.bytes)
        if candidates is None:
            return None
        window = {document.name.segments: document for document in view.cut(candidates)}
        size += sum(map(size_of, window.values()))
    return Replay(reader.version.micros, missed, window, size)


def fold(commits: Sequence[CommitChanges]) -> Missed:
    """The net changes of several commits."""
    missed = Missed()
    for commit in commits:
        missed.add(commit.commit_time.micros, commit.changes)
    return missed


def net_delta(view: DocumentsView | QueryView, missed: Missed, version: int) -> ViewDelta | None:
    """What a query without limit, or a set of documents, has to tell."""
    items = []
    for net in missed.by_key.values():
        item = _net_item(view, net)
        if item is not None:
            items.append(item)
    return ViewDelta(version, tuple(items)) if items else None


def window_delta(
    view: WindowView, window: dict[Key, Document], missed: Missed, version: int
) -> ViewDelta | None:
    """What a limited query has to tell: its window then against its window now."""
    now = {document.name.segments: document for document in view.initial()}
    items = [
        Item(ItemKind.MATCH, document.name, document)
        for key, document in now.items()
        if key not in window or window[key].update_time != document.update_time
    ]
    for key, document in window.items():
        if key not in now:
            items.append(_departed(view, document, missed.by_key.get(key)))
    return ViewDelta(version, tuple(items)) if items else None


def _net_item(view: DocumentsView | QueryView, net: Net) -> Item | None:
    change, new = net.change, net.change.new
    if isinstance(view, DocumentsView):
        if change.name not in view.names:
            return None
        kind = ItemKind.GONE if new is None else ItemKind.MATCH
        return Item(kind, change.name, new, net.version)
    if view.selects(new):
        return Item(ItemKind.MATCH, change.name, new)
    if not view.selects(change.old):
        return None
    kind = ItemKind.GONE if new is None else ItemKind.LEFT
    return Item(kind, change.name, new, net.version)


def _departed(view: WindowView, then: Document, net: Net | None) -> Item:
    """A document that was in the window and is not any more."""
    if net is None:
        return Item(ItemKind.PASSED, then.name, then)
    now = net.change.new
    if now is None:
        return Item(ItemKind.GONE, then.name, None, net.version)
    return Item(ItemKind.PASSED if view.selects(now) else ItemKind.LEFT, then.name, now)


def _candidates(
    reader: VersionedReader, view: WindowView, missed: Missed, most_bytes: int
) -> list[Document] | None:
    """What may have been in a limited query's window before the changes; ``None`` if it is too much.

    What was in it and did not change is now at most as many places further down as there are changed
    documents that match: so far the query is read.
    """
    changes = [net.change for net in missed.by_key.values()]
    arrived = sum(view.selects(change.new) for change in changes)
    candidates = []
    size = 0
    for document in reader.query(view.query_to_load(arrived)):
        if document.name.segments not in missed.by_key:
            candidates.append(document)
            size += size_of(document)
            if size > most_bytes:
                return None
    candidates.extend(
        change.old for change in changes if change.old is not None and view.selects(change.old)
    )
    return candidates
