"""Several indexes at once: the documents that are in all of their stretches.

Each stretch is in the query's order, so they are walked in step: whoever is behind jumps to where the
foremost stands. That costs about as much as the smallest of them, and often less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from baas.documents.plans import Examined, IndexScan, Plan
from baas.documents.reader import Reader
from baas.documents.records import document_of
from baas.model.document import Document
from baas.model.key_encoding import descending, successor

READ_AHEAD = 32
"""Entries that a jump reads at once."""


@dataclass(slots=True)
class MergeJoin(Plan):
    """The documents in all of the scans, which are all in the query's order."""

    scans: tuple[IndexScan, ...]
    exact: bool
    ordered: bool = True

    @property
    def index_ids(self) -> tuple[int, ...]:
        """See :meth:`Plan.index_ids`."""
        return tuple(scan.index.id for scan in self.scans)

    def run(
        self, reader: Reader, examined: Examined, most: int | None = None
    ) -> Iterator[Document]:
        """See :meth:`Plan.run`."""
        walks = [_Walk(reader, scan, examined) for scan in self.scans]
        target: bytes | None = b""
        while target is not None:
            reader.tx.check()
            entries = []
            for walk in walks:
                entry = walk.seek(target)
                if entry is None:
                    return
                entries.append(entry)
                if entry[0] != target:
                    target = entry[0]
                    break
            else:
                document = self._fetch(reader, entries[0][1], examined)
                if document is not None:
                    yield document
                target = successor(target)

    def describe(self) -> Mapping[str, Any]:
        """See :meth:`Plan.describe`."""
        parts = [scan.describe() for scan in self.scans]
        return {
            "query_scope": parts[0]["query_scope"],
            "properties": " and ".join(part["properties"] for part in parts),
        }

    def _fetch(self, reader: Reader, row_id: int, examined: Examined) -> Document | None:
        row = reader.row(row_id)
        examined.documents += 1
        if row is None:
            return None
        scan = self.scans[0]
        entry = None if scan.collection is None else reader.collection(scan.collection)
        return document_of(reader.database, entry or reader.collection_by_key(row[5]), row)


class _Walk:
    """One stretch, walked in the query's order. Its keys are those of the order alone."""

    def __init__(self, reader: Reader, scan: IndexScan, examined: Examined) -> None:
        self._reader = reader
        self._scan = scan
        self._examined = examined
        self._bounds = scan.keys(reader)
        self._skip = len(scan.full_prefix(reader))
        self._prefix = scan.full_prefix(reader)
        self._ahead: list[tuple[bytes, int]] = []
        self._next = 0
        self._ended = self._bounds is None

    def seek(self, target: bytes) -> tuple[bytes, int] | None:
        """The first entry at or after the target; ``None`` if there is none."""
        while self._next < len(self._ahead):
            entry = self._ahead[self._next]
            if entry[0] >= target:
                return entry
            self._next += 1
        if self._ended:
            return None
        self._jump(target)
        return self._ahead[0] if self._ahead else None

    def _jump(self, target: bytes) -> None:
        """Read the next entries from the target on."""
        assert self._bounds is not None
        low, high = self._bounds
        if self._scan.reverse:
            rows = self._read_back(low, high, target)
        else:
            rows = self._read(max(low, self._prefix + target), high)
        self._ended = len(rows) < READ_AHEAD
        self._examined.entries += len(rows)
        turn = descending if self._scan.reverse else bytes
        self._ahead = [(turn(key[self._skip :]), document) for key, document in rows]
        self._next = 0

    def _read(self, low: bytes, high: bytes | None) -> Sequence[tuple[Any, ...]]:
        bound = "" if high is None else " AND key < ?"
        return self._reader.tx.all(
            f"SELECT key, document FROM index_entries WHERE index_id = ? AND key >= ?{bound}"
            " ORDER BY key LIMIT ?",
            (self._scan.index.id, low, *(() if high is None else (high,)), READ_AHEAD),
        )

    def _read_back(
        self, low: bytes, high: bytes | None, target: bytes
    ) -> Sequence[tuple[Any, ...]]:
        """From the target downwards. A target is a whole key, or the least bytes after one."""
        if target:
            whole = target[:-1] if target.endswith(b"\x00") else target
            at = self._prefix + descending(whole)
            # after a whole key, which is no prefix of another, is strictly below it here
            limit = at if whole is not target else successor(at)
            high = limit if high is None else min(high, limit)
        bound = "" if high is None else " AND key < ?"
        return self._reader.tx.all(
            f"SELECT key, document FROM index_entries WHERE index_id = ? AND key >= ?{bound}"
            " ORDER BY key DESC LIMIT ?",
            (self._scan.index.id, low, *(() if high is None else (high,)), READ_AHEAD),
        )
