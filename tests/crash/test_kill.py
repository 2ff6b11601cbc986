"""kill -9 at random moments of a load: nothing acknowledged is lost, nothing is half there.

``HOMEFIRE_CRASH_ROUNDS`` says how many times.
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
from tests.integration.documents.helpers import OpenAccess, query

ROUNDS = int(os.environ.get("HOMEFIRE_CRASH_ROUNDS", "10"))
REPOSITORY = Path(__file__).parents[2]


def load_until_killed(path: Path, seed: int, seconds: float) -> dict[str, str]:
    """Run the load, kill it so long after its first commit; answers the last stamp told of each pair."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.load", str(path), str(seed)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], 60)
        assert ready, "the load did not begin"
        time.sleep(seconds)  # the random moment
    finally:
        process.kill()
    output = process.stdout.read()
    process.stdout.close()
    process.wait()
    told = output.decode().splitlines()
    if not output.endswith(b"\n") and told:
        told.pop()  # cut off by the kill
    return dict(line.split(" ", 1) for line in told)


async def stored(path: Path) -> tuple[dict[str, str], dict[str, str], list[integrity.Problem]]:
    """The stamps in both collections, and what is wrong."""
    database = await SqliteDatabase.open(path)
    try:
        store = DocumentStore(database, OpenAccess())
        sides = [
            {
                document.name.id: str(document.fields["stamp"])
                for document in (await store.run_query(query(side), OWNER)).documents
            }
            for side in ("left", "right")
        ]
        problems = await database.read(integrity.check)
        return sides[0], sides[1], problems
    finally:
        await database.close()


def written_later(stored_stamp: str | None, told_stamp: str) -> bool:
    """Whether what is stored may be a commit after the one that was told: made, but not told in time."""
    if stored_stamp is None:
        return True  # deleted since
    if told_stamp == "-":
        return True
    old, new = (tuple(map(int, stamp.split("."))) for stamp in (told_stamp, stored_stamp))
    return new > old


@pytest.mark.crash
async def test_nothing_acknowledged_is_lost(migrated_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "homefire.db"
    shutil.copy(migrated_file, path)
    chance = random.Random(ROUNDS)
    expected: dict[str, str] = {}
    for seed in range(ROUNDS):
        told = load_until_killed(path, seed, chance.uniform(0.0, 0.5))
        expected |= told
        left, right, problems = await stored(path)
        assert problems == []
        assert left == right
        differing = {
            pair: (stamp, left.get(pair))
            for pair, stamp in expected.items()
            if left.get(pair, "-") != stamp
        }
        # a writer has one commit in flight at most, so at most one of its pairs may have gone further
        assert all(written_later(new, old) for old, new in differing.values()), differing
        assert len({pair.split("-")[0] for pair in differing}) == len(differing), differing
        expected = {**dict.fromkeys(expected, "-"), **left}
