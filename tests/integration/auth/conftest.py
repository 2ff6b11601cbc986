"""The Identity Toolkit surface over a real database, called as HTTP clients do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from baas.api import identity
from baas.auth.messages import Outbox
from baas.auth.options import AuthOptions
from baas.auth.outgoing import Outgoing
from baas.auth.secret_box import SecretBox
from baas.auth.service import AuthService
from baas.db import schema
from baas.db.sqlite import SqliteDatabase
from tests.integration.auth.support import Api, Keys, add_service_accounts
from tests.unit.auth.support import CHEAP, SECRET, Clock, add_signing_key


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Keys]:
    """A database file with a signing key and service accounts, and the keys of those."""
    path = tmp_path_factory.mktemp("auth-schema") / "homefire.db"
    schema.migrate_sqlite(path)
    add_signing_key(path)
    return path, asyncio.run(add_service_accounts(path))


@pytest.fixture(scope="session")
def migrated_file(seeded: tuple[Path, Keys]) -> Path:
    """The file, to be copied."""
    return seeded[0]


@pytest_asyncio.fixture
async def make_api(database: SqliteDatabase, seeded: tuple[Path, Keys]) -> AsyncIterator[Any]:
    """Servers over the test's database, with options of choice."""
    opened: list[Api] = []

    def make(
        *, mail: Outbox | None = None, outgoing: Outgoing | None = None, **options: Any
    ) -> Api:
        clock = Clock()
        settings = AuthOptions(**{"default_project": "demo", "hashing": CHEAP, **options})
        service = AuthService(
            database, settings, SecretBox([SECRET]), clock=clock, mail=mail, outgoing=outgoing
        )
        if mail is not None:
            service.outbox = mail
        app = Starlette(routes=identity.routes(service))
        transport = httpx2.ASGITransport(app=app)
        client = httpx2.AsyncClient(transport=transport, base_url="http://auth.test")
        opened.append(Api(service, client, clock, seeded[1]))
        return opened[-1]

    yield make
    for api in opened:
        await api.client.aclose()
        api.service.close()


@pytest_asyncio.fixture
async def api(make_api: Any) -> Api:
    """A server in production mode."""
    made: Api = make_api(mail=Outbox())
    return made
