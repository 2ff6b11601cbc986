"""The auth service: accounts, ways in, tokens."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from baas.access.principal import Principal, PrincipalKind
from baas.auth import accounts, codes, factor_list, sessions, validation
from baas.auth.accounts import ANONYMOUS, EMAIL_LINK, PASSWORD, PHONE, Account
from baas.auth.action_codes import ActionCodes
from baas.auth.admin import AccountAdmin
from baas.auth.claims import SECOND_FACTOR_REQUIRED, seconds, sign_in_provider
from baas.auth.configs import Configs
from baas.auth.context import (
    AuthContext,
    Caller,
    SecondFactorNeeded,
    SignedIn,
    check_standing,
    tenant_of,
)
from baas.auth.errors import AuthError
from baas.auth.factor_list import WantedFactor
from baas.auth.federated import Federated
from baas.auth.hooks import NO_CLIENT, Client
from baas.auth.messages import Message, NoSender, Outbox, Sender
from baas.auth.options import AuthOptions, Scope
from baas.auth.outgoing import Outgoing, ThreadedOutgoing
from baas.auth.phone import PhoneCodes, PhoneSignIn
from baas.auth.project_config import ProjectConfig
from baas.auth.second_factor import SecondFactors
from baas.auth.secret_box import SecretBox
from baas.auth.service_accounts import ServiceAccounts
from baas.db.unit import Database, Tx
from baas.errors import Unauthenticated


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """What a user changes of the own account. ``None`` leaves a field, "" removes it."""

    display_name: str | None = None
    photo_url: str | None = None
    email: str | None = None
    password: str | None = None
    unlink: tuple[str, ...] = ()
    """Providers to be forgotten."""
    revoke: bool = False
    """End every session of the account but the caller's, which gets new tokens."""
    language: str = ""
    """What the owner of an old address is written to in."""


@dataclass(frozen=True, slots=True)
class SignInMethods:
    """The ways into the account of an address, and the providers behind them."""

    registered: bool
    methods: Sequence[str] = ()
    providers: Sequence[str] = ()


