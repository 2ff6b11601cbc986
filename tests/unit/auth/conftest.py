"""A service with cheap hashes and a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from baas.auth.options import AuthOptions
from baas.auth.secret_box import SecretBox
from baas.auth.service import AuthService
from baas.db import schema
from baas.db.sqlite import SqliteDatabase
from tests.unit.auth.support import CHEAP, SECRET, Clock, add_signing_key


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared one, with a signing key in it."""
    path = tmp_path_factory.mktemp("auth-schema") / "homefire.db"
    schema.migrate_sqlite(path)
    add_signing_key(path)
    return path


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def box() -> SecretBox:
    """A box with a key of its own."""
    return SecretBox([SECRET])


@pytest_asyncio.fixture
async def make_service(
    database: SqliteDatabase, box: SecretBox, clock: Clock
) -> AsyncIterator[Any]:
    """Services over the test's database, with options of choice."""
    made: list[AuthService] = []

    def make(**options: Any) -> AuthService:
        settings = AuthOptions(**{"default_project": "demo", "hashing": CHEAP, **options})
        made.append(AuthService(database, settings, box, clock=clock))
        return made[-1]

    yield make
    for service in made:
        service.close()


@pytest_asyncio.fixture
async def service(make_service: Any) -> AuthService:
    """A service in production mode."""
    made: AuthService = make_service()
    return made
