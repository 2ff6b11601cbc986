"""SIGTERM with streams open: each is ended in the words of its protocol, and the status is 0."""

from __future__ import annotations

import http.client
import json
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.server import ServerProcess

DATABASE = "projects/homefire/databases/(default)"


def target(parent: str = f"{DATABASE}/documents") -> dict[str, Any]:
    query = {"from": [{"collectionId": "posts"}]}
    return {"targetId": 2, "query": {"parent": parent, "structuredQuery": query}}


def close_code(socket: ClientConnection) -> int | None:
    """Read to the end; answers the code of the server's close frame."""
    try:
        while True:
            socket.recv(timeout=20)
    except ConnectionClosed as closed:
        return None if closed.rcvd is None else closed.rcvd.code


def test_a_websocket_is_closed_with_1001(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--dev")
    with connect(f"ws://127.0.0.1:{server.port}/v1/{DATABASE}/listen") as socket:
        socket.send(json.dumps({"addTarget": target()}))
        while "CURRENT" not in str(socket.recv(timeout=20)):
            pass
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        code = close_code(socket)
        stopping.join()
    assert code == 1001
    assert server.process.returncode == 0


def test_a_grpc_listen_ends_with_unavailable(tmp_path: Path) -> None:
    from google.cloud.firestore_v1 import types  # the official message classes

    server = ServerProcess(tmp_path, "--dev")
    goes_on = threading.Event()
    request = types.ListenRequest(database=DATABASE, add_target={"target_id": 2, "query": {}})
    request.add_target.query.parent = f"{DATABASE}/documents"
    request.add_target.query.structured_query = {"from_": [{"collection_id": "posts"}]}

    def requests() -> Any:
        yield types.ListenRequest.serialize(request)
        goes_on.wait(30)

    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.stream_stream("/google.firestore.v1.Firestore/Listen")(requests())
        next(call)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        with pytest.raises(grpc.RpcError) as ended:
            list(call)
        goes_on.set()
        stopping.join()
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    assert server.process.returncode == 0


def test_an_idle_keep_alive_connection_does_not_hold_it_up(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    idle.request("GET", "/healthz")
    assert idle.getresponse().read() == b'{"status":"ok"}'
    assert server.stop() == 0
    idle.close()
