"""google-cloud-storage and firebase-admin's storage in Python, by the emulator's variables alone."""

from __future__ import annotations

import base64
import gzip
import io
import os
import uuid
from collections.abc import Iterator

import firebase_admin
import google_crc32c
import httpx2
import pytest
from firebase_admin import storage as admin_storage
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage import transfer_manager
from google.cloud.storage.retry import DEFAULT_RETRY

from tests.integration.official.conftest import Server

BUCKET = "homefire.appspot.com"


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[storage.Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)
        made = storage.Client(project="homefire", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
        yield made
        made.close()


@pytest.fixture
def bucket(client: storage.Client) -> storage.Bucket:
    return client.bucket(BUCKET)


@pytest.fixture
def folder() -> str:
    return f"py{uuid.uuid4().hex[:8]}"


def test_storage_strings_files_and_streams_go_up_and_down(
    bucket: storage.Bucket, folder: str
) -> None:
    text = bucket.blob(f"{folder}/text")
    text.upload_from_string("hällo", content_type="text/plain; charset=utf-8")
    assert text.download_as_text() == "hällo"
    stream = bucket.blob(f"{folder}/stream")
    stream.upload_from_file(io.BytesIO(b"x" * 100_000), size=100_000)
    target = io.BytesIO()
    stream.download_to_file(target)
    assert target.getvalue() == b"x" * 100_000
    assert stream.download_as_bytes(start=5, end=9, raw_download=True) == b"x" * 5


def test_storage_large_uploads_are_resumable_and_checked(
    bucket: storage.Bucket, folder: str
) -> None:
    data = os.urandom(1_200_000)
    blob = bucket.blob(f"{folder}/large", chunk_size=256 * 1024)
    blob.upload_from_file(io.BytesIO(data), checksum="crc32c")
    assert blob.download_as_bytes(checksum="md5") == data
    assert base64.b64decode(blob.crc32c) == google_crc32c.value(data).to_bytes(4, "big")


def test_storage_a_resumable_session_is_gone_on_with_by_anyone(
    bucket: storage.Bucket, folder: str
) -> None:
    url = bucket.blob(f"{folder}/x").create_resumable_upload_session(size=8)
    first = httpx2.put(url, content=b"0123", headers={"Content-Range": "bytes 0-3/8"})
    assert (first.status_code, first.headers["range"]) == (308, "bytes=0-3")
    asked = httpx2.put(url, headers={"Content-Range": "bytes */8"})
    assert (asked.status_code, asked.headers["range"]) == (308, "bytes=0-3")
    assert httpx2.put(url, content=b"4567", headers={"Content-Range": "bytes 4-7/8"}).is_success
    assert bucket.blob(f"{folder}/x").download_as_bytes() == b"01234567"


def test_storage_blobs_are_files_to_read_and_write(bucket: storage.Bucket, folder: str) -> None:
    blob = bucket.blob(f"{folder}/lines", chunk_size=256 * 1024)
    with blob.open("w") as writer:
        for number in range(100_000):
            writer.write(f"{number}\n")
    with blob.open("r") as reader:
        assert sum(int(line) for line in reader) == sum(range(100_000))


def test_storage_metadata_is_set_patched_and_removed(bucket: storage.Bucket, folder: str) -> None:
    blob = bucket.blob(f"{folder}/x")
    blob.metadata = {"a": "1", "b": "2"}
    blob.cache_control = "max-age=60"
    blob.upload_from_string(b"data", content_type="image/png")
    blob.metadata = {"b": None, "c": "3"}
    blob.content_language = "de"
    blob.patch()
    blob.reload()
    assert blob.metadata == {"a": "1", "c": "3"}
    assert (blob.cache_control, blob.content_type) == ("max-age=60", "image/png")
    assert (blob.content_language, blob.metageneration) == ("de", 2)


def test_storage_preconditions(bucket: storage.Bucket, folder: str) -> None:
    blob = bucket.blob(f"{folder}/x")
    blob.upload_from_string(b"one", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        blob.upload_from_string(b"two", if_generation_match=0)
    generation = blob.generation
    blob.upload_from_string(b"two", if_generation_match=generation)
    with pytest.raises(exceptions.PreconditionFailed):
        blob.delete(if_generation_match=generation)
    with pytest.raises(exceptions.NotFound):
        bucket.blob(f"{folder}/x", generation=generation).download_as_bytes()


def test_storage_listings(client: storage.Client, folder: str) -> None:
    bucket = client.bucket(BUCKET)
    names = [f"{folder}/{name}" for name in ("a", "b/c", "b/d", "é", "z")]
    for name in names:
        bucket.blob(name).upload_from_string(b"")
    assert [blob.name for blob in client.list_blobs(bucket, prefix=folder, page_size=2)] == [
        f"{folder}/{name}" for name in ("a", "b/c", "b/d", "z", "é")
    ]
    pages = client.list_blobs(bucket, prefix=f"{folder}/", delimiter="/", max_results=3)
    assert [blob.name for blob in pages] == [f"{folder}/{name}" for name in ("a", "z", "é")]
    assert pages.prefixes == {f"{folder}/b/"}
    between = client.list_blobs(bucket, start_offset=f"{folder}/b", end_offset=f"{folder}/z")
    assert [blob.name for blob in between] == [f"{folder}/b/c", f"{folder}/b/d"]
    globbed = client.list_blobs(bucket, match_glob=f"{folder}/**/[cd]")
    assert [blob.name for blob in globbed] == [f"{folder}/b/c", f"{folder}/b/d"]


def test_storage_copies_renames_moves_rewrites_and_composes(
    bucket: storage.Bucket, client: storage.Client, folder: str
) -> None:
    first = bucket.blob(f"{folder}/a")
    first.upload_from_string(b"one", content_type="text/plain")
    other = client.bucket("other.appspot.com")
    assert bucket.copy_blob(first, other, "a").download_as_bytes() == b"one"
    renamed = bucket.rename_blob(first, f"{folder}/b")
    moved = bucket.move_blob(renamed, f"{folder}/c")
    assert moved.content_type == "text/plain"
    rewritten = bucket.blob(f"{folder}/d")
    assert rewritten.rewrite(moved) == (None, 3, 3)
    whole = bucket.blob(f"{folder}/whole")
    whole.compose([moved, rewritten] * 16)
    assert whole.download_as_bytes() == b"one" * 32
    with pytest.raises(exceptions.BadRequest):
        whole.compose([moved] * 33)
    names = {blob.name for blob in client.list_blobs(bucket, prefix=folder)}
    assert names == {f"{folder}/{name}" for name in ("c", "d", "whole")}


def test_storage_gzip_is_decompressed_on_the_way(bucket: storage.Bucket, folder: str) -> None:
    blob = bucket.blob(f"{folder}/packed")
    blob.content_encoding = "gzip"
    packed = gzip.compress(b"text" * 1000)
    blob.upload_from_string(packed, content_type="text/plain")
    assert blob.download_as_bytes() == b"text" * 1000
    assert blob.download_as_bytes(raw_download=True) == packed


def test_storage_batches_of_deletions_and_errors(bucket: storage.Bucket, folder: str) -> None:
    for name in ("a", "b"):
        bucket.blob(f"{folder}/{name}").upload_from_string(b"")
    bucket.delete_blobs([f"{folder}/a", f"{folder}/b"], retry=DEFAULT_RETRY)
    with pytest.raises(exceptions.NotFound):
        bucket.delete_blob(f"{folder}/a")
    assert bucket.get_blob(f"{folder}/a") is None
    assert not bucket.blob(f"{folder}/a").exists()


def test_storage_many_files_at_once(bucket: storage.Bucket, folder: str) -> None:
    blobs = [bucket.blob(f"{folder}/{number}") for number in range(10)]
    results = transfer_manager.upload_many(
        [(io.BytesIO(str(number).encode()), blob) for number, blob in enumerate(blobs)],
        worker_type=transfer_manager.THREAD,
    )
    assert results == [None] * 10
    targets = [(blob, io.BytesIO()) for blob in blobs]
    transfer_manager.download_many(targets, worker_type=transfer_manager.THREAD)
    assert [target.getvalue() for _, target in targets] == [b"%d" % n for n in range(10)]


def test_storage_buckets(client: storage.Client) -> None:
    made = client.create_bucket(f"bucket-{uuid.uuid4().hex}")
    made.add_lifecycle_delete_rule(age=30, matches_prefix=["tmp/"])
    made.labels = {"team": "red"}
    made.patch()
    found = client.get_bucket(made.name)
    assert found.labels == {"team": "red"}
    assert [rule["condition"]["age"] for rule in found.lifecycle_rules] == [30]
    assert made.name in [each.name for each in client.list_buckets()]
    made.delete()


def test_storage_of_firebase_admin(server: Server, folder: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)
        credential = AnonymousCredential()
        app = firebase_admin.initialize_app(
            credential, {"projectId": "homefire", "storageBucket": BUCKET}, name=folder
        )
        bucket = admin_storage.bucket(app=app)
        blob = bucket.blob(f"{folder}/x")
        blob.upload_from_string("from the Admin SDK")
        assert bucket.get_blob(f"{folder}/x").download_as_text() == "from the Admin SDK"
        blob.metadata = {"firebaseStorageDownloadTokens": "a-token"}
        blob.patch()
        firebase_admin.delete_app(app)
    url = f"{server.url}/v0/b/{BUCKET}/o/{folder}%2Fx?alt=media&token=a-token"
    assert httpx2.get(url).text == "from the Admin SDK"


class AnonymousCredential(firebase_admin.credentials.Base):
    """Against the emulator's variables no credential is asked for."""

    def get_credential(self) -> AnonymousCredentials:
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
