"""The conformance checklist of WebChannel, over real sockets, with an RPC that echoes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from typing import Any

import httpx2
import pytest

from baas.api.webchannel.channel import ChannelLimits
from baas.api.webchannel.frames import message_array
from baas.api.webchannel.surface import WebChannel, WebChannelLimits
from baas.api.webchannel.throttle import Throttle
from baas.errors import PermissionDenied, Unauthenticated
from tests.unit.webchannel.client import ORIGIN, PATH, Client, eventually, read_frames, serving


class Echo:
    """Sends every message back; ``{"fail": true}`` ends the RPC, ``{"times": n}`` multiplies."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.metadata: list[Mapping[str, str]] = []
        self.ended = 0

    async def __call__(
        self, metadata: Mapping[str, str], messages: AsyncIterator[str]
    ) -> AsyncGenerator[Iterable[str], None]:
        self.metadata.append(metadata)
        try:
            if metadata.get("authorization") == "Bearer bad":
                raise Unauthenticated("Unknown token.")
            async for text in messages:
                message = json.loads(text)
                self.received.append(message)
                if message.get("fail"):
                    raise PermissionDenied("Missing or insufficient permissions.")
                for _ in range(message.get("times", 1)):
                    yield [message_array(message)]
        finally:
            self.ended += 1


@pytest.fixture
def echo() -> Echo:
    return Echo()


def surface(echo: Echo, **channel: Any) -> WebChannel:
    limits = WebChannelLimits(body=100_000, channel=ChannelLimits(**channel))
    return WebChannel({PATH: echo}, limits=limits)


@contextlib.asynccontextmanager
async def connected(channels: WebChannel) -> AsyncIterator[Client]:
    async with serving(channels) as base, httpx2.AsyncClient() as http:
        yield Client(http, base)


@pytest.fixture
async def client(echo: Echo) -> AsyncIterator[Client]:
    async with connected(surface(echo)) as client:
        yield client


async def test_handshake_runs_its_maps_and_metadata(client: Client, echo: Echo) -> None:
    await client.handshake({"n": 0}, {"n": 1}, headers="Authorization:Bearer a:b\r\n")
    async with client.back() as back:
        arrays = await back.until(lambda array: array == [{"n": 1}])
    assert [array for array in arrays if array[1] != ["noop"]] == [[1, [{"n": 0}]], [2, [{"n": 1}]]]
    assert echo.metadata == [{"authorization": "Bearer a:b"}]


async def test_metadata_may_come_in_the_url(client: Client, echo: Echo) -> None:
    await client.handshake(**{"$httpHeaders": "X-Goog-Api-Client:old\r\n"})
    assert echo.metadata == [] or echo.metadata == [{"x-goog-api-client": "old"}]
    await eventually(lambda: echo.metadata == [{"x-goog-api-client": "old"}])


async def test_session_header_is_given_when_asked_for(client: Client) -> None:
    response = await client.handshake(**{"X-HTTP-Session-Id": "gsessionid"})
    assert response.headers["x-http-session-id"]


async def test_get_writes_at_once_when_nothing_is_pending(client: Client) -> None:
    await client.handshake()
    async with client.back() as back:
        assert await back.frame() == [[1, ["noop"]]]


async def test_posts_stream_down_an_open_get(client: Client) -> None:
    await client.handshake()
    async with client.back() as back:
        await back.frame()
        answer = await client.send({"text": "é😀"}, aid=1)
        assert answer[0] == 1
        assert await back.frame() == [[2, [{"text": "é😀"}]]]


async def test_forward_answer_counts_what_is_not_acknowledged(client: Client, echo: Echo) -> None:
    await client.handshake({"n": 0})
    await eventually(lambda: echo.received)
    assert await client.send() == [0, 1, len('[{"n":0}]')]
    assert await client.send(aid=1) == [0, 1, 0]


async def test_replayed_post_runs_once_and_succeeds(client: Client, echo: Echo) -> None:
    await client.handshake()
    form = client._form(({"n": 1},))
    for _ in range(2):
        response = await client.post(form, SID=client.sid, RID=7)
        assert response.status_code == 200
        assert len(read_frames(response.content)[0]) == 3
    await client.send({"n": 2})
    await eventually(lambda: {"n": 2} in echo.received)
    assert echo.received == [{"n": 1}, {"n": 2}]


async def test_posts_out_of_order_are_put_in_order(client: Client, echo: Echo) -> None:
    await client.handshake()
    early, late = client._form(({"n": 0},)), client._form(({"n": 1},))
    await client.post(late, SID=client.sid)
    await client.post(early, SID=client.sid)
    await eventually(lambda: len(echo.received) == 2)
    assert echo.received == [{"n": 0}, {"n": 1}]


