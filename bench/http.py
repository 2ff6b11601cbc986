"""A real Homefire server over HTTP, as end users have it: production mode, ID tokens, per-owner rules.

    python -m bench http [--documents 1000,10000,100000] [--seconds 3]

Starts `homefire serve` with a fresh data folder, signs users up, and measures creates, gets, updates and
the example's query (``authorId == x`` by ``createdAt`` descending, limit 20) for 1 and 32 clients (the query:
16). Every write is durable when it is answered. CPU is that of the server's process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import uvloop

from bench.load import Measured, ask_once, measure, memory_mib, request

AUTHORS = 10
ROWS = (
    ("create", 1),
    ("create", 32),
    ("get", 1),
    ("get", 32),
    ("update", 1),
    ("update", 32),
    ("query", 1),
    ("query", 16),
)
RULES = """
rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /posts/{postId} {
      allow create: if request.auth != null
        && request.resource.data.authorId == request.auth.uid;
      allow read, update, delete: if request.auth != null
        && resource.data.authorId == request.auth.uid;
    }
  }
}
"""
DOCUMENTS = "/v1/projects/homefire/databases/(default)/documents"
BODY = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. " * 3
HERE = Path(__file__).resolve().parent.parent


class Subject:
    """A server under measurement, with what it takes to ask it as an end user.

    Documents are numbered; number ``n`` belongs to author ``n % AUTHORS``, and the requests that are measured
    are those of author 0.
    """

    name: str
    host = "127.0.0.1"
    port: int
    pid: int
    start_seconds: float

    def __init__(self) -> None:
        self.count = 0
        self.random = random.Random(1)
        self._created = itertools.count()

    def own(self) -> int:
        """The number of one of author 0's documents."""
        return self.random.randrange(self.count // AUTHORS) * AUTHORS

    async def fill(self, count: int) -> None:
        """Have documents up to a number, created in the quickest way."""
        raise NotImplementedError

    def request(self, work: str) -> bytes:
        """The next request of a kind: create, get, update or query."""
        raise NotImplementedError

    async def warm(self) -> None:
        """Do what makes a first query slower than the rest."""
        for _ in range(3):
            await ask_once(self.host, self.port, self.request("query"))

    async def measure(self, work: str, clients: int, seconds: float) -> Measured:
        """Keep the server busy with one kind of work."""
        return await measure(
            self.host, self.port, self.pid, lambda: self.request(work), clients, seconds
        )

    def memory(self) -> float:
        """Resident MiB."""
        return memory_mib(self.pid)


def post(number: int, author: str) -> dict[str, object]:
    """The document of a number, as plain JSON."""
    return {
        "authorId": author,
        "title": f"The title of post number {number}",
        "content": BODY,
        "createdAt": f"2026-01-01T00:{number // 60_000_000 % 60:02d}:{number // 1_000_000 % 60:02d}"
        f".{number % 1_000_000:06d}Z",
        "likes": number % 100,
    }


def encoded(number: int, author: str) -> dict[str, object]:
    """The same in Firestore's JSON."""
    plain = post(number, author)
    kinds = {"likes": "integerValue", "createdAt": "timestampValue"}
    return {
        "fields": {
            name: {kinds.get(name, "stringValue"): str(value)} for name, value in plain.items()
        }
    }


class FirestoreSubject(Subject):
    """Whoever speaks Firestore's REST interface."""

    tokens: list[str]
    uids: list[str]

    def headers(self, author: int = 0) -> dict[str, str]:
        """What an end user sends with each request."""
        return {
            "Authorization": f"Bearer {self.tokens[author]}",
            "Content-Type": "application/json",
        }

    def _name(self, number: int) -> str:
        return f"posts/p{number * 2654435761 % 2**32:08x}"

    async def fill(self, count: int) -> None:
        """By commits of 500 writes, each as the author of its documents."""
        root = DOCUMENTS.removeprefix("/v1/")
        for start in range(self.count, count, 5_000):
            for author in range(AUTHORS):
                numbers = range(start + author, min(start + 5_000, count), AUTHORS)
                writes = [
                    {"update": {"name": f"{root}/{self._name(n)}", **encoded(n, self.uids[author])}}
                    for n in numbers
                ]
                body = json.dumps({"writes": writes}).encode()
                message = request("POST", f"{DOCUMENTS}:commit", self.headers(author), body)
                await ask_once(self.host, self.port, message)
        self.count = max(self.count, count)

    def request(self, work: str) -> bytes:
        if work == "create":
            number = next(self._created)
            body = json.dumps(encoded(number, self.uids[0])).encode()
            target = f"{DOCUMENTS}/posts?documentId=c{self.count}-{number * 2654435761 % 2**32:08x}"
            return request("POST", target, self.headers(), body)
        if work == "get":
            return request("GET", f"{DOCUMENTS}/{self._name(self.own())}", self.headers())
        if work == "update":
            likes = {"fields": {"likes": {"integerValue": str(self.random.randrange(10**6))}}}
            target = f"{DOCUMENTS}/{self._name(self.own())}?updateMask.fieldPaths=likes"
            return request("PATCH", target, self.headers(), json.dumps(likes).encode())
        return request("POST", f"{DOCUMENTS}:runQuery", self.headers(), self._query())

    def _query(self) -> bytes:
        mine = {
            "field": {"fieldPath": "authorId"},
            "op": "EQUAL",
            "value": {"stringValue": self.uids[0]},
        }
        newest = {"field": {"fieldPath": "createdAt"}, "direction": "DESCENDING"}
        query = {
            "from": [{"collectionId": "posts"}],
            "where": {"fieldFilter": mine},
            "orderBy": [newest],
            "limit": 20,
        }
        return json.dumps({"structuredQuery": query}).encode()


class Homefire(FirestoreSubject):
    """This project's server."""

    name = "Homefire"

    @classmethod
    @contextlib.asynccontextmanager
    async def started(
        cls, *, rules: str | None = RULES, dev: bool = False
    ) -> AsyncIterator[Homefire]:
        """A server with a data folder of its own and users signed up. ``rules``: ``None`` for none."""
        with tempfile.TemporaryDirectory(prefix="homefire-bench-") as folder:
            command = [str(Path(sys.executable).with_name("homefire")), "serve", "--port", "0"]
            command += ["--data", f"{folder}/data", *(["--dev"] if dev else [])]
            if rules is not None:
                released = Path(folder) / "firestore.rules"
                released.write_text(rules)
                command += ["--rules", str(released)]
            with running(command, Path(folder) / "log") as process:
                subject = cls()
                began = time.perf_counter()
                subject.port = await _announced_port(Path(folder) / "log", process)
                subject.start_seconds = time.perf_counter() - began
                subject.pid = process.pid
                await subject._sign_up()
                yield subject

    async def _sign_up(self) -> None:
        self.tokens, self.uids = [], []
        for author in range(AUTHORS):
            body = {"email": f"user{author}@example.com", "password": "correct horse"}
            body = {**body, "returnSecureToken": True}  # type: ignore[dict-item]
            headers = {"Content-Type": "application/json"}
            message = request(
                "POST", "/v1/accounts:signUp?key=bench", headers, json.dumps(body).encode()
            )
            answer = json.loads(await ask_once(self.host, self.port, message))
            self.tokens.append(answer["idToken"])
            self.uids.append(answer["localId"])

    async def warm(self) -> None:
        """Ask until the query is served from the index that it makes the server build."""
        deadline = time.monotonic() + 300
        explained = json.loads(self._query()) | {"explainOptions": {"analyze": True}}
        message = request(
            "POST", f"{DOCUMENTS}:runQuery", self.headers(), json.dumps(explained).encode()
        )
        while time.monotonic() < deadline:
            answer = json.loads(await ask_once(self.host, self.port, message))
            metrics = next(part["explainMetrics"] for part in answer if "explainMetrics" in part)
            if int(metrics["executionStats"]["debugStats"]["documents_scanned"]) <= 20:
                return
            await asyncio.sleep(0.1)
        raise TimeoutError("the server did not build the index that the query wants")


def _output(log: Path) -> str:
    return log.read_text()


async def _announced_port(log: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for line in _output(log).splitlines():
            if " serves on " in line:
                return int(line.split(" serves on ")[1].split()[0].rsplit(":", 1)[1])
        if process.poll() is not None:
            break
        await asyncio.sleep(0.01)
    raise RuntimeError(f"the server did not start: {_output(log)[-2_000:]}")


@contextlib.contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended at the end."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=HERE,
            env={name: value for name, value in os.environ.items() if "BYTECODE" not in name},
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def header() -> str:
    """The head of the table."""
    return (
        f"{'documents':>9}  {'work':<7} {'clients':>7}  {'server':<22}"
        f"{'ops/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU s/1000':>11}"
    )


def line(documents: int, work: str, clients: int, name: str, found: Measured) -> str:
    """A row of the table."""
    return (
        f"{documents:>9}  {work:<7} {clients:>7}  {name:<22}"
        f"{found.rate:>8,.0f} {found.p50:>8.2f} {found.p99:>8.2f} {found.cpu:>11.3f}"
    )


async def run(sizes: list[int], seconds: float) -> None:
    """Print the table."""
    async with Homefire.started() as subject:
        print(f"started in {subject.start_seconds:.2f} s, {subject.memory():.0f} MiB", flush=True)
        print(header(), flush=True)
        for size in sizes:
            await subject.fill(size)
            await subject.warm()
            for work, clients in ROWS:
                found = await subject.measure(work, clients, seconds)
                print(line(size, work, clients, subject.name, found), flush=True)
        print(f"memory after the work: {subject.memory():.0f} MiB")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--documents", default="1000,10000,100000")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each row")
    options = parser.parse_args(arguments)
    sizes = [int(size) for size in options.documents.split(",")]
    uvloop.run(run(sizes, options.seconds))


if __name__ == "__main__":
    main()
