"""What requests that are still arriving may hold of the process's memory, all connections together.

A connection's flow-control window bounds what its peer may send unasked; but a message is asked for piece by
piece until it is whole, so that many calls could each have 10 MiB half arrived. Memory is counted as it
arrives, not as it is announced: whoever wants to use it up must send it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from baas.errors import ResourceExhausted

PIECE: Final = 256 * 1_024
"""Bytes that are asked for at once; messages up to this size are not counted."""


class Assembly:
    """Counts the bytes of messages that are not whole yet. One for all surfaces' calls of a process."""

    def __init__(self, limit: int = 256 * 1_048_576) -> None:
        """``limit``: bytes at one time."""
        self._limit = limit
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes that are held now."""
        return self._held

    async def read(self, receive: Callable[[int], Awaitable[bytes]], length: int) -> bytes:
        """A message of a length, put together of what ``receive`` gives.

        Raises:
            ResourceExhausted: too much has half arrived, in this call and all others.
        """
        if length <= PIECE:
            return await receive(length)
        pieces = []
        taken = 0
        try:
            while taken < length:
                size = min(PIECE, length - taken)
                pieces.append(await receive(size))
                taken += size
                self._hold(size)
            return b"".join(pieces)
        finally:
            self._held -= taken

    @contextlib.contextmanager
    def arriving(self) -> Iterator[Callable[[int], None]]:
        """Count a message that comes in pieces of its sender's choosing, until the block is left.

        Gives a function that is told its size so far, and raises ``ResourceExhausted`` as :meth:`read` does.
        """
        counted = 0

        def so_far(size: int) -> None:
            nonlocal counted
            if size > PIECE:
                grown, counted = size - counted, size
                self._hold(grown)

        try:
            yield so_far
        finally:
            self._held -= counted

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > self._limit:
            raise ResourceExhausted(
                "The server is receiving too many large requests at once: try again later."
            )
