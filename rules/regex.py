"""RE2 regular expressions: the only module that touches the `re2` package, which has no usable types."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped,unused-ignore]

MAX_PATTERN_CHARACTERS = 16_384
_MAX_PROGRAM_BYTES = 4 << 20


class InvalidPattern(ValueError):
    """The text is no RE2 pattern."""


def _options(ignore_case: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_PROGRAM_BYTES
    options.case_sensitive = not ignore_case
    return options


@lru_cache(maxsize=512)
def _compiled(pattern: str, ignore_case: bool = False) -> Any:
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise InvalidPattern("the pattern is too long")
    try:
        return re2.compile(pattern, _options(ignore_case))
    except (re2.error, UnicodeError) as error:
        raise InvalidPattern(_words(error)) from error


def _words(error: Exception) -> str:
    """RE2 tells its errors in bytes."""
    told = error.args[0] if error.args else ""
    return told.decode("utf-8", "replace") if isinstance(told, bytes) else str(error)


class Pattern:
    """A compiled pattern. Time is linear in the text, whatever the pattern."""

    __slots__ = ("_re", "text")

    def __init__(self, text: str, ignore_case: bool = False) -> None:
        self.text = text
        self._re = _compiled(text, ignore_case)

    def full_match(self, text: str) -> bool:
        return self._re.fullmatch(text) is not None

    def search(self, text: str) -> bool:
        return self._re.search(text) is not None

    def find_all(self, text: str) -> Iterator[str]:
        """The matches, from left to right, none within another."""
        return (found.group() for found in self._re.finditer(text))

    def split(self, text: str) -> list[str]:
        """Pieces between matches. Empty pieces at the end are dropped, one piece always stays."""
        pieces: list[str] = []
        last = 0
        for found in self._re.finditer(text):
            start, end = found.span()
            if start == end == len(text):
                continue
            pieces.append(text[last:start])
            last = end
        pieces.append(text[last:])
        while len(pieces) > 1 and not pieces[-1]:
            pieces.pop()
        return pieces

    def replace(self, text: str, template: str) -> str:
        """All matches; `$n` in the template is group n, `${name}` a named group, a backslash quotes."""
        out: list[str] = []
        last = 0
        for found in self._re.finditer(text):
            out.append(text[last : found.start()])
            out.append(_expand(template, found))
            last = found.end()
        out.append(text[last:])
        return "".join(out)


def _expand(template: str, found: Any) -> str:
    out: list[str] = []
    at, size = 0, len(template)
    while at < size:
        char = template[at]
        if char == "\\" and at + 1 < size:
            out.append(template[at + 1])
            at += 2
        elif char == "$" and at + 1 < size and template[at + 1] in "0123456789":
            at, number = _group_number(template, at + 1, found)
            out.append(_group(found, number))
        elif char == "$" and template.startswith("{", at + 1) and "}" in template[at:]:
            end = template.index("}", at)
            out.append(_group(found, template[at + 2 : end]))
            at = end + 1
        else:
            out.append(char)
            at += 1
    return "".join(out)


def _group_number(template: str, at: int, found: Any) -> tuple[int, int]:
    """The longest run of digits that still names a group, and where it ends."""
    number = int(template[at])
    at += 1
    groups = found.re.groups
    while at < len(template) and template[at] in "0123456789":
        wider = number * 10 + int(template[at])
        if wider > groups:
            break
        number = wider
        at += 1
    return at, number


def _group(found: Any, which: int | str) -> str:
    try:
        return found.group(which) or ""
    except IndexError:
        return ""
