"""The clock of commits: times that are strictly increasing and visible in order, in every database.

On SQLite the one writer gives the order by itself: the time is taken inside its SQL transaction and
stored with it, so that it never goes back, not even over a restart with the machine's clock set back.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from baas.db.unit import Tx
from baas.model.values import Timestamp

_ADVANCE = (
    "UPDATE databases SET last_commit = max(?, last_commit + 1) WHERE id = ? RETURNING last_commit"
)


def wall_clock_micros() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1_000


class CommitClock:
    """Gives commit times. ``now`` is the machine's clock in microseconds; tests bring their own."""

    def __init__(self, now: Callable[[], int] = wall_clock_micros) -> None:
        self._now = now

    def advance(self, tx: Tx, database_key: int) -> Timestamp:
        """Take the next commit time of a database, in the unit that commits at it."""
        rows = tx.all(_ADVANCE, (self._now(), database_key))
        if not rows:
            raise LookupError(f"no database with key {database_key}")
        return Timestamp(rows[0][0])


def database_names(tx: Tx, project: str) -> list[str]:
    """The ids of a project's databases that anything was ever written to."""
    rows = tx.all("SELECT name FROM databases WHERE project = ? ORDER BY name", (project,))
    return [row[0] for row in rows]
