"""A Listen client that believes only what it is told, and checks that it is told properly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from baas.errors import ApiError
from baas.model.document import Document
from baas.model.paths import DocumentName
from baas.model.watch import (
    DocumentChange,
    DocumentDelete,
    DocumentRemove,
    ListenResponse,
    TargetChange,
    TargetChangeType,
)


@dataclass
class TargetView:
    """What the client knows of one target."""

    documents: dict[DocumentName, Document] = field(default_factory=dict)
    current: bool = False
    token: bytes | None = None
    cause: ApiError | None = None
    settled: dict[DocumentName, Document] = field(default_factory=dict)
    """The documents at the last global snapshot, which is what ``token`` stands for."""


class ListenClient:
    """Applies responses as ``listen-and-write`` §2.1 says; changes count only at global snapshots."""

    def __init__(self) -> None:
        self.targets: dict[int, TargetView] = {}
        self.ended: dict[int, TargetView] = {}
        self.snapshots: list[int] = []
        self.told: set[DocumentName] = set()
        self.documents_told = 0
        self.on_snapshot: Callable[[int], None] | None = None
        """Called with the version of each global snapshot."""
        self.once: set[int] = set()
        """Targets that the server removes by itself."""
        self._expected: list[tuple[TargetChangeType, int]] = []
        self._adding: dict[int, list[TargetView]] = {}
        self._leaving: Counter[int] = Counter()

    def adding(self, target_id: int, known: TargetView | None = None) -> None:
        """A request to add was sent; ``known`` is what is resumed from."""
        self._expected.append((TargetChangeType.ADD, target_id))
        documents = {} if known is None else dict(known.settled)
        view = TargetView(documents, token=known.token if known else None)
        view.settled = dict(documents)
        self._adding.setdefault(target_id, []).append(view)

    def removing(self, target_id: int) -> None:
        """A request to remove was sent; what still comes for the target does not count."""
        self._expected.append((TargetChangeType.REMOVE, target_id))
        self.targets.pop(target_id, None)
        self._leaving[target_id] += 1

    def apply_all(self, batches: Iterable[tuple[ListenResponse, ...]]) -> list[int]:
        """Apply batches; answers the versions of the snapshots in them."""
        before = len(self.snapshots)
        for batch in batches:
            for response in batch:
                self.apply(response)
        return self.snapshots[before:]

    def apply(self, response: ListenResponse) -> None:
        """Take one message."""
        if isinstance(response, TargetChange):
            self._target_change(response)
        elif isinstance(response, DocumentChange):
            self.documents_told += 1
            self.told.add(response.document.name)
            for target_id in response.target_ids:
                self._target(target_id).documents[response.document.name] = response.document
            self._leave(response.document.name, response.removed_target_ids)
            assert response.target_ids or response.removed_target_ids
        elif isinstance(response, DocumentDelete | DocumentRemove):
            self._leave(response.name, response.removed_target_ids)
        elif not self._leaving[response.target_id]:
            assert response.count == len(self._target(response.target_id).documents)

    def _target(self, target_id: int) -> TargetView:
        if self._leaving[target_id]:
            return TargetView()
        assert target_id in self.targets, f"message for target {target_id}, which is not open"
        return self.targets[target_id]

    def _leave(self, name: DocumentName, target_ids: tuple[int, ...]) -> None:
        for target_id in target_ids:
            self._target(target_id).documents.pop(name, None)

    def _target_change(self, change: TargetChange) -> None:
        kind = change.kind
        if kind is TargetChangeType.NO_CHANGE:
            assert not change.target_ids
            assert change.read_time is not None
            assert change.resume_token
            assert all(target.current for target in self.targets.values()), "snapshot too early"
            assert not self.snapshots or change.read_time.micros >= self.snapshots[-1]
            self.snapshots.append(change.read_time.micros)
            for target in self.targets.values():
                target.token = change.resume_token
                target.settled = dict(target.documents)
            if self.on_snapshot is not None:
                self.on_snapshot(change.read_time.micros)
            return
        (target_id,) = change.target_ids
        if kind is TargetChangeType.REMOVE and change.cause is not None:
            if self._leaving[target_id]:
                return
            if target_id not in self.targets:  # refused instead of added
                assert self._expected.pop(0) == (TargetChangeType.ADD, target_id)
                self.targets[target_id] = self._adding[target_id].pop(0)
            self.ended[target_id] = self.targets.pop(target_id)
            self.ended[target_id].cause = change.cause
        elif kind is TargetChangeType.REMOVE and target_id in self.once:
            assert self.targets.pop(target_id).current
        elif kind in (TargetChangeType.ADD, TargetChangeType.REMOVE):
            assert self._expected, f"{kind} that nobody asked for"
            assert self._expected.pop(0) == (kind, target_id)
            if kind is TargetChangeType.REMOVE:
                self._leaving[target_id] -= 1
                return
            view = self._adding[target_id].pop(0)
            if not self._leaving[target_id]:
                self.targets[target_id] = view
        elif kind is TargetChangeType.RESET:
            target = self._target(target_id)
            target.documents.clear()
            target.current = False
        else:
            assert change.resume_token
            self._target(target_id).current = True
