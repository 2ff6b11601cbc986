"""The feed of what happened to objects, in order: each row was written in the unit that made it true."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from baas.db.tables.storage import storage_events as events
from baas.db.unit import Database, Tx
from baas.storage import object_json
from baas.storage.model import StoredObject


@dataclass(frozen=True, slots=True)
class StorageEvent:
    """Something that happened: ``kind`` is ``finalize``, ``delete`` or ``metadataUpdate``.

    ``position`` only grows; ``time`` is in microseconds since the epoch; ``stored`` is the object as it was
    after it, or, for ``delete``, before. It has no download tokens.
    """

    position: int
    kind: str
    time: int
    stored: StoredObject


class StorageEvents:
    """Reads the feed. Events are kept for ``event_retention``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def since(self, position: int, limit: int = 1000) -> list[StorageEvent]:
        """The events after this position, in order."""

        def unit(tx: Tx) -> list[StorageEvent]:
            query = (
                sa.select(events).where(events.c.id > position).order_by(events.c.id).limit(limit)
            )
            return [
                StorageEvent(row.id, row.kind, row.time, object_json.load(row.resource))
                for row in tx.core.execute(query)
            ]

        return await self._database.read(unit)
