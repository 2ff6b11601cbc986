"""The expressions of the dialect: a small part of JavaScript's, with its precedence."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NoReturn

from rules import tree
from rules.expressions import ExpressionParser, Token, strengths
from rules.json_dialect.file_format import Text
from rules.source import Source, Span

MAX_EXPRESSION_DEPTH = 60
_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
    | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<op>===|!==|==|!=|<=|>=|&&|\|\||[-+*/%!<>?:.,()\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/((?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)/([a-z]*)")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_LEVELS = (
    ("||",),
    ("&&",),
    ("==", "!=", "===", "!=="),
    ("<", "<=", ">", ">="),
    ("+", "-"),
    ("*", "/", "%"),
)
_SAME = {"===": "==", "!==": "!="}


class JsonExpressionParser(ExpressionParser):
    """Parses the text of one rule. Tokens have their places in the file, through the text's offsets."""

    STRENGTHS = strengths(_LEVELS)
    MAX_DEPTH = MAX_EXPRESSION_DEPTH
    TRAILING_COMMAS = False

    def __init__(self, source: Source, text: Text) -> None:
        self.source = source
        self._text = text.value
        self._offsets = text.offsets
        self._scanned = 0
        self._token_at = 0
        super().__init__(source)

    def parse(self) -> tree.Expr:
        node = self.expression()
        if self.token.kind != "end":
            self._unexpected("the end")
        return node

    def _unexpected(self, expected: str) -> NoReturn:
        shown = f"'{self.token.text}'" if self.token.text else "the end of the rule"
        self._fail(f"Parse error: unexpected {shown}.")

    def _span(self, start: int, end: int) -> Span:
        """A place in the file, from one in the rule."""
        return Span(self._offsets[start], self._offsets[end])

    def _next(self) -> Token:
        while self._scanned < len(self._text):
            found = _TOKEN.match(self._text, self._scanned)
            if found is None:
                place = self._span(self._scanned, self._scanned + 1)
                self._fail("Parse error: unexpected character.", place)
            self._token_at, self._scanned = found.span()
            if found.lastgroup != "space":
                return Token(found.lastgroup or "", found.group(), *self._span(*found.span()))
        size = len(self._text)
        return Token("end", "", *self._span(size, size))

    def _operation(self, op: str, left: tree.Expr) -> tree.Expr:
        node = super()._operation(op, left)
        assert isinstance(node, tree.Binary)
        return replace(node, op=_SAME.get(op, op))

    def _primary(self) -> tree.Expr:
        token = self.token
        if token.kind == "number":
            self._advance()
            return tree.Literal(token.span, 1, float(token.text))
        if token.kind == "string":
            self._advance()
            return tree.Literal(token.span, 1, _unquoted(token.text))
        if token.kind == "name":
            constant = self._constant()
            return constant or tree.Name(self._advance().span, 1, token.text)
        if self._at("/"):
            return self._regex()
        if self._at("("):
            return self._paren()
        if not self._at("["):
            self._unexpected("an expression")
        return self._list()

    def _regex(self) -> tree.Expr:
        start = self._token_at
        found = _REGEX.match(self._text, start)
        if found is None:
            self._unexpected("a regular expression")
        if found.group(2) not in ("", "i"):
            self._fail("A regular expression takes no flag but i.", self._span(*found.span(2)))
        self._scanned = found.end()
        self.token = self._next()
        span = self._span(start, found.end())
        return tree.RegexLiteral(span, 1, found.group(1), found.group(2) == "i")


def _unquoted(text: str) -> str:
    def character(found: re.Match[str]) -> str:
        code = found.group(1) or found.group(2)
        if code:
            return chr(int(code, 16))
        return _ESCAPES.get(found.group(3), found.group(3))

    return _ESCAPE.sub(character, text[1:-1])
