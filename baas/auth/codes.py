"""One-time codes: random, short-lived, bound to a purpose, kept as SHA-256 only."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from baas.auth.errors import AuthError
from baas.auth.options import Scope
from baas.db.tables.auth import codes
from baas.db.unit import Tx

_CODE_BYTES = 32
_MAX_LENGTH = 128
_KEEP_EXPIRED_MS = 86_400_000
"""Expired codes are kept a day, so that they can be told from wrong ones."""


@dataclass(frozen=True, slots=True)
class Code:
    """A code that was found good."""

    code_hash: bytes
    purpose: str
    account_key: int | None
    payload: Mapping[str, Any]
    attempts: int


def create(
    tx: Tx,
    scope: Scope,
    purpose: str,
    payload: Mapping[str, Any],
    *,
    account_key: int | None,
    now_ms: int,
    lifetime_s: int,
) -> str:
    """Make a code; what is returned is not kept."""
    code = secrets.token_urlsafe(_CODE_BYTES)
    tx.core.execute(sa.delete(codes).where(codes.c.expires_at < now_ms - _KEEP_EXPIRED_MS))
    tx.core.execute(
        sa.insert(codes).values(
            code_hash=_hash(code),
            project=scope.project,
            tenant=scope.tenant,
            purpose=purpose,
            account_key=account_key,
            payload=json.dumps(dict(payload)),
            attempts=0,
            created_at=now_ms,
            expires_at=now_ms + lifetime_s * 1_000,
        )
    )
    return code


def find(
    tx: Tx,
    scope: Scope,
    code: str,
    purposes: Collection[str],
    now_ms: int,
    *,
    invalid: str = "INVALID_OOB_CODE",
    expired: str = "EXPIRED_OOB_CODE",
) -> Code:
    """The code, if it is good for one of these purposes in this scope. It stays good.

    Raises:
        AuthError: ``invalid`` or ``expired``.
    """
    row = None
    if len(code) <= _MAX_LENGTH:
        row = (
            tx.core.execute(
                sa.select(codes).where(
                    codes.c.code_hash == _hash(code),
                    codes.c.project == scope.project,
                    codes.c.tenant == scope.tenant,
                    codes.c.purpose.in_(list(purposes)),
                )
            )
            .mappings()
            .first()
        )
    if row is None:
        raise AuthError(invalid)
    if row["expires_at"] <= now_ms:
        raise AuthError(expired)
    return Code(
        row["code_hash"],
        row["purpose"],
        row["account_key"],
        json.loads(row["payload"]),
        row["attempts"],
    )


def exists(tx: Tx, scope: Scope, code: str) -> bool:
    """Whether a code, for whatever, was not used up yet."""
    query = sa.select(codes.c.purpose).where(
        codes.c.code_hash == _hash(code),
        codes.c.project == scope.project,
        codes.c.tenant == scope.tenant,
    )
    return tx.core.execute(query).first() is not None


def amend(tx: Tx, code: str, payload: Mapping[str, Any]) -> None:
    """Change what a code knows."""
    tx.core.execute(
        sa.update(codes)
        .where(codes.c.code_hash == _hash(code))
        .values(payload=json.dumps(dict(payload)))
    )


def spend(tx: Tx, code: Code) -> None:
    """Use a code up."""
    tx.core.execute(sa.delete(codes).where(codes.c.code_hash == code.code_hash))


def count_attempt(tx: Tx, code: Code, allowed: int) -> None:
    """Count a wrong guess at what the code guards; the last one allowed uses it up."""
    if code.attempts + 1 >= allowed:
        spend(tx, code)
        return
    tx.core.execute(
        sa.update(codes)
        .where(codes.c.code_hash == code.code_hash)
        .values(attempts=code.attempts + 1)
    )


def drop_of_account(tx: Tx, account_key: int, purposes: Collection[str]) -> None:
    """Use up every code of an account for these purposes."""
    tx.core.execute(
        sa.delete(codes).where(
            codes.c.account_key == account_key, codes.c.purpose.in_(list(purposes))
        )
    )


def drop_of_scope(tx: Tx, scope: Scope) -> None:
    """Use up every code of a project's tenant."""
    tx.core.execute(
        sa.delete(codes).where(codes.c.project == scope.project, codes.c.tenant == scope.tenant)
    )


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
