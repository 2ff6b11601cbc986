"""A source text and places in it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

from rules.errors import Issue, Severity

MAX_SOURCE_BYTES = 262_144
"""A source must be shorter than this, in UTF-8 bytes (protocol section 1)."""


class Span(NamedTuple):
    """Character offsets; the end is exclusive."""

    start: int
    end: int


@dataclass(frozen=True)
class Source:
    """The text of one rules file."""

    text: str
    file_name: str
    _line_starts: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0]
        find = self.text.find
        at = find("\n")
        while at != -1:
            starts.append(at + 1)
            at = find("\n", at + 1)
        object.__setattr__(self, "_line_starts", starts)

    def position(self, offset: int) -> tuple[int, int]:
        """1-based line and column of a character offset."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def issue(self, severity: Severity, description: str, span: Span) -> Issue:
        line, column = self.position(span.start)
        return Issue(
            severity,
            description,
            self.file_name,
            line,
            column,
            span.start,
            max(span.end, span.start),
        )

    def snippet(self, span: Span) -> str:
        return self.text[span.start : span.end]
