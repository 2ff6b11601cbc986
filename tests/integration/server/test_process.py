"""The server as a process: how it starts, what it refuses, how it stops, and what survives."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx2
import pytest

from tests.integration.server.conftest import EXAMPLE_RULES
from tests.support.server import FOUNDING_STORAGE_RULES, ROOT, Client, ServerProcess, serving


def run_serve(*flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "baas.cli", "serve", *flags],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_it_is_healthy_and_ready_and_tells_its_version(anonymous: Client) -> None:
    assert anonymous.http.get(f"{anonymous.address}/healthz").json() == {"status": "ok"}
    assert anonymous.http.get(f"{anonymous.address}/readyz").json() == {"status": "ready"}
    assert anonymous.http.get(f"{anonymous.address}/version").json()["name"] == "homefire"


def test_sigterm_ends_it_with_status_0(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    assert server.stop() == 0


def test_a_bad_setting_is_refused_with_its_name(tmp_path: Path) -> None:
    refused = run_serve("--data", str(tmp_path), HOMEFIRE_LOG_LEVEL="loud")
    assert refused.returncode == 2
    assert "log_level" in refused.stderr


def test_rules_that_do_not_compile_are_refused_with_their_place(tmp_path: Path) -> None:
    rules = tmp_path / "bad.rules"
    rules.write_text("rules_version = '2';\nservice cloud.firestore { match /a/{b} { allow } }\n")
    refused = run_serve("--port", "0", "--data", str(tmp_path / "data"), "--rules", str(rules))
    assert refused.returncode == 2
    assert "bad.rules:2:" in refused.stderr


def test_rules_of_another_service_are_refused(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    refused = run_serve("--port", "0", "--data", data, "--rules", str(FOUNDING_STORAGE_RULES))
    assert refused.returncode == 2
    assert "has rules for firebase.storage, not for cloud.firestore" in refused.stderr


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = run_serve("--port", port, "--data", str(tmp_path))
    assert refused.returncode == 2
    assert "cannot listen" in refused.stderr


def test_a_second_server_on_one_data_folder_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path):
        refused = run_serve("--port", "0", "--data", str(tmp_path))
    assert refused.returncode == 2
    assert "another process" in refused.stderr


def test_without_rules_production_denies_everything(tmp_path: Path) -> None:
    with serving(tmp_path) as server, Client(server.address) as client:
        assert client.get("posts/p").status_code == 403


def test_rules_are_reloaded_on_change_in_development(tmp_path: Path) -> None:
    rules = tmp_path / "firestore.rules.json"
    rules.write_text('{"rules": {".read": false}}')
    with serving(tmp_path / "data", "--dev", "--rules", str(rules)) as server:
        with Client(server.address) as client:
            assert client.get("posts/p").status_code == 403
            rules.write_text('{"rules": {".read": true}}')
            wait_for_log(server, "rules reloaded")
            assert client.get("posts/p").status_code == 404


def test_rules_that_break_on_change_leave_the_old_ones_in_force(tmp_path: Path) -> None:
    rules = tmp_path / "firestore.rules.json"
    rules.write_text('{"rules": {".read": true}}')
    with serving(tmp_path / "data", "--dev", "--rules", str(rules)) as server:
        with Client(server.address) as client:
            rules.write_text('{"rules": {".read": ')
            wait_for_log(server, "rules not reloaded")
            assert client.get("posts/p").status_code == 404


def wait_for_log(server: ServerProcess, words: str) -> None:
    deadline = threading.Event()
    for _ in range(200):
        if any(words in line for line in server.log):
            return
        deadline.wait(0.05)
    raise AssertionError(f"never logged {words!r}:\n" + "".join(server.log))


def test_a_request_in_flight_is_finished_at_shutdown(tmp_path: Path) -> None:
    body = json.dumps({"email": "ada@example.com", "password": "correct horse"}).encode()
    server = ServerProcess(tmp_path)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = (
            f"POST /v1/accounts:signUp?key=k HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: application/json\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        status = server.stop()
        answer = connection.makefile("rb").readline()
    assert answer == b"HTTP/1.1 200 OK\r\n"
    assert status == 0


@pytest.mark.crash
def test_every_acknowledged_document_survives_sigkill(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    server = ServerProcess(tmp_path, *EXAMPLE_RULES)
    with Client(server.address) as anonymous, anonymous.signed_up() as ada:

        def write(worker: int) -> None:
            for number in range(10_000):
                name = f"w{worker}-{number}"
                try:
                    answer = ada.create("posts", name, n={"integerValue": str(number)})
                except httpx2.TransportError:
                    return
                if answer.status_code == 200:
                    acknowledged.append(name)

        workers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for worker in workers:
            worker.start()
        enough = random.randint(50, 300)
        while len(acknowledged) < enough:
            workers[0].join(0.01)
        server.kill()
        for worker in workers:
            worker.join()
    with serving(tmp_path, *EXAMPLE_RULES) as again, Client(again.address) as client:
        missing = [name for name in acknowledged if client.get(f"posts/{name}").status_code != 200]
    assert missing == []
