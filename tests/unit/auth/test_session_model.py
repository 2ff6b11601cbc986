"""Refresh tokens against a naive model: whoever uses them in whatever order."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baas.auth.errors import AuthError
from baas.auth.options import AuthOptions
from baas.auth.secret_box import SecretBox
from baas.auth.service import AuthService
from baas.db.sqlite import SqliteDatabase
from tests.unit.auth.support import CHEAP, SCOPE, SECRET, Clock

GRACE_S, LATE_REPEATS = 60, 3

uses = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([0.0, 10.0, 100.0])), min_size=1, max_size=12
)
"""How many generations old the token is that is used, and the seconds before."""


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(uses)
def test_a_session_lives_as_the_model_says(
    migrated_file: Path, sequence: list[tuple[int, float]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "homefire.db"
        shutil.copy(migrated_file, path)
        asyncio.run(replay(path, sequence))


async def replay(path: Path, sequence: list[tuple[int, float]]) -> None:
    database, clock = await SqliteDatabase.open(path), Clock()
    options = AuthOptions(dev=True, hashing=CHEAP)
    service = AuthService(database, options, SecretBox([SECRET]), clock=clock)
    try:
        tokens = [(await service.sign_up_anonymously(SCOPE)).refresh_token]
        rotated_at, repeats, alive = clock.now, 0, True
        for age, pause in sequence:
            clock.advance(pause)
            used = tokens[max(0, len(tokens) - 1 - age)]
            index = tokens.index(used)
            if index == len(tokens) - 1:
                expected = alive
                rotated_at = clock.now if alive else rotated_at
            elif index == len(tokens) - 2:
                late = clock.now - rotated_at > GRACE_S
                repeats += late
                expected = alive and repeats <= LATE_REPEATS
            else:
                expected = False
            alive = alive and expected
            try:
                following = (await service.refresh(used))[0].refresh_token
            except AuthError:
                assert not expected
                continue
            assert expected
            if index == len(tokens) - 1:
                tokens.append(following)
            else:
                assert following == tokens[-1]
    finally:
        service.close()
        await database.close()
