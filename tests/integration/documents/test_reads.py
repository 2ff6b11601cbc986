"""Reads: consistent, at the version asked for, within what is kept."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from baas.access.principal import OWNER, Principal
from baas.db.sqlite import SqliteDatabase
from baas.documents.service import DocumentStore
from baas.errors import InvalidArgument, PermissionDenied
from baas.model.paths import DatabaseId
from baas.model.query import Direction, Query, TransactionOptions
from baas.model.values import Timestamp
from baas.model.write import Commit, Write, WriteKind
from tests.integration.documents.helpers import (
    DATABASE,
    OpenAccess,
    at,
    by,
    commit,
    delete,
    fields_of,
    found,
    ids,
    name,
    put,
    query,
)


async def test_a_missing_document_is_none(store: DocumentStore) -> None:
    assert (await store.get(name("c/a"), OWNER)).value is None


async def test_an_empty_database_has_a_version_that_its_first_commit_follows(
    store: DocumentStore,
) -> None:
    before = (await store.get(name("c/a"), OWNER)).read_time
    after = await commit(store, put("c/a"))
    assert before < after.commit_time


async def test_batch_get_answers_each_name_once_in_order(store: DocumentStore) -> None:
    await commit(store, put("c/a"), put("c/b"))
    asked = [name("c/b"), name("c/missing"), name("c/a"), name("c/b")]
    read = await store.batch_get(DATABASE, asked, OWNER)
    assert [(each.id, document is not None) for each, document in read.value] == [
        ("b", True),
        ("missing", False),
        ("a", True),
    ]


async def test_a_read_time_shows_the_past(store: DocumentStore) -> None:
    first = (await commit(store, put("c/a", {"n": 1}), put("c/b"))).commit_time
    second = (await commit(store, delete("c/a"), put("c/c"))).commit_time
    third = (await commit(store, put("c/a", {"n": 3}))).commit_time
    versions = [
        await found(store, query("c"), consistency=at(time)) for time in (first, second, third)
    ]
    assert versions == [["a", "b"], ["b", "c"], ["a", "b", "c"]]
    past = (await store.get(name("c/a"), OWNER, consistency=at(first))).value
    assert past is not None
    assert past.fields == {"n": 1}
    assert (await store.get(name("c/a"), OWNER, consistency=at(second))).value is None


async def test_a_read_time_before_what_is_kept_is_refused(database: SqliteDatabase) -> None:
    clock = [1_000_000]
    store = DocumentStore(database, OpenAccess(), now=lambda: clock[0])
    old = (await commit(store, put("c/a", {"n": 1}))).commit_time
    await commit(store, put("c/a", {"n": 2}))
    clock[0] += 2 * 3_600 * 1_000_000
    await commit(store, put("c/a", {"n": 3}))
    assert await store.retention.prune() == 2
    with pytest.raises(InvalidArgument, match="too old"):
        await store.get(name("c/a"), OWNER, consistency=at(old))
    with pytest.raises(InvalidArgument, match="too old"):
        await store.begin(DATABASE, TransactionOptions(read_only=True, read_time=old), OWNER)
    changes = await store.read_at_version(DATABASE, lambda reader: reader.changes_since(old))
    assert changes is None


@pytest.mark.parametrize(
    ("changes", "bytes_", "told"), [(3, 10_000, True), (2, 10_000, False), (3, 3_000, False)]
)
async def test_changes_are_told_up_to_as_many_and_as_large_as_asked(
    store: DocumentStore, changes: int, bytes_: int, told: bool
) -> None:
    start = (await commit(store, put("c/z", {}))).commit_time
    for number in range(3):
        await commit(store, put("c/a", {"n": number, "text": "x" * 1_000}))
    found = await store.read_at_version(
        DATABASE, lambda reader: reader.changes_since(start, changes, bytes_)
    )
    assert (found is not None) is told
    assert await store.read_at_version(DATABASE, lambda reader: reader.version) > start


async def test_pruning_keeps_the_version_that_is_the_latest(database: SqliteDatabase) -> None:
    clock = [1_000_000]
    store = DocumentStore(database, OpenAccess(), now=lambda: clock[0])
    latest = (await commit(store, put("c/a", {"n": 1}))).commit_time
    clock[0] += 2 * 3_600 * 1_000_000
    await store.retention.prune()
    assert await found(store, query("c"), consistency=at(latest)) == ["a"]
    assert await store.read_at_version(DATABASE, lambda reader: reader.changes_since(latest)) == ()


async def test_a_read_time_in_the_future_is_refused(store: DocumentStore) -> None:
    with pytest.raises(InvalidArgument, match="future"):
        await store.get(name("c/a"), OWNER, consistency=at(Timestamp(2**52)))


async def test_a_version_can_be_read_after_the_clock_was_set_back(database: SqliteDatabase) -> None:
    clock = [7_200_000_000]
    store = DocumentStore(database, OpenAccess(), now=lambda: clock[0])
    first = (await commit(store, put("c/a", {"n": 1}))).commit_time
    await commit(store, put("c/a", {"n": 2}))
    clock[0] = 1_000_000
    read = await store.get(name("c/a"), OWNER, consistency=at(first))
    assert read.value is not None
    assert read.value.fields == {"n": 1}


async def test_history_survives_a_restart(store: DocumentStore, make_store: Any) -> None:
    first = (await commit(store, put("c/a", {"n": 1}))).commit_time
    await commit(store, put("c/a", {"n": 2}))
    again = make_store()
    assert await found(again, query("c"), consistency=at(first)) == ["a"]
    told = await again.read_at_version(DATABASE, lambda reader: reader.changes_since(first))
    assert [change.new.fields for each in told for change in each.changes] == [{"n": 2}]


class Guard(OpenAccess):
    """Denies every read."""

    def check_get(self, *asked: Any) -> None:
        raise PermissionDenied("no")

    def check_query(self, *asked: Any) -> None:
        raise PermissionDenied("no")


async def test_reads_ask_access(database: SqliteDatabase, user: Principal) -> None:
    store = DocumentStore(database, Guard())
    with pytest.raises(PermissionDenied):
        await store.get(name("c/a"), user)
    with pytest.raises(PermissionDenied):
        await store.run_query(query("c"), user)
    with pytest.raises(PermissionDenied):
        await store.list_documents(DATABASE, (), "c", user)


async def test_verify_asks_whether_the_document_may_be_read(
    database: SqliteDatabase, user: Principal
) -> None:
    store = DocumentStore(database, Guard())
    with pytest.raises(PermissionDenied):
        await store.commit(
            Commit(DATABASE, (Write(WriteKind.VERIFY, name("c/a")), put("c/b"))), user
        )


async def test_a_list_comes_in_pages(store: DocumentStore) -> None:
    await commit(store, *(put(f"c/{n}", {"n": -n}) for n in range(5)))
    listed: list[str] = []
    token = ""
    while True:
        page = await store.list_documents(
            DATABASE, (), "c", OWNER, page_size=2, page_token=token, order_by="n desc"
        )
        listed += [entry.name.id for entry in page.documents]
        token = page.next_page_token
        if not token:
            break
    assert listed == ["0", "1", "2", "3", "4"]


async def test_show_missing_lists_parents_that_do_not_exist(store: DocumentStore) -> None:
    await commit(store, put("c/a"), put("c/b/d/x"), put("c/c/d/e/f/g"), put("c/gone/d/x"))
    await commit(store, delete("c/gone/d/x"))
    page = await store.list_documents(DATABASE, (), "c", OWNER, show_missing=True)
    assert [(entry.name.id, entry.document is not None) for entry in page.documents] == [
        ("a", True),
        ("b", False),
        ("c", False),
    ]
    second = await store.list_documents(DATABASE, (), "c", OWNER, show_missing=True, page_size=2)
    third = await store.list_documents(
        DATABASE, (), "c", OWNER, show_missing=True, page_token=second.next_page_token
    )
    assert [entry.name.id for entry in third.documents] == ["c"]


async def test_a_page_token_belongs_to_its_list(store: DocumentStore) -> None:
    await commit(store, put("c/a"), put("c/b"))
    page = await store.list_documents(DATABASE, (), "c", OWNER, page_size=1)
    with pytest.raises(InvalidArgument):
        await store.list_documents(DATABASE, (), "d", OWNER, page_token=page.next_page_token)


@pytest.mark.parametrize("order_by", ["n down", "n desc x", "n,,m", "`"])
async def test_a_malformed_order_is_refused(store: DocumentStore, order_by: str) -> None:
    with pytest.raises(InvalidArgument):
        await store.list_documents(DATABASE, (), "c", OWNER, order_by=order_by)


async def test_collection_ids_come_in_pages_and_without_the_empty_ones(
    store: DocumentStore, user: Principal
) -> None:
    await commit(
        store, *(put(f"{each}/x") for each in "abcd"), put("e/missing/f/x"), put("u/x/v/y")
    )
    await commit(store, delete("b/x"))
    page = await store.list_collection_ids(DATABASE, (), OWNER, page_size=3)
    rest = await store.list_collection_ids(DATABASE, (), OWNER, page_token=page.next_page_token)
    assert [*page.collection_ids, *rest.collection_ids] == ["a", "c", "d", "e", "u"]
    below = await store.list_collection_ids(DATABASE, ("u", "x"), OWNER)
    assert below.collection_ids == ["v"]
    with pytest.raises(PermissionDenied):
        await store.list_collection_ids(DATABASE, (), user)


async def test_partitions_cut_a_group_into_parts(store: DocumentStore) -> None:
    await commit(store, *(put(f"c/{n:02}") for n in range(20)), put("d/x/c/y"))
    everything = Query(DATABASE, (), "c", all_descendants=True)
    page = await store.partition_query(everything, OWNER, partition_count=3)
    assert len(page.partitions) == 3
    bounds = [None, *page.partitions, None]
    parts = [
        await found(
            store,
            Query(
                DATABASE,
                (),
                "c",
                all_descendants=True,
                order_by=(by("__name__"),),
                start_at=low,
                end_at=high,
            ),
        )
        for low, high in itertools.pairwise(bounds)
    ]
    assert list(itertools.chain(*parts)) == await found(store, everything)
    assert all(parts)


async def test_partitions_need_a_plain_group_query(store: DocumentStore) -> None:
    with pytest.raises(InvalidArgument):
        await store.partition_query(query("c"), OWNER, partition_count=2)


async def test_listeners_read_a_version_and_what_follows(store: DocumentStore) -> None:
    version = (await commit(store, put("c/a"))).commit_time
    seen, epoch = await store.read_at_version(
        DATABASE, lambda reader: (reader.version, reader.epoch)
    )
    assert seen == version
    assert len(epoch) == 8
    unknown = await store.read_at_version(DatabaseId("nothing"), lambda reader: reader.epoch)
    assert unknown == bytes(8)


async def test_a_query_in_descending_order_of_names(store: DocumentStore) -> None:
    await commit(store, put("c/a"), put("c/b"), put("c/a/c/z"))
    descending = by("__name__", Direction.DESCENDING)
    group = Query(DATABASE, (), "c", all_descendants=True, order_by=(descending,))
    assert await found(store, group) == ["b", "z", "a"]
    assert ids(
        (await store.run_query(query("c", limit=1, order_by=(descending,)), OWNER)).documents
    ) == ["b"]
    assert await fields_of(store, "c/a") == {}


async def test_whether_a_collection_has_documents_is_told_of_the_version_read(
    store: DocumentStore,
) -> None:
    first = await commit(store, put("c/a"))
    await commit(store, delete("c/a"))
    answers = [
        await store.read_at_version(DATABASE, lambda reader: reader.has_documents(("c",)), at=time)
        for time in (first.commit_time, None)
    ]
    assert answers == [True, False]
