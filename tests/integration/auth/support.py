"""A client of the surface, and what administrators need to call it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
from jose import jwt

from baas.auth.service import AuthService
from baas.auth.service_accounts import create_key
from baas.db.sqlite import SqliteDatabase
from tests.unit.auth.support import Clock

Keys = dict[tuple[str, str], dict[str, str]]
"""(Role, project) -> the JSON key of a service account."""


def assertion(key: Mapping[str, str], now: float, **changed: Any) -> str:
    """What an Admin SDK signs with a key file to get an access token."""
    claims = {
        "iss": key["client_email"],
        "sub": key["client_email"],
        "aud": key["token_uri"],
        "iat": int(now),
        "exp": int(now) + 3_600,
    }
    headers = {"kid": key["private_key_id"]}
    return str(jwt.encode(claims | changed, key["private_key"], "RS256", headers))


async def add_service_accounts(path: Path) -> Keys:
    """Make the service accounts that tests call with: making a key takes time, so it is done once."""
    database = await SqliteDatabase.open(path)
    found = {}
    for role, project in (("owner", "demo"), ("viewer", "demo"), ("owner", "other")):
        found[role, project] = await create_key(
            database,
            project=project,
            name=role,
            role=role,
            token_uri="http://127.0.0.1:8080/token",
            now_ms=0,
        )
    await database.close()
    return found


class Api:
    """A client of one server."""

    def __init__(
        self, service: AuthService, client: httpx2.AsyncClient, clock: Clock, keys: Keys
    ) -> None:
        self.service = service
        self.client = client
        self.clock = clock
        self.keys = keys
        self._tokens: dict[tuple[str, str], str] = {}

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

    async def admin(
        self, path: str, body: Any = None, *, verb: str = "POST", version: str = "v1"
    ) -> dict[str, Any]:
        """A call of an administrator under the project's path, that must succeed."""
        response = await self.client.request(
            verb,
            f"/{version}/projects/demo{path}",
            json=body,
            headers={"authorization": f"Bearer {await self.admin_token()}"},
        )
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def admin_token(self, role: str = "owner", project: str = "demo") -> str:
        """An access token of a service account."""
        if self.service.options.dev:
            return "owner"
        if (role, project) not in self._tokens:
            signed = assertion(self.keys[role, project], self.clock())
            token = await self.service.service_accounts.exchange(signed)
            self._tokens[role, project] = token[0]
        return self._tokens[role, project]

    async def sign_up(self, email: str = "ada@example.com") -> dict[str, Any]:
        return await self.call("signUp", {"email": email, "password": "correct horse"})
