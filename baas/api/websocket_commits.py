"""The commits of one WebSocket connection: made in the order sent, answered in the order sent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import orjson

from baas.errors import ApiError, ResourceExhausted
from baas.model.write import CommitResult
from baas.wire.json_codec import commit_result_to_json

MakeCommit = Callable[[], Coroutine[Any, Any, CommitResult]]


@dataclass(slots=True)
class _Entry:
    request_id: int
    size: int
    make: MakeCommit
    task: asyncio.Task[CommitResult] | None = None


class CommitRow:
    """Commits under way. A few are handed to the database before the first is done: it makes them in
    that order, and with one flush, so a client that does not wait is not slowed by the disk."""

    def __init__(
        self, answer: Callable[[bytes], None], *, limit: int, limit_bytes: int, ahead: int
    ) -> None:
        self._answer = answer
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._ahead = ahead
        self._row: deque[_Entry] = deque()
        self._bytes = 0
        self._begun = 0
        self._runner: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._room.set()

    def add(self, request_id: int, size: int, make: MakeCommit) -> None:
        """Put a commit of ``size`` bytes at the end.

        Raises:
            ResourceExhausted: too many are under way.
        """
        if len(self._row) >= self._limit:
            raise ResourceExhausted(
                f"At most {self._limit} commits may be under way on one connection."
            )
        self._row.append(_Entry(request_id, size, make))
        self._bytes += size
        if self._bytes > self._limit_bytes:
            self._room.clear()
        self._begin()
        if self._runner is None or self._runner.done():
            self._runner = asyncio.ensure_future(self._run())

    async def room(self) -> None:
        """Wait until more bytes may come."""
        await self._room.wait()

    def cancel(self) -> None:
        """The client is gone. Commits that were begun are made all the same; the rest are not."""
        if self._runner is not None:
            self._runner.cancel()
        self._row.clear()

    def _begin(self) -> None:
        while self._begun < min(self._ahead, len(self._row)):
            entry = self._row[self._begun]
            entry.task = asyncio.ensure_future(entry.make())
            entry.task.add_done_callback(_retrieve)
            self._begun += 1

    async def _run(self) -> None:
        while self._row:
            entry = self._row[0]
            assert entry.task is not None
            try:
                result = await asyncio.shield(entry.task)
            except ApiError as error:
                answer: dict[str, Any] = error.envelope()
            else:
                answer = commit_result_to_json(result)
            self._row.popleft()
            self._begun -= 1
            self._bytes -= entry.size
            if self._bytes <= self._limit_bytes:
                self._room.set()
            self._answer(orjson.dumps({"commitResult": {"requestId": entry.request_id, **answer}}))
            self._begin()


def _retrieve(task: asyncio.Task[CommitResult]) -> None:
    """Whether anybody still waits for it or not, the outcome has been seen."""
    if not task.cancelled():
        task.exception()
