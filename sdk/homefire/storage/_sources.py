"""Where the bytes of a resumable upload come from: read a piece at a time, and again where one was lost."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

from homefire.errors import StorageError

ResumableData: TypeAlias = bytes | bytearray | memoryview | BinaryIO | os.PathLike[str]


class Source(Protocol):
    """Bytes by their offset."""

    size: int | None
    """How many bytes there are; ``None`` where only the end will tell."""

    in_memory: bool
    """Whether reading never waits for a disk or a peer."""

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset`` on; fewer only at the end. Raises ``StorageError``."""

    def close(self) -> None:
        """Let go of what was opened for this upload."""


class MemorySource:
    """Bytes that the caller holds already; not copied but piece by piece."""

    in_memory = True

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(data).cast("B")
        self.size: int | None = len(self._view)

    def read(self, offset: int, size: int) -> bytes:
        """See :class:`Source`."""
        return bytes(self._view[offset : offset + size])

    def close(self) -> None:
        """Release the view, so that a ``bytearray`` may be resized again."""
        self._view.release()


class FileSource:
    """An open file that can be gone back in, from where it stands now to its present end."""

    in_memory = False

    def __init__(self, file: BinaryIO, *, owned: bool) -> None:
        self._file = file
        self._owned = owned
        self._start = file.tell()
        self._total = max(0, file.seek(0, os.SEEK_END) - self._start)
        file.seek(self._start)
        self.size: int | None = self._total

    def read(self, offset: int, size: int) -> bytes:
        """See :class:`Source`."""
        wanted = min(size, self._total - offset)
        self._file.seek(self._start + offset)
        content = read_fully(self._file, wanted)
        if len(content) < wanted:
            raise StorageError(
                "storage/cannot-slice-blob", "The file has become shorter while it was uploaded."
            )
        return content

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._owned:
            self._file.close()


class StreamSource:
    """A pipe or another file that only goes forward; the piece under way is kept for another try."""

    in_memory = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._kept = b""
        self._offset = 0
        self.size: int | None = None

    def read(self, offset: int, size: int) -> bytes:
        """See :class:`Source`."""
        skip = offset - self._offset
        if not 0 <= skip <= len(self._kept):
            raise StorageError(
                "storage/cannot-slice-blob",
                "The server asks again for bytes of a stream that cannot be gone back in.",
            )
        kept = self._kept[skip:]
        self._kept = kept + read_fully(self._file, size - len(kept))
        self._offset = offset
        return self._kept[:size]

    def close(self) -> None:
        """Nothing was opened here."""


def read_fully(file: BinaryIO, size: int) -> bytes:
    """So many bytes of a file, however few come at a time; fewer only at its end."""
    pieces: list[bytes] = []
    missing = size
    while missing > 0:
        piece = file.read(missing)
        if not isinstance(piece, bytes):
            raise StorageError(
                "storage/invalid-argument", "The file must be open for reading, in binary mode."
            )
        if not piece:
            break
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def source_of(data: ResumableData) -> Source:
    """The source of what a caller gave; raises ``storage/invalid-argument``."""
    if isinstance(data, bytes | bytearray | memoryview):
        return MemorySource(data)
    if isinstance(data, os.PathLike):
        return _told(lambda: _of_path(Path(data)))
    if hasattr(data, "read") and not _is_text(data):
        return _told(lambda: _of_file(data))
    raise StorageError(
        "storage/invalid-argument",
        "Upload bytes, a pathlib.Path, or a file that was opened in binary mode.",
    )


def _is_text(file: object) -> bool:
    return isinstance(file, io.TextIOBase)


def _of_path(path: Path) -> Source:
    with contextlib.ExitStack() as stack:
        source = FileSource(stack.enter_context(path.open("rb")), owned=True)
        stack.pop_all()
        return source


def _of_file(file: BinaryIO) -> Source:
    seekable = getattr(file, "seekable", None)
    if seekable is not None and seekable():
        return FileSource(file, owned=False)
    return StreamSource(file)


def _told(make: Callable[[], Source]) -> Source:
    try:
        return make()
    except (OSError, ValueError) as error:
        raise StorageError(
            "storage/invalid-argument", f"The file cannot be read: {error}."
        ) from error
