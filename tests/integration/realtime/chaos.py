"""A real server under listeners, with everything that goes wrong: the world of ``test_chaos``.

Clients with random queries sit behind a network that breaks after any byte or stalls; documents are
written, users are banned and let in again, rules are released, tokens change hands, the wall clock jumps,
and the server is killed. Each snapshot that a client is told is kept with its version, and compared with
what a naive matcher makes of the whole database as it was at that version.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from baas.model.canonical import canonicalize
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.model.query import Query
from baas.model.values import Timestamp
from baas.wire.json_codec import parse_target
from baas.wire.json_values import decode_fields_object
from baas.wire.timestamps import parse_timestamp
from tests.support.server import ServerProcess
from tests.unit.realtime.memory import run_naively

DATABASE = DatabaseId("homefire")
ROOT = f"{DATABASE.name}/documents"
DEADLINE = 60.0
USERS = ("ann", "bob")
RULES = """rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /{path=**}/notes/{note} {
      allow read: if request.auth != null
        && !exists(/databases/$(database)/documents/banned/$(request.auth.uid));
      allow write: if request.auth != null;
    }
  }
}
"""

State = dict[DocumentName, Document]


class Network:
    """A relay to the server. Each connection is cut after so many bytes; some deliver slowly."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.target = 0
        self.port = 0
        self.calm = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def break_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up, down = await asyncio.open_connection(sock=await self._dial())
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, down}
        self._writers |= ends
        chance = self.chance
        left = chance.choice((None, None, chance.randrange(1, 40_000), chance.randrange(1, 1_500)))
        slow = chance.random() < 0.3
        jobs = [
            asyncio.ensure_future(self._copy(up, writer, left, slow)),
            asyncio.ensure_future(self._copy(reader, down, None, False)),
        ]
        try:
            await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.transport.abort()
            self._writers -= ends
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def _dial(self) -> socket.socket:
        dialled = socket.socket()
        dialled.setblocking(False)
        # a small window, so that the server feels at once that nobody reads
        dialled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        try:
            await asyncio.get_running_loop().sock_connect(dialled, ("127.0.0.1", self.target))
        except BaseException:
            dialled.close()
            raise
        return dialled

    async def _copy(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        left: int | None,
        slow: bool,
    ) -> None:
        while data := await reader.read(1_024 if slow else 65_536):
            if left is not None and not self.calm:
                writer.write(data[:left])
                left -= len(data)
                if left <= 0:
                    await writer.drain()
                    return
            else:
                writer.write(data)
            await writer.drain()
            if slow and not self.calm:
                await asyncio.sleep(0.02)  # a slow network, not a wait


@dataclass
class Held:
    """What a client holds of one target: raw documents by name, now and at the last snapshot."""

    frame: dict[str, Any]
    watched: Query | tuple[DocumentName, ...]
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    settled: dict[str, dict[str, Any]] = field(default_factory=dict)
    token: str | None = None
    current: bool = False
    added: bool = False


@dataclass
class Told:
    """A snapshot as a client saw it."""

    client: str
    version: int
    watched: Query | tuple[DocumentName, ...]
    documents: dict[str, dict[str, Any]]


