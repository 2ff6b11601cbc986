"""Recursive descent over the grammar of protocol section 1, with bounded depth."""

from __future__ import annotations

from typing import NoReturn

from rules import tree
from rules.expressions import ExpressionParser, Token, strengths
from rules.lexer import MATCH_SEGMENT, PATH_SEGMENT, Lexer
from rules.source import Source, Span

MAX_EXPRESSION_DEPTH = 99
"""98 levels around an innermost operand (measured in production)."""
MAX_MATCH_DEPTH = 11
"""The outermost match block and ten nested in it."""
_HARD_MATCH_DEPTH = 50
_RESERVED = frozenset({
    "true", "false", "null", "in", "is", "if", "let", "return", "function", "match", "allow", "service",
})  # fmt: skip
_TYPE_NAMES = frozenset({
    "bool", "bytes", "duration", "float", "int", "latlng", "list", "map", "number", "path", "string",
    "timestamp", "set", "map_diff", "constraint",
})  # fmt: skip
_INT_LIMIT = 2**63

# Binding strength of binary operators, loosest first. Equality binds tighter than `in` and `is`
# (measured on the official emulator: `1 in [1] == true` reads `1 in ([1] == true)`).
_LEVELS = (
    ("||",),
    ("&&",),
    ("in", "is"),
    ("==", "!="),
    ("<", "<=", ">", ">="),
    ("+", "-"),
    ("*", "/", "%"),
)


