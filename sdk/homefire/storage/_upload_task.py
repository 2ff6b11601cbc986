"""Uploads that run by themselves: watched, paused, gone on with, cancelled."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from homefire._runtime import (
    Callback,
    Event,
    Hook,
    Outcome,
    invoke_logged,
    logger,
    off_loop,
    wait_at_most,
)
from homefire.errors import StorageError
from homefire.storage import _resumable
from homefire.storage._metadata import FullMetadata, SettableMetadata
from homefire.storage._sources import ResumableData, Source, source_of
from homefire.storage._storage import StorageReference

TaskState: TypeAlias = Literal["running", "paused", "success", "canceled", "error"]
_Wish: TypeAlias = Literal["run", "pause", "cancel"]

CHUNK = 256 * 1024
"""Bytes of the first chunk, and of the first one after a failure; each that arrives doubles the next."""
MAX_CHUNK = 8 * 1024 * 1024
"""Bytes of a chunk at the most: what an upload holds in memory."""
BACKOFF = 0.2
"""Seconds before another try at the most; doubles from one to the next up to ``MAX_BACKOFF``."""
MAX_BACKOFF = 10.0

_ENDS = ("success", "canceled", "error")
_RETRIED = "storage/retry-limit-exceeded"


@dataclass(frozen=True, slots=True)
class UploadTaskSnapshot:
    """How an upload stood at some time. ``total_bytes`` of a stream is what is known of it so far.

    ``metadata`` is there once ``state`` is ``"success"``.
    """

    ref: StorageReference
    state: TaskState
    bytes_transferred: int
    total_bytes: int
    metadata: FullMetadata | None
    task: UploadTask


class UploadTask(Outcome[UploadTaskSnapshot]):
    """An upload under way; had by :func:`upload_bytes_resumable`.

    ``result()`` waits for its end and raises what ended it otherwise: ``storage/canceled``,
    ``storage/unauthorized``, ``storage/retry-limit-exceeded``, ... In the asynchronous SDK
    ``await task`` is the same.
    """

    def __init__(
        self, reference: StorageReference, source: Source, metadata: SettableMetadata | None
    ) -> None:
        super().__init__()
        self._ref = reference
        self._source = source
        self._settable = metadata
        self._lock = threading.Lock()
        self._wanted: _Wish = "run"
        self._wake = Event()
        self._state: TaskState = "running"
        self._offset = 0
        self._size = CHUNK
        self._total = source.size or 0
        self._session: str | None = None
        self._unsure = False
        self._metadata: FullMetadata | None = None
        self._error = StorageError("storage/unknown", "The upload has not ended.")
        self._observers: list[_Observer] = []

    def __repr__(self) -> str:
        return f"UploadTask({self._ref.full_path!r}, {self._state!r})"

    @property
    def snapshot(self) -> UploadTaskSnapshot:
        """How the upload stands now."""
        return UploadTaskSnapshot(
            self._ref, self._state, self._offset, self._total, self._metadata, self
        )

    def on(
        self,
        event: Literal["state_changed"],
        next: Callback[UploadTaskSnapshot] | None = None,
        error: Callback[StorageError] | None = None,
        complete: Hook | None = None,
    ) -> Callable[[], None]:
        """Call back as the upload goes on; returns the function that ends that.

        ``next`` hears how it stands now and after each change while it runs or is paused, then ``error``
        or ``complete`` its end. What a callback raises is logged.
        """
        if event != "state_changed":
            raise StorageError("storage/invalid-argument", f"There is no event {event!r}.")
        observer = _Observer(next, error, complete)
        with self._lock:
            observer.tell(self.snapshot, self._error)
            if self._state not in _ENDS:
                self._observers.append(observer)
        self._ref.storage._background.start(observer.pump)
        return observer.close

    def pause(self) -> bool:
        """Stop after the chunk that is on its way; whether that is of any effect."""
        return self._want("pause", after=("run",))

    def resume(self) -> bool:
        """Go on after :meth:`pause`; whether that is of any effect."""
        return self._want("run", after=("pause",))

    def cancel(self) -> bool:
        """Give up after the chunk that is on its way; whether that is of any effect.

        If that chunk was the last one and arrives, the upload has succeeded nevertheless.
        """
        return self._want("cancel", after=("run", "pause"))

    def _want(self, what: _Wish, *, after: tuple[_Wish, ...]) -> bool:
        with self._lock:
            if self._wanted not in after or self._state in _ENDS:
                return False
            self._wanted = what
            self._wake.set()
            return True

    async def _run(self) -> None:
        """Do the work: to the end, whatever that is."""
        try:
            self._metadata = self._checked(await self._upload())
            self._end("success")
        except _Canceled:
            await self._give_up()
            self._end("canceled", canceled())
        except StorageError as error:
            self._end("error", error)
        except Exception as error:
            failure = StorageError("storage/unknown", f"The upload has failed: {error!r}.")
            failure.__cause__ = error
            self._end("error", failure)

    def _shut(self) -> None:
        """The app is gone: end at once."""
        self.cancel()
        self._end("canceled", canceled())

    async def _upload(self) -> FullMetadata:
        furthest, progress, failures = 0, time.monotonic(), 0
        while True:
            if await self._held_up():
                progress = time.monotonic()
            error: StorageError | None = None
            try:
                metadata = await self._step()
                if metadata is not None:
                    return metadata
            except StorageError as failure:
                error = failure
            if self._offset > furthest:
                furthest, progress, failures = self._offset, time.monotonic(), 0
            if error is None:
                continue
            left = progress + self._ref.storage.max_upload_retry_time / 1000 - time.monotonic()
            if error.code != _RETRIED or left <= 0:
                raise error
            self._unsure, self._size = self._session is not None, CHUNK
            failures += 1
            longest = min(BACKOFF * 2 ** min(failures, 10), MAX_BACKOFF, left)
            self._wake.clear()
            if self._wanted == "run":
                await wait_at_most(self._wake, random.uniform(longest / 2, longest))

    async def _step(self) -> FullMetadata | None:
        """One request: the beginning, a question, or a chunk. The object, once it is one."""
        if self._session is None:
            self._session = await _resumable.start(self._ref, self._source.size, self._settable)
            return None
        if self._unsure:
            standing = await _resumable.query(self._ref, self._session)
            self._unsure = False
            self._moved(standing.received)
            return standing.metadata
        before, size = self._offset, self._size
        chunk = await self._read(before, size)
        end = before + len(chunk)
        self._total = max(self._total, end)
        last = len(chunk) < size or end == self._source.size
        standing = await _resumable.send(self._ref, self._session, chunk, before, last=last)
        self._moved(standing.received)
        if standing.metadata is None and standing.received <= before:
            raise StorageError(_RETRIED, "The server did not take a part of the upload.")
        self._size = min(size * 2, MAX_CHUNK)
        return standing.metadata

    async def _read(self, offset: int, size: int) -> bytes:
        if self._source.in_memory:
            return self._source.read(offset, size)
        return await off_loop(lambda: self._source.read(offset, size))

    def _checked(self, metadata: FullMetadata) -> FullMetadata:
        if metadata.size != self._total:
            raise StorageError(
                "storage/server-file-wrong-size",
                f"The server has {metadata.size} bytes of the {self._total} that were uploaded.",
            )
        return metadata

    async def _held_up(self) -> bool:
        """Wait while the upload is to be paused; whether it was. Raises :class:`_Canceled`."""
        paused = False
        while self._wanted == "pause":
            self._wake.clear()
            if self._wanted == "pause":
                paused = True
                self._become("paused")
                await self._wake.wait()
        if self._wanted == "cancel":
            raise _Canceled
        if paused:
            self._become("running")
        return paused

    async def _give_up(self) -> None:
        if self._session is None:
            return
        try:
            await _resumable.abandon(self._ref, self._session)
        except StorageError as error:  # The server frees it by itself in the end.
            logger.debug("The server was not told of a cancelled upload: %s", error)

    def _moved(self, received: int) -> None:
        if received != self._offset:
            self._offset = received
            self._tell()

    def _become(self, state: TaskState) -> None:
        if self._state != state:
            self._state = state
            self._tell()

    def _end(self, state: TaskState, error: StorageError | None = None) -> None:
        with self._lock:
            if self._state in _ENDS:
                return
            self._state = state
            self._error = error or self._error
        self._source.close()
        self._ref.storage._uploads.discard(self)
        if error is None:
            self._succeed(self.snapshot)
        else:
            self._fail(error)
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            for observer in self._observers:
                observer.tell(self.snapshot, self._error)
            self._observers = [item for item in self._observers if not item.closed]


class _Observer:
    """The callbacks of one ``on()``, called one after the other, apart from the upload itself."""

    def __init__(
        self,
        next: Callback[UploadTaskSnapshot] | None,
        error: Callback[StorageError] | None,
        complete: Hook | None,
    ) -> None:
        self.closed = False
        self._next, self._error, self._complete = next, error, complete
        self._news: deque[tuple[UploadTaskSnapshot, StorageError]] = deque()
        self._arrived = Event()

    def tell(self, snapshot: UploadTaskSnapshot, error: StorageError) -> None:
        """Take what is to be told; ``error`` counts where the upload has failed."""
        self._news.append((snapshot, error))
        self._arrived.set()

    def close(self) -> None:
        """Tell no more."""
        self.closed = True
        self._arrived.set()

    async def pump(self) -> None:
        """Call back until the end."""
        while not self.closed:
            await self._arrived.wait()
            self._arrived.clear()
            while self._news and not self.closed:
                snapshot, error = self._news.popleft()
                await self._call(snapshot, error)
                if snapshot.state in _ENDS:
                    return

    async def _call(self, snapshot: UploadTaskSnapshot, error: StorageError) -> None:
        if snapshot.state in ("running", "paused"):
            if self._next is not None:
                await invoke_logged(self._next, snapshot)
        elif snapshot.state == "success":
            complete = self._complete
            if complete is not None:
                await invoke_logged(lambda _: complete(), snapshot)
        elif self._error is not None:
            await invoke_logged(self._error, error)


class _Canceled(Exception):
    """The caller wants no more of it."""


def canceled() -> StorageError:
    """The error of an upload that was cancelled."""
    return StorageError("storage/canceled", "The upload was cancelled.")


def upload_bytes_resumable(
    reference: StorageReference,
    data: ResumableData,
    metadata: SettableMetadata | None = None,
) -> UploadTask:
    """Begin to upload an object in chunks, which goes on over lost connections and a server's restart.

    ``data`` is bytes, a ``pathlib.Path``, or an open binary file, read from where it stands, a chunk of at
    most 8 MiB at a time. Tried again until nothing has moved for the storage's ``max_upload_retry_time``.
    """
    reference._object_url("upload_bytes_resumable")
    source = source_of(data)
    task = UploadTask(reference, source, metadata)
    reference.storage._uploads.add(task)
    try:
        reference.storage._background.start(task._run)
    except RuntimeError:  # No event loop is running, or no thread is to be had.
        task._shut()
        raise
    return task
