"""What the parts of the auth room share, and the one way by which each sign-in ends: a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from baas.auth import accounts, codes, project_config, sessions
from baas.auth.accounts import CUSTOM, Account, Identity
from baas.auth.claims import SECOND_FACTOR_REQUIRED, factor_claims, id_token_claims, seconds
from baas.auth.errors import AuthError
from baas.auth.hooks import (
    BEFORE_CREATE,
    BEFORE_SIGN_IN,
    Client,
    Hooks,
    record_of,
    record_of_new,
)
from baas.auth.limits import Limits
from baas.auth.messages import Sender
from baas.auth.options import AuthOptions, Scope
from baas.auth.outgoing import Outgoing
from baas.auth.passwords import Passwords
from baas.auth.project_config import ProjectConfig
from baas.auth.secret_box import SecretBox
from baas.auth.signing_keys import KeyRing
from baas.auth.tokens import Tokens
from baas.db.unit import Database, Tx
from baas.errors import Unauthenticated

T = TypeVar("T")

PENDING_SECOND_FACTOR = "PENDING_SECOND_FACTOR"
"""The purpose of codes that stand for a first factor."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A completed sign-in. ``expires_in`` in seconds."""

    account: Account
    id_token: str
    refresh_token: str
    expires_in: int
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class SecondFactorNeeded:
    """The first factor was right; the account has a second one."""

    account: Account
    pending_credential: str


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
        *,
        mail: Sender,
        sms: Sender,
        outgoing: Outgoing,
    ) -> None:
        self.database = database
        self.options = options
        self.secrets = secrets
        self.clock = clock
        self.passwords = Passwords(options.hashing)
        self.keys = KeyRing(database, options, secrets, clock)
        self.tokens = Tokens(self.keys, options, clock)
        self.limits = Limits(options.limits)
        self.mail = mail
        self.sms = sms
        self.outgoing = outgoing
        self.hooks = Hooks(outgoing, self.tokens.sign, clock)
        self._on_ended: list[Callable[[str, str], None]] = []

    def on_ended(self, listener: Callable[[str, str], None]) -> None:
        """Call back with project and uid when an account's tokens stop being good before their time: it was
        disabled or deleted, or its tokens were revoked."""
        self._on_ended.append(listener)

    def ended(self, tx: Tx, account: Account) -> None:
        """An account's tokens are no good any more, once this unit is durable."""
        for listener in self._on_ended:
            tx.on_flush(partial(listener, account.scope.project, account.uid))

    def end_sessions(self, tx: Tx, account: Account) -> None:
        """End every session of an account, and revoke the ID tokens of earlier sign-ins."""
        sessions.end_all(tx, account.key)
        accounts.update(tx, account, valid_since=self.now_ms() // 1_000)
        self.ended(tx, account)

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return int(self.clock() * 1_000)

    async def write(self, unit: Callable[[Tx], T]) -> T:
        """Run a unit; once more, if another node took a unique value between its check and its insert."""
        try:
            return await self.database.write(unit)
        except sa.exc.IntegrityError:
            return await self.database.write(unit)

    async def config(self, scope: Scope) -> ProjectConfig:
        """The configuration of a scope.

        Raises:
            AuthError: TENANT_NOT_FOUND.
        """
        return await self.database.read(lambda tx: project_config.load(tx, scope, self.options))

    async def create(
        self,
        scope: Scope,
        values: Mapping[str, Any],
        method: str,
        client: Client,
        *,
        identity: Identity | None = None,
    ) -> Account:
        """A new account, if sign-up is open and no blocking function minds.

        Raises:
            AuthError: ADMIN_ONLY_OPERATION, EMAIL_EXISTS, TOO_MANY_ATTEMPTS_TRY_LATER,
                BLOCKING_FUNCTION_ERROR_RESPONSE, ...
        """
        config = await self.config(scope)
        if config.get("client.permissions.disabledUserSignup"):
            raise AuthError("ADMIN_ONLY_OPERATION")
        await self.write(lambda tx: self._check_new(tx, scope, values, client))
        wanted = {"uid": accounts.new_uid(), **values}
        shown = record_of_new(wanted, identity, self.now_ms())
        verdict = await self.hooks.ask(
            config,
            BEFORE_CREATE,
            shown,
            project=scope.project,
            tenant=scope.tenant,
            method=method,
            client=client,
        )
        wanted |= verdict.columns

        def unit(tx: Tx) -> Account:
            created = accounts.insert(tx, scope, self.now_ms(), **wanted)
            return created if identity is None else accounts.link(tx, created, identity)

        return await self.write(unit)

    def _check_new(self, tx: Tx, scope: Scope, values: Mapping[str, Any], client: Client) -> None:
        accounts.check_free(tx, scope, None, values)
        if client.address:
            per_hour = self.options.limits.sign_ups_per_hour
            self.limits.spend(tx, "sign-up", client.address, per_hour, self.now_ms())

    async def complete(
        self,
        account: Account,
        provider: str,
        client: Client,
        *,
        session_claims: Mapping[str, Any] | None = None,
        is_new: bool = False,
        method: str = "",
    ) -> SignedIn | SecondFactorNeeded:
        """Go on from a first factor that was right: to the second factor, if there is one, or to tokens.

        ``method`` is what blocking functions are told, where it is not the provider's name.

        Raises:
            AuthError: USER_DISABLED, BLOCKING_FUNCTION_ERROR_RESPONSE.
        """
        if account.disabled:
            raise AuthError("USER_DISABLED")
        if not account.second_factors:
            return await self.issue(
                account,
                provider,
                client,
                session_claims=session_claims,
                is_new=is_new,
                method=method,
            )
        claims = dict(session_claims or {})
        payload = {"provider": provider, "claims": claims, "method": method}
        pending = await self.write(
            lambda tx: codes.create(
                tx,
                account.scope,
                PENDING_SECOND_FACTOR,
                payload,
                account_key=account.key,
                now_ms=self.now_ms(),
                lifetime_s=self.options.code_lifetime_s,
            )
        )
        return SecondFactorNeeded(account, pending)

    async def issue(
        self,
        account: Account,
        provider: str,
        client: Client,
        *,
        session_claims: Mapping[str, Any] | None = None,
        is_new: bool = False,
        method: str = "",
    ) -> SignedIn:
        """Open a session for an account whose credentials have been checked, and make its tokens.

        Raises:
            AuthError: USER_DISABLED, BLOCKING_FUNCTION_ERROR_RESPONSE.
        """
        if account.disabled:
            raise AuthError("USER_DISABLED")
        scope = account.scope
        config = await self.config(scope)
        if config.get("disableAuth"):
            raise AuthError("OPERATION_NOT_ALLOWED", "Sign-in is disabled here.")
        verdict = await self.hooks.ask(
            config,
            BEFORE_SIGN_IN,
            record_of(account),
            project=scope.project,
            tenant=scope.tenant,
            method=method or provider,
            client=client,
        )
        if verdict.columns:
            columns = verdict.columns
            account = await self.write(lambda tx: accounts.update(tx, account, **columns))
        claims = {**(session_claims or {}), **verdict.session_claims}
        return await self.renew(account, provider, claims, is_new=is_new)

    async def renew(
        self,
        account: Account,
        provider: str,
        claims: Mapping[str, Any],
        *,
        is_new: bool = False,
    ) -> SignedIn:
        """Open a session without asking anybody: the caller has one, or was let in already.

        Raises:
            AuthError: USER_DISABLED.
        """
        now_ms = self.now_ms()

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
        """An ID token of a session.

        Where second factors are mandatory, one without is marked: it is good for enrolling one, no more.
        """
        config = await self.config(account.scope)
        if config.get("mfa.state") == "MANDATORY" and provider != CUSTOM:
            factor = session_claims.get("firebase") or {SECOND_FACTOR_REQUIRED: True}
            session_claims = {**session_claims, "firebase": factor}
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

    async def session_claims(self, caller: Caller) -> dict[str, Any]:
        """What a caller's session adds to the tokens: second factor, and a custom token's claims."""
        own = await self.database.read(
            lambda tx: sessions.claims_behind(
                tx, caller.account.key, int(caller.auth_time), caller.claims
            )
        )
        return own | factor_claims(caller.claims)

    async def checked_claims(self, scope: Scope, id_token: str) -> dict[str, Any]:
        """The claims of a verified ID token of this scope.

        Raises:
            AuthError: INVALID_ID_TOKEN, TENANT_ID_MISMATCH.
        """
        try:
            claims = await self.tokens.verify_id_token(id_token, scope.project)
        except Unauthenticated as error:
            code = "TOKEN_EXPIRED" if "expired" in error.message else "INVALID_ID_TOKEN"
            raise AuthError(code) from error
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
