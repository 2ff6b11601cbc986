"""Tokens that clients keep and bring back without looking inside.

A resume token names a version of one history: 8 bytes of the database's epoch id, 8 bytes of microseconds,
and a checksum that tells a damaged or foreign token from one of ours. It grants nothing: a target added
with it is judged like any other. Source: ``listen-and-write`` §2.1 rule 9.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from typing import Final

from baas.errors import InvalidArgument
from baas.model.values import Timestamp

EPOCH_BYTES: Final = 8
_RESUME = struct.Struct(">8sqI")
_RESUME_DOMAIN: Final = b"homefire.resume"
_PAGE_DOMAIN: Final = b"homefire.page"
_MAX_PAGE_TOKEN: Final = 20_000


def encode_resume_token(epoch: bytes, version: Timestamp) -> bytes:
    """The token for a version of the history with this epoch id (8 bytes)."""
    if len(epoch) != EPOCH_BYTES:
        raise ValueError(f"an epoch id has {EPOCH_BYTES} bytes")
    return _RESUME.pack(epoch, version.micros, _resume_check(epoch, version.micros))


def decode_resume_token(token: bytes, epoch: bytes) -> Timestamp | None:
    """The version that a token names; ``None`` if it is damaged or of another history.

    ``None`` is no error: the target is then reset and sent afresh (``listen-and-write`` §2.3).
    """
    if len(token) != _RESUME.size:
        return None
    own, micros, check = _RESUME.unpack(token)
    if own != epoch or check != _resume_check(own, micros):
        return None
    return Timestamp(micros)


def encode_page_token(position: bytes) -> str:
    """A page token for a position that only the server understands."""
    check = zlib.crc32(_PAGE_DOMAIN + position).to_bytes(4, "big")
    return base64.urlsafe_b64encode(check + position).decode("ascii").rstrip("=")


def decode_page_token(token: str) -> bytes:
    """The position within a page token.

    Raises:
        InvalidArgument: not a token of this server.
    """
    if len(token) <= _MAX_PAGE_TOKEN:
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        position = raw[4:]
        if len(raw) >= 4 and raw[:4] == zlib.crc32(_PAGE_DOMAIN + position).to_bytes(4, "big"):
            return position
    raise InvalidArgument("The page token is not valid: use nextPageToken of an answer, unchanged.")


def _resume_check(epoch: bytes, micros: int) -> int:
    return zlib.crc32(_RESUME_DOMAIN + epoch + micros.to_bytes(8, "big", signed=True))
