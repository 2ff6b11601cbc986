"""The same server asked over gRPC and over REST, by end users, in turns.

    python -m bench grpc [--documents 10000] [--seconds 3]

The gRPC client is grpcio's, on one HTTP/2 connection for each client. It takes more CPU than the prepared
HTTP/1.1 requests beside it, on the same machine: what tells of the server is its CPU for 1,000 operations.
The last row is a gRPC listener: from writing over gRPC to the delivery of the change.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio
import uvloop

from baas.wire import proto
from bench.http import DOCUMENTS, Homefire, post
from bench.load import Measured, cpu_seconds

SERVICE = "/google.firestore.v1.Firestore"
DATABASE = DOCUMENTS.removeprefix("/v1/").removesuffix("/documents")
ROWS = (("create", 1), ("create", 16), ("get", 1), ("get", 16), ("query", 1), ("query", 16))
LISTENED = 200
EQUAL = 5
"""``StructuredQuery.FieldFilter.Operator``."""


class GrpcClient:
    """Asks as author 0."""

    def __init__(self, subject: Homefire, channel: grpc.aio.Channel, number: int) -> None:
        self._subject = subject
        self._metadata = (("authorization", f"Bearer {subject.tokens[0]}"),)
        self._prefix = f"g{number}-{time.time_ns()}-"
        self._created = itertools.count()
        self._channel = channel
        self._get = channel.unary_unary(f"{SERVICE}/GetDocument")
        self._create = channel.unary_unary(f"{SERVICE}/CreateDocument")
        self._query = channel.unary_stream(f"{SERVICE}/RunQuery")

    async def get(self) -> None:
        """One existing document."""
        name = self._subject._name(self._subject.own())
        request = proto.GetDocumentRequest(name=f"{DATABASE}/documents/{name}")
        await self._get(request.SerializeToString(), metadata=self._metadata)

    async def create(self) -> None:
        """One new document."""
        number = next(self._created)
        request = proto.CreateDocumentRequest(
            parent=f"{DATABASE}/documents",
            collection_id="posts",
            document_id=f"{self._prefix}{number}",
        )
        self._fill(request.document, number)
        await self._create(request.SerializeToString(), metadata=self._metadata)

    def _fill(self, document: Any, number: int) -> None:
        for name, value in post(number, self._subject.uids[0]).items():
            if name == "createdAt":
                document.fields[name].timestamp_value.FromJsonString(str(value))
            elif isinstance(value, int):
                document.fields[name].integer_value = value
            else:
                document.fields[name].string_value = str(value)

    def _newest(self, query: Any, limit: int) -> None:
        query.SetInParent()
        getattr(query, "from").add(collection_id="posts")
        mine = query.where.field_filter
        mine.field.field_path, mine.op = "authorId", EQUAL
        mine.value.string_value = self._subject.uids[0]
        order = query.order_by.add(direction=2)
        order.field.field_path = "createdAt"
        query.limit.value = limit

    async def query(self) -> None:
        """The newest 20 of the author's."""
        request = proto.RunQueryRequest(parent=f"{DATABASE}/documents")
        self._newest(request.structured_query, 20)
        call = self._query(request.SerializeToString(), metadata=self._metadata)
        found = 0
        async for _ in call:
            found += 1
        assert found == 20, found

    async def listen(self, times: int) -> list[float]:
        """Milliseconds from writing a document to being told of it."""
        name = f"{DATABASE}/documents/posts/{self._prefix}0"
        await self.create()  # only what is there, and theirs, may authors listen to
        call = self._channel.stream_stream(f"{SERVICE}/Listen")(metadata=self._metadata)
        request = proto.ListenRequest(database=DATABASE)
        request.add_target.target_id = 2
        request.add_target.documents.documents.append(name)
        await call.write(request.SerializeToString())
        while True:
            answer = proto.ListenResponse.FromString(await call.read())
            assert not answer.target_change.cause.code, answer
            if answer.target_change.read_time.seconds and not answer.target_change.target_ids:
                break
        commit = self._channel.unary_unary(f"{SERVICE}/Commit")
        latencies = []
        for number in range(1, times + 1):
            write = proto.Write()
            write.update.name = name
            self._fill(write.update, number)
            began = time.perf_counter()
            message = proto.CommitRequest(database=DATABASE, writes=[write]).SerializeToString()
            committed = asyncio.ensure_future(commit(message, metadata=self._metadata))
            while not proto.ListenResponse.FromString(await call.read()).HasField(
                "document_change"
            ):
                continue
            latencies.append((time.perf_counter() - began) * 1_000)
            await committed
        call.cancel()
        return latencies


async def measure(subject: Homefire, work: str, clients: int, seconds: float) -> Measured:
    """Keep ``clients`` connections busy for a while."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    address = f"{subject.host}:{subject.port}"
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(clients)]
    latencies: list[float] = []
    asking = [GrpcClient(subject, channel, number) for number, channel in enumerate(channels)]
    await asyncio.gather(*(client.get() for client in asking))
    clock = time.perf_counter
    cpu, began = cpu_seconds(subject.pid), clock()
    end = began + seconds

    async def busy(ask: Callable[[], Awaitable[None]]) -> None:
        while (before := clock()) < end:
            await ask()
            latencies.append(clock() - before)

    try:
        await asyncio.gather(*(busy(getattr(client, work)) for client in asking))
        elapsed, used = clock() - began, cpu_seconds(subject.pid) - cpu
    finally:
        for channel in channels:
            await channel.close()
    latencies.sort()
    count = len(latencies)
    return Measured(
        count / elapsed,
        latencies[count // 2] * 1_000,
        latencies[int(count * 0.99)] * 1_000,
        used / count * 1_000,
    )


async def run(documents: int, seconds: float) -> None:
    """Measure and print."""
    async with Homefire.started() as subject:
        await subject.fill(documents)
        await subject.warm()
        print(f"{documents} documents; operations a second, p50 ms, server CPU s for 1,000")
        print(f"{'':10} {'clients':>7}  {'REST':>24}  {'gRPC':>24}  {'rate':>6} {'CPU':>6}")
        for work, clients in ROWS:
            rest = await subject.measure(work, clients, seconds)
            over_grpc = await measure(subject, work, clients, seconds)
            cells = [f"{m.rate:8.0f} {m.p50:7.2f} {m.cpu:7.2f}" for m in (rest, over_grpc)]
            ratios = f"{over_grpc.rate / rest.rate:6.2f} {over_grpc.cpu / rest.cpu:6.2f}"
            print(f"{work:10} {clients:7}  {cells[0]}  {cells[1]}  {ratios}", flush=True)
        async with grpc.aio.insecure_channel(f"{subject.host}:{subject.port}") as channel:
            latencies = await GrpcClient(subject, channel, 0).listen(LISTENED)
        print(f"listen: p50 {statistics.median(latencies):.2f} ms, of {len(latencies)} writes")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench grpc")
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    uvloop.run(run(options.documents, options.seconds))


if __name__ == "__main__":
    main()
