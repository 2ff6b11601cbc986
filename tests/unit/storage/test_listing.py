"""Listings against a naive model."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baas.db.sqlite_connection import SqliteTx
from baas.db.tables import storage as tables
from baas.db.unit import Tx
from baas.errors import InvalidArgument
from baas.storage import object_rows
from baas.storage.model import ObjectSettings, StoredObject
from baas.storage.object_rows import ListQuery, list_page


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("listing") / "x.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    tables.metadata.create_all(engine)
    engine.dispose()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        yield connection


@pytest.fixture
def tx(raw: sqlite3.Connection) -> Tx:
    raw.execute("DELETE FROM storage_objects")
    # listings speak SQL text alone
    return SqliteTx(raw, None, quick=False, check=lambda: None)  # type: ignore[arg-type]


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
    tx: Tx, existing: set[str], prefix: str, delimiter: str, size: int
) -> None:
    tx.run("DELETE FROM storage_objects")
    for name in existing:
        object_rows.insert(tx, stored(name))
    query = ListQuery("b", prefix, delimiter, None, size)
    assert pages(tx, query) == model(existing, prefix, delimiter)


def test_an_object_that_ends_with_the_delimiter_is_shown_beside_its_prefix_when_asked(
    tx: Tx,
) -> None:
    for name in ("a/", "a/b", "c/", "d"):
        object_rows.insert(tx, stored(name))
    query = ListQuery("b", delimiter="/", include_trailing_delimiter=True)
    page = list_page(tx, query)
    assert ([item.name for item in page.items], page.prefixes) == (["a/", "c/", "d"], ("a/", "c/"))


def test_a_page_that_ends_between_an_object_and_its_prefix_ends_there(tx: Tx) -> None:
    """The last row may show two things; what comes after it is still on the next page."""
    for name in ("a/", "b", "c", "d"):
        object_rows.insert(tx, stored(name))
    query = ListQuery("b", delimiter="/", include_trailing_delimiter=True, max_results=1)
    page = list_page(tx, query)
    assert [item.name for item in page.items] == ["a/"]
    assert page.next_page_token is not None


@pytest.mark.parametrize("token", ["x", "%%%", "é", "AAAA"])
def test_page_tokens_that_are_none_are_refused(tx: Tx, token: str) -> None:
    with pytest.raises(InvalidArgument):
        list_page(tx, ListQuery("b", page_token=token))
