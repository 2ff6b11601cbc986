"""A real server in a process of its own, and the official SDKs that judge it."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PREVIOUS = os.environ.get("HOMEFIRE_NODE_CLIENTS") == "previous"
"""Whether the Node clients of one major version back are to judge."""
CACHE = Path(os.environ.get("HOMEFIRE_CACHE", Path.home() / ".cache" / "homefire")) / (
    "node-previous" if PREVIOUS else "node"
)
START_SECONDS = 60
SCRIPT_SECONDS = 480
"""All cases of one script together."""
NOT_IN_PREVIOUS = frozenset(("admin_pipelines.test.mjs",))
"""Scripts and cases that need what those versions do not have."""


@dataclasses.dataclass
class Server:
    """A running server; ``log`` grows while it runs."""

    url: str
    data: Path
    process: subprocess.Popen[str]
    log: list[str]
    reader: threading.Thread

    @property
    def address(self) -> str:
        """Host and port."""
        return self.url.removeprefix("http://").removeprefix("https://")

    def stop(self, *, kill: bool = False) -> None:
        """End the process."""
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        try:
            self.process.wait(30)
        finally:
            self.process.kill()
            self.process.wait()
            self.reader.join(10)
            if self.process.stdout is not None:
                self.process.stdout.close()


def start_server(data: Path, *arguments: str, port: int = 0, dev: bool = True) -> Server:
    """Start a server over a data folder and wait until it says where it listens."""
    command = [sys.executable, "-m", "baas.cli", "serve", "--port", str(port), "--data", str(data)]
    command += ["--dev"] if dev else []
    process = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=HERE.parents[2],
    )
    log: list[str] = []
    url: list[str] = []
    ready = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            log.append(line)
            found = re.search(r"serves on (https?://[^\s/]+:\d+)", line)
            if found and not url:
                url.append(found[1])
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    ready.wait(START_SECONDS)
    running = Server(url[0] if url else "", data, process, log, reader)
    if not url:
        running.stop(kill=True)
        pytest.fail("the server did not start:\n" + "".join(log[-40:]))
    return running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server in development mode for all tests here."""
    running = start_server(tmp_path_factory.mktemp("official") / "data")
    yield running
    running.stop()
    signs = ("Traceback", "[error", "[critical")
    unexpected = [line for line in running.log if any(sign in line for sign in signs)]
    assert unexpected == [], "".join(running.log[-100:])


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the Node scripts beside the installed SDKs."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if not (CACHE / "node_modules" / "firebase").is_dir():
        pytest.skip("the official SDKs are not installed: run scripts/install-node-clients.sh")
    folder = tmp_path_factory.mktemp("node")
    for source in ("node", "browser", "founding", "production"):
        shutil.copytree(HERE / source, folder / source)
    (folder / "node_modules").symlink_to(CACHE / "node_modules")
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def cases(folder: str) -> Iterator[tuple[str, str]]:
    """The cases of a folder's scripts: script and name, read from their text."""
    for script in sorted((HERE / folder).glob("*.test.mjs")):
        if PREVIOUS and script.name in NOT_IN_PREVIOUS:
            continue
        for name in re.findall(r"^test\('((?:[^'\\]|\\.)+)'", script.read_text(), re.MULTILINE):
            if not PREVIOUS or name not in NOT_IN_PREVIOUS:
                yield f"{folder}/{script.name}", name.replace("\\'", "'")


NodeRunner = Callable[[str], dict[str, dict[str, object]]]


@pytest.fixture(scope="session")
def run_node(node_folder: Path, server: Server) -> NodeRunner:
    """Runs a script of cases (named from this folder) once; answers each case's result by its name."""
    done: dict[str, dict[str, dict[str, object]]] = {}

    def run(script: str) -> dict[str, dict[str, object]]:
        if script not in done:
            done[script] = _run_cases(node_folder / script, server)
        return done[script]

    return run


def node_environment(server: Server) -> dict[str, str]:
    """Environment variables that point the SDKs at the server."""
    return os.environ | {
        "HOMEFIRE_URL": server.url,
        "HOMEFIRE_PYTHON": sys.executable,
        "HOMEFIRE_ROOT": str(HERE.parents[2]),
        "FIRESTORE_EMULATOR_HOST": server.address,
        "FIREBASE_AUTH_EMULATOR_HOST": server.address,
        "FIREBASE_STORAGE_EMULATOR_HOST": server.address,
        "STORAGE_EMULATOR_HOST": server.url,
        "GCLOUD_PROJECT": "demo",
        "GOOGLE_CLOUD_DISABLE_GRPC_GCP_OBSERVABILITY": "true",
        "NODE_NO_WARNINGS": "1",
    }


def _run_cases(script: Path, server: Server) -> dict[str, dict[str, object]]:
    started = time.monotonic()
    try:
        finished = subprocess.run(
            ["node", str(script)],
            env=node_environment(server),
            capture_output=True,
            text=True,
            timeout=SCRIPT_SECONDS,
        )
        output, errors, code = finished.stdout, finished.stderr, finished.returncode
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode() if isinstance(late.stdout, bytes) else ""
        errors, code = f"not done after {time.monotonic() - started:.0f} s", -1
    results = {}
    for line in output.splitlines():
        if line.startswith("CASE "):
            result = json.loads(line.removeprefix("CASE "))
            results[result["name"]] = result
    results[""] = {"ok": code == 0, "error": f"{errors[-3000:]}\n{output[-1000:]}"}
    return results
