"""`rules.Path`: a slash-separated name such as `/databases/(default)/documents/posts/p1`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from rules.errors import EvaluationError
from rules.types.limits import MAX_SEGMENTS


@dataclass(frozen=True, slots=True)
class Path:
    """`segments` without slashes; `names` are the captures and bound placeholders that `p['name']` reads.

    A segment `{x}` or `{x=**}` of a path made by `path('/a/{x}')` is a placeholder that `bind` fills; such
    a path has `is_template` set, because a plain path may hold a segment that merely looks like one.
    """

    segments: tuple[str, ...]
    names: tuple[tuple[str, object], ...] = ()
    is_template: bool = False

    @classmethod
    def of_document(cls, database: str, segments: tuple[str, ...]) -> Path:
        """The full name of a document from the path below `documents`."""
        return cls(("databases", database, "documents", *segments))

    @classmethod
    def parse(cls, text: str) -> Path:
        """A path from its text, as the cast `path(string)` reads it. Raises EvaluationError."""
        if not text:
            raise EvaluationError("Empty Path Template is not allowed.")
        parts = text.removeprefix("/").split("/")
        if not all(parts):
            raise EvaluationError(f"Invalid Path Template {text}. Empty segment is not allowed.")
        is_template = any(_placeholder(part) for part in parts)
        return cls(tuple(unquote(part) for part in parts), is_template=is_template)

    def bind(self, values: Mapping[str, object]) -> Path:
        """Fill placeholders by name. A key that names none is an evaluation error."""
        placeholders = (
            {p[0] for p in map(_placeholder, self.segments) if p} if self.is_template else set()
        )
        strange = [key for key in values if key not in placeholders]
        if strange:
            raise EvaluationError(
                f"Variable(s) {', '.join(strange)} do not exist in the path template."
            )
        filled: list[str] = []
        open_left = False
        for part in self.segments:
            found = _placeholder(part)
            if found is None or found[0] not in values:
                open_left = open_left or found is not None
                filled.append(part)
                continue
            filled.extend(_bound(values[found[0]], rest=found[1]))
            if len(filled) > MAX_SEGMENTS:
                raise EvaluationError("The path is too long.")
        return Path(tuple(filled), (*self.names, *values.items()), open_left)

    def segment(self, index: int) -> str:
        """The segment at an index from 0. Raises EvaluationError out of range and for an open placeholder."""
        if not 0 <= index < len(self.segments):
            raise EvaluationError(
                f"Index out of bound error. Index: [{index}] , size: [{len(self.segments)}]."
            )
        part = self.segments[index]
        found = _placeholder(part) if self.is_template else None
        if found:
            raise EvaluationError(f"Variable {found[0]} is not bound in path template.")
        return part

    def named(self, name: str) -> object:
        """What a placeholder was bound to."""
        for key, value in self.names:
            if key == name:
                return value
        if self.is_template and any(p and p[0] == name for p in map(_placeholder, self.segments)):
            raise EvaluationError(f"Variable {name} is not bound in path template.")
        raise EvaluationError(f"Property {name} is undefined on object.")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Path):
            return NotImplemented
        # A path with open placeholders equals nothing, itself included (measured on the emulator).
        return not self.is_template and not other.is_template and self.segments == other.segments

    def __hash__(self) -> int:
        return hash(self.segments)

    def __str__(self) -> str:
        return "/" + "/".join(self.segments)


def _placeholder(part: str) -> tuple[str, bool] | None:
    """Name of a placeholder and whether it takes the rest, or None."""
    if len(part) > 2 and part[0] == "{" and part[-1] == "}":
        name = part[1:-1]
        return (name[:-3], True) if name.endswith("=**") else (name, False)
    return None


def _bound(value: object, rest: bool) -> tuple[str, ...]:
    if rest:
        if isinstance(value, Path):
            return value.segments
        raise EvaluationError("Type error. Received: [string] Expected: [path].")
    if isinstance(value, str):
        return (value,)
    raise EvaluationError("Type error. Expected: [string].")
