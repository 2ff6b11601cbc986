"""Blobs as files in a folder.

``incoming/`` holds blobs in the making, ``blobs/xx/`` the finished ones, by the first two digits of their
names. Finishing flushes the file, renames it and flushes the folder: after a power loss a blob is there
whole or not at all. The file system's calls run on a small pool of threads. What memory holds already
(the page cache) is also read on the event loop, which costs less than having a thread do it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, cast

from baas.storage.blobs.base import (
    READ_SIZE,
    BlobInfo,
    BlobMissing,
    BlobsFull,
    BlobsUnavailable,
    is_name,
    new_name,
)

if sys.platform == "linux":
    import resource

T = TypeVar("T")

log = logging.getLogger(__name__)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LIST_BATCH = 512
FLUSH_EVERY = 32 * 1024 * 1024
"""Bytes after which a file is flushed while it still grows: the disk works while the network does, and no
more than twice as many are ever left to flush."""
_HELD: int | None = getattr(os, "RWF_NOWAIT", None)
"""The flag of ``os.preadv`` for *what memory holds, without waiting*, where there is such a thing (Linux)."""
_SLOW_SECONDS = 0.01
"""Opening a file that takes longer, and waits meanwhile, waited for its disk."""
_SLOW_FOR_SECONDS = 1.0
"""For how long nothing is then opened on the event loop."""


class FilesystemBlobs:
    """Blobs below a folder, made if missing; see :class:`baas.storage.blobs.base.BlobStore`."""

    def __init__(self, root: Path, *, threads: int = 8) -> None:
        self._incoming = root / "incoming"
        self._blobs = root / "blobs"
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="blobs")
        self._pace = _Pace()

    async def start(self) -> None:
        """See :meth:`baas.storage.blobs.base.BlobStore.start`."""
        await self.run(self._prepare)

    def _prepare(self) -> None:
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._blobs.mkdir(exist_ok=True, mode=0o700)
        for number in range(256):  # made once, so that finishing a blob flushes one folder only
            (self._blobs / f"{number:02x}").mkdir(exist_ok=True, mode=0o700)
        for folder in (self._blobs, self._incoming.parent, self._incoming.parent.parent):
            _flush_folder(folder)
        probe = self._incoming / new_name()
        probe.touch()
        probe.unlink()

    async def create(self) -> _FileWriter:
        """See :meth:`baas.storage.blobs.base.BlobStore.create`."""
        name = new_name()
        return _FileWriter(self, name, self._incoming / name, self._path(name))

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See :meth:`baas.storage.blobs.base.BlobStore.read`."""
        path = self._path(name)
        if end is not None and end <= start:
            await self.run(path.stat)  # a missing blob is told all the same
            return
        descriptor, chunk = await self._begin(path, start, _wanted(start, end))
        position = start
        try:
            while chunk:
                position += len(chunk)
                yield chunk
                if descriptor is None or (wanted := _wanted(position, end)) == 0:
                    return
                # both are read on the pool's thread before they change here
                chunk = await self.run(lambda: os.pread(descriptor, wanted, position))  # noqa: B023
        finally:
            if descriptor is not None:
                os.close(descriptor)  # closing a file that was only read does not block

    def held(self, name: str, start: int, end: int) -> bytes | None:
        """See :meth:`baas.storage.blobs.base.BlobStore.held`."""
        if end - start > READ_SIZE or not self._pace.is_quick():
            return None
        with _in_own_words(), self._pace:
            return _read_held(self._path(name), start, end - start)

    async def _begin(self, path: Path, start: int, wanted: int) -> tuple[int | None, bytes]:
        """Open a file and read its first chunk, in one go; no descriptor is left open for the last one."""

        def begin() -> tuple[int | None, bytes]:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                chunk = os.pread(descriptor, wanted, start)
            except BaseException:
                os.close(descriptor)
                raise
            if len(chunk) == wanted < READ_SIZE or not chunk:
                os.close(descriptor)
                return None, chunk
            return descriptor, chunk

        beginning = asyncio.ensure_future(self.run(begin))
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:  # nobody is left to close what is being opened
            beginning.add_done_callback(_close_opened)
            raise

    async def delete(self, name: str) -> None:
        """See :meth:`baas.storage.blobs.base.BlobStore.delete`."""
        with contextlib.suppress(BlobMissing):
            await self.run(self._path(name).unlink)

    async def list(self) -> AsyncIterator[BlobInfo]:
        """See :meth:`baas.storage.blobs.base.BlobStore.list`."""
        infos = self._scan()
        while batch := await self.run(lambda: _take(infos, _LIST_BATCH)):
            for info in batch:
                yield info

    def _scan(self) -> Iterator[BlobInfo]:
        for folder in sorted(self._blobs.iterdir()):
            yield from _infos(folder)

    async def sweep_unfinished(self, older_than: float) -> int:
        """See :meth:`baas.storage.blobs.base.BlobStore.sweep_unfinished`."""
        return await self.run(lambda: self._sweep(time.time() - older_than))

    def _sweep(self, before: float) -> int:
        left = [info for info in _infos(self._incoming) if info.modified < before]
        for info in left:
            (self._incoming / info.name).unlink(missing_ok=True)
        return len(left)

    async def presigned_url(
        self, name: str, lifetime: float, response_headers: dict[str, str]
    ) -> str | None:
        """None: files have no address of their own."""
        return None

    async def presigned_put(self, name: str, size: int, crc32c: int, lifetime: float) -> str | None:
        """None: files have no address of their own."""
        return None

    async def stat(self, name: str) -> BlobInfo:
        """See :meth:`baas.storage.blobs.base.BlobStore.stat`."""
        found = await self.run(self._path(name).stat)
        return BlobInfo(name, found.st_size, found.st_mtime)

    async def close(self) -> None:
        """See :meth:`baas.storage.blobs.base.BlobStore.close`."""
        await asyncio.to_thread(self._pool.shutdown)

    def _path(self, name: str) -> Path:
        if not is_name(name):
            raise BlobMissing(name)
        return self._blobs / name[:2] / name

    async def run(self, function: Callable[[], T]) -> T:
        """Run a function on the pool; its operating-system errors come in the interface's words."""
        with _in_own_words():
            return await asyncio.get_running_loop().run_in_executor(self._pool, function)


