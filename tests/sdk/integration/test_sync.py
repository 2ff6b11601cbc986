"""The synchronous twin against a real server. (Its source is tested in its asynchronous form.)"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from homefire.errors import FirestoreError, StorageError
from homefire.sync.app import FirebaseApp, delete_app, initialize_app
from homefire.sync.auth import (
    User,
    create_user_with_email_and_password,
    get_auth,
    on_auth_state_changed,
    sign_out,
)
from homefire.sync.firestore import (
    Transaction,
    add_doc,
    collection,
    delete_doc,
    doc,
    get_count_from_server,
    get_doc,
    get_docs,
    get_firestore,
    on_snapshot,
    order_by,
    query,
    run_transaction,
    set_doc,
    snapshots,
    update_doc,
    where,
)
from homefire.sync.storage import (
    get_bytes,
    get_storage,
    ref,
    upload_bytes,
    upload_bytes_resumable,
)

from tests.sdk.conftest import PROJECT, Server, running

DEADLINE = 15.0


@pytest.fixture
def make() -> Iterator[Callable[[str], FirebaseApp]]:
    apps: list[FirebaseApp] = []

    def make_app(host: str) -> FirebaseApp:
        options = {"project_id": PROJECT, "storage_bucket": f"{PROJECT}.appspot.com", "host": host}
        apps.append(initialize_app(options, f"sync-{uuid4()}"))
        return apps[-1]

    yield make_app
    for app in apps:
        delete_app(app)


@pytest.fixture
def app(make: Callable[[str], FirebaseApp], open_server: Server) -> FirebaseApp:
    return make(open_server.host)


def test_documents(app: FirebaseApp, unique: str) -> None:
    things = collection(get_firestore(app), unique)
    a = doc(things, "a")
    set_doc(a, {"n": 1})
    update_doc(a, {"n": 2})
    b = add_doc(things, {"n": 1})
    assert get_doc(a).data() == {"n": 2}
    assert [item.ref for item in get_docs(query(things, order_by("n")))] == [b, a]
    assert get_count_from_server(things).data() == {"count": 2}
    delete_doc(a)
    assert not get_doc(a).exists()


def test_transactions_of_several_threads(app: FirebaseApp, unique: str) -> None:
    counter = doc(get_firestore(app), unique, "counter")
    set_doc(counter, {"n": 0})

    def add_one(transaction: Transaction) -> None:
        transaction.update(counter, {"n": transaction.get(counter).get("n") + 1})

    def run() -> None:
        run_transaction(counter.firestore, add_one, max_attempts=100)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert get_doc(counter).get("n") == 4


def test_accounts(app: FirebaseApp, unique: str) -> None:
    auth = get_auth(app)
    heard: list[User | None] = []
    on_auth_state_changed(auth, heard.append)
    user = create_user_with_email_and_password(auth, f"{unique}@example.com", "secret-1").user
    assert user.get_id_token_result(True).claims["user_id"] == user.uid
    sign_out(auth)
    assert heard == [None, user, None]


def test_objects(app: FirebaseApp, unique: str) -> None:
    result = upload_bytes(ref(get_storage(app), f"{unique}/a.txt"), b"hello")
    assert get_bytes(result.ref) == b"hello"


def test_an_upload_in_a_thread_is_paused_and_gone_on_with(
    app: FirebaseApp, unique: str, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(range(256)) * 4096)
    standing, ended = threading.Event(), threading.Event()
    target = ref(get_storage(app), unique)
    task = upload_bytes_resumable(target, path)

    def on_next(snapshot: Any) -> None:
        if snapshot.state == "paused":
            standing.set()
        elif snapshot.bytes_transferred and not standing.is_set():
            task.pause()

    task.on("state_changed", on_next, None, ended.set)
    assert standing.wait(DEADLINE)
    assert task.resume()
    assert task.result().bytes_transferred == path.stat().st_size
    assert ended.wait(DEADLINE)
    assert get_bytes(target) == path.read_bytes()


def test_deleting_an_app_ends_its_uploads(open_server: Server, unique: str) -> None:
    options = {"project_id": PROJECT, "storage_bucket": "demo", "host": open_server.host}
    with initialize_app(options, f"sync-{uuid4()}") as app:
        task = upload_bytes_resumable(ref(get_storage(app), unique), bytes(1024 * 1024))
        standing = threading.Event()

        def on_next(snapshot: Any) -> None:
            if snapshot.state == "paused":
                standing.set()
            elif snapshot.bytes_transferred:
                task.pause()

        task.on("state_changed", on_next)
        assert standing.wait(DEADLINE)
    with pytest.raises(StorageError, match="storage/canceled"):
        task.result()


def test_listening_with_callbacks_that_use_the_sdk(app: FirebaseApp, unique: str) -> None:
    things = collection(get_firestore(app), unique)
    heard: queue.Queue[Any] = queue.Queue()

    def on_next(snapshot: Any) -> None:
        heard.put((snapshot.size, len(get_docs(things))))

    unsubscribe = on_snapshot(things, on_next)
    assert heard.get(timeout=DEADLINE) == (0, 0)
    set_doc(doc(things, "a"), {})
    assert heard.get(timeout=DEADLINE) == (1, 1)
    unsubscribe()
    set_doc(doc(things, "b"), {})
    done = threading.Event()
    on_snapshot(doc(things, "b"), lambda snapshot: done.set())
    assert done.wait(DEADLINE)
    assert heard.empty()


def test_iterating_over_snapshots(app: FirebaseApp, unique: str) -> None:
    things = collection(get_firestore(app), unique)
    seen = []
    for snapshot in snapshots(query(things, where("n", ">", 0))):
        seen.append([(change.type, change.doc.id) for change in snapshot.doc_changes()])
        if len(seen) == 3:
            break
        set_doc(doc(things, "a"), {"n": 2 - len(seen)})
    assert seen == [[], [("added", "a")], [("removed", "a")]]


def test_a_user_who_signs_in_is_known_to_listeners(
    make: Callable[[str], FirebaseApp], blog_server: Server, unique: str
) -> None:
    app = make(blog_server.host)
    db = get_firestore(app)
    failed: queue.Queue[FirestoreError] = queue.Queue()
    on_snapshot(doc(db, "users", "somebody"), lambda snapshot: None, failed.put)
    assert failed.get(timeout=DEADLINE).code == "permission-denied"
    email = f"{unique}@example.com"
    user = create_user_with_email_and_password(get_auth(app), email, "secret-1").user
    heard: queue.Queue[Any] = queue.Queue()
    on_snapshot(doc(db, "users", user.uid), heard.put, heard.put)
    assert not heard.get(timeout=DEADLINE).exists()
    sign_out(get_auth(app))
    assert heard.get(timeout=DEADLINE).code == "permission-denied"


def test_listeners_survive_a_restart(make: Callable[[str], FirebaseApp], tmp_path: Path) -> None:
    with running(tmp_path) as server:
        things = collection(get_firestore(make(server.host)), "things")
        stream = snapshots(things)
        assert next(stream).empty
        server.restart(signal.SIGKILL)
        set_doc(doc(things, "a"), {})
        assert next(stream).size == 1
        stream.close()


def test_deleting_an_app_ends_its_listeners_and_threads(open_server: Server) -> None:
    options = {"project_id": PROJECT, "host": open_server.host}
    app = initialize_app(options, f"sync-{uuid4()}")
    things = collection(get_firestore(app), "things")
    before = threading.active_count()
    told = threading.Event()
    on_snapshot(things, lambda snapshot: told.set())
    ended = threading.Event()

    def iterate() -> None:
        for _ in snapshots(things):
            pass
        ended.set()

    threading.Thread(target=iterate, daemon=True).start()
    assert told.wait(DEADLINE)
    delete_app(app)
    assert ended.wait(DEADLINE)
    assert [t.name for t in threading.enumerate() if "homefire" in t.name] == []
    assert threading.active_count() <= before + 1  # the iterating thread may be on its last step
