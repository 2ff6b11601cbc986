"""A process that deletes expired documents until it is killed. Tells each one on standard output."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from baas.db.sqlite import SqliteDatabase
from baas.documents.options import DocumentOptions
from baas.documents.service import DocumentStore
from baas.model.change import CommitChanges
from tests.integration.documents.helpers import OpenAccess

OPTIONS = DocumentOptions(ttl_interval=0.01, ttl_chunk=3)


def tell(commit: CommitChanges) -> None:
    """The ids of what one commit deleted, once it is on disk."""
    print(*(change.name.id for change in commit.changes), flush=True)


async def run(path: Path) -> None:
    """Expire what is due, for ever."""
    store = DocumentStore(await SqliteDatabase.open(path), OpenAccess(), OPTIONS)
    store.changes.subscribe(tell)
    store.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
