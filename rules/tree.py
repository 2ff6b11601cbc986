"""The checked tree: what the parser makes, every node with its span."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rules.source import Span


@dataclass(frozen=True, slots=True, eq=False)
class Expr:
    """Any expression. `depth` counts the nesting at and below it (chains of && and || count once)."""

    span: Span
    depth: int


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Expr):
    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Name(Expr):
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Paren(Expr):
    inner: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Unary(Expr):
    op: str
    operand: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Expr):
    """Arithmetic, comparison, equality and `in`."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Logical(Expr):
    """A chain of one of `&&`, `||`, flattened from the left."""

    op: str
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Ternary(Expr):
    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True, eq=False)
class TypeTest(Expr):
    operand: Expr
    type_name: str


@dataclass(frozen=True, slots=True, eq=False)
class Member(Expr):
    receiver: Expr
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class MethodCall(Expr):
    """`receiver.name(args)`; a namespace function such as `math.abs(x)` has a `Name` as receiver."""

    receiver: Expr
    name: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Call(Expr):
    name: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Index(Expr):
    receiver: Expr
    index: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Slice(Expr):
    receiver: Expr
    low: Expr
    high: Expr


@dataclass(frozen=True, slots=True, eq=False)
class ListLiteral(Expr):
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MapLiteral(Expr):
    entries: tuple[tuple[Expr, Expr], ...]


@dataclass(frozen=True, slots=True, eq=False)
class PathLiteral(Expr):
    """Segments: text, or an expression from `$(…)`."""

    segments: tuple[str | Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RegexLiteral(Expr):
    """`/…/` of the JSON dialect."""

    pattern: str
    ignore_case: bool


@dataclass(frozen=True, slots=True, eq=False)
class Let:
    name: str
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    name: str
    parameters: tuple[str, ...]
    lets: tuple[Let, ...]
    result: Expr
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Allow:
    """`condition` None: always."""

    methods: tuple[str, ...]
    condition: Expr | None
    span: Span
    method_spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a match path: "literal", "capture" or "glob" (`{x=**}`)."""

    kind: str
    text: str


@dataclass(slots=True, eq=False)
class Match:
    path: tuple[Segment, ...]
    span: Span
    functions: list[Function] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    allows: list[Allow] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Service:
    name: str
    span: Span
    functions: list[Function] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class File:
    """A whole rules file. `version` is 1 or 2."""

    version: int
    functions: list[Function] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)


def children(node: Expr) -> tuple[Expr, ...]:
    """The direct sub-expressions of a node, in source order."""
    match node:
        case Paren(inner=inner):
            return (inner,)
        case Unary(operand=operand) | TypeTest(operand=operand):
            return (operand,)
        case Binary(left=left, right=right):
            return (left, right)
        case Logical(operands=operands):
            return operands
        case Ternary(condition=condition, then=then, otherwise=otherwise):
            return (condition, then, otherwise)
        case Member(receiver=receiver):
            return (receiver,)
        case MethodCall(receiver=receiver, args=args):
            return (receiver, *args)
        case Call(args=args):
            return args
        case Index(receiver=receiver, index=index):
            return (receiver, index)
        case Slice(receiver=receiver, low=low, high=high):
            return (receiver, low, high)
        case ListLiteral(items=items):
            return items
        case MapLiteral(entries=entries):
            return tuple(part for entry in entries for part in entry)
        case PathLiteral(segments=segments):
            return tuple(part for part in segments if isinstance(part, Expr))
    return ()


def walk(node: Expr) -> list[Expr]:
    """The node and everything below it, parents first."""
    found: list[Expr] = []
    todo = [node]
    while todo:
        one = todo.pop()
        found.append(one)
        todo.extend(reversed(children(one)))
    return found
