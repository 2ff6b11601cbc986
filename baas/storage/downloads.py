"""An object's bytes, from its segments."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import cast

from baas.errors import DataLoss
from baas.storage.blobs.base import BlobMissing, BlobStore
from baas.storage.leases import BlobLeases
from baas.storage.model import Segment, StoredObject


@dataclass(frozen=True, slots=True)
class Download:
    """An object that the caller may read, as it was at one moment."""

    stored: StoredObject
    segments: tuple[Segment, ...]


async def read_segments(
    blobs: BlobStore, segments: Sequence[Segment], start: int, end: int
) -> AsyncIterator[bytes]:
    """The bytes from ``start`` up to, not including, ``end`` of what the segments hold together.

    Raises:
        BlobMissing: a blob is gone.
        DataLoss: a blob is shorter than its row says.
    """
    position = 0
    for segment in segments:
        begin, stop = max(start - position, 0), min(end - position, segment.size)
        position += segment.size
        if begin >= stop:
            continue
        left = stop - begin
        chunks = cast(AsyncGenerator[bytes, None], blobs.read(segment.blob, begin, stop))
        try:
            async for chunk in chunks:
                left -= len(chunk)
                yield chunk
        finally:
            await chunks.aclose()
        if left:
            raise DataLoss(f"{left} bytes of a stored blob are missing.")


async def read_leased(
    blobs: BlobStore, leases: BlobLeases, segments: Sequence[Segment], start: int, end: int
) -> AsyncIterator[bytes]:
    """The same, with the blobs kept until the reader is done.

    Raises:
        BlobMissing: as the first chunk is asked for: the object was overwritten since, look again.
        DataLoss: later.
    """
    begun = False
    with leases.reading(segment.blob for segment in segments):
        chunks = cast(AsyncGenerator[bytes, None], read_segments(blobs, segments, start, end))
        try:
            async for chunk in chunks:
                begun = True
                yield chunk
        except BlobMissing as error:
            if begun:
                raise DataLoss("A blob of this object is missing.") from error
            raise
        finally:
            await chunks.aclose()
