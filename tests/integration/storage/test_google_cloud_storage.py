"""The official Python client of Cloud Storage against the JSON API, on each blob backend."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import os
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import httpx2
import pytest
import pytest_asyncio
from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage as gcs

from baas.api import gcs_json, gcs_signed
from baas.db.sqlite import SqliteDatabase
from baas.storage.blobs.base import BlobStore
from baas.storage.options import StorageOptions
from baas.storage.service import StorageService
from baas.storage.signed_urls import SigningKey, sign
from tests.integration.storage.support import ScriptedRules, authenticate, served

T = TypeVar("T")
BUCKET = "demo-project.appspot.com"
SECRET = b"an hmac secret of the tests"


class Keys:
    async def find(self, access_id: str) -> list[SigningKey]:
        return [SigningKey("demo-project", secret=SECRET)] if access_id == "tester" else []


class Client:
    """The client, which blocks, driven from the loop that serves it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.gcs = gcs.Client(
            project="demo-project",
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": url},
        )

    async def do(self, call: Callable[[gcs.Bucket], T]) -> T:
        return await asyncio.to_thread(lambda: call(self.gcs.bucket(BUCKET)))

    async def put(self, name: str, data: bytes, **kwargs: Any) -> gcs.Blob:
        def upload(bucket: gcs.Bucket) -> gcs.Blob:
            blob = bucket.blob(name)
            blob.upload_from_string(data, **kwargs)
            return blob

        return await self.do(upload)

    async def get(self, name: str) -> bytes:
        data: bytes = await self.do(lambda bucket: bucket.blob(name).download_as_bytes())
        return data


@pytest_asyncio.fixture
async def client(database: SqliteDatabase, blobs: BlobStore) -> AsyncIterator[Client]:
    service = StorageService(
        database, blobs, ScriptedRules(), StorageOptions(project="demo-project")
    )
    routes = [
        *gcs_json.routes(service, authenticate, anonymous_is_admin=True),
        *gcs_signed.routes(service, Keys()),
    ]
    async with served(routes) as url:
        client = Client(url)
        yield client
        client.gcs.close()
    await service.close()


async def test_an_object_goes_up_and_down(client: Client) -> None:
    blob = await client.put("folder/ä b.txt", b"hello", content_type="text/plain")
    assert (blob.size, blob.content_type, blob.metageneration) == (5, "text/plain", 1)
    assert await client.get("folder/ä b.txt") == b"hello"


async def test_a_large_object_goes_up_in_chunks(client: Client) -> None:
    data = os.urandom(3 * 256 * 1024 + 5)

    def upload(bucket: gcs.Bucket) -> gcs.Blob:
        blob = bucket.blob("big", chunk_size=256 * 1024)
        blob.upload_from_file(io.BytesIO(data))
        return blob

    blob = await client.do(upload)
    assert blob.size == len(data)
    assert await client.get("big") == data


async def test_a_part_of_an_object(client: Client) -> None:
    await client.put("x", b"0123456789")
    part = await client.do(lambda bucket: bucket.blob("x").download_as_bytes(start=2, end=4))
    assert part == b"234"


async def test_checksums_are_verified_by_both(client: Client) -> None:
    blob = await client.put("x", b"data", checksum="crc32c")
    assert blob.crc32c
    data = await client.do(lambda bucket: bucket.blob("x").download_as_bytes(checksum="md5"))
    assert data == b"data"


async def test_metadata_is_set_and_reloaded(client: Client) -> None:
    blob = await client.put("x", b"data")

    def amend() -> None:
        blob.metadata = {"by": "ada"}
        blob.cache_control = "no-store"
        blob.patch()

    await asyncio.to_thread(amend)
    again = await client.do(lambda bucket: bucket.get_blob("x"))
    assert (again.metadata, again.cache_control) == ({"by": "ada"}, "no-store")
    assert again.metageneration == 2


