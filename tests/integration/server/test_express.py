"""Firestore's REST calls go from parser to surface without ASGI in between: HTTP stays HTTP all the same."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.support.server import ServerProcess

POSTS = "/v1/projects/homefire/databases/(default)/documents/posts"
QUERY = json.dumps({"structuredQuery": {"from": [{"collectionId": "posts"}], "limit": 1}}).encode()


class Wire:
    """A connection, byte by byte."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._rest = b""

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer."""
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._more()
        head, _, rest = self._rest.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (each.partition(": ") for each in lines)
        }
        length = int(headers["content-length"])
        while len(rest) < length:
            rest += self._more()
        self._rest = rest[length:]
        return int(status.split()[1]), headers, rest[:length]

    def _more(self) -> bytes:
        data = self.connection.recv(65_536)
        assert data, "the server closed the connection"
        return data


@pytest.fixture
def wire(example_server: ServerProcess) -> Iterator[Wire]:
    address = urlsplit(example_server.address)
    with closing(socket.create_connection((address.hostname, address.port), timeout=30)) as found:
        yield Wire(found)


def request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def ask_query() -> bytes:
    return request("POST", POSTS.removesuffix("/posts") + ":runQuery", body=QUERY)


def test_answers_pipelined_requests_in_order(wire: Wire) -> None:
    wire.send(request("GET", f"{POSTS}/a") + ask_query() + request("GET", "/healthz") + ask_query())
    assert [wire.answer()[0] for _ in range(4)] == [404, 200, 200, 200]


def test_takes_a_body_in_pieces(wire: Wire) -> None:
    message = ask_query()
    for at in range(0, len(message), 7):
        wire.send(message[at : at + 7])
    assert wire.answer()[0] == 200


def test_takes_a_chunked_body(wire: Wire) -> None:
    head = f"POST {POSTS.removesuffix('/posts')}:runQuery HTTP/1.1\r\nHost: test\r\n"
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(QUERY), QUERY)
    wire.send(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    assert wire.answer()[0] == 200


def test_takes_a_body_that_was_announced_first(wire: Wire) -> None:
    message = request(
        "POST", POSTS.removesuffix("/posts") + ":runQuery", "Expect: 100-continue", body=QUERY
    )
    head, _, body = message.partition(b"\r\n\r\n")
    wire.send(head + b"\r\n\r\n")
    assert wire.connection.recv(100).startswith(b"HTTP/1.1 100")
    wire.send(body)
    assert wire.answer()[0] == 200


def test_closes_the_connection_when_asked_to(wire: Wire) -> None:
    wire.send(request("GET", f"{POSTS}/a", "Connection: close"))
    status, headers, _ = wire.answer()
    assert (status, headers["connection"]) == (404, "close")
    assert wire.connection.recv(1) == b""


def test_serves_on_after_a_client_that_went_away_in_its_body(
    wire: Wire, example_server: ServerProcess
) -> None:
    wire.send(ask_query()[:-5])
    wire.connection.shutdown(socket.SHUT_WR)
    wire.connection.close()
    address = urlsplit(example_server.address)
    with closing(socket.create_connection((address.hostname, address.port), timeout=30)) as found:
        again = Wire(found)
        again.send(ask_query())
        assert again.answer()[0] == 200


def test_refuses_a_body_over_the_limit_and_goes_on(wire: Wire) -> None:
    wire.send(request("POST", POSTS, body=b" " * (11 * 1024 * 1024 + 1)))
    status, _, body = wire.answer()
    assert status == 400
    assert json.loads(body)["error"]["status"] == "INVALID_ARGUMENT"
    wire.send(ask_query())
    assert wire.answer()[0] == 200


def test_tells_other_origins_that_they_may_read(wire: Wire) -> None:
    wire.send(request("GET", f"{POSTS}/a", "Origin: https://app.example"))
    status, headers, _ = wire.answer()
    assert (status, headers["access-control-allow-origin"]) == (404, "https://app.example")


def test_dates_and_types_its_answers(wire: Wire) -> None:
    wire.send(ask_query())
    _, headers, _ = wire.answer()
    assert headers["content-type"] == "application/json"
    assert headers["date"].endswith("GMT")


@pytest.mark.parametrize("method", ["HEAD", "PUT", "OPTIONS"])
def test_leaves_other_methods_to_the_ordinary_way(wire: Wire, method: str) -> None:
    wire.send(request(method, f"{POSTS}/a"))
    assert wire.connection.recv(100).startswith((b"HTTP/1.1 404", b"HTTP/1.1 405"))
