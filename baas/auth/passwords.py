"""Hashing passwords: Argon2id through passlib's API, on a few threads, with an end to the queue."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from passlib.hash import argon2

from baas.auth import foreign_hashes
from baas.auth.options import HashOptions
from baas.errors import ResourceExhausted

T = TypeVar("T")

MAX_PASSWORD_BYTES = 4_096


def is_hash(encoded: str) -> bool:
    """Whether a text is a hash that can be checked here."""
    return foreign_hashes.is_foreign(encoded) or bool(
        argon2.identify(encoded)  # type: ignore[no-untyped-call]
    )


class Passwords:
    """Hashes and checks passwords off the event loop.

    At most ``workers`` hashes run at once, so memory is bounded; at most ``max_waiting`` wait.
    """

    def __init__(self, options: HashOptions) -> None:
        self._options = options
        self._hasher = argon2.using(  # type: ignore[no-untyped-call]
            type="ID",
            time_cost=options.time_cost,
            memory_cost=options.memory_kib,
            parallelism=options.parallelism,
        )
        self._pool = ThreadPoolExecutor(
            options.workers, thread_name_prefix="password-hash", initializer=_yield_to_others
        )
        self._waiting = 0
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """An encoded hash with a salt of its own."""
        return await self._run(lambda: str(self._hasher.hash(password)))

    async def verify(self, password: str, encoded: str | None) -> bool:
        """Whether the password belongs to the hash.

        Without a hash the same work is done in vain, so that time does not tell who has an account.
        """
        return await self._run(lambda: self._verify(password, encoded))

    def needs_upgrade(self, encoded: str) -> bool:
        """Whether the hash is foreign, or made with other costs than those of today."""
        return foreign_hashes.is_foreign(encoded) or bool(self._hasher.needs_update(encoded))

    def close(self) -> None:
        """Stop the threads; hashes under way are finished."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _verify(self, password: str, encoded: str | None) -> bool:
        if encoded is None:
            if self._decoy is None:
                self._decoy = str(self._hasher.hash(secrets.token_hex()))
            self._hasher.verify(password, self._decoy)
            return False
        if foreign_hashes.is_foreign(encoded):
            return foreign_hashes.verify(password, encoded)
        return bool(self._hasher.verify(password, encoded))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._options.workers + self._options.max_waiting:
            raise ResourceExhausted("Too many sign-ins at once; try again in a moment.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


def _yield_to_others() -> None:
    """Let every other thread go first: a flood of sign-ins must not slow down documents."""
    if sys.platform == "linux":  # elsewhere, niceness belongs to the whole process
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
