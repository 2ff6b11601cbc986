"""`firebase-admin` for Python: its Firestore clients, synchronous and asynchronous."""

from __future__ import annotations

import queue
import uuid
from collections.abc import Iterator
from typing import Any

import firebase_admin
import pytest
from firebase_admin import credentials, firestore, firestore_async
from google.auth.credentials import AnonymousCredentials

from tests.integration.official.conftest import Server

pytestmark = pytest.mark.filterwarnings("ignore")


class NoCredential(credentials.Base):
    """What it needs beside FIRESTORE_EMULATOR_HOST: it looks for real credentials otherwise."""

    def get_credential(self) -> AnonymousCredentials:
        return AnonymousCredentials()


@pytest.fixture
def app(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[firebase_admin.App]:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", server.address)
    name = f"admin{uuid.uuid4().hex[:8]}"
    app = firebase_admin.initialize_app(NoCredential(), {"projectId": "demo"}, name)
    yield app
    firebase_admin.delete_app(app)


def test_firebase_admin_python_documents_transactions_and_listeners(
    app: firebase_admin.App,
) -> None:
    db = firestore.client(app)
    collection = db.collection(f"admin{uuid.uuid4().hex[:8]}")
    reference = collection.document("x")
    reference.set({"n": 1, "at": firestore.SERVER_TIMESTAMP})
    heard: queue.Queue[Any] = queue.Queue()
    watch = reference.on_snapshot(lambda documents, *_: heard.put(documents[0].get("n")))
    assert heard.get(timeout=20) == 1

    @firestore.transactional
    def add(transaction: firestore.Transaction) -> None:
        before = reference.get(transaction=transaction).get("n")
        transaction.update(reference, {"n": before + 1})

    add(db.transaction())
    assert heard.get(timeout=20) == 2
    watch.unsubscribe()
    assert [each.id for each in collection.where("n", ">", 1).stream()] == ["x"]
    other = firestore.client(app, database_id="other")
    assert not other.document(f"{collection.id}/x").get().exists


async def test_firebase_admin_python_asynchronous_client(app: firebase_admin.App) -> None:
    db = firestore_async.client(app)
    collection = db.collection(f"admin{uuid.uuid4().hex[:8]}")
    await collection.document("x").set({"n": 1})
    await collection.document("x").update({"n": firestore.Increment(2)})
    assert (await collection.document("x").get()).to_dict() == {"n": 3}
    assert [each.id async for each in collection.stream()] == ["x"]
    await collection.document("x").delete()
    assert not (await collection.document("x").get()).exists
