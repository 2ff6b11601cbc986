"""One port: HTTP/1.1, WebSocket and gRPC told apart by their first bytes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx2
import pytest
import websockets
from hpack import Encoder

from tests.unit.grpc.certificates import self_signed
from tests.unit.grpc.port_server import Service, running

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.fixture
async def service() -> Service:
    return Service()


@pytest.fixture
async def port(service: Service) -> AsyncIterator[int]:
    async with running(service) as (_, port):
        yield port


async def call(channel: grpc.aio.Channel, method: str, message: bytes) -> bytes:
    return await channel.unary_unary(f"/test.Echo/{method}")(message, timeout=10)


async def test_http_and_grpc_share_the_port(port: int) -> None:
    async with httpx2.AsyncClient() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/hello", content=b"x" * 100_000)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        echoed = await call(channel, "Echo", b"x" * 100_000)
    assert answer.text == "hello 100000"
    assert echoed == b"x" * 100_000


async def test_websocket_shares_the_port(port: int) -> None:
    async with websockets.connect(f"ws://127.0.0.1:{port}/parrot") as socket:
        await socket.send("squawk")
        assert await socket.recv() == "squawk"


async def test_first_bytes_may_come_one_by_one(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for byte in PREFACE:
        writer.write(bytes([byte]))
        await writer.drain()
    header = await asyncio.wait_for(reader.readexactly(9), 10)
    writer.close()
    assert header[3] == 4, "the server answers with its SETTINGS frame"


async def test_request_that_begins_like_the_preface_is_http(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"P")
    await writer.drain()
    writer.write(b"OST /hello HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab")
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_silent_connection_is_closed(service: Service) -> None:
    async with running(service, first_bytes_timeout=0.05) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(PREFACE[:10])
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(1), 10) == b""
        writer.close()


async def test_a_connection_too_many_is_closed_until_another_has_gone(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(service, max_connections=2) as (server, port), httpx2.AsyncClient() as http:
        async with websockets.connect(f"ws://127.0.0.1:{port}/parrot"):
            assert (await http.get(f"http://127.0.0.1:{port}/hello")).status_code == 200
            for _ in range(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                with contextlib.suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(), 10) == b""
                writer.close()
        assert "max_connections" in caplog.text
        assert len(caplog.records) == 1
        async with asyncio.timeout(10):
            while len(server.server_state.connections) > 1:
                await asyncio.sleep(0.01)
        async with httpx2.AsyncClient() as other:
            assert (await other.get(f"http://127.0.0.1:{port}/hello")).status_code == 200


async def test_headers_that_are_not_ascii_end_only_their_connection(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    block = b"\x00\x05:path\x02/\xff"
    headers = len(block).to_bytes(3, "big") + b"\x01\x05" + (1).to_bytes(4, "big") + block
    writer.write(PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + headers)
    await asyncio.wait_for(reader.read(), 10)
    writer.close()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert await call(channel, "Echo", b"still here") == b"still here"


def http2_frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


PING = http2_frame(6, 0, b"12345678")
SETTINGS = http2_frame(4, 0)
CANCEL = (8).to_bytes(4, "big")


def cancelled_calls(count: int) -> bytes:
    headers = [(":method", "POST"), (":scheme", "http"), (":path", "/test.Echo/Hold")]
    block = Encoder().encode([*headers, (":authority", "h"), ("content-type", "application/grpc")])
    return b"".join(
        http2_frame(1, 2 * n + 1, block, flags=4) + http2_frame(3, 2 * n + 1, CANCEL)
        for n in range(count)
    )


@pytest.mark.parametrize(
    "flood",
    [PING * 20_000, SETTINGS * 20_000, cancelled_calls(3_000)],
    ids=["pings", "settings", "calls begun and cancelled"],
)
async def test_a_flood_of_frames_that_carry_nothing_ends_its_connection(
    port: int, flood: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(PREFACE + SETTINGS + flood)
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 20)
    writer.close()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert await call(channel, "Echo", b"still here") == b"still here"


async def test_a_peer_that_pings_now_and_then_is_answered(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(PREFACE + SETTINGS + PING * 1_000)
    answer = http2_frame(6, 0, b"12345678", flags=1)
    received = b""
    while received.count(answer) < 1_000:
        received += await asyncio.wait_for(reader.read(65_536), 10)
    writer.close()


async def test_unknown_method_is_unimplemented(port: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call(channel, "Nothing", b"")
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_deadline_ends_the_call_on_both_sides(port: int, service: Service) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await channel.unary_unary("/test.Echo/Hold")(b"", timeout=0.2)
        assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await asyncio.wait_for(service.cancelled.wait(), 10)


async def test_cancelled_call_is_cancelled_in_the_server(port: int, service: Service) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        held = channel.unary_unary("/test.Echo/Hold")(b"")
        await asyncio.wait_for(service.holding.wait(), 10)
        held.cancel()
        await asyncio.wait_for(service.cancelled.wait(), 10)


async def test_graceful_stop_lets_calls_end(service: Service) -> None:
    async with running(service) as (server, port):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            held = channel.unary_unary("/test.Echo/Hold")(b"")
            await asyncio.wait_for(service.holding.wait(), 10)
            server.should_exit = True
            assert await held == b"released"


async def test_tls_serves_both_by_negotiation(service: Service, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with running(service, context=context) as (_, port):
        trust = ssl.create_default_context(cafile=str(certificate))
        async with httpx2.AsyncClient(verify=trust) as client:
            assert (await client.get(f"https://localhost:{port}/hello")).text == "hello 0"
        credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
            assert await call(channel, "Echo", b"secret") == b"secret"
        trust.set_alpn_protocols(["h2", "http/1.1"])
        _, writer = await asyncio.open_connection("localhost", port, ssl=trust)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        writer.close()
