"""All benchmarks, one after another, or one of them.

    python -m bench                       # all of them, each in a process of its own
    python -m bench http --seconds 1      # one, with its own options

`docs/performance.md` says what they measure and what came of it.
"""

from __future__ import annotations

import runpy
import subprocess
import sys

BENCHMARKS = {
    "rules": "what judging a request, proving a query and compiling a ruleset cost",
    "documents": "the document store alone, without HTTP, auth and rules",
    "auth": "verifying tokens, signing in, and what a flood of sign-ins does to the rest",
    "storage": "objects up and down",
    "realtime": "listeners: from write to delivery",
    "http": "a server over HTTP, as an end user",
    "rights": "what rules cost the reads of documents",
    "grpc": "the same server over gRPC beside REST",
    "sdk": "the official web SDK in Node: gRPC, REST and the WebSocket",
    "peers": "the same beside PocketBase and the Firestore emulator, in turns",
}


def main(arguments: list[str]) -> int:
    """Run what was asked for; the status is that of the last benchmark that failed."""
    if not arguments:
        return run_all()
    name, *options = arguments
    if name not in BENCHMARKS:
        width = max(map(len, BENCHMARKS))
        print("python -m bench [NAME [OPTIONS]]", file=sys.stderr)
        for each, what in BENCHMARKS.items():
            print(f"  {each:<{width}}  {what}", file=sys.stderr)
        return 0 if name in ("-h", "--help") else 2
    sys.argv = [f"bench {name}", *options]
    runpy.run_module(f"bench.{name}", run_name="__main__")
    return 0


def run_all() -> int:
    """Each benchmark under a heading."""
    status = 0
    for name, what in BENCHMARKS.items():
        print(f"\n== {name}: {what}\n", flush=True)
        ended = subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False)
        status = ended.returncode or status
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
