"""What a commit did."""

from __future__ import annotations

from dataclasses import dataclass

from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.model.values import Timestamp


@dataclass(frozen=True, slots=True)
class Change:
    """One document, before and after one commit. ``None``: it does not exist then."""

    name: DocumentName
    old: Document | None
    new: Document | None


@dataclass(frozen=True, slots=True)
class CommitChanges:
    """All effective changes of one commit, at most one a document."""

    database: DatabaseId
    commit_time: Timestamp
    changes: tuple[Change, ...]
