"""Both blob backends, and storage on each of them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from baas.api import storage_rest
from baas.db.sqlite import SqliteDatabase
from baas.storage.blobs.base import BlobStore
from baas.storage.blobs.filesystem import FilesystemBlobs
from baas.storage.blobs.minio import MinioBlobs, MinioOptions
from baas.storage.options import StorageOptions
from baas.storage.service import StorageService
from tests.integration.storage.support import (
    MinioServer,
    ScriptedRules,
    authenticate,
    minio_binary,
    served,
)


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MinioServer]:
    binary = minio_binary()
    if binary is None:
        pytest.skip("no MinIO server: scripts/install-minio.sh builds one, or set HOMEFIRE_MINIO")
    server = MinioServer(binary, tmp_path_factory.mktemp("minio") / "data")
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture(params=["filesystem", "minio"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BlobStore]:
    """An empty store on each backend."""
    store: BlobStore
    if request.param == "filesystem":
        store = FilesystemBlobs(tmp_path / "files")
    else:
        server: MinioServer = request.getfixturevalue("minio")
        store = MinioBlobs(MinioOptions.from_url(server.url(f"test-{uuid.uuid4().hex}")))
    await store.start()
    yield store
    await store.close()


@dataclass
class Storage:
    """Storage behind HTTP: its address, and its parts to look into and to change."""

    service: StorageService
    rules: ScriptedRules
    blobs: BlobStore
    http: httpx2.AsyncClient
    url: str

    async def blob_names(self) -> set[str]:
        await self.service.leases.settle()
        return {info.name async for info in self.blobs.list()}


@pytest.fixture
def options() -> StorageOptions:
    return StorageOptions(any_bucket=True, max_object_bytes=64 * 1024 * 1024)


@pytest_asyncio.fixture
async def storage(
    database: SqliteDatabase, blobs: BlobStore, options: StorageOptions
) -> AsyncIterator[Storage]:
    rules = ScriptedRules()
    service = StorageService(database, blobs, rules, options)
    async with served(storage_rest.routes(service, authenticate)) as url:
        async with httpx2.AsyncClient(base_url=url, timeout=30) as http:
            yield Storage(service, rules, blobs, http, url)
    await service.close()
