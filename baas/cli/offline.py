"""Opening the document store without a server, for commands that work on the data folder itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from baas.access.authorize import Authorizer
from baas.access.releases import Releases
from baas.cli.serve import fail, settings_from
from baas.data_folder import DataFolder, FolderError
from baas.db import schema
from baas.db.sqlite import SqliteDatabase
from baas.documents.service import DocumentStore
from baas.errors import ApiError
from baas.model.paths import DatabaseId

T = TypeVar("T")


def with_store(
    data: Path | None,
    project: str | None,
    database: str,
    work: Callable[[DocumentStore, SqliteDatabase, DatabaseId], Awaitable[T]],
) -> T:
    """Run a function on the store of a data folder that no server uses.

    Ends the command with status 2 and a reason if the folder is in use or the work fails.
    """
    settings = settings_from({"data": data, "project": project}, [], None)

    async def run(path: Path) -> T:
        opened = await SqliteDatabase.open(path)
        try:
            store = DocumentStore(opened, Authorizer(Releases()))
            return await work(store, opened, DatabaseId.of(settings.project, database))
        finally:
            await opened.close()

    try:
        with DataFolder(settings.data) as folder:
            schema.migrate_sqlite(folder.database)
            return asyncio.run(run(folder.database))
    except FolderError as error:
        fail(f"{error} (this command works on the folder of a server that is stopped)")
    except ApiError as error:
        fail(error.message)
