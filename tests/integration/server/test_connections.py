"""What a connection may take: the heads of messages are bounded."""

from __future__ import annotations

import socket

import pytest

from tests.support.server import ServerProcess


def answer_to(server: ServerProcess, head: bytes) -> bytes:
    """What comes back for some bytes, until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        received = b""
        try:
            connection.sendall(head)
            while block := connection.recv(65_536):
                received += block
        except ConnectionError:  # closed while we were still sending
            pass
        return received


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"X: x\r\n" * 300 + b"\r\n",
        b"GET /v1/projects/homefire/databases/d/documents/a/b HTTP/1.1\r\n"
        + b"X: x\r\n" * 300
        + b"\r\n",
    ],
)
def test_a_head_over_the_bounds_is_refused(example_server: ServerProcess, head: bytes) -> None:
    assert b" 200 " not in answer_to(example_server, head)[:20]
