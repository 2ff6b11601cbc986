"""A client that comes back to a restarted server, over the real store."""

from __future__ import annotations

import random

import pytest

from tests.integration.realtime.conftest import ROOT, Client, Server, Start, connected, delete, put

ORDER = [{"field": {"fieldPath": "n"}, "direction": "ASCENDING"}]


@pytest.mark.parametrize("limit", [None, 4])
async def test_a_restart_costs_a_listener_only_what_changed(
    start: Start, limit: int | None
) -> None:
    rng = random.Random(5)
    window = {} if limit is None else {"limit": limit}
    query = {"from": [{"collectionId": "notes"}], "orderBy": ORDER, **window}
    target = {"targetId": 2, "query": {"parent": ROOT, "structuredQuery": query}}
    server = await start()
    async with connected(server) as client:
        await client.commit(0, *(put(f"notes/{i:02}", n=i) for i in range(12)))
        await client.until("commitResult")
        await client.send({"addTarget": target})
        await client.snapshot()
        known, token = client.documents[2], client.tokens[2]
    for _round in range(6):
        await _change(server, rng)
        server = await start()
        async with connected(server) as client:
            client.documents[2] = dict(known)
            await client.send({"addTarget": {**target, "resumeToken": token}})
            await _snapshot_keeping(client)
            known, token = client.documents[2], client.tokens[2]
            assert "RESET" not in str(client.frames)
        async with connected(server) as fresh:
            await fresh.send({"addTarget": target})
            await fresh.snapshot()
            assert known == fresh.documents[2]


async def _change(server: Server, rng: random.Random) -> None:
    async with connected(server) as writer:
        for request_id in range(5):
            path = f"notes/{rng.randrange(14):02}"
            write = delete(path) if rng.random() < 0.4 else put(path, n=rng.randrange(20))
            await writer.commit(request_id, write)
            await writer.until("commitResult")


async def _snapshot_keeping(client: Client) -> None:
    """Read to the snapshot; ADD does not empty what is resumed."""
    known = client.documents[2]
    await client.receive()
    client.documents[2] = known
    await client.snapshot()
