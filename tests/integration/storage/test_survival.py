"""Bad networks, bad clients, dying servers: never a broken object readable, never an old one lost."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from baas.api import storage_rest
from baas.db.sqlite import SqliteDatabase
from baas.storage.blobs.filesystem import FilesystemBlobs
from baas.storage.blobs.minio import MinioBlobs, MinioOptions
from baas.storage.options import Quota, StorageOptions
from baas.storage.service import StorageService
from tests.integration.storage.conftest import Storage
from tests.integration.storage.raw_http import RawRequest
from tests.integration.storage.support import (
    MinioServer,
    ScriptedRules,
    authenticate,
    minio_binary,
    served,
)
from tests.integration.storage.test_firebase_storage import BUCKET, USER, error_of, put, read

ROOT = Path(__file__).parents[3]
MIB = 1024 * 1024


async def half_an_upload(storage: Storage, name: str, size: int, sent: int) -> RawRequest:
    headers = {"Content-Length": str(size), "Content-Type": "text/plain"}
    request = await RawRequest.begin(storage.url, "POST", f"/v0/b/{BUCKET}/o?name={name}", headers)
    await request.send(os.urandom(sent))
    return request


@pytest.mark.parametrize("sent", [0, 1, 64 * 1024, MIB, 6 * MIB, 11 * MIB - 1])
async def test_a_client_that_goes_away_leaves_the_old_object_and_no_garbage(
    storage: Storage, sent: int
) -> None:
    await put(storage, "x", b"old")
    request = await half_an_upload(storage, "x", 11 * MIB, sent)
    await request.hang_up()
    async with asyncio.timeout(10):
        while storage.service.uploads_running:
            await asyncio.sleep(0.01)
    assert (await read(storage, "x")).content == b"old"
    assert len(await storage.blob_names()) == 1
    assert await storage.blobs.sweep_unfinished(older_than=-60) == 0


async def test_a_client_that_goes_away_at_any_byte_leaves_the_old_object_and_no_garbage(
    storage: Storage,
) -> None:
    await put(storage, "x", b"old")
    body = (
        b'--b\r\nContent-Type: application/json\r\n\r\n{"name": "x"}\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nthe new bytes\r\n--b--"
    )
    for cut in range(len(body)):
        request = await RawRequest.begin(
            storage.url,
            "POST",
            f"/v0/b/{BUCKET}/o?name=x",
            {
                **USER,
                "X-Goog-Upload-Protocol": "multipart",
                "Content-Type": "multipart/related; boundary=b",
                "Content-Length": str(len(body)),
            },
        )
        await request.send(body[:cut])
        await request.hang_up()
    async with asyncio.timeout(10):
        while storage.service.uploads_running:
            await asyncio.sleep(0.01)
    assert (await read(storage, "x")).content == b"old"
    assert len(await storage.blob_names()) == 1


async def test_a_download_goes_on_while_its_object_is_overwritten(storage: Storage) -> None:
    data = os.urandom(8 * MIB)
    await put(storage, "x", data)
    url = f"/v0/b/{BUCKET}/o/x?alt=media"
    async with storage.http.stream("GET", url, headers=USER) as response:
        pieces = response.aiter_bytes()
        got = await anext(pieces)
        await put(storage, "x", b"new")
        async for piece in pieces:
            got += piece
    assert got == data
    assert (await read(storage, "x")).content == b"new"
    assert len(await storage.blob_names()) == 1


async def test_readers_among_overwrites_see_one_object_or_another(storage: Storage) -> None:
    sizes = [1, 300_000, 2 * MIB]
    await put(storage, "x", b"0")

    async def write(digit: int) -> None:
        for size in sizes:
            assert (await put(storage, "x", b"%d" % digit * size)).status_code == 200

    async def look() -> None:
        for _ in range(10):
            content = (await read(storage, "x")).content
            assert len(content) in sizes
            assert content == content[:1] * len(content)

    await asyncio.gather(*(write(digit) for digit in range(1, 4)), look(), look())
    assert len(await storage.blob_names()) == 1


async def test_objects_in_plenty(storage: Storage) -> None:
    names = [f"many/{number:03d}" for number in range(100)]
    await asyncio.gather(*(put(storage, name, name.encode()) for name in names))
    page = await storage.http.get(f"/v0/b/{BUCKET}/o?prefix=many/", headers=USER)
    assert [item["name"] for item in page.json()["items"]] == names
    assert (await read(storage, "many/042")).content == b"many/042"


# Limits


@contextlib.asynccontextmanager
async def storage_with(
    database: SqliteDatabase, folder: Path, **options: Any
) -> AsyncIterator[Storage]:
    blobs = FilesystemBlobs(folder / "files")
    await blobs.start()
    rules = ScriptedRules()
    wanted = dataclasses.replace(StorageOptions(any_bucket=True), **options)
    service = StorageService(database, blobs, rules, wanted)
    async with served(storage_rest.routes(service, authenticate)) as url:
        async with httpx2.AsyncClient(base_url=url, timeout=30) as http:
            yield Storage(service, rules, blobs, http, url)
    await service.close()
    await blobs.close()


async def test_a_client_that_falls_asleep_is_let_go(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    async with storage_with(database, tmp_path, chunk_timeout=0.1) as storage:
        request = await half_an_upload(storage, "x", 1000, 10)
        status, _ = await request.answer()
        assert status == 408
        assert await storage.blob_names() == set()


async def test_a_client_that_trickles_is_let_go(database: SqliteDatabase, tmp_path: Path) -> None:
    async with storage_with(
        database, tmp_path, rate_window=0.2, min_bytes_per_window=1000
    ) as storage:
        request = await half_an_upload(storage, "x", 10_000, 1)

        async def trickle() -> None:
            with contextlib.suppress(ConnectionError):
                for _ in range(200):
                    await request.send(b"x")
                    await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        status, _ = await request.answer()
        trickling.cancel()
        assert status == 408
        assert await storage.blob_names() == set()


async def test_an_object_larger_than_allowed_is_refused(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    async with storage_with(database, tmp_path, max_object_bytes=10) as storage:
        assert (await put(storage, "x", b"0123456789")).status_code == 200

        async def undeclared() -> AsyncIterator[bytes]:
            for _ in range(11):
                yield b"x"

        url = f"/v0/b/{BUCKET}/o?name=y"
        declared = await storage.http.post(url, content=b"0123456789x", headers=USER)
        chunked = await storage.http.post(url, content=undeclared(), headers=USER)
        assert [error_of(declared), error_of(chunked)] == [(413, "INVALID_ARGUMENT")] * 2
        assert len(await storage.blob_names()) == 1


async def test_quotas_of_buckets_and_users(database: SqliteDatabase, tmp_path: Path) -> None:
    async with storage_with(
        database, tmp_path, bucket_quota=Quota(bytes=10), user_quota=Quota(bytes=6, objects=2)
    ) as storage:
        bob = {"Authorization": "Firebase user:bob"}
        assert (await put(storage, "a", b"12345")).status_code == 200
        assert error_of(await put(storage, "b", b"12")) == (402, "RESOURCE_EXHAUSTED")
        assert (await put(storage, "a", b"123456")).status_code == 200  # in place of the old one
        assert (await put(storage, "c", b"1234", bob)).status_code == 200
        assert error_of(await put(storage, "d", b"1", bob)) == (402, "RESOURCE_EXHAUSTED")
        await storage.http.delete(f"/v0/b/{BUCKET}/o/a", headers=USER)
        for name in ("e", "f"):
            assert (await put(storage, name, b"")).status_code == 200
        assert (await put(storage, "g", b"")).status_code == 402
        assert len(await storage.blob_names()) == 1


# Dying servers


@contextlib.asynccontextmanager
async def server_process(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.storage.server_process",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            line = await process.stdout.readline()
        yield process, line.decode().strip()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.crash
async def test_a_server_killed_among_overwrites_has_every_acknowledged_object_whole(
    tmp_path: Path,
) -> None:
    acknowledged = {}
    url = f"/v0/b/{BUCKET}/o"
    for round_number in range(3):
        async with server_process(str(tmp_path)) as (process, base):
            async with httpx2.AsyncClient(base_url=base, timeout=10) as http:
                for name, content in acknowledged.items():
                    answer = await http.get(f"{url}/{name}?alt=media")
                    assert answer.content[:1] >= content[:1]
                    assert answer.content == answer.content[:1] * 500_000
                stop_after = 5 + round_number

                async def overwrite(
                    name: str,
                    http: httpx2.AsyncClient = http,
                    process: asyncio.subprocess.Process = process,
                    stop_after: int = stop_after,
                ) -> None:
                    first = acknowledged.get(name, b"0")[0] + 1
                    for number in range(first, 250):
                        content = bytes([number]) * 500_000
                        try:
                            answer = await http.post(f"{url}?name={name}", content=content)
                        except httpx2.TransportError:
                            return
                        assert answer.status_code == 200
                        acknowledged[name] = content
                        if name == "a" and number == first + stop_after:
                            process.send_signal(signal.SIGKILL)

                await asyncio.gather(*(overwrite(name) for name in "abcd"))
    assert sorted(acknowledged) == list("abcd")


async def test_a_full_disk_refuses_the_upload_and_keeps_what_is_there(tmp_path: Path) -> None:
    async with server_process(str(tmp_path), str(3 * MIB)) as (_, base):
        async with httpx2.AsyncClient(base_url=base, timeout=30) as http:
            url = f"/v0/b/{BUCKET}/o"
            assert (await http.post(f"{url}?name=x", content=b"old")).status_code == 200
            refused = await http.post(f"{url}?name=x", content=bytes(5 * MIB))
            assert error_of(refused) == (503, "UNAVAILABLE")
            assert "full" in refused.json()["error"]["message"]
            assert (await http.get(f"{url}/x?alt=media")).content == b"old"
            assert (await http.post(f"{url}?name=y", content=b"new")).status_code == 200
    assert list((tmp_path / "files" / "incoming").iterdir()) == []


@pytest.fixture
def own_minio(tmp_path: Path) -> Any:
    binary = minio_binary()
    if binary is None:
        pytest.skip("no MinIO server: scripts/install-minio.sh builds one, or set HOMEFIRE_MINIO")
    server = MinioServer(binary, tmp_path / "minio-data")
    server.start()
    yield server
    server.stop()


async def test_minio_may_stop_and_come_back(
    own_minio: MinioServer, database: SqliteDatabase
) -> None:
    options = MinioOptions.from_url(own_minio.url(f"test-{uuid.uuid4().hex}"))
    blobs = MinioBlobs(dataclasses.replace(options, timeout=3))
    await blobs.start()
    rules = ScriptedRules()
    service = StorageService(database, blobs, rules, StorageOptions(any_bucket=True))
    async with served(storage_rest.routes(service, authenticate)) as url:
        async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
            storage = Storage(service, rules, blobs, http, url)
            data = os.urandom(12 * MIB)
            await put(storage, "x", data)
            upload = await half_an_upload(storage, "x", 12 * MIB, 6 * MIB)
            own_minio.stop()
            await upload.send(os.urandom(6 * MIB))
            status, _ = await upload.answer()
            assert status == 503
            assert error_of(await read(storage, "x")) == (503, "UNAVAILABLE")
            assert (await http.get(f"/v0/b/{BUCKET}/o/x")).status_code == 200  # metadata is here
            own_minio.start()
            assert (await read(storage, "x")).content == data
            assert (await put(storage, "x", b"new")).status_code == 200
            assert (await read(storage, "x")).content == b"new"
    await service.close()
    await blobs.close()


async def test_a_download_goes_on_when_minio_comes_back(
    own_minio: MinioServer, tmp_path: Path
) -> None:
    options = MinioOptions.from_url(own_minio.url(f"test-{uuid.uuid4().hex}"))
    blobs = MinioBlobs(dataclasses.replace(options, timeout=3))
    await blobs.start()
    data = os.urandom(24 * MIB)
    writer = await blobs.create()
    await writer.write(data)
    await writer.finish()
    got = b""
    async for chunk in blobs.read(writer.name):
        got += chunk
        if len(got) == len(chunk):
            own_minio.stop()
            own_minio.start()
    assert got == data
    await blobs.close()


async def test_downloads_may_be_sent_to_minio_itself(
    minio: MinioServer, database: SqliteDatabase
) -> None:
    blobs = MinioBlobs(MinioOptions.from_url(minio.url(f"test-{uuid.uuid4().hex}")))
    await blobs.start()
    rules = ScriptedRules()
    options = StorageOptions(any_bucket=True, presigned_downloads=True)
    service = StorageService(database, blobs, rules, options)
    async with served(storage_rest.routes(service, authenticate)) as url:
        async with httpx2.AsyncClient(base_url=url, timeout=30) as http:
            storage = Storage(service, rules, blobs, http, url)
            await put(storage, "page.html", b"<script>", contentType="text/html")
            sent = await read(storage, "page.html")
            assert (sent.status_code, sent.headers["cache-control"]) == (302, "no-store")
            there = await http.get(sent.headers["location"])
            assert there.content == b"<script>"
            assert there.headers["content-type"] == "text/html"
            assert there.headers["content-disposition"].startswith("attachment")
            rules.allow = lambda **_: False
            assert (await read(storage, "page.html")).status_code == 403
    await service.close()
    await blobs.close()


async def test_wrong_credentials_are_told_at_the_start(minio: MinioServer) -> None:
    options = MinioOptions.from_url(minio.url("some-bucket"))
    blobs = MinioBlobs(dataclasses.replace(options, secret_key="wrong-secret"))
    with pytest.raises(Exception, match="refuses its credentials"):
        await blobs.start()
    await blobs.close()
