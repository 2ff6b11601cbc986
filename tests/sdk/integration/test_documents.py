"""Reads and writes against a real server."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from homefire.app import FirebaseApp
from homefire.errors import FirestoreError
from homefire.firestore import (
    CollectionReference,
    DocumentReference,
    FieldPath,
    Firestore,
    GeoPoint,
    QuerySnapshot,
    Timestamp,
    Transaction,
    add_doc,
    and_,
    array_remove,
    array_union,
    average,
    collection,
    collection_group,
    count,
    delete_doc,
    delete_field,
    doc,
    document_id,
    end_at,
    end_before,
    get_aggregate_from_server,
    get_count_from_server,
    get_doc,
    get_docs,
    get_firestore,
    increment,
    limit,
    limit_to_last,
    or_,
    order_by,
    query,
    run_transaction,
    server_timestamp,
    set_doc,
    snapshot_equal,
    start_after,
    start_at,
    sum,
    update_doc,
    vector,
    where,
    write_batch,
)


@pytest.fixture
def db(app: FirebaseApp) -> Firestore:
    return get_firestore(app)


@pytest.fixture
def things(db: Firestore, unique: str) -> CollectionReference:
    return collection(db, unique)


async def fill(things: CollectionReference, **values: Any) -> None:
    batch = write_batch(things.firestore)
    for name, value in values.items():
        batch.set(doc(things, name), value if isinstance(value, dict) else {"n": value})
    await batch.commit()


def ids(snapshot: QuerySnapshot) -> list[str]:
    return [item.id for item in snapshot]


async def data(reference: DocumentReference) -> dict[str, Any] | None:
    return (await get_doc(reference)).data()


VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "small": 1,
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "double": 1.0,
    "infinity": math.inf,
    "time": datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
    "first year": datetime(1, 1, 1, tzinfo=UTC),
    "text": "ünï\U0001f600\u0000",
    "empty": "",
    "bytes": b"\x00\xff",
    "place": GeoPoint(1.5, -2.5),
    "array": [1, "two", {"three": [3]}, None],
    "no array": [],
    "vector": vector([1, 2.5]),
    "map": {"a": {"b": {}}, "c.d": 1, "`": 2},
}


async def test_every_kind_of_value_comes_back_as_it_went(things: CollectionReference) -> None:
    await set_doc(doc(things, "all"), VALUES)
    got = await data(doc(things, "all"))
    assert got == VALUES
    assert {name: type(value) for name, value in got.items()} == {
        name: type(value) for name, value in VALUES.items()
    }


async def test_numbers_that_equal_nothing_or_zero_keep_their_bits(
    things: CollectionReference,
) -> None:
    await set_doc(doc(things, "odd"), {"nan": math.nan, "zero": -0.0})
    got = await data(doc(things, "odd"))
    assert got is not None
    assert math.isnan(got["nan"])
    assert math.copysign(1, got["zero"]) == -1


async def test_a_reference_comes_back_as_one(things: CollectionReference) -> None:
    other = doc(things, "other")
    await set_doc(doc(things, "a"), {"ref": other})
    assert await data(doc(things, "a")) == {"ref": other}


async def test_a_timestamp_comes_back_as_a_datetime(things: CollectionReference) -> None:
    moment = Timestamp(1_700_000_000, 123_456_000)
    await set_doc(doc(things, "a"), {"at": moment})
    assert await data(doc(things, "a")) == {"at": moment.to_date()}


async def test_a_document_that_is_not_there(things: CollectionReference) -> None:
    snapshot = await get_doc(doc(things, "none"))
    assert not snapshot.exists()
    assert snapshot.data() is None
    assert snapshot.get("a") is None


async def test_ids_of_any_characters(things: CollectionReference) -> None:
    odd = doc(things, "a b?#%ü:runQuery")
    await set_doc(odd, {"n": 1})
    await set_doc(doc(collection(odd, "sub"), "x"), {"n": 2})
    assert await data(odd) == {"n": 1}
    assert ids(await get_docs(collection(odd, "sub"))) == ["x"]


async def test_add_doc_makes_an_id(things: CollectionReference) -> None:
    made = await add_doc(things, {"n": 1})
    assert len(made.id) == 20
    assert await data(made) == {"n": 1}


async def test_set_replaces_and_merge_merges(things: CollectionReference) -> None:
    a = doc(things, "a")
    await set_doc(a, {"x": 1, "m": {"y": 1, "z": 1}})
    await set_doc(a, {"m": {"y": 2}, "gone": delete_field(), "x": delete_field()}, merge=True)
    assert await data(a) == {"m": {"y": 2, "z": 1}}
    await set_doc(a, {"m": {"y": 3}, "other": 1}, merge_fields=["m.y"])
    assert await data(a) == {"m": {"y": 3, "z": 1}}
    await set_doc(a, {"new": 1})
    assert await data(a) == {"new": 1}


async def test_merging_nothing_makes_an_empty_document(things: CollectionReference) -> None:
    await set_doc(doc(things, "a"), {}, merge=True)
    assert await data(doc(things, "a")) == {}


async def test_update_changes_what_it_names(things: CollectionReference) -> None:
    a = doc(things, "a")
    await set_doc(a, {"x": 1, "m": {"y": 1, "z": 1}, "o.d": 1})
    await update_doc(a, {"m.y": 2, "x": delete_field()})
    await update_doc(a, FieldPath("o.d"), 2, "m.w", 3)
    assert await data(a) == {"m": {"y": 2, "z": 1, "w": 3}, "o.d": 2}


async def test_update_of_what_is_not_there(things: CollectionReference) -> None:
    with pytest.raises(FirestoreError) as caught:
        await update_doc(doc(things, "none"), {"x": 1})
    assert caught.value.code == "not-found"


async def test_delete(things: CollectionReference) -> None:
    await set_doc(doc(things, "a"), {})
    await delete_doc(doc(things, "a"))
    await delete_doc(doc(things, "a"))
    assert not (await get_doc(doc(things, "a"))).exists()


async def test_values_that_the_server_computes(things: CollectionReference) -> None:
    a = doc(things, "a")
    await set_doc(a, {"n": 1, "list": [1, 2], "at": server_timestamp()})
    await update_doc(
        a,
        {
            "n": increment(2),
            "list": array_union(2, 3),
            "f": increment(0.5),
            "m.at": server_timestamp(),
        },
    )
    got = await data(a)
    assert got is not None
    assert (got["n"], got["list"], got["f"]) == (3, [1, 2, 3], 0.5)
    assert abs(got["at"] - datetime.now(UTC)) < timedelta(minutes=1)
    assert got["m"]["at"] > got["at"]
    await update_doc(a, {"list": array_remove(1, 3)})
    assert (await get_doc(a)).get("list") == [2]


async def test_a_batch_holds_whole_or_not_at_all(things: CollectionReference) -> None:
    batch = write_batch(things.firestore).set(doc(things, "a"), {"n": 1})
    batch.update(doc(things, "none"), {"n": 1})
    with pytest.raises(FirestoreError, match="not-found"):
        await batch.commit()
    assert not (await get_doc(doc(things, "a"))).exists()
    with pytest.raises(FirestoreError, match="failed-precondition"):
        await batch.commit()


async def test_snapshots_tell_their_times(things: CollectionReference) -> None:
    await set_doc(doc(things, "a"), {"n": 1})
    await update_doc(doc(things, "a"), {"n": 2})
    snapshot = await get_doc(doc(things, "a"))
    assert snapshot.create_time is not None
    assert snapshot.update_time is not None
    assert snapshot.create_time < snapshot.update_time


# Queries


async def test_filters(things: CollectionReference) -> None:
    await fill(things, a=1, b=2, c=3, d="x", e=None, f={"tags": ["p", "q"]})
    assert ids(await get_docs(query(things, where("n", "==", 2)))) == ["b"]
    assert ids(await get_docs(query(things, where("n", ">=", 2)))) == ["b", "c"]
    assert ids(await get_docs(query(things, where("n", "<", 2)))) == ["a"]
    assert ids(await get_docs(query(things, where("n", "!=", 2)))) == ["a", "c", "d"]
    assert ids(await get_docs(query(things, where("n", "in", [1, "x"])))) == ["a", "d"]
    assert ids(await get_docs(query(things, where("n", "not-in", [1, 2])))) == ["c", "d"]
    assert ids(await get_docs(query(things, where("n", "==", None)))) == ["e"]
    assert ids(await get_docs(query(things, where("tags", "array-contains", "q")))) == ["f"]
    one_of = where("tags", "array-contains-any", ["q", "z"])
    assert ids(await get_docs(query(things, one_of))) == ["f"]


async def test_filters_joined(things: CollectionReference) -> None:
    await fill(things, a=1, b=2, c=3, d=4)
    either = or_(where("n", "==", 1), and_(where("n", ">", 2), where("n", "<", 4)))
    assert ids(await get_docs(query(things, either))) == ["a", "c"]


async def test_orders_and_limits(things: CollectionReference) -> None:
    await fill(things, a=2, b=1, c=3, d=2)
    assert ids(await get_docs(query(things, order_by("n")))) == ["b", "a", "d", "c"]
    assert ids(await get_docs(query(things, order_by("n", "desc"), limit(2)))) == ["c", "d"]
    last = query(things, order_by("n"), limit_to_last(2))
    assert ids(await get_docs(last)) == ["d", "c"]


async def test_cursors(things: CollectionReference) -> None:
    await fill(things, a=1, b=2, c=2, d=3)
    ordered = query(things, order_by("n"))
    assert ids(await get_docs(query(ordered, start_at(2)))) == ["b", "c", "d"]
    assert ids(await get_docs(query(ordered, start_after(2)))) == ["d"]
    assert ids(await get_docs(query(ordered, end_at(2)))) == ["a", "b", "c"]
    assert ids(await get_docs(query(ordered, end_before(2)))) == ["a"]
    b = await get_doc(doc(things, "b"))
    assert ids(await get_docs(query(ordered, start_after(b)))) == ["c", "d"]
    window = query(ordered, start_at(b), end_before(3), limit_to_last(1))
    assert ids(await get_docs(window)) == ["c"]


async def test_pages_by_the_last_document(things: CollectionReference) -> None:
    await fill(things, **{f"d{i}": i % 3 for i in range(10)})
    page = query(things, order_by("n", "desc"), limit(4))
    seen: list[str] = []
    while docs := (await get_docs(page)).docs:
        seen += [item.id for item in docs]
        page = query(things, order_by("n", "desc"), start_after(docs[-1]), limit(4))
    assert seen == sorted(seen, key=lambda i: (int(i[1:]) % 3, i), reverse=True)
    assert len(seen) == 10


async def test_the_id_as_a_field(things: CollectionReference) -> None:
    await fill(things, a=1, b=2, c=3)
    assert ids(await get_docs(query(things, where(document_id(), ">", "a")))) == ["b", "c"]
    assert ids(await get_docs(query(things, where(document_id(), "in", ["c", "a"])))) == ["a", "c"]
    assert ids(await get_docs(query(things, order_by(document_id(), "desc"), limit(1)))) == ["c"]


async def test_collection_groups(db: Firestore, unique: str) -> None:
    for path in (f"{unique}-a/x/{unique}/1", f"{unique}-b/y/{unique}/2", f"{unique}/3"):
        await set_doc(doc(db, path), {"n": 1})
    group = collection_group(db, unique)
    found = await get_docs(group)
    assert sorted(item.ref.path for item in found) == sorted(
        [f"{unique}-a/x/{unique}/1", f"{unique}-b/y/{unique}/2", f"{unique}/3"]
    )


async def test_aggregations(things: CollectionReference) -> None:
    await fill(things, a=1, b=2.5, c="x")
    assert (await get_count_from_server(things)).data() == {"count": 3}
    spec = {"n": count(), "total": sum("n"), "mean": average("n")}
    got = await get_aggregate_from_server(query(things, where("n", "<", 100)), spec)
    assert got.data() == {"n": 2, "total": 3.5, "mean": 1.75}
    nothing = await get_aggregate_from_server(things, {"total": sum("m"), "mean": average("m")})
    assert nothing.data() == {"total": 0, "mean": None}
    assert (await get_count_from_server(query(things, limit(2)))).data() == {"count": 2}


# Transactions


async def test_transactions_lose_no_update(things: CollectionReference) -> None:
    counter = doc(things, "counter")
    await set_doc(counter, {"n": 0})

    async def add_one(transaction: Transaction) -> int:
        n: int = (await transaction.get(counter)).get("n")
        transaction.update(counter, {"n": n + 1})
        return n + 1

    async def patiently() -> int:
        return await run_transaction(things.firestore, add_one, max_attempts=100)

    results = await asyncio.gather(*(patiently() for _ in range(5)))
    assert sorted(results) == [1, 2, 3, 4, 5]
    assert (await get_doc(counter)).get("n") == 5


async def test_a_transaction_notices_a_change_of_what_it_only_read(
    things: CollectionReference,
) -> None:
    read, written = doc(things, "read"), doc(things, "written")
    runs = 0

    async def copy(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        n = (await transaction.get(read)).get("n")
        if runs == 1:
            await set_doc(read, {"n": 7})
        transaction.set(written, {"n": n})

    await run_transaction(things.firestore, copy)
    assert (runs, await data(written)) == (2, {"n": 7})


async def test_a_transaction_s_function_may_give_up(things: CollectionReference) -> None:
    async def give_up(transaction: Transaction) -> None:
        transaction.set(doc(things, "a"), {"n": 1})
        raise LookupError("no")

    with pytest.raises(LookupError):
        await run_transaction(things.firestore, give_up)
    assert not (await get_doc(doc(things, "a"))).exists()


async def test_a_transaction_reads_before_it_writes(things: CollectionReference) -> None:
    async def wrong(transaction: Transaction) -> None:
        transaction.set(doc(things, "a"), {})
        await transaction.get(doc(things, "a"))

    with pytest.raises(FirestoreError, match="reads before its writes"):
        await run_transaction(things.firestore, wrong)


async def test_a_transaction_that_never_gets_through_is_raised(things: CollectionReference) -> None:
    a = doc(things, "a")

    async def late(transaction: Transaction) -> None:
        await transaction.get(a)
        await set_doc(a, {"n": increment(1)}, merge=True)
        transaction.set(a, {"n": -1})

    with pytest.raises(FirestoreError) as caught:
        await run_transaction(things.firestore, late, max_attempts=2)
    assert caught.value.code in ("aborted", "failed-precondition")
    assert await data(a) == {"n": 2}


async def test_snapshots_are_compared(db: Firestore, unique: str) -> None:
    place = collection(db, unique)
    await set_doc(doc(place, "a"), {"n": 1})
    first, again = await get_doc(doc(place, "a")), await get_doc(doc(place, "a"))
    all_first, all_again = await get_docs(place), await get_docs(place)
    assert snapshot_equal(first, again)
    assert snapshot_equal(all_first, all_again)
    await set_doc(doc(place, "a"), {"n": 2})
    assert not snapshot_equal(first, await get_doc(doc(place, "a")))
    assert not snapshot_equal(all_first, await get_docs(place))
    assert not snapshot_equal(first, all_first)
