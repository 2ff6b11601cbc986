"""What is known of expressions from the text alone: constants, types, and how many arguments a call takes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from rules import tree
from rules.builtins import METHODS, NAMESPACE_FUNCTIONS
from rules.types import type_name

_NUMBERS = frozenset({"int", "float"})
_TESTS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})


def bare(node: tree.Expr) -> tree.Expr:
    """The expression within parentheses."""
    while isinstance(node, tree.Paren):
        node = node.inner
    return node


def constant_bool(node: tree.Expr) -> bool | None:
    """The value that a condition always has, whatever the request; None if it has not one."""
    inner = bare(node)
    match inner:
        case tree.Literal(value=bool() as value):
            return value
        case tree.Unary(op="!", operand=operand):
            value_of = constant_bool(operand)
            return None if value_of is None else not value_of
        case tree.Logical(op=op, operands=operands):
            return _constant_chain([constant_bool(operand) for operand in operands], op == "||")
        case tree.Binary(op=("==" | "!=") as op, left=left, right=right):
            equal = _constant_equality(bare(left), bare(right))
            return equal if equal is None or op == "==" else not equal
    return None


def _constant_equality(left: tree.Expr, right: tree.Expr) -> bool | None:
    if not (isinstance(left, tree.Literal) and isinstance(right, tree.Literal)):
        return None
    return bool(left.value == right.value) if type(left.value) is type(right.value) else None


def _constant_chain(values: list[bool | None], ends: bool) -> bool | None:
    if ends in values:
        return ends
    return None if None in values else not ends


def static_type(node: tree.Expr) -> str | None:
    """The type that an expression has if it has a value; None if that is not known."""
    match bare(node):
        case tree.Literal(value=value):
            return type_name(value)
        case tree.ListLiteral():
            return "list"
        case tree.MapLiteral():
            return "map"
        case tree.PathLiteral():
            return "path"
        case tree.TypeTest() | tree.Logical() | tree.Unary(op="!"):
            return "bool"
        case tree.Binary(op=op) if op in _TESTS:
            return "bool"
    return None


def fits(op: str, left: str, right: str) -> bool:
    """Whether an operator takes operands of these types. For `==` and `!=`: whether they can be equal."""
    if left in _NUMBERS and right in _NUMBERS:
        return True
    if op in ("==", "!="):
        return left == right or "null" in (left, right)
    if op == "+" or op in ("<", "<=", ">", ">="):
        return left == right and (left == "string" or (left == "bytes" and op != "+"))
    return False


@lru_cache(maxsize=1)
def method_arities() -> dict[str, frozenset[int]]:
    """How many arguments a method takes, on any type that has it."""
    found: dict[str, set[int]] = {}
    for table in METHODS.values():
        for name, overloads in table.items():
            found.setdefault(name, set()).update(len(one.types) for one in overloads)
    return {name: frozenset(counts) for name, counts in found.items()}


def function_arities(namespace: str, name: str) -> frozenset[int]:
    return frozenset(len(one.types) for one in NAMESPACE_FUNCTIONS[namespace, name])


def expected(counts: Iterable[int]) -> str:
    return " or ".join(map(str, sorted(counts)))


def names_in(root: tree.Expr) -> set[str]:
    """The variables that an expression names."""
    return {node.name for node in tree.walk(root) if isinstance(node, tree.Name)}
