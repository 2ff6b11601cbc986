"""What account fields may hold. Pure."""

from __future__ import annotations

import re
import unicodedata

from baas.auth.errors import AuthError
from baas.auth.passwords import MAX_PASSWORD_BYTES

MAX_EMAIL, MAX_NAME, MAX_URL, MAX_UID = 256, 256, 2_048, 128
MIN_PASSWORD = 6
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f.]+(\.[^@\s\x00-\x1f\x7f.]+)*")
_PHONE = re.compile(r"\+[1-9][0-9]{4,14}")


def email(text: str) -> str:
    """The normalized form of an address: lower case.

    Raises:
        AuthError: INVALID_EMAIL.
    """
    found = unicodedata.normalize("NFC", text.strip()).lower()
    if len(found) > MAX_EMAIL or not _EMAIL.fullmatch(found):
        raise AuthError("INVALID_EMAIL")
    return found


def phone_number(text: str) -> str:
    """A phone number in E.164, without the blanks and dashes that people put in.

    Raises:
        AuthError: INVALID_PHONE_NUMBER.
    """
    found = re.sub(r"[\s().-]", "", text)
    if not _PHONE.fullmatch(found):
        raise AuthError(
            "INVALID_PHONE_NUMBER", "TOO_SHORT" if len(found) < 6 else "Invalid format."
        )
    return found


def new_password(text: str) -> str:
    """A password that may be set.

    Raises:
        AuthError: WEAK_PASSWORD, INVALID_PASSWORD (too long).
    """
    if len(text) < MIN_PASSWORD:
        raise AuthError("WEAK_PASSWORD", f"Password should be at least {MIN_PASSWORD} characters")
    if len(text.encode()) > MAX_PASSWORD_BYTES:
        raise AuthError("INVALID_PASSWORD", f"A password has at most {MAX_PASSWORD_BYTES} bytes.")
    return text


def display_name(text: str) -> str:
    """A name to be shown.

    Raises:
        AuthError: INVALID_DISPLAY_NAME.
    """
    if len(text) > MAX_NAME or "\x00" in text:
        raise AuthError("INVALID_DISPLAY_NAME", f"A name has at most {MAX_NAME} characters.")
    return text


def photo_url(text: str) -> str:
    """The address of a picture.

    Raises:
        AuthError: INVALID_PHOTO_URL.
    """
    if len(text) > MAX_URL or "\x00" in text:
        raise AuthError("INVALID_PHOTO_URL", f"An address has at most {MAX_URL} characters.")
    return text


def uid(text: str) -> str:
    """A uid that an administrator chooses.

    Raises:
        AuthError: INVALID_LOCAL_ID.
    """
    if not 0 < len(text) <= MAX_UID or not text.isprintable():
        raise AuthError("INVALID_LOCAL_ID", f"A uid has 1 to {MAX_UID} printable characters.")
    return text
