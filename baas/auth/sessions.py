"""Sessions and their refresh tokens: rotated at every use, and ended when a stolen one shows.

A refresh token is ``<session name>.<secret>``; the database has only SHA-256 of both. Each use makes the next
secret from the one before (HMAC with a salt of the session), so a repeated use gives the same answer: the
first may have been lost, or another tab may hold the same token. What may be repeated is the token before
the current one, within a short grace, or later but a few times only. Any older one means that two parties
hold the session, and the session ends.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from baas.auth.accounts import Account
from baas.db.tables.auth import sessions
from baas.db.unit import Tx

_NAME_BYTES, _SECRET_BYTES = 18, 32
_MAX_LENGTH = 256
_FORM = re.compile(r"[\w-]{24}\.[\w-]{43}", re.ASCII)
_LATE_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in that lasts. ``auth_time`` in seconds."""

    account_key: int
    sign_in_provider: str
    auth_time: int
    claims: Mapping[str, Any]


def start(
    tx: Tx,
    account: Account,
    *,
    sign_in_provider: str,
    auth_time: int,
    claims: Mapping[str, Any],
    now_ms: int,
) -> str:
    """Open a session; answers its first refresh token."""
    name, secret = secrets.token_urlsafe(_NAME_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    tx.core.execute(
        sa.insert(sessions).values(
            id_hash=_hash(name),
            account_key=account.key,
            sign_in_provider=sign_in_provider,
            auth_time_s=auth_time,
            claims=json.dumps(dict(claims)) if claims else None,
            salt=secrets.token_bytes(_SECRET_BYTES),
            current_hash=_hash(secret),
            previous_hash=None,
            rotated_at=now_ms,
            late_repeats=0,
        )
    )
    return f"{name}.{secret}"


def has_form(refresh_token: str) -> bool:
    """Whether a text looks like a token of ours: it may have been one, of a session that ended."""
    return _FORM.fullmatch(refresh_token) is not None


def exchange(
    tx: Tx, refresh_token: str, *, now_ms: int, grace_ms: int
) -> tuple[Session, str] | None:
    """The session of a refresh token, and the token that follows it.

    ``None`` for a token that was never given out, or no longer stands; an old one ends its session.
    """
    name, _, secret = refresh_token.partition(".")
    if len(refresh_token) > _MAX_LENGTH or not secret:
        return None
    here = sessions.c.id_hash == _hash(name)
    row = tx.core.execute(sa.select(sessions).where(here)).mappings().first()
    if row is None:
        return None
    following = _next(row["salt"], secret)
    changed = _advance(row, _hash(secret), _hash(following), now_ms, grace_ms)
    if changed is None:
        tx.core.execute(sa.delete(sessions).where(here))
        return None
    if changed:
        tx.core.execute(sa.update(sessions).where(here).values(**changed))
    session = Session(
        row["account_key"],
        row["sign_in_provider"],
        row["auth_time_s"],
        json.loads(row["claims"] or "{}"),
    )
    return session, f"{name}.{following}"


def _advance(
    row: Any, given: bytes, following: bytes, now_ms: int, grace_ms: int
) -> dict[str, Any] | None:
    """What the use of a token changes in its session; ``None`` if it ends it."""
    if hmac.compare_digest(given, row["current_hash"]):
        return {"current_hash": following, "previous_hash": given, "rotated_at": now_ms}
    previous: bytes | None = row["previous_hash"]
    if previous is None or not hmac.compare_digest(given, previous):
        return None
    if now_ms - row["rotated_at"] <= grace_ms:
        return {}
    repeats = row["late_repeats"] + 1
    return {"late_repeats": repeats} if repeats <= _LATE_REPEATS else None


def _next(salt: bytes, secret: str) -> str:
    made = hmac.new(salt, secret.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def claims_behind(
    tx: Tx, account_key: int, auth_time: int, shown: Mapping[str, Any]
) -> dict[str, Any]:
    """The claims that the session of an ID token adds to its account's; ``shown`` are the token's.

    The token alone does not tell which of its claims are the session's: one that an administrator has taken
    from the account since must not live on. So only what a session of that sign-in holds is believed.
    """
    rows = tx.core.execute(
        sa.select(sessions.c.claims).where(
            sessions.c.account_key == account_key, sessions.c.auth_time_s == auth_time
        )
    )
    for row in rows:
        own = {k: v for k, v in json.loads(row[0] or "{}").items() if k != "firebase"}
        if own and all(k in shown and shown[k] == v for k, v in own.items()):
            return own
    return {}


def end_all(tx: Tx, account_key: int) -> None:
    """End every session of an account."""
    tx.core.execute(sa.delete(sessions).where(sessions.c.account_key == account_key))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
