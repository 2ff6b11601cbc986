"""What somebody shows to sign in, and the links that mails carry. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypedDict
from urllib.parse import parse_qs, urlencode, urlsplit

from homefire.errors import AuthError

ApiCall: TypeAlias = tuple[str, dict[str, Any]]
"""A method of Identity Toolkit's ``accounts``, and its body."""

_OPERATIONS = {
    "recoverEmail": "RECOVER_EMAIL",
    "resetPassword": "PASSWORD_RESET",
    "signIn": "EMAIL_SIGNIN",
    "verifyAndChangeEmail": "VERIFY_AND_CHANGE_EMAIL",
    "verifyEmail": "VERIFY_EMAIL",
}


class ActionCodeSettings(TypedDict, total=False):
    """Where a mail's link leads in the end: ``url`` is the app's page; with ``handle_code_in_app`` the app
    redeems the code itself."""

    url: str
    handle_code_in_app: bool


@dataclass(frozen=True, slots=True)
class ActionCodeInfo:
    """What a mail's code is for. ``previous_email`` is that before a change of address."""

    operation: str
    email: str | None
    previous_email: str | None = None


@dataclass(frozen=True, slots=True)
class ActionCodeURL:
    """A mail's link, taken apart."""

    api_key: str
    code: str
    operation: str
    continue_url: str | None = None
    language_code: str | None = None
    tenant_id: str | None = None


@dataclass(frozen=True, slots=True)
class AdditionalUserInfo:
    """What a sign-in told beside the user: whether the account is new, and what the provider says."""

    is_new_user: bool
    provider_id: str | None
    profile: Mapping[str, Any] = field(default_factory=dict)
    username: str | None = None


@dataclass(frozen=True, slots=True)
class AuthCredential:
    """A proof of who somebody is; made by a provider's ``credential()``."""

    provider_id: str
    sign_in_method: str

    def sign_in_call(self, *, create: bool = True) -> ApiCall:
        """The call that signs in; without ``create`` only where there is an account."""
        raise NotImplementedError

    def link_call(self, id_token: str) -> ApiCall:
        """The call that adds this way of signing in to the account of a token."""
        method, body = self.sign_in_call()
        return method, {**body, "idToken": id_token}


@dataclass(frozen=True, slots=True)
class EmailAuthCredential(AuthCredential):
    """An email address, with its password or with the code of a link that was mailed to it."""

    email: str
    _secret: str = field(repr=False)

    def sign_in_call(self, *, create: bool = True) -> ApiCall:
        if self.sign_in_method == EmailAuthProvider.EMAIL_LINK_SIGN_IN_METHOD:
            return "signInWithEmailLink", {"email": self.email, "oobCode": self._secret}
        return "signInWithPassword", self._password()

    def link_call(self, id_token: str) -> ApiCall:
        if self.sign_in_method == EmailAuthProvider.EMAIL_LINK_SIGN_IN_METHOD:
            method, body = self.sign_in_call()
            return method, {**body, "idToken": id_token}
        return "signUp", {**self._password(), "idToken": id_token}

    def _password(self) -> dict[str, Any]:
        return {"email": self.email, "password": self._secret, "returnSecureToken": True}


class EmailAuthProvider:
    """Email addresses, with a password or a mailed link."""

    PROVIDER_ID = "password"
    EMAIL_PASSWORD_SIGN_IN_METHOD = "password"
    EMAIL_LINK_SIGN_IN_METHOD = "emailLink"

    @classmethod
    def credential(cls, email: str, password: str) -> EmailAuthCredential:
        """An address and its password."""
        return EmailAuthCredential(
            cls.PROVIDER_ID, cls.EMAIL_PASSWORD_SIGN_IN_METHOD, email, password
        )

    @classmethod
    def credential_with_link(cls, email: str, email_link: str) -> EmailAuthCredential:
        """An address and the link that was mailed to it; raises ``auth/argument-error``."""
        link = parse_action_code_url(email_link)
        if link is None or link.operation != "EMAIL_SIGNIN":
            raise AuthError("auth/argument-error", "This is no link to sign in.")
        return EmailAuthCredential(cls.PROVIDER_ID, cls.EMAIL_LINK_SIGN_IN_METHOD, email, link.code)


@dataclass(frozen=True, slots=True)
class OAuthCredential(AuthCredential):
    """What an identity provider has given out."""

    id_token: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    raw_nonce: str | None = field(default=None, repr=False)

    def sign_in_call(self, *, create: bool = True) -> ApiCall:
        shown = {
            "id_token": self.id_token,
            "access_token": self.access_token,
            "nonce": self.raw_nonce,
            "providerId": self.provider_id,
        }
        body: dict[str, Any] = {
            "requestUri": "http://localhost",
            "postBody": urlencode({key: value for key, value in shown.items() if value}),
            "returnSecureToken": True,
        }
        return "signInWithIdp", body if create else {**body, "autoCreate": False}


