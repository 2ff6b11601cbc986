"""The server's auth errors in Firebase's client codes."""

from __future__ import annotations

import json

from homefire._transport.messages import HttpResponse, TransportError
from homefire.errors import AuthError

# The words of Identity Toolkit, and the client's code with a message that says what to do.
_CODES: dict[str, tuple[str, str]] = {
    "EMAIL_EXISTS": (
        "auth/email-already-in-use",
        "The email address is already in use by another account.",
    ),
    "EMAIL_NOT_FOUND": ("auth/user-not-found", "There is no account of that identifier."),
    "USER_NOT_FOUND": (
        "auth/user-token-expired",
        "The account of this token is gone: sign in again.",
    ),
    "USER_DISABLED": ("auth/user-disabled", "The account has been disabled by an administrator."),
    "INVALID_PASSWORD": ("auth/wrong-password", "The password is wrong."),
    "INVALID_LOGIN_CREDENTIALS": (
        "auth/invalid-credential",
        "The email address or the password is wrong.",
    ),
    "INVALID_EMAIL": ("auth/invalid-email", "The email address is badly formatted."),
    "MISSING_EMAIL": ("auth/missing-email", "An email address is needed."),
    "MISSING_PASSWORD": ("auth/missing-password", "A password is needed."),
    "WEAK_PASSWORD": ("auth/weak-password", "The password is too weak."),
    "PASSWORD_DOES_NOT_MEET_REQUIREMENTS": (
        "auth/password-does-not-meet-requirements",
        "The password does not meet the requirements of this project.",
    ),
    "OPERATION_NOT_ALLOWED": (
        "auth/operation-not-allowed",
        "This way of signing in is not enabled for the project.",
    ),
    "PASSWORD_LOGIN_DISABLED": (
        "auth/operation-not-allowed",
        "Signing in with a password is not enabled for the project.",
    ),
    "ADMIN_ONLY_OPERATION": (
        "auth/admin-restricted-operation",
        "Only administrators may do this.",
    ),
    "TOO_MANY_ATTEMPTS_TRY_LATER": (
        "auth/too-many-requests",
        "Too many attempts: try again later.",
    ),
    "RESOURCE_EXHAUSTED": ("auth/too-many-requests", "Too many requests: try again later."),
    "QUOTA_EXCEEDED": ("auth/quota-exceeded", "The project's quota for this is used up."),
    "INVALID_CUSTOM_TOKEN": (
        "auth/invalid-custom-token",
        "The custom token is malformed or forged.",
    ),
    "MISSING_CUSTOM_TOKEN": ("auth/internal-error", "A custom token is needed."),
    "CREDENTIAL_MISMATCH": (
        "auth/custom-token-mismatch",
        "The custom token is meant for another project.",
    ),
    "INVALID_ID_TOKEN": (
        "auth/invalid-user-token",
        "The user's token is not valid: sign in again.",
    ),
    "TOKEN_EXPIRED": ("auth/user-token-expired", "The user's token has expired: sign in again."),
    "INVALID_REFRESH_TOKEN": (
        "auth/user-token-expired",
        "The user's token has been revoked: sign in again.",
    ),
    "CREDENTIAL_TOO_OLD_LOGIN_AGAIN": (
        "auth/requires-recent-login",
        "This is sensitive: sign in again, then retry.",
    ),
    "INVALID_OOB_CODE": ("auth/invalid-action-code", "The code is wrong or was used already."),
    "EXPIRED_OOB_CODE": ("auth/expired-action-code", "The code has expired."),
    "MISSING_OOB_CODE": ("auth/internal-error", "A code is needed."),
    "API_KEY_INVALID": ("auth/invalid-api-key", "The API key is not valid."),
    "INVALID_API_KEY": ("auth/invalid-api-key", "The API key is not valid."),
    "PROJECT_NOT_FOUND": ("auth/invalid-api-key", "The project does not exist on this server."),
    "MISSING_CONTINUE_URI": ("auth/missing-continue-uri", "A continue URL is needed."),
    "INVALID_CONTINUE_URI": ("auth/invalid-continue-uri", "The continue URL is not valid."),
    "UNAUTHORIZED_DOMAIN": (
        "auth/unauthorized-continue-uri",
        "The domain of the continue URL is not allowed by the project.",
    ),
    "CONFIGURATION_NOT_FOUND": (
        "auth/configuration-not-found",
        "The server has no accounts for this project.",
    ),
    "INVALID_IDP_RESPONSE": (
        "auth/invalid-credential",
        "What the identity provider gave is malformed, expired or another app's.",
    ),
    "INVALID_PHONE_NUMBER": (
        "auth/invalid-phone-number",
        "A phone number is written as +, country code and number.",
    ),
    "MISSING_PHONE_NUMBER": ("auth/missing-phone-number", "A phone number is needed."),
    "INVALID_CODE": ("auth/invalid-verification-code", "The code is wrong."),
    "MISSING_CODE": ("auth/missing-verification-code", "The code is needed."),
    "INVALID_SESSION_INFO": ("auth/invalid-verification-id", "No code was sent for this."),
    "MISSING_SESSION_INFO": ("auth/missing-verification-id", "No code was sent for this."),
    "SESSION_EXPIRED": ("auth/code-expired", "The code has expired: have another one sent."),
    "MFA_ENROLLMENT_NOT_FOUND": (
        "auth/multi-factor-info-not-found",
        "The account has no such second factor.",
    ),
    "MISSING_MFA_ENROLLMENT_ID": ("auth/missing-multi-factor-info", "Name a second factor."),
    "MISSING_MFA_PENDING_CREDENTIAL": (
        "auth/missing-multi-factor-session",
        "No sign-in waits for a second factor.",
    ),
    "INVALID_MFA_PENDING_CREDENTIAL": (
        "auth/invalid-multi-factor-session",
        "The sign-in has waited too long for its second factor: begin anew.",
    ),
    "SECOND_FACTOR_EXISTS": (
        "auth/second-factor-already-in-use",
        "The account has this second factor already.",
    ),
    "SECOND_FACTOR_LIMIT_EXCEEDED": (
        "auth/maximum-second-factor-count-exceeded",
        "The account has as many second factors as it may have.",
    ),
    "UNSUPPORTED_FIRST_FACTOR": (
        "auth/unsupported-first-factor",
        "This way of signing in takes no second factor.",
    ),
    "TENANT_ID_MISMATCH": ("auth/tenant-id-mismatch", "The account is another tenant's."),
    "UNVERIFIED_EMAIL": ("auth/unverified-email", "The email address must be verified first."),
    "FEDERATED_USER_ID_ALREADY_LINKED": (
        "auth/credential-already-in-use",
        "The credential belongs to another account.",
    ),
}


