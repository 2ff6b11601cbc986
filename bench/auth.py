"""What auth costs: verifying tokens, signing in, and what a flood of sign-ins does to everything else.

    python bench/auth.py            # prints a table; --seconds for longer runs

The flood is measured against writes of the same database on the same event loop: their latency with the
hash workers busy, beside their latency without.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from baas.auth.errors import AuthError
from baas.auth.options import AuthOptions, LimitOptions, Scope
from baas.auth.secret_box import load_secret_box
from baas.auth.service import AuthService
from baas.db import schema
from baas.db.sqlite import SqliteDatabase
from baas.errors import ResourceExhausted

SCOPE = Scope("bench")
EMAIL, PASSWORD = "bench@example.com", "correct horse"


async def rate(work: Callable[[], Awaitable[object]], seconds: float) -> float:
    """How often a second the work gets done, one after another."""
    done, end = 0, time.perf_counter() + seconds
    started = time.perf_counter()
    while time.perf_counter() < end:
        await work()
        done += 1
    return done / (time.perf_counter() - started)


async def parallel_rate(work: Callable[[], Awaitable[object]], seconds: float, width: int) -> float:
    """The same with many under way at once."""
    return sum(await asyncio.gather(*(rate(work, seconds) for _ in range(width))))


async def write_latencies(database: SqliteDatabase, seconds: float) -> list[float]:
    """Milliseconds from asking for a small durable write to its answer."""
    found, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        await database.write(
            lambda tx: tx.run("UPDATE auth_signing_keys SET expires_at = expires_at")
        )
        found.append((time.perf_counter() - started) * 1_000)
        await asyncio.sleep(0.002)
    return found


async def flood(service: AuthService, stop: asyncio.Event) -> int:
    """Wrong passwords from many sides at once, until told to stop; answers how many were refused unhashed."""
    refused = 0

    async def attempt(number: int) -> None:
        nonlocal refused
        while not stop.is_set():
            try:
                with contextlib.suppress(AuthError):
                    await service.sign_in(SCOPE, email=f"{number}@example.com", password="guess")
            except ResourceExhausted:
                refused += 1
                await asyncio.sleep(0.1)

    await asyncio.gather(*(attempt(number) for number in range(200)))
    return refused


async def main(seconds: float) -> None:
    """Run everything, print as it comes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        schema.migrate_sqlite(path / "homefire.db")
        database = await SqliteDatabase.open(path / "homefire.db")
        limits = LimitOptions(account_failures=10**9, address_failures=10**9)
        options = AuthOptions(default_project="bench", limits=limits)
        service = AuthService(database, options, load_secret_box(path))
        try:
            await measure(service, database, seconds)
        finally:
            service.close()
            await database.close()


async def measure(service: AuthService, database: SqliteDatabase, seconds: float) -> None:
    """The measurements."""
    new = await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)

    async def verify() -> object:
        return await service.verify_id_token(new.id_token, "bench")

    async def verify_fresh() -> object:
        service.context.tokens.forget()
        return await service.verify_id_token(new.id_token, "bench")

    async def hash_only() -> object:
        return await service.context.passwords.verify(PASSWORD, new.account.password_hash)

    async def sign_in() -> object:
        return await service.sign_in(SCOPE, email=EMAIL, password=PASSWORD)

    print(f"token verification, remembered   {await rate(verify, seconds):12,.0f} /s")
    print(f"token verification, signature    {await rate(verify_fresh, seconds):12,.0f} /s")
    width = 8
    print(
        f"pure Argon2id verification       {await parallel_rate(hash_only, seconds, width):12,.1f} /s"
    )
    print(
        f"whole sign-in                    {await parallel_rate(sign_in, seconds, width):12,.1f} /s"
    )
    for label, flooded in (("a quiet server", False), ("a flood of sign-ins", True)):
        stop = asyncio.Event()
        task = asyncio.create_task(flood(service, stop)) if flooded else None
        found = sorted(await write_latencies(database, seconds))
        stop.set()
        refused = await task if task else 0
        p50, p99 = statistics.median(found), found[int(len(found) * 0.99)]
        note = f"   ({refused} refused at once)" if flooded else ""
        print(f"write latency beside {label:<20} p50 {p50:6.2f} ms   p99 {p99:6.2f} ms{note}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    asyncio.run(main(parser.parse_args().seconds))
