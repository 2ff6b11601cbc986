"""What is tended, on each blob backend."""

from __future__ import annotations

import dataclasses

import pytest
import sqlalchemy as sa

from baas.access.principal import OWNER
from baas.db.tables import storage as tables
from baas.storage.clearing import clear
from baas.storage.events import StorageEvents
from baas.storage.housekeeping import Housekeeping
from baas.storage.options import StorageOptions
from tests.integration.storage.conftest import Storage
from tests.integration.storage.test_firebase_storage import BUCKET, USER, put, read
from tests.integration.storage.test_resumable_uploads import begun, send


@pytest.fixture
def options(options: StorageOptions) -> StorageOptions:
    # a negative grace takes blobs of this very moment for old
    return dataclasses.replace(options, sweep_grace=-60.0)


async def test_the_sweep_takes_garbage_and_nothing_else(storage: Storage) -> None:
    await put(storage, "x", b"data")
    url = await begun(storage, "y", 10)
    await send(storage, url, "upload", 0, b"01234")
    orphan = await storage.blobs.create()
    await orphan.write(b"left by a crash")
    await orphan.finish()
    report = await Housekeeping(storage.service).sweep()
    assert report.garbage_blobs == 1
    assert orphan.name not in await storage.blob_names()
    assert (await read(storage, "x")).content == b"data"
    assert (await send(storage, url, "upload, finalize", 5, b"56789")).status_code == 200


async def test_the_sweep_leaves_young_blobs_alone(storage: Storage) -> None:
    orphan = await storage.blobs.create()
    await orphan.write(b"about to be named")
    await orphan.finish()
    object.__setattr__(storage.service.options, "sweep_grace", 60.0)
    assert (await Housekeeping(storage.service).sweep()).garbage_blobs == 0
    assert orphan.name in await storage.blob_names()


async def test_uploads_that_expired_are_dropped_with_their_bytes(storage: Storage) -> None:
    url = await begun(storage, "x", 10)
    await send(storage, url, "upload", 0, b"01234")
    past = sa.update(tables.storage_uploads).values(expires=1)
    await storage.service.database.write(lambda tx: tx.core.execute(past).rowcount)
    assert (await send(storage, url, "upload, finalize", 5, b"56789")).status_code == 410
    assert (await Housekeeping(storage.service).sweep()).dropped_uploads == 1
    assert await storage.blob_names() == set()


async def test_lifecycle_rules_delete_what_they_name(storage: Storage) -> None:
    for name in ("tmp/a", "tmp/b", "kept"):
        await put(storage, name, b"data")
    await begun(storage, "tmp/c", 10)
    await begun(storage, "d", 10)
    rules = [
        {"action": {"type": kind}, "condition": {"age": 0, "matchesPrefix": ["tmp/"]}}
        for kind in ("Delete", "AbortIncompleteMultipartUpload")
    ]
    await storage.service.buckets.update(BUCKET, {"lifecycle": {"rule": rules}})
    report = await Housekeeping(storage.service).sweep()
    assert (report.deleted_objects, report.dropped_uploads) == (2, 1)
    listing = await storage.http.get(f"/v0/b/{BUCKET}/o", headers=USER)
    assert [item["name"] for item in listing.json()["items"]] == ["kept"]


async def test_the_doctor_finds_what_is_missing_short_or_too_much(storage: Storage) -> None:
    for name in ("a", "b", "c"):
        await put(storage, name, b"data")
    healthy = await Housekeeping(storage.service).examine()
    assert (healthy.objects, healthy.blobs) == (3, 3)
    assert (healthy.missing, healthy.wrong_size, healthy.garbage) == ([], [], 0)
    lost = await storage.service.download(OWNER, BUCKET, "a")
    await storage.blobs.delete(lost.segments[0].blob)
    wrong = await storage.service.download(OWNER, BUCKET, "b")
    longer = sa.update(tables.storage_segments).where(
        tables.storage_segments.c.blob == wrong.segments[0].blob
    )
    await storage.service.database.write(lambda tx: tx.core.execute(longer.values(size=5)).rowcount)
    orphan = await storage.blobs.create()
    await orphan.finish()
    report = await Housekeeping(storage.service).examine()
    assert report.missing == [f"{BUCKET}/a"]
    assert report.wrong_size == [f"{BUCKET}/b"]
    assert report.garbage == 1


async def test_an_object_whose_blob_is_lost_is_data_loss_not_a_short_answer(
    storage: Storage,
) -> None:
    await put(storage, "x", b"data")
    found = await storage.service.download(OWNER, BUCKET, "x")
    await storage.blobs.delete(found.segments[0].blob)
    assert (await read(storage, "x")).status_code == 500


async def test_what_happens_goes_to_the_feed_in_order(storage: Storage) -> None:
    await put(storage, "x", b"1")
    await storage.http.patch(f"/v0/b/{BUCKET}/o/x", headers=USER, json={"cacheControl": "a"})
    storage.rules.allow = lambda **_: False
    await put(storage, "x", b"denied")
    storage.rules.allow = lambda **_: True
    await put(storage, "x", b"22")
    await storage.http.delete(f"/v0/b/{BUCKET}/o/x", headers=USER)
    feed = await StorageEvents(storage.service.database).since(0)
    assert [(event.kind, event.stored.size) for event in feed] == [
        ("finalize", 1),
        ("metadataUpdate", 1),
        ("finalize", 2),
        ("delete", 2),
    ]
    assert [event.position for event in feed] == sorted(event.position for event in feed)
    assert all(event.stored.tokens == () for event in feed)
    later = await StorageEvents(storage.service.database).since(feed[1].position)
    assert [event.kind for event in later] == ["finalize", "delete"]


async def test_clearing_a_project_leaves_others(storage: Storage) -> None:
    await put(storage, "x", b"data")
    other = "/v0/b/other.appspot.com/o?name=y"
    await storage.http.post(other, content=b"data", headers=USER)
    await clear(storage.service, "demo-project")
    assert (await read(storage, "x")).status_code == 404
    assert (await storage.http.get("/v0/b/other.appspot.com/o/y")).status_code == 200
    assert len(await storage.blob_names()) == 1
