"""Accounts and signing in: the twin of ``firebase/auth``."""

from __future__ import annotations

from homefire.auth._id_token import IdTokenResult
from homefire.errors import AuthError
from homefire.sync.auth._auth import (
    Auth,
    UserCredential,
    apply_action_code,
    confirm_password_reset,
    connect_auth_emulator,
    create_user_with_email_and_password,
    delete_user,
    get_auth,
    get_id_token,
    on_auth_state_changed,
    on_id_token_changed,
    reload,
    send_email_verification,
    send_password_reset_email,
    sign_in_anonymously,
    sign_in_with_custom_token,
    sign_in_with_email_and_password,
    sign_out,
    update_email,
    update_password,
    update_profile,
    verify_password_reset_code,
)
from homefire.sync.auth._user import User, UserInfo, UserMetadata

__all__ = [
    "Auth",
    "AuthError",
    "IdTokenResult",
    "User",
    "UserCredential",
    "UserInfo",
    "UserMetadata",
    "apply_action_code",
    "confirm_password_reset",
    "connect_auth_emulator",
    "create_user_with_email_and_password",
    "delete_user",
    "get_auth",
    "get_id_token",
    "on_auth_state_changed",
    "on_id_token_changed",
    "reload",
    "send_email_verification",
    "send_password_reset_email",
    "sign_in_anonymously",
    "sign_in_with_custom_token",
    "sign_in_with_email_and_password",
    "sign_out",
    "update_email",
    "update_password",
    "update_profile",
    "verify_password_reset_code",
]
