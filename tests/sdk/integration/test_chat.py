"""The chat example, as people use it: two processes, their keyboards and their screens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from homefire.app import FirebaseApp
from homefire.auth import get_auth, sign_in_anonymously
from homefire.errors import FirestoreError
from homefire.firestore import add_doc, collection, delete_doc, get_firestore, server_timestamp

from tests.sdk.conftest import PROJECT, ROOT, MakeApp, Server, running

CHAT = ROOT / "examples" / "chat"
DEADLINE = 30.0


class Terminal:
    """A running chat: what is typed into it and what it shows."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def type(self, text: str) -> None:
        """Type a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n".encode())
        await self._process.stdin.drain()

    async def line(self) -> str:
        """The next line that it shows."""
        assert self._process.stdout is not None
        return (await asyncio.wait_for(self._process.stdout.readline(), DEADLINE)).decode().strip()

    async def leave(self) -> int:
        """End the input; the exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return await asyncio.wait_for(self._process.wait(), DEADLINE)

    def kill(self) -> None:
        """End it in whatever state it is."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


@contextlib.asynccontextmanager
async def entered(server: Server, name: str, room: str) -> AsyncIterator[Terminal]:
    """A chat that has entered a room."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, str(CHAT / "chat.py"), "--name", name, "--room", room],
        *["--host", server.host, "--project", PROJECT],
        env=os.environ | {"PYTHONPATH": str(ROOT / "sdk"), "PYTHONWARNINGS": "error"},
        stdin=-1,
        stdout=-1,
    )
    terminal = Terminal(process)
    try:
        assert await terminal.line() == f"{name} is in the {room}; Ctrl-D leaves"
        yield terminal
    finally:
        terminal.kill()
        await process.wait()


@pytest.fixture(scope="module")
def chat_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the chat's rules."""
    rules = str(CHAT / "firestore.rules")
    with running(tmp_path_factory.mktemp("chat"), "--rules", rules) as server:
        yield server


@pytest.fixture
async def guest(chat_server: Server, make_app: MakeApp) -> FirebaseApp:
    """An app that somebody is signed in to anonymously."""
    app = make_app(chat_server.host)
    await sign_in_anonymously(get_auth(app))
    return app


async def test_two_people_see_what_each_writes(chat_server: Server, unique: str) -> None:
    async with (
        entered(chat_server, "Ada", unique) as ada,
        entered(chat_server, "Grace", unique) as grace,
    ):
        await ada.type("is anybody there?")
        for terminal in (ada, grace):
            assert await terminal.line() == "Ada: is anybody there?"
        await grace.type("me")
        for terminal in (ada, grace):
            assert await terminal.line() == "Grace: me"
        assert (await ada.leave(), await grace.leave()) == (0, 0)


async def test_whoever_comes_later_is_shown_what_was_said(chat_server: Server, unique: str) -> None:
    async with entered(chat_server, "Ada", unique) as ada:
        await ada.type("one")
        await ada.type("two")
        assert [await ada.line(), await ada.line()] == ["Ada: one", "Ada: two"]
        async with entered(chat_server, "Grace", unique) as grace:
            assert [await grace.line(), await grace.line()] == ["Ada: one", "Ada: two"]


async def test_a_chat_goes_on_over_a_restart_of_the_server(
    chat_server: Server, unique: str
) -> None:
    async with (
        entered(chat_server, "Ada", unique) as ada,
        entered(chat_server, "Grace", unique) as grace,
    ):
        await ada.type("before")
        assert [await ada.line(), await grace.line()] == ["Ada: before"] * 2
        await asyncio.to_thread(chat_server.restart)
        await ada.type("after")
        assert [await ada.line(), await grace.line()] == ["Ada: after"] * 2


@pytest.mark.parametrize(
    "change", [{"from": "somebody else"}, {"text": ""}, {"sentAt": 0}, {"colour": "red"}]
)
async def test_the_rules_refuse_what_is_not_a_message_of_ones_own(
    guest: FirebaseApp, unique: str, change: dict[str, object]
) -> None:
    user = get_auth(guest).current_user
    assert user is not None
    messages = collection(get_firestore(guest), "rooms", unique, "messages")
    good = {"from": user.uid, "name": "Eve", "text": "psst", "sentAt": server_timestamp()}
    sent = await add_doc(messages, good)
    with pytest.raises(FirestoreError, match="permission-denied"):
        await add_doc(messages, good | change)
    with pytest.raises(FirestoreError, match="permission-denied"):
        await delete_doc(sent)


async def test_the_rules_own_tests_pass() -> None:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "baas.cli", "rules", "test"],
        *[str(CHAT / "firestore.rules"), str(CHAT / "firestore.test.json")],
        cwd=ROOT,
        stdout=-1,
        stderr=-2,
    )
    output = (await asyncio.wait_for(process.communicate(), DEADLINE))[0].decode()
    assert process.returncode == 0, output
    assert "5 of 5 passed" in output
