"""kill -9 in the middle of ``homefire export`` and ``homefire import``: called again, they end as ever.

A fortieth of ``HOMEFIRE_CRASH_ROUNDS`` says how many times.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from baas.access.principal import OWNER
from baas.data_folder import DataFolder
from baas.db.sqlite import SqliteDatabase
from baas.documents import integrity, transfer
from baas.documents.service import DocumentStore
from baas.errors import InvalidArgument
from baas.model.paths import DatabaseId
from baas.model.values import Fields
from baas.model.write import Commit
from tests.integration.documents.helpers import DATABASE, OpenAccess, put

ROUNDS = max(1, int(os.environ.get("HOMEFIRE_CRASH_ROUNDS", "10")) // 40)
REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = 3_000
KILLS = 2
"""How often each command is killed before it may end."""


def command(verb: str, file: Path, data: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "baas.cli",
            verb,
            file,
            "--data",
            data,
            "--project",
            DATABASE.project,
        ],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
    )


def killed(verb: str, file: Path, data: Path, chance: random.Random) -> int:
    """Kill the command at a random step of its progress; answers the documents that it had told of."""
    process = command(verb, file, data)
    assert process.stderr is not None
    descriptor = process.stderr.fileno()
    output = b""
    try:
        for _ in range(chance.randrange(1, 4)):
            ready, _, _ = select.select([descriptor], [], [], 60)
            assert ready, output
            output += os.read(descriptor, 40)
        time.sleep(chance.uniform(0, 0.02))  # somewhere between two steps
    finally:
        process.kill()
        output += process.stderr.read()
        process.stderr.close()
        process.wait()
    told = [part.removesuffix(b" documents") for part in output.split(b"\r")[1:]]
    return max((int(count) for count in told if count.isdigit()), default=0)


def ended(verb: str, file: Path, data: Path) -> None:
    process = command(verb, file, data)
    _, output = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert f"ed {DOCUMENTS} documents" in output.decode()


def lines_of(export: Path) -> list[tuple[str, Fields]]:
    """The documents in a file, which may be cut off."""
    lines = export.read_bytes().split(b"\n")[1:-1]
    parsed = [json.loads(line) for line in lines]
    return [(line["path"], line["fields"]) for line in parsed if "path" in line]


@pytest.fixture
def folder(tmp_path: Path, migrated_file: Path) -> Path:
    """A data folder whose database is empty."""
    made = tmp_path / "data"
    made.mkdir(mode=0o700)
    shutil.copy(migrated_file, DataFolder(made).database)
    return made


async def filled(folder: Path) -> None:
    """Put the documents in, in two collections."""
    database = await SqliteDatabase.open(DataFolder(folder).database)
    try:
        store = DocumentStore(database, OpenAccess())
        paths = [f"{'users' if n % 2 else 'posts'}/{n:05}" for n in range(DOCUMENTS)]
        writes = tuple(put(path, {"path": path, "text": "x" * 100}) for path in paths)
        await store.commit(Commit(DATABASE, writes), OWNER)
    finally:
        await database.close()


async def stored(folder: Path, target: Path) -> list[tuple[str, Fields]]:
    """What a folder holds, in the order of an export."""
    target.unlink(missing_ok=True)
    database = await SqliteDatabase.open(DataFolder(folder).database)
    try:
        store = DocumentStore(database, OpenAccess())
        await transfer.export_documents(store, DATABASE, target)
    finally:
        await database.close()
    return lines_of(target)


async def problems(folder: Path) -> list[integrity.Problem]:
    database = await SqliteDatabase.open(DataFolder(folder).database)
    try:
        return await database.read(integrity.check)
    finally:
        await database.close()


@pytest.mark.crash
@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_a_killed_import_goes_on(folder: Path, tmp_path: Path, seed: int) -> None:
    await filled(folder)
    file = tmp_path / "export.ndjson"
    whole = await stored(folder, file)
    target = tmp_path / "target"
    chance = random.Random(seed)
    for _ in range(KILLS):
        told = killed("import", file, target, chance)
        there = await stored(target, tmp_path / "check")
        assert there == whole[: len(there)]
        assert len(there) >= told
    ended("import", file, target)
    assert await stored(target, tmp_path / "check") == whole
    assert await problems(target) == []
    assert not file.with_name("export.ndjson.progress").exists()


@pytest.mark.crash
@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_a_killed_export_goes_on(folder: Path, tmp_path: Path, seed: int) -> None:
    await filled(folder)
    whole = tmp_path / "whole.ndjson"
    await stored(folder, whole)
    file = tmp_path / "export.ndjson"
    chance = random.Random(seed)
    for _ in range(KILLS):
        told = killed("export", file, folder, chance)
        if file.stat().st_size == whole.stat().st_size:
            break  # it had written all before it was killed
        assert len(lines_of(file)) >= told
        await refused_as_partial(file, tmp_path)
    else:
        ended("export", file, folder)
    assert file.read_bytes() == whole.read_bytes()


async def refused_as_partial(file: Path, tmp_path: Path) -> None:
    """An import of what there is tells that it is not all."""
    copy = tmp_path / "partial.ndjson"
    shutil.copy(file, copy)
    database = await SqliteDatabase.open(DataFolder(tmp_path / "data").database)
    try:
        store = DocumentStore(database, OpenAccess())
        with pytest.raises(InvalidArgument, match=r"cut off|no JSON"):
            await transfer.import_documents(store, DatabaseId("demo", "partial"), copy)
    finally:
        await database.close()
        copy.with_name("partial.ndjson.progress").unlink(missing_ok=True)
