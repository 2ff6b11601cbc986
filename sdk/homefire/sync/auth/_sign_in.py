"""Signing in with what a provider gave, with mailed links and sent codes; several ways for one account."""

from __future__ import annotations

from dataclasses import dataclass

from homefire.auth._credentials import (
    ActionCodeInfo,
    ActionCodeSettings,
    AdditionalUserInfo,
    AuthCredential,
    EmailAuthProvider,
    PhoneAuthCredential,
    PhoneAuthProvider,
    info_from_wire,
    parse_action_code_url,
    settings_to_wire,
)
from homefire.auth._factors import MultiFactorError
from homefire.auth._id_token import IdTokenResult, read_id_token
from homefire.errors import AuthError
from homefire.sync.auth._auth import Auth, UserCredential
from homefire.sync.auth._user import User


@dataclass(frozen=True, slots=True)
class ConfirmationResult:
    """A code is on its way to a phone."""

    verification_id: str
    _auth: Auth
    _user: User | None = None

    def confirm(self, verification_code: str) -> UserCredential:
        """Sign in with the code, or link the phone to the account that asked for it.

        Raises ``auth/invalid-verification-code``, ``auth/code-expired``, ...
        """
        credential = PhoneAuthProvider.credential(
            self.verification_id, verification_code
        )
        if self._user is not None:
            return link_with_credential(self._user, credential)
        return sign_in_with_credential(self._auth, credential)


def sign_in_with_credential(auth: Auth, credential: AuthCredential) -> UserCredential:
    """Sign in; raises ``auth/account-exists-with-different-credential``, ``auth/invalid-credential``, ..."""
    answer = auth._api.accounts(*credential.sign_in_call())
    return auth._sign_in(answer, credential.provider_id)


def link_with_credential(user: User, credential: AuthCredential) -> UserCredential:
    """Give an account another way of signing in; an anonymous one becomes permanent.

    Raises ``auth/provider-already-linked``, ``auth/credential-already-in-use``,
    ``auth/email-already-in-use``, ...
    """
    user.reload()
    if _is_linked(user, credential.provider_id):
        raise AuthError(
            "auth/provider-already-linked",
            f"The account has {credential.provider_id} as a way of signing in already.",
        )
    method, body = credential.link_call(user.get_id_token())
    answer = user._guarded(method, body)
    user._renewed(answer)
    return UserCredential(user, credential.provider_id, "link", answer)


def reauthenticate_with_credential(
    user: User, credential: AuthCredential
) -> UserCredential:
    """Sign the same user in again, for what needs a recent sign-in; raises ``auth/user-mismatch``, ..."""
    answer = user._auth._api.accounts(*credential.sign_in_call(create=False))
    try:
        tokens = user._auth._api.tokens_of(answer)
    except MultiFactorError as error:
        error.operation_type, error._user = "reauthenticate", user
        error._provider_id = credential.provider_id
        raise
    if read_id_token(tokens.id_token).claims.get("sub") != user.uid:
        raise AuthError("auth/user-mismatch", "These credentials are another user's.")
    user._renewed(answer)
    return UserCredential(user, credential.provider_id, "reauthenticate", answer)


def unlink(user: User, provider_id: str) -> User:
    """Take a way of signing in from an account; raises ``auth/no-such-provider``."""
    user.reload()
    if not _is_linked(user, provider_id):
        raise AuthError(
            "auth/no-such-provider", f"The account has no {provider_id} to sign in."
        )
    user._update({"deleteProvider": [provider_id]})
    return user


def fetch_sign_in_methods_for_email(auth: Auth, email: str) -> list[str]:
    """The ways of signing in of an address; empty where the project hides which addresses it knows."""
    body = {"identifier": email, "continueUri": "http://localhost"}
    answer = auth._api.accounts("createAuthUri", body)
    return list(answer.get("signinMethods") or [])


def send_sign_in_link_to_email(
    auth: Auth, email: str, action_code_settings: ActionCodeSettings
) -> None:
    """Have a link mailed that signs in; ``handle_code_in_app`` must be true."""
    if not action_code_settings.get("handle_code_in_app"):
        raise AuthError("auth/argument-error", "handle_code_in_app must be true.")
    body = {"requestType": "EMAIL_SIGNIN", "email": email}
    auth._api.accounts(
        "sendOobCode", {**body, **settings_to_wire(action_code_settings)}
    )


def is_sign_in_with_email_link(auth: Auth, email_link: str) -> bool:
    """Whether this is a link that signs in."""
    link = parse_action_code_url(email_link)
    return link is not None and link.operation == "EMAIL_SIGNIN"


def sign_in_with_email_link(auth: Auth, email: str, email_link: str) -> UserCredential:
    """Sign in with a mailed link; raises ``auth/invalid-action-code``, ``auth/invalid-email``, ..."""
    credential = EmailAuthProvider.credential_with_link(email, email_link)
    return sign_in_with_credential(auth, credential)


def sign_in_with_phone_number(auth: Auth, phone_number: str) -> ConfirmationResult:
    """Have a code sent to a phone; raises ``auth/invalid-phone-number``, ``auth/too-many-requests``, ..."""
    return ConfirmationResult(_send_to_phone(auth, phone_number), auth)


def link_with_phone_number(user: User, phone_number: str) -> ConfirmationResult:
    """Have a code sent to a phone that becomes a way of signing in to an account."""
    return ConfirmationResult(
        _send_to_phone(user._auth, phone_number), user._auth, user
    )


def update_phone_number(user: User, credential: PhoneAuthCredential) -> None:
    """Change the phone number of an account to the one that a code was sent to."""
    method, body = credential.link_call(user.get_id_token())
    user._renewed(user._guarded(method, body))


def check_action_code(auth: Auth, oob_code: str) -> ActionCodeInfo:
    """What the code of a mail is for; it stays good. Raises ``auth/invalid-action-code``, ..."""
    return info_from_wire(auth._api.accounts("resetPassword", {"oobCode": oob_code}))


def verify_before_update_email(
    user: User, new_email: str, action_code_settings: ActionCodeSettings | None = None
) -> None:
    """Have a mail sent to a new address; it becomes the user's by the code in it."""
    body = {
        "requestType": "VERIFY_AND_CHANGE_EMAIL",
        "idToken": user.get_id_token(),
        "newEmail": new_email,
    }
    user._guarded("sendOobCode", {**body, **settings_to_wire(action_code_settings)})


def get_id_token_result(user: User, force_refresh: bool = False) -> IdTokenResult:
    """The user's ID token and its claims."""
    return user.get_id_token_result(force_refresh)


def update_current_user(auth: Auth, user: User | None) -> None:
    """Make a user who signed in, maybe by another :class:`Auth`, the current one of this."""
    if user is not None and user._auth is not auth:
        user = User(auth, user._tokens, user._profile)
    auth._set_user(user)


def get_additional_user_info(credential: UserCredential) -> AdditionalUserInfo:
    """What a sign-in told beside the user."""
    return credential.additional_user_info


def _send_to_phone(auth: Auth, phone_number: str) -> str:
    answer = auth._api.accounts("sendVerificationCode", {"phoneNumber": phone_number})
    return str(answer.get("sessionInfo", ""))


def _is_linked(user: User, provider_id: str) -> bool:
    return any(info.provider_id == provider_id for info in user.provider_data)