async def test_new_get_resumes_after_the_acknowledged_array(client: Client) -> None:
    await client.handshake({"n": 0}, {"n": 1}, {"n": 2})
    async with client.back() as back:
        arrays = await back.until(lambda array: array == [{"n": 2}])
    known = next(number for number, array in arrays if array == [{"n": 0}])
    async with client.back(aid=known) as back:
        again = await back.until(lambda array: array == [{"n": 2}])
    assert again == [array for array in arrays if array[0] > known]


async def test_long_poll_gives_all_there_is_and_ends(client: Client, echo: Echo) -> None:
    await client.handshake({"n": 0}, {"n": 1})
    await eventually(lambda: len(echo.received) == 2)
    async with client.back(CI=1) as back:
        assert await back.rest() == [[[1, [{"n": 0}]], [2, [{"n": 1}]]]]


async def test_long_poll_waits_for_the_first_array(client: Client) -> None:
    await client.handshake()
    async with client.back(CI=1) as back:
        assert (await client.send({"n": 0}))[0] == 1
        assert await back.rest() == [[[1, [{"n": 0}]]]]


async def test_long_poll_ends_with_a_noop_at_the_clients_limit(client: Client) -> None:
    await client.handshake()
    async with client.back(CI=1, TO=50) as back:
        assert await back.rest() == [[[1, ["noop"]]]]


async def test_silence_is_filled_with_noops(echo: Echo) -> None:
    async with connected(surface(echo, keepalive=0.05)) as client:
        response = await client.handshake()
        assert read_frames(response.content)[0][0][1][5] == 50
        async with client.back() as back:
            assert [await back.frame() for _ in range(3)] == [
                [[1, ["noop"]]],
                [[2, ["noop"]]],
                [[3, ["noop"]]],
            ]


async def test_get_is_rotated_with_a_whole_frame(echo: Echo) -> None:
    async with connected(surface(echo, back_channel_lifetime=0.1)) as client:
        await client.handshake()
        async with client.back() as back:
            assert await back.rest() == [[[1, ["noop"]]], [[2, ["noop"]]]]


async def test_unacknowledged_output_rotates_the_get_and_loses_nothing(echo: Echo) -> None:
    limits = {"rotate_bytes": 1_000, "high_water": 4_000}
    async with connected(surface(echo, **limits)) as client:
        await client.handshake({"pad": "x" * 100, "times": 200})
        aid, got, gets = 0, 0, 0
        while got < 200:
            gets += 1
            async with client.back(aid=aid) as back:
                with contextlib.suppress(StopAsyncIteration):
                    while got < 200:
                        frame = await back.frame()
                        assert [number for number, _ in frame] == list(
                            range(aid + 1, aid + 1 + len(frame))
                        )
                        aid += len(frame)
                        got += sum(array != ["noop"] for _, array in frame)
        assert 5 <= gets <= 30


async def test_newer_get_supersedes_the_older(client: Client) -> None:
    await client.handshake()
    async with client.back() as old:
        await old.frame()
        async with client.back(aid=1) as new:
            await new.frame()
            assert await old.rest() == []
            await client.send({"n": 0})
            assert (await new.frame())[0][1] == [{"n": 0}]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_unknown_session_is_told_as_the_client_expects(client: Client, method: str) -> None:
    response = await client.http.request(
        method, client.url, params={"SID": "x", "RID": 1}, headers={"origin": ORIGIN}
    )
    assert response.status_code == 400
    assert response.text.find("Unknown SID") > 0
    assert response.headers["access-control-allow-origin"] == ORIGIN


async def test_status_comes_in_band_and_the_session_goes_quiet(client: Client, echo: Echo) -> None:
    await client.handshake({"fail": True})
    async with client.back() as back:
        arrays = await back.until(lambda array: array != ["noop"])
        assert arrays[-1][1][0][0]["error"]["status"] == "PERMISSION_DENIED"
    assert (await client.send({"n": 1}))[1] == arrays[-1][0]
    assert echo.received == [{"fail": True}]


async def test_bad_credentials_are_told_in_band_as_the_first_message(client: Client) -> None:
    response = await client.handshake({"n": 0}, headers="Authorization:Bearer bad\r\n")
    assert response.status_code == 200
    async with client.back() as back:
        arrays = await back.until(lambda array: array != ["noop"])
    assert arrays[-1][1][0][0]["error"]["status"] == "UNAUTHENTICATED"


