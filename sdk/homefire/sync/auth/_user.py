"""A signed-in user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from homefire._runtime_sync import Lock
from homefire.auth._id_token import IdTokenResult, read_id_token
from homefire.errors import AuthError
from homefire.sync.auth._api import Tokens

if TYPE_CHECKING:
    from homefire.sync.auth._auth import Auth

# Tokens are refreshed this long before their end, in seconds, so that a request under way outlives none.
REFRESH_LEAD = 300.0

# Refusals after which a user can only sign in anew.
_FINAL = ("auth/user-disabled", "auth/user-token-expired")


@dataclass(frozen=True, slots=True)
class UserInfo:
    """A user as one sign-in provider knows them."""

    provider_id: str
    uid: str
    display_name: str | None
    email: str | None
    phone_number: str | None
    photo_url: str | None


@dataclass(frozen=True, slots=True)
class UserMetadata:
    """When an account was made and last signed in; aware, in UTC."""

    creation_time: datetime | None
    last_sign_in_time: datetime | None


class User:
    """A user who has signed in. The profile is as of the last sign-in, ``reload()`` or update."""

    provider_id = "firebase"

    def __init__(self, auth: Auth, tokens: Tokens, profile: Mapping[str, Any]) -> None:
        self._auth = auth
        self._tokens = tokens
        self._lock = Lock()
        self._profile: dict[str, Any] = dict(profile)

    def __repr__(self) -> str:
        return f"User(uid={self.uid!r}, email={self.email!r})"

    @property
    def uid(self) -> str:
        """The account's id, for ever."""
        return str(self._profile["localId"])

    @property
    def email(self) -> str | None:
        """The email address."""
        return self._text("email")

    @property
    def email_verified(self) -> bool:
        """Whether the address is known to be the user's."""
        return bool(self._profile.get("emailVerified", False))

    @property
    def display_name(self) -> str | None:
        """The name to show."""
        return self._text("displayName")

    @property
    def photo_url(self) -> str | None:
        """The picture to show."""
        return self._text("photoUrl")

    @property
    def phone_number(self) -> str | None:
        """The phone number in E.164 form."""
        return self._text("phoneNumber")

    @property
    def is_anonymous(self) -> bool:
        """Whether the account has no way of signing in again."""
        return not self._profile.get("providerUserInfo") and self.email is None

    @property
    def provider_data(self) -> list[UserInfo]:
        """The user as each linked provider knows them."""
        return [
            _user_info(info) for info in self._profile.get("providerUserInfo") or []
        ]

    @property
    def metadata(self) -> UserMetadata:
        """When the account was made and last signed in."""
        return UserMetadata(
            _from_millis(self._profile.get("createdAt")),
            _from_millis(self._profile.get("lastLoginAt")),
        )

    @property
    def refresh_token(self) -> str:
        """The secret by which new ID tokens are had."""
        return self._tokens.refresh_token

    def get_id_token(self, force_refresh: bool = False) -> str:
        """An ID token with minutes to live yet; asks for a new one where needed or forced."""
        before = self._tokens
        if not force_refresh and self._fresh(before):
            return before.id_token
        self._refresh(before)
        return self._tokens.id_token

    def get_id_token_result(self, force_refresh: bool = False) -> IdTokenResult:
        """The ID token and its claims, custom ones included."""
        return read_id_token(self.get_id_token(force_refresh))

    def reload(self) -> None:
        """Fetch the profile anew."""
        token = self.get_id_token()
        answer = self._guarded("lookup", {"idToken": token})
        users = answer.get("users")
        if not isinstance(users, list) or not users:
            raise AuthError(
                "auth/internal-error", "The server does not know this user."
            )
        self._profile = dict(users[0])

    def delete(self) -> None:
        """Delete the account, and sign out if this is the current user."""
        token = self.get_id_token()
        self._guarded("delete", {"idToken": token})
        self._auth._drop_user(self)

    def _update(self, changes: Mapping[str, Any]) -> None:
        token = self.get_id_token()
        body = {"idToken": token, "returnSecureToken": True, **changes}
        self._renewed(self._guarded("update", body))

    def _renewed(self, answer: Mapping[str, Any]) -> None:
        """Take the tokens of an answer, if it has any, and the profile as it is now."""
        if answer.get("idToken") and answer.get("refreshToken"):
            self._tokens = self._auth._api.tokens_of(answer)
            self._auth._token_refreshed(self)
        self.reload()

    def _guarded(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._auth._api.accounts(method, body)
        except AuthError as error:
            if error.code in _FINAL:
                self._auth._drop_user(self)
            raise

    def _refresh(self, before: Tokens) -> None:
        try:
            with self._lock:
                # Whoever waited here while another refreshed takes what that one got.
                if self._tokens is not before and self._fresh(self._tokens):
                    return
                self._tokens = self._auth._api.refresh(self._tokens.refresh_token)
        except AuthError as error:
            if error.code in _FINAL:
                self._auth._drop_user(self)
            raise
        self._auth._token_refreshed(self)

    def _fresh(self, tokens: Tokens) -> bool:
        return self._auth._api.clock() < tokens.expires_at - REFRESH_LEAD

    def _text(self, key: str) -> str | None:
        value = self._profile.get(key)
        return value if isinstance(value, str) and value else None


def _user_info(info: Mapping[str, Any]) -> UserInfo:
    return UserInfo(
        provider_id=str(info.get("providerId", "")),
        uid=str(info.get("rawId", "")),
        display_name=info.get("displayName"),
        email=info.get("email"),
        phone_number=info.get("phoneNumber"),
        photo_url=info.get("photoUrl"),
    )


def _from_millis(value: object) -> datetime | None:
    """Identity Toolkit writes times as milliseconds in a string."""
    if not isinstance(value, str | int):
        return None
    try:
        return datetime.fromtimestamp(int(value) / 1000, UTC)
    except ValueError:
        return None
