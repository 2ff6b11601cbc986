"""Names of databases, documents and collections, and paths of fields.

Source: ``listen-and-write`` §7 "Names" and "Field paths", and Firestore's documented limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from baas.errors import InvalidArgument

MAX_ID_BYTES = 1_500
MAX_FIELD_PATH_BYTES = 1_499
"""Of a path that a request names, without its quoting. Fields may be called by longer names."""
MAX_NAME_BYTES = 6_144
MAX_DEPTH = 100
"""Subcollection levels: a document name has at most twice as many segments."""

FieldPath: TypeAlias = tuple[str, ...]
DOCUMENT_ID: FieldPath = ("__name__",)
"""The field path that stands for a document's own name."""

_RESERVED_ID = re.compile(r"__.*__", re.DOTALL)
_NUMERIC_ID = re.compile(r"__id(-?\d+)__")
_PROJECT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_DATABASE_ID = re.compile(r"\(default\)|[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_SIMPLE_FIELD = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_FIELD_SEGMENT = re.compile(r"([_a-zA-Z][_a-zA-Z0-9]*)|`((?:[^`\\]|\\.)+)`")


@dataclass(frozen=True, slots=True, order=True)
class DatabaseId:
    """One database of one project; ``(default)`` unless named."""

    project: str
    database: str = "(default)"

    @property
    def name(self) -> str:
        """``projects/P/databases/D``."""
        return f"projects/{self.project}/databases/{self.database}"

    @classmethod
    def parse(cls, name: str) -> DatabaseId:
        """Parse ``projects/P/databases/D``.

        Raises:
            InvalidArgument: the name has another form.
        """
        parts = name.split("/")
        if len(parts) != 4 or parts[0] != "projects" or parts[2] != "databases":
            raise InvalidArgument(
                f"Database name {name[:200]!r} must have the form projects/P/databases/D."
            )
        return cls.of(parts[1], parts[3])

    @classmethod
    def of(cls, project: str, database: str) -> DatabaseId:
        """A checked id.

        Raises:
            InvalidArgument: one of the parts has characters or a length that is not allowed.
        """
        if not _PROJECT_ID.fullmatch(project):
            raise InvalidArgument(f"Project id {project[:200]!r} is not valid.")
        if not _DATABASE_ID.fullmatch(database):
            raise InvalidArgument(f"Database id {database[:200]!r} is not valid.")
        return cls(project, database)


@dataclass(frozen=True, slots=True)
class DocumentName:
    """A document: its database and the path below ``documents``, an even number of segments."""

    database: DatabaseId
    segments: tuple[str, ...]

    @property
    def name(self) -> str:
        """The full resource name."""
        return f"{self.database.name}/documents/{'/'.join(self.segments)}"

    @property
    def id(self) -> str:
        """The last segment."""
        return self.segments[-1]

    @property
    def collection(self) -> tuple[str, ...]:
        """The path of the collection that holds the document: an odd number of segments."""
        return self.segments[:-1]

    @property
    def collection_id(self) -> str:
        """The last segment of the collection's path."""
        return self.segments[-2]

    @classmethod
    def parse(cls, name: str) -> DocumentName:
        """Parse and check a full resource name.

        Raises:
            InvalidArgument: not a document name, or a segment that is not allowed.
        """
        database, segments = split_name(name)
        if not segments or len(segments) % 2:
            raise InvalidArgument(
                f"Document name {name[:200]!r} must have an even number of segments "
                "after 'documents/': collection/document pairs."
            )
        return cls(database, segments)


def split_name(name: str) -> tuple[DatabaseId, tuple[str, ...]]:
    """Split ``projects/P/databases/D/documents[/…]`` into database and checked segments.

    Raises:
        InvalidArgument: another form, or a segment that is not allowed.
    """
    parts = name.split("/")
    if (
        len(parts) < 5
        or parts[0] != "projects"
        or parts[2] != "databases"
        or parts[4] != "documents"
    ):
        raise InvalidArgument(
            f"Resource name {name[:200]!r} must begin with projects/P/databases/D/documents."
        )
    return DatabaseId.of(parts[1], parts[3]), check_segments(tuple(parts[5:]))


def check_segments(segments: tuple[str, ...]) -> tuple[str, ...]:
    """Check every segment of a path below ``documents`` and return the path.

    Raises:
        InvalidArgument: an empty, reserved or overlong segment, or a path too deep or too long.
    """
    if len(segments) > 2 * MAX_DEPTH:
        raise InvalidArgument(f"A path may be at most {MAX_DEPTH} collections deep.")
    total = 0
    for segment in segments:
        total += check_segment(segment) + 1
    if total > MAX_NAME_BYTES:
        raise InvalidArgument(f"A document name may have at most {MAX_NAME_BYTES} bytes.")
    return segments


def check_segment(segment: str) -> int:
    """Check one collection or document id; answers its length in UTF-8 bytes.

    Raises:
        InvalidArgument: empty, ``.``, ``..``, with a slash, reserved (``__.*__``) or too long.
    """
    if not segment:
        raise InvalidArgument(
            "A path has an empty segment: collection and document ids must not be empty."
        )
    if segment in (".", "..") or "/" in segment:
        raise InvalidArgument(
            f"Id {segment[:100]!r} is not valid: no '.', '..' and no '/' in an id."
        )
    if _RESERVED_ID.fullmatch(segment) and numeric_id(segment) is None:
        raise InvalidArgument(f"Id {segment[:100]!r} is reserved: ids must not match __.*__.")
    try:
        length = len(segment.encode())
    except UnicodeEncodeError as error:
        raise InvalidArgument("Ids must be valid Unicode.") from error
    if length > MAX_ID_BYTES:
        raise InvalidArgument(f"An id has {length} bytes; at most {MAX_ID_BYTES} are allowed.")
    return length


def numeric_id(segment: str) -> int | None:
    """The number in an id of the form ``__id<int64>__``, which sorts before all other ids."""
    match = _NUMERIC_ID.fullmatch(segment)
    if match is None:
        return None
    number = int(match[1])
    return number if -(2**63) <= number < 2**63 and str(number) == match[1] else None


def parse_field_path(text: str) -> FieldPath:
    """Parse a dotted field path with backtick-quoted segments.

    Raises:
        InvalidArgument: the path is empty, too long, or malformed.
    """
    if len(text) > 3 * MAX_FIELD_PATH_BYTES:  # whatever of it is quoting
        raise _path_too_long()
    segments: list[str] = []
    position = 0
    while True:
        match = _FIELD_SEGMENT.match(text, position)
        if match is None:
            raise InvalidArgument(
                f"Field path {text[:200]!r} is not valid: quote segments that are not simple "
                "identifiers in backticks."
            )
        quoted = match[2]
        segments.append(match[1] if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        position = match.end()
        if position == len(text):
            if 4 * len(text) > MAX_FIELD_PATH_BYTES:  # else no characters can make it too long
                length = len(".".join(segments).encode(errors="replace"))
                if length > MAX_FIELD_PATH_BYTES:
                    raise _path_too_long()
            return tuple(segments)
        if text[position] != ".":
            raise InvalidArgument(
                f"Field path {text[:200]!r} is not valid at character {position}."
            )
        position += 1


def _path_too_long() -> InvalidArgument:
    return InvalidArgument(f"A field path may have at most {MAX_FIELD_PATH_BYTES} bytes.")


def format_field_path(path: FieldPath) -> str:
    """The dotted form of a field path, quoting where needed; inverse of :func:`parse_field_path`."""
    return ".".join(
        segment
        if _SIMPLE_FIELD.fullmatch(segment)
        else "`" + segment.replace("\\", "\\\\").replace("`", "\\`") + "`"
        for segment in path
    )
