"""A full disk: writes fail with a clear error, reads go on, nothing is corrupted."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from baas.db.sqlite import SqliteDatabase
from baas.documents import integrity
from baas.documents.service import DocumentStore
from baas.errors import Unavailable
from tests.integration.documents.helpers import OpenAccess, commit, fields_of, found, put, query


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 3 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.crash
async def test_a_full_disk_refuses_writes_and_harms_nothing(
    migrated_file: Path, small_disk: Path
) -> None:
    path = small_disk / "homefire.db"
    shutil.copy(migrated_file, path)
    database = await SqliteDatabase.open(path)
    store = DocumentStore(database, OpenAccess())
    acknowledged = 0
    failure: Unavailable | None = None
    while failure is None:
        fields = {"text": "x" * 50_000, "n": acknowledged}
        try:
            await commit(store, put(f"c/{acknowledged:04}", fields))
        except Unavailable as error:
            failure = error
        else:
            acknowledged += 1
    assert "disk is full" in failure.message
    assert acknowledged > 0
    assert len(await found(store, query("c"))) == acknowledged
    with pytest.raises(Unavailable):
        await commit(store, put("c/another", {"text": "x" * 500_000}))
    first = await fields_of(store, "c/0000")
    assert first is not None
    assert first["n"] == 0
    await database.close()

    elsewhere = small_disk.parent / "more-room.db"
    shutil.copy(path, elsewhere)
    for suffix in ("-wal", "-shm"):
        if Path(f"{path}{suffix}").exists():
            shutil.copy(f"{path}{suffix}", f"{elsewhere}{suffix}")
    database = await SqliteDatabase.open(elsewhere)
    try:
        store = DocumentStore(database, OpenAccess())
        assert len(await found(store, query("c"))) == acknowledged
        await commit(store, put("c/another"))
        assert await database.read(integrity.check) == []
    finally:
        await database.close()
