"""The messages of a Listen stream, without a wire form.

Source: ``listen-and-write`` §2; ``google.firestore.v1.ListenRequest`` and ``ListenResponse``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from baas.errors import ApiError
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.model.query import Query
from baas.model.values import Timestamp


@dataclass(frozen=True, slots=True)
class Target:
    """What a client watches: a query, or a fixed set of documents (exactly one of the two).

    ``refusal``: what was wrong with the message, if it could not be understood. Such a target is answered,
    so that the stream's other targets live on.
    """

    target_id: int
    query: Query | None = None
    documents: tuple[DocumentName, ...] = ()
    resume_token: bytes | None = None
    read_time: Timestamp | None = None
    expected_count: int | None = None
    once: bool = False
    refusal: ApiError | None = None


@dataclass(frozen=True, slots=True)
class AddTarget:
    """Begin to watch."""

    database: DatabaseId
    target: Target
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemoveTarget:
    """Stop watching."""

    database: DatabaseId
    target_id: int


ListenRequest: TypeAlias = AddTarget | RemoveTarget


class TargetChangeType(enum.Enum):
    """What happened to targets; NO_CHANGE without target ids is a global snapshot."""

    NO_CHANGE = 0
    ADD = 1
    REMOVE = 2
    CURRENT = 3
    RESET = 4


@dataclass(frozen=True, slots=True)
class TargetChange:
    """A change of state of targets."""

    kind: TargetChangeType
    target_ids: tuple[int, ...] = ()
    cause: ApiError | None = None
    resume_token: bytes | None = None
    read_time: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """A document that now matches ``target_ids`` and no longer ``removed_target_ids``."""

    document: Document
    target_ids: tuple[int, ...] = ()
    removed_target_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentDelete:
    """A document that is gone."""

    name: DocumentName
    read_time: Timestamp
    removed_target_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentRemove:
    """A document that left targets, for a reason that is not told."""

    name: DocumentName
    read_time: Timestamp
    removed_target_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BloomFilter:
    """A bloom filter over document names (``listen-and-write`` §2.3)."""

    bitmap: bytes
    padding: int
    hash_count: int


@dataclass(frozen=True, slots=True)
class ExistenceFilter:
    """How many documents match a target now."""

    target_id: int
    count: int
    unchanged_names: BloomFilter | None = None


ListenResponse: TypeAlias = (
    TargetChange | DocumentChange | DocumentDelete | DocumentRemove | ExistenceFilter
)
