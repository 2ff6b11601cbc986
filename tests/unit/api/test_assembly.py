"""Memory of requests that are still arriving is bounded across all calls."""

from __future__ import annotations

import asyncio

import pytest

from baas.api.assembly import PIECE, Assembly
from baas.errors import ResourceExhausted


async def plenty(size: int) -> bytes:
    return b"x" * size


async def test_a_message_is_put_together_and_its_memory_given_back() -> None:
    assembly = Assembly(4 * PIECE)
    assert len(await assembly.read(plenty, 3 * PIECE + 7)) == 3 * PIECE + 7
    assert assembly.held == 0


async def test_many_half_arrived_messages_are_refused_together() -> None:
    assembly = Assembly(4 * PIECE)
    arrived = 0
    full = asyncio.Event()

    async def half(size: int) -> bytes:
        nonlocal arrived
        if arrived == 4:
            full.set()
            await asyncio.Event().wait()
        arrived += 1
        return b"x" * size

    waiting = [asyncio.create_task(assembly.read(half, 10 * PIECE)) for _ in range(4)]
    await asyncio.wait_for(full.wait(), 5)
    assert assembly.held == 4 * PIECE
    with pytest.raises(ResourceExhausted):
        await assembly.read(plenty, 2 * PIECE)
    assert assembly.held == 4 * PIECE
    assert await assembly.read(plenty, PIECE)  # small ones pass
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert assembly.held == 0


def test_a_message_that_comes_in_any_pieces_is_counted_until_it_is_left() -> None:
    assembly = Assembly(4 * PIECE)
    with assembly.arriving() as so_far:
        so_far(PIECE)
        assert assembly.held == 0  # small ones are not counted
        so_far(2 * PIECE)
        so_far(3 * PIECE)
        assert assembly.held == 3 * PIECE
        with assembly.arriving() as another, pytest.raises(ResourceExhausted):
            another(2 * PIECE)
        assert assembly.held == 3 * PIECE
    assert assembly.held == 0
