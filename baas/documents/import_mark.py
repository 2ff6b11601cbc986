"""How far an import has come: a small file beside what is imported, so that an interrupted one goes on.

It counts only for the very database and source that it was made for: an import of the same file into another
database, or of another file under the same name, begins at the start. So does one whose mark cannot be read:
importing twice gives the same documents, skipping some would lose them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import orjson

from baas.documents.service import DocumentStore
from baas.model.paths import DatabaseId


@dataclass(frozen=True, slots=True)
class Done:
    """The place in the file up to which all is written, and how many documents that is."""

    offset: int = 0
    documents: int = 0


class ImportMark:
    """The mark of one import. ``source`` tells what is imported from others of the same name."""

    def __init__(
        self, store: DocumentStore, database: DatabaseId, imported: Path, source: str
    ) -> None:
        self._store = store
        self._database = database
        self._source = source
        self._path = imported.with_name(imported.name + ".progress")

    async def read(self) -> Done:
        """Where to go on; the start if nothing is known."""
        try:
            known = orjson.loads(self._path.read_bytes())
            if [known["database"], known["source"]] == [await self._history(), self._source]:
                return Done(int(known["offset"]), int(known["documents"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return Done()  # none, one cut off by a power cut, or of an older version
        return Done()

    async def note(self, done: Done) -> None:
        """Store it whole: whoever is killed in the middle leaves the mark from before."""
        known = {
            "database": await self._history(),
            "source": self._source,
            "offset": done.offset,
            "documents": done.documents,
        }
        beside = self._path.with_name(self._path.name + ".new")
        beside.write_bytes(orjson.dumps(known))
        os.replace(beside, self._path)

    def remove(self) -> None:
        """The import is done."""
        self._path.unlink(missing_ok=True)

    async def _history(self) -> str:
        """Tells the database from all others, and from one of the same name in another folder."""
        epoch = await self._store.read_at_version(self._database, lambda reader: reader.epoch)
        return f"{self._database.name} {epoch.hex()}"
