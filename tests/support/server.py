"""A real server in a process of its own, and a small HTTP client for it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).parents[2]
FOUNDING_RULES = ROOT / "examples" / "blog" / "firestore.rules.json"
FOUNDING_STORAGE_RULES = ROOT / "examples" / "blog" / "storage.rules"
START_SECONDS = 60


class ServerProcess:
    """``homefire serve`` on a free port. ``log`` gathers what it writes to standard error; ``program`` is
    what Python runs instead of the command line itself."""

    def __init__(
        self, data: Path, *flags: str, program: tuple[str, ...] = ("-m", "baas.cli")
    ) -> None:
        self.data = data
        self.log: list[str] = []
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HOMEFIRE_")}
        self.process = subprocess.Popen(
            [sys.executable, *program, "serve", "--port", "0", "--data", str(data), *flags],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self.address = self._wait_for_address()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)

    def _wait_for_address(self) -> str:
        assert self.process.stdout is not None
        killer = threading.Timer(START_SECONDS, self.process.kill)
        killer.start()
        try:
            for line in self.process.stdout:
                found = re.search(r"https?://[^\s]+", line)
                if found:
                    return found[0]
        finally:
            killer.cancel()
        self._finish()
        raise AssertionError("the server did not start:\n" + "".join(self.log))

    @property
    def port(self) -> int:
        """The port that it took."""
        return int(self.address.rpartition(":")[2])

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        self.process.kill()
        self._finish()

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self._finish()

    def _finish(self) -> int:
        status = self.process.wait(timeout=START_SECONDS)
        self._reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return status


@contextlib.contextmanager
def serving(data: Path, *flags: str) -> Iterator[ServerProcess]:
    """A running server, stopped in the end."""
    server = ServerProcess(data, *flags)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


class Client:
    """REST calls to one project of a server, as one caller."""

    def __init__(self, address: str, project: str = "homefire", token: str | None = None) -> None:
        self.address = address
        self.project = project
        self.documents = f"{address}/v1/projects/{project}/databases/(default)/documents"
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self.http = httpx2.Client(headers=headers, timeout=30)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def sign_up(self, email: str = "ada@example.com", password: str = "correct horse") -> Any:
        """Make an account; answers the response's body."""
        answer = self.http.post(
            f"{self.address}/v1/accounts:signUp?key=any",
            json={"email": email, "password": password, "returnSecureToken": True},
        )
        answer.raise_for_status()
        return answer.json()

    def signed_up(self, email: str = "ada@example.com") -> Client:
        """A client of a new account."""
        return Client(self.address, self.project, self.sign_up(email)["idToken"])

    def create(self, collection: str, document_id: str, **fields: Any) -> httpx2.Response:
        """Create a document of typed values."""
        return self.http.post(
            f"{self.documents}/{collection}?documentId={document_id}", json={"fields": fields}
        )

    def get(self, path: str) -> httpx2.Response:
        """Get a document."""
        return self.http.get(f"{self.documents}/{path}")
