"""A real MinIO server, and storage behind a real HTTP server, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from uvicorn.server import ServerState

from baas.access.principal import ANONYMOUS, OWNER, Principal, PrincipalKind
from baas.errors import PermissionDenied, Unauthenticated
from baas.model.values import Timestamp

ACCESS_KEY, SECRET_KEY = "tester", "a-secret-of-the-tests"


def minio_binary() -> Path | None:
    """The server that the tests may start, if there is one."""
    cache = Path(os.environ.get("HOMEFIRE_CACHE", "~/.cache/homefire")).expanduser()
    path = Path(os.environ.get("HOMEFIRE_MINIO", cache / "bin" / "minio"))
    return path if path.is_file() else None


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class MinioServer:
    """A MinIO process that can be stopped and started again on its data."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, bucket: str) -> str:
        return f"http://{ACCESS_KEY}:{SECRET_KEY}@{self.endpoint}/{bucket}"

    def start(self) -> None:
        """Start and wait until it answers."""
        with (self._folder.parent / "minio.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "server", "--address", self.endpoint, "--quiet", self._folder],
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self._folder.parent),
                    "MINIO_ROOT_USER": ACCESS_KEY,
                    "MINIO_ROOT_PASSWORD": SECRET_KEY,
                    "MINIO_BROWSER": "off",
                },
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(
                    f"http://{self.endpoint}/minio/health/ready", timeout=2
                ):
                    return
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@dataclass
class ScriptedRules:
    """Rules as a function of the test's own; everything is allowed unless it says no."""

    allow: Callable[..., bool] = field(default=lambda **_: True)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    async def check_storage(
        self,
        principal: Principal,
        bucket: str,
        object_name: str,
        method: str,
        resource: Mapping[str, Any] | None,
        new_resource: Mapping[str, Any] | None,
        time: Timestamp,
    ) -> None:
        self.asked.append((method, bucket, object_name))
        if principal.bypasses_rules:
            return
        try:
            allowed = self.allow(
                principal=principal,
                bucket=bucket,
                name=object_name,
                method=method,
                resource=resource,
                new=new_resource,
            )
        except (KeyError, TypeError):  # an error in a rule is a denial
            allowed = False
        if not allowed:
            raise PermissionDenied("Missing or insufficient permissions.")


async def authenticate(authorization: str | None, project: str) -> Principal:
    """``Bearer owner``, ``Firebase user:UID`` or nobody."""
    if authorization is None:
        return ANONYMOUS
    _, _, token = authorization.partition(" ")
    if token == "owner":
        return OWNER
    if token.startswith("user:"):
        uid = token.removeprefix("user:")
        return Principal(PrincipalKind.USER, uid=uid, claims={"sub": uid}, project=project)
    raise Unauthenticated("The credentials are not valid.")


@contextlib.asynccontextmanager
async def served(routes: list[BaseRoute]) -> AsyncIterator[str]:
    """Serve routes on a port of 127.0.0.1, as uvicorn does it; gives the base URL."""
    config = uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off")
    config.load()
    state = ServerState()
    listening = await asyncio.get_running_loop().create_server(
        lambda: config.http_protocol_class(config=config, server_state=state, app_state={}),
        "127.0.0.1",
        0,
    )
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for connection in list(state.connections):
            connection.shutdown()
        async with asyncio.timeout(10):
            while state.tasks:
                await asyncio.wait(set(state.tasks))
