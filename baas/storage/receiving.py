"""Bytes from a client to a durable blob: hashed on the way, counted, never more than a few in memory."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import google_crc32c

from baas.errors import InvalidArgument
from baas.storage.blobs.base import BlobStore, BlobWriter
from baas.storage.errors import ClientGone, TooLarge, TooSlow
from baas.storage.model import Hashes, Segment
from baas.storage.options import StorageOptions
from baas.storage.pacing import paced

if TYPE_CHECKING:
    from hashlib import _Hash

BLOCK_SIZE = 1024 * 1024
"""Bytes that are hashed and written in one go."""

_HASH_INLINE = 32 * 1024


def new_md5() -> _Hash:
    """MD5 as a checksum, not for security."""
    return hashlib.md5(usedforsecurity=False)


@dataclass(slots=True)
class Digest:
    """The running checksums of a stream."""

    md5: _Hash = field(default_factory=new_md5)
    crc32c: int = 0
    whole: bool = True
    """Whether the MD5 has seen the stream from its first byte on; the CRC always has."""

    def update(self, block: bytes) -> None:
        """Add bytes."""
        self.md5.update(block)
        self.crc32c = google_crc32c.extend(self.crc32c, block)

    def copy(self) -> Digest:
        """A digest that goes its own way from here."""
        return Digest(self.md5.copy(), self.crc32c, self.whole)

    def require(self, declared: Hashes) -> None:
        """Raises:
        InvalidArgument: a declared checksum is not that of the bytes.
        """
        if declared.md5 is not None and declared.md5 != self.md5.digest():
            raise InvalidArgument("The bytes do not match the declared MD5; nothing was stored.")
        if declared.crc32c is not None and declared.crc32c != self.crc32c:
            raise InvalidArgument("The bytes do not match the declared CRC32C; nothing was stored.")


@dataclass(frozen=True, slots=True)
class ReceivedBlob:
    """A durable blob, the stream's checksums up to its end, and what cut the stream short, if anything.

    There is no blob, and no segment, where no byte came.
    """

    segment: Segment | None
    digest: Digest
    cut_short: ClientGone | TooSlow | None = None


class Receiver:
    """Turns streams into blobs."""

    def __init__(self, blobs: BlobStore, options: StorageOptions) -> None:
        self._blobs = blobs
        self._options = options
        self._hashers = ThreadPoolExecutor(2, thread_name_prefix="hash")

    async def receive(
        self,
        source: AsyncIterator[bytes],
        *,
        room: int,
        exactly: int | None = None,
        digest: Digest | None = None,
        keep_partial: bool = False,
    ) -> ReceivedBlob:
        """Store a stream as a blob, which is durable when this returns.

        Args:
            room: more bytes than this are refused as soon as they come.
            exactly: the number of bytes that must come, where it is known.
            digest: checksums so far, for a stream that goes on; it is changed.
            keep_partial: keep what came from a client that went away or fell asleep.

        Raises:
            TooLarge, InvalidArgument: more bytes than the room, or not exactly so many.
            ClientGone, TooSlow: see ``keep_partial``.
            BlobsUnavailable: the backend could not take them.
        """
        transfer = _Transfer(
            await self._blobs.create(), digest or Digest(), self._hashers, room, exactly
        )
        cut_short: ClientGone | TooSlow | None = None
        try:
            try:
                async with contextlib.aclosing(paced(source, self._options)) as chunks:
                    async for chunk in chunks:
                        await transfer.add(chunk)
            except (ClientGone, TooSlow) as error:
                if not keep_partial:
                    raise
                cut_short = error
            size = await transfer.finish(complete=cut_short is None)
        except BaseException:
            # not even a cancelled request may leave a half-written blob behind
            await asyncio.shield(asyncio.ensure_future(transfer.abort()))
            raise
        segment = Segment(transfer.writer.name, size) if size else None
        return ReceivedBlob(segment, transfer.digest, cut_short)

    async def digest_of(self, source: AsyncIterator[bytes]) -> Digest:
        """The checksums of bytes that are stored already."""
        digest = Digest()
        loop = asyncio.get_running_loop()
        async for chunk in source:
            await loop.run_in_executor(self._hashers, digest.update, chunk)
        return digest

    async def copy(self, source: AsyncIterator[bytes]) -> str:
        """A blob of bytes that are stored already; answers its name.

        Raises:
            BlobsUnavailable: the backend could not take them.
        """
        writer = await self._blobs.create()
        try:
            async for chunk in source:
                await writer.write(chunk)
            await writer.finish()
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(writer.abort()))
            raise
        return writer.name

    async def close(self) -> None:
        """Let the threads go."""
        await asyncio.to_thread(self._hashers.shutdown)


class _Transfer:
    """One stream on its way: while a block is hashed and written, the next one gathers."""

    def __init__(
        self,
        writer: BlobWriter,
        digest: Digest,
        hashers: ThreadPoolExecutor,
        room: int,
        exactly: int | None,
    ) -> None:
        self.writer = writer
        self.digest = digest
        self._hashers = hashers
        self._room = room
        self._exactly = exactly
        self._size = 0
        self._gathered: list[bytes] = []
        self._gathered_size = 0
        self._storing: asyncio.Task[None] | None = None

    async def add(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._room:
            raise TooLarge("The object is larger than an object may be here.")
        if self._exactly is not None and self._size > self._exactly:
            raise InvalidArgument(
                f"More bytes came than the {self._exactly} that were declared; nothing was stored."
            )
        if (
            self._gathered_size >= BLOCK_SIZE
        ):  # not before more comes: the last block goes with the end
            block = self._take()
            await self._stored()
            self._storing = asyncio.create_task(self._hash_while(block, self.writer.write(block)))
        self._gathered.append(chunk)
        self._gathered_size += len(chunk)

    def _take(self) -> bytes:
        """The bytes that have gathered."""
        block = b"".join(self._gathered)
        self._gathered.clear()
        self._gathered_size = 0
        return block

    async def _hash_while(self, block: bytes, writing: Coroutine[Any, Any, None]) -> None:
        """Add a block to the checksums; a large one on another thread, while it is written."""
        if len(block) <= _HASH_INLINE:
            self.digest.update(block)
            await writing
            return
        hashing = asyncio.get_running_loop().run_in_executor(
            self._hashers, self.digest.update, block
        )
        try:
            await writing
        finally:
            await hashing

    async def _stored(self) -> None:
        storing = self._storing
        if storing is not None:
            await asyncio.shield(storing)
            self._storing = None

    async def finish(self, *, complete: bool) -> int:
        if complete and self._exactly is not None and self._size != self._exactly:
            raise InvalidArgument(
                f"{self._size} bytes came instead of the {self._exactly} that were declared;"
                " nothing was stored."
            )
        rest = self._take()
        await self._stored()
        if self._size:
            await self._hash_while(rest, self.writer.finish(rest))
        else:
            await self.writer.abort()
        return self._size

    async def abort(self) -> None:
        if self._storing is not None:
            # what went wrong there was raised to the caller, or matters no more
            await asyncio.gather(self._storing, return_exceptions=True)
        await self.writer.abort()
