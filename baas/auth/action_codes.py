"""Actions by mail: verify an address, reset a password, sign in by link, change an address, take it back."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from baas.auth import accounts, codes, mail_templates, validation
from baas.auth.accounts import EMAIL_LINK, Account
from baas.auth.codes import Code
from baas.auth.context import AuthContext, SecondFactorNeeded, SignedIn
from baas.auth.errors import AuthError
from baas.auth.hooks import NO_CLIENT, Client
from baas.auth.messages import Outbox, action_message, language_of
from baas.auth.options import Scope
from baas.auth.project_config import ProjectConfig
from baas.db.unit import Tx
from baas.errors import ResourceExhausted, Unavailable

log = logging.getLogger(__name__)

VERIFY_EMAIL, PASSWORD_RESET, EMAIL_SIGNIN, CHANGE_EMAIL, RECOVER_EMAIL = (
    "VERIFY_EMAIL",
    "PASSWORD_RESET",
    "EMAIL_SIGNIN",
    "VERIFY_AND_CHANGE_EMAIL",
    "RECOVER_EMAIL",
)
MODES = {
    VERIFY_EMAIL: "verifyEmail",
    PASSWORD_RESET: "resetPassword",
    EMAIL_SIGNIN: "signIn",
    CHANGE_EMAIL: "verifyAndChangeEmail",
    RECOVER_EMAIL: "recoverEmail",
}
"""Request type -> the ``mode`` of the link that a mail carries."""
ACTION_PATH, EMULATOR_ACTION_PATH = "/__/auth/action", "/emulator/action"
_RECOVERY_LIFETIME_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """What a code is asked for. ``api_key`` and ``continue_url`` go into its link."""

    purpose: str
    email: str = ""
    new_email: str = ""
    id_token: str = ""
    continue_url: str = ""
    api_key: str = ""
    language: str = ""
    link_domain: str = ""
    """Where the link is to lead; only to this server."""
    return_link: bool = False
    """The caller is an administrator, who gets the link and sends it."""


@dataclass(frozen=True, slots=True)
class SentCode:
    """What came of it; ``code`` and ``link`` are for administrators."""

    email: str
    code: str
    link: str


class ActionCodes:
    """Makes, sends and redeems codes."""

    def __init__(self, context: AuthContext) -> None:
        self._context = context

    async def send(self, scope: Scope, request: CodeRequest) -> SentCode:
        """Make a code, and send it unless an administrator will.

        For an unknown address, protected projects answer as for a known one, and send nothing.

        Raises:
            AuthError: MISSING_REQ_TYPE, MISSING_EMAIL, EMAIL_NOT_FOUND, EMAIL_EXISTS, INVALID_ID_TOKEN,
                MISSING_CONTINUE_URI, UNAUTHORIZED_DOMAIN, TOO_MANY_ATTEMPTS_TRY_LATER, ...
            Unavailable: no mail can be sent, whoever it is for.
        """
        if request.purpose not in MODES or request.purpose == RECOVER_EMAIL:
            raise AuthError("INVALID_REQ_TYPE" if request.purpose else "MISSING_REQ_TYPE")
        context = self._context
        config = await context.config(scope)
        self._check_request(request, config)
        if not request.return_link:
            context.mail.ready()  # before anything is known of the address
        account, payload = await self._target(scope, request)
        recipient = payload.get("new_email") or payload["email"]
        if account is None and request.purpose != EMAIL_SIGNIN:
            if request.purpose != PASSWORD_RESET:
                raise AuthError("USER_NOT_FOUND")  # only administrators ask by address
            if not config.protects_emails:
                raise AuthError("EMAIL_NOT_FOUND")
            if request.return_link:
                return SentCode(payload["email"], "", "")
            await context.write(lambda tx: self._count_mail(tx, scope, recipient))
            return SentCode(payload["email"], "", "")

        def unit(tx: Tx) -> str:
            if not request.return_link:
                self._count_mail(tx, scope, recipient)
            return codes.create(
                tx,
                scope,
                request.purpose,
                payload,
                account_key=account.key if account else None,
                now_ms=context.now_ms(),
                lifetime_s=context.options.code_lifetime_s,
            )

        code = await context.write(unit)
        link = self.link(scope, request, code)
        shown = context.options.dev and isinstance(context.mail, Outbox)
        if shown or not request.return_link:
            known = replace(request, email=payload["email"])
            await self._mail(scope, account, recipient, code, known, link)
        return SentCode(payload["email"], code, link)

    async def check(self, scope: Scope, code: str) -> Code:
        """What a code is for. It stays good.

        Raises:
            AuthError: INVALID_OOB_CODE, EXPIRED_OOB_CODE.
        """
        return await self._context.database.read(
            lambda tx: codes.find(tx, scope, code, MODES, self._context.now_ms())
        )

    async def reset_password(self, scope: Scope, code: str, password: str) -> Account:
        """Set a new password. It also proves the address, and ends every session.

        Raises:
            AuthError: INVALID_OOB_CODE, EXPIRED_OOB_CODE, WEAK_PASSWORD, USER_DISABLED, ...
        """
        context = self._context
        config = await context.config(scope)
        config.require("signIn.email.enabled", "PASSWORD_LOGIN_DISABLED")
        config.password_policy.check(validation.new_password(password))
        await self.check(scope, code)  # before a hash is paid for
        encoded = await context.passwords.hash(password)

        def unit(tx: Tx) -> Account:
            now_ms = context.now_ms()
            found = codes.find(tx, scope, code, [PASSWORD_RESET], now_ms)
            account = _account_of(tx, found)
            codes.drop_of_account(tx, account.key, [PASSWORD_RESET])
            context.end_sessions(tx, account)
            verified = account.email_verified or account.email == found.payload["email"]
            return accounts.update(
                tx,
                account,
                password_hash=encoded,
                password_updated_at=now_ms,
                email_verified=verified,
            )

        return await context.write(unit)

    async def apply(self, scope: Scope, code: str, *, language: str = "") -> tuple[Account, str]:
        """Do what a code is for: verify, change or take back an address; answers also which of these.

        Raises:
            AuthError: INVALID_OOB_CODE, EXPIRED_OOB_CODE, EMAIL_EXISTS, USER_DISABLED.
        """
        context = self._context
        purposes = [VERIFY_EMAIL, CHANGE_EMAIL, RECOVER_EMAIL]

        def unit(tx: Tx) -> tuple[Account, str, str, str] | None:
            now_ms = context.now_ms()
            found = codes.find(tx, scope, code, purposes, now_ms)
            account = _account_of(tx, found)
            codes.spend(tx, found)
            if found.purpose == VERIFY_EMAIL:
                if account.email != found.payload["email"]:
                    raise AuthError("INVALID_OOB_CODE")
                return accounts.update(tx, account, email_verified=True), found.purpose, "", ""
            email = found.payload["new_email"]
            holder = accounts.by_email(tx, scope, email)
            if holder is not None and holder.key != account.key:
                return None  # no error: the code is spent all the same
            context.end_sessions(tx, account)
            codes.drop_of_account(tx, account.key, [*MODES])
            recovery = ""
            old = account.email or ""
            if found.purpose == CHANGE_EMAIL and old and old != email:
                recovery = self.create_recovery(tx, account, old, email)
            changed = accounts.update(tx, account, email=email, email_verified=True)
            return changed, found.purpose, old, recovery

        done = await context.write(unit)
        if done is None:
            raise AuthError("EMAIL_EXISTS")
        changed, purpose, old, recovery = done
        if recovery:
            await self.tell_old_address(changed, old, recovery, language)
        return changed, purpose

    def create_recovery(self, tx: Tx, account: Account, old: str, new: str) -> str:
        """A code that gives an account its old address back, good for a week."""
        return codes.create(
            tx,
            account.scope,
            RECOVER_EMAIL,
            {"email": new, "new_email": old},
            account_key=account.key,
            now_ms=self._context.now_ms(),
            lifetime_s=_RECOVERY_LIFETIME_S,
        )

    async def tell_old_address(
        self, account: Account, old: str, recovery: str, language: str
    ) -> None:
        """Write to the old address of an account that has a new one; failing to is logged."""
        request = CodeRequest(
            RECOVER_EMAIL, email=old, new_email=account.email or "", language=language
        )
        link = self.link(account.scope, request, recovery)
        try:
            await self._mail(account.scope, account, old, recovery, request, link)
        except (Unavailable, ResourceExhausted) as error:
            # the change is made and stands; only its old address does not hear of it
            log.error("a changed address could not be told: %s", error.message)

    async def sign_in_with_link(
        self,
        scope: Scope,
        *,
        email: str,
        code: str,
        id_token: str = "",
        client: Client = NO_CLIENT,
    ) -> SignedIn | SecondFactorNeeded:
        """Sign in with the code of a link, or link the address to the account of an ID token.

        A password that somebody set before the address was proven is dropped: it was not the owner's.

        Raises:
            AuthError: INVALID_OOB_CODE, EXPIRED_OOB_CODE, INVALID_EMAIL, EMAIL_EXISTS, ...
        """
        context = self._context
        (await context.config(scope)).require_email_link()
        if not email:
            raise AuthError("MISSING_EMAIL")
        address = validation.email(email)
        if not code:
            raise AuthError("MISSING_OOB_CODE")
        caller = await context.caller(scope, id_token) if id_token else None

        def redeem(tx: Tx) -> Account | None:
            found = codes.find(tx, scope, code, [EMAIL_SIGNIN], context.now_ms())
            if found.payload["email"] != address:
                raise AuthError(
                    "INVALID_EMAIL", "The email provided does not match the sign-in email address."
                )
            codes.spend(tx, found)
            proven = {"email": address, "email_verified": True, "email_link": True}
            if caller is not None:
                return accounts.update(tx, caller.account, **proven)
            account = accounts.by_email(tx, scope, address)
            if account is None:
                return None
            if not account.email_verified and account.password_hash:
                context.end_sessions(tx, account)
                proven |= {"password_hash": None, "password_updated_at": None}
            return accounts.update(tx, account, **proven)

        account = await context.write(redeem)
        if account is not None:
            if caller is not None:
                claims = await context.session_claims(caller)
                return await context.issue(
                    account, EMAIL_LINK_PROVIDER, client, session_claims=claims, method=EMAIL_LINK
                )
            return await context.complete(account, EMAIL_LINK_PROVIDER, client, method=EMAIL_LINK)
        values = {"email": address, "email_verified": True, "email_link": True}
        created = await context.create(scope, values, EMAIL_LINK, client)
        return await context.issue(
            created, EMAIL_LINK_PROVIDER, client, is_new=True, method=EMAIL_LINK
        )

    def link(self, scope: Scope, request: CodeRequest, code: str) -> str:
        """The address that a mail sends its reader to; on this server, whatever the request's host was."""
        options = self._context.options
        query = {
            "mode": MODES[request.purpose],
            "lang": language_of(request.language),
            "oobCode": code,
            "apiKey": request.api_key or self._key_of(scope),
            "continueUrl": request.continue_url,
            "tenantId": scope.tenant,
            "projectId": "" if scope.project == options.default_project else scope.project,
        }
        path = EMULATOR_ACTION_PATH if options.dev else ACTION_PATH
        kept = {name: value for name, value in query.items() if value}
        return f"{options.public_url.rstrip('/')}{path}?{urlencode(kept)}"

    def _key_of(self, scope: Scope) -> str:
        """An API key for links that an administrator makes: clients refuse a link without any."""
        keys = self._context.options.api_keys
        return next((key for key, project in keys.items() if project == scope.project), "homefire")

    def _check_request(self, request: CodeRequest, config: ProjectConfig) -> None:
        if request.purpose == EMAIL_SIGNIN:
            config.require_email_link()
            if not request.continue_url and not self._context.options.dev:
                raise AuthError("MISSING_CONTINUE_URI")
        own = urlsplit(self._context.options.public_url).hostname
        if request.link_domain not in ("", own):
            raise AuthError("INVALID_HOSTING_LINK_DOMAIN")
        if request.continue_url:
            config.check_continue_url(request.continue_url, open_to_all=self._context.options.dev)

    async def _target(
        self, scope: Scope, request: CodeRequest
    ) -> tuple[Account | None, dict[str, Any]]:
        """Whose account it is about, and what the code will know."""
        if request.purpose == CHANGE_EMAIL and not request.new_email:
            raise AuthError("MISSING_NEW_EMAIL")
        about_own = request.purpose in (VERIFY_EMAIL, CHANGE_EMAIL)
        if about_own and (request.id_token or not request.return_link):
            if not request.id_token:
                code = "INVALID_ID_TOKEN" if request.purpose == VERIFY_EMAIL else "MISSING_ID_TOKEN"
                raise AuthError(code)
            account: Account | None = (await self._context.caller(scope, request.id_token)).account
            assert account is not None
            email = account.email or ""
        else:
            if not request.email:
                raise AuthError("MISSING_EMAIL")
            email = validation.email(request.email)
            account = await self._context.database.read(
                lambda tx: accounts.by_email(tx, scope, email)
            )
        if not email:
            raise AuthError("MISSING_EMAIL")
        payload: dict[str, Any] = {"email": email}
        if request.purpose == CHANGE_EMAIL:
            payload["new_email"] = await self._new_email(scope, request)
        return account, payload

    async def _new_email(self, scope: Scope, request: CodeRequest) -> str:
        new = validation.email(request.new_email)
        await self._context.database.read(
            lambda tx: accounts.check_free(tx, scope, None, {"email": new})
        )
        return new

    def _count_mail(self, tx: Tx, scope: Scope, recipient: str) -> None:
        limits, options = self._context.limits, self._context.options.limits
        now_ms = self._context.now_ms()
        limits.spend(tx, "mail", f"{scope.project} {recipient}", options.mails_per_hour, now_ms)

    async def _mail(
        self,
        scope: Scope,
        account: Account | None,
        recipient: str,
        code: str,
        request: CodeRequest,
        link: str,
    ) -> None:
        config = await self._context.config(scope)
        language = request.language or config.get("notification.defaultLocale") or ""
        message = action_message(scope, recipient, request.purpose, code, link, language)
        message = replace(message, account_email=request.email)
        name = mail_templates.TEMPLATES.get(request.purpose, "")
        template = config.get(f"{mail_templates.PATH}.{name}") if name else None
        if template:
            values = {
                "LINK": link,
                "EMAIL": request.email,
                "NEW_EMAIL": request.new_email,
                "DISPLAY_NAME": (account.display_name if account else "") or "",
                "APP_NAME": config.get("displayName") or scope.project,
            }
            message = mail_templates.apply(message, template, values)
        await self._context.mail.send(message)


EMAIL_LINK_PROVIDER = "password"
"""``sign_in_provider`` of sign-ins by link: Firebase counts them as the password provider's."""


def _account_of(tx: Tx, code: Code) -> Account:
    account = accounts.by_key(tx, code.account_key) if code.account_key is not None else None
    if account is None:
        raise AuthError("USER_NOT_FOUND")
    if account.disabled:
        raise AuthError("USER_DISABLED")
    return account
