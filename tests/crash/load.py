"""A process that writes until it is killed. Tells each acknowledged commit on standard output.

Each commit writes two documents that must agree; queries ask for indexes, which are built in small chunks
beside it all.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from pathlib import Path

from baas.access.principal import OWNER
from baas.db.sqlite import SqliteDatabase
from baas.documents.options import DocumentOptions
from baas.documents.service import DocumentStore
from baas.model.query import Operator
from baas.model.write import Commit
from tests.integration.documents.helpers import DATABASE, OpenAccess, by, delete, put, query, where

OPTIONS = DocumentOptions(
    index_chunk=7, index_min_examined=10, change_retention=0.5, prune_interval=0.2, prune_chunk=10
)


async def write(store: DocumentStore, writer: int, seed: int) -> None:
    """Commit pairs of documents, over and over; delete some, some of them again later."""
    chance = random.Random(f"{seed} {writer}")
    for number in itertools.count():
        pair = chance.randrange(200)
        stamp = f"{seed}.{writer}.{number}"
        paths = (f"left/{writer}-{pair}", f"right/{writer}-{pair}")
        gone = chance.random() < 0.2
        fields = {"stamp": stamp, "group": pair % 5, "n": number}
        writes = tuple(delete(path) if gone else put(path, fields) for path in paths)
        await store.commit(Commit(DATABASE, writes), OWNER)
        print(f"{writer}-{pair} {'-' if gone else stamp}", flush=True)


async def ask(store: DocumentStore, seed: int) -> None:
    """Query, so that indexes are wished for; drop one now and then."""
    chance = random.Random(seed)
    while True:
        group = where("group", Operator.EQUAL, chance.randrange(5))
        order = (by("n"),) if chance.random() < 0.5 else ()
        collection = chance.choice(["left", "right"])
        await store.run_query(query(collection, group, order_by=order, limit=3), OWNER)
        if chance.random() < 0.05:
            for index in (await store.indexes.list(DATABASE))[:1]:
                await store.indexes.drop(DATABASE, index.id)
        await asyncio.sleep(0.002)


async def run(path: Path, seed: int) -> None:
    """Everything at once, for ever."""
    database = await SqliteDatabase.open(path)
    store = DocumentStore(database, OpenAccess(), OPTIONS)
    store.start()
    await asyncio.gather(*(write(store, writer, seed) for writer in range(4)), ask(store, seed))


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2])))
