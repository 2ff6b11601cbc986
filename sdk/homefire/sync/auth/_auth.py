"""The auth service: who is signed in, and who wants to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from homefire._runtime_sync import Background, Callback, invoke_logged
from homefire._transport.net import normal_host
from homefire.auth._credentials import (
    ActionCodeSettings,
    AdditionalUserInfo,
    additional_info_from_wire,
    settings_to_wire,
)
from homefire.auth._factors import MultiFactorError
from homefire.errors import AuthError
from homefire.sync.app import FirebaseApp, get_app
from homefire.sync.auth._api import AuthApi, Tokens
from homefire.sync.auth._user import User

Unsubscribe: TypeAlias = Callable[[], None]
UserCallback: TypeAlias = Callback[User | None]


@dataclass(frozen=True, slots=True)
class UserCredential:
    """What a sign-in gives. ``operation_type`` is ``"signIn"``, ``"link"`` or ``"reauthenticate"``."""

    user: User
    provider_id: str | None = None
    operation_type: str = "signIn"
    _answer: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def additional_user_info(self) -> AdditionalUserInfo:
        """What the server told beside the user."""
        return additional_info_from_wire(self._answer, self.provider_id)


class _Observer:
    def __init__(self, callback: UserCallback, every_token: bool) -> None:
        self.callback = callback
        self.every_token = every_token
        self.told = False


class Auth:
    """The auth service of an app; had by :func:`get_auth`."""

    def __init__(self, app: FirebaseApp) -> None:
        self.app = app
        self._api = AuthApi(app._transport, app._options.host, app._options.api_key)
        self._user: User | None = None
        self._observers: list[_Observer] = []
        self._background = Background()

    def __repr__(self) -> str:
        return f"Auth(app={self.app.name!r}, current_user={self._user!r})"

    @property
    def current_user(self) -> User | None:
        """Who is signed in."""
        return self._user

    def get_token(self, force_refresh: bool = False) -> str | None:
        """The current user's ID token, for the app's other services; ``None`` when signed out."""
        user = self._user
        return None if user is None else user.get_id_token(force_refresh)

    def _sign_in(
        self, answer: Mapping[str, Any], provider_id: str | None = None
    ) -> UserCredential:
        """Make the user of a sign-in's answer the current one."""
        try:
            tokens: Tokens = self._api.tokens_of(answer)
        except MultiFactorError as error:
            error._provider_id = provider_id
            raise
        found = self._api.accounts("lookup", {"idToken": tokens.id_token})
        users = found.get("users")
        if not isinstance(users, list) or not users:
            raise AuthError(
                "auth/internal-error", "The server does not know the user it signed in."
            )
        user = User(self, tokens, users[0])
        self._set_user(user)
        return UserCredential(user, provider_id, _answer=answer)

    def _set_user(self, user: User | None) -> None:
        before, self._user = self._user, user
        self.app._token_changed()
        other = (before.uid if before else None) != (user.uid if user else None)
        self._tell(user_changed=other)

    def _drop_user(self, user: User) -> None:
        if self._user is user:
            self._set_user(None)

    def _token_refreshed(self, user: User) -> None:
        if self._user is user:
            self.app._token_changed()
            self._tell(user_changed=False)

    def _observe(self, callback: UserCallback, *, every_token: bool) -> Unsubscribe:
        observer = _Observer(callback, every_token)
        self._observers.append(observer)
        # Without an event loop yet, the first call comes with the first sign-in or sign-out.
        if self._background.available():
            self._background.soon(lambda: self._tell_first(observer))

        def unsubscribe() -> None:
            if observer in self._observers:
                self._observers.remove(observer)

        return unsubscribe

    def _tell_first(self, observer: _Observer) -> None:
        if not observer.told and observer in self._observers:
            observer.told = True
            invoke_logged(observer.callback, self._user)

    def _tell(self, *, user_changed: bool) -> None:
        user = self._user
        for observer in list(self._observers):
            if observer in self._observers and (
                user_changed or observer.every_token or not observer.told
            ):
                observer.told = True
                invoke_logged(observer.callback, user)

    def _close(self) -> None:
        self._observers.clear()
        self._background.close()


def get_auth(app: FirebaseApp | None = None) -> Auth:
    """The auth service of an app, of the default one if none is given."""
    app = app or get_app()

    def make() -> Auth:
        auth = Auth(app)
        app._token_source = auth
        return auth

    return app._service("auth", "", make)


def connect_auth_emulator(auth: Auth, url: str) -> None:
    """Use another server for auth than the app's ``host``; call it before anything else."""
    try:
        auth._api.host = normal_host(url)
    except ValueError as error:
        raise AuthError("auth/invalid-emulator-scheme", str(error)) from error


