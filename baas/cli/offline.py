"""Commands that work on a data folder while no server has it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from baas.auth.options import AuthOptions
from baas.auth.secret_box import SecretBox, SecretBoxError, load_secret_box
from baas.auth.service import AuthService
from baas.cli.serve import fail, settings_from
from baas.data_folder import DataFolder, FolderError
from baas.db import schema
from baas.db.sqlite import SqliteDatabase
from baas.errors import ApiError
from baas.settings import Settings

T = TypeVar("T")


def with_auth(
    data: Path | None,
    config: Path | None,
    work: Callable[[AuthService, Settings], Awaitable[T]],
    *,
    prepare: Callable[[Settings], None] | None = None,
) -> T:
    """Run work on the accounts of a data folder; what goes wrong ends the command with status 2."""
    settings = settings_from({"data": data} if data else {}, [], config)
    try:
        with DataFolder(settings.data) as folder:
            if prepare is not None:
                prepare(settings)
            schema.migrate_sqlite(folder.database)
            return asyncio.run(_run(folder, settings, work))
    except (FolderError, ApiError, SecretBoxError) as error:
        fail(str(error))


async def _run(
    folder: DataFolder, settings: Settings, work: Callable[[AuthService, Settings], Awaitable[T]]
) -> T:
    database = await SqliteDatabase.open(folder.database)
    try:
        service = AuthService(database, auth_options(settings), secret_box(settings))
        try:
            return await work(service, settings)
        finally:
            service.close()
    finally:
        await database.close()


def secret_box(settings: Settings) -> SecretBox:
    """The box that the server of these settings uses.

    Raises:
        SecretBoxError: the key is unusable.
    """
    configured = settings.secret_key.get_secret_value() if settings.secret_key else None
    return load_secret_box(settings.data, configured)


def auth_options(settings: Settings) -> AuthOptions:
    """What commands need of the settings."""
    return AuthOptions(default_project=settings.project, public_url=server_address(settings))


def server_address(settings: Settings) -> str:
    """Where clients reach the server of these settings."""
    return (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")
