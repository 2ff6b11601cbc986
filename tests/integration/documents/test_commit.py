"""Commits: all or nothing, in order, at one time, decided by access inside the unit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from baas.access.principal import OWNER, Principal
from baas.db.sqlite import SqliteDatabase
from baas.documents.service import DocumentStore
from baas.errors import (
    AlreadyExists,
    ApiError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from baas.model.change import CommitChanges
from baas.model.paths import DatabaseId
from baas.model.values import Timestamp
from baas.model.write import (
    Commit,
    FieldTransform,
    Precondition,
    TransformKind,
    Write,
    WriteKind,
)
from tests.integration.documents.helpers import (
    DATABASE,
    OpenAccess,
    commit,
    create,
    delete,
    fields_of,
    name,
    put,
)


async def test_writes_of_a_commit_share_one_time(store: DocumentStore) -> None:
    result = await commit(store, put("c/a"), put("c/b"))
    assert [each.update_time for each in result.write_results] == [result.commit_time] * 2


async def test_commit_times_increase_even_if_the_clock_stands_still(
    database: SqliteDatabase,
) -> None:
    store = DocumentStore(database, OpenAccess(), now=lambda: 1_000)
    times = [(await commit(store, put("c/a", {"n": n}))).commit_time.micros for n in range(3)]
    assert times == [1_001, 1_002, 1_003]


async def test_a_failing_write_undoes_the_others(store: DocumentStore) -> None:
    await commit(store, put("c/a"))
    with pytest.raises(AlreadyExists):
        await commit(store, put("c/b"), create("c/a"))
    assert await fields_of(store, "c/b") is None


async def test_a_failed_commit_leaves_no_collection_behind(store: DocumentStore) -> None:
    with pytest.raises(NotFound):
        await commit(store, put("new/a"), put("c/b", precondition=Precondition(exists=True)))
    await commit(store, put("other/x"))
    assert (await store.list_collection_ids(DATABASE, (), OWNER)).collection_ids == ["other"]
    await commit(store, put("new/a", {"n": 1}))
    assert await fields_of(store, "new/a") == {"n": 1}


async def test_writes_to_one_document_apply_in_order(store: DocumentStore) -> None:
    increment = FieldTransform(("n",), TransformKind.INCREMENT, 2)
    await commit(
        store,
        put("c/a", {"n": 1}),
        Write(WriteKind.UPDATE, name("c/a"), {}, (), (increment,)),
        Write(WriteKind.UPDATE, name("c/a"), {"m": 0}, (("m",),)),
    )
    assert await fields_of(store, "c/a") == {"n": 3, "m": 0}


async def test_a_document_created_again_has_a_new_create_time(store: DocumentStore) -> None:
    await commit(store, put("c/a"))
    result = await commit(store, delete("c/a"), put("c/a", {"n": 1}))
    document = (await store.get(name("c/a"), OWNER)).value
    assert document is not None
    assert document.create_time == result.commit_time


async def test_a_write_without_effect_keeps_the_update_time(store: DocumentStore) -> None:
    first = await commit(store, put("c/a", {"n": 1}))
    second = await commit(store, put("c/a", {"n": 1}))
    assert second.write_results[0].update_time == first.commit_time


async def test_an_update_time_holds_for_all_writes_of_a_document(store: DocumentStore) -> None:
    first = await commit(store, put("c/a", {"n": 1}))
    unchanged = Precondition(update_time=first.commit_time)
    await commit(
        store,
        put("c/a", {"n": 2}, precondition=unchanged),
        put("c/a", {"n": 3}, precondition=unchanged),
    )
    assert await fields_of(store, "c/a") == {"n": 3}
    with pytest.raises(FailedPrecondition):
        await commit(store, put("c/a", {"n": 4}, precondition=unchanged))


async def test_a_write_to_another_database_is_refused(store: DocumentStore) -> None:
    other = Write(WriteKind.UPDATE, name("c/a", DatabaseId("other")), {})
    with pytest.raises(InvalidArgument):
        await store.commit(Commit(DATABASE, (other,)), OWNER)


async def test_databases_are_apart(store: DocumentStore) -> None:
    named = DatabaseId("demo", "second")
    await store.commit(
        Commit(named, (Write(WriteKind.UPDATE, name("c/a", named), {"n": 2}),)), OWNER
    )
    await commit(store, put("c/a", {"n": 1}))
    assert await fields_of(store, "c/a") == {"n": 1}
    other = (await store.get(name("c/a", named), OWNER)).value
    assert other is not None
    assert other.fields == {"n": 2}


async def test_batch_write_makes_each_write_by_itself(store: DocumentStore) -> None:
    await commit(store, put("c/a"))
    results = await store.batch_write(DATABASE, [create("c/a"), put("c/b")], OWNER)
    assert isinstance(results[0], AlreadyExists)
    assert not isinstance(results[1], ApiError)


async def test_all_writes_of_a_document_tell_the_update_time_that_their_commit_leaves(
    store: DocumentStore,
) -> None:
    result = await commit(store, put("c/a"), delete("c/a"), delete("c/b"), put("c/b"), put("c/c"))
    now = result.commit_time
    assert [each.update_time for each in result.write_results] == [None, None, now, now, now]


async def test_batch_write_refuses_a_document_twice(store: DocumentStore) -> None:
    with pytest.raises(InvalidArgument):
        await store.batch_write(DATABASE, [put("c/a"), delete("c/a")], OWNER)


async def test_too_many_writes_are_refused(make_store: Any) -> None:
    store = make_store(max_writes=2)
    with pytest.raises(InvalidArgument, match="At most 2"):
        await commit(store, put("c/a"), put("c/b"), put("c/c"))


class Judge(OpenAccess):
    """Denies by a function of the pending writes, and looks documents up as rules do."""

    def __init__(self, allowed: Any) -> None:
        super().__init__()
        self._allowed = allowed

    def check_commit(self, *asked: Any) -> None:
        super().check_commit(*asked)
        _, _, changes, lookup, lookup_after, _ = asked
        if not self._allowed(changes, lookup, lookup_after):
            raise PermissionDenied("no")


async def test_access_sees_each_document_once_from_before_to_after(
    store: DocumentStore, access: OpenAccess
) -> None:
    await commit(store, put("c/a", {"n": 1}))
    await commit(store, put("c/a", {"n": 2}), put("c/a", {"n": 3}), delete("c/b"))
    changed, gone = access.commits[-1]
    assert changed.before is not None
    assert changed.after is not None
    assert (changed.before.fields, changed.after.fields) == ({"n": 1}, {"n": 3})
    assert (changed.method, gone.method) == ("update", "delete")


async def test_access_looks_up_the_state_before_and_after_the_whole_commit(
    database: SqliteDatabase,
) -> None:
    def allowed(changes: Any, lookup: Any, lookup_after: Any) -> bool:
        return lookup.get(name("c/b")) is None and lookup_after.get(name("c/b")).fields == {"n": 2}

    store = DocumentStore(database, Judge(allowed))
    await commit(store, put("c/a"), put("c/b", {"n": 2}))


async def test_a_denied_commit_changes_nothing(database: SqliteDatabase, user: Principal) -> None:
    store = DocumentStore(database, Judge(lambda changes, *_: changes[0].name.id != "a"))
    with pytest.raises(PermissionDenied):
        await store.commit(Commit(DATABASE, (put("c/a"),)), user)
    assert await fields_of(store, "c/a") is None


async def test_the_right_to_write_is_judged_after_all_earlier_commits(
    database: SqliteDatabase, user: Principal
) -> None:
    """A commit that takes a right away, and one that uses it, race: the later one sees the earlier."""

    def allowed(changes: Any, lookup: Any, lookup_after: Any) -> bool:
        grant = lookup.get(name("grants/alice"))
        return changes[0].name.collection_id == "grants" or grant is not None

    store = DocumentStore(database, Judge(allowed))
    await commit(store, put("grants/alice"))
    revoked, denied = await asyncio.gather(
        store.commit(Commit(DATABASE, (delete("grants/alice"),)), user),
        store.commit(Commit(DATABASE, (put("c/a"),)), user),
        return_exceptions=True,
    )
    assert not isinstance(revoked, BaseException)
    assert isinstance(denied, PermissionDenied)


async def test_a_failed_precondition_tells_nothing_to_who_may_not_write(
    database: SqliteDatabase, user: Principal
) -> None:
    store = DocumentStore(database, OpenAccess())
    await commit(store, put("c/a"))
    strict = DocumentStore(database, Judge(lambda *_: False))
    with pytest.raises(PermissionDenied):
        await strict.commit(Commit(DATABASE, (create("c/a"),)), user)
    with pytest.raises(AlreadyExists):
        await strict.commit(Commit(DATABASE, (create("c/a"),)), OWNER)


@pytest.mark.parametrize(
    ("stored", "precondition", "method"),
    [
        (True, Precondition(exists=False), "create"),
        (False, Precondition(exists=True), "update"),
        (False, Precondition(update_time=Timestamp(1)), "update"),
    ],
)
@pytest.mark.parametrize("mask", [None, (("n",),)])
async def test_a_write_is_judged_as_what_its_precondition_makes_it(
    database: SqliteDatabase,
    user: Principal,
    stored: bool,
    precondition: Precondition,
    method: str,
    mask: tuple[tuple[str, ...], ...] | None,
) -> None:
    access = OpenAccess()
    store = DocumentStore(database, access)
    if stored:
        await commit(store, put("c/a"))
    write = put("c/a", {"n": 1}, precondition=precondition, mask=mask)
    with pytest.raises(ApiError):
        await store.commit(Commit(DATABASE, (write,)), user)
    assert [change.method for change in access.commits[-1]] == [method]


async def test_the_feed_tells_each_commit_once_and_in_order(store: DocumentStore) -> None:
    told: list[CommitChanges] = []
    unsubscribe = store.changes.subscribe(told.append)
    results = await asyncio.gather(*(commit(store, put("c/a", {"n": n})) for n in range(20)))
    assert [each.commit_time for each in told] == [each.commit_time for each in results]
    unsubscribe()
    await commit(store, delete("c/a"))
    assert len(told) == 20


async def test_the_feed_tells_documents_before_and_after(store: DocumentStore) -> None:
    await commit(store, put("c/a", {"n": 1}))
    told: list[CommitChanges] = []
    store.changes.subscribe(told.append)
    await commit(store, put("c/a", {"n": 2}), put("c/b"), delete("c/missing"), put("c/b"))
    first, second = told[0].changes
    assert first.old is not None
    assert first.new is not None
    assert (first.old.fields, first.new.fields) == ({"n": 1}, {"n": 2})
    assert (second.old, second.name) == (None, name("c/b"))


async def test_a_commit_without_effect_is_not_told(store: DocumentStore) -> None:
    await commit(store, put("c/a", {"n": 1}))
    told: list[CommitChanges] = []
    store.changes.subscribe(told.append)
    await commit(store, put("c/a", {"n": 1}), delete("c/b"))
    assert told == []


async def test_a_failing_subscriber_does_not_harm_the_others(store: DocumentStore) -> None:
    told: list[CommitChanges] = []

    def fail(_: CommitChanges) -> None:
        raise RuntimeError("a subscriber's bug")

    store.changes.subscribe(fail)
    store.changes.subscribe(told.append)
    await commit(store, put("c/a"))
    assert len(told) == 1


async def test_what_the_feed_told_can_be_read_from_the_tables(store: DocumentStore) -> None:
    start = (await commit(store, put("c/a", {"n": 0}))).commit_time
    told: list[CommitChanges] = []
    store.changes.subscribe(told.append)
    await commit(store, put("c/a", {"n": 1}), put("c/b", {"n": 1}))
    await commit(store, delete("c/b"), put("d/x", {}))
    await commit(store, put("c/b", {"n": 2}), put("c/a", {"n": 2}))
    read = await store.read_at_version(DATABASE, lambda reader: reader.changes_since(start))
    assert read == tuple(told)


async def test_clearing_a_database_deletes_through_the_feed(make_store: Any) -> None:
    store = make_store(clear_chunk=2)
    await commit(store, *(put(f"c/{n}") for n in range(5)))
    told: list[CommitChanges] = []
    store.changes.subscribe(told.append)
    await store.clear_database(DATABASE)
    gone = [change.name for each in told for change in each.changes if change.new is None]
    assert len(gone) == 5
    assert await fields_of(store, "c/0") is None
