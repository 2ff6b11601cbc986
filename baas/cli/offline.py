"""Commands that work on a data folder while no server has it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from baas.access.authorize import Authorizer
from baas.access.releases import Releases
from baas.auth.secret_box import SecretBox, SecretBoxError, load_secret_box
from baas.auth.service import AuthService
from baas.auth_settings import auth_options
from baas.cli.serve import fail, settings_from
from baas.data_folder import DataFolder, FolderError
from baas.db import schema
from baas.db.sqlite import SqliteDatabase
from baas.documents.service import DocumentStore
from baas.errors import ApiError
from baas.model.paths import DatabaseId
from baas.settings import Settings

T = TypeVar("T")


def with_database(
    settings: Settings,
    work: Callable[[SqliteDatabase], Awaitable[T]],
    *,
    prepare: Callable[[Settings], None] | None = None,
    make: bool = False,
) -> T:
    """Run work on the database of a data folder that no server uses.

    What goes wrong ends the command with status 2 and its reason. ``prepare`` runs with the folder locked
    and the database not yet open. ``make``: a folder that is not there yet is made, for commands that put
    something in; others would answer a misspelt name with an empty database.
    """
    if not make and not DataFolder(settings.data).database.exists():
        fail(f"data: there is no database in {settings.data.absolute()}; name its folder by --data")

    async def run(path: Path) -> T:
        database = await SqliteDatabase.open(path)
        try:
            return await work(database)
        finally:
            await database.close()

    try:
        with DataFolder(settings.data) as folder:
            if prepare is not None:
                prepare(settings)
            schema.migrate_sqlite(folder.database)
            return asyncio.run(run(folder.database))
    except FolderError as error:
        fail(f"{error} (this command works on the folder of a server that is stopped)")
    except ApiError as error:
        fail(error.message)
    except OSError as error:
        fail(str(error))
    except SecretBoxError as error:
        fail(str(error))


def with_auth(
    data: Path | None,
    config: Path | None,
    work: Callable[[AuthService, Settings], Awaitable[T]],
    *,
    prepare: Callable[[Settings], None] | None = None,
    make: bool = False,
) -> T:
    """Run work on the accounts of a data folder."""
    settings = settings_from({"data": data}, [], config)

    async def run(database: SqliteDatabase) -> T:
        service = AuthService(
            database, auth_options(settings, server_address(settings)), secret_box(settings)
        )
        try:
            return await work(service, settings)
        finally:
            service.close()

    return with_database(settings, run, prepare=prepare, make=make)


def with_store(
    data: Path | None,
    project: str | None,
    database: str,
    work: Callable[[DocumentStore, SqliteDatabase, DatabaseId], Awaitable[T]],
    *,
    make: bool = False,
) -> T:
    """Run work on the documents of a data folder."""
    settings = settings_from({"data": data, "project": project}, [], None)

    async def run(opened: SqliteDatabase) -> T:
        store = DocumentStore(opened, Authorizer(Releases()))
        return await work(store, opened, DatabaseId.of(settings.project, database))

    return with_database(settings, run, make=make)


def secret_box(settings: Settings) -> SecretBox:
    """The box that the server of these settings uses.

    Raises:
        SecretBoxError: the key is unusable.
    """
    configured = settings.secret_key.get_secret_value() if settings.secret_key else None
    return load_secret_box(settings.data, configured)


def server_address(settings: Settings) -> str:
    """Where clients reach the server of these settings."""
    return (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")
