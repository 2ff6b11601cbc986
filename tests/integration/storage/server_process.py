"""A storage server of its own process, to be killed: prints its address when it serves.

Usage: python -m tests.integration.storage.server_process DATA_FOLDER [MAX_FILE_BYTES]
"""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from pathlib import Path

from baas.api import storage_rest
from baas.db import schema
from baas.db.sqlite import SqliteDatabase
from baas.storage.blobs.filesystem import FilesystemBlobs
from baas.storage.options import StorageOptions
from baas.storage.service import StorageService
from tests.integration.storage.support import ScriptedRules, authenticate, served


async def main(folder: Path) -> None:
    schema.migrate_sqlite(folder / "homefire.db")
    database = await SqliteDatabase.open(folder / "homefire.db")
    blobs = FilesystemBlobs(folder / "files")
    await blobs.start()
    service = StorageService(database, blobs, ScriptedRules(), StorageOptions(any_bucket=True))
    async with served(storage_rest.routes(service, authenticate)) as url:
        print(url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        # a file that grows beyond it gets EFBIG, as one does on a full disk
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    asyncio.run(main(Path(sys.argv[1])))