def error_of(response: HttpResponse) -> AuthError:
    """The client's error for a refusal. A server's words ``CODE : detail`` give the detail as message."""
    try:
        body = response.json()
    except TransportError:
        body = None
    text, status = _words(body)
    if not text:
        return AuthError("auth/internal-error", f"The server answered HTTP {response.status}.")
    word, _, detail = (part.strip() for part in text.partition(":"))
    for key in (word, status):
        if key in _CODES:
            code, message = _CODES[key]
            return AuthError(code, detail or message)
    if response.status == 429:
        return AuthError("auth/too-many-requests", detail or text)
    if "API key" in text:
        return AuthError("auth/invalid-api-key", text)
    return AuthError("auth/internal-error", text)


def _words(body: object) -> tuple[str, str]:
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, str):  # OAuth's form: {"error": "...", "error_description": "..."}
        description = body.get("error_description") if isinstance(body, dict) else None
        return error.upper(), description if isinstance(description, str) else ""
    if not isinstance(error, dict):
        return "", ""
    message, status = error.get("message"), error.get("status")
    return (
        message if isinstance(message, str) else json.dumps(error),
        status if isinstance(status, str) else "",
    )


def network_error(error: TransportError) -> AuthError:
    """The client's error for no answer at all."""
    return AuthError("auth/network-request-failed", error.message)