async def test_too_large_body_is_refused_in_band(client: Client) -> None:
    await client.handshake()
    response = await client.post("ofs=0&req0___data__=" + "x" * 200_000, SID=client.sid)
    assert response.status_code == 200
    async with client.back() as back:
        arrays = await back.until(lambda array: array != ["noop"])
    assert arrays[-1][1][0][0]["error"]["status"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_terminate_frees_the_rpc_and_may_be_repeated(
    client: Client, echo: Echo, method: str
) -> None:
    await client.handshake({"n": 0})
    await eventually(lambda: echo.received)
    for _ in range(2):
        response = await client.http.request(
            method, client.url, params={"SID": client.sid, "RID": 2, "TYPE": "terminate"}
        )
        assert (response.status_code, response.content) == (200, b"")
    await eventually(lambda: echo.ended == 1)
    assert (await client.post("count=0", SID=client.sid)).status_code == 400


async def test_terminate_ends_the_open_get(client: Client) -> None:
    await client.handshake()
    async with client.back() as back:
        await back.frame()
        await client.post("", SID=client.sid, TYPE="terminate")
        assert await back.rest() == []


async def test_abandoned_session_expires(echo: Echo) -> None:
    channels = surface(echo, idle_expiry=0.1)
    async with connected(channels) as client:
        await client.handshake({"n": 0})
        assert channels.sessions == 1
        await eventually(lambda: channels.sessions == 0)
        await eventually(lambda: echo.ended == 1)


async def test_session_with_an_open_get_does_not_expire(echo: Echo) -> None:
    channels = surface(echo, idle_expiry=0.1, keepalive=0.1)
    async with connected(channels) as client:
        await client.handshake()
        async with client.back() as back:
            for _ in range(4):
                await back.frame()
            assert channels.sessions == 1


async def test_vanished_client_frees_its_back_channel(echo: Echo) -> None:
    channels = surface(echo)
    async with connected(channels) as client:
        await client.handshake()
        async with client.back() as back:
            await back.frame()
        [channel] = channels._channels.values()
        await eventually(lambda: not channel.has_back_channel)


async def test_stopping_server_tells_clients_and_lets_their_gets_end(echo: Echo) -> None:
    channels = surface(echo)
    async with connected(channels) as client:
        await client.handshake()
        async with client.back() as back:
            await back.frame()
            channels.close()
            frames = await back.rest()
        assert frames[-1][-1][1][0][0]["error"]["status"] == "UNAVAILABLE"
        assert (await client.http.post(client.url)).status_code == 503


async def test_every_answer_lets_the_page_read_it(client: Client) -> None:
    await client.handshake()
    async with client.back() as back:
        streamed = back.response.headers
    posted = (await client.post("count=0", SID=client.sid)).headers
    for headers in (streamed, posted):
        assert headers["access-control-allow-origin"] == ORIGIN
        assert headers["access-control-allow-credentials"] == "true"
        assert "X-HTTP-Session-Id" in headers["access-control-expose-headers"]
        assert headers["vary"] == "Origin"


async def test_preflight_echoes_the_headers_asked_for(client: Client) -> None:
    response = await client.http.options(
        client.url,
        headers={"origin": ORIGIN, "access-control-request-headers": "authorization,x-goog-a"},
    )
    assert response.status_code == 200
    assert response.headers["access-control-allow-headers"] == "authorization,x-goog-a"


async def test_sessions_are_bounded(echo: Echo) -> None:
    channels = WebChannel({PATH: echo}, limits=WebChannelLimits(sessions=1))
    async with connected(channels) as client:
        assert (await client.handshake()).status_code == 200
        assert (await client.handshake()).status_code == 503


def test_hot_loop_of_handshakes_is_slowed_down() -> None:
    throttle = Throttle(rate=10, burst=5)
    assert [throttle.delay("a", 0.0) for _ in range(5)] == [0.0] * 5
    assert throttle.delay("a", 0.0) == pytest.approx(0.1)
    assert throttle.delay("b", 0.0) == 0.0
    assert throttle.delay("a", 10.0) == 0.0


async def test_many_parallel_sessions_do_not_disturb_each_other(client: Client) -> None:
    async def one(number: int) -> None:
        own = Client(client.http, client.url.removesuffix(f"{PATH}/channel"))
        await own.handshake({"n": number})
        async with own.back(CI=1) as back:
            assert [{"n": number}] in [array for _, array in (await back.rest())[0]]

    await asyncio.gather(*(one(number) for number in range(20)))
