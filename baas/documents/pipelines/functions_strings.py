"""Strings and bytes. Positions count characters (code points) of strings, and bytes of bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from baas.documents.pipelines.registry import Function, expect, integer, strict
from baas.documents.pipelines.rows import EvaluationError
from rules.regex import InvalidPattern, Pattern

MAX_TEXT: Final = 4 * 1_048_576
"""Length of a computed string at most."""
_LIKE: Final = re.compile(r"[%_]|[^%_]+", re.DOTALL)
_SPACE: Final = b" \t\n\r\x0b\x0c"


def text(value: Any) -> str:
    """The value, if it is a string."""
    checked: str = expect(value, str, "a string")
    return checked


def _alike(*values: Any) -> Any:
    """The values, if all are strings or all are bytes."""
    kind = type(values[0])
    if kind not in (str, bytes) or any(type(value) is not kind for value in values):
        raise EvaluationError("strings, or bytes, are expected, not both")
    return values


def bounded(value: Any) -> Any:
    """The string or bytes, if it is not too long."""
    if len(value) > MAX_TEXT:
        raise EvaluationError(f"a string would be longer than {MAX_TEXT}")
    return value


def concat(*values: Any) -> Any:
    """Strings, bytes or arrays one after the other."""
    kind = type(values[0])
    if kind not in (str, bytes, list) or any(type(value) is not kind for value in values):
        raise EvaluationError("only strings, or bytes, or arrays can be joined, not several types")
    if sum(map(len, values)) > MAX_TEXT:
        raise EvaluationError(f"the result would be longer than {MAX_TEXT}")
    if kind is list:
        return [element for value in values for element in value]
    return ("" if kind is str else b"").join(values)


def _string_concat(*values: Any) -> str:
    result: str = concat(*map(text, values))
    return result


def _like(value: Any, pattern: Any) -> bool:
    """``%`` stands for any characters, ``_`` for one."""
    pieces = []
    for piece in _LIKE.findall(text(pattern)):
        pieces.append({"%": ".*", "_": "."}.get(piece) or re.escape(piece))
    return _pattern("(?s)" + "".join(pieces)).full_match(text(value))


def _pattern(pattern: Any) -> Pattern:
    try:
        return Pattern(text(pattern))
    except InvalidPattern:
        raise EvaluationError("the pattern is not a valid RE2 expression") from None


def _substring(value: Any, position: Any, length: Any = None) -> Any:
    expect(value, (str, bytes), "a string")
    start = integer(position)
    start = max(0, len(value) + start) if start < 0 else start
    if length is None:
        return value[start:]
    size = integer(length)
    if size < 0:
        raise EvaluationError("a length must not be negative")
    return value[start : start + size]


def _trim(left: bool, right: bool) -> Callable[..., Any]:
    def body(value: Any, characters: Any = None) -> Any:
        expect(value, (str, bytes), "a string")
        if characters is not None:
            _alike(value, characters)
        elif isinstance(value, bytes):
            characters = _SPACE
        if left:
            value = value.lstrip(characters)
        return value.rstrip(characters) if right else value

    return body


def _reverse(value: Any) -> Any:
    return expect(value, (str, bytes), "a string")[::-1]


def _repeat(value: Any, times: Any) -> Any:
    count = integer(times)
    if count < 0:
        raise EvaluationError("a string cannot be repeated a negative number of times")
    if len(expect(value, (str, bytes), "a string")) * count > MAX_TEXT:
        raise EvaluationError(f"the result would be longer than {MAX_TEXT}")
    return value * count


def _replace(most: int) -> Callable[[Any, Any, Any], Any]:
    def body(value: Any, old: Any, new: Any) -> Any:
        value, old, new = _alike(value, old, new)
        if not old:
            return value
        found = min(value.count(old), most) if most >= 0 else value.count(old)
        if len(value) + found * (len(new) - len(old)) > MAX_TEXT:
            raise EvaluationError(f"the result would be longer than {MAX_TEXT}")
        return value.replace(old, new, most)

    return body


def _index_of(value: Any, searched: Any) -> int:
    value, searched = _alike(value, searched)
    return int(value.find(searched))


def _split(value: Any, delimiter: Any) -> list[Any]:
    value, delimiter = _alike(value, delimiter)
    if delimiter:
        return list(value.split(delimiter))
    return [value[at : at + 1] for at in range(len(value))]


def _join(array: Any, delimiter: Any) -> str:
    pieces = [text(each) for each in expect(array, list, "an array") if each is not None]
    size = sum(map(len, pieces)) + len(text(delimiter)) * len(pieces)
    if size > MAX_TEXT:
        raise EvaluationError(f"the result would be longer than {MAX_TEXT}")
    return str(delimiter).join(pieces)


def _char_length(value: Any) -> int:
    return len(text(value))


def _byte_length(value: Any) -> int:
    given = expect(value, (str, bytes), "a string or bytes")
    return len(given.encode()) if isinstance(given, str) else len(given)


def _within(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, searched: test(text(value), text(searched))


def _regex_find(value: Any, pattern: Any) -> str | None:
    return next(_pattern(pattern).find_all(text(value)), None)


def _regex_find_all(value: Any, pattern: Any) -> list[str]:
    return list(_pattern(pattern).find_all(text(value)))


FUNCTIONS: dict[str, Function] = {
    "string_concat": strict(_string_concat, 1, None),
    "concat": strict(concat, 2, None),
    "like": strict(_like, 2),
    "regex_contains": strict(lambda value, pattern: _pattern(pattern).search(text(value)), 2),
    "regex_match": strict(lambda value, pattern: _pattern(pattern).full_match(text(value)), 2),
    "regex_find": strict(_regex_find, 2),
    "regex_find_all": strict(_regex_find_all, 2),
    "string_contains": strict(_within(lambda value, searched: searched in value), 2),
    "starts_with": strict(_within(str.startswith), 2),
    "ends_with": strict(_within(str.endswith), 2),
    "to_lower": strict(lambda value: text(value).lower(), 1),
    "to_upper": strict(lambda value: text(value).upper(), 1),
    "trim": strict(_trim(True, True), 1, 2),
    "ltrim": strict(_trim(True, False), 1, 2),
    "rtrim": strict(_trim(False, True), 1, 2),
    "string_reverse": strict(_reverse, 1),
    "substring": strict(_substring, 2, 3),
    "string_repeat": strict(_repeat, 2),
    "string_replace_all": strict(_replace(-1), 3),
    "string_replace_one": strict(_replace(1), 3),
    "string_index_of": strict(_index_of, 2),
    "split": strict(_split, 2),
    "join": strict(_join, 2),
    "char_length": strict(_char_length, 1),
    "byte_length": strict(_byte_length, 1),
}
