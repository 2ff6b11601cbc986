"""The rules file: JSON with comments, read with the place of every key and value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from rules.errors import RulesCompileError
from rules.source import Source, Span

MAX_DEPTH = 64

_SPACE = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)*")
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Text:
    """A string with the source offset of each of its characters, and of its end."""

    value: str
    offsets: tuple[int, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Entry:
    key: Text
    value: JsonNode


@dataclass(frozen=True, slots=True)
class JsonObject:
    entries: tuple[Entry, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class JsonList:
    items: tuple[JsonNode, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number, true, false or null."""

    value: float | bool | None
    span: Span


JsonNode = JsonObject | JsonList | Scalar | Text


class JsonReader:
    """Reads one file. The first error ends it with RulesCompileError."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._text = source.text
        self._at = 0

    def read(self) -> JsonNode:
        node = self._value(0)
        self._skip()
        if self._at < len(self._text):
            self._fail("text after the end of the rules")
        return node

    def _fail(self, message: str, span: Span | None = None) -> NoReturn:
        place = span or Span(self._at, min(self._at + 1, len(self._text)))
        issue = self._source.issue("ERROR", f"Parse error: {message}.", place)
        raise RulesCompileError([issue], self._source)

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at
        if self._text.startswith("/*", self._at):
            self._fail("a comment that begins with /* is never closed")

    def _peek(self) -> str:
        self._skip()
        return self._text[self._at : self._at + 1]

    def _value(self, depth: int) -> JsonNode:
        if depth > MAX_DEPTH:
            self._fail(f"nested more than {MAX_DEPTH} deep")
        char = self._peek()
        if char == "{":
            return self._object(depth)
        if char == "[":
            return self._list(depth)
        if char == '"':
            return self._string()
        return self._scalar()

    def _object(self, depth: int) -> JsonObject:
        start = self._at
        self._at += 1
        entries: list[Entry] = []
        while self._peek() != "}":
            if entries:
                self._comma()
            if self._peek() != '"':
                self._fail("expected a key in double quotes")
            key = self._string()
            if any(entry.key.value == key.value for entry in entries):
                self._fail(f"duplicate key {key.value!r}", key.span)
            if self._peek() != ":":
                self._fail("expected ':'")
            self._at += 1
            entries.append(Entry(key, self._value(depth + 1)))
        self._at += 1
        return JsonObject(tuple(entries), Span(start, self._at))

    def _list(self, depth: int) -> JsonList:
        start = self._at
        self._at += 1
        items: list[JsonNode] = []
        while self._peek() != "]":
            if items:
                self._comma()
            items.append(self._value(depth + 1))
        self._at += 1
        return JsonList(tuple(items), Span(start, self._at))

    def _comma(self) -> None:
        if self._peek() != ",":
            self._fail("expected ',' or the closing bracket")
        self._at += 1

    def _scalar(self) -> Scalar:
        for word, value in _WORDS.items():
            if self._text.startswith(word, self._at):
                span = Span(self._at, self._at + len(word))
                self._at = span.end
                return Scalar(value, span)
        found = _NUMBER.match(self._text, self._at)
        if found is None:
            self._fail("expected a value")
        self._at = found.end()
        return Scalar(float(found.group()), Span(found.start(), found.end()))

    def _string(self) -> Text:
        found = _STRING.match(self._text, self._at)
        if found is None:
            self._fail("a string is not closed on its line")
        self._at = found.end()
        return self._unquoted(found.start() + 1, found.end() - 1)

    def _unquoted(self, start: int, end: int) -> Text:
        chars: list[str] = []
        offsets: list[int] = []
        at = start
        while at < end:
            offsets.append(at)
            if self._text[at] != "\\":
                chars.append(self._text[at])
                at += 1
                continue
            found = _ESCAPE.match(self._text, at, end)
            if found is None or (found.group(2) and found.group(2) not in _ESCAPES):
                self._fail("invalid escape in a string", Span(at, at + 2))
            code = found.group(1)
            chars.append(chr(int(code, 16)) if code else _ESCAPES[found.group(2)])
            at = found.end()
        offsets.append(end)
        return Text("".join(chars), tuple(offsets), Span(start - 1, end + 1))
