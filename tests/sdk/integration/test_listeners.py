"""Listeners against a real server."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from homefire.app import FirebaseApp
from homefire.errors import FirestoreError
from homefire.firestore import (
    CollectionReference,
    DocumentSnapshot,
    Firestore,
    QuerySnapshot,
    collection,
    collection_group,
    delete_doc,
    doc,
    get_firestore,
    limit,
    limit_to_last,
    on_snapshot,
    or_,
    order_by,
    query,
    set_doc,
    snapshots,
    terminate,
    update_doc,
    where,
    write_batch,
)

from tests.sdk.conftest import MakeApp, Server, running

DEADLINE = 15.0


class Heard:
    """A callback's calls, one at a time."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[Any] = asyncio.Queue()

    def __call__(self, value: Any) -> None:
        self._calls.put_nowait(value)

    async def next(self) -> Any:
        return await asyncio.wait_for(self._calls.get(), DEADLINE)

    @property
    def nothing(self) -> bool:
        return self._calls.empty()


def told(snapshot: QuerySnapshot) -> tuple[list[str], list[str]]:
    """The ids, and the changes as ``type id old new``."""
    changes = [f"{c.type} {c.doc.id} {c.old_index} {c.new_index}" for c in snapshot.doc_changes()]
    return [item.id for item in snapshot.docs], changes


@pytest.fixture
def db(app: FirebaseApp) -> Firestore:
    return get_firestore(app)


@pytest.fixture
def things(db: Firestore, unique: str) -> CollectionReference:
    return collection(db, unique)


async def test_a_query_is_told_its_state_and_then_each_change(things: CollectionReference) -> None:
    await set_doc(doc(things, "a"), {"n": 1})
    heard = Heard()
    on_snapshot(query(things, order_by("n")), heard)
    assert told(await heard.next()) == (["a"], ["added a -1 0"])
    await set_doc(doc(things, "b"), {"n": 0})
    assert told(await heard.next()) == (["b", "a"], ["added b -1 0"])
    await update_doc(doc(things, "b"), {"n": 2})
    assert told(await heard.next()) == (["a", "b"], ["modified b 0 1"])
    await delete_doc(doc(things, "a"))
    assert told(await heard.next()) == (["b"], ["removed a 0 -1"])


async def test_a_commit_is_one_snapshot(things: CollectionReference) -> None:
    heard = Heard()
    on_snapshot(things, heard)
    assert told(await heard.next()) == ([], [])
    batch = write_batch(things.firestore)
    for name in "abc":
        batch.set(doc(things, name), {})
    await batch.commit()
    assert told(await heard.next())[0] == ["a", "b", "c"]


async def test_a_document_is_told_whether_it_exists_or_not(things: CollectionReference) -> None:
    heard = Heard()
    on_snapshot(doc(things, "a"), heard)
    first: DocumentSnapshot = await heard.next()
    assert (first.exists(), first.metadata.from_cache) == (False, False)
    await set_doc(doc(things, "a"), {"n": 1})
    assert (await heard.next()).data() == {"n": 1}
    await delete_doc(doc(things, "a"))
    assert not (await heard.next()).exists()


async def test_a_document_that_leaves_a_filter_is_removed(things: CollectionReference) -> None:
    await set_doc(doc(things, "a"), {"open": True})
    heard = Heard()
    on_snapshot(query(things, where("open", "==", True)), heard)
    await heard.next()
    await update_doc(doc(things, "a"), {"open": False})
    assert told(await heard.next()) == ([], ["removed a 0 -1"])


async def test_a_limit_is_filled_again(things: CollectionReference) -> None:
    for name, n in (("a", 1), ("b", 2), ("c", 3)):
        await set_doc(doc(things, name), {"n": n})
    first, last = Heard(), Heard()
    on_snapshot(query(things, order_by("n"), limit(2)), first)
    on_snapshot(query(things, order_by("n"), limit_to_last(2)), last)
    assert told(await first.next())[0] == ["a", "b"]
    assert told(await last.next())[0] == ["b", "c"]
    await delete_doc(doc(things, "b"))
    assert told(await first.next()) == (["a", "c"], ["removed b 1 -1", "added c -1 1"])
    assert told(await last.next()) == (["a", "c"], ["removed b 0 -1", "added a -1 0"])


