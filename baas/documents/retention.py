"""Dropping changes that are older than what the server keeps.

First the database's ``oldest_change`` moves, then the rows go, in small units: whoever reads in the past is
refused before anything it needs is gone.
"""

from __future__ import annotations

from collections.abc import Callable

from baas.db.unit import Database, Tx
from baas.documents.options import DocumentOptions

_MOVE = (
    "UPDATE databases SET oldest_change ="
    " max(oldest_change, min(last_commit, coalesce((SELECT max(commit_time) FROM changes"
    " WHERE database_id = databases.id AND commit_time <= ?), oldest_change)))"
    " WHERE id = ?"
)
_DROP = (
    "DELETE FROM changes WHERE (database_id, commit_time, position) IN"
    " (SELECT database_id, commit_time, position FROM changes WHERE database_id = ?"
    " AND commit_time <= (SELECT oldest_change FROM databases WHERE id = ?)"
    " ORDER BY commit_time LIMIT ?)"
)


class Retention:
    """Prunes the changes of all databases."""

    def __init__(
        self, database: Database, options: DocumentOptions, now: Callable[[], int]
    ) -> None:
        self._database = database
        self._options = options
        self._now = now

    async def prune(self) -> int:
        """Drop what is too old; answers how many changes."""
        keep_after = self._now() - int(self._options.change_retention * 1_000_000)
        keys = await self._database.read(lambda tx: tx.all("SELECT id FROM databases"))
        return sum([await self._prune(key, keep_after) for (key,) in keys])

    async def _prune(self, key: int, keep_after: int) -> int:
        def move(tx: Tx) -> bool:
            oldest = tx.one(
                "SELECT 1 FROM changes WHERE database_id = ? AND commit_time <= ? LIMIT 1",
                (key, keep_after),
            )
            if oldest is not None:
                tx.run(_MOVE, (keep_after, key))
            return oldest is not None

        if not await self._database.write(move):
            return 0
        dropped = 0
        chunk = self._options.prune_chunk
        while True:
            count = await self._database.write(lambda tx: tx.run(_DROP, (key, key, chunk)))
            dropped += count
            if count < chunk:
                return dropped