class _FileWriter:
    """A file in the making.

    A cancelled call leaves its function running on a thread of the pool; the lock keeps the next one, mostly
    ``abort``, from closing the file under it.
    """

    def __init__(self, blobs: FilesystemBlobs, name: str, path: Path, final: Path) -> None:
        self.name = name
        self._blobs = blobs
        self._path = path
        self._final = final
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._closed = False
        self._unflushed = 0
        self._flushing: asyncio.Task[None] | None = None

    async def write(self, block: bytes) -> None:
        await self._run(lambda: self._write(block))
        self._unflushed += len(block)
        if self._unflushed >= FLUSH_EVERY:
            await self._flushed()
            self._unflushed = 0
            self._flushing = asyncio.create_task(self._blobs.run(self._flush))

    async def finish(self, rest: bytes = b"") -> None:
        await self._flushed()
        await self._run(lambda: self._finish(rest))

    async def abort(self) -> None:
        try:
            # a descriptor is not closed under a thread that flushes it
            with contextlib.suppress(BlobsUnavailable):
                await self._flushed()
            await self._run(self._abort)
        except BlobsUnavailable as error:
            log.warning("an unfinished blob could not be dropped: %s", error)

    async def _flushed(self) -> None:
        """Wait for the flush that is running; a cancelled caller does not cancel it."""
        flushing = self._flushing
        if flushing is not None:
            await asyncio.shield(flushing)
            self._flushing = None

    async def _run(self, function: Callable[[], None]) -> None:
        def locked() -> None:
            with self._lock:
                function()

        try:
            await self._blobs.run(locked)
        except BlobMissing as error:
            raise BlobsUnavailable(
                "The upload's file is gone from the server; try again."
            ) from error

    def _open(self) -> int:
        if self._closed:
            raise ValueError("this blob is finished or aborted")
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)
        return self._descriptor

    def _write(self, block: bytes) -> None:
        descriptor = self._open()
        view = memoryview(block)
        while view:
            view = view[os.write(descriptor, view) :]

    def _flush(self) -> None:
        if self._descriptor is not None:
            os.fdatasync(self._descriptor)

    def _finish(self, rest: bytes) -> None:
        self._write(rest)
        os.fdatasync(self._open())
        self._close()
        os.rename(self._path, self._final)
        _flush_folder(self._final.parent)

    def _abort(self) -> None:
        self._close()
        self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        self._closed = True
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _wanted(position: int, end: int | None) -> int:
    """Bytes of the next chunk."""
    return READ_SIZE if end is None else min(READ_SIZE, end - position)


class _Pace:
    """Whether opening files keeps nobody waiting. Used as a context, it watches what is done in it."""

    def __init__(self) -> None:
        self._began = 0.0
        self._waits = 0
        self._slow_until = 0.0

    def is_quick(self) -> bool:
        """Whether files can be opened on the event loop: none waited long for the disk lately."""
        return _HELD is not None and time.monotonic() >= self._slow_until

    def __enter__(self) -> None:
        self._began, self._waits = time.monotonic(), _waits()

    def __exit__(self, *_: object) -> None:
        now = time.monotonic()
        # what took long without a wait of its own only had no turn on a busy processor
        if now - self._began > _SLOW_SECONDS and _waits() > self._waits:
            self._slow_until = now + _SLOW_FOR_SECONDS


def _waits() -> int:
    """How often this thread has waited for something so far."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw if sys.platform == "linux" else 0


def _read_held(path: Path, start: int, size: int) -> bytes | None:
    """So many bytes of a file, if memory holds all of them."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunk = bytearray(size)
        count = os.preadv(descriptor, (chunk,), start, _HELD or 0)
    except OSError:  # memory holds none of them, or this file system does not tell
        return None
    finally:
        os.close(descriptor)  # closing a file that was only read does not block
    return cast(bytes, chunk) if count == size else None  # nobody changes it any more


@contextlib.contextmanager
def _in_own_words() -> Iterator[None]:
    """The operating system's errors, told in the interface's words."""
    try:
        yield
    except FileNotFoundError as error:
        raise BlobMissing(str(error.filename)) from error
    except OSError as error:
        raise _translated(error) from error


def _close_opened(beginning: asyncio.Future[tuple[int | None, bytes]]) -> None:
    if not beginning.cancelled() and beginning.exception() is None:
        descriptor, _ = beginning.result()
        if descriptor is not None:
            os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _infos(folder: Path) -> Iterator[BlobInfo]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_name(entry.name):
                continue
            try:
                stat = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # deleted since
                continue
            yield BlobInfo(entry.name, stat.st_size, stat.st_mtime)


def _take(infos: Iterator[BlobInfo], count: int) -> list[BlobInfo]:
    return [info for _, info in zip(range(count), infos, strict=False)]


def _translated(error: OSError) -> BlobsUnavailable:
    log.error("the file system refused: %s", error)
    if error.errno in _FULL:
        return BlobsFull("The server's disk is full; nothing was stored.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return BlobsUnavailable("The server may not write to its storage folder.")
    return BlobsUnavailable("The server could not use its storage folder; try again.")
