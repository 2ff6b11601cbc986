"""Second factors as data: what is enrolled, what is shown, and the error that asks for one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from homefire.auth._id_token import read_id_token
from homefire.errors import AuthError


@dataclass(frozen=True, slots=True)
class MultiFactorInfo:
    """A second factor of an account. ``factor_id`` is ``"totp"`` or ``"phone"``; of a phone number only the
    end is told before the sign-in is complete."""

    uid: str
    factor_id: str
    display_name: str | None
    enrollment_time: datetime | None
    phone_number: str | None = None


class MultiFactorError(AuthError):
    """``auth/multi-factor-auth-required``: the first factor was right; see ``get_multi_factor_resolver``."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__("auth/multi-factor-auth-required", "A second factor is needed.")
        self.operation_type = "signIn"
        self._answer = dict(answer)
        self._provider_id: str | None = None
        self._user: Any = None


@dataclass(frozen=True, slots=True)
class TotpSecret:
    """What an authenticator app makes its codes of; ``secret_key`` is in base 32."""

    secret_key: str = field(repr=False)
    hashing_algorithm: str
    code_length: int
    code_interval_seconds: int
    enrollment_completion_deadline: datetime
    _session: str = field(repr=False)
    _account: str = field(repr=False)
    _app: str = field(repr=False)

    def generate_qr_code_url(
        self, account_name: str | None = None, issuer: str | None = None
    ) -> str:
        """The ``otpauth:`` address to show as a QR code; by default of the user's address and the app."""
        account, by = quote(account_name or self._account), quote(issuer or self._app)
        return (
            f"otpauth://totp/{by}:{account}?secret={self.secret_key}&issuer={by}"
            f"&algorithm={self.hashing_algorithm}&digits={self.code_length}"
        )


@dataclass(frozen=True, slots=True)
class TotpMultiFactorAssertion:
    """A code of an authenticator app; made by ``TotpMultiFactorGenerator``."""

    factor_id: str
    _code: str = field(repr=False)
    _secret: TotpSecret | None = field(default=None, repr=False)
    _enrollment_id: str | None = None

    def enrolment(self) -> dict[str, Any]:
        """The fields that enrol; raises ``auth/argument-error``."""
        if self._secret is None:
            raise AuthError("auth/argument-error", "Use assertion_for_enrollment() to enroll.")
        return {
            "totpVerificationInfo": {
                "sessionInfo": self._secret._session,
                "verificationCode": self._code,
            }
        }

    def sign_in(self) -> dict[str, Any]:
        """The fields that complete a sign-in; raises ``auth/argument-error``."""
        if self._enrollment_id is None:
            raise AuthError("auth/argument-error", "Use assertion_for_sign_in() to sign in.")
        return {
            "mfaEnrollmentId": self._enrollment_id,
            "totpVerificationInfo": {"verificationCode": self._code},
        }


def infos_of(profile: Mapping[str, Any]) -> tuple[MultiFactorInfo, ...]:
    """The second factors that an account, or an answer that asks for one, lists."""
    return tuple(
        MultiFactorInfo(
            str(factor.get("mfaEnrollmentId", "")),
            "phone" if "phoneInfo" in factor else "totp",
            factor.get("displayName"),
            _time(factor.get("enrolledAt")),
            factor.get("phoneInfo"),
        )
        for factor in profile.get("mfaInfo") or ()
    )


def secret_of(answer: Mapping[str, Any], account: str, app: str) -> TotpSecret:
    """The secret that the server has made."""
    info = answer.get("totpSessionInfo")
    deadline = _time(info.get("finalizeEnrollmentTime")) if isinstance(info, Mapping) else None
    if not isinstance(info, Mapping) or deadline is None:
        raise AuthError("auth/internal-error", "The server's answer lacks the secret.")
    return TotpSecret(
        str(info["sharedSecretKey"]),
        str(info["hashingAlgorithm"]),
        int(info["verificationCodeLength"]),
        int(info["periodSec"]),
        deadline,
        str(info["sessionInfo"]),
        account,
        app,
    )


def with_life(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer of tokens whose life, which it does not tell, is that of the ID token."""
    token = read_id_token(str(answer.get("idToken", "")))
    life = token.expiration_time - token.issued_at_time
    return {**answer, "expiresIn": str(life.total_seconds())}


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