class AuthService:
    """What anybody may ask for with their own credentials.

    Errors that Identity Toolkit names are :class:`AuthError`; a full queue is ``ResourceExhausted``.
    """

    def __init__(
        self,
        database: Database,
        options: AuthOptions,
        secrets: SecretBox,
        *,
        clock: Callable[[], float] = time.time,
        mail: Sender | None = None,
        sms: Sender | None = None,
        outgoing: Outgoing | None = None,
    ) -> None:
        self._own_outgoing = None if outgoing else ThreadedOutgoing()
        self.outbox = Outbox()
        """Where messages stay in development mode, unless there is a way to send them."""
        self.context = AuthContext(
            database,
            options,
            secrets,
            clock,
            mail=mail or (self.outbox if options.dev else NoSender("mail")),
            sms=sms or (self.outbox if options.dev else NoSender("short messages")),
            outgoing=outgoing or cast(Outgoing, self._own_outgoing),
        )
        self.options = options
        self._principals: dict[str, Principal] = {}
        """Made once for the many calls with one token, which is verified at each."""
        self.admin = AccountAdmin(self.context)
        self.configs = Configs(self.context)
        self.codes = ActionCodes(self.context)
        self.service_accounts = ServiceAccounts(self.context)
        self.federated = Federated(self.context)
        self.phone_codes = PhoneCodes(self.context)
        self.phone = PhoneSignIn(self.context, self.phone_codes)
        self.second_factors = SecondFactors(self.context, self.phone_codes)

    def close(self) -> None:
        """Stop the threads. The database is the caller's."""
        self.context.close()
        if self._own_outgoing is not None:
            self._own_outgoing.close()

    # Ways in

    async def sign_up(
        self,
        scope: Scope,
        *,
        email: str,
        password: str,
        display_name: str = "",
        second_factors: Sequence[WantedFactor] | None = None,
        client: Client = NO_CLIENT,
    ) -> SignedIn:
        """Create an account with email and password, and sign in. ``second_factors`` are believed unproven.

        Raises:
            AuthError: EMAIL_EXISTS, INVALID_EMAIL, WEAK_PASSWORD, OPERATION_NOT_ALLOWED, ...
        """
        config = await self.context.config(scope)
        config.require("signIn.email.enabled")
        values: dict[str, Any] = {
            "email": validation.email(email),
            "display_name": validation.display_name(display_name) or None,
        }
        if second_factors:
            values["second_factors"] = factor_list.created(second_factors, self.context.now_ms())
        config.password_policy.check(validation.new_password(password))
        await self.context.database.read(lambda tx: accounts.check_free(tx, scope, None, values))
        values |= await self.password_values(password)
        created = await self.context.create(scope, values, PASSWORD, client)
        return await self.context.issue(created, PASSWORD, client, is_new=True)

    async def sign_up_anonymously(self, scope: Scope, *, client: Client = NO_CLIENT) -> SignedIn:
        """Create an account that nothing but its session leads to, and sign in.

        Raises:
            AuthError: ADMIN_ONLY_OPERATION, TOO_MANY_ATTEMPTS_TRY_LATER.
        """
        (await self.context.config(scope)).require(
            "signIn.anonymous.enabled", "ADMIN_ONLY_OPERATION"
        )
        created = await self.context.create(scope, {}, ANONYMOUS, client)
        return await self.context.issue(created, ANONYMOUS, client, is_new=True)

    async def sign_in(
        self, scope: Scope, *, email: str | None, password: str, client: Client = NO_CLIENT
    ) -> SignedIn | SecondFactorNeeded:
        """Sign in with email and password. Takes as long for an unknown address as for a wrong password.

        Raises:
            AuthError: INVALID_LOGIN_CREDENTIALS (EMAIL_NOT_FOUND and INVALID_PASSWORD without protection
                against enumeration), USER_DISABLED, TOO_MANY_ATTEMPTS_TRY_LATER.
        """
        config = await self.context.config(scope)
        config.require("signIn.email.enabled", "PASSWORD_LOGIN_DISABLED")
        if email is None:
            raise AuthError("MISSING_EMAIL")
        name = validation.email(email)
        if not password:
            raise AuthError("MISSING_PASSWORD")
        limits = self.context.limits
        subjects = [
            limits.account(scope, PASSWORD, name),
            limits.address(PASSWORD, client.address),
        ]

        def find(tx: Tx) -> tuple[Account | None, bool]:
            limits.check(tx, subjects, self.context.now_ms())
            return accounts.by_email(tx, scope, name), limits.failed(tx, subjects[0])

        account, failed_before = await self.context.database.read(find)
        encoded = account.password_hash if account else None
        if not await self.context.passwords.verify(password, encoded) or account is None:
            await self.context.write(lambda tx: limits.fail(tx, subjects, self.context.now_ms()))
            raise _wrong_credentials(config, account)
        if failed_before:
            await self.context.write(lambda tx: limits.clear(tx, subjects[:1]))
        account = await self._upgrade_hash(account, password)
        if config.password_policy.force_upgrade:
            config.password_policy.check(password)
        return await self.context.complete(account, PASSWORD, client)

    async def sign_in_methods(
        self, scope: Scope, email: str, continue_url: str
    ) -> SignInMethods | None:
        """The ways into the account of an address; ``None`` where addresses are protected.

        The address may also be the one that the account has at a provider, unless accounts can share one.

        Raises:
            AuthError: INVALID_IDENTIFIER, INVALID_CONTINUE_URI.
        """
        try:
            name = validation.email(email)
        except AuthError as error:
            raise AuthError("INVALID_IDENTIFIER") from error
        config = await self.context.config(scope)
        config.check_continue_url(continue_url, open_to_all=True)
        if config.protects_emails:
            return None

        def find(tx: Tx) -> Account | None:
            return accounts.by_email(tx, scope, name) or accounts.by_provider_email(tx, scope, name)

        account = await self.context.database.read(find)
        if account is None:
            return SignInMethods(False)
        password = [PASSWORD] if account.password_hash or account.email_link else []
        methods = [m for m in account.sign_in_methods() if m != PHONE]
        providers = password + [identity.provider_id for identity in account.identities]
        if config.get("signIn.allowDuplicateEmails"):
            methods = [m for m in methods if m in (PASSWORD, EMAIL_LINK)]
            providers = password
        return SignInMethods(True, methods, providers)

    async def refresh(
        self, refresh_token: str, *, project: str | None = None
    ) -> tuple[SignedIn, Scope]:
        """A fresh ID token, and the refresh token to use next time. ``project``: whose it must be.

        Raises:
            AuthError: INVALID_REFRESH_TOKEN, TOKEN_EXPIRED, USER_DISABLED, USER_NOT_FOUND,
                PROJECT_NUMBER_MISMATCH.
        """
        context = self.context
        now_ms = context.now_ms()
        grace_ms = self.options.refresh_grace_s * 1_000

        def unit(tx: Tx) -> tuple[Account, sessions.Session, str] | None:
            found = sessions.exchange(tx, refresh_token, now_ms=now_ms, grace_ms=grace_ms)
            if found is None:
                return None  # no error: what ended the session must last
            session, following = found
            account = accounts.by_key(tx, session.account_key)
            check_standing(account, {"auth_time": session.auth_time})
            assert account is not None
            if project is not None and account.scope.project != project:
                raise AuthError("PROJECT_NUMBER_MISMATCH")
            return accounts.update(tx, account, last_refresh_at=now_ms), session, following

        exchanged = await context.write(unit)
        if exchanged is None:
            # SDKs sign their user out at the first only, and what ended is not kept to be told apart
            formed = sessions.has_form(refresh_token)
            raise AuthError("TOKEN_EXPIRED" if formed else "INVALID_REFRESH_TOKEN")
        account, session, following = exchanged
        id_token = await context.id_token(
            account, session.sign_in_provider, session.claims, session.auth_time
        )
        lifetime = self.options.id_token_lifetime_s
        return SignedIn(account, id_token, following, lifetime), account.scope

    # The own account

    async def lookup(self, scope: Scope, id_token: str) -> Account:
        """The account of an ID token.

        Raises:
            AuthError: INVALID_ID_TOKEN, TOKEN_EXPIRED, USER_DISABLED, USER_NOT_FOUND.
        """
        return (await self.context.caller(scope, id_token)).account

    async def update(
        self, scope: Scope, id_token: str, change: ProfileChange
    ) -> tuple[Account, SignedIn | None]:
        """Change the own account; with new tokens, if the change ended the old ones.

        Raises:
            AuthError: EMAIL_EXISTS, WEAK_PASSWORD, CREDENTIAL_TOO_OLD_LOGIN_AGAIN,
                OPERATION_NOT_ALLOWED (the address must be verified before it is changed), ...
        """
        caller = await self.context.caller(scope, id_token)
        values = _profile_values(change)
        config = await self.context.config(scope)
        old = caller.account.email or ""
        moved = change.email is not None and values["email"] != old
        renewed = moved or change.password is not None or change.revoke
        if moved or change.password is not None:
            self._check_sensitive(caller, values, config)
        if change.password is not None:
            config.password_policy.check(validation.new_password(change.password))
            values |= await self.password_values(change.password)

        claims = await self.context.session_claims(caller)

        def unit(tx: Tx) -> tuple[Account, str]:
            changed = accounts.update(tx, caller.account, **values)
            for provider in change.unlink:
                accounts.unlink(tx, changed, provider)
            if renewed:
                self.context.end_sessions(tx, changed)
            recovery = ""
            if moved and old:
                recovery = self.codes.create_recovery(tx, changed, old, str(values["email"]))
                first = caller.account.initial_email or old
                changed = accounts.update(tx, changed, initial_email=first)
            return accounts.update(tx, changed), recovery

        changed, recovery = await self.context.write(unit)
        if recovery:
            await self.codes.tell_old_address(changed, old, recovery, change.language)
        if not renewed:
            return changed, None
        provider = PASSWORD if change.password else sign_in_provider(caller.claims)
        signed_in = await self.context.renew(changed, provider, claims)
        return signed_in.account, signed_in

    async def delete(self, scope: Scope, id_token: str) -> None:
        """Delete the own account.

        Raises:
            AuthError: CREDENTIAL_TOO_OLD_LOGIN_AGAIN, and as for :meth:`lookup`.
        """
        caller = await self.context.caller(scope, id_token)
        config = await self.context.config(scope)
        if config.get("client.permissions.disabledUserDeletion"):
            raise AuthError("ADMIN_ONLY_OPERATION")
        self.context.check_recent(caller)

        def unit(tx: Tx) -> None:
            accounts.delete(tx, caller.account)
            self.context.ended(tx, caller.account)

        await self.context.write(unit)

    # Tokens

    async def verify_id_token(
        self, token: str, project: str, *, check_revoked: bool = False
    ) -> Principal:
        """Who shows this ID token.

        Raises:
            Unauthenticated: forged, expired, another project's; with ``check_revoked`` also revoked, or of a
                user who is disabled or gone.
        """
        claims = await self.context.tokens.verify_id_token(token, project)
        firebase = claims.get("firebase")
        if isinstance(firebase, dict) and firebase.get(SECOND_FACTOR_REQUIRED):
            raise Unauthenticated("Enrol a second factor first: this project asks for one.")
        known = self._principals.get(token)
        if (
            known is not None
            and known.claims is claims
            and known.project == project
            and known.expires_at is not None
            and known.expires_at > self.context.clock()
            and not check_revoked
        ):
            return known
        if check_revoked:
            try:
                await self.context.caller(Scope(project, tenant_of(claims)), token)
            except AuthError as error:
                raise Unauthenticated(f"The ID token holds no more: {error.code}.") from error
        expires_at = seconds(claims, "exp")
        if expires_at is not None and expires_at <= self.context.clock():
            # Taken all the same: test tools' unsigned tokens say 1970, and never expire.
            expires_at = None
        principal = Principal(
            PrincipalKind.USER,
            uid=str(claims["sub"]),
            claims=claims,
            project=project,
            expires_at=expires_at,
        )
        if len(self._principals) >= self.options.token_cache_size:
            self._principals.clear()
        self._principals[token] = principal
        return principal

    async def unspent_messages(self, scope: Scope, *, sms: bool) -> list[Message]:
        """The messages of the outbox whose codes are still good for something, oldest first."""
        messages = [m for m in self.outbox.of(scope.project, sms=sms) if m.scope == scope]
        return await self.context.database.read(
            lambda tx: [m for m in messages if codes.exists(tx, scope, m.session or m.code)]
        )

    # Inside

    async def password_values(self, password: str) -> dict[str, Any]:
        """The columns of a new password, which must have been checked."""
        return {
            "password_hash": await self.context.passwords.hash(password),
            "password_updated_at": self.context.now_ms(),
        }

    async def _upgrade_hash(self, account: Account, password: str) -> Account:
        encoded = account.password_hash or ""
        if not self.context.passwords.needs_upgrade(encoded):
            return account
        fresh = await self.context.passwords.hash(password)

        def unit(tx: Tx) -> Account:
            current = accounts.by_key(tx, account.key)
            if current is None or current.password_hash != encoded:
                return account  # changed meanwhile: that password counts
            return accounts.update(tx, current, password_hash=fresh)

        return await self.context.write(unit)

    def _check_sensitive(
        self, caller: Caller, values: dict[str, Any], config: ProjectConfig
    ) -> None:
        self.context.check_recent(caller)
        if "email" not in values or values["email"] == caller.account.email:
            return
        if caller.account.email and config.protects_emails:
            raise AuthError(
                "OPERATION_NOT_ALLOWED", "Please verify the new email before changing email."
            )
        values["email_verified"] = False


def _wrong_credentials(config: ProjectConfig, account: Account | None) -> AuthError:
    if config.protects_emails:
        return AuthError("INVALID_LOGIN_CREDENTIALS")
    return AuthError("INVALID_PASSWORD" if account else "EMAIL_NOT_FOUND")


def _profile_values(change: ProfileChange) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if change.display_name is not None:
        values["display_name"] = validation.display_name(change.display_name) or None
    if change.photo_url is not None:
        values["photo_url"] = validation.photo_url(change.photo_url) or None
    if change.email is not None:
        values["email"] = validation.email(change.email)
    if PASSWORD in change.unlink:
        values |= {"password_hash": None, "password_updated_at": None, "email_link": False}
    if "phone" in change.unlink:
        values["phone_number"] = None
    return values
