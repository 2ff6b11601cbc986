"""Names that the tests of the room share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from baas.auth.options import AuthOptions, HashOptions, Scope
from baas.auth.secret_box import SecretBox
from baas.auth.service import AuthService
from baas.db.sqlite import SqliteDatabase

CHEAP = HashOptions(time_cost=1, memory_kib=64)
SCOPE = Scope("demo")


@dataclass
class Clock:
    """Time, as the test says."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


SECRET = bytes(range(32))


def add_signing_key(path: Path) -> None:
    """Put a signing key into a database file: most tests can save the time that making one takes."""

    async def add() -> None:
        database = await SqliteDatabase.open(path)
        service = AuthService(
            database, AuthOptions(hashing=CHEAP), SecretBox([SECRET]), clock=Clock(SEEDED_AT)
        )
        await service.context.keys.rotate()
        service.close()
        await database.close()

    asyncio.run(add())


SEEDED_AT = 1_699_990_000.0
