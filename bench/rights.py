"""What rules cost the reads of documents: the same server with rules on and off, in turns.

    python -m bench rights [--seconds 2] [--rounds 5]

On: authors may read their own documents, as everywhere in `bench/`. Off: no ruleset, with which development
mode lets everybody do everything. Both run in development mode, for users with tokens of the same kind.
Goal: throughput with rules within 10 % of that without.
"""

from __future__ import annotations

import argparse
import contextlib

import uvloop

from bench.http import RULES, Homefire, header, line
from bench.load import Measured
from bench.peers import median

ROWS = (("get", 1), ("get", 32), ("query", 1), ("query", 16))


async def run(documents: int, seconds: float, rounds: int) -> None:
    """Measure and print."""
    async with contextlib.AsyncExitStack() as stack:
        subjects = []
        for name, rules in (("rules on", RULES), ("rules off", None)):
            subject = await stack.enter_async_context(Homefire.started(rules=rules, dev=True))
            subject.name = name
            await subject.fill(documents)
            await subject.warm()
            subjects.append(subject)
        print(header(), flush=True)
        for work, clients in ROWS:
            found: dict[str, list[Measured]] = {subject.name: [] for subject in subjects}
            for _ in range(rounds):
                for subject in subjects:
                    found[subject.name].append(await subject.measure(work, clients, seconds))
            on, off = (median(each) for each in found.values())
            print(line(documents, work, clients, "rules on", on))
            print(line(documents, work, clients, "rules off", off))
            print(f"{'':>27}on : off  rate {on.rate / off.rate:.2f}  CPU {on.cpu / off.cpu:.2f}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench rights")
    parser.add_argument("--documents", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each row and round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    uvloop.run(run(options.documents, options.seconds, options.rounds))


if __name__ == "__main__":
    main()
