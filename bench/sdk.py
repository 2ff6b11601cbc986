"""The official web SDK in Node against one server, over gRPC and REST (its lite half); beside it a WebSocket.

    python -m bench sdk [--operations 500] [--documents 1000]

One client that does one thing after another, as an application does. What it waits for holds the SDK's own
work too; the server's part is its CPU for 1,000 operations. The whole SDK reads by listening: a get is a
target that is added, answered and removed, on one stream. The WebSocket's client is `bench/sdk_work.mjs`,
without an SDK.

Wants Node, and the npm package `firebase` in the folder that `HOMEFIRE_CACHE` names (as `make test` has it).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
from pathlib import Path

import uvloop

from bench.http import Homefire
from bench.load import cpu_seconds

WORK = Path(__file__).with_name("sdk_work.mjs")
CACHE = Path(os.environ.get("HOMEFIRE_CACHE", Path.home() / ".cache" / "homefire")) / "node"
KINDS = ("rest", "grpc", "websocket")
WORKS = ("create", "get", "query", "listen")


async def measure(subject: Homefire, kind: str, operations: int) -> dict[str, tuple[float, float]]:
    """For each work: p50 in ms, and server CPU seconds for 1,000 operations."""
    options = {
        "host": subject.host,
        "port": subject.port,
        "email": "user0@example.com",
        "password": "correct horse",
        "kind": kind,
        "operations": operations,
    }
    node = await asyncio.create_subprocess_exec(
        shutil.which("node") or "node",
        str(WORK),
        json.dumps(options),
        cwd=CACHE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=16 * 1024 * 1024,
    )
    assert node.stdin is not None
    assert node.stdout is not None
    found: dict[str, tuple[float, float]] = {}
    before = 0.0
    async for line in node.stdout:
        told = json.loads(line)
        if "begins" in told:
            before = cpu_seconds(subject.pid)
        else:
            used = cpu_seconds(subject.pid) - before
            p50 = statistics.median(told["milliseconds"])
            found[told["work"]] = (p50, used / operations * 1_000)
        node.stdin.write(b"\n")
    if await node.wait():
        raise RuntimeError(f"the {kind} client failed")
    return found


async def run(operations: int, documents: int) -> None:
    """Measure and print."""
    async with Homefire.started() as subject:
        await subject.fill(documents)
        await subject.warm()
        found = {kind: await measure(subject, kind, operations) for kind in KINDS}
    print(f"{documents} documents; p50 ms, server CPU s for 1,000")
    print(f"{'':8}" + "".join(f"{kind:>18}" for kind in KINDS) + f"{'gRPC : REST, CPU':>20}")
    for work in WORKS:
        cells = [found[kind].get(work) for kind in KINDS]
        texts = [
            f"{'-':>18}" if cell is None else f"{cell[0]:10.2f} {cell[1]:7.2f}" for cell in cells
        ]
        rest, grpc = cells[0], cells[1]
        ratio = f"{grpc[1] / rest[1]:20.2f}" if rest and grpc and rest[1] else ""
        print(f"{work:8}" + "".join(texts) + ratio)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench sdk")
    parser.add_argument("--operations", type=int, default=500)
    parser.add_argument("--documents", type=int, default=1_000)
    options = parser.parse_args()
    uvloop.run(run(options.operations, options.documents))


if __name__ == "__main__":
    main()
