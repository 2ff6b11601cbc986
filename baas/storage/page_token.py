"""Page tokens of listings: the place to go on from, in letters that need no escaping."""

from __future__ import annotations

import base64
import binascii

from baas.errors import InvalidArgument


def encode_page_token(start: bytes) -> str:
    """A token for the page that begins with this name."""
    return base64.urlsafe_b64encode(b"1" + start).decode().rstrip("=")


def decode_page_token(token: str) -> bytes:
    """The name to go on from.

    Raises:
        InvalidArgument: this is no token of ours.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw.startswith(b"1"):
        raise InvalidArgument("The page token is not one that this server gave.")
    return raw[1:]