class Parser(ExpressionParser):
    """Parses one source."""

    STRENGTHS = strengths(_LEVELS)
    MAX_DEPTH = MAX_EXPRESSION_DEPTH
    TRAILING_COMMAS = True

    def __init__(self, source: Source) -> None:
        self.lexer = Lexer(source)
        super().__init__(source)

    # --- tokens

    def _next(self) -> Token:
        return self.lexer.next()

    def _unexpected(self, expected: str) -> NoReturn:
        got = "end of file" if self.token.kind == "end" else f"'{self.token.text}'"
        self._fail(f"Unexpected {got}. Expected {expected}.")

    def _name(self, what: str, reserved_ok: bool = False) -> Token:
        if self.token.kind != "name" or (not reserved_ok and self.token.text in _RESERVED):
            self._unexpected(what)
        return self._advance()

    # --- declarations

    def file(self) -> tree.File:
        result = tree.File(version=self._version())
        while self.token.kind != "end":
            if self._at("function"):
                result.functions.append(self._function())
            elif self._at("service"):
                result.services.append(self._service())
            else:
                self._unexpected("'service' or 'function'")
        return result

    def _version(self) -> int:
        if not self._at("rules_version"):
            return 1
        start = self._advance().start
        self._expect("=")
        if self.token.kind != "string":
            self._unexpected("'1' or '2'")
        token = self._advance()
        text = self.lexer.unquote(token)
        if text not in ("1", "2"):
            self._fail(f"Invalid rules_version '{text}'. Use '1' or '2'.", Span(start, token.end))
        self._accept(";")
        return int(text)

    def _service(self) -> tree.Service:
        start = self._expect("service")
        name = self._name("the name of a service").text
        while self._accept("."):
            name += "." + self._name("the name of a service").text
        service = tree.Service(name, Span(start.start, self.token.end))
        self._expect("{")
        while not self._accept("}"):
            if self._at("function"):
                service.functions.append(self._function())
            elif self._at("match"):
                service.matches.append(self._match(1))
            else:
                self._unexpected("'match', 'function' or '}'")
        return service

    def _match(self, depth: int) -> tree.Match:
        start = self.token
        if depth > _HARD_MATCH_DEPTH:
            self._fail("Match blocks are nested too deeply.")
        path = self._match_path()
        match = tree.Match(path, Span(start.start, self.token.start))
        if depth > MAX_MATCH_DEPTH:
            self._fail("Match blocks may be nested ten deep below the first.", start.span)
        self._expect("{")
        while not self._accept("}"):
            if self._at("function"):
                match.functions.append(self._function())
            elif self._at("match"):
                match.matches.append(self._match(depth + 1))
            elif self._at("allow"):
                match.allows.append(self._allow())
            else:
                self._unexpected("'match', 'allow', 'function' or '}'")
        return match

    def _match_path(self) -> tuple[tree.Segment, ...]:
        self.token = self._after_keyword("match")
        text, at = self.source.text, self.token.start
        segments: list[tree.Segment] = []
        while text.startswith("/", at):
            found = MATCH_SEGMENT.match(text, at + 1)
            if found is None:
                self._fail("Invalid match path segment.", Span(at, at + 1))
            if found.group("name"):
                kind = "glob" if found.group("glob") else "capture"
                segments.append(tree.Segment(kind, found.group("name")))
            else:
                segments.append(tree.Segment("literal", found.group("literal")))
            at = found.end()
        if not segments:
            self._unexpected("a path such as '/users/{userId}'")
        if text[at : at + 1] not in ("", " ", "\t", "\r", "\n", "{", "/"):
            self._fail("A wildcard is a whole segment: put '/' after '}'.", Span(at, at + 1))
        self.lexer.position = at
        self.token = self.lexer.next()
        return tuple(segments)

    def _after_keyword(self, keyword: str) -> Token:
        if not self._at(keyword):
            self._unexpected(f"'{keyword}'")
        return self.lexer.next()

    def _allow(self) -> tree.Allow:
        start = self._expect("allow").start
        tokens = [self._name("a method such as 'read'", reserved_ok=True)]
        while self._accept(","):
            tokens.append(self._name("a method such as 'read'", reserved_ok=True))
        end = tokens[-1].end
        condition = None
        if self._accept(":"):
            self._expect("if")
            condition = self.expression()
            end = condition.span.end
        self._accept(";")
        return tree.Allow(
            tuple(token.text for token in tokens),
            condition,
            Span(start, end),
            tuple(token.span for token in tokens),
        )

    def _function(self) -> tree.Function:
        start = self._expect("function").start
        name = self._name("a function name")
        self._expect("(")
        parameters: list[str] = []
        while not self._accept(")"):
            if parameters:
                self._expect(",")
            parameters.append(self._name("a parameter name").text)
        self._expect("{")
        lets: list[tree.Let] = []
        while self._at("let"):
            lets.append(self._let())
        self._expect("return")
        result = self.expression()
        self._accept(";")
        self._expect("}")
        return tree.Function(
            name.text, tuple(parameters), tuple(lets), result, Span(start, name.end)
        )

    def _let(self) -> tree.Let:
        start = self._expect("let").start
        name = self._name("a variable name")
        self._expect("=")
        value = self.expression()
        self._expect(";")
        return tree.Let(name.text, value, Span(start, name.end))

    # --- expressions

    def _operation(self, op: str, left: tree.Expr) -> tree.Expr:
        return self._type_test(left) if op == "is" else super()._operation(op, left)

    def _type_test(self, left: tree.Expr) -> tree.Expr:
        token = self.token
        if token.kind != "name" or token.text not in _TYPE_NAMES:
            self._fail(f"'{token.text}' is not the name of a type.")
        self._advance()
        span = Span(left.span.start, token.end)
        return tree.TypeTest(span, self._nest(span, left), left, token.text)

    def _operand(self, prefixes: list[Token]) -> tree.Expr:
        """The least integer is a literal, although its absolute value is none."""
        if not (prefixes and prefixes[-1].text == "-" and self._is_minimum()):
            return self._primary()
        minus, digits = prefixes.pop(), self._advance()
        return tree.Literal(Span(minus.start, digits.end), 1, -_INT_LIMIT)

    def _is_minimum(self) -> bool:
        token = self.token
        return token.kind == "int" and len(token.text) < 40 and int(token.text) == _INT_LIMIT

    def _index(self, receiver: tree.Expr) -> tree.Expr:
        index = self.expression()
        if self._accept(":"):
            high = self.expression()
            span = Span(receiver.span.start, self._expect("]").end)
            return tree.Slice(span, self._nest(span, receiver, index, high), receiver, index, high)
        span = Span(receiver.span.start, self._expect("]").end)
        return tree.Index(span, self._nest(span, receiver, index), receiver, index)

    def _primary(self) -> tree.Expr:
        token = self.token
        if token.kind == "name":
            return self._named(token)
        if token.kind == "path":
            return self._path()
        if token.kind in ("int", "float", "string", "bytes"):
            self._advance()
            return tree.Literal(token.span, 1, self._literal(token))
        if self._at("("):
            return self._paren()
        if self._at("["):
            return self._list()
        if token.text != "{":
            self._unexpected("an expression")
        return self._map()

    def _literal(self, token: Token) -> object:
        if token.kind == "string":
            return self.lexer.unquote(token)
        if token.kind == "bytes":
            return self.lexer.unquote(token).encode("utf-8", "surrogatepass")
        if token.kind == "float":
            return float(token.text)
        if len(token.text) > 40 or int(token.text) >= _INT_LIMIT:
            self._fail(f"Invalid number literal {token.text[:40]}.", token.span)
        return int(token.text)

    def _named(self, token: Token) -> tree.Expr:
        constant = self._constant()
        if constant is not None:
            return constant
        if token.text in _RESERVED:
            self._unexpected("an expression")
        self._advance()
        if self._at("("):
            args, end = self._arguments()
            span = Span(token.start, end)
            return tree.Call(span, self._nest(span, *args), token.text, args)
        return tree.Name(token.span, 1, token.text)

    def _map(self) -> tree.Expr:
        start = self._advance().start
        entries: list[tuple[tree.Expr, tree.Expr]] = []
        while not self._at("}"):
            if entries:
                self._expect(",")
                if self._at("}"):
                    break
            key = self._unary()
            self._expect(":")
            entries.append((key, self.expression()))
        span = Span(start, self._advance().end)
        depth = self._nest(span, *(part for entry in entries for part in entry))
        return tree.MapLiteral(span, depth, tuple(entries))

    def _path(self) -> tree.Expr:
        """Scans `/a/$(x)/b` by characters: inside a path, words and dots are not tokens."""
        text, start = self.source.text, self.token.start
        at = start
        segments: list[str | tree.Expr] = []
        while text.startswith("/", at):
            if text.startswith("$(", at + 1):
                self.lexer.position = at + 3
                self.token = self.lexer.next()
                segments.append(self.expression())
                if not self._at(")"):
                    self._unexpected("')'")
                at = self.token.end
                continue
            found = PATH_SEGMENT.match(text, at + 1)
            if found is None:
                self._fail("Invalid path segment.", Span(at, at + 1))
            segments.append(found.group())
            at = found.end()
        self.lexer.position = at
        self.token = self.lexer.next()
        span = Span(start, at)
        parts = [part for part in segments if isinstance(part, tree.Expr)]
        return tree.PathLiteral(span, self._nest(span, *parts), tuple(segments))


def parse(source: Source) -> tree.File:
    """Parse a whole file. Raises RulesCompileError at the first syntax error."""
    return Parser(source).file()
