"""Patterns of object names (``matchGlob``), as Cloud Storage reads them. Pure.

``*`` and ``?`` stand for anything but slashes, ``**`` for anything, ``[a-c]`` and ``[!a-c]`` for one
character, ``{a,b}`` for one of several; a backslash takes what follows for itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from baas.errors import InvalidArgument
from rules.regex import InvalidPattern, Pattern

_MAX_LENGTH = 1024


def compile_glob(pattern: str) -> Callable[[str], bool]:
    """Whether a name is one that the pattern is about, in time linear in the name's length.

    Raises:
        InvalidArgument: the pattern is malformed or too long.
    """
    if len(pattern) > _MAX_LENGTH:
        raise InvalidArgument(f"'matchGlob' has at most {_MAX_LENGTH} characters.")
    try:
        return Pattern(f"(?s){_translated(pattern)}").full_match
    except (InvalidPattern, IndexError):
        raise InvalidArgument("'matchGlob' is no valid pattern.") from None


def _translated(pattern: str) -> str:
    parts: list[str] = []
    position, depth = 0, 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            twice = pattern[position : position + 1] == "*"
            position += twice
            parts.append(".*" if twice else "[^/]*")
        elif char == "?":
            parts.append("[^/]")
        elif char == "[":
            end = pattern.index("]", position + 1) if "]" in pattern[position + 1 :] else -1
            if end < 0:
                raise InvalidArgument("'matchGlob' has a '[' without its ']'.")
            inner = pattern[position:end].replace("\\", "\\\\").replace("[", "\\[")
            inner = "^" + inner[1:] if inner[0] in "!^" else inner
            parts.append(f"[{inner}]")
            position = end + 1
        elif char == "{":
            depth += 1
            parts.append("(?:")
        elif char == "}" and depth:
            depth -= 1
            parts.append(")")
        elif char == "," and depth:
            parts.append("|")
        else:
            if char == "\\":
                char = pattern[position]
                position += 1
            parts.append(re.escape(char))
    if depth:
        raise InvalidArgument("'matchGlob' has a '{' without its '}'.")
    return "".join(parts)
