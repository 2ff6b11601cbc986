"""Objects up and down through a real server, beside the bare backend in the same run.

    python -m bench.storage [--seconds 3] [--large 256]

Rows: 1 MiB objects by 8 clients, one large object, the first byte of a small one; on files, on MinIO through
the server, and on MinIO reached directly by signed addresses. MinIO is left out, and that is said,
where there is no binary (see CONTRIBUTING.md). Every upload is durable when it is answered.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from minio import Minio

MIB = 1024 * 1024
CLIENTS = 8
OBJECTS = 4
ACCESS, SECRET = "bench", "bench-secret-key"
BUCKET = "bench.appspot.com"

Address = Callable[[str, str], tuple[str, str]]
"""(method, object name) -> (HTTP method, URL)."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
        deadline = time.monotonic() + 30
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
def homefire(folder: Path, storage_url: str | None) -> Iterator[tuple[Address, int]]:
    port = free_port()
    environment = {} if storage_url is None else {"HOMEFIRE_STORAGE_URL": storage_url}
    command = [sys.executable, "-m", "baas.cli", "serve", "--dev", "--project", "bench"]
    command += ["--port", str(port), "--data", str(folder)]
    base = f"http://127.0.0.1:{port}"

    def address(method: str, name: str) -> tuple[str, str]:
        if method == "up":
            return "POST", f"{base}/v0/b/{BUCKET}/o?name={name}"
        return "GET", f"{base}/v0/b/{BUCKET}/o/{name}?alt=media"

    with running(command, f"{base}/readyz", **environment) as pid:
        yield address, pid


class Client:
    """One connection; what it reads it throws away."""

    def __init__(self) -> None:
        self._connection: http.client.HTTPConnection | None = None
        self._buffer = bytearray(MIB)

    def go(self, method: str, url: str, body: bytes | None = None) -> tuple[int, float]:
        """(bytes of the answer, seconds to its first byte)."""
        parts = urlsplit(url)
        if self._connection is None:
            self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun = time.perf_counter()
        self._connection.request(method, f"{parts.path}?{parts.query}", body)
        answer = self._connection.getresponse()
        first = time.perf_counter() - begun
        if answer.status != 200:
            raise RuntimeError(f"{method} {url} answered {answer.status}: {answer.read()[:200]!r}")
        size = 0
        while count := answer.readinto(self._buffer):
            size += count
        return size, first

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def small_rate(address: Address, direction: str, data: bytes, seconds: float) -> float:
    """MB/s of 1 MiB objects by several clients."""
    done = [0] * CLIENTS
    barrier = threading.Barrier(CLIENTS)
    took = [0.0] * CLIENTS

    def work(number: int) -> None:
        client = Client()
        barrier.wait()
        begun = time.perf_counter()
        # at least the objects that the downloads will ask for
        while time.perf_counter() < begun + seconds or done[number] < OBJECTS:
            name = f"small-{number}-{done[number] % OBJECTS}"
            client.go(*address(direction, name), data if direction == "up" else None)
            done[number] += 1
        took[number] = time.perf_counter() - begun
        client.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) * len(data) / max(took) / 1e6


def large_rate(address: Address, direction: str, data: bytes) -> float:
    """MB/s of one large object, the median of three."""
    rates = []
    for _ in range(3):
        client = Client()
        begun = time.perf_counter()
        client.go(*address(direction, "large"), data if direction == "up" else None)
        rates.append(len(data) / (time.perf_counter() - begun) / 1e6)
        client.close()
    return statistics.median(rates)


def first_byte(address: Address) -> float:
    """Milliseconds to the first byte of a 1 MiB object, the median."""
    client = Client()
    times = [client.go(*address("down", "small-0-0"))[1] for _ in range(100)]
    client.close()
    return statistics.median(times) * 1000


def peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def row(title: str, address: Address, large: bytes, seconds: float, pid: int | None) -> None:
    small = large[:MIB]
    figures = [
        small_rate(address, "up", small, seconds),
        small_rate(address, "down", small, seconds),
        large_rate(address, "up", large),
        large_rate(address, "down", large),
    ]
    memory = "" if pid is None else f"{peak_mib(pid):8.0f} MiB"
    print(
        f"{title:24}" + "".join(f"{figure:10.0f}" for figure in figures),
        f"{first_byte(address):9.1f} ms {memory}",
        flush=True,
    )


def minio_binary() -> Path | None:
    cache = Path(os.environ.get("HOMEFIRE_CACHE", "~/.cache/homefire")).expanduser()
    path = Path(os.environ.get("HOMEFIRE_MINIO", cache / "bin" / "minio"))
    return path if path.is_file() else None


def with_minio(binary: Path, folder: Path, large: bytes, seconds: float) -> None:
    endpoint = f"127.0.0.1:{free_port()}"
    command = [str(binary), "server", "--quiet", "--address", endpoint, str(folder / "minio")]
    environment = {"MINIO_ROOT_USER": ACCESS, "MINIO_ROOT_PASSWORD": SECRET}
    with running(command, f"http://{endpoint}/minio/health/ready", **environment):
        url = f"http://{ACCESS}:{SECRET}@{endpoint}/homefire"
        with homefire(folder / "on-minio", url) as (address, pid):
            row("homefire on MinIO", address, large, seconds, pid)
        client = Minio(endpoint, ACCESS, SECRET, secure=False)
        client.make_bucket("bare")
        lifetime = timedelta(hours=1)

        def bare(direction: str, name: str) -> tuple[str, str]:
            if direction == "up":
                return "PUT", client.presigned_put_object("bare", name, lifetime)
            return "GET", client.presigned_get_object("bare", name, lifetime)

        row("MinIO, directly", bare, large, seconds, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--large", type=int, default=256, help="MiB of the large object")
    options = parser.parse_args()
    large = os.urandom(MIB) * options.large
    print(f"{'MB/s':24}{'8×1M up':>10}{'down':>10}{'large up':>10}{'down':>10}  first byte")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with homefire(folder / "on-files", None) as (address, pid):
            row("homefire on files", address, large, options.seconds, pid)
        binary = minio_binary()
        if binary is None:
            print("no MinIO server: its rows are left out (scripts/install-minio.sh builds one)")
        else:
            with_minio(binary, folder, large, options.seconds)


if __name__ == "__main__":
    main()
