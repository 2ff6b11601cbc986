"""What every room's tests share: a migrated database, made once and copied."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from baas.db import schema
from baas.db.sqlite import SqliteDatabase


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the current schema and nothing in it. To be copied, not used."""
    path = tmp_path_factory.mktemp("schema") / "homefire.db"
    schema.migrate_sqlite(path)
    return path


@pytest_asyncio.fixture
async def database(migrated_file: Path, tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """An open, empty database of the test's own."""
    path = tmp_path / "homefire.db"
    shutil.copy(migrated_file, path)
    opened = await SqliteDatabase.open(path)
    yield opened
    await opened.close()
