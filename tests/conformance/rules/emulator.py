"""Google's Firestore emulator as an oracle for rules: load a ruleset, ask as an end user."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

_FOLDERS = (
    Path("/usr/lib/google-cloud-sdk/platform/cloud-firestore-emulator"),
    Path.home() / "google-cloud-sdk/platform/cloud-firestore-emulator",
)
_IDLE_SECONDS = 1.0
_DOCUMENTS = "/v1/projects/p/databases/(default)/documents"


def installed() -> Path | None:
    """Its folder, or None where it or Java is missing."""
    if shutil.which("java") is None:
        return None
    return next(
        (folder for folder in _FOLDERS if (folder / "cloud_firestore_emulator").exists()), None
    )


class Server:
    """A server of the protocol on a port of this machine: load a ruleset, ask as an end user."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._used = time.monotonic()

    def close(self) -> None:
        self._http.close()

    def call(
        self, method: str, path: str, body: Any = None, token: str | None = None
    ) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if time.monotonic() - self._used > _IDLE_SECONDS:
            self._http.close()  # the server may have closed it; it is opened anew
        self._http.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._http.getresponse()
        text = answer.read()
        self._used = time.monotonic()
        return answer.status, json.loads(text) if text.strip() else {}

    def load(self, source: str) -> bool:
        """Whether the ruleset compiles."""
        files = {"rules": {"files": [{"name": "firestore.rules", "content": source}]}}
        status, _ = self.call("PUT", "/emulator/v1/projects/p:securityRules", files)
        return status == 200

    def put(self, path: str, fields: dict[str, Any]) -> None:
        status, answer = self.call("PATCH", f"{_DOCUMENTS}/{path}", {"fields": fields}, "owner")
        assert status == 200, answer

    def get(self, path: str, uid: str | None = "u1") -> str:
        """ "T" if allowed, "F" if the rule is false, "E" if it has no value."""
        status, answer = self.call("GET", f"{_DOCUMENTS}/{path}", None, unsigned_token(uid))
        if status != 403:
            return "T"
        return "F" if answer["error"]["message"].strip().startswith("false for") else "E"

    def may_query(self, query: dict[str, Any], parent: str = "", uid: str | None = "u1") -> bool:
        url = f"{_DOCUMENTS}{'/' + parent if parent else ''}:runQuery"
        status, answer = self.call("POST", url, {"structuredQuery": query}, unsigned_token(uid))
        assert status in (200, 403), answer
        return status == 200

    def clear(self) -> None:
        status, _ = self.call("DELETE", f"/emulator{_DOCUMENTS}")
        assert status == 200


class Emulator(Server):
    """One process on a free port; `close` ends it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._process = subprocess.Popen(
            ["./cloud_firestore_emulator", "start", "--host=127.0.0.1", f"--port={port}"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        super().__init__(port)
        self._wait(port)

    def _wait(self, port: int) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.1)
        self.close()
        raise RuntimeError("the emulator did not start")

    def close(self) -> None:
        super().close()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def unsigned_token(uid: str | None) -> str | None:
    if uid is None:
        return None
    claims = {"sub": uid, "user_id": uid, "iat": 0, "exp": 3600}
    parts = ({"alg": "none", "type": "JWT"}, {**claims, "firebase": {"sign_in_provider": "custom"}})
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    return b".".join(encoded).decode() + "."
