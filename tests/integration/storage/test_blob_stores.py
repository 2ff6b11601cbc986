"""What every blob backend must do; run on all of them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from baas.storage.blobs import filesystem
from baas.storage.blobs.base import BlobMissing, BlobStore
from baas.storage.blobs.filesystem import FilesystemBlobs


async def put(blobs: BlobStore, *blocks: bytes) -> str:
    writer = await blobs.create()
    for block in blocks:
        await writer.write(block)
    await writer.finish()
    return writer.name


async def read(blobs: BlobStore, name: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in blobs.read(name, start, end)])


async def names(blobs: BlobStore) -> set[str]:
    return {info.name async for info in blobs.list()}


async def test_a_finished_blob_reads_as_it_was_written(blobs: BlobStore) -> None:
    assert await read(blobs, await put(blobs, b"one", b"", b"two")) == b"onetwo"


async def test_an_empty_blob_reads_as_nothing(blobs: BlobStore) -> None:
    assert await read(blobs, await put(blobs)) == b""


@pytest.mark.parametrize("size", [1024 * 1024, 5 * 1024 * 1024, 21 * 1024 * 1024 + 1])
async def test_large_blobs_come_back_byte_for_byte(blobs: BlobStore, size: int) -> None:
    data = os.urandom(size)
    blocks = [data[at : at + 1024 * 1024] for at in range(0, size, 1024 * 1024)]
    assert await read(blobs, await put(blobs, *blocks)) == data


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (3, 5, b"34"),
        (9, 10, b"9"),
        (9, 99, b"9"),
        (10, None, b""),
        (4, 4, b""),
    ],
)
async def test_ranges(blobs: BlobStore, start: int, end: int | None, expected: bytes) -> None:
    assert await read(blobs, await put(blobs, b"0123456789"), start, end) == expected


async def test_chunks_are_small(blobs: BlobStore) -> None:
    name = await put(blobs, bytes(3 * 1024 * 1024))
    assert max([len(chunk) async for chunk in blobs.read(name)]) <= 1024 * 1024


async def test_a_blob_is_not_there_before_it_is_finished(blobs: BlobStore) -> None:
    writer = await blobs.create()
    await writer.write(bytes(12 * 1024 * 1024))
    with pytest.raises(BlobMissing):
        await read(blobs, writer.name)
    assert await names(blobs) == set()
    await writer.abort()


@pytest.mark.parametrize("size", [0, 10, 12 * 1024 * 1024])
async def test_an_aborted_blob_is_never_there(blobs: BlobStore, size: int) -> None:
    writer = await blobs.create()
    await writer.write(bytes(size))
    await writer.abort()
    with pytest.raises(BlobMissing):
        await read(blobs, writer.name)


async def test_a_deleted_blob_is_gone_and_may_be_deleted_again(blobs: BlobStore) -> None:
    name = await put(blobs, b"x")
    await blobs.delete(name)
    await blobs.delete(name)
    with pytest.raises(BlobMissing):
        await read(blobs, name)


async def test_the_listing_tells_names_and_sizes(blobs: BlobStore) -> None:
    name = await put(blobs, b"four")
    assert [(info.name, info.size) async for info in blobs.list()] == [(name, 4)]


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "x" * 32, "A" * 32, "0" * 31])
async def test_only_its_own_names_are_ever_looked_for(blobs: BlobStore, name: str) -> None:
    with pytest.raises(BlobMissing):
        await read(blobs, name)


async def test_names_are_fresh(blobs: BlobStore) -> None:
    assert await put(blobs, b"x") != await put(blobs, b"x")


async def test_a_new_blob_is_no_left_over(blobs: BlobStore) -> None:
    writer = await blobs.create()
    await writer.write(bytes(12 * 1024 * 1024))
    assert await blobs.sweep_unfinished(older_than=3600) == 0
    await writer.finish()
    assert await names(blobs) == {writer.name}


@pytest_asyncio.fixture
async def files(tmp_path: Path) -> AsyncIterator[FilesystemBlobs]:
    store = FilesystemBlobs(tmp_path / "files")
    await store.start()
    yield store
    await store.close()


@pytest.mark.parametrize(("start", "end"), [(0, 10), (3, 5), (9, 10)])
async def test_what_can_be_had_on_the_spot_is_what_is_read(
    blobs: BlobStore, start: int, end: int
) -> None:
    held = blobs.held(await put(blobs, b"0123456789"), start, end)
    assert held in (None, b"0123456789"[start:end])


async def test_what_memory_holds_can_be_had_on_the_spot(
    files: FilesystemBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(1024 * 1024)
    monkeypatch.setattr(filesystem, "_HELD", 0)  # as if memory held everything
    assert files.held(await put(files, data), 0, len(data)) == data


async def test_no_more_than_a_chunk_is_had_on_the_spot(files: FilesystemBlobs) -> None:
    size = 1024 * 1024 + 1
    assert files.held(await put(files, bytes(size)), 0, size) is None


async def test_fewer_bytes_than_are_wanted_are_not_had_on_the_spot(files: FilesystemBlobs) -> None:
    assert files.held(await put(files, b"short"), 0, 6) is None


@pytest.mark.parametrize("name", ["0" * 32, "../../etc/passwd"])
async def test_nothing_is_had_on_the_spot_of_a_missing_blob(
    files: FilesystemBlobs, name: str
) -> None:
    with pytest.raises(BlobMissing):
        files.held(name, 0, 1)


async def test_bytes_that_only_the_disk_has_are_not_had_on_the_spot(
    files: FilesystemBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_disk(*_: object) -> int:
        raise BlockingIOError

    name = await put(files, b"cold")
    monkeypatch.setattr(os, "preadv", on_disk)
    assert files.held(name, 0, 4) is None
    assert await read(files, name) == b"cold"


async def test_after_a_slow_opening_the_event_loop_opens_nothing_for_a_while(
    files: FilesystemBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await put(files, b"x")
    waits = iter(range(10))
    monkeypatch.setattr(filesystem, "_waits", lambda: next(waits))
    monkeypatch.setattr(filesystem, "_SLOW_SECONDS", -1.0)
    files.held(name, 0, 1)
    opened = next(waits)
    assert files.held(name, 0, 1) is None
    assert next(waits) == opened + 1, "it was not even tried"
