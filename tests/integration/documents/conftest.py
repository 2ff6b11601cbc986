"""A document store over a database of the test's own, open to everyone unless a test says otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from baas.access.principal import Principal, PrincipalKind
from baas.db.sqlite import SqliteDatabase
from baas.documents.options import DocumentOptions
from baas.documents.service import DocumentStore
from tests.integration.documents.helpers import OpenAccess


@pytest.fixture
def access() -> OpenAccess:
    """What decides: open, and it remembers what it was asked."""
    return OpenAccess()


@pytest.fixture
def user() -> Principal:
    """Somebody whom rules apply to."""
    return Principal(PrincipalKind.USER, uid="alice")


@pytest_asyncio.fixture
async def store(database: SqliteDatabase, access: OpenAccess) -> AsyncIterator[DocumentStore]:
    """A store without background work: tests do it when they want it."""
    yield DocumentStore(database, access)


StoreMaker = Callable[..., DocumentStore]


@pytest.fixture
def make_store(database: SqliteDatabase, access: OpenAccess) -> StoreMaker:
    """A further store over the same database, as after a restart."""

    def make(**options: object) -> DocumentStore:
        return DocumentStore(database, access, DocumentOptions(**options))  # type: ignore[arg-type]

    return make
