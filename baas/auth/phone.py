"""Phone numbers: sending codes, checking them, signing in and linking by them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from baas.auth import accounts, codes, validation
from baas.auth.accounts import PHONE, Account
from baas.auth.context import AuthContext, SignedIn
from baas.auth.errors import AuthError
from baas.auth.hooks import NO_CLIENT, Client
from baas.auth.messages import sms_message
from baas.auth.options import Scope
from baas.db.unit import Tx

SIGN_IN, ENROL, SECOND_FACTOR = "PHONE_SIGN_IN", "PHONE_ENROL", "PHONE_SECOND_FACTOR"
"""What a code by short message is for; it is good for nothing else."""
_PROOF = "PHONE_PROOF"
_DIGITS = 6
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class NumberTaken:
    """A number was proven that belongs to another account; ``proof`` signs in to that one instead."""

    phone_number: str
    proof: str
    expires_in: int


class PhoneCodes:
    """Makes and checks codes. Only a hash over session and code is kept: neither tells the other."""

    def __init__(self, context: AuthContext) -> None:
        self._context = context

    async def send(
        self,
        scope: Scope,
        number: str,
        purpose: str,
        *,
        account_key: int | None = None,
        client: Client = NO_CLIENT,
    ) -> str:
        """Send a code; answers the session that it completes.

        Raises:
            AuthError: INVALID_PHONE_NUMBER, OPERATION_NOT_ALLOWED, TOO_MANY_ATTEMPTS_TRY_LATER.
            Unavailable: it could not be sent.
        """
        context = self._context
        if purpose == SIGN_IN:
            _refuse_tenants(scope)
        if not number:
            raise AuthError("MISSING_PHONE_NUMBER")
        number = validation.phone_number(number)
        config = await context.config(scope)
        if purpose == SIGN_IN:
            config.require("signIn.phoneNumber.enabled")
            await context.database.read(
                lambda tx: _check_first_factor(accounts.by_phone(tx, scope, number))
            )
        test_code = (config.get("signIn.phoneNumber.testPhoneNumbers") or {}).get(number)
        code = test_code or f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}}"

        def unit(tx: Tx) -> str:
            limits, options = context.limits, context.options.limits
            now_ms = context.now_ms()
            if test_code is None:
                limits.spend(tx, "sms", f"{scope.project} {number}", options.mails_per_hour, now_ms)
                if client.address:
                    per_hour = options.sign_ups_per_hour
                    limits.spend(tx, "sms-address", client.address, per_hour, now_ms)
            session = codes.create(
                tx,
                scope,
                purpose,
                {"phone": number},
                account_key=account_key,
                now_ms=now_ms,
                lifetime_s=context.options.sms_code_lifetime_s,
            )
            codes.amend(tx, session, {"phone": number, "hash": _hash(session, code)})
            return session

        session = await context.write(unit)
        if test_code is None:
            await context.sms.send(sms_message(scope, number, code, session))
        return session

    async def check(
        self, scope: Scope, session: str, code: str, purpose: str, *, account_key: int | None = None
    ) -> str:
        """The number that the code proves. Five wrong guesses use the session up, a right one too.

        Raises:
            AuthError: INVALID_SESSION_INFO, SESSION_EXPIRED, INVALID_CODE, MISSING_CODE.
        """
        if not session:
            raise AuthError("MISSING_SESSION_INFO")
        if not code:
            raise AuthError("MISSING_CODE")

        def unit(tx: Tx) -> str | None:
            found = codes.find(
                tx,
                scope,
                session,
                [purpose],
                self._context.now_ms(),
                invalid="INVALID_SESSION_INFO",
                expired="SESSION_EXPIRED",
            )
            if found.account_key != account_key:
                raise AuthError("INVALID_SESSION_INFO")
            if hmac.compare_digest(_hash(session, code), found.payload["hash"]):
                codes.spend(tx, found)
                return str(found.payload["phone"])
            codes.count_attempt(tx, found, _ATTEMPTS)
            return None  # no error: the count must last

        number = await self._context.write(unit)
        if number is None:
            raise AuthError("INVALID_CODE")
        return number


class PhoneSignIn:
    """Signing in and linking."""

    def __init__(self, context: AuthContext, phone_codes: PhoneCodes) -> None:
        self._context = context
        self._codes = phone_codes

    async def sign_in(
        self,
        scope: Scope,
        *,
        session: str = "",
        code: str = "",
        proof: str = "",
        number: str = "",
        id_token: str = "",
        client: Client = NO_CLIENT,
    ) -> SignedIn | NumberTaken:
        """Sign in with a code (or with the proof of an earlier one), or link to the account of an ID token.

        Raises:
            AuthError: as :meth:`PhoneCodes.check`; INVALID_TEMPORARY_PROOF, USER_DISABLED, ...
        """
        _refuse_tenants(scope)
        caller = await self._context.caller(scope, id_token) if id_token else None
        if proof:
            proven = await self._spend_proof(scope, proof, number)
        else:
            proven = await self._codes.check(scope, session, code, SIGN_IN)
        holder = await self._context.database.read(lambda tx: accounts.by_phone(tx, scope, proven))
        if caller is not None:
            if holder is not None and holder.key != caller.account.key:
                if proof:
                    raise AuthError("PHONE_NUMBER_EXISTS")
                return await self._taken(scope, proven)
            _check_first_factor(caller.account)
            linked = await self._context.write(
                lambda tx: accounts.update(tx, caller.account, phone_number=proven)
            )
            claims = await self._context.session_claims(caller)
            return await self._context.issue(linked, PHONE, client, session_claims=claims)
        if holder is not None:
            _check_first_factor(holder)
            return await self._context.issue(holder, PHONE, client)
        created = await self._context.create(scope, {"phone_number": proven}, PHONE, client)
        return await self._context.issue(created, PHONE, client, is_new=True)

    async def _taken(self, scope: Scope, number: str) -> NumberTaken:
        lifetime = self._context.options.sms_code_lifetime_s

        def unit(tx: Tx) -> str:
            return codes.create(
                tx,
                scope,
                _PROOF,
                {"phone": number},
                account_key=None,
                now_ms=self._context.now_ms(),
                lifetime_s=lifetime,
            )

        return NumberTaken(number, await self._context.write(unit), lifetime)

    async def _spend_proof(self, scope: Scope, proof: str, number: str) -> str:
        def unit(tx: Tx) -> str:
            found = codes.find(
                tx,
                scope,
                proof,
                [_PROOF],
                self._context.now_ms(),
                invalid="INVALID_TEMPORARY_PROOF",
                expired="INVALID_TEMPORARY_PROOF",
            )
            if found.payload["phone"] != number:
                raise AuthError("INVALID_TEMPORARY_PROOF")
            codes.spend(tx, found)
            return number

        return await self._context.write(unit)


def _refuse_tenants(scope: Scope) -> None:
    if scope.tenant:  # Identity Platform's tenants have no sign-in by phone
        raise AuthError("UNSUPPORTED_TENANT_OPERATION")


def _check_first_factor(account: Account | None) -> None:
    """Firebase takes no second factor after a phone sign-in: it is refused instead."""
    if account is not None and account.second_factors:
        raise AuthError(
            "UNSUPPORTED_FIRST_FACTOR",
            "A phone number cannot be set as a first factor on an SMS based MFA user.",
        )


def _hash(session: str, code: str) -> str:
    return hashlib.sha256(f"{session} {code}".encode()).hexdigest()
