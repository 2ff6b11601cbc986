"""Second factors: an authenticator app (TOTP, RFC 6238) or a code by short message.

A factor is a mapping in the account: ``id``, ``display_name``, ``enrolled_at`` (ms), and either ``phone`` or
``secret`` (sealed, base64) with ``last_step``, so that no code works twice.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from baas.auth import accounts, codes, phone, validation
from baas.auth.accounts import ANONYMOUS, CUSTOM, PHONE, Account
from baas.auth.claims import sign_in_provider
from baas.auth.codes import Code
from baas.auth.context import PENDING_SECOND_FACTOR, AuthContext, Caller, SignedIn
from baas.auth.errors import AuthError
from baas.auth.hooks import NO_CLIENT, Client
from baas.auth.options import Scope
from baas.auth.phone import PhoneCodes
from baas.auth.project_config import ProjectConfig
from baas.auth.secret_box import SecretBox
from baas.db.tables import auth as tables
from baas.db.unit import Tx

PERIOD_S, DIGITS = 30, 6
MAX_FACTORS = 5
_ATTEMPTS = 5
_ENROL_TOTP = "TOTP_ENROL"
_PURPOSE = "totp-secret"
_SECRET_BYTES = 20
_START_LIFETIME_S = 600


@dataclass(frozen=True, slots=True)
class TotpStart:
    """What an authenticator app is given. ``secret`` in base32, ``deadline`` in seconds since the epoch."""

    secret: str
    session: str
    deadline: int


def totp(secret: bytes, step: int) -> str:
    """The code of a time step (RFC 6238 with SHA-1, 6 digits)."""
    digest = hmac.new(secret, struct.pack(">Q", step), hashlib.sha1).digest()
    start = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def matching_step(secret: bytes, code: str, now: float, *, after: int, window: int) -> int | None:
    """The step, within the window around now and later than ``after``, whose code this is."""
    current = int(now // PERIOD_S)
    found = None
    for step in range(current - window, current + window + 1):
        if hmac.compare_digest(totp(secret, step).encode(), code.encode()) and step > after:
            found = step
    return found


class SecondFactors:
    """Enrolment, withdrawal, and the second half of a sign-in."""

    def __init__(self, context: AuthContext, phone_codes: PhoneCodes) -> None:
        self._context = context
        self._phone_codes = phone_codes

    # Enrolment

    async def start_totp(self, scope: Scope, id_token: str) -> TotpStart:
        """A new secret for an authenticator app.

        Raises:
            AuthError: OPERATION_NOT_ALLOWED, UNVERIFIED_EMAIL, SECOND_FACTOR_LIMIT_EXCEEDED, ...
        """
        caller = await self._enrolling(scope, id_token, "totp")
        secret = secrets.token_bytes(_SECRET_BYTES)
        now_ms = self._context.now_ms()
        payload = {"secret": self._seal(secret)}
        session = await self._context.write(
            lambda tx: codes.create(
                tx,
                scope,
                _ENROL_TOTP,
                payload,
                account_key=caller.account.key,
                now_ms=now_ms,
                lifetime_s=_START_LIFETIME_S,
            )
        )
        text = base64.b32encode(secret).decode().rstrip("=")
        return TotpStart(text, session, now_ms // 1_000 + _START_LIFETIME_S)

    async def finish_totp(
        self, scope: Scope, id_token: str, *, session: str, code: str, name: str
    ) -> SignedIn:
        """Enrol the app that shows this code.

        Raises:
            AuthError: INVALID_CODE, INVALID_SESSION_INFO, SESSION_EXPIRED, ...
        """
        caller = await self._enrolling(scope, id_token, "totp")
        window = _window(await self._context.config(scope))

        def unit(tx: Tx) -> tuple[Account, str] | None:
            found = codes.find(
                tx,
                scope,
                session,
                [_ENROL_TOTP],
                self._context.now_ms(),
                invalid="INVALID_SESSION_INFO",
                expired="SESSION_EXPIRED",
            )
            if found.account_key != caller.account.key:
                raise AuthError("INVALID_SESSION_INFO")
            secret = self._unseal(found.payload["secret"])
            now = self._context.clock()
            step = matching_step(secret, code, now, after=-1, window=window)
            if step is None:
                codes.count_attempt(tx, found, _ATTEMPTS)
                return None
            codes.spend(tx, found)
            more = {"secret": found.payload["secret"], "last_step": step}
            return self._add(tx, caller.account.key, name, more)

        return await self._enrolled(await self._context.write(unit), caller, "totp")

    async def start_phone(
        self, scope: Scope, id_token: str, number: str | None, *, client: Client = NO_CLIENT
    ) -> str:
        """Send a code to the number that is to be enrolled; answers the session.

        Raises:
            AuthError: as for :meth:`start_totp`, and INVALID_PHONE_NUMBER, SECOND_FACTOR_EXISTS.
        """
        caller = await self._enrolling(scope, id_token, "phone")
        if number is None:
            raise AuthError("INVALID_ARGUMENT", "((Missing phoneEnrollmentInfo.))")
        wanted = validation.phone_number(number)
        if any(factor.get("phone") == wanted for factor in caller.account.second_factors):
            words = "Phone number already enrolled as second factor for this account."
            raise AuthError("SECOND_FACTOR_EXISTS", words)
        key = caller.account.key
        return await self._phone_codes.send(
            scope, wanted, phone.ENROL, account_key=key, client=client
        )

    async def finish_phone(
        self, scope: Scope, id_token: str, *, session: str, code: str, name: str
    ) -> SignedIn:
        """Enrol the number that got this code.

        Raises:
            AuthError: INVALID_CODE, INVALID_SESSION_INFO, SESSION_EXPIRED, ...
        """
        caller = await self._enrolling(scope, id_token, "phone")
        key = caller.account.key
        number = await self._phone_codes.check(scope, session, code, phone.ENROL, account_key=key)
        added = await self._context.write(lambda tx: self._add(tx, key, name, {"phone": number}))
        return await self._enrolled(added, caller, "phone")

    async def withdraw(self, scope: Scope, id_token: str, factor_id: str) -> SignedIn:
        """Remove a factor.

        Raises:
            AuthError: MFA_ENROLLMENT_NOT_FOUND, CREDENTIAL_TOO_OLD_LOGIN_AGAIN.
        """
        caller = await self._context.caller(scope, id_token)
        self._context.check_recent(caller)

        def unit(tx: Tx) -> Account:
            account = _require(accounts.by_key(tx, caller.account.key))
            kept = [f for f in account.second_factors if f["id"] != factor_id]
            if len(kept) == len(account.second_factors):
                raise AuthError("MFA_ENROLLMENT_NOT_FOUND")
            return accounts.update(tx, account, second_factors=kept)

        account = await self._context.write(unit)
        provider = sign_in_provider(caller.claims)
        claims = await self._context.session_claims(caller)
        used = claims.get("firebase", {}).get("second_factor_identifier")
        if used == factor_id:  # the session was signed in with what is no factor any more
            del claims["firebase"]
        return await self._context.renew(account, provider, claims)

    # Sign-in

    async def start_sign_in(
        self, scope: Scope, pending: str, factor_id: str, *, client: Client = NO_CLIENT
    ) -> str:
        """Send a code to an enrolled number; answers the session.

        Raises:
            AuthError: OPERATION_NOT_ALLOWED, INVALID_MFA_PENDING_CREDENTIAL, MFA_ENROLLMENT_NOT_FOUND.
        """
        await self._require(scope, "phone")
        if not pending:
            raise AuthError("MISSING_MFA_PENDING_CREDENTIAL")
        if not factor_id:
            raise AuthError("MISSING_MFA_ENROLLMENT_ID")
        _, account = await self._context.database.read(lambda tx: self._pending(tx, scope, pending))
        number = _factor(account, factor_id, "phone")["phone"]
        return await self._phone_codes.send(
            scope, number, phone.SECOND_FACTOR, account_key=account.key, client=client
        )

    async def finish_with_phone(
        self, scope: Scope, pending: str, *, session: str, code: str, client: Client = NO_CLIENT
    ) -> SignedIn:
        """Complete a sign-in with the code that an enrolled number got.

        Raises:
            AuthError: INVALID_CODE, INVALID_MFA_PENDING_CREDENTIAL, ...
        """
        await self._require(scope, "phone")
        if not pending:
            raise AuthError("MISSING_MFA_PENDING_CREDENTIAL")
        read = self._context.database.read
        _, account = await read(lambda tx: self._pending(tx, scope, pending))
        number = await self._phone_codes.check(
            scope, session, code, phone.SECOND_FACTOR, account_key=account.key
        )

        def unit(tx: Tx) -> tuple[Code, Account, Mapping[str, Any]]:
            found, current = self._pending(tx, scope, pending)
            factors = [f for f in current.second_factors if f.get("phone") == number]
            if not factors:
                raise AuthError("MFA_ENROLLMENT_NOT_FOUND")
            codes.spend(tx, found)
            return found, current, factors[0]

        return await self._complete(*await self._context.write(unit), "phone", client)

    async def finish_with_totp(
        self, scope: Scope, pending: str, *, factor_id: str, code: str, client: Client = NO_CLIENT
    ) -> SignedIn:
        """Complete a sign-in with the code that an enrolled app shows. No code works twice.

        Raises:
            AuthError: INVALID_CODE, INVALID_MFA_PENDING_CREDENTIAL, TOO_MANY_ATTEMPTS_TRY_LATER, ...
        """
        context = self._context
        await self._require(scope, "totp")
        if not pending:
            raise AuthError("MISSING_MFA_PENDING_CREDENTIAL")
        window = _window(await context.config(scope))

        def unit(tx: Tx) -> tuple[Code, Account, Mapping[str, Any]] | None:
            found, account = self._pending(tx, scope, pending)
            limit = [context.limits.account(scope, "totp", account.uid)]
            now_ms = context.now_ms()
            context.limits.check(tx, limit, now_ms)
            factor = _factor(account, factor_id, "secret")
            step = matching_step(
                self._unseal(factor["secret"]),
                code,
                context.clock(),
                after=factor["last_step"],
                window=window,
            )
            if step is None:
                codes.count_attempt(tx, found, _ATTEMPTS)
                context.limits.fail(tx, limit, now_ms)
                return None
            codes.spend(tx, found)
            context.limits.clear(tx, limit)
            used = {**factor, "last_step": step}
            factors = [used if f["id"] == factor["id"] else f for f in account.second_factors]
            return found, accounts.update(tx, account, second_factors=factors), used

        outcome = await context.write(unit)
        if outcome is None:
            raise AuthError("INVALID_CODE")
        return await self._complete(*outcome, "totp", client)

    # Inside

    async def _require(self, scope: Scope, kind: str) -> None:
        """Whether this kind of factor is offered here.

        Raises:
            AuthError: OPERATION_NOT_ALLOWED.
        """
        config = await self._context.config(scope)
        if config.get("mfa.state") == "DISABLED" or not _offered(config, kind):
            raise AuthError("OPERATION_NOT_ALLOWED", "This second factor is not enabled.")

    async def _enrolling(self, scope: Scope, id_token: str, kind: str) -> Caller:
        await self._require(scope, kind)
        if not id_token:
            raise AuthError("MISSING_ID_TOKEN")
        caller = await self._context.caller(scope, id_token)
        self._context.check_recent(caller)
        if sign_in_provider(caller.claims) in (ANONYMOUS, CUSTOM, PHONE):
            words = "MFA is not available for the given first factor."
            raise AuthError("UNSUPPORTED_FIRST_FACTOR", words)
        if not caller.account.email_verified:
            words = "Need to verify email first before enrolling second factors."
            raise AuthError("UNVERIFIED_EMAIL", words)
        if len(caller.account.second_factors) >= MAX_FACTORS:
            raise AuthError("SECOND_FACTOR_LIMIT_EXCEEDED")
        return caller

    def _add(self, tx: Tx, key: int, name: str, more: Mapping[str, Any]) -> tuple[Account, str]:
        account = _require(accounts.by_key(tx, key))
        factor = {
            "id": secrets.token_urlsafe(15),
            "display_name": validation.display_name(name),
            "enrolled_at": self._context.now_ms(),
            **more,
        }
        factors = [*account.second_factors, factor]
        return accounts.update(tx, account, second_factors=factors), str(factor["id"])

    async def _enrolled(
        self, added: tuple[Account, str] | None, caller: Caller, kind: str
    ) -> SignedIn:
        if added is None:
            raise AuthError("INVALID_CODE")
        account, factor_id = added
        claims = await self._context.session_claims(caller)
        claims["firebase"] = _second_factor_claims(kind, factor_id)
        return await self._context.renew(account, sign_in_provider(caller.claims), claims)

    def _pending(self, tx: Tx, scope: Scope, pending: str) -> tuple[Code, Account]:
        code = "INVALID_MFA_PENDING_CREDENTIAL"
        now_ms = self._context.now_ms()
        purposes = [PENDING_SECOND_FACTOR]
        found = codes.find(tx, scope, pending, purposes, now_ms, invalid=code, expired=code)
        account = None
        if found.account_key is not None:
            account = accounts.by_key(tx, found.account_key)
        return found, _require(account)

    async def _complete(
        self,
        pending: Code,
        account: Account,
        factor: Mapping[str, Any],
        kind: str,
        client: Client,
    ) -> SignedIn:
        claims = dict(pending.payload["claims"])
        claims["firebase"] = _second_factor_claims(kind, factor["id"])
        return await self._context.issue(
            account,
            str(pending.payload["provider"]),
            client,
            session_claims=claims,
            method=str(pending.payload.get("method", "")),
        )

    def _seal(self, secret: bytes) -> str:
        return base64.b64encode(self._context.secrets.seal(secret, _PURPOSE)).decode()

    def _unseal(self, sealed: str) -> bytes:
        return self._context.secrets.open(base64.b64decode(sealed), _PURPOSE)


def reseal(tx: Tx, box: SecretBox) -> int:
    """Seal every TOTP secret with the first key; answers how many were not."""
    table = tables.accounts
    count = 0
    query = sa.select(table.c.key, table.c.second_factors).where(
        table.c.second_factors.is_not(None)
    )
    for key, text in tx.core.execute(query).all():
        factors = json.loads(text)
        stale = 0
        for factor in factors:
            sealed = base64.b64decode(factor.get("secret", ""))
            if sealed and not box.is_current(sealed):
                fresh = box.seal(box.open(sealed, _PURPOSE), _PURPOSE)
                factor["secret"] = base64.b64encode(fresh).decode()
                stale += 1
        if stale:
            changed = json.dumps(factors)
            tx.core.execute(
                sa.update(table).where(table.c.key == key).values(second_factors=changed)
            )
            count += stale
    return count


def _factor(account: Account, factor_id: str, kind: str) -> Mapping[str, Any]:
    """The factor of this id; without one, the only one of its kind."""
    found = [f for f in account.second_factors if kind in f]
    fitting = [f for f in found if f["id"] == factor_id] if factor_id else found
    if len(fitting) != 1:
        raise AuthError("MFA_ENROLLMENT_NOT_FOUND")
    return fitting[0]


def _second_factor_claims(kind: str, factor_id: str) -> dict[str, str]:
    return {"sign_in_second_factor": kind, "second_factor_identifier": factor_id}


def _offered(config: ProjectConfig, kind: str) -> bool:
    if kind == "phone":
        return "PHONE_SMS" in (config.get("mfa.enabledProviders") or [])
    return any(
        entry.get("state") == "ENABLED" and "totpProviderConfig" in entry
        for entry in config.get("mfa.providerConfigs") or []
    )


def _window(config: ProjectConfig) -> int:
    """How many time steps around now are taken."""
    for entry in config.get("mfa.providerConfigs") or []:
        found = (entry.get("totpProviderConfig") or {}).get("adjacentIntervals")
        if type(found) is int:
            return min(max(found, 0), 10)
    return 1


def _require(account: Account | None) -> Account:
    if account is None:
        raise AuthError("USER_NOT_FOUND")
    return account
