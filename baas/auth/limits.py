"""Limits on guessing: a few failures are free, then every further one doubles the wait.

Counted in the database, so that all nodes count together. Only failures are written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from baas.auth.errors import AuthError
from baas.auth.options import LimitOptions, Scope
from baas.db.tables.auth import attempts
from baas.db.unit import Tx

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Subject:
    """What failures are counted for."""

    key: bytes
    allowed: int
    longest_block_s: float


class Limits:
    """Counts failures by account and by address, and events by hour."""

    def __init__(self, options: LimitOptions) -> None:
        self._options = options

    def account(self, scope: Scope, kind: str, name: str) -> Subject:
        """An account, or what would name one: unknown names are counted alike."""
        return Subject(
            _key("account", scope.project, scope.tenant, kind, name),
            self._options.account_failures,
            self._options.longest_account_block_s,
        )

    def address(self, kind: str, address: str) -> Subject:
        """A network address, across projects."""
        return Subject(
            _key("address", kind, address),
            self._options.address_failures,
            self._options.longest_address_block_s,
        )

    def check(self, tx: Tx, subjects: Sequence[Subject], now_ms: int) -> None:
        """Whether all of them may try now.

        Raises:
            AuthError: TOO_MANY_ATTEMPTS_TRY_LATER.
        """
        blocked = tx.core.execute(
            sa.select(attempts.c.blocked_until).where(
                attempts.c.subject.in_([subject.key for subject in subjects]),
                attempts.c.blocked_until > now_ms,
            )
        ).first()
        if blocked is not None:
            raise _too_many()

    def fail(self, tx: Tx, subjects: Sequence[Subject], now_ms: int) -> None:
        """Count a failure of each."""
        self._forget(tx, now_ms)
        for subject in subjects:
            failures = _count(tx, subject.key) + 1
            _store(tx, subject.key, failures, now_ms + self._block_ms(subject, failures), now_ms)

    def failed(self, tx: Tx, subject: Subject) -> bool:
        """Whether failures are counted: if not, there is nothing to clear."""
        return _count(tx, subject.key) > 0

    def clear(self, tx: Tx, subjects: Sequence[Subject]) -> None:
        """Forget the failures of each."""
        tx.core.execute(
            sa.delete(attempts).where(attempts.c.subject.in_([s.key for s in subjects]))
        )

    def spend(self, tx: Tx, kind: str, name: str, per_hour: int, now_ms: int) -> None:
        """Count an event that may happen so often an hour.

        Raises:
            AuthError: TOO_MANY_ATTEMPTS_TRY_LATER.
        """
        key = _key("hourly", kind, name, str(now_ms // _HOUR_MS))
        self._forget(tx, now_ms)
        spent = _count(tx, key)
        if spent >= per_hour:
            raise _too_many()
        _store(tx, key, spent + 1, 0, now_ms)

    def _block_ms(self, subject: Subject, failures: int) -> int:
        over = failures - subject.allowed
        if over < 0:
            return 0
        wait = self._options.first_block_s * 2.0 ** min(over, 30)
        return int(min(wait, subject.longest_block_s) * 1_000)

    def _forget(self, tx: Tx, now_ms: int) -> None:
        oldest = now_ms - int(self._options.forget_after_s * 1_000)
        tx.core.execute(
            sa.delete(attempts).where(
                attempts.c.updated_at < oldest, attempts.c.blocked_until < now_ms
            )
        )


def _count(tx: Tx, key: bytes) -> int:
    found = tx.core.execute(
        sa.select(attempts.c.failures).where(attempts.c.subject == key)
    ).scalar()
    return int(found or 0)


def _store(tx: Tx, key: bytes, failures: int, blocked_until: int, now_ms: int) -> None:
    values = {"failures": failures, "blocked_until": blocked_until, "updated_at": now_ms}
    changed = tx.core.execute(sa.update(attempts).where(attempts.c.subject == key).values(**values))
    if not changed.rowcount:
        tx.core.execute(sa.insert(attempts).values(subject=key, **values))


def _key(*words: str) -> bytes:
    return hashlib.sha256("\x00".join(words).encode()).digest()


def _too_many() -> AuthError:
    return AuthError(
        "TOO_MANY_ATTEMPTS_TRY_LATER", "Too many unsuccessful attempts. Please try again later."
    )
