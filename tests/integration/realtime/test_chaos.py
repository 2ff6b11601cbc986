"""Everything that can go wrong, at once, on a real server: see ``chaos``.

``HOMEFIRE_CHAOS_SEEDS`` says with how many seeds, from ``HOMEFIRE_CHAOS_FIRST`` on, and
``HOMEFIRE_CHAOS_STEPS`` how long each lasts.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.realtime.chaos import World

SEEDS = int(os.environ.get("HOMEFIRE_CHAOS_SEEDS", "1"))
FIRST = int(os.environ.get("HOMEFIRE_CHAOS_FIRST", "1"))
STEPS = int(os.environ.get("HOMEFIRE_CHAOS_STEPS", "60"))
ENOUGH = 50
"""Snapshots that a run compares at least: the faster the machine, the more steps it takes to be told them."""


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
async def test_what_every_client_is_told_was_so_at_the_version_told(
    tmp_path: Path, seed: int
) -> None:
    world = World(tmp_path / "data", seed)
    async with world.opened():
        for number in range(20 * STEPS):
            if number >= STEPS and world.checked > ENOUGH:
                break
            await world.step()
            if number == STEPS // 2:
                await world.kill()
            if number % 25 == 0:
                await world.check()
        await world.finish()
    assert world.checked > ENOUGH
