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
        keys = [SigningKey("demo-project", secret=secret) for secret in (SECRET, b"a newer one")]
        return keys if access_id == "tester" else []


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
        *gcs_signed.routes(service, Keys(), anonymous_is_admin=True),
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


def signed(client: Client, method: str, name: str, **kwargs: Any) -> str:
    """A signed URL, good for a minute."""
    return client.url + sign(
        method,
        client.url.removeprefix("http://"),
        BUCKET,
        name,
        access_id=kwargs.pop("access_id", "tester"),
        secret=kwargs.pop("secret", SECRET),
        now=kwargs.pop("now", dt.datetime.now(dt.UTC)),
        seconds=60,
        **kwargs,
    )


async def test_signed_urls_let_anyone_read_and_write_one_object(client: Client) -> None:
    now = dt.datetime.now(dt.UTC)

    def url(method: str, name: str, **kwargs: Any) -> str:
        return signed(client, method, name, **kwargs)

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


async def test_a_signed_url_may_begin_a_resumable_upload_that_anyone_goes_on_with(
    client: Client,
) -> None:
    path = signed(client, "POST", "x", headers={"x-goog-resumable": "start"})
    async with httpx2.AsyncClient() as http:
        begun = await http.post(path, headers={"x-goog-resumable": "start"})
        assert begun.status_code == 201
        first = await http.put(
            begun.headers["location"], content=b"01234", headers={"Content-Range": "bytes 0-4/*"}
        )
        assert (first.status_code, first.headers["range"]) == (308, "bytes=0-4")
        last = await http.put(
            begun.headers["location"], content=b"567", headers={"Content-Range": "bytes 5-7/8"}
        )
    assert last.status_code == 200
    assert await client.get("x") == b"01234567"


async def test_a_signed_url_may_delete(client: Client) -> None:
    await client.put("x", b"data")
    async with httpx2.AsyncClient() as http:
        assert (await http.delete(signed(client, "DELETE", "x"))).status_code == 204
        assert (await http.get(signed(client, "GET", "x"))).status_code == 404


async def test_a_signer_chooses_the_type_but_never_a_page_of_ours(client: Client) -> None:
    await client.put("x", b"<script>", content_type="text/plain")
    chosen = {"response-content-type": "text/html", "response-content-disposition": "inline"}
    async with httpx2.AsyncClient() as http:
        got = await http.get(signed(client, "GET", "x", query=chosen))
    assert got.headers["content-type"] == "text/html"
    assert got.headers["content-disposition"] == "attachment"


async def test_an_object_moves_in_one_step(client: Client) -> None:
    before = await client.put("x", b"data", content_type="text/plain")
    moved = await client.do(lambda bucket: bucket.move_blob(bucket.blob("x"), "dir/y z"))
    assert (moved.size, moved.content_type, moved.md5_hash) == (4, "text/plain", before.md5_hash)
    assert await client.get("dir/y z") == b"data"
    assert await client.do(lambda bucket: bucket.get_blob("x")) is None


async def test_a_move_keeps_to_its_conditions(client: Client) -> None:
    await client.put("x", b"data")
    await client.put("y", b"there")
    with pytest.raises(PreconditionFailed):
        await client.do(
            lambda bucket: bucket.move_blob(bucket.blob("x"), "y", if_generation_match=0)
        )
    assert (await client.get("x"), await client.get("y")) == (b"data", b"there")


async def test_a_copy_keeps_the_download_tokens_unless_it_gets_metadata_of_its_own(
    client: Client,
) -> None:
    async with httpx2.AsyncClient(base_url=f"{client.url}/storage/v1/b/{BUCKET}/o") as http:
        await client.put("x", b"data")
        tokens = {"metadata": {"firebaseStorageDownloadTokens": "secret", "a": "b"}}
        await http.patch("/x", json=tokens)
        same = (await http.post(f"/x/copyTo/b/{BUCKET}/o/y")).json()
        other = (await http.post(f"/x/copyTo/b/{BUCKET}/o/z", json={"metadata": {"c": "d"}})).json()
    assert same["metadata"] == {"a": "b", "firebaseStorageDownloadTokens": "secret"}
    assert other["metadata"] == {"c": "d"}


async def test_media_is_answered_as_an_attachment(client: Client) -> None:
    await client.put("x", b"data")
    async with httpx2.AsyncClient(base_url=client.url) as http:
        got = await http.get(f"/download/storage/v1/b/{BUCKET}/o/x", params={"alt": "media"})
    assert got.headers["content-disposition"] == "attachment"


async def test_a_composed_object_has_no_type_that_nobody_gave(client: Client) -> None:
    await client.put("a", b"one")

    def compose(bucket: gcs.Bucket) -> gcs.Blob:
        whole = bucket.blob("whole.txt")
        whole.compose([bucket.blob("a")])
        return whole

    assert (await client.do(compose)).content_type is None


async def test_names_are_chosen_by_a_pattern(client: Client) -> None:
    for name in ("a.png", "a.txt", "dir/b.png", "dir/deep/c.png"):
        await client.put(name, b"")

    def matching(pattern: str) -> Callable[[gcs.Bucket], list[str]]:
        return lambda bucket: [
            blob.name for blob in bucket.list_blobs(match_glob=pattern, page_size=1)
        ]

    assert await client.do(matching("*.png")) == ["a.png"]
    assert await client.do(matching("**.png")) == ["a.png", "dir/b.png", "dir/deep/c.png"]
    assert await client.do(matching("**/[bc].{png,gif}")) == ["dir/b.png", "dir/deep/c.png"]


async def test_errors_have_the_reasons_of_cloud_storage(client: Client) -> None:
    with pytest.raises(NotFound) as error:
        await client.get("none")
    async with httpx2.AsyncClient(base_url=client.url) as http:
        answer = (await http.get(f"/storage/v1/b/{BUCKET}/o/none")).json()
    assert answer["error"]["errors"][0]["reason"] == "notFound"
    assert error.value.code == 404


async def test_of_labels_only_those_that_are_named_change(client: Client) -> None:
    def labels(bucket: gcs.Bucket) -> dict[str, str]:
        bucket.labels = {"a": "1", "b": "2"}
        bucket.patch()
        bucket.labels = {"a": "3"}
        bucket.patch()
        found: dict[str, str] = client.gcs.get_bucket(BUCKET).labels
        return found

    assert await client.do(labels) == {"a": "3"}


async def test_in_development_make_public_succeeds_and_public_addresses_are_read(
    client: Client,
) -> None:
    await client.put("a b", b"data")

    def publish(bucket: gcs.Bucket) -> None:
        bucket.blob("a b").make_public()

    await client.do(publish)
    async with httpx2.AsyncClient(base_url=client.url) as http:
        assert (await http.get(f"/{BUCKET}/a%20b")).content == b"data"
