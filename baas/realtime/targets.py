"""Targets: what a client asks to watch, checked, and what a stream knows of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from baas.errors import InvalidArgument
from baas.model.canonical import canonicalize
from baas.model.paths import DatabaseId, DocumentName
from baas.model.query import Query
from baas.model.values import Timestamp
from baas.model.watch import Target
from baas.realtime.deltas import Key
from baas.realtime.options import RealtimeOptions

_INT32 = 2**31


@dataclass(frozen=True, slots=True)
class Watched:
    """A target that may be watched: a canonical query, or names (exactly one of the two)."""

    query: Query | None
    names: tuple[DocumentName, ...]
    resume_token: bytes | None
    read_time: Timestamp | None
    expected_count: int | None


class WatchTarget:
    """A target of a stream."""

    __slots__ = (
        "current",
        "dead",
        "dependencies",
        "doubts",
        "generation",
        "holds",
        "id",
        "judging",
        "lost",
        "once",
        "owner",
        "replay",
        "shelf",
        "started",
        "watched",
    )

    def __init__(self, target_id: int, watched: Watched, owner: Any, *, once: bool = False) -> None:
        self.id = target_id
        self.watched = watched
        self.owner = owner
        self.once = once
        self.shelf: Any = None
        """Where the service keeps the view that it watches."""
        self.replay: Any = None
        """What was read for a resume, until the target is started."""
        self.dead = False
        self.started = False
        """Whether it gets deltas: its first result was queued."""
        self.current = False
        """Whether CURRENT was handed out."""
        self.lost = False
        """Whether its deltas were dropped, so that it must be reset."""
        self.generation = 0
        self.holds = 0
        self.judging = False
        """Whether the right to it is being decided."""
        self.doubts = 0
        """Counts reasons to decide: a decision begun before the last one does not hold."""
        self.dependencies: frozenset[Key] = frozenset()
        """The documents that the right to it depended on."""


def check_target_id(target_id: int) -> int:
    """A target id that a client may choose; with zero it leaves that to the server.

    Raises:
        InvalidArgument: it is no int32.
    """
    if not -_INT32 <= target_id < _INT32:
        raise InvalidArgument("targetId must be an int32.")
    return target_id


def check_target(target: Target, database: DatabaseId, options: RealtimeOptions) -> Watched:
    """Check what a target asks for.

    Raises:
        InvalidArgument: it cannot be watched.
    """
    if target.refusal is not None:
        raise target.refusal
    if (target.query is None) == (not target.documents):
        raise InvalidArgument("A target must have either a query or documents.")
    query = None
    if target.query is not None:
        query = _check_query(target.query, database)
    names = _check_names(target.documents, database, options)
    return Watched(query, names, target.resume_token, target.read_time, target.expected_count)


def _check_query(query: Query, database: DatabaseId) -> Query:
    if query.database != database:
        raise InvalidArgument(f"The query's parent must be in {database.name}.")
    if query.find_nearest is not None:
        raise InvalidArgument("findNearest cannot be listened to.")
    return canonicalize(replace(query, select=None))


def _check_names(
    names: Sequence[DocumentName], database: DatabaseId, options: RealtimeOptions
) -> tuple[DocumentName, ...]:
    if len(names) > options.max_target_documents:
        raise InvalidArgument(
            f"A target may have at most {options.max_target_documents} documents."
        )
    for name in names:
        if name.database != database:
            raise InvalidArgument(f"{name.name} is not in {database.name}.")
    return tuple(dict.fromkeys(names))
