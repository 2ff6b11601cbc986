"""What the expressions of both languages have in common: precedence climbing with bounded depth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple, NoReturn

from rules import tree
from rules.errors import RulesCompileError
from rules.source import Source, Span

_CONSTANTS = {"true": True, "false": False, "null": None}


class Token(NamedTuple):
    """A token with its place in the file. `kind` is the lexer's own word: "op", "name", "end" and others."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


def strengths(levels: Sequence[Sequence[str]]) -> dict[str, int]:
    """The binding strength of each operator, from levels of equal strength, loosest first."""
    return {op: level for level, ops in enumerate(levels) for op in ops}


class ExpressionParser(ABC):
    """Parses expressions from tokens. The first syntax error ends it with RulesCompileError.

    A language says how tokens are made, which operators it has and what is primary.
    """

    STRENGTHS: ClassVar[Mapping[str, int]]
    MAX_DEPTH: ClassVar[int]
    """Levels of nesting, the innermost operand counted."""
    TRAILING_COMMAS: ClassVar[bool]
    """Whether a list may end with a comma."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.token = self._next()
        self._depth = 0

    @abstractmethod
    def _next(self) -> Token:
        """The token after the present one."""

    @abstractmethod
    def _primary(self) -> tree.Expr:
        """An operand, without what follows it."""

    @abstractmethod
    def _unexpected(self, expected: str) -> NoReturn:
        """Refuse the present token."""

    # --- tokens

    def _fail(self, message: str, span: Span | None = None) -> NoReturn:
        issue = self.source.issue("ERROR", message, span or self.token.span)
        raise RulesCompileError([issue], self.source)

    def _too_deep(self, span: Span) -> NoReturn:
        levels = self.MAX_DEPTH - 1
        self._fail(f"The expression is nested too deeply (at most {levels} levels).", span)

    def _advance(self) -> Token:
        token = self.token
        self.token = self._next()
        return token

    def _at(self, text: str) -> bool:
        return self.token.text == text and self.token.kind in ("op", "name", "path")

    def _accept(self, text: str) -> bool:
        if self._at(text):
            self._advance()
            return True
        return False

    def _expect(self, text: str) -> Token:
        if not self._at(text):
            self._unexpected(f"'{text}'")
        return self._advance()

    # --- operators

    def expression(self) -> tree.Expr:
        """A whole expression; `? :` binds loosest and to the right."""
        self._depth += 1
        if self._depth > self.MAX_DEPTH + 1:
            self._too_deep(self.token.span)
        condition = self._binary(0)
        if self._accept("?"):
            then = self.expression()
            self._expect(":")
            otherwise = self.expression()
            span = Span(condition.span.start, otherwise.span.end)
            depth = self._nest(span, condition, then, otherwise)
            condition = tree.Ternary(span, depth, condition, then, otherwise)
        self._depth -= 1
        return condition

    def _nest(self, span: Span, *parts: tree.Expr) -> int:
        return self._bounded(span, 1 + max((part.depth for part in parts), default=0))

    def _bounded(self, span: Span, depth: int) -> int:
        if depth > self.MAX_DEPTH:
            self._too_deep(span)
        return depth

    def _operator(self, level: int) -> str | None:
        token = self.token
        if token.kind not in ("op", "name"):
            return None
        strength = self.STRENGTHS.get(token.text)
        return token.text if strength is not None and strength >= level else None

    def _binary(self, level: int) -> tree.Expr:
        """Operators at least as strong as `level`, all left-associative."""
        left = self._unary()
        while (op := self._operator(level)) is not None:
            if op in ("&&", "||"):
                left = self._logical(op, level, left)
                continue
            self._advance()
            left = self._operation(op, left)
        return left

    def _operation(self, op: str, left: tree.Expr) -> tree.Expr:
        """What follows a binary operator, and the two put together."""
        right = self._binary(self.STRENGTHS[op] + 1)
        span = Span(left.span.start, right.span.end)
        # A chain nests to the left, as deep as it is long.
        depth = self._bounded(span, 1 + max(left.depth, right.depth + 1))
        return tree.Binary(span, depth, op, left, right)

    def _logical(self, op: str, level: int, first: tree.Expr) -> tree.Expr:
        """A chain of one operator, however long, is one node: chains do not count as nesting."""
        operands = [first]
        while self._operator(level) == op:
            self._advance()
            operands.append(self._binary(self.STRENGTHS[op] + 1))
        span = Span(first.span.start, operands[-1].span.end)
        return tree.Logical(span, self._nest(span, *operands), op, tuple(operands))

    def _unary(self) -> tree.Expr:
        prefixes: list[Token] = []
        while self._at("!") or self._at("-"):
            prefixes.append(self._advance())
        node = self._postfix(self._operand(prefixes))
        for prefix in reversed(prefixes):
            span = Span(prefix.start, node.span.end)
            node = tree.Unary(span, self._nest(span, node), prefix.text, node)
        return node

    def _operand(self, prefixes: list[Token]) -> tree.Expr:
        """What the prefixes are about; it may take the last of them for its own."""
        return self._primary()

    def _postfix(self, node: tree.Expr) -> tree.Expr:
        while self._at(".") or self._at("["):
            node = self._member(node) if self._advance().text == "." else self._index(node)
        return node

    # --- operands

    def _member_name(self) -> Token:
        if self.token.kind != "name":
            self._unexpected("the name of a member")
        return self._advance()

    def _member(self, receiver: tree.Expr) -> tree.Expr:
        name = self._member_name()
        if not self._at("("):
            span = Span(receiver.span.start, name.end)
            return tree.Member(span, self._nest(span, receiver), receiver, name.text)
        args, end = self._arguments()
        span = Span(receiver.span.start, end)
        return tree.MethodCall(span, self._nest(span, receiver, *args), receiver, name.text, args)

    def _index(self, receiver: tree.Expr) -> tree.Expr:
        key = self.expression()
        span = Span(receiver.span.start, self._expect("]").end)
        return tree.Index(span, self._nest(span, receiver, key), receiver, key)

    def _arguments(self) -> tuple[tuple[tree.Expr, ...], int]:
        """The arguments and where their parenthesis ends."""
        self._expect("(")
        args: list[tree.Expr] = []
        while not self._at(")"):
            if args:
                self._expect(",")
            args.append(self.expression())
        return tuple(args), self._advance().end

    def _constant(self) -> tree.Expr | None:
        """`true`, `false` or `null`, if it is one."""
        token = self.token
        if token.text not in _CONSTANTS:
            return None
        self._advance()
        return tree.Literal(token.span, 1, _CONSTANTS[token.text])

    def _paren(self) -> tree.Expr:
        start = self._expect("(").start
        inner = self.expression()
        span = Span(start, self._expect(")").end)
        return tree.Paren(span, self._nest(span, inner), inner)

    def _list(self) -> tree.Expr:
        start = self._expect("[").start
        items: list[tree.Expr] = []
        while not self._at("]"):
            if items:
                self._expect(",")
                if self.TRAILING_COMMAS and self._at("]"):
                    break
            items.append(self.expression())
        span = Span(start, self._advance().end)
        return tree.ListLiteral(span, self._nest(span, *items), tuple(items))