def create_user_with_email_and_password(
    auth: Auth, email: str, password: str
) -> UserCredential:
    """Make an account and sign it in; raises ``auth/email-already-in-use``, ``auth/weak-password``, ..."""
    body = {"email": email, "password": password, "returnSecureToken": True}
    return auth._sign_in(auth._api.accounts("signUp", body))


def sign_in_with_email_and_password(
    auth: Auth, email: str, password: str
) -> UserCredential:
    """Sign in; raises ``auth/invalid-credential``, ``auth/user-disabled``, ``auth/too-many-requests``, ..."""
    body = {"email": email, "password": password, "returnSecureToken": True}
    return auth._sign_in(auth._api.accounts("signInWithPassword", body))


def sign_in_anonymously(auth: Auth) -> UserCredential:
    """Sign in as nobody in particular; an anonymous user who is signed in already is kept."""
    current = auth.current_user
    if current is not None and current.is_anonymous:
        return UserCredential(current)
    return auth._sign_in(auth._api.accounts("signUp", {"returnSecureToken": True}))


def sign_in_with_custom_token(auth: Auth, custom_token: str) -> UserCredential:
    """Sign in by a token that the app's own server has made; raises ``auth/invalid-custom-token``, ..."""
    body = {"token": custom_token, "returnSecureToken": True}
    return auth._sign_in(auth._api.accounts("signInWithCustomToken", body))


def sign_out(auth: Auth) -> None:
    """Sign the current user out."""
    auth._set_user(None)


def on_auth_state_changed(auth: Auth, callback: UserCallback) -> Unsubscribe:
    """Call back with the user (or ``None``) now and whenever somebody signs in or out.

    Returns the function that ends it. What a callback raises is logged.
    """
    return auth._observe(callback, every_token=False)


def on_id_token_changed(auth: Auth, callback: UserCallback) -> Unsubscribe:
    """As :func:`on_auth_state_changed`, and also whenever the user's token is renewed."""
    return auth._observe(callback, every_token=True)


def send_password_reset_email(
    auth: Auth, email: str, action_code_settings: ActionCodeSettings | None = None
) -> None:
    """Have a mail sent with a code to set a new password."""
    body = {"requestType": "PASSWORD_RESET", "email": email}
    auth._api.accounts(
        "sendOobCode", {**body, **settings_to_wire(action_code_settings)}
    )


def confirm_password_reset(auth: Auth, oob_code: str, new_password: str) -> None:
    """Set a new password by the code of a mail."""
    auth._api.accounts(
        "resetPassword", {"oobCode": oob_code, "newPassword": new_password}
    )


def verify_password_reset_code(auth: Auth, oob_code: str) -> str:
    """The email address that a code for a new password was sent to; the code stays good."""
    answer = auth._api.accounts("resetPassword", {"oobCode": oob_code})
    return str(answer.get("email", ""))


def apply_action_code(auth: Auth, oob_code: str) -> None:
    """Do what the code of a mail is for, such as verifying an address."""
    auth._api.accounts("update", {"oobCode": oob_code})


def send_email_verification(
    user: User, action_code_settings: ActionCodeSettings | None = None
) -> None:
    """Have a mail sent with a code that shows that the address is the user's."""
    body = {"requestType": "VERIFY_EMAIL", "idToken": user.get_id_token()}
    user._guarded("sendOobCode", {**body, **settings_to_wire(action_code_settings)})


def update_profile(
    user: User, *, display_name: str | None = None, photo_url: str | None = None
) -> None:
    """Change the name or the picture; what is not given stays, an empty string removes."""
    changes: dict[str, Any] = {}
    removed: list[str] = []
    for key, removal, value in (
        ("displayName", "DISPLAY_NAME", display_name),
        ("photoUrl", "PHOTO_URL", photo_url),
    ):
        if value == "":
            removed.append(removal)
        elif value is not None:
            changes[key] = value
    if removed:
        changes["deleteAttribute"] = removed
    if changes:
        user._update(changes)


def update_password(user: User, new_password: str) -> None:
    """Set a new password; raises ``auth/weak-password``, ``auth/requires-recent-login``, ..."""
    user._update({"password": new_password})


def update_email(user: User, new_email: str) -> None:
    """Change the email address; raises ``auth/email-already-in-use``, ``auth/requires-recent-login``, ..."""
    user._update({"email": new_email})


def reload(user: User) -> None:
    """Fetch the user's profile anew."""
    user.reload()


def delete_user(user: User) -> None:
    """Delete the account; raises ``auth/requires-recent-login``."""
    user.delete()


def get_id_token(user: User, force_refresh: bool = False) -> str:
    """The user's ID token, fresh."""
    return user.get_id_token(force_refresh)
