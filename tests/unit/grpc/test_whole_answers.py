"""Answers that are complete at once, to peers of all kinds of HTTP/2 settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from baas.api.assembly import Assembly
from baas.api.grpc.calls import server_streaming, unary
from tests.unit.grpc.port_server import Service, running

HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/test.Whole/One"),
    (":authority", "test"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]


class Whole(Service):
    def methods(self) -> dict[str, Any]:
        async def one(message: Any, _authorization: str | None) -> Any:
            return message

        async def many(message: Any, _authorization: str | None) -> list[Any]:
            return [message] * 3

        assembly = Assembly()
        return {
            "/test.Whole/One": unary(one, BytesValue, assembly),
            "/test.Whole/Many": server_streaming(many, BytesValue, assembly),
        }


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with running(Whole()) as (_, port):
        yield port


@pytest.mark.parametrize("size", [0, 1, 20_000, 200_000])
async def test_answers_of_all_sizes_arrive_whole(port: int, size: int) -> None:
    message = BytesValue(value=b"x" * size).SerializeToString()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        one = await channel.unary_unary("/test.Whole/One")(message, timeout=10)
        many = [
            each async for each in channel.unary_stream("/test.Whole/Many")(message, timeout=10)
        ]
    assert one == message
    assert many == [message] * 3


async def test_many_calls_of_one_connection_go_on_beyond_its_window(port: int) -> None:
    message = BytesValue(value=b"x" * 5_000).SerializeToString()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/test.Whole/One")
        answers = await asyncio.gather(*(call(message, timeout=20) for _ in range(100)))
    assert answers == [message] * 100


@pytest.mark.parametrize(
    "settings",
    [
        {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 7},
        {h2.settings.SettingCodes.HEADER_TABLE_SIZE: 0},
    ],
    ids=["a window of seven bytes", "no table for headers"],
)
async def test_a_peer_with_settings_of_its_own_gets_its_answer(
    port: int, settings: dict[h2.settings.SettingCodes, int]
) -> None:
    message = BytesValue(value=b"only a few bytes at once").SerializeToString()
    framed = b"\0" + len(message).to_bytes(4, "big") + message
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    client.initiate_connection()
    client.update_settings(settings)
    received: dict[int, bytes] = {1: b"", 3: b""}
    trailers: dict[int, dict[str, str]] = {}
    for stream in received:
        client.send_headers(stream, HEADERS)
        client.send_data(stream, framed, end_stream=True)
    while len(trailers) < len(received):
        writer.write(client.data_to_send())
        for event in client.receive_data(await asyncio.wait_for(reader.read(65_536), 10)):
            if isinstance(event, h2.events.DataReceived):
                received[event.stream_id] += event.data
                client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                trailers[event.stream_id] = dict(event.headers)
    writer.close()
    assert received == {1: framed, 3: framed}
    assert all(each["grpc-status"] == "0" for each in trailers.values())
