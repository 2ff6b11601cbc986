"""The head of an answer goes with the body's first piece, or soon without it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from baas.api.http_guard import HeldHead


class Recorded(asyncio.Transport):
    """What was sent, a call of the transport each."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.sent.append(data)

    def writelines(self, pieces: Sequence[bytes]) -> None:  # type: ignore[override]
        self.sent.append(b"".join(pieces))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def test_a_head_goes_with_the_first_piece() -> None:
    transport = Recorded()
    held = HeldHead(transport)
    for piece in (b"head ", b"first ", b"second"):
        held.write(piece)
    await asyncio.sleep(0)
    assert transport.sent == [b"head first ", b"second"]


async def test_a_head_that_nothing_follows_is_sent_soon() -> None:
    transport = Recorded()
    held = HeldHead(transport)
    held.write(b"head ")
    await asyncio.sleep(0)
    held.write(b"late")
    assert transport.sent == [b"head ", b"late"]


async def test_a_head_without_a_body_is_sent_before_the_connection_closes() -> None:
    transport = Recorded()
    held = HeldHead(transport)
    held.write(b"head ")
    held.close()
    await asyncio.sleep(0)
    assert (transport.sent, transport.closed) == ([b"head "], True)


async def test_nothing_is_sent_on_a_connection_that_is_gone() -> None:
    transport = Recorded()
    held = HeldHead(transport)
    held.write(b"head ")
    transport.closed = True
    await asyncio.sleep(0)
    assert transport.sent == []
