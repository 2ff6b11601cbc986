"""Uploads that are watched, paused, cancelled, and that bad networks and restarts do not end."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import pytest_asyncio
from homefire.app import FirebaseApp, delete_app
from homefire.errors import StorageError
from homefire.storage import (
    StorageReference,
    UploadTask,
    UploadTaskSnapshot,
    get_bytes,
    get_metadata,
    get_storage,
    ref,
    upload_bytes_resumable,
)

from tests.sdk.breaker import Breaker
from tests.sdk.conftest import MakeApp, Server, running

DEADLINE = 30.0
KIB, MIB = 1024, 1024 * 1024
CONTENT = os.urandom(MIB + 17)


@pytest.fixture
def folder(app: FirebaseApp, unique: str) -> StorageReference:
    return ref(get_storage(app), unique)


@pytest_asyncio.fixture
async def breaker(open_server: Server) -> AsyncIterator[Breaker]:
    made = Breaker(open_server.host)
    yield made
    await made.stop()


class Diary:
    """What the callbacks of a task heard, in order; waits for what is to come."""

    def __init__(self, task: UploadTask) -> None:
        self.heard: list[tuple[str, Any]] = []
        self._news = asyncio.Event()
        self.unsubscribe = task.on("state_changed", self._next, self._error, self._complete)

    def _next(self, snapshot: UploadTaskSnapshot) -> None:
        self._note(snapshot.state, snapshot.bytes_transferred)

    async def _error(self, error: StorageError) -> None:
        self._note("error", error.code)

    def _complete(self) -> None:
        self._note("complete", None)

    def _note(self, what: str, detail: object) -> None:
        self.heard.append((what, detail))
        self._news.set()

    async def until(self, what: str) -> None:
        async with asyncio.timeout(DEADLINE):
            while what not in [word for word, _ in self.heard]:
                self._news.clear()
                await self._news.wait()


async def paused(task: UploadTask, after: int = 1) -> Diary:
    """Pause a task once more than ``after`` bytes are there, and wait until it stands still."""
    first = task.on("state_changed", lambda snapshot: note(snapshot))

    def note(snapshot: UploadTaskSnapshot) -> None:
        if snapshot.bytes_transferred >= after:
            task.pause()

    diary = Diary(task)
    await diary.until("paused")
    first()
    return diary


async def fails(task: UploadTask) -> str:
    with pytest.raises(StorageError) as caught:
        async with asyncio.timeout(DEADLINE):
            await task
    return caught.value.code


async def test_progress_is_told_and_then_the_end(folder: StorageReference) -> None:
    task = upload_bytes_resumable(ref(folder, "big.jpg"), CONTENT, {"cache_control": "no-store"})
    start = task.snapshot
    assert (start.state, start.bytes_transferred, start.total_bytes) == (
        "running",
        0,
        len(CONTENT),
    )
    diary = Diary(task)
    done = await task
    await diary.until("complete")
    assert diary.heard == [
        ("running", 0),
        ("running", 256 * KIB),
        ("running", 768 * KIB),
        ("running", len(CONTENT)),
        ("complete", None),
    ]
    assert (done.state, done.bytes_transferred, done.ref) == ("success", len(CONTENT), task._ref)
    assert done.task is task
    assert done.metadata == await get_metadata(done.ref)
    assert done.metadata.content_type == "image/jpeg"
    assert done.metadata.cache_control == "no-store"
    assert await get_bytes(done.ref) == CONTENT


async def test_who_listens_after_the_end_hears_the_end(folder: StorageReference) -> None:
    task = upload_bytes_resumable(ref(folder, "a"), b"")
    assert (await task).total_bytes == 0
    late = Diary(task)
    await late.until("complete")
    assert late.heard == [("complete", None)]
    assert (task.pause(), task.resume(), task.cancel()) == (False, False, False)
    assert await get_bytes(ref(folder, "a")) == b""


async def test_who_has_unsubscribed_hears_no_more(folder: StorageReference) -> None:
    task = upload_bytes_resumable(ref(folder, "a"), CONTENT)
    gone = Diary(task)
    gone.unsubscribe()
    stays = Diary(task)
    await stays.until("complete")
    assert gone.heard == []


async def test_a_paused_upload_stands_still_until_it_is_resumed(folder: StorageReference) -> None:
    task = upload_bytes_resumable(ref(folder, "a"), CONTENT)
    diary = await paused(task)
    there = task.snapshot.bytes_transferred
    assert 0 < there < len(CONTENT)
    assert task.snapshot.state == "paused"
    assert not task.pause()
    with pytest.raises(StorageError, match="object-not-found"):
        await get_metadata(ref(folder, "a"))
    assert task.snapshot.bytes_transferred == there
    assert task.resume()
    assert not task.resume()
    await task
    await diary.until("complete")
    states = [what for what, _ in diary.heard]
    assert states[states.index("paused") :][:2] == ["paused", "running"]
    assert await get_bytes(ref(folder, "a")) == CONTENT


@pytest.mark.parametrize("first_paused", [False, True])
async def test_a_cancelled_upload_leaves_no_object(
    folder: StorageReference, first_paused: bool
) -> None:
    task = upload_bytes_resumable(ref(folder, "a"), CONTENT)
    diary = await paused(task) if first_paused else Diary(task)
    assert task.cancel()
    assert not task.cancel()
    assert await fails(task) == "storage/canceled"
    await diary.until("error")
    assert diary.heard[-1] == ("error", "storage/canceled")
    assert task.snapshot.state == "canceled"
    with pytest.raises(StorageError, match="object-not-found"):
        await get_metadata(ref(folder, "a"))


async def test_lost_connections_do_not_end_an_upload(
    make_app: MakeApp, breaker: Breaker, unique: str
) -> None:
    content = os.urandom(3 * MIB)
    target = ref(get_storage(make_app(await breaker.start())), unique)
    task = upload_bytes_resumable(target, io.BytesIO(content))

    def break_again(snapshot: UploadTaskSnapshot) -> None:
        if breaker.broken < 4 and breaker.left is None and breaker.left_of_requests is None:
            if breaker.broken % 2:
                breaker.left = 1
            else:
                breaker.left_of_requests = 100 * KIB

    task.on("state_changed", break_again)
    async with asyncio.timeout(DEADLINE):
        await task
    assert breaker.broken >= 3
    assert await get_bytes(target) == content


async def test_a_restart_of_the_server_does_not_end_an_upload(
    make_app: MakeApp, tmp_path: Path
) -> None:
    with running(tmp_path) as server:
        target = ref(get_storage(make_app(server.host)), "a")
        task = upload_bytes_resumable(target, CONTENT)
        await paused(task)
        there = task.snapshot.bytes_transferred
        await asyncio.to_thread(server.stop, signal.SIGKILL)
        diary = Diary(task)
        assert task.resume()
        await diary.until("running")
        await asyncio.to_thread(server.start, int(server.host.rsplit(":", 1)[1]))
        async with asyncio.timeout(DEADLINE):
            await task
        assert min(count for what, count in diary.heard if what == "running") >= there
        assert await get_bytes(target) == CONTENT


async def test_without_a_server_it_is_tried_for_max_upload_retry_time(
    make_app: MakeApp, unused_tcp_port: int, unique: str
) -> None:
    storage = get_storage(make_app(f"http://127.0.0.1:{unused_tcp_port}"))
    assert storage.max_upload_retry_time == 600_000
    storage.max_upload_retry_time = 300
    task = upload_bytes_resumable(ref(storage, unique), b"x")
    diary = Diary(task)
    assert await fails(task) == "storage/retry-limit-exceeded"
    await diary.until("error")
    assert task.snapshot.state == "error"


async def test_what_is_tried_again_can_be_cancelled(
    make_app: MakeApp, unused_tcp_port: int, unique: str
) -> None:
    storage = get_storage(make_app(f"http://127.0.0.1:{unused_tcp_port}"))
    task = upload_bytes_resumable(ref(storage, unique), b"x")
    diary = Diary(task)
    await diary.until("running")
    task.cancel()
    assert await fails(task) == "storage/canceled"


async def test_what_the_rules_refuse(blog: FirebaseApp, unique: str) -> None:
    task = upload_bytes_resumable(ref(get_storage(blog), unique), b"x")
    diary = Diary(task)
    assert await fails(task) == "storage/unauthorized"
    await diary.until("error")
    assert diary.heard[-1] == ("error", "storage/unauthorized")


class Counting(io.BytesIO):
    """A file that remembers how much of it was asked for at once."""

    largest = 0

    def read(self, size: int | None = -1) -> bytes:
        self.largest = max(self.largest, len(self.getbuffer()) if size in (None, -1) else size or 0)
        return super().read(size)


class Pipe:
    """A file that only goes forward, and gives a little at a time."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        return self._rest.read(min(size, 50_000))


