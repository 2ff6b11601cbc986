"""Identity Toolkit over REST: phone numbers, and second factors (v2)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from starlette.routing import Route

from baas.api.identity_call import TOOLKIT_PREFIXES, Handler, call_endpoint, while_enabled
from baas.api.identity_render import tokens_json
from baas.api.identity_request import Call
from baas.auth.context import SignedIn
from baas.auth.errors import AuthError
from baas.auth.phone import SIGN_IN, NumberTaken
from baas.auth.second_factor import DIGITS, PERIOD_S
from baas.auth.service import AuthService


def routes(service: AuthService) -> list[Route]:
    """Every route of this surface."""
    api = FactorsApi(service)
    methods: dict[str, Handler] = {
        "/v1/accounts:sendVerificationCode": api.send_code,
        "/v1/accounts:signInWithPhoneNumber": api.sign_in_with_phone,
        "/v2/accounts/mfaEnrollment:start": api.start_enrolment,
        "/v2/accounts/mfaEnrollment:finalize": api.finish_enrolment,
        "/v2/accounts/mfaEnrollment:withdraw": api.withdraw,
        "/v2/accounts/mfaSignIn:start": api.start_sign_in,
        "/v2/accounts/mfaSignIn:finalize": api.finish_sign_in,
    }
    return [
        Route(
            prefix + path,
            call_endpoint(while_enabled(handler, service.configs.get), service.options),
            methods=["POST"],
        )
        for prefix in TOOLKIT_PREFIXES
        for path, handler in methods.items()
    ]


class FactorsApi:
    """The handlers."""

    def __init__(self, service: AuthService) -> None:
        self._service = service
        self._factors = service.second_factors

    async def send_code(self, call: Call) -> dict[str, Any]:
        """``accounts:sendVerificationCode``."""
        session = await self._service.phone_codes.send(
            call.scope, call.fields.text("phoneNumber"), SIGN_IN, client=call.client
        )
        return {"sessionInfo": session}

    async def sign_in_with_phone(self, call: Call) -> dict[str, Any]:
        """``accounts:signInWithPhoneNumber``; links, with an ID token."""
        fields = call.fields
        outcome = await self._service.phone.sign_in(
            call.scope,
            session=fields.text("sessionInfo"),
            code=fields.text("code"),
            proof=fields.text("temporaryProof"),
            number=fields.text("phoneNumber"),
            id_token=fields.text("idToken"),
            client=call.client,
        )
        if isinstance(outcome, NumberTaken):
            return {
                "phoneNumber": outcome.phone_number,
                "temporaryProof": outcome.proof,
                "temporaryProofExpiresIn": str(outcome.expires_in),
            }
        return {
            **tokens_json(outcome),
            "isNewUser": outcome.is_new,
            "phoneNumber": outcome.account.phone_number,
        }

    async def start_enrolment(self, call: Call) -> dict[str, Any]:
        """``mfaEnrollment:start``."""
        id_token = call.fields.text("idToken")
        if "totpEnrollmentInfo" not in call.fields:
            given = call.fields.child("phoneEnrollmentInfo")
            number = given.text("phoneNumber") if "phoneEnrollmentInfo" in call.fields else None
            session = await self._factors.start_phone(
                call.scope, id_token, number, client=call.client
            )
            return {"phoneSessionInfo": {"sessionInfo": session}}
        started = await self._factors.start_totp(call.scope, id_token)
        deadline = dt.datetime.fromtimestamp(started.deadline, dt.UTC)
        return {
            "totpSessionInfo": {
                "sharedSecretKey": started.secret,
                "verificationCodeLength": DIGITS,
                "hashingAlgorithm": "SHA1",
                "periodSec": PERIOD_S,
                "sessionInfo": started.session,
                "finalizeEnrollmentTime": deadline.isoformat().replace("+00:00", "Z"),
            }
        }

    async def finish_enrolment(self, call: Call) -> dict[str, Any]:
        """``mfaEnrollment:finalize``."""
        id_token = call.fields.text("idToken")
        name = call.fields.text("displayName")
        if "totpVerificationInfo" not in call.fields:
            given = call.fields.child("phoneVerificationInfo")
            signed_in = await self._factors.finish_phone(
                call.scope,
                id_token,
                session=given.text("sessionInfo"),
                code=given.text("code"),
                name=name,
            )
            return _tokens(signed_in)
        given = call.fields.child("totpVerificationInfo")
        signed_in = await self._factors.finish_totp(
            call.scope,
            id_token,
            session=given.text("sessionInfo"),
            code=given.text("verificationCode"),
            name=name,
        )
        return _tokens(signed_in) | {"totpAuthInfo": {}}

    async def withdraw(self, call: Call) -> dict[str, Any]:
        """``mfaEnrollment:withdraw``."""
        id_token = _required(call, "idToken", "MISSING_ID_TOKEN")
        factor_id = _required(call, "mfaEnrollmentId", "MISSING_MFA_ENROLLMENT_ID")
        return _tokens(await self._factors.withdraw(call.scope, id_token, factor_id))

    async def start_sign_in(self, call: Call) -> dict[str, Any]:
        """``mfaSignIn:start``: sends a code to an enrolled number."""
        session = await self._factors.start_sign_in(
            call.scope,
            call.fields.text("mfaPendingCredential"),
            call.fields.text("mfaEnrollmentId"),
            client=call.client,
        )
        return {"phoneResponseInfo": {"sessionInfo": session}}

    async def finish_sign_in(self, call: Call) -> dict[str, Any]:
        """``mfaSignIn:finalize``."""
        pending = call.fields.text("mfaPendingCredential")
        if "totpVerificationInfo" not in call.fields:
            given = call.fields.child("phoneVerificationInfo")
            signed_in = await self._factors.finish_with_phone(
                call.scope,
                pending,
                session=given.text("sessionInfo"),
                code=given.text("code"),
                client=call.client,
            )
        else:
            given = call.fields.child("totpVerificationInfo")
            signed_in = await self._factors.finish_with_totp(
                call.scope,
                pending,
                factor_id=call.fields.text("mfaEnrollmentId"),
                code=given.text("verificationCode"),
                client=call.client,
            )
        return _tokens(signed_in)


def _required(call: Call, name: str, code: str) -> str:
    value = call.fields.text(name)
    if not value:
        raise AuthError(code)
    return value


def _tokens(signed_in: SignedIn) -> dict[str, Any]:
    return {"idToken": signed_in.id_token, "refreshToken": signed_in.refresh_token}
