"""Uploads that go to MinIO itself, past this server."""

from __future__ import annotations

import base64
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import google_crc32c
import httpx2
import pytest
import pytest_asyncio

from baas.api import storage_rest
from baas.db.sqlite import SqliteDatabase
from baas.storage.blobs.filesystem import FilesystemBlobs
from baas.storage.blobs.minio import MinioBlobs, MinioOptions
from baas.storage.housekeeping import Housekeeping
from baas.storage.options import StorageOptions
from baas.storage.service import StorageService
from tests.integration.storage.conftest import Storage
from tests.integration.storage.support import MinioServer, ScriptedRules, authenticate, served
from tests.integration.storage.test_firebase_storage import BUCKET, USER, put, read

DATA = b"bytes that this server never sees"
DIRECT = {"X-Homefire-Upload-Direct": "true"}


def crc32c(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


@pytest_asyncio.fixture
async def storage(database: SqliteDatabase, minio: MinioServer) -> AsyncIterator[Storage]:
    blobs = MinioBlobs(MinioOptions.from_url(minio.url(f"direct-{uuid.uuid4().hex}")))
    await blobs.start()
    rules = ScriptedRules()
    options = StorageOptions(any_bucket=True, presigned_uploads=True)
    service = StorageService(database, blobs, rules, options)
    async with served(storage_rest.routes(service, authenticate)) as url:
        async with httpx2.AsyncClient(base_url=url) as http:
            yield Storage(service, rules, blobs, http, url)
    await service.close()
    await blobs.close()


async def start(storage: Storage, data: bytes = DATA, **metadata: Any) -> Any:
    return await storage.http.post(
        f"/v0/b/{BUCKET}/o",
        params={"name": "x"},
        headers={
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(len(data)),
            **DIRECT,
            **USER,
        },
        json={"crc32c": crc32c(data), **metadata},
    )


async def send(begun: Any, data: bytes = DATA, checksum: str | None = None) -> int:
    async with httpx2.AsyncClient() as elsewhere:
        answer = await elsewhere.put(
            begun.headers["x-homefire-upload-direct-url"],
            content=data,
            headers={"If-None-Match": "*", "x-amz-checksum-crc32c": checksum or crc32c(DATA)},
        )
        return answer.status_code


async def finish(storage: Storage, begun: Any) -> Any:
    headers = {"X-Goog-Upload-Command": "finalize", **DIRECT}
    return await storage.http.post(begun.headers["x-goog-upload-url"], headers=headers)


async def test_bytes_sent_to_minio_become_an_object(storage: Storage) -> None:
    begun = await start(storage, contentType="text/plain")
    assert await send(begun) == 200
    assert (await read(storage, "x")).status_code == 404
    finished = await finish(storage, begun)
    ordinary = await put(storage, "y", DATA, contentType="text/plain")
    for key in ("size", "md5Hash", "crc32c", "contentType"):
        assert finished.json()[key] == ordinary.json()[key]
    assert (await read(storage, "x")).content == DATA
    assert (await finish(storage, begun)).json()["generation"] == finished.json()["generation"]


@pytest.mark.parametrize(
    ("data", "checksum"),
    [(DATA + b"!", None), (DATA[:-1], None), (b"!" + DATA[1:], None), (b"", None)],
    ids=["longer", "shorter", "other", "empty"],
)
async def test_minio_takes_no_other_bytes(
    storage: Storage, data: bytes, checksum: str | None
) -> None:
    begun = await start(storage)
    assert await send(begun, data, checksum) in (400, 403)
    assert (await finish(storage, begun)).status_code == 400
    assert (await read(storage, "x")).status_code == 404


async def test_other_bytes_with_their_own_checksum_are_not_what_was_signed(
    storage: Storage,
) -> None:
    begun = await start(storage)
    other = b"!" + DATA[1:]
    assert await send(begun, other, crc32c(other)) == 403


async def test_an_address_is_good_for_one_upload(storage: Storage) -> None:
    begun = await start(storage)
    assert await send(begun) == 200
    assert await send(begun) == 412
    await finish(storage, begun)
    assert await send(begun) == 412


async def test_a_wrong_md5_is_refused_at_the_end(storage: Storage) -> None:
    begun = await start(storage, md5Hash=base64.b64encode(bytes(16)).decode())
    assert await send(begun) == 200
    assert (await finish(storage, begun)).status_code == 400


async def test_rules_are_asked_at_the_start_and_at_the_end(storage: Storage) -> None:
    storage.rules.allow = lambda new, **_: new["size"] < 5
    assert (await start(storage)).status_code == 403
    storage.rules.allow = lambda **_: True
    begun = await start(storage)
    await send(begun)
    storage.rules.allow = lambda **_: False
    assert (await finish(storage, begun)).status_code == 403


async def test_bytes_that_were_never_claimed_are_swept(storage: Storage) -> None:
    begun = await start(storage)
    await send(begun)
    housekeeping = Housekeeping(storage.service)
    assert (await housekeeping.sweep()).garbage_blobs == 0
    object.__setattr__(storage.service.options, "sweep_grace", -1.0)
    assert (await finish(storage, begun)).status_code == 410
    assert (await housekeeping.sweep()).garbage_blobs == 1
    assert await storage.blob_names() == set()


async def test_where_there_is_no_such_address_the_upload_is_an_ordinary_one(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    blobs = FilesystemBlobs(tmp_path / "files")
    await blobs.start()
    options = StorageOptions(any_bucket=True, presigned_uploads=True)
    service = StorageService(database, blobs, ScriptedRules(), options)
    async with served(storage_rest.routes(service, authenticate)) as url:
        async with httpx2.AsyncClient(base_url=url) as http:
            begun = await start(Storage(service, ScriptedRules(), blobs, http, url))
            assert "x-homefire-upload-direct-url" not in begun.headers
            headers = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"}
            sent = await http.post(
                begun.headers["x-goog-upload-url"], headers=headers, content=DATA
            )
            assert sent.status_code == 200
    await service.close()
    await blobs.close()
