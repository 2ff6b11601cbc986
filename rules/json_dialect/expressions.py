"""The expressions of the dialect: a small part of JavaScript's, with its precedence."""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from rules import tree
from rules.errors import RulesCompileError
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
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("==", "!=", "===", "!=="),
    ("<", "<=", ">", ">="),
    ("+", "-"),
    ("*", "/", "%"),
)
_STRENGTH = {op: level for level, ops in enumerate(_LEVELS) for op in ops}


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class ExpressionParser:
    """Parses the text of one rule. Spans are of the file, through the text's offsets."""

    def __init__(self, source: Source, text: Text) -> None:
        self._source = source
        self._text = text.value
        self._offsets = text.offsets
        self._at = 0
        self._depth = 0
        self._token = self._next()

    def parse(self) -> tree.Expr:
        node = self._expression()
        if self._token.kind != "end":
            self._unexpected()
        return node

    def _fail(self, message: str, start: int, end: int) -> NoReturn:
        issue = self._source.issue("ERROR", message, self._span(start, end))
        raise RulesCompileError([issue], self._source)

    def _unexpected(self) -> NoReturn:
        token = self._token
        shown = f"'{token.text}'" if token.text else "the end of the rule"
        self._fail(f"Parse error: unexpected {shown}.", token.start, token.end)

    def _span(self, start: int, end: int) -> Span:
        return Span(self._offsets[start], self._offsets[end])

    def _next(self) -> Token:
        while self._at < len(self._text):
            found = _TOKEN.match(self._text, self._at)
            if found is None:
                self._fail("Parse error: unexpected character.", self._at, self._at + 1)
            self._at = found.end()
            if found.lastgroup != "space":
                return Token(found.lastgroup or "", found.group(), found.start(), found.end())
        return Token("end", "", len(self._text), len(self._text))

    def _advance(self) -> Token:
        token, self._token = self._token, self._next()
        return token

    def _is(self, text: str) -> bool:
        return self._token.kind == "op" and self._token.text == text

    def _accept(self, text: str) -> bool:
        if self._is(text):
            self._advance()
            return True
        return False

    def _expect(self, text: str) -> Token:
        if not self._is(text):
            self._unexpected()
        return self._advance()

    def _nest(self, span: Span, *parts: tree.Expr) -> int:
        depth = 1 + max((part.depth for part in parts), default=0)
        if depth > MAX_EXPRESSION_DEPTH:
            message = "The expression is nested too deeply."
            raise RulesCompileError([self._source.issue("ERROR", message, span)], self._source)
        return depth

    def _expression(self) -> tree.Expr:
        self._depth += 1
        if self._depth > MAX_EXPRESSION_DEPTH:
            self._fail("The expression is nested too deeply.", self._token.start, self._token.end)
        node = self._binary(0)
        if self._accept("?"):
            then = self._expression()
            self._expect(":")
            otherwise = self._expression()
            span = Span(node.span.start, otherwise.span.end)
            node = tree.Ternary(
                span, self._nest(span, node, then, otherwise), node, then, otherwise
            )
        self._depth -= 1
        return node

    def _operator(self, level: int) -> str | None:
        if self._token.kind != "op":
            return None
        strength = _STRENGTH.get(self._token.text)
        return self._token.text if strength is not None and strength >= level else None

    def _binary(self, level: int) -> tree.Expr:
        left = self._unary()
        while (op := self._operator(level)) is not None:
            if op in ("&&", "||"):
                left = self._logical(op, level, left)
                continue
            self._advance()
            right = self._binary(_STRENGTH[op] + 1)
            span = Span(left.span.start, right.span.end)
            name = {"===": "==", "!==": "!="}.get(op, op)
            left = tree.Binary(span, self._nest(span, left, right), name, left, right)
        return left

    def _logical(self, op: str, level: int, first: tree.Expr) -> tree.Expr:
        operands = [first]
        while self._operator(level) == op:
            self._advance()
            operands.append(self._binary(_STRENGTH[op] + 1))
        span = Span(first.span.start, operands[-1].span.end)
        return tree.Logical(span, self._nest(span, *operands), op, tuple(operands))

    def _unary(self) -> tree.Expr:
        prefixes: list[Token] = []
        while self._is("!") or self._is("-"):
            prefixes.append(self._advance())
        node = self._postfix(self._primary())
        for prefix in reversed(prefixes):
            span = Span(self._offsets[prefix.start], node.span.end)
            node = tree.Unary(span, self._nest(span, node), prefix.text, node)
        return node

    def _postfix(self, node: tree.Expr) -> tree.Expr:
        while True:
            if self._accept("."):
                node = self._member(node)
            elif self._accept("["):
                key = self._expression()
                span = Span(node.span.start, self._offsets[self._expect("]").end])
                node = tree.Index(span, self._nest(span, node, key), node, key)
            else:
                return node

    def _member(self, receiver: tree.Expr) -> tree.Expr:
        if self._token.kind != "name":
            self._unexpected()
        name = self._advance()
        if not self._is("("):
            span = Span(receiver.span.start, self._offsets[name.end])
            return tree.Member(span, self._nest(span, receiver), receiver, name.text)
        args, end = self._arguments()
        span = Span(receiver.span.start, end)
        return tree.MethodCall(span, self._nest(span, receiver, *args), receiver, name.text, args)

    def _arguments(self) -> tuple[tuple[tree.Expr, ...], int]:
        self._expect("(")
        args: list[tree.Expr] = []
        while not self._is(")"):
            if args:
                self._expect(",")
            args.append(self._expression())
        return tuple(args), self._offsets[self._advance().end]

    def _primary(self) -> tree.Expr:
        token = self._token
        span = self._span(token.start, token.end)
        if token.kind == "number":
            self._advance()
            return tree.Literal(span, 1, float(token.text))
        if token.kind == "string":
            self._advance()
            return tree.Literal(span, 1, self._unquote(token))
        if token.kind == "name":
            self._advance()
            constants = {"true": True, "false": False, "null": None}
            if token.text in constants:
                return tree.Literal(span, 1, constants[token.text])
            return tree.Name(span, 1, token.text)
        if self._is("/"):
            return self._regex()
        if self._accept("("):
            inner = self._expression()
            whole = Span(span.start, self._offsets[self._expect(")").end])
            return tree.Paren(whole, self._nest(whole, inner), inner)
        if not self._accept("["):
            self._unexpected()
        return self._list(span.start)

    def _list(self, start: int) -> tree.Expr:
        items: list[tree.Expr] = []
        while not self._is("]"):
            if items:
                self._expect(",")
            items.append(self._expression())
        span = Span(start, self._offsets[self._advance().end])
        return tree.ListLiteral(span, self._nest(span, *items), tuple(items))

    def _regex(self) -> tree.Expr:
        start = self._token.start
        found = _REGEX.match(self._text, start)
        if found is None:
            self._unexpected()
        if found.group(2) not in ("", "i"):
            self._fail("A regular expression takes no flag but i.", found.start(2), found.end(2))
        self._at = found.end()
        self._token = self._next()
        span = self._span(start, found.end())
        return tree.RegexLiteral(span, 1, found.group(1), found.group(2) == "i")

    def _unquote(self, token: Token) -> str:
        def replace(found: re.Match[str]) -> str:
            code = found.group(1) or found.group(2)
            if code:
                return chr(int(code, 16))
            return _ESCAPES.get(found.group(3), found.group(3))

        return _ESCAPE.sub(replace, token.text[1:-1])
