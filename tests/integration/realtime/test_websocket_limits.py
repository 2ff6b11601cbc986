"""Every way in which a WebSocket connection ends, and what it survives."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import random
import socket
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from baas.api.websocket import WebSocketOptions
from baas.api.websocket_frames import FrameLimits, FrameSharingProtocol
from baas.errors import Unauthenticated
from baas.realtime.options import RealtimeOptions
from tests.integration.realtime.conftest import (
    DEADLINE,
    ROOT,
    Client,
    Server,
    Start,
    connected,
    put,
)

TARGET = {"query": {"parent": ROOT, "structuredQuery": {"from": [{"collectionId": "notes"}]}}}


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"ping": "a", "pong": "b"}',
        '{"unheardOf": 1}',
        '{"ping": 1}',
        json.dumps({"ping": "x" * 65}),
        '{"removeTarget": "two"}',
        '{"removeTarget": true}',
        '{"addTarget": {}}',
        json.dumps({"addTarget": {"targetId": 0, **TARGET}}),
        json.dumps({"addTarget": {"targetId": 2**31, **TARGET}}),
        '{"commit": []}',
        '{"commit": {"writes": []}}',
        '{"commit": {"requestId": 1.5, "writes": []}}',
        '{"authenticate": {}}',
        '{"authenticate": {"token": 1}}',
        "[" * 100_000,
    ],
)
async def test_a_malformed_frame_closes_with_4400(server: Server, frame: str) -> None:
    async with connected(server) as client:
        await client.socket.send(frame)
        code, frames = await client.closed()
        assert (code, frames[-1]["error"]["status"]) == (4400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"documents": {"documents": ["nonsense"]}},
        {"query": {"structuredQuery": {"from": [{"collectionId": "notes"}], "limit": -1}}},
        {"query": {"structuredQuery": {"from": [{"collectionId": "no/tes"}]}}},
    ],
)
async def test_a_target_that_cannot_be_understood_is_removed_and_the_others_go_on(
    server: Server, asked: dict[str, Any]
) -> None:
    async with connected(server) as client:
        await client.listen(2, "notes")
        await client.snapshot()
        await client.send({"addTarget": {"targetId": 4, **asked}})
        refused = await client.until("targetChange")
        assert (refused["targetChangeType"], refused["targetIds"]) == ("REMOVE", [4])
        assert refused["cause"]["code"] == 3
        await client.commit(1, put("notes/a", n=1))
        await client.until_documents(2, {"a"})


async def test_a_binary_frame_closes_with_1003(server: Server) -> None:
    async with connected(server) as client:
        await client.socket.send(b"{}")
        assert (await client.closed())[0] == 1003


async def test_a_frame_that_is_too_large_closes_with_1009(start: Start) -> None:
    server = await start(ws_max_size=10_000)
    async with connected(server) as client:
        await client.send({"ping": "x" * 20_000})
        assert (await client.closed())[0] == 1009


async def test_a_target_that_is_open_cannot_be_added_again(server: Server) -> None:
    async with connected(server) as client:
        await client.listen(2, "notes")
        await client.listen(2, "others")
        assert (await client.closed())[0] == 4400


@pytest.mark.parametrize("url", ["bad!project", "demo/databases/bad!database"])
async def test_a_bad_database_closes_with_4404(server: Server, url: str) -> None:
    project, _, database = url.partition("/databases/")
    async with connected(server, url=server.url(project, database or "(default)")) as client:
        code, frames = await client.closed()
        assert (code, frames[-1]["error"]["status"]) == (4404, "NOT_FOUND")


async def test_bad_credentials_close_with_4401(server: Server) -> None:
    async with connected(server, token="stolen") as client:
        assert (await client.closed())[0] == 4401
    async with connected(server) as client:
        await client.send({"authenticate": {"token": "stolen"}})
        code, frames = await client.closed()
        assert (code, frames[-1]["error"]["status"]) == (4401, "UNAUTHENTICATED")


async def test_an_expired_token_closes_with_4401(start: Start) -> None:
    server = await start(realtime=RealtimeOptions(expiry_grace=0.0))
    async with connected(server, token=f"brief:ann:{time.time() + 0.2}") as client:
        await client.listen(2, "notes")
        assert (await client.closed())[0] == 4401


async def test_a_renewed_token_keeps_the_connection(start: Start) -> None:
    server = await start(realtime=RealtimeOptions(expiry_grace=0.0))
    brief = f"brief:ann:{time.time() + 0.3}"
    async with connected(server, token=brief) as client, connected(server, token=brief) as other:
        await client.send({"authenticate": {"token": f"brief:ann:{time.time() + 3600}"}})
        assert (await client.until("authenticated"))["uid"] == "ann"
        assert (await other.closed())[0] == 4401
        await client.send({"ping": "still there"})
        assert await client.until("pong") == "still there"


async def test_signing_in_and_out_is_answered(server: Server) -> None:
    async with connected(server) as client:
        await client.send({"authenticate": {"token": "user:ann"}})
        assert await client.until("authenticated") == {"uid": "ann"}
        await client.send({"authenticate": {"token": None}})
        assert await client.until("authenticated") == {"uid": None}


async def test_a_disabled_account_closes_with_4401(server: Server) -> None:
    async with connected(server, token="user:ann") as client:
        await client.listen(2, "notes")
        await client.snapshot()
        server.realtime.end_user("demo", "ann", Unauthenticated("The account is disabled."))
        code, frames = await client.closed()
        assert (code, frames[-1]["error"]["message"]) == (4401, "The account is disabled.")


async def test_too_many_targets_close_with_1008(start: Start) -> None:
    server = await start(realtime=RealtimeOptions(max_targets=3))
    async with connected(server) as client:
        for target_id in range(1, 5):
            await client.listen(target_id, "notes")
        code, frames = await client.closed()
        assert (code, frames[-1]["error"]["status"]) == (1008, "RESOURCE_EXHAUSTED")


async def test_too_many_commits_under_way_close_with_1008(start: Start) -> None:
    server = await start(websocket=WebSocketOptions(max_commits=3, commits_ahead=1))
    async with connected(server) as client:
        for request_id in range(200):
            await client.commit(request_id, put(f"notes/{request_id}", n=1))
        code, frames = await client.closed()
        assert (code, frames[-1]["error"]["status"]) == (1008, "RESOURCE_EXHAUSTED")


async def test_too_many_frames_close_with_1008(start: Start) -> None:
    server = await start(websocket=WebSocketOptions(max_frames=10, frames_per_second=0.01))
    async with connected(server) as client:
        for _ in range(11):
            await client.send({"ping": "a"})
        code, frames = await client.closed()
        assert code == 1008
        assert sum("pong" in frame for frame in frames) == 10


async def test_messages_that_were_small_only_on_the_way_close_with_1008(start: Start) -> None:
    server = await start(
        websocket=WebSocketOptions(max_frames=10, frames_per_second=0.01, bytes_a_frame=1024)
    )
    large = '{"ping": "a"' + " " * 9 * 1024 + "}"
    async with connected(server, compression="deflate") as client:
        await client.socket.send(large)
        assert await client.receive() == {"pong": "a"}
        await client.socket.send(large)
        assert (await client.closed())[0] == 1008
    async with connected(server) as client:  # nothing is compressed: its size was its sender's cost
        for _ in range(5):
            await client.socket.send(large)
            assert await client.receive() == {"pong": "a"}


async def test_commits_are_taken_in_as_long_as_there_is_room(start: Start) -> None:
    server = await start(websocket=WebSocketOptions(max_commit_bytes=1_000))
    async with connected(server) as client:
        for request_id in range(50):
            await client.commit(request_id, put("notes/a", text="x" * 2_000))
        results = [await client.until("commitResult") for _ in range(50)]
        assert [result["requestId"] for result in results] == list(range(50))


async def test_a_stopping_server_closes_with_1001(server: Server) -> None:
    async with connected(server) as client:
        await client.listen(2, "notes")
        await client.snapshot()
        server.surface.close()
        code, frames = await client.closed()
        assert (code, frames[-1]["error"]["status"]) == (1001, "UNAVAILABLE")


async def test_a_peer_that_answers_no_ping_is_cut_off(start: Start) -> None:
    server = await start(ws_ping_interval=0.1, ws_ping_timeout=0.1)
    reader, writer = await _raw_socket(server)
    async with asyncio.timeout(DEADLINE):
        data = await reader.read()
    assert data.endswith(b"\x88" + bytes([len(_close_payload())]) + _close_payload())
    writer.close()


async def test_a_reader_that_takes_nothing_is_cut_off_and_hurts_nobody(start: Start) -> None:
    server = await start(
        websocket=WebSocketOptions(slow_seconds=0.5),
        realtime=RealtimeOptions(merge_bytes=10_000, reset_bytes=100_000),
    )
    _reader, writer = await _raw_socket(server)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(_masked(json.dumps({"addTarget": {"targetId": 1, **TARGET}})))
    async with connected(server) as client:
        text = "x" * 700_000
        async with asyncio.timeout(DEADLINE):
            for request_id in range(1_000):
                await client.commit(request_id, put(f"notes/{request_id % 3}", text=text))
                await client.until("commitResult")
                assert server.realtime.metrics().pending_bytes < 1_500_000
                if server.surface.connections == 1:
                    break
    assert server.surface.connections <= 1
    writer.close()


async def test_a_slow_reader_ends_with_the_newest_state(start: Start) -> None:
    server = await start(realtime=RealtimeOptions(merge_bytes=10_000, reset_bytes=300_000))
    async with connected(server, max_queue=1) as slow, connected(server) as writer:
        await slow.listen(2, "notes")
        await slow.snapshot()
        text = "x" * 50_000
        for n in range(200):
            await writer.commit(n, put(f"notes/{n % 8}", n=n, text=text))
            await writer.until("commitResult")
        newest = {str(n % 8): str(n) for n in range(200)}
        while _numbers(slow) != newest:
            await slow.snapshot()
        told = sum("documentChange" in frame for frame in slow.frames)
        assert told < 200


@pytest.mark.parametrize("seed", range(6))
async def test_fuzzed_frames_end_with_a_documented_code_and_leave_nothing(
    server: Server, seed: int
) -> None:
    rng = random.Random(seed)
    for _ in range(25):
        async with connected(server) as client:
            with contextlib.suppress(ConnectionClosed):
                for _ in range(12):
                    await client.socket.send(_fuzzed(rng))
                await client.send({"ping": "end"})
                await client.until("pong")
                await client.socket.close()
            assert client.socket.close_code in (1000, 4400)
    async with connected(server) as client:
        await client.listen(2, "notes")
        await client.snapshot()
        metrics = server.realtime.metrics()
    assert (metrics.streams, metrics.targets, metrics.views) == (1, 1, 1)


async def test_connections_that_come_and_go_leave_nothing(server: Server) -> None:
    for _ in range(100):
        async with connected(server) as client:
            await client.listen(2, "notes")
            await client.receive()
    async with asyncio.timeout(DEADLINE):
        while server.surface.connections:
            await asyncio.sleep(0.01)
    metrics = server.realtime.metrics()
    assert (metrics.streams, metrics.targets, metrics.views) == (0, 0, 0)


def _numbers(client: Client) -> dict[str, str]:
    return {
        name.rsplit("/", 1)[1]: fields["n"]["integerValue"]
        for name, fields in client.documents[2].items()
    }


def _fuzzed(rng: random.Random) -> str:
    frames: list[Any] = [
        {"ping": "a"},
        {"removeTarget": rng.randrange(-3, 4)},
        {"addTarget": {"targetId": rng.randrange(1, 9), **TARGET}},
        {"commit": {"requestId": rng.randrange(9), "writes": [put("notes/a", n=1)]}},
        {"authenticate": {"token": None}},
    ]
    text = json.dumps(rng.choice(frames))
    for _ in range(rng.choice((0, 0, 0, 1, 2, 5))):
        at = rng.randrange(len(text))
        action = rng.randrange(3)
        if action == 0:
            text = text[:at] + rng.choice('{}[]":,0-9 nullé\\u0000') + text[at + 1 :]
        elif action == 1:
            text = text[:at] + text[at + rng.randrange(1, 9) :] or " "
        else:
            text = text[:at] + text[at:] + text[at:]
    return text


def _close_payload() -> bytes:
    return (4408).to_bytes(2, "big") + b"no answer to a ping"


def _masked(text: str) -> bytes:
    payload = text.encode()
    return b"\x81\xfe" + len(payload).to_bytes(2, "big") + bytes(4) + payload


async def _raw_socket(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that speaks only when told to."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    peer.connect(("127.0.0.1", server.port))
    reader, writer = await asyncio.open_connection(sock=peer)
    path = server.url().split(str(server.port), 1)[1]
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def _frame(head: int, payload: bytes = b"") -> bytes:
    """A frame of a client, masked with zeros; ``head`` is its first byte: 0x80 for the last, and its kind."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([head]) + length + bytes(4) + payload


