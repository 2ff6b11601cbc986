"""The listeners' connection: over real sockets, against a server that the test speaks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from homefire.errors import AuthError, FirestoreError
from homefire.firestore._view import ViewSnapshot
from homefire.firestore._watch_client import ListenTarget, WatchClient, WatchSettings

from tests.sdk.doubles import DEADLINE, Link, ScriptedServer, scripted_server, token

PREFIX = "projects/p/databases/(default)/documents/c/"
FAST = WatchSettings(first_backoff=0.01, max_backoff=0.05, linger=0.0, token_retry=0.01)
TARGET = ListenTarget({"query": {"parent": "p", "structuredQuery": {}}})


class Tokens:
    """A token source whose token the test chooses."""

    def __init__(self) -> None:
        self.now: str | None = None
        self.failures: list[Exception] = []
        self.forced = 0

    async def __call__(self, force: bool) -> str | None:
        self.forced += force
        if self.failures:
            raise self.failures.pop(0)
        return self.now


class Told:
    """What one listener is told."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[ViewSnapshot | FirestoreError] = asyncio.Queue()

    def __call__(self, event: ViewSnapshot | FirestoreError) -> None:
        self._events.put_nowait(event)

    async def view(self) -> ViewSnapshot:
        event = await asyncio.wait_for(self._events.get(), DEADLINE)
        assert isinstance(event, ViewSnapshot), event
        return event

    async def ids(self) -> list[str]:
        return [document.name.removeprefix(PREFIX) for document in (await self.view()).documents]

    async def error(self) -> FirestoreError:
        while True:
            event = await asyncio.wait_for(self._events.get(), DEADLINE)
            if isinstance(event, FirestoreError):
                return event

    @property
    def silent(self) -> bool:
        return self._events.empty()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as scripted:
        yield scripted


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest_asyncio.fixture
async def client(server: ScriptedServer, tokens: Tokens) -> AsyncIterator[WatchClient]:
    made = WatchClient(lambda: server.url, tokens, settings=FAST)
    yield made
    await made.close()


def doc(name: str, at: int = 1) -> dict[str, Any]:
    return {
        "documentChange": {
            "document": {"name": PREFIX + name, "fields": {}, "updateTime": f"t{at}"},
            "targetIds": [1],
        }
    }


def current(at: int = 1) -> list[dict[str, Any]]:
    change = {"readTime": f"2026-01-01T00:00:0{at}Z", "resumeToken": f"token{at}"}
    return [
        {"targetChange": {"targetChangeType": "CURRENT", "targetIds": [1], **change}},
        {"targetChange": change},
    ]


async def live(client: WatchClient, server: ScriptedServer) -> tuple[Link, Told, int]:
    """A listener that has its first snapshot, of the document ``a``."""
    told = Told()
    key = client.add(TARGET, told)
    link = await server.link()
    assert await link.frame() == {"addTarget": {"targetId": 1, **TARGET.wire}}
    await link.say(doc("a"), *current())
    assert await told.ids() == ["a"]
    return link, told, key


async def test_a_listener_is_told_the_first_snapshot(
    client: WatchClient, server: ScriptedServer
) -> None:
    await live(client, server)


async def test_listeners_share_one_connection(client: WatchClient, server: ScriptedServer) -> None:
    link, _, _ = await live(client, server)
    client.add(TARGET, Told())
    assert (await link.frame())["addTarget"]["targetId"] == 2
    assert server.connections == 1


async def test_the_token_is_sent_before_the_targets(
    client: WatchClient, server: ScriptedServer, tokens: Tokens
) -> None:
    tokens.now = token()
    client.add(TARGET, Told())
    link = await server.link()
    assert await link.frame() == {"authenticate": {"token": tokens.now}}
    assert "addTarget" in await link.frame()


async def test_a_new_user_is_told_in_band(
    client: WatchClient, server: ScriptedServer, tokens: Tokens
) -> None:
    link, _, _ = await live(client, server)
    tokens.now = token("u2")
    client.token_changed()
    assert await link.frame() == {"authenticate": {"token": tokens.now}}
    tokens.now = None
    client.token_changed()
    assert await link.frame() == {"authenticate": {"token": None}}


async def test_a_token_is_renewed_before_its_end(
    client: WatchClient, server: ScriptedServer, tokens: Tokens
) -> None:
    tokens.now = token(expires=time.time() + 0.4)
    client.add(TARGET, Told())
    link = await server.link()
    await link.frame()
    tokens.now = token(serial=1)
    await link.frame()
    assert await link.frame() == {"authenticate": {"token": tokens.now}}


async def test_renewing_is_tried_again_when_it_fails(
    client: WatchClient, server: ScriptedServer, tokens: Tokens
) -> None:
    link, _, _ = await live(client, server)
    tokens.failures = [AuthError("auth/network-request-failed", "down")] * 2
    tokens.now = token()
    client.token_changed()
    assert await link.frame() == {"authenticate": {"token": tokens.now}}


