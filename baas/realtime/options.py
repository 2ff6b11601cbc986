"""The bounds of the realtime service; all of them are settings where users differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RealtimeOptions:
    """Sizes in bytes, times in seconds."""

    max_targets: int = 1_000
    """Targets that one stream may have open."""
    max_target_documents: int = 1_000
    """Document names in one ``documents`` target."""
    max_unsent_answers: int = 10_000
    """Answers to requests that a stream may leave unread before it is ended."""
    merge_bytes: int = 256 * 1024
    """Unread deltas of a stream beyond this are merged into the newest state of each document."""
    reset_bytes: int = 4 * 1024 * 1024
    """Merged deltas beyond this are dropped: the targets are RESET when the reader comes back."""
    batch_bytes: int = 256 * 1024
    """An initial result is handed out in batches of about this size."""
    kept_documents: int = 5_000
    """A view keeps its result for later listeners up to this many documents."""
    kept_bytes: int = 4 * 1024 * 1024
    """A view keeps its result for later listeners up to this size."""
    max_result_bytes: int = 64 * 1024 * 1024
    """A listener whose first result, or whose window, is larger is refused (RESOURCE_EXHAUSTED)."""
    held_bytes: int = 256 * 1024 * 1024
    """All results together that are being read, are kept, or wait for slow readers."""
    result_patience: float = 30.0
    """How long a listener waits for room among these, before it is refused (RESOURCE_EXHAUSTED)."""
    look_ahead: int = 10
    """Documents that a limited view holds beyond its window, so that most deletions need no query."""
    concurrent_loads: int = 16
    """Queries that run for listeners at the same time."""
    replayed_changes: int = 10_000
    """A resume that has to look at more changes than this starts afresh (RESET)."""
    replayed_bytes: int = 8 * 1024 * 1024
    """A resume that has to look at more bytes of documents than this starts afresh (RESET)."""
    bloom_names: int = 10_000
    """Existence filters of larger results come without a bloom filter."""
    expiry_grace: float = 30.0
    """How long a stream may outlive its caller's token while it waits for a fresh one."""
    idle_advance: float = 300.0
    """An idle stream is told a newer snapshot this often, so that its resume tokens stay young."""
    streams_per_turn: int = 200
    """Streams that are served in one turn of the event loop, before others get theirs."""
