"""What connections leave behind: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys

from tests.integration.realtime.conftest import DEADLINE, Server, connected, put


async def _visit(server: Server, number: int) -> None:
    """Come, listen, write, and go: politely, or cut off with frames still unread."""
    async with connected(server, f"user:u{number}") as client:
        await client.listen(1, "notes")
        await client.commit(1, put(f"notes/n{number % 5}", n=number))
        await client.until("commitResult")
        if number % 2:
            client.socket.transport.abort()


async def _visits(server: Server, count: int) -> None:
    for begin in range(0, count, 20):
        await asyncio.gather(*(_visit(server, begin + each) for each in range(20)))
    async with asyncio.timeout(DEADLINE):
        while server.surface.connections or server.realtime.metrics().held_bytes:
            await asyncio.sleep(0.01)
            gc.collect()


async def test_hundreds_of_websockets_come_and_go_and_leave_nothing_behind(server: Server) -> None:
    await _visits(server, 100)
    gc.collect()
    before = sys.getallocatedblocks()
    await _visits(server, 400)
    gc.collect()
    figures = server.realtime.metrics()
    assert (figures.streams, figures.targets, figures.views, figures.databases) == (0, 0, 0, 0)
    assert (figures.pending_bytes, figures.held_bytes) == (0, 0)
    # one commit a visit is in the documents' change log and caches; a connection is thousands of blocks
    assert sys.getallocatedblocks() - before < 400 * 40


async def test_a_burst_of_a_thousand_writes_reaches_a_reader_that_did_not_read(
    server: Server,
) -> None:
    text = "x" * 5_000
    async with contextlib.AsyncExitStack() as stack:
        # a small window, so that the server feels at once that nobody reads
        slow = await stack.enter_async_context(connected(server, max_queue=1))
        writer = await stack.enter_async_context(connected(server))
        await slow.listen(1, "notes")
        await slow.snapshot()
        most = 0
        for number in range(1_000):
            await writer.commit(number, put(f"notes/n{number % 50}", n=number, text=text))
            await writer.until("commitResult")
            most = max(most, server.realtime.metrics().pending_bytes)
        assert most <= server.realtime.options.reset_bytes
        await writer.commit(1_000, put("notes/last", n=1_000))
        await writer.until("commitResult")
        expected = {f"n{i}" for i in range(50)} | {"last"}
        await slow.until_documents(1, expected)
        latest = {fields["n"]["integerValue"] for fields in slow.documents[1].values()}
        assert latest == {str(number) for number in range(950, 1_001)}
