"""Tokens of the rules language, made on demand because `/` means a path or a division by what follows it.

Their kinds: int, float, string, bytes, name, op, path (a `/` glued to a segment) and end.
"""

from __future__ import annotations

import re
from typing import NoReturn

from rules.errors import RulesCompileError
from rules.expressions import Token
from rules.source import Source, Span

_TOKEN = re.compile(
    r"""
      (?P<space>(?:[ \t\r\n\f\v\ufeff]+|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)+)
    | (?P<float>[0-9]+\.[0-9]*|\.[0-9]+)
    | (?P<int>[0-9]+)
    | (?P<bytes>b(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
    | (?P<path>/(?=[A-Za-z0-9_\-.~%@+!({]|\$\())
    | (?P<op>\+\+|--|&&|\|\||[=!<>]=|[-+*/%!<>?:.,;=(){}\[\]])
    """,
    re.VERBOSE,
)
# A segment of a path in an expression; `(default)` may stand in it whole.
PATH_SEGMENT = re.compile(r"(?:[A-Za-z0-9_\-.~%@+!]|\([A-Za-z0-9_\-]+\))+")
MATCH_SEGMENT = re.compile(
    r"\{\s*(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*(?P<glob>=\s*\*\*)?\s*\}"
    r"|(?P<literal>(?:[A-Za-z0-9_\-.~%@+!*:$&,]|\([A-Za-z0-9_\-]+\))+)"
)
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t", "/": "/", "`": "`"}
_ESCAPES |= {"b": "\b", "f": "\f", "0": "\0"}
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


class Lexer:
    """Reads tokens from a position; the parser may move the position to scan a path by hand."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.position = 0

    def fail(self, message: str, span: Span) -> NoReturn:
        raise RulesCompileError([self.source.issue("ERROR", message, span)], self.source)

    def next(self) -> Token:
        text = self.source.text
        while True:
            at = self.position
            if at >= len(text):
                return Token("end", "", len(text), len(text))
            found = _TOKEN.match(text, at)
            if found is None:
                self._fail_at(at)
            self.position = found.end()
            kind = found.lastgroup or ""
            if kind == "space":
                continue
            token = Token(kind, found.group(), at, found.end())
            self._check(token)
            return token

    def _check(self, token: Token) -> None:
        if token.text in ("++", "--"):
            self.fail("Increment (++) and decrement (--) operators are not supported.", token.span)
        if token.kind in ("int", "float"):
            rest = self.source.text[token.end : token.end + 1]
            if rest.isalpha() or rest == "_":
                self.fail(f"Unexpected '{rest}' after a number.", Span(token.end, token.end + 1))

    def _fail_at(self, at: int) -> NoReturn:
        text = self.source.text
        if text.startswith("/*", at):
            self.fail("A comment that begins with /* is never closed.", Span(at, at + 2))
        if text[at] in "'\"":
            self.fail("A string is not closed on its line.", Span(at, at + 1))
        self.fail(f"Unexpected {text[at]!r}.", Span(at, at + 1))

    def unquote(self, token: Token) -> str:
        """The text of a string token. An unknown escape is a compile error."""
        body_start = token.start + (2 if token.kind == "bytes" else 1)
        body = self.source.text[body_start : token.end - 1]
        if "\\" not in body:
            return body

        def replace(found: re.Match[str]) -> str:
            if found.group(1):
                return chr(int(found.group(1), 16))
            known = None
            if found.group(2) and token.kind == "bytes":
                known = chr(int(found.group(2), 16))
            elif found.group(3):
                known = _ESCAPES.get(found.group(3))
            if known is None:
                at = body_start + found.start()
                self.fail(f"Invalid escape sequence {found.group()!r}.", Span(at, at + 2))
            return known

        return _SURROGATE_PAIR.sub(_join_surrogates, _ESCAPE.sub(replace, body))


def _join_surrogates(found: re.Match[str]) -> str:
    return found.group().encode("utf-16-be", "surrogatepass").decode("utf-16-be")