PING, PONG = _frame(0x89), _frame(0x8A)
BEGUN, EMPTY_FRAGMENT = _frame(0x01), _frame(0x00)
FEW_FRAMES = functools.partial(FrameSharingProtocol, limits=FrameLimits(burst=10, rate=0.01))


@pytest.mark.parametrize("frame", [PING, PONG, EMPTY_FRAGMENT], ids=["ping", "pong", "fragment"])
async def test_a_flood_of_frames_that_carry_nothing_closes_with_1008(
    start: Start, frame: bytes
) -> None:
    server = await start(ws=FEW_FRAMES)
    reader, writer = await _raw_socket(server)
    writer.write((BEGUN if frame is EMPTY_FRAGMENT else b"") + frame * 1_000)
    async with asyncio.timeout(DEADLINE):
        data = await reader.read()
    reason = b"too many frames that carry nothing"
    assert data.endswith(b"\x88" + bytes([2 + len(reason)]) + (1008).to_bytes(2, "big") + reason)
    assert data.count(b"\x8a\x00") == (10 if frame is PING else 0)  # answers to pings
    async with asyncio.timeout(DEADLINE):
        while server.surface.connections:
            await asyncio.sleep(0.01)
    writer.close()


async def test_fragments_that_carry_something_are_not_counted(start: Start) -> None:
    server = await start(ws=FEW_FRAMES)
    reader, writer = await _raw_socket(server)
    blank = b" " * 1_024
    writer.write(_frame(0x01, b'{"ping": ') + _frame(0x00, blank) * 30 + _frame(0x80, b'"a"}'))
    async with asyncio.timeout(DEADLINE):
        assert await reader.readexactly(14) == b'\x81\x0c{"pong":"a"}'
    writer.close()
