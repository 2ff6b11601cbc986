"""Enrolling second factors, and signing in with them."""

from __future__ import annotations

from dataclasses import dataclass, field

from homefire.auth._factors import (
    MultiFactorError,
    MultiFactorInfo,
    TotpMultiFactorAssertion,
    TotpSecret,
    infos_of,
    secret_of,
    with_life,
)
from homefire.auth._id_token import read_id_token
from homefire.errors import AuthError
from homefire.sync.auth._auth import Auth, UserCredential
from homefire.sync.auth._user import User


@dataclass(frozen=True, slots=True)
class MultiFactorSession:
    """An enrolment, of ``_user``, or a sign-in that has begun."""

    _credential: str = field(repr=False)
    _user: User | None = None


class MultiFactorUser:
    """A user's second factors; had by :func:`multi_factor`."""

    def __init__(self, user: User) -> None:
        self._user = user

    @property
    def enrolled_factors(self) -> tuple[MultiFactorInfo, ...]:
        """The second factors, as of the profile that the user has."""
        return infos_of(self._user._profile)

    def get_session(self) -> MultiFactorSession:
        """Begin to enrol."""
        return MultiFactorSession(self._user.get_id_token(), self._user)

    def enroll(
        self, assertion: TotpMultiFactorAssertion, display_name: str | None = None
    ) -> None:
        """Enrol a second factor, which signs out everywhere else.

        Raises ``auth/invalid-verification-code``, ``auth/unverified-email``,
        ``auth/maximum-second-factor-count-exceeded``, ``auth/unsupported-first-factor``, ...
        """
        body = {"idToken": self._user.get_id_token(), **assertion.enrolment()}
        if display_name is not None:
            body["displayName"] = display_name
        answer = self._user._guarded("mfaEnrollment:finalize", body)
        self._user._renewed(with_life(answer))

    def unenroll(self, info_or_uid: MultiFactorInfo | str) -> None:
        """Take a second factor away; raises ``auth/multi-factor-info-not-found``."""
        uid = info_or_uid if isinstance(info_or_uid, str) else info_or_uid.uid
        body = {"idToken": self._user.get_id_token(), "mfaEnrollmentId": uid}
        answer = self._user._guarded("mfaEnrollment:withdraw", body)
        self._user._renewed(with_life(answer))


class MultiFactorResolver:
    """A sign-in that waits for its second factor; had by :func:`get_multi_factor_resolver`."""

    def __init__(self, auth: Auth, error: MultiFactorError) -> None:
        self._auth = auth
        self._error = error
        self.hints = infos_of(error._answer)
        self.session = MultiFactorSession(str(error._answer["mfaPendingCredential"]))

    def resolve_sign_in(self, assertion: TotpMultiFactorAssertion) -> UserCredential:
        """Complete the sign-in with one of the ``hints``.

        Raises ``auth/invalid-verification-code``, ``auth/multi-factor-info-not-found``, ...
        """
        body = {"mfaPendingCredential": self.session._credential, **assertion.sign_in()}
        tokens = self._auth._api.accounts("mfaSignIn:finalize", body)
        waited = ("mfaInfo", "mfaPendingCredential")
        first = {
            key: value
            for key, value in self._error._answer.items()
            if key not in waited
        }
        answer = {**first, **with_life(tokens)}
        user, provider_id = self._error._user, self._error._provider_id
        if not isinstance(user, User):
            return self._auth._sign_in(answer, provider_id)
        if read_id_token(str(answer["idToken"])).claims.get("sub") != user.uid:
            raise AuthError(
                "auth/user-mismatch", "These credentials are another user's."
            )
        user._renewed(answer)
        return UserCredential(user, provider_id, "reauthenticate", answer)


class TotpMultiFactorGenerator:
    """Codes of authenticator apps."""

    FACTOR_ID = "totp"

    @staticmethod
    def generate_secret(session: MultiFactorSession) -> TotpSecret:
        """A new secret to enrol an authenticator app with; the session is ``MultiFactorUser``'s."""
        user = session._user
        if user is None:
            raise AuthError(
                "auth/argument-error", "A secret is for a session that enrolls."
            )
        body = {"idToken": session._credential, "totpEnrollmentInfo": {}}
        answer = user._guarded("mfaEnrollment:start", body)
        return secret_of(answer, user.email or "unknownuser", user._auth.app.name)

    @classmethod
    def assertion_for_enrollment(
        cls, secret: TotpSecret, one_time_password: str
    ) -> TotpMultiFactorAssertion:
        """A code that shows that the app has the secret."""
        return TotpMultiFactorAssertion(cls.FACTOR_ID, one_time_password, secret)

    @classmethod
    def assertion_for_sign_in(
        cls, enrollment_id: str, one_time_password: str
    ) -> TotpMultiFactorAssertion:
        """A code for the factor of a hint's ``uid``."""
        return TotpMultiFactorAssertion(
            cls.FACTOR_ID, one_time_password, _enrollment_id=enrollment_id
        )


def multi_factor(user: User) -> MultiFactorUser:
    """The second factors of a user."""
    return MultiFactorUser(user)


def get_multi_factor_resolver(auth: Auth, error: AuthError) -> MultiFactorResolver:
    """What completes a sign-in that has ended with ``auth/multi-factor-auth-required``."""
    if not isinstance(error, MultiFactorError):
        raise AuthError(
            "auth/argument-error", "This error does not ask for a second factor."
        )
    return MultiFactorResolver(auth, error)
