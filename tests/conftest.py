"""What every room's tests share: a migrated database, made once and copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from baas.db import schema
from baas.db.sqlite import SqliteDatabase


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where nothing may be skipped (CI), a skip is a failure that says what is missing."""
    report = yield
    if (
        report.skipped
        and os.environ.get("HOMEFIRE_SKIP_IS_FAILURE")
        and not hasattr(report, "wasxfail")
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    return report


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
