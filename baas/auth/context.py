"""What the parts of the auth room share, and the one way by which each sign-in ends: a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from baas.auth import accounts, sessions
from baas.auth.accounts import Account
from baas.auth.claims import id_token_claims, seconds
from baas.auth.errors import AuthError
from baas.auth.limits import Limits
from baas.auth.options import AuthOptions, Scope
from baas.auth.passwords import Passwords
from baas.auth.secret_box import SecretBox
from baas.auth.signing_keys import KeyRing
from baas.auth.tokens import Tokens
from baas.db.unit import Database, Tx
from baas.errors import Unauthenticated

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A completed sign-in. ``expires_in`` in seconds."""

    account: Account
    id_token: str
    refresh_token: str
    expires_in: int
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """The user behind an ID token, as the account stands now. ``auth_time`` in seconds."""

    account: Account
    claims: Mapping[str, Any]
    auth_time: float


class AuthContext:
    """Database, clock, keys and hashes, and what is done with them in more than one place."""

    def __init__(
        self,
        database: Database,
        options: AuthOptions,
        secrets: SecretBox,
        clock: Callable[[], float],
    ) -> None:
        self.database = database
        self.options = options
        self.secrets = secrets
        self.clock = clock
        self.passwords = Passwords(options.hashing)
        self.keys = KeyRing(database, options, secrets, clock)
        self.tokens = Tokens(self.keys, options, clock)
        self.limits = Limits(options.limits)

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return int(self.clock() * 1_000)

    async def write(self, unit: Callable[[Tx], T]) -> T:
        """Run a unit; once more, if another node took a unique value between its check and its insert."""
        try:
            return await self.database.write(unit)
        except sa.exc.IntegrityError:
            return await self.database.write(unit)

    async def issue(
        self,
        account: Account,
        provider: str,
        *,
        session_claims: Mapping[str, Any] | None = None,
        is_new: bool = False,
    ) -> SignedIn:
        """Open a session for an account whose credentials have been checked, and make its tokens.

        Raises:
            AuthError: USER_DISABLED.
        """
        now_ms = self.now_ms()
        claims = session_claims or {}

        def unit(tx: Tx) -> tuple[Account, str]:
            current = accounts.by_key(tx, account.key)
            if current is None:
                raise AuthError("USER_NOT_FOUND")
            if current.disabled:
                raise AuthError("USER_DISABLED")
            current = accounts.update(tx, current, last_login_at=now_ms, last_refresh_at=now_ms)
            refresh_token = sessions.start(
                tx,
                current,
                sign_in_provider=provider,
                auth_time=now_ms // 1_000,
                claims=claims,
                now_ms=now_ms,
            )
            return current, refresh_token

        current, refresh_token = await self.write(unit)
        id_token = await self.id_token(current, provider, claims, now_ms // 1_000)
        return SignedIn(current, id_token, refresh_token, self.options.id_token_lifetime_s, is_new)

    async def id_token(
        self, account: Account, provider: str, session_claims: Mapping[str, Any], auth_time: int
    ) -> str:
        """An ID token of a session."""
        return await self.tokens.sign(
            id_token_claims(
                account,
                sign_in_provider=provider,
                session_claims=session_claims,
                auth_time=auth_time,
                now=int(self.clock()),
                lifetime=self.options.id_token_lifetime_s,
            )
        )

    async def caller(self, scope: Scope, id_token: str) -> Caller:
        """Who shows this ID token; revoked, disabled and deleted users are refused.

        Raises:
            AuthError: INVALID_ID_TOKEN, TOKEN_EXPIRED, USER_DISABLED, USER_NOT_FOUND.
        """
        claims = await self.checked_claims(scope, id_token)
        account = await self.database.read(
            lambda tx: accounts.by_uid(tx, scope, str(claims["sub"]))
        )
        check_standing(account, claims)
        assert account is not None
        return Caller(account, claims, seconds(claims, "auth_time") or 0.0)

    async def checked_claims(self, scope: Scope, id_token: str) -> dict[str, Any]:
        """The claims of a verified ID token of this scope.

        Raises:
            AuthError: INVALID_ID_TOKEN, TENANT_ID_MISMATCH.
        """
        try:
            claims = await self.tokens.verify_id_token(id_token, scope.project)
        except Unauthenticated as error:
            code = "TOKEN_EXPIRED" if "expired" in error.message else "INVALID_ID_TOKEN"
            raise AuthError(code, error.message) from error
        if tenant_of(claims) != scope.tenant:
            raise AuthError("TENANT_ID_MISMATCH")
        return claims

    def check_recent(self, caller: Caller) -> None:
        """Whether the caller signed in lately enough for a sensitive change.

        Raises:
            AuthError: CREDENTIAL_TOO_OLD_LOGIN_AGAIN.
        """
        if self.clock() - caller.auth_time > self.options.recent_sign_in_s:
            raise AuthError("CREDENTIAL_TOO_OLD_LOGIN_AGAIN")

    def close(self) -> None:
        """Stop the threads."""
        self.passwords.close()
        self.tokens.close()


def tenant_of(claims: Mapping[str, Any]) -> str:
    """The tenant that a token is for; "" for none."""
    firebase = claims.get("firebase")
    tenant = firebase.get("tenant") if isinstance(firebase, Mapping) else None
    return tenant if isinstance(tenant, str) else ""


def check_standing(account: Account | None, claims: Mapping[str, Any]) -> None:
    """Whether the account of a token still stands behind it.

    Raises:
        AuthError: USER_NOT_FOUND, USER_DISABLED, TOKEN_EXPIRED (revoked).
    """
    if account is None:
        raise AuthError("USER_NOT_FOUND")
    if account.disabled:
        raise AuthError("USER_DISABLED")
    auth_time = seconds(claims, "auth_time")
    if auth_time is not None and auth_time < account.valid_since:
        raise AuthError("TOKEN_EXPIRED")