class Client:
    """Listens to a few targets for one user at a time, comes back when cut off, and keeps what it is told."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.chance = world.chance
        self.name = f"client {number}"
        self.user = world.chance.choice(USERS)
        self.wanted: dict[int, Held] = {}
        self.targets: dict[int, Held] = {}
        self.last_id = 0
        self.version = 0
        self.socket: ClientConnection | None = None
        self.live = False
        self.expected_acks: list[int] = []
        self.last_request = 0

    async def run(self) -> None:
        """Connect, again and again."""
        while True:
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                url = f"ws://127.0.0.1:{self.world.network.port}/v1/{DATABASE.name}/listen"
                compression = self.chance.choice(("deflate", None, None))
                async with connect(url, compression=compression, max_queue=2) as self.socket:
                    await self._greet()
                    await self._read(self.socket)
            self.socket = None
            self._forget_connection()
            await asyncio.sleep(0.03)  # as clients wait between attempts

    async def _greet(self) -> None:
        self.live = True
        await self.send({"authenticate": {"token": token_of(self.user)}})
        for target_id in list(self.wanted):
            await self._send_target(target_id)

    def _forget_connection(self) -> None:
        self.live = False
        self.expected_acks.clear()
        for held in self.targets.values():
            held.documents = dict(held.settled)
            held.current = held.added = False
        self.targets = {}

    async def send(self, frame: dict[str, Any]) -> None:
        if self.socket is not None:
            with contextlib.suppress(WebSocketException):
                await self.socket.send(json.dumps(frame))

    async def add(self) -> None:
        """Listen to something more."""
        if len(self.wanted) > 5:
            return
        self.last_id += 1
        frame = random_target(self.chance)
        target = parse_target({"targetId": self.last_id, **frame}, DATABASE)
        watched = target.documents if target.query is None else canonicalize(target.query)
        self.wanted[self.last_id] = Held(frame, watched)
        if self.live:
            await self._send_target(self.last_id)

    async def remove(self) -> None:
        """Stop listening to something."""
        if self.wanted:
            target_id = self.chance.choice(list(self.wanted))
            del self.wanted[target_id]
            self.targets.pop(target_id, None)
            await self.send({"removeTarget": target_id})

    async def sign_in_as_another(self) -> None:
        """Another user's token, in-band."""
        self.user = self.chance.choice(USERS)
        await self.send({"authenticate": {"token": token_of(self.user)}})

    async def write(self) -> None:
        """Pipelined commits over the same socket."""
        if not self.live:
            return
        for _ in range(self.chance.randrange(1, 4)):
            self.last_request += 1
            self.expected_acks.append(self.last_request)
            writes = [random_write(self.chance)]
            await self.send({"commit": {"requestId": self.last_request, "writes": writes}})

    async def _send_target(self, target_id: int) -> None:
        held = self.wanted[target_id]
        self.targets[target_id] = held
        more: dict[str, Any] = {}
        if held.token is not None and self.chance.random() < 0.9:
            more = {"resumeToken": held.token, "expectedCount": len(held.settled)}
        else:
            held.documents, held.settled, held.token = {}, {}, None
        await self.send({"addTarget": {"targetId": target_id, **held.frame, **more}})

    async def _read(self, connection: ClientConnection) -> None:
        while True:
            async with asyncio.timeout(DEADLINE):
                frame = json.loads(await connection.recv())
            ((kind, body),) = frame.items()
            if kind == "targetChange":
                await self._target_change(body)
            elif kind == "documentChange":
                for target_id in body.get("targetIds", ()):
                    if target_id in self.targets:
                        self.targets[target_id].documents[body["document"]["name"]] = body[
                            "document"
                        ]
                self._leave(body["document"]["name"], body)
            elif kind in ("documentDelete", "documentRemove"):
                self._leave(body["document"], body)
            elif kind == "filter" and body["targetId"] in self.targets:
                held = self.targets[body["targetId"]]
                assert body.get("count", 0) == len(held.documents), (self.name, body)
            elif kind == "commitResult":
                assert self.expected_acks.pop(0) == body["requestId"]
            elif kind == "error":
                assert body["status"] in ("UNAVAILABLE", "DEADLINE_EXCEEDED"), body

    def _leave(self, name: str, body: dict[str, Any]) -> None:
        for target_id in body.get("removedTargetIds", ()):
            if target_id in self.targets:
                self.targets[target_id].documents.pop(name, None)

    async def _target_change(self, change: dict[str, Any]) -> None:
        kind = change.get("targetChangeType")
        if kind is None:
            self._snapshot(change)
            return
        (target_id,) = change["targetIds"]
        held = self.targets.get(target_id)
        if held is None:
            return
        if kind == "ADD":
            held.added = True
        elif kind == "CURRENT":
            held.current = True
        elif kind == "RESET":
            held.documents, held.current = {}, False
        elif kind == "REMOVE":
            assert change["cause"]["code"] == 7, change
            self.world.denials += 1
            del self.targets[target_id]
            held.documents, held.settled, held.token = {}, {}, None
            held.current = held.added = False
            self.world.soon(self._try_again(target_id))

    async def _try_again(self, target_id: int) -> None:
        await asyncio.sleep(0.05)
        if self.live and target_id in self.wanted and target_id not in self.targets:
            held = self.wanted[target_id]
            del self.wanted[target_id]
            self.last_id += 1
            self.wanted[self.last_id] = held
            await self._send_target(self.last_id)

    def _snapshot(self, change: dict[str, Any]) -> None:
        version = parse_timestamp(change["readTime"]).micros
        assert version >= self.version, f"{self.name} went back in time"
        self.version = version
        for held in self.targets.values():
            if not held.added:
                continue  # the request is on its way
            assert held.current, f"{self.name}: a snapshot before CURRENT"
            held.settled, held.token = dict(held.documents), change["resumeToken"]
            told = Told(f"{self.name} ({self.user})", version, held.watched, held.settled)
            self.world.told.append(told)

    def settled_at(self, version: int) -> bool:
        """Whether everything that is wanted has been told at this version."""
        everything = set(self.targets) == set(self.wanted)
        return (
            everything and self.version == version and all(t.current for t in self.targets.values())
        )


