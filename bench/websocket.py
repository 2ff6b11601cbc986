"""The few bytes of WebSocket (RFC 6455) that a client needs which looks at nothing but its messages."""

from __future__ import annotations

from collections.abc import Mapping


def masked(text: str) -> bytes:
    """A client's text frame (with a mask of zeros)."""
    payload = text.encode()
    length = len(payload)
    head = bytes((0x81, 0x80 | length)) if length < 126 else b"\x81\xfe" + length.to_bytes(2, "big")
    return head + bytes(4) + payload


def upgrade(path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The request that opens a WebSocket."""
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    ).encode()
