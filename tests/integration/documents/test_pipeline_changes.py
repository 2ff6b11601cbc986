"""Pipelines that end with ``update`` or ``delete``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from baas.access.principal import OWNER, Principal
from baas.documents.service import DocumentStore
from baas.errors import Aborted, InvalidArgument, NotFound, PermissionDenied
from baas.model.paths import DatabaseId
from baas.model.pipeline import (
    Call,
    Constant,
    Expression,
    FieldReference,
    MapExpression,
    Pipeline,
    ResourcePath,
    Stage,
    SubPipeline,
)
from baas.model.query import Consistency, TransactionOptions
from baas.model.values import Reference
from baas.model.write import Commit, CommitResult
from tests.integration.documents.conftest import StoreMaker
from tests.integration.documents.helpers import DATABASE, commit, fields_of, name, put

COLLECTION = Stage("collection", (ResourcePath("/c"),))
UPDATE = Stage("update", (Constant({}),))
DELETE = Stage("delete")


def field(path: str) -> FieldReference:
    return FieldReference(tuple(path.split(".")), path)


def where_n(op: str, value: int) -> Stage:
    return Stage("where", (Call(op, (field("n"), Constant(value))),))


def update(**fields: Expression) -> Stage:
    return Stage("update", (MapExpression(fields),))


def literals(*paths: str) -> Stage:
    rows = (Constant({"__name__": Reference(name(path).name), "n": 9}) for path in paths)
    return Stage("literals", tuple(rows))


async def modified(store: DocumentStore, *stages: Stage, **more: Any) -> object:
    """How many documents were."""
    read = await store.pipelines.execute(DATABASE, Pipeline(stages), OWNER, **more)
    (row,) = read.value.rows
    assert row.fields.keys() == {"documents_modified"}
    return row.fields["documents_modified"]


async def test_rows_are_written_as_the_whole_of_their_documents(store: DocumentStore) -> None:
    await commit(store, put("c/a", {"n": 1, "old": True}), put("c/b", {"n": 2}), put("d/a"))
    more = Stage("add_fields", (MapExpression({"at.city": Constant("Graz")}),))
    less = Stage("remove_fields", (field("old"),))
    assert await modified(store, COLLECTION, more, less, UPDATE) == 2
    assert await fields_of(store, "c/a") == {"n": 1, "at": {"city": "Graz"}}
    assert await fields_of(store, "c/b") == {"n": 2, "at": {"city": "Graz"}}
    assert await fields_of(store, "d/a") == {}


async def test_an_update_computes_fields_from_the_rows(store: DocumentStore) -> None:
    await commit(store, put("c/a", {"n": 1}), put("c/b", {"n": 2}))
    doubled = Call("multiply", (field("n"), Constant(2)))
    assert await modified(store, COLLECTION, where_n("greater_than", 1), update(n=doubled)) == 1
    assert (await fields_of(store, "c/a"), await fields_of(store, "c/b")) == ({"n": 1}, {"n": 4})


async def test_what_a_pipeline_gives_is_deleted(store: DocumentStore) -> None:
    await commit(store, *(put(f"c/{n}", {"n": n}) for n in range(5)))
    assert await modified(store, COLLECTION, where_n("less_than", 3), DELETE) == 3
    left = [await fields_of(store, f"c/{n}") for n in range(5)]
    assert left == [None, None, None, {"n": 3}, {"n": 4}]
    assert await modified(store, COLLECTION, where_n("less_than", 3), DELETE) == 0


async def test_a_document_that_comes_twice_is_updated_twice_and_deleted_once(
    store: DocumentStore,
) -> None:
    await commit(store, put("c/a", {"n": 1}))
    again = Stage("union", (SubPipeline(Pipeline((COLLECTION,))),))
    assert await modified(store, COLLECTION, again, UPDATE) == 2
    assert await modified(store, COLLECTION, again, DELETE) == 1


async def test_literals_name_the_documents_and_missing_ones_are_passed_over(
    store: DocumentStore,
) -> None:
    await commit(store, put("c/a", {"n": 1, "old": True}))
    assert await modified(store, literals("c/a", "c/missing"), UPDATE) == 1
    assert await fields_of(store, "c/a") == {"n": 9}
    assert await fields_of(store, "c/missing") is None
    assert await modified(store, literals("c/a", "c/missing"), DELETE) == 1


async def test_an_atomic_update_of_a_missing_document_changes_nothing(store: DocumentStore) -> None:
    await commit(store, put("c/a", {"n": 1}))
    with pytest.raises(NotFound, match="missing"):
        await modified(store, literals("c/a", "c/missing"), UPDATE, atomic=True)
    assert await fields_of(store, "c/a") == {"n": 1}


async def test_callers_whom_rules_apply_to_cannot_write(
    store: DocumentStore, user: Principal
) -> None:
    await commit(store, put("c/a"))
    for stage in (UPDATE, DELETE):
        with pytest.raises(PermissionDenied):
            await store.pipelines.execute(DATABASE, Pipeline((COLLECTION, stage)), user)
    assert await fields_of(store, "c/a") == {}


async def test_a_write_ends_its_pipeline_and_is_in_none_within(store: DocumentStore) -> None:
    await commit(store, put("c/a"))
    within = Stage("union", (SubPipeline(Pipeline((COLLECTION, DELETE))),))
    for stages in ((COLLECTION, DELETE, COLLECTION), (COLLECTION, within), (DELETE,)):
        with pytest.raises(InvalidArgument):
            await modified(store, *stages)
    assert await fields_of(store, "c/a") == {}


async def test_rows_without_a_document_of_the_database_cannot_be_written(
    store: DocumentStore,
) -> None:
    nameless = Stage("literals", (Constant({"n": 1}),))
    elsewhere = Reference(name("c/a", DatabaseId("other")).name)
    foreign = Stage("literals", (Constant({"__name__": elsewhere}),))
    for source in (nameless, foreign):
        for stage in (UPDATE, DELETE):
            with pytest.raises(InvalidArgument):
                await modified(store, source, stage)


@pytest.mark.parametrize(
    "value",
    [Constant([[1]]), Constant({"__reserved__": 1}), Constant("x" * 1_100_000)],
    ids=["array-in-array", "reserved-name", "too-large"],
)
async def test_what_a_document_cannot_hold_is_not_written(
    store: DocumentStore, value: Expression
) -> None:
    await commit(store, put("c/a", {"n": 1}))
    with pytest.raises(InvalidArgument):
        await modified(store, COLLECTION, update(bad=value))
    assert await fields_of(store, "c/a") == {"n": 1}


async def test_only_so_many_documents_are_written(make_store: StoreMaker) -> None:
    store = make_store(max_writes=3)
    await commit(store, *(put(f"c/{n}") for n in range(3)))
    assert await modified(store, COLLECTION, update(seen=Constant(True))) == 3
    await commit(store, put("c/more"))
    with pytest.raises(InvalidArgument, match="At most 3"):
        await modified(store, COLLECTION, DELETE)
    assert await fields_of(store, "c/0") == {"seen": True}


async def test_a_pipeline_that_writes_is_in_no_transaction_and_not_in_the_past(
    store: DocumentStore,
) -> None:
    done = await commit(store, put("c/a"))
    begun = await store.begin(DATABASE, TransactionOptions(), OWNER)
    for consistency in (
        Consistency(transaction=begun),
        Consistency(new_transaction=TransactionOptions()),
        Consistency(read_time=done.commit_time),
    ):
        with pytest.raises(InvalidArgument, match="transaction"):
            await modified(store, COLLECTION, DELETE, consistency=consistency)
    assert await fields_of(store, "c/a") == {}


async def test_pipelines_that_write_at_the_same_time_lose_nothing(store: DocumentStore) -> None:
    await commit(store, put("c/a", {"n": 0}))
    stages = (COLLECTION, update(n=Call("add", (field("n"), Constant(1)))))
    done = await asyncio.gather(*(modified(store, *stages) for _ in range(5)))
    assert done == [1] * 5
    assert await fields_of(store, "c/a") == {"n": 5}


async def test_a_pipeline_gives_up_when_others_always_write_in_between(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit(store, put("c/a", {"n": 0}))
    others = 0

    async def commit_after_others(asked: Commit, principal: Principal) -> CommitResult:
        nonlocal others
        others += 1
        await commit(store, put("c/a", {"n": others}))
        return await store.commit(asked, principal)

    monkeypatch.setattr(store.pipelines, "_commit", commit_after_others)
    with pytest.raises(Aborted):
        await modified(store, COLLECTION, update(n=Constant(100)))
    assert await fields_of(store, "c/a") == {"n": 5}


async def test_what_a_pipeline_writes_is_written_even_where_its_caller_goes_away(
    store: DocumentStore,
) -> None:
    await commit(store, put("c/a"), put("c/b"))
    calling = asyncio.create_task(
        store.pipelines.execute(DATABASE, Pipeline((COLLECTION, DELETE)), OWNER)
    )
    await asyncio.sleep(0)  # it has begun
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    async with asyncio.timeout(20):
        while (await store.get(name("c/a"), OWNER)).value is not None:
            await asyncio.sleep(0.01)