class OAuthProvider:
    """An identity provider by its id, such as ``google.com``, ``apple.com`` or ``oidc.NAME``."""

    def __init__(self, provider_id: str) -> None:
        self.provider_id = provider_id

    def credential(
        self,
        *,
        id_token: str | None = None,
        access_token: str | None = None,
        raw_nonce: str | None = None,
    ) -> OAuthCredential:
        """What the provider has given out; raises ``auth/argument-error`` without any token."""
        if not id_token and not access_token:
            raise AuthError("auth/argument-error", "An id_token or an access_token is needed.")
        method = self.provider_id
        return OAuthCredential(self.provider_id, method, id_token, access_token, raw_nonce)


class GoogleAuthProvider:
    """Google."""

    PROVIDER_ID = "google.com"

    @classmethod
    def credential(
        cls, id_token: str | None = None, access_token: str | None = None
    ) -> OAuthCredential:
        """What Google has given out."""
        return OAuthProvider(cls.PROVIDER_ID).credential(
            id_token=id_token, access_token=access_token
        )


class GithubAuthProvider:
    """GitHub."""

    PROVIDER_ID = "github.com"

    @classmethod
    def credential(cls, access_token: str) -> OAuthCredential:
        """What GitHub has given out."""
        return OAuthProvider(cls.PROVIDER_ID).credential(access_token=access_token)


@dataclass(frozen=True, slots=True)
class PhoneAuthCredential(AuthCredential):
    """A code that was sent to a phone."""

    verification_id: str = field(repr=False)
    verification_code: str = field(repr=False)

    def sign_in_call(self, *, create: bool = True) -> ApiCall:
        body = {"sessionInfo": self.verification_id, "code": self.verification_code}
        return "signInWithPhoneNumber", body if create else {**body, "operation": "REAUTH"}


class PhoneAuthProvider:
    """Phone numbers, with a code sent to them."""

    PROVIDER_ID = "phone"

    @classmethod
    def credential(cls, verification_id: str, verification_code: str) -> PhoneAuthCredential:
        """A code, and what it answers to."""
        return PhoneAuthCredential(
            cls.PROVIDER_ID, cls.PROVIDER_ID, verification_id, verification_code
        )


def parse_action_code_url(link: str) -> ActionCodeURL | None:
    """A mail's link taken apart, also where it is wrapped in another; ``None`` if it is none."""
    inner = {key: values[-1] for key, values in parse_qs(urlsplit(link).query).items()}
    wrapped = inner.get("link") or inner.get("deep_link_id")
    if wrapped and "oobCode" not in inner:
        return parse_action_code_url(wrapped)
    operation = _OPERATIONS.get(inner.get("mode", ""))
    if operation is None or not inner.get("apiKey") or not inner.get("oobCode"):
        return None
    return ActionCodeURL(
        inner["apiKey"],
        inner["oobCode"],
        operation,
        inner.get("continueUrl"),
        inner.get("lang"),
        inner.get("tenantId"),
    )


def settings_to_wire(settings: ActionCodeSettings | None) -> dict[str, Any]:
    """The fields of a call that sends a mail; raises ``auth/missing-continue-uri``."""
    if settings is None:
        return {}
    if not settings.get("url"):
        raise AuthError("auth/missing-continue-uri", "The settings of a mail's link need a url.")
    return {
        "continueUrl": settings["url"],
        "canHandleCodeInApp": settings.get("handle_code_in_app", False),
    }


def info_from_wire(answer: Mapping[str, Any]) -> ActionCodeInfo:
    """What a code is for, as the server tells it."""
    operation = str(answer.get("requestType", ""))
    email, new_email = answer.get("email"), answer.get("newEmail")
    if operation == "VERIFY_AND_CHANGE_EMAIL":
        email, new_email = new_email, email
    return ActionCodeInfo(operation, email, new_email)


def additional_info_from_wire(
    answer: Mapping[str, Any], provider_id: str | None
) -> AdditionalUserInfo:
    """What the answer of a sign-in tells beside the user."""
    is_new = bool(answer.get("isNewUser")) or str(answer.get("kind", "")).endswith(
        "SignupNewUserResponse"
    )
    try:
        profile = json.loads(answer.get("rawUserInfo") or "{}")
    except ValueError:
        profile = {}
    named = answer.get("providerId") or provider_id
    return AdditionalUserInfo(is_new, named, profile, answer.get("screenName"))
