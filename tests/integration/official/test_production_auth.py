"""Auth through the official SDKs in production mode: TLS, signed tokens, a key, nothing patched."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.official.conftest import HERE, start_server
from tests.unit.grpc.certificates import self_signed

GOOGLE = ("identitytoolkit.googleapis.com", "www.googleapis.com")
"""The hosts that firebase-admin for Python has as constants."""
RULES = """rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /own/{uid} { allow read, write: if request.auth.uid == uid; }
  }
}
"""


@dataclass
class Production:
    """A server in production mode, and what its clients need to know."""

    port: int
    environment: dict[str, str]

    def result_of(self, *command: str, **more: str) -> Any:
        finished = subprocess.run(
            command,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=120,
        )
        found = re.search(r"^RESULT (.*)$", finished.stdout, re.MULTILINE)
        assert found, finished.stdout[-2000:] + finished.stderr[-3000:]
        return json.loads(found[1])


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("production-auth")
    certificate, key = self_signed(folder, *GOOGLE)
    (folder / "firestore.rules").write_text(RULES)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    account, data = folder / "key.json", folder / "data"
    address = {"HOMEFIRE_PUBLIC_URL": f"https://localhost:{port}"}
    command = [sys.executable, "-m", "baas.cli", "keys", "create", str(account)]
    subprocess.run(
        [*command, "--data", str(data)], check=True, cwd=HERE.parents[2], env=os.environ | address
    )
    flags = ["--set", f"tls_certificate={certificate}", "--set", f"tls_key={key}"]
    flags += ["--set", f"public_url={address['HOMEFIRE_PUBLIC_URL']}"]
    flags += ["--rules", str(folder / "firestore.rules")]
    running = start_server(data, *flags, port=port, dev=False)
    trust = ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")
    environment = {name: str(certificate) for name in trust} | {
        "HOMEFIRE_HOST": f"localhost:{port}",
        "HOMEFIRE_KEY": str(account),
    }
    yield Production(port, os.environ | environment)
    running.stop()


@dataclass
class Proxy:
    """An HTTP proxy that leads Google's hosts to the server; ``asked`` are the hosts that were asked for."""

    port: int
    asked: set[str]


@contextlib.contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """What a company's proxy, or a line in a hosts file, would do."""
    found = Proxy(0, set())
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        assert method == "CONNECT"
        found.asked.add(target.partition(":")[0])
        there, thither = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pipe(reader, thither), pipe(there, writer))

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        found.port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def test_python_admin_auth_in_production(production: Production) -> None:
    script = str(HERE / "production" / "admin_auth.py")
    with proxy_to(production.port) as proxy:
        result = production.result_of(
            sys.executable,
            script,
            HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}",
            NO_PROXY="localhost",
        )
    assert result == {
        "claims": [True, True, 1],
        "cookie": True,
        "link": True,
        "listed": 1,
        "forged": "InvalidIdTokenError",
        "disabled": "UserDisabledError",
        "tenant": [True, "acme-two", True, True],
        "apart": "UserNotFoundError",
    }
    # its credentials also ask iamcredentials.googleapis.com for bounds of trust, and do without
    assert set(GOOGLE) <= proxy.asked


def test_web_auth_in_node_in_production(production: Production, node_folder: Path) -> None:
    result = production.result_of("node", str(node_folder / "production" / "web_auth.mjs"))
    assert result == {
        "denied": "permission-denied",
        "wrong": "auth/invalid-credential",
        "provider": "password",
        "signed": "RS256",
        "read": {"n": 1},
    }


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_web_auth_in_a_browser_in_production(production: Production, node_folder: Path) -> None:
    result = production.result_of("node", str(node_folder / "production" / "web_auth_browser.mjs"))
    assert result == {
        "same": True,
        "own": {"n": 1},
        "other": "permission-denied",
        "foreign": [],
    }