async def test_preconditions(client: Client) -> None:
    blob = await client.put("x", b"data", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        await client.put("x", b"other", if_generation_match=0)
    await client.put("x", b"new", if_generation_match=blob.generation)
    assert await client.get("x") == b"new"


async def test_a_listing_with_folders(client: Client) -> None:
    for name in ("a", "b/1", "b/2", "c"):
        await client.put(name, b"x")

    def listed(bucket: gcs.Bucket) -> tuple[list[str], set[str]]:
        pages = bucket.list_blobs(delimiter="/", page_size=1)
        return [blob.name for blob in pages], set(pages.prefixes)

    assert await client.do(listed) == (["a", "c"], {"b/"})


async def test_a_deleted_object_is_not_found(client: Client) -> None:
    await client.put("x", b"data")
    await client.do(lambda bucket: bucket.delete_blob("x"))
    with pytest.raises(NotFound):
        await client.get("x")


async def test_copies_are_objects_of_their_own(client: Client) -> None:
    await client.put("x", b"data", content_type="text/plain")
    await client.do(lambda bucket: bucket.copy_blob(bucket.blob("x"), bucket, "y"))
    await client.do(lambda bucket: bucket.delete_blob("x"))
    copy = await client.do(lambda bucket: bucket.get_blob("y"))
    assert (copy.size, copy.content_type) == (4, "text/plain")
    assert await client.get("y") == b"data"


async def test_a_rewrite_onto_itself_keeps_the_bytes(client: Client) -> None:
    await client.put("x", b"data")

    def rewrite(bucket: gcs.Bucket) -> None:
        blob = bucket.blob("x")
        token, done, total = blob.rewrite(blob)
        assert (token, done, total) == (None, 4, 4)

    await client.do(rewrite)
    assert await client.get("x") == b"data"


async def test_a_renamed_object(client: Client) -> None:
    await client.put("x", b"data")
    await client.do(lambda bucket: bucket.rename_blob(bucket.blob("x"), "y"))
    assert await client.get("y") == b"data"
    assert await client.do(lambda bucket: bucket.get_blob("x")) is None


async def test_a_composed_object_has_the_checksum_of_its_bytes(client: Client) -> None:
    await client.put("a", b"one ")
    await client.put("b", b"")
    await client.put("c", b"two")

    def compose(bucket: gcs.Bucket) -> gcs.Blob:
        whole = bucket.blob("whole")
        whole.compose([bucket.blob("a"), bucket.blob("b"), bucket.blob("c")])
        return whole

    whole = await client.do(compose)
    assert (whole.size, whole.component_count, whole.md5_hash) == (7, 3, None)
    assert await client.get("whole") == b"one two"  # the client checks the CRC32C


async def test_buckets_are_made_listed_and_deleted(client: Client) -> None:
    def buckets(bucket: gcs.Bucket) -> list[str]:
        made = client.gcs.create_bucket("another-bucket")
        made.labels = {"a": "b"}
        made.patch()
        assert client.gcs.get_bucket("another-bucket").labels == {"a": "b"}
        with pytest.raises(Conflict):
            client.gcs.create_bucket("another-bucket")
        names = [found.name for found in client.gcs.list_buckets()]
        made.delete()
        assert client.gcs.lookup_bucket("another-bucket") is None
        return names

    assert "another-bucket" in await client.do(buckets)


async def test_an_unknown_bucket_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound):
        await asyncio.to_thread(client.gcs.get_bucket, "no-such-bucket")


async def test_users_are_no_admins(client: Client) -> None:
    async with httpx2.AsyncClient(base_url=client.url) as http:
        answer = await http.get(
            f"/storage/v1/b/{BUCKET}/o", headers={"Authorization": "Bearer user:ada"}
        )
    assert answer.status_code == 403


async def test_signed_urls_let_anyone_read_and_write_one_object(client: Client) -> None:
    host = client.url.removeprefix("http://")
    now = dt.datetime.now(dt.UTC)

    def url(method: str, name: str, **kwargs: Any) -> str:
        return client.url + sign(
            method,
            host,
            BUCKET,
            name,
            access_id=kwargs.pop("access_id", "tester"),
            secret=kwargs.pop("secret", SECRET),
            now=kwargs.pop("now", now),
            seconds=60,
            **kwargs,
        )

    async with httpx2.AsyncClient() as http:
        put = url("PUT", "dir/a b.txt", headers={"Content-Type": "text/plain"})
        assert (await http.put(put, content=b"data")).status_code == 403  # the header is missing
        answer = await http.put(put, content=b"data", headers={"Content-Type": "text/plain"})
        assert answer.status_code == 200
        got = await http.get(url("GET", "dir/a b.txt"))
        assert (got.content, got.headers["content-type"]) == (b"data", "text/plain")
        old = now - dt.timedelta(seconds=61)
        for refused in (
            url("GET", "dir/a b.txt", secret=b"another"),
            url("GET", "dir/a b.txt", access_id="stranger"),
            url("GET", "dir/a b.txt", now=old),
            url("PUT", "dir/a b.txt"),
            url("GET", "dir/a b.txt").replace("a%20b", "secret"),
        ):
            assert (await http.get(refused)).status_code == 403
