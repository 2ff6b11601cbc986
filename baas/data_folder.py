"""The folder that holds all of a server's state: database, objects, keys. One process at a time."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

try:
    import fcntl
except ImportError:  # Windows: SQLite's own locks still keep the database whole
    fcntl = None  # type: ignore[assignment]


class FolderError(Exception):
    """The data folder cannot be used; the message says why and what to do."""


class DataFolder:
    """A locked data folder. Use as a context manager; leaving it gives the lock back."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.path / "homefire.db"

    @property
    def objects(self) -> Path:
        """The folder of stored objects."""
        return self.path / "objects"

    def __enter__(self) -> Self:
        """Make the folder if it is missing, and lock it.

        Raises:
            FolderError: it cannot be made or written, or another process has it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self.path / "homefire.lock", os.O_RDWR | os.O_CREAT, 0o600)
            # SQLite gives the files beside it the rights of this one.
            self.database.touch(mode=0o600)
        except OSError as error:
            raise FolderError(
                f"data: the folder {self.path} cannot be used: {error.strerror}"
            ) from error
        if fcntl is not None:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(self._lock)
                self._lock = None
                raise FolderError(
                    f"data: another process is using {self.path}; stop it, or name another folder"
                ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