class World:
    """One server, its clients and what befalls them."""

    def __init__(self, data: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.data = data
        self.network = Network(self.chance)
        self.clients = [Client(self, number) for number in range(4)]
        self.told: list[Told] = []
        self.states: dict[int, State] = {}
        self.bans: dict[str, list[tuple[int, int]]] = {user: [] for user in USERS}
        self.denials = self.kills = self.checked = 0
        self.offset = 0
        self._running: set[asyncio.Task[None]] = set()
        self.server: ServerProcess | None = None

    @property
    def offsets(self) -> Path:
        return self.data.with_name("offset")

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        (self.data.with_name("rules")).write_text(RULES)
        self.offsets.write_text("0")
        await self._start_server()
        await self.network.start()
        self.http = httpx2.AsyncClient(headers={"authorization": "Bearer owner"}, timeout=30)
        await self.commit({"update": {"name": f"{ROOT}/notes/d0", "fields": {}}})
        for client in self.clients:
            self.soon(client.run())
        try:
            yield
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            await self.network.stop()
            await self.http.aclose()
            assert self.server is not None
            assert self.server.stop() == 0
            assert not [line for line in self.server.log if "[error" in line], self.server.log

    def soon(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)

        def done(ended: asyncio.Task[None]) -> None:
            if not ended.cancelled() and ended.exception() is None:
                self._running.discard(ended)

        task.add_done_callback(done)

    def check_tasks(self) -> None:
        """A client that failed fails the test."""
        for task in self._running:
            if task.done() and not task.cancelled():
                task.result()

    async def _start_server(self) -> None:
        program = ("-m", "tests.support.jumping_clock", str(self.offsets))
        bounds = {
            "listen_merge_bytes": 1_024,
            "listen_reset_bytes": 16_384,
            "listen_replay_changes": 60,
            "change_retention_seconds": 10**7,
        }
        flags = [f"--set={name}={value}" for name, value in bounds.items()]
        rules = str(self.data.with_name("rules"))
        self.server = await asyncio.to_thread(
            lambda: ServerProcess(self.data, "--dev", "--rules", rules, *flags, program=program)
        )
        self.network.target = self.server.port

    @property
    def url(self) -> str:
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.port}"

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = await self.http.post(f"{self.url}/v1/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def commit(self, *writes: dict[str, Any]) -> int:
        answer = await self.post(f"{ROOT}:commit", {"writes": list(writes)})
        return parse_timestamp(answer["commitTime"]).micros

    async def step(self) -> None:
        """Something happens."""
        chance, client = self.chance, self.chance.choice(self.clients)
        action = chance.random()
        if action < 0.5:
            writes = {w.get("delete") or w["update"]["name"]: w for w in self._some_writes()}
            await self.commit(*writes.values())
        elif action < 0.62:
            await client.add()
        elif action < 0.67:
            await client.remove()
        elif action < 0.77:
            await client.write()
        elif action < 0.82:
            await client.sign_in_as_another()
        elif action < 0.86:
            await self.ban_for_a_while(chance.choice(USERS))
        elif action < 0.89:
            self.network.break_all()
        elif action < 0.91:
            await self.release_rules()
        elif action < 0.93:
            self.jump()
        elif action < 0.945:
            await self.kill()
        else:
            await asyncio.sleep(chance.random() * 0.1)  # some time goes by
        self.check_tasks()

    def _some_writes(self) -> list[dict[str, Any]]:
        return [random_write(self.chance) for _ in range(self.chance.choice((1, 1, 2, 5)))]

    async def ban_for_a_while(self, user: str) -> None:
        """Nothing may be told to the user from the ban's commit up to its end."""
        name = f"{ROOT}/banned/{user}"
        begin = await self.commit({"update": {"name": name, "fields": {}}})
        for _ in range(self.chance.randrange(5)):
            await self.commit(*self._some_writes()[:1])
        end = await self.commit({"delete": name})
        self.bans[user].append((begin, end))

    async def release_rules(self) -> None:
        """The same again; everyone is judged anew."""
        path = f"{self.url}/emulator/v1/projects/homefire:securityRules"
        files = [{"name": "rules", "content": f"{RULES}// {self.chance.random()}"}]
        answer = await self.http.put(path, json={"rules": {"files": files}})
        assert answer.status_code == 200, answer.text

    def jump(self) -> None:
        """The wall clock is set."""
        assert self.server is not None
        self.offset = self.chance.choice((-7_200, -60, 0, 60, 7_200))
        # whole or not at all: the server may be at an earlier jump still
        fresh = self.offsets.with_suffix(".new")
        fresh.write_text(str(self.offset))
        fresh.replace(self.offsets)
        self.server.process.send_signal(signal.SIGUSR2)

    async def kill(self) -> None:
        """SIGKILL, and a new start over what is left."""
        assert self.server is not None
        await asyncio.to_thread(self.server.kill)
        self.kills += 1
        await self._start_server()

    async def state_at(self, version: int) -> State:
        """The whole database at a version."""
        if version not in self.states:
            body = {
                "structuredQuery": {"from": [{"collectionId": "notes", "allDescendants": True}]},
                "readTime": Timestamp(version).to_datetime().isoformat().replace("+00:00", "Z"),
            }
            found = await self.post(f"{ROOT}:runQuery", body)
            documents = [_document(each["document"]) for each in found if "document" in each]
            self.states[version] = {document.name: document for document in documents}
        return self.states[version]

    async def check(self) -> None:
        """Compare what was told with what was so."""
        told, self.told = self.told, []
        for each in told:
            self.checked += 1
            assert not any(
                begin <= each.version < end
                for user, bans in self.bans.items()
                if f"({user})" in each.client
                for begin, end in bans
            ), f"{each.client} was told something at {each.version} while banned"
            state = await self.state_at(each.version)
            if isinstance(each.watched, Query):
                expected = {d.name.name: d for d in run_naively(state, each.watched)}
            else:
                expected = {name.name: state[name] for name in each.watched if name in state}
            held = {name: _document(raw) for name, raw in each.documents.items()}
            assert held.keys() == expected.keys(), (each.client, each.version, each.watched)
            for name, document in held.items():
                other = expected[name]
                assert document.fields == other.fields, (each.client, each.version, name)
                assert document.update_time == other.update_time

    async def finish(self) -> None:
        """The network heals; everyone ends with the newest state."""
        self.network.calm = True
        self.network.break_all()
        for client in self.clients:
            await client.add()
        newest = await self.commit({"update": {"name": f"{ROOT}/notes/last", "fields": {}}})
        async with asyncio.timeout(DEADLINE):
            while not all(client.settled_at(newest) for client in self.clients):
                self.check_tasks()
                await asyncio.sleep(0.02)
        await self.check()


def _document(raw: dict[str, Any]) -> Document:
    return Document(
        DocumentName.parse(raw["name"]),
        parse_timestamp(raw["createTime"]),
        parse_timestamp(raw["updateTime"]),
        fields=decode_fields_object(raw.get("fields", {})),
    )


def token_of(user: str) -> str:
    """An unsigned token, as development mode takes it."""

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"sub": user, "user_id": user, "aud": "homefire", "iat": 1, "exp": 2**33}
    claims["iss"] = "https://securetoken.google.com/homefire"
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def random_name(chance: random.Random) -> str:
    document = f"d{chance.randrange(10)}"
    return chance.choice(
        (f"{ROOT}/notes/{document}", f"{ROOT}/rooms/r{chance.randrange(2)}/notes/{document}")
    )