async def test_a_file_is_read_in_chunks_from_where_it_stands(folder: StorageReference) -> None:
    content = os.urandom(20 * MIB)
    file = Counting(b"head" + content)
    file.seek(4)
    done = await upload_bytes_resumable(ref(folder, "a"), file)
    assert done.total_bytes == len(content)
    assert file.largest <= 8 * MIB
    assert not file.closed
    assert await get_bytes(done.ref) == content


async def test_a_path_is_opened_and_closed(folder: StorageReference, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(CONTENT)
    task = upload_bytes_resumable(ref(folder, "a.txt"), path)
    assert task.snapshot.total_bytes == len(CONTENT)
    await task
    assert path.as_posix() not in [os.readlink(link) for link in open_links()]
    assert await get_bytes(ref(folder, "a.txt")) == CONTENT


def open_links() -> list[Path]:
    return [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]


@pytest.mark.parametrize("size", [0, 5, 256 * KIB, MIB + 17])
async def test_a_stream_of_unknown_length(
    make_app: MakeApp, breaker: Breaker, unique: str, size: int
) -> None:
    target = ref(get_storage(make_app(await breaker.start())), unique)
    breaker.left = 900
    stream: Any = Pipe(CONTENT[:size])
    done = await upload_bytes_resumable(target, stream)
    assert done.total_bytes == size
    assert await get_bytes(target) == CONTENT[:size]


async def test_a_file_that_shrinks_meanwhile_makes_no_object(
    folder: StorageReference, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_bytes(CONTENT)
    task = upload_bytes_resumable(ref(folder, "a"), path)
    await paused(task)
    os.truncate(path, 1000)
    task.resume()
    assert await fails(task) == "storage/cannot-slice-blob"
    with pytest.raises(StorageError, match="object-not-found"):
        await get_metadata(ref(folder, "a"))


class Failing(io.BytesIO):
    """A file on a disk that fails."""

    def read(self, size: int | None = -1) -> bytes:
        raise OSError("input/output error")


async def test_a_file_that_cannot_be_read_is_an_error(folder: StorageReference) -> None:
    task = upload_bytes_resumable(ref(folder, "a"), Failing(b"x"))
    with pytest.raises(StorageError, match="input/output error"):
        await task


async def test_what_is_no_bytes_is_refused_at_once(
    folder: StorageReference, tmp_path: Path
) -> None:
    a = ref(folder, "a")
    for data in ("text", io.StringIO("text"), 7, tmp_path / "none", tmp_path):
        wrong: BinaryIO = data  # type: ignore[assignment]
        with pytest.raises(StorageError, match="storage/invalid-argument"):
            upload_bytes_resumable(a, wrong)
    with pytest.raises(StorageError, match="storage/invalid-root-operation"):
        upload_bytes_resumable(a.root, b"x")
    with pytest.raises(StorageError, match="storage/invalid-argument"):
        upload_bytes_resumable(a, b"x").on("progress")  # type: ignore[arg-type]


async def test_deleting_the_app_ends_its_uploads(
    make_app: MakeApp, open_server: Server, unique: str
) -> None:
    app = make_app(open_server.host)
    task = upload_bytes_resumable(ref(get_storage(app), unique), CONTENT)
    await paused(task)
    await delete_app(app)
    assert await fails(task) == "storage/canceled"
