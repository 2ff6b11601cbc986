"""kill -9 while expired documents are deleted: they go in order, each once, and nothing else goes.

A tenth of ``HOMEFIRE_CRASH_ROUNDS`` says how many times.
"""

from __future__ import annotations

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
from baas.db.sqlite import SqliteDatabase
from baas.documents import integrity
from baas.documents.service import DocumentStore
from baas.documents.ttl import TtlPolicy
from baas.model.values import Timestamp
from baas.model.write import Commit
from tests.integration.documents.helpers import DATABASE, OpenAccess, found, put, query

ROUNDS = max(1, int(os.environ.get("HOMEFIRE_CRASH_ROUNDS", "10")) // 10)
REPOSITORY = Path(__file__).parents[2]
DUE = [f"{n:04}" for n in range(1_500)]
"""Documents whose time has come long ago, in its order; their ids have the same order."""
KEPT = ["later", "never"]


async def fill(path: Path) -> None:
    """A policy, documents that are due, one that will be, and one without a time."""
    database = await SqliteDatabase.open(path)
    try:
        store = DocumentStore(database, OpenAccess())
        await store.expiry.declare(DATABASE, TtlPolicy("c", ("expires",)))
        await store.indexes.finish()
        due = [put(f"c/{name}", {"expires": Timestamp(int(name))}) for name in DUE]
        later = put("c/later", {"expires": Timestamp(2**52)})
        await store.commit(Commit(DATABASE, (*due, later, put("c/never"))), OWNER)
    finally:
        await database.close()


def expire_until_killed(path: Path, commits: int, seconds: float) -> list[str]:
    """Run it, kill it so long after so many commits; answers the ids that were told as deleted."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.expire", str(path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    output = b""
    try:
        while output.count(b"\n") < commits:
            ready, _, _ = select.select([process.stdout], [], [], 60)
            assert ready, "nothing more expired"
            output += os.read(process.stdout.fileno(), 4096)
        time.sleep(seconds)  # the random moment
    finally:
        process.kill()
        output += process.stdout.read()
        process.stdout.close()
        process.wait()
    return output[: output.rfind(b"\n") + 1].decode().split()


async def left(path: Path) -> tuple[list[str], list[integrity.Problem]]:
    """The documents that are there, and what is wrong."""
    database = await SqliteDatabase.open(path)
    try:
        store = DocumentStore(database, OpenAccess())
        return await found(store, query("c")), await database.read(integrity.check)
    finally:
        await database.close()


async def sweep(path: Path) -> int:
    database = await SqliteDatabase.open(path)
    try:
        return await DocumentStore(database, OpenAccess()).expiry.sweep()
    finally:
        await database.close()


@pytest.mark.crash
async def test_a_killed_expiry_goes_on_in_order(migrated_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "homefire.db"
    shutil.copy(migrated_file, path)
    await fill(path)
    chance = random.Random(ROUNDS)
    gone = 0
    for _ in range(ROUNDS):
        told = expire_until_killed(path, chance.randrange(1, 10), chance.uniform(0, 0.05))
        assert told == DUE[gone : gone + len(told)]
        there, problems = await left(path)
        reached = len(DUE) + len(KEPT) - len(there)
        assert there == [*DUE[reached:], *KEPT]
        assert reached >= gone + len(told)
        assert problems == []
        gone = reached
    assert await sweep(path) == len(DUE) - gone
    assert await left(path) == (KEPT, [])