def random_write(chance: random.Random) -> dict[str, Any]:
    name = random_name(chance)
    if chance.random() < 0.3:
        return {"delete": name}
    fields: dict[str, Any] = {"n": chance.choice(({"integerValue": "1"}, {"doubleValue": 2.5}))}
    fields["n"] = chance.choice((fields["n"], {"integerValue": str(chance.randrange(5))}))
    fields["owner"] = {"stringValue": chance.choice(("ann", "bob", "cyd"))}
    if chance.random() < 0.5:
        values = [{"stringValue": each} for each in chance.sample("abc", chance.randrange(3))]
        fields["tags"] = {"arrayValue": {"values": values}}
    if chance.random() < 0.5:
        fields["done"] = {"booleanValue": chance.random() < 0.5}
    fields["text"] = {"stringValue": "x" * chance.choice((0, 100, 3_000))}
    return {"update": {"name": name, "fields": fields}}


def random_target(chance: random.Random) -> dict[str, Any]:
    """A query, or a few documents of which some are missing."""
    if chance.random() < 0.25:
        names = {random_name(chance) for _ in range(chance.choice((1, 1, 1, 4)))}
        return {"documents": {"documents": sorted(names)}}
    group = chance.random() < 0.4
    parent = ROOT if group or chance.random() < 0.6 else f"{ROOT}/rooms/r1"
    query: dict[str, Any] = {"from": [{"collectionId": "notes", "allDescendants": group}]}
    # kinds of filters, each at most once: a query may have one inequality like != only
    kinds = chance.sample(range(6), chance.choice((0, 1, 1, 2)))
    filters = [random_filter(chance, kind) for kind in kinds]
    if len(filters) == 1:
        query["where"] = filters[0]
    elif filters:
        composite = {"op": chance.choice(("AND", "OR")), "filters": filters}
        query["where"] = {"compositeFilter": composite}
    if chance.random() < 0.6:
        # limitToLast is the reversed order with a limit
        direction = chance.choice(("ASCENDING", "DESCENDING"))
        query["orderBy"] = [{"field": {"fieldPath": "n"}, "direction": direction}]
        if chance.random() < 0.3:
            values = [{"integerValue": str(chance.randrange(4))}]
            query["startAt"] = {"values": values, "before": chance.random() < 0.5}
    if chance.random() < 0.5:
        query["limit"] = chance.choice((1, 2, 3, 6))
        if chance.random() < 0.2:
            query["offset"] = chance.randrange(3)
    return {"query": {"parent": parent, "structuredQuery": query}}


def random_filter(chance: random.Random, kind: int) -> dict[str, Any]:
    owners = [{"stringValue": each} for each in chance.sample(("ann", "bob", "cyd"), 2)]
    if kind == 0:
        return _field("owner", "EQUAL", owners[0])
    if kind == 1:
        return _field("owner", "IN", {"arrayValue": {"values": owners}})
    if kind == 2:
        return _field("n", "EQUAL", {"integerValue": "1"})
    if kind == 3:
        return _field("tags", "ARRAY_CONTAINS", {"stringValue": "a"})
    if kind == 4:
        return _field("n", "GREATER_THAN", {"integerValue": str(chance.randrange(4))})
    return _field("done", "NOT_EQUAL", {"booleanValue": True})


def _field(path: str, op: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"fieldFilter": {"field": {"fieldPath": path}, "op": op, "value": value}}
