"""Listings against a naive model."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baas.db.tables import storage as tables
from baas.db.unit import Tx
from baas.errors import InvalidArgument
from baas.storage import object_rows
from baas.storage.model import ObjectSettings, StoredObject
from baas.storage.object_rows import ListQuery, list_page


class CoreOnly:
    """A unit of work on a connection of the test's own."""

    def __init__(self, core: sa.Connection) -> None:
        self.core = core


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> sa.Connection:
    path: Path = tmp_path_factory.mktemp("listing") / "x.db"
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.pool.StaticPool)
    tables.metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection  # type: ignore[misc]
    engine.dispose()


def stored(name: str) -> StoredObject:
    return StoredObject("b", name, 1, 1, 0, None, 0, ObjectSettings(), (), "", 0, 0)


def model(names: set[str], prefix: str, delimiter: str) -> list[str]:
    """Items and rolled-up prefixes together, in order of their bytes."""
    found = set()
    for name in names:
        if name.startswith(prefix):
            rest = name[len(prefix) :]
            head, middle, _ = rest.partition(delimiter) if delimiter else (rest, "", "")
            found.add(prefix + head + middle)
    return sorted(found, key=str.encode)


def pages(tx: Tx, query: ListQuery) -> list[str]:
    seen: list[str] = []
    token = None
    while True:
        page = list_page(
            tx, ListQuery(query.bucket, query.prefix, query.delimiter, token, query.max_results)
        )
        assert len(page.items) + len(page.prefixes) <= query.max_results
        seen += sorted([item.name for item in page.items] + list(page.prefixes), key=str.encode)
        if page.next_page_token is None:
            return seen
        token = page.next_page_token


names = st.text("ab/é.", min_size=1, max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    existing=st.sets(names, max_size=25),
    prefix=st.just("") | st.text("ab/é", max_size=3),
    delimiter=st.sampled_from(["", "/", "a", "//"]),
    size=st.integers(1, 8),
)
def test_pages_together_are_what_a_naive_listing_is(
    connection: sa.Connection, existing: set[str], prefix: str, delimiter: str, size: int
) -> None:
    tx: Tx = CoreOnly(connection)  # type: ignore[assignment]
    with connection.begin():
        connection.execute(sa.delete(tables.storage_objects))
        for name in existing:
            object_rows.insert(tx, stored(name))
        query = ListQuery("b", prefix, delimiter, None, size)
        assert pages(tx, query) == model(existing, prefix, delimiter)


@pytest.mark.parametrize("token", ["x", "%%%", "é", "AAAA"])
def test_page_tokens_that_are_none_are_refused(connection: sa.Connection, token: str) -> None:
    tx: Tx = CoreOnly(connection)  # type: ignore[assignment]
    with pytest.raises(InvalidArgument):
        list_page(tx, ListQuery("b", page_token=token))