async def test_alternatives_and_groups_can_be_listened_to(db: Firestore, unique: str) -> None:
    heard, all_heard = Heard(), Heard()
    on_snapshot(query(collection(db, unique), or_(where("n", "==", 1), where("m", "==", 1))), heard)
    on_snapshot(collection_group(db, unique), all_heard)
    await heard.next()
    await all_heard.next()
    await set_doc(doc(db, unique, "a"), {"m": 1})
    assert told(await heard.next())[0] == ["a"]
    assert told(await all_heard.next())[0] == ["a"]
    await set_doc(doc(db, "elsewhere", "x", unique, "b"), {"m": 1})
    assert sorted(told(await all_heard.next())[0]) == ["a", "b"]
    assert heard.nothing


async def test_nothing_is_told_after_unsubscribing(things: CollectionReference) -> None:
    heard, other = Heard(), Heard()
    unsubscribe = on_snapshot(things, heard)
    on_snapshot(things, other)
    await heard.next()
    await other.next()
    unsubscribe()
    unsubscribe()
    await set_doc(doc(things, "a"), {})
    await other.next()
    assert heard.nothing


async def test_a_callback_may_be_asynchronous_and_may_fail(things: CollectionReference) -> None:
    heard = Heard()

    async def callback(snapshot: QuerySnapshot) -> None:
        await asyncio.sleep(0)
        heard(snapshot)
        raise LookupError("the app's own trouble")

    on_snapshot(things, callback)
    await heard.next()
    await set_doc(doc(things, "a"), {})
    assert told(await heard.next())[0] == ["a"]


async def test_snapshots_can_be_iterated_over(things: CollectionReference) -> None:
    seen = []
    async with asyncio.timeout(DEADLINE):
        async for snapshot in snapshots(things):
            seen.append(told(snapshot)[0])
            if len(seen) == 3:
                break
            await set_doc(doc(things, f"d{len(seen)}"), {})
    assert seen == [[], ["d1"], ["d1", "d2"]]


async def test_terminating_ends_listeners(things: CollectionReference) -> None:
    stream = snapshots(things)
    await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await terminate(things.firestore)
    with pytest.raises(StopAsyncIteration):
        await waiting
    with pytest.raises(FirestoreError, match="failed-precondition"):
        on_snapshot(things, Heard())
    with pytest.raises(FirestoreError, match="failed-precondition"):
        await set_doc(doc(things, "a"), {})
    assert get_firestore(things.firestore.app) is not things.firestore


async def test_a_query_that_the_server_refuses_is_raised(blog: FirebaseApp) -> None:
    db, heard, failed = get_firestore(blog), Heard(), Heard()
    on_snapshot(collection(db, "users"), heard, failed)
    error = await failed.next()
    assert isinstance(error, FirestoreError)
    assert error.code == "permission-denied"
    with pytest.raises(FirestoreError, match="permission-denied"):
        await anext(snapshots(collection(db, "secrets")))
    on_snapshot(collection(db, "posts"), heard)
    assert isinstance(await heard.next(), QuerySnapshot)


# Reconnecting


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the test may stop."""
    with running(tmp_path_factory.mktemp("own")) as server:
        yield server


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_listeners_survive_a_restart_of_the_server(
    own_server: Server, make_app: MakeApp, how: signal.Signals
) -> None:
    here, there = get_firestore(make_app(own_server.host)), get_firestore(make_app(own_server.host))
    things, heard = collection(here, "things"), Heard()
    await set_doc(doc(things, "a"), {"n": 1})
    await set_doc(doc(things, "b"), {"n": 1})
    on_snapshot(things, heard, include_metadata_changes=True)
    assert told(await heard.next())[0] == ["a", "b"]
    await asyncio.to_thread(own_server.stop, how)
    gone = await heard.next()
    assert (gone.metadata.from_cache, gone.doc_changes()) == (True, [])
    await asyncio.to_thread(own_server.start, int(own_server.host.rsplit(":", 1)[1]))
    await delete_doc(doc(there, "things", "a"))
    await set_doc(doc(there, "things", "c"), {"n": 1})
    changes: list[str] = []
    while "added c -1 1" not in changes:
        snapshot = await heard.next()
        changes += told(snapshot)[1]
    assert changes == ["removed a 0 -1", "added c -1 1"]
    assert told(snapshot)[0] == ["b", "c"]
