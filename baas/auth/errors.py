"""Errors of the auth room: Identity Toolkit's own codes, which clients read from the message."""

from __future__ import annotations

from baas.errors import InvalidArgument


class AuthError(InvalidArgument):
    """An error that Identity Toolkit names, such as ``EMAIL_EXISTS``; HTTP 400.

    The message is the code, or ``CODE : detail``.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code} : {detail}" if detail else code)
        self.code = code
        self.detail = detail
