"""A listener ends when its account is disabled, deleted, or has its tokens revoked."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from jose import jwt
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.server import Client, ServerProcess, serving

DATABASE = "projects/homefire/databases/(default)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("ended"), "--dev") as running:
        yield running


@contextlib.contextmanager
def listening(server: ServerProcess, token: str) -> Iterator[ClientConnection]:
    """A connection that watches a collection and has its first snapshot."""
    address = f"ws://127.0.0.1:{server.port}/v1/{DATABASE}/listen"
    with connect(address, additional_headers={"authorization": f"Bearer {token}"}) as socket:
        watch(socket)
        yield socket


def watch(socket: ClientConnection) -> None:
    query = {"from": [{"collectionId": "posts"}]}
    target = {"parent": f"{DATABASE}/documents", "structuredQuery": query}
    socket.send(json.dumps({"addTarget": {"targetId": 2, "query": target}}))
    while "CURRENT" not in str(socket.recv(timeout=20)):
        pass


def last_words(socket: ClientConnection) -> tuple[str, int | None]:
    """The status of the error frame, and the code of the close."""
    status = ""
    try:
        while True:
            frame = json.loads(socket.recv(timeout=20))
            status = frame.get("error", {}).get("status", status)
    except ConnectionClosed as closed:
        return status, None if closed.rcvd is None else closed.rcvd.code


@pytest.mark.parametrize(
    "change",
    [{"disableUser": True}, {"validSince": "1"}, None],
    ids=["disabled", "revoked", "deleted"],
)
def test_an_ended_accounts_listener_ends(
    server: ServerProcess, change: dict[str, Any] | None, request: pytest.FixtureRequest
) -> None:
    with Client(server.address) as visitor, Client(server.address, token="owner") as admin:
        token = visitor.sign_up(f"{request.node.callspec.id}@example.com")["idToken"]
        uid = jwt.get_unverified_claims(token)["sub"]
        with listening(server, token) as socket:
            verb = "delete" if change is None else "update"
            answer = admin.http.post(
                f"{server.address}/v1/projects/homefire/accounts:{verb}",
                json={"localId": uid, **(change or {})},
            )
            assert answer.status_code == 200, answer.text
            assert last_words(socket) == ("UNAUTHENTICATED", 4401)


def test_another_accounts_listener_goes_on(server: ServerProcess) -> None:
    with Client(server.address) as visitor, Client(server.address, token="owner") as admin:
        staying = visitor.sign_up("staying@example.com")["idToken"]
        leaving = jwt.get_unverified_claims(visitor.sign_up("leaving@example.com")["idToken"])
        with listening(server, staying) as socket:
            admin.http.post(
                f"{server.address}/v1/projects/homefire/accounts:delete",
                json={"localId": leaving["sub"]},
            )
            socket.send(json.dumps({"ping": "still here"}))
            while "still here" not in str(socket.recv(timeout=20)):
                pass
