"""Documents at rest as protobuf bytes, without values and messages in between.

A document rests as proto3-JSON (:mod:`baas.wire.json_values`). What nearly all fields are is written here
byte by byte; the other types go the ordinary way. Source: the published ``google.firestore.v1`` protos (field
numbers), protobuf's encoding guide.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from baas.model.document import Document
from baas.model.values import Timestamp
from baas.wire.json_values import decode_stored_value
from baas.wire.proto_values import encode_document, encode_value
from baas.wire.timestamps import open_timestamp

_TRUE, _FALSE = b"\x08\x01", b"\x08\x00"
_NULL: Final = b"\x58\x00"
_INT64_MASK: Final = (1 << 64) - 1


def document_bytes(document: Document) -> bytes:
    """A whole ``Document``."""
    encoded = document.encoded
    if encoded is None:
        message: bytes = encode_document(document).SerializeToString()
        return message
    name = document.resource_name.encode()
    created, updated = document.micros
    parts = [b"\x0a", varint(len(name)), name]
    for key, value in orjson.loads(encoded).items():
        field = key.encode()
        content = _value(value)
        entry = b"\x0a%b%b\x12%b%b" % (varint(len(field)), field, varint(len(content)), content)
        parts += (b"\x12", varint(len(entry)), entry)
    first = _timestamp(created)
    last = first if updated == created else _timestamp(updated)
    parts += (b"\x1a", varint(len(first)), first, b"\x22", varint(len(last)), last)
    return b"".join(parts)


def run_query_documents(documents: Iterable[Document], read_time: Timestamp) -> list[bytes]:
    """A ``RunQueryResponse`` for each document."""
    time = _timestamp(read_time.micros)
    end = b"\x1a%b%b" % (varint(len(time)), time)
    answers = []
    for document in documents:
        content = document_bytes(document)
        answers.append(b"\x0a%b%b%b" % (varint(len(content)), content, end))
    return answers


def varint(number: int) -> bytes:
    """A non-negative number, seven bits a byte, the least first."""
    if number < 0x80:
        return _SMALL[number]
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


_SMALL: Final = tuple(bytes((number,)) for number in range(0x80))


def _value(stored: dict[str, Any]) -> bytes:
    """A ``Value``."""
    for kind, content in stored.items():
        if kind == "stringValue":
            text = content.encode()
            return b"\x8a\x01%b%b" % (varint(len(text)), text)
        if kind == "integerValue":
            return b"\x10" + varint(int(content) & _INT64_MASK)
        if kind == "booleanValue":
            return _TRUE if content else _FALSE
        if kind == "timestampValue":
            time = _timestamp(open_timestamp(content).micros)
            return b"\x52%b%b" % (varint(len(time)), time)
        if kind == "nullValue":
            return _NULL
    message: bytes = encode_value(decode_stored_value(stored)).SerializeToString()
    return message


def _timestamp(micros: int) -> bytes:
    """A ``google.protobuf.Timestamp``, which leaves out what is zero."""
    seconds, rest = divmod(micros, 1_000_000)
    message = b"\x08" + varint(seconds & _INT64_MASK) if seconds else b""
    return message + b"\x10" + varint(rest * 1_000) if rest else message
