"""The AsyncAPI description against what really goes over the wire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.integration.realtime.conftest import ROOT, Client, Server, connected, delete, put

FILE = Path(__file__).parents[3] / "docs/protocol/websocket.asyncapi.json"
DESCRIPTION = json.loads(FILE.read_text())
TYPES = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


async def test_every_described_message_is_seen_and_every_seen_one_is_as_described(
    server: Server,
) -> None:
    async with connected(server, token="user:ann") as client:
        sent = await _converse(client)
        await client.closed()
    seen = set()
    for frame, operation in [
        *((f, "receive") for f in sent),
        *((f, "send") for f in client.frames),
    ]:
        (kind,) = frame
        assert {"$ref": f"#/channels/listen/messages/{kind}"} in (
            DESCRIPTION["operations"][operation]["messages"]
        )
        check(frame, DESCRIPTION["components"]["messages"][kind]["payload"], kind)
        seen.add(kind)
    # nothing is left without a reason to the listener of this conversation
    assert seen == set(DESCRIPTION["components"]["messages"]) - {"documentRemove"}


async def _converse(client: Client) -> list[dict[str, Any]]:
    notes = {"parent": ROOT, "structuredQuery": {"from": [{"collectionId": "notes"}]}}
    frames: list[dict[str, Any]] = [
        {"authenticate": {"token": "brief:ann:4000000000"}},
        {"ping": "hello"},
        {"commit": {"requestId": 1, "writes": [put("notes/a", n=1), put("notes/b", n=1)]}},
        {"commit": {"requestId": 2, "writes": [{"verify": "nonsense"}]}},
        {"addTarget": {"targetId": 2, "query": notes}},
        {"addTarget": {"targetId": 4, "documents": {"documents": [f"{ROOT}/notes/a"]}}},
        {"removeTarget": 4},
    ]
    for frame in frames:
        await client.send(frame)
    await client.until_documents(2, {"a", "b"})
    more: list[dict[str, Any]] = [
        {"addTarget": {"targetId": 6, "query": notes, "resumeToken": client.tokens[2]}},
        {"commit": {"requestId": 3, "writes": [delete("notes/a")]}},
    ]
    more[0]["addTarget"]["expectedCount"] = 2
    for frame in more:
        await client.send(frame)
    await client.until("filter")
    await client.until_documents(2, {"b"})
    await client.socket.send("nonsense")
    return [*frames, *more]


def check(value: Any, schema: dict[str, Any], where: str) -> None:
    """Hold a value against the part of JSON Schema that the description uses."""
    if "enum" in schema:
        assert value in schema["enum"], where
        return
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert isinstance(value, tuple(TYPES[kind] for kind in kinds)), where
    if isinstance(value, list):
        for each in value:
            check(each, schema["items"], where)
    if isinstance(value, dict) and "properties" in schema:
        assert set(schema["required"]) <= value.keys(), where
        assert value.keys() <= schema["properties"].keys(), where
        for name, inner in value.items():
            check(inner, schema["properties"][name], f"{where}.{name}")
