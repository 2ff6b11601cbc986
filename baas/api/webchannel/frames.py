"""The wire forms of WebChannel: frames out, form bodies in. Pure.

Source: ``webchannel`` §3 to §5 and §7.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii
from typing import Any

import orjson

from baas.errors import ApiError, InvalidArgument

WIRE_VERSION = 8
SERVER_VERSION = 14
NOOP = '["noop"]'
MAX_MAPS_PER_REQUEST = 2_000
"""The SDK sends at most 1000."""
MAX_HEADER_BYTES = 64 * 1_024

_NON_ASCII = re.compile("[^\x00-\x7f]+")
_SINGLE_ESCAPES = {b"%%%02X" % code: bytes([code]) for code in range(256)}
_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
_MAP_KEY = re.compile(r"req(\d{1,9})_(.*)", re.DOTALL)
_JSON_KEY = "__data__"
_BAD_MAP_KEY = "type"


@dataclass(frozen=True, slots=True)
class Forward:
    """The body of a handshake or forward POST: metadata (handshake only) and numbered maps, the JSON text of
    one message each; ``None`` for a map that the client could not encode."""

    maps: dict[int, str | None] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


def parse_forward(body: bytes) -> Forward:
    """Read a form-encoded POST body.

    Raises:
        InvalidArgument: not a form, or more maps than a client sends.
    """
    if not body:
        return Forward()
    try:
        pairs = _form_fields(body)
    except ValueError as error:
        raise InvalidArgument("The body must be a form of at most 2000 messages.") from error
    offset, maps, metadata = 0, dict[int, str | None](), dict[str, str]()
    for key, value in pairs:
        if key == "headers":
            metadata = parse_headers(value)
        elif key == "ofs":
            offset = _number(value)
        else:
            _add_map(maps, key, value)
    return Forward({offset + number: text for number, text in maps.items()}, metadata)


def parse_headers(text: str) -> dict[str, str]:
    """``Name:Value`` lines separated by CRLF, split at the first colon; names in lower case."""
    if len(text) > MAX_HEADER_BYTES:
        raise InvalidArgument(f"The headers may have at most {MAX_HEADER_BYTES} characters.")
    headers = {}
    for line in text.split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return headers


def frame(payload: str) -> bytes:
    """``<length>\\n<payload>``. The payload must be ASCII, so that every way to count gives the length."""
    return f"{len(payload)}\n{payload}".encode("ascii")


def arrays_frame(arrays: Iterable[tuple[int, str]]) -> bytes:
    """A frame of numbered arrays; each is ASCII JSON text."""
    return frame("[" + ",".join(f"[{number},{text}]" for number, text in arrays) + "]")


def handshake_frame(session_id: str, keepalive: float) -> bytes:
    """The ``c`` array; ``keepalive`` in seconds. The host prefix stays empty (``webchannel`` §3)."""
    control = ["c", session_id, "", WIRE_VERSION, SERVER_VERSION, int(keepalive * 1_000)]
    return arrays_frame([(0, json.dumps(control, separators=(",", ":")))])


def forward_frame(backchannel_open: bool, last_array: int, outstanding: int) -> bytes:
    """The answer to a forward POST."""
    return frame(f"[{int(backchannel_open)},{last_array},{outstanding}]")


def message_array(message: bytes | dict[str, Any]) -> str:
    """An array of one message: JSON bytes, or an object to encode. ASCII only."""
    if isinstance(message, dict):
        message = orjson.dumps(message)
    text = message.decode()
    return f"[{text if text.isascii() else _NON_ASCII.sub(_escape, text)}]"


def error_array(error: ApiError) -> str:
    """An RPC's status, in the hosted service's doubly nested form."""
    return json.dumps([[error.envelope()]], separators=(",", ":"))


def _form_fields(body: bytes) -> list[tuple[str, str]]:
    # The standard library's parser takes five times as long for a megabyte of escaped text.
    if body.count(b"&") > MAX_MAPS_PER_REQUEST + 3:
        raise ValueError("too many fields")
    pairs = []
    for part in body.split(b"&"):
        name, _, value = part.partition(b"=")
        pairs.append((_unquote(name), _unquote(value)))
    return pairs


def _unquote(text: bytes) -> str:
    if b"+" in text:
        text = text.replace(b"+", b" ")
    if b"%" in text:
        text = _ESCAPES.sub(_unescape, text)
    return text.decode()


def _unescape(match: re.Match[bytes]) -> bytes:
    run = match[0]
    single = _SINGLE_ESCAPES.get(run)
    return bytes.fromhex(run.replace(b"%", b"").decode()) if single is None else single


def _add_map(maps: dict[int, str | None], key: str, value: str) -> None:
    match = _MAP_KEY.fullmatch(key)
    if match is None:
        return
    if match[2] == _JSON_KEY:
        maps[int(match[1])] = value
    elif match[2] == _BAD_MAP_KEY:
        maps.setdefault(int(match[1]), None)


def _number(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 12:
        raise InvalidArgument("'ofs' must be a number.")
    return int(value)


def _escape(match: re.Match[str]) -> str:
    # Outside strings JSON is ASCII, so every hit lies in one, where \uXXXX means the same.
    return encode_basestring_ascii(match[0])[1:-1]
