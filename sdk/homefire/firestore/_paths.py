"""Paths of documents and of fields."""

from __future__ import annotations

import re
import secrets
import string

from homefire.errors import FirestoreError

_ID_ALPHABET = string.ascii_letters + string.digits
_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED_IN_DOTTED = re.compile(r"[~*/\[\]]")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def auto_id() -> str:
    """A document id of 20 letters and digits, by chance unique."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(20))


def split_path(path: str, *more: str) -> tuple[str, ...]:
    """The segments of a slash-separated path; raises ``invalid-argument`` for empty ones."""
    segments: list[str] = []
    for part in (path, *more):
        if not _is_text(part):
            raise FirestoreError("invalid-argument", f"A path must be a string, not {part!r}.")
        pieces = part.strip("/").split("/")
        if "" in pieces:
            raise FirestoreError(
                "invalid-argument", f"Invalid path {part!r}: a segment must not be empty."
            )
        segments.extend(pieces)
    return tuple(segments)


class FieldPath:
    """Where a field is in a document: ``FieldPath("a", "b.c")`` is the field ``b.c`` inside the map ``a``."""

    __slots__ = ("segments",)

    def __init__(self, *segments: str) -> None:
        if not segments or not all(_is_text(part) and part for part in segments):
            raise FirestoreError(
                "invalid-argument", "A field path is made of strings that are not empty."
            )
        self.segments: tuple[str, ...] = segments

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldPath) and self.segments == other.segments

    def __hash__(self) -> int:
        return hash(self.segments)

    def __repr__(self) -> str:
        return f"FieldPath({', '.join(map(repr, self.segments))})"

    @property
    def canonical(self) -> str:
        """The path in the protocol's spelling: dots between segments, odd segments in backticks."""
        if self.segments == ("__name__",):
            return "__name__"
        return ".".join(map(_quoted, self.segments))


DOCUMENT_ID = FieldPath("__name__")


def document_id() -> FieldPath:
    """The field path that stands for a document's id in ``where`` and ``order_by``."""
    return DOCUMENT_ID


def to_field_path(path: str | FieldPath) -> FieldPath:
    """A field path from its dotted spelling; raises ``invalid-argument``."""
    if isinstance(path, FieldPath):
        return path
    if not _is_text(path) or _RESERVED_IN_DOTTED.search(path):
        raise FirestoreError(
            "invalid-argument",
            f"Invalid field path {path!r}: it must not contain '~', '*', '/', '[' or ']' "
            "(use FieldPath for such names).",
        )
    segments = path.split(".")
    if "" in segments:
        raise FirestoreError(
            "invalid-argument", f"Invalid field path {path!r}: no part between dots may be empty."
        )
    return FieldPath(*segments)


def parse_canonical(text: str) -> tuple[str, ...]:
    """The segments of a path in the protocol's spelling, backticks and all."""
    segments: list[str] = []
    position = 0
    while position <= len(text):
        if text[position : position + 1] == "`":
            end = position + 1
            while end < len(text) and text[end] != "`":
                end += 2 if text[end] == "\\" else 1
            segments.append(re.sub(r"\\(.)", r"\1", text[position + 1 : end]))
            position = end + 2
        else:
            end = text.find(".", position)
            end = len(text) if end < 0 else end
            segments.append(text[position:end])
            position = end + 1
    return tuple(segments)


def _quoted(segment: str) -> str:
    if _SIMPLE.match(segment):
        return segment
    escaped = segment.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
