"""A real server for the SDK's tests, and apps of it."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from homefire.app import FirebaseApp, delete_app, initialize_app

ROOT = Path(__file__).resolve().parents[2]
BLOG = ROOT / "examples" / "blog"
PROJECT = "demo"
START_SECONDS = 30.0


class Server:
    """A server process with a data folder of its own, which survives ``restart()``."""

    def __init__(self, data: Path, *flags: str) -> None:
        self.host = ""
        self.log: list[str] = []
        self._data = data
        self._flags = flags
        self._process: subprocess.Popen[str] | None = None

    def start(self, port: int = 0) -> None:
        """Start and wait for the line that tells the address."""
        command = [sys.executable, "-m", "baas.cli", "serve", "--dev", "--project", PROJECT]
        command += ["--port", str(port), "--data", str(self._data), *self._flags]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HOMEFIRE_")}
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._drain, args=(self._process, lines), daemon=True).start()
        while True:
            line = lines.get(timeout=START_SECONDS)
            if line is None:
                pytest.fail("the server did not start:\n" + "".join(self.log))
            found = re.search(r"serves on (http://127\.0\.0\.1:\d+)", line)
            if found:
                self.host = found[1]
                return

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process; its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(how)
        status = process.wait(START_SECONDS)
        if process.stdout is not None:
            process.stdout.close()
        return status

    def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process and start another one at the same address."""
        self.stop(how)
        self.start(int(self.host.rsplit(":", 1)[1]))

    def _drain(self, process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
        assert process.stdout is not None
        with contextlib.suppress(ValueError):  # closed under our hands by stop()
            for line in process.stdout:
                self.log.append(line)
                lines.put(line)
        lines.put(None)


@contextlib.contextmanager
def running(data: Path, *flags: str) -> Iterator[Server]:
    """A started server."""
    server = Server(data, *flags)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lets everybody do everything."""
    with running(tmp_path_factory.mktemp("open")) as server:
        yield server


@pytest.fixture(scope="session")
def blog_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the rules of the blog example."""
    with running(
        tmp_path_factory.mktemp("blog"),
        "--rules",
        str(BLOG / "firestore.rules.json"),
        "--storage-rules",
        str(BLOG / "storage.rules"),
    ) as server:
        yield server


MakeApp = Callable[[str], FirebaseApp]


@pytest_asyncio.fixture
async def make_app() -> AsyncIterator[MakeApp]:
    """Makes apps of a host, and deletes them at the end."""
    apps: list[FirebaseApp] = []

    def make(host: str) -> FirebaseApp:
        options = {
            "project_id": PROJECT,
            "api_key": "any",
            "storage_bucket": f"{PROJECT}.appspot.com",
            "host": host,
        }
        apps.append(initialize_app(options, f"app-{uuid4()}"))
        return apps[-1]

    yield make
    for app in apps:
        await delete_app(app)


@pytest.fixture
def app(open_server: Server, make_app: MakeApp) -> FirebaseApp:
    """An app of the open server."""
    return make_app(open_server.host)


@pytest.fixture
def blog(blog_server: Server, make_app: MakeApp) -> FirebaseApp:
    """An app of the server with the blog's rules."""
    return make_app(blog_server.host)


@pytest.fixture
def unique() -> str:
    """A name that no other test uses."""
    return f"x{uuid4().hex}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the servers logged beside a test that failed."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Server):
                report.sections.append(("server log", "".join(value.log[-60:])))
    return report
