"""The one small interface behind which bytes are kept.

A blob is written once, under a fresh random name, and never changed. It exists for readers only from
:meth:`BlobWriter.finish` on, and is durable from then on; what was not finished is garbage. No name is
ever made from something that a user said.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from baas.errors import Unavailable

READ_SIZE = 1024 * 1024
"""Bytes of a chunk that readers are given, at most."""

_NAME = re.compile(r"[0-9a-f]{32}")


class BlobMissing(Exception):
    """There is no such blob."""


class BlobsUnavailable(Unavailable):
    """The backend does not answer, or cannot write now; a retry may succeed."""


class BlobsFull(BlobsUnavailable):
    """The backend has no room left."""


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """A blob as the backend shows it; ``modified`` in seconds since the epoch, ``md5`` where it is known."""

    name: str
    size: int
    modified: float
    md5: bytes | None = None


class BlobWriter(Protocol):
    """A blob in the making. Calls come one after another; after ``finish`` or ``abort`` none."""

    @property
    def name(self) -> str:
        """The name that the blob will have."""

    async def write(self, block: bytes) -> None:
        """Append. May return before the bytes are anywhere durable; holds few of them in memory.

        Raises:
            BlobsFull: no room left.
            BlobsUnavailable: the backend does not answer.
        """

    async def finish(self, rest: bytes = b"") -> None:
        """Append the rest, make the blob durable and let it be read; if it raises, as ``write`` does, there
        is no blob."""

    async def abort(self) -> None:
        """Drop what was written. Never raises for a backend that is down: the sweep finds what is left."""


class BlobStore(Protocol):
    """A backend."""

    async def start(self) -> None:
        """Check that the backend is there and can be written; prepare it.

        Raises:
            BlobsUnavailable: it is not, and the message says what to look at.
        """

    async def create(self) -> BlobWriter:
        """Begin a new blob."""

    def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to, not including, ``end``, in chunks of at most ``READ_SIZE``.

        Raises (at the first chunk, or later if the backend fails on the way):
            BlobMissing: there is no such blob.
            BlobsUnavailable: the backend does not answer.
        """

    def held(self, name: str, start: int, end: int) -> bytes | None:
        """The bytes from ``start`` up to ``end``, where they can be had on the spot, without waiting for
        anything; ``None``: :meth:`read` them.

        Raises:
            BlobMissing: there is no such blob.
            BlobsUnavailable: the backend does not answer.
        """

    async def delete(self, name: str) -> None:
        """Delete a blob; no error if there is none."""

    def list(self) -> AsyncIterator[BlobInfo]:
        """All finished blobs, in no order; those that come or go meanwhile may be missing."""

    async def sweep_unfinished(self, older_than: float) -> int:
        """Drop writes that were begun more than so many seconds ago and left; answers how many."""

    async def presigned_url(
        self, name: str, lifetime: float, response_headers: dict[str, str]
    ) -> str | None:
        """An address at which anybody can read the blob for so long; ``None`` if there is no such thing.

        ``response_headers``: ``Content-Type`` and its like, that the backend is to answer with.
        """

    async def presigned_put(self, name: str, size: int, crc32c: int, lifetime: float) -> str | None:
        """An address at which anybody can write this one blob, once, for so long; ``None`` if there is no
        such thing. The backend takes exactly so many bytes, with this checksum (:func:`direct_headers`), or
        none.
        """

    async def stat(self, name: str) -> BlobInfo:
        """What is there under a name.

        Raises:
            BlobMissing: nothing. BlobsUnavailable.
        """

    async def close(self) -> None:
        """Let go of connections and threads."""


def direct_headers(crc32c: int) -> dict[str, str]:
    """What a client that was given a ``presigned_put`` sends along, beside the length."""
    checksum = base64.b64encode(crc32c.to_bytes(4, "big")).decode()
    return {"if-none-match": "*", "x-amz-checksum-crc32c": checksum}


def new_name() -> str:
    """A fresh blob name."""
    return secrets.token_hex(16)


def is_name(name: str) -> bool:
    """Whether this is a blob's name, and so harmless in a path."""
    return _NAME.fullmatch(name) is not None
