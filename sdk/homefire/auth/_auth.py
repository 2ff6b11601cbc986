"""The auth service: who is signed in, and who wants to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from homefire._runtime import Background, Callback, invoke_logged
from homefire._transport.net import normal_host
from homefire.app import FirebaseApp, get_app
from homefire.auth._api import AuthApi, Tokens
from homefire.auth._credentials import (
    ActionCodeSettings,
    AdditionalUserInfo,
    additional_info_from_wire,
    settings_to_wire,
)
from homefire.auth._factors import MultiFactorError
from homefire.auth._user import User
from homefire.errors import AuthError

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

    async def get_token(self, force_refresh: bool = False) -> str | None:
        """The current user's ID token, for the app's other services; ``None`` when signed out."""
        user = self._user
        return None if user is None else await user.get_id_token(force_refresh)

    async def _sign_in(
        self, answer: Mapping[str, Any], provider_id: str | None = None
    ) -> UserCredential:
        """Make the user of a sign-in's answer the current one."""
        try:
            tokens: Tokens = self._api.tokens_of(answer)
        except MultiFactorError as error:
            error._provider_id = provider_id
            raise
        found = await self._api.accounts("lookup", {"idToken": tokens.id_token})
        users = found.get("users")
        if not isinstance(users, list) or not users:
            raise AuthError(
                "auth/internal-error", "The server does not know the user it signed in."
            )
        user = User(self, tokens, users[0])
        await self._set_user(user)
        return UserCredential(user, provider_id, _answer=answer)

    async def _set_user(self, user: User | None) -> None:
        before, self._user = self._user, user
        self.app._token_changed()
        other = (before.uid if before else None) != (user.uid if user else None)
        await self._tell(user_changed=other)

    async def _drop_user(self, user: User) -> None:
        if self._user is user:
            await self._set_user(None)

    async def _token_refreshed(self, user: User) -> None:
        if self._user is user:
            self.app._token_changed()
            await self._tell(user_changed=False)

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

    async def _tell_first(self, observer: _Observer) -> None:
        if not observer.told and observer in self._observers:
            observer.told = True
            await invoke_logged(observer.callback, self._user)

    async def _tell(self, *, user_changed: bool) -> None:
        user = self._user
        for observer in list(self._observers):
            if observer in self._observers and (
                user_changed or observer.every_token or not observer.told
            ):
                observer.told = True
                await invoke_logged(observer.callback, user)

    async def _close(self) -> None:
        self._observers.clear()
        await self._background.close()


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


async def create_user_with_email_and_password(
    auth: Auth, email: str, password: str
) -> UserCredential:
    """Make an account and sign it in; raises ``auth/email-already-in-use``, ``auth/weak-password``, ..."""
    body = {"email": email, "password": password, "returnSecureToken": True}
    return await auth._sign_in(await auth._api.accounts("signUp", body))


async def sign_in_with_email_and_password(auth: Auth, email: str, password: str) -> UserCredential:
    """Sign in; raises ``auth/invalid-credential``, ``auth/user-disabled``, ``auth/too-many-requests``, ..."""
    body = {"email": email, "password": password, "returnSecureToken": True}
    return await auth._sign_in(await auth._api.accounts("signInWithPassword", body))


async def sign_in_anonymously(auth: Auth) -> UserCredential:
    """Sign in as nobody in particular; an anonymous user who is signed in already is kept."""
    current = auth.current_user
    if current is not None and current.is_anonymous:
        return UserCredential(current)
    return await auth._sign_in(await auth._api.accounts("signUp", {"returnSecureToken": True}))


async def sign_in_with_custom_token(auth: Auth, custom_token: str) -> UserCredential:
    """Sign in by a token that the app's own server has made; raises ``auth/invalid-custom-token``, ..."""
    body = {"token": custom_token, "returnSecureToken": True}
    return await auth._sign_in(await auth._api.accounts("signInWithCustomToken", body))


async def sign_out(auth: Auth) -> None:
    """Sign the current user out."""
    await auth._set_user(None)


def on_auth_state_changed(auth: Auth, callback: UserCallback) -> Unsubscribe:
    """Call back with the user (or ``None``) now and whenever somebody signs in or out.

    Returns the function that ends it. What a callback raises is logged.
    """
    return auth._observe(callback, every_token=False)


def on_id_token_changed(auth: Auth, callback: UserCallback) -> Unsubscribe:
    """As :func:`on_auth_state_changed`, and also whenever the user's token is renewed."""
    return auth._observe(callback, every_token=True)


async def send_password_reset_email(
    auth: Auth, email: str, action_code_settings: ActionCodeSettings | None = None
) -> None:
    """Have a mail sent with a code to set a new password."""
    body = {"requestType": "PASSWORD_RESET", "email": email}
    await auth._api.accounts("sendOobCode", {**body, **settings_to_wire(action_code_settings)})


async def confirm_password_reset(auth: Auth, oob_code: str, new_password: str) -> None:
    """Set a new password by the code of a mail."""
    await auth._api.accounts("resetPassword", {"oobCode": oob_code, "newPassword": new_password})


async def verify_password_reset_code(auth: Auth, oob_code: str) -> str:
    """The email address that a code for a new password was sent to; the code stays good."""
    answer = await auth._api.accounts("resetPassword", {"oobCode": oob_code})
    return str(answer.get("email", ""))


async def apply_action_code(auth: Auth, oob_code: str) -> None:
    """Do what the code of a mail is for, such as verifying an address."""
    await auth._api.accounts("update", {"oobCode": oob_code})


async def send_email_verification(
    user: User, action_code_settings: ActionCodeSettings | None = None
) -> None:
    """Have a mail sent with a code that shows that the address is the user's."""
    body = {"requestType": "VERIFY_EMAIL", "idToken": await user.get_id_token()}
    await user._guarded("sendOobCode", {**body, **settings_to_wire(action_code_settings)})


async def update_profile(
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
        await user._update(changes)


async def update_password(user: User, new_password: str) -> None:
    """Set a new password; raises ``auth/weak-password``, ``auth/requires-recent-login``, ..."""
    await user._update({"password": new_password})


async def update_email(user: User, new_email: str) -> None:
    """Change the email address; raises ``auth/email-already-in-use``, ``auth/requires-recent-login``, ..."""
    await user._update({"email": new_email})


async def reload(user: User) -> None:
    """Fetch the user's profile anew."""
    await user.reload()


async def delete_user(user: User) -> None:
    """Delete the account; raises ``auth/requires-recent-login``."""
    await user.delete()


async def get_id_token(user: User, force_refresh: bool = False) -> str:
    """The user's ID token, fresh."""
    return await user.get_id_token(force_refresh)
