"""The Identity Toolkit surface over a real database, called as HTTP clients do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest_asyncio
from starlette.applications import Starlette

from baas.api import identity
from baas.auth.options import AuthOptions
from baas.auth.secret_box import SecretBox
from baas.auth.service import AuthService
from baas.db.sqlite import SqliteDatabase
from tests.unit.auth.support import CHEAP, Clock


class Api:
    """A client of one server."""

    def __init__(self, service: AuthService, client: httpx2.AsyncClient, clock: Clock) -> None:
        self.service = service
        self.client = client
        self.clock = clock

    async def post(self, path: str, body: Any, **options: Any) -> httpx2.Response:
        return await self.client.post(path, json=body, **options)

    async def call(self, method: str, body: Any, **options: Any) -> dict[str, Any]:
        """An ``accounts:`` method that must succeed."""
        response = await self.post(f"/v1/accounts:{method}?key=any", body, **options)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def error(self, method: str, body: Any, **options: Any) -> str:
        """An ``accounts:`` method that must fail; answers the message."""
        response = await self.post(f"/v1/accounts:{method}?key=any", body, **options)
        assert response.status_code == 400, response.text
        message: str = response.json()["error"]["message"]
        return message

    async def sign_up(self, email: str = "ada@example.com") -> dict[str, Any]:
        return await self.call("signUp", {"email": email, "password": "correct horse"})


@pytest_asyncio.fixture
async def make_api(database: SqliteDatabase) -> AsyncIterator[Any]:
    """Servers over the test's database, with options of choice."""
    opened: list[Api] = []

    def make(**options: Any) -> Api:
        clock = Clock()
        settings = AuthOptions(**{"default_project": "demo", "hashing": CHEAP, **options})
        service = AuthService(database, settings, SecretBox([bytes(range(32))]), clock=clock)
        app = Starlette(routes=identity.routes(service))
        transport = httpx2.ASGITransport(app=app)
        client = httpx2.AsyncClient(transport=transport, base_url="http://auth.test")
        opened.append(Api(service, client, clock))
        return opened[-1]

    yield make
    for api in opened:
        await api.client.aclose()
        api.service.close()


@pytest_asyncio.fixture
async def api(make_api: Any) -> Api:
    """A server in production mode."""
    made: Api = make_api()
    return made