@pytest.mark.parametrize("how", ["close", "cut", "shutdown", "slow"])
async def test_a_lost_connection_is_resumed_by_itself(
    client: WatchClient, server: ScriptedServer, how: str
) -> None:
    link, told, _ = await live(client, server)
    codes = {"close": 1000, "shutdown": 1001, "slow": 4408}
    await (link.cut() if how == "cut" else link.close(codes[how]))
    assert (await told.view()).from_cache
    link = await server.link()
    frame = await link.frame()
    assert frame["addTarget"]["resumeToken"] == "token1"
    await link.say(doc("b", 2), *current(2))
    view = await told.view()
    assert [change.document.name[-1] for change in view.changes] == ["b"]
    assert not view.from_cache


@pytest.mark.parametrize("nonsense", ["{", "[]", b"\x00", '{"documentChange": {}}'])
async def test_nonsense_from_the_server_ends_the_connection_not_the_listener(
    client: WatchClient, server: ScriptedServer, nonsense: str | bytes
) -> None:
    link, told, _ = await live(client, server)
    await link.say_raw(nonsense)
    assert (await told.view()).from_cache
    link = await server.link()
    await link.frame()
    await link.say(*current(2))
    assert not (await told.view()).from_cache


async def test_a_refused_target_is_raised_and_forgotten(
    client: WatchClient, server: ScriptedServer
) -> None:
    link, told, _ = await live(client, server)
    cause = {"code": 7, "message": "no"}
    await link.say(
        {"targetChange": {"targetChangeType": "REMOVE", "targetIds": [1], "cause": cause}}
    )
    error = await told.error()
    assert (error.code, error.message) == ("permission-denied", "no")
    assert await link.gone() is not None


async def test_a_mismatch_listens_anew_under_a_new_id(
    client: WatchClient, server: ScriptedServer
) -> None:
    link, told, _ = await live(client, server)
    await link.say({"filter": {"targetId": 1, "count": 5}})
    assert await link.frame() == {"removeTarget": 1}
    assert await link.frame() == {"addTarget": {"targetId": 2, **TARGET.wire}}
    assert told.silent


async def test_refused_credentials_are_renewed_once_asked_for(
    client: WatchClient, server: ScriptedServer, tokens: Tokens
) -> None:
    tokens.now = token()
    client.add(TARGET, Told())
    link = await server.link()
    await link.close(4401, "expired")
    await server.link()
    assert tokens.forced == 1


async def test_credentials_refused_time_and_again_are_raised(
    client: WatchClient, server: ScriptedServer, tokens: Tokens
) -> None:
    tokens.now = token()
    told = Told()
    client.add(TARGET, told)
    for _ in range(3):
        await (await server.link()).close(4401, "expired")
    assert (await told.error()).code == "unauthenticated"


@pytest.mark.parametrize(
    ("close", "code"),
    [(4400, "invalid-argument"), (4404, "not-found"), (1009, "invalid-argument")],
)
async def test_what_cannot_change_is_raised_at_once(
    client: WatchClient, server: ScriptedServer, close: int, code: str
) -> None:
    link, told, _ = await live(client, server)
    await link.close(close, "why")
    error = await told.error()
    assert (error.code, error.message) == (code, "why")
    assert server.connections == 1


async def test_the_server_s_last_words_are_the_error(
    client: WatchClient, server: ScriptedServer
) -> None:
    link, told, _ = await live(client, server)
    said = {"code": 400, "status": "INVALID_ARGUMENT", "message": "the frame has two keys"}
    await link.say({"error": said})
    await link.close(4400, "short")
    assert (await told.error()).message == "the frame has two keys"


async def test_a_limit_passed_again_and_again_is_raised(
    client: WatchClient, server: ScriptedServer
) -> None:
    told = Told()
    client.add(TARGET, told)
    for _ in range(3):
        await (await server.link()).close(1008, "too many targets")
    assert (await told.error()).code == "resource-exhausted"


async def test_a_server_that_is_not_there_yet_is_waited_for(tokens: Tokens) -> None:
    async with scripted_server() as gone:
        url = gone.url
    client = WatchClient(lambda: url, tokens, settings=FAST)
    told = Told()
    client.add(TARGET, told)
    while client._failures < 3:
        await asyncio.sleep(0)
    async with scripted_server() as server:
        url = server.url
        link = await server.link()
        await link.frame()
        await link.say(doc("a"), *current())
        assert await told.ids() == ["a"]
        await client.close()


async def test_the_last_listener_closes_the_connection(
    client: WatchClient, server: ScriptedServer
) -> None:
    link, _, key = await live(client, server)
    client.remove(key)
    assert await link.gone() == 1000


async def test_a_removed_listener_is_told_nothing_more(
    client: WatchClient, server: ScriptedServer
) -> None:
    link, told, key = await live(client, server)
    client.add(TARGET, Told())
    await link.frame()
    client.remove(key)
    assert await link.frame() == {"removeTarget": 1}
    await link.say(doc("b"), *current(2))
    await link.say({"ping": ""})
    await link.close()
    await server.link()
    assert told.silent


async def test_a_listener_added_later_brings_the_connection_back(
    client: WatchClient, server: ScriptedServer
) -> None:
    link, _, key = await live(client, server)
    client.remove(key)
    await link.gone()
    told = Told()
    client.add(TARGET, told)
    assert (await (await server.link()).frame())["addTarget"]["targetId"] == 2
