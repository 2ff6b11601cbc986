"""Closures for what rules are full of, several expressions in one.

Each does what the closures of its parts do together, where the values are the usual ones, and leaves
everything else, values that a query leaves open included, to the general operators. Not for traced code,
which tells of every part.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from rules import tree
from rules.builtins import call_method, compare, contained, member
from rules.closures import null_test
from rules.errors import EvaluationError
from rules.runtime import Compiled, Runtime, Thunk
from rules.scopes import NAMESPACES
from rules.types import DocumentMap, LazyMap, MapDiff, Value
from rules.types.equality import equal
from rules.types.sets import differs

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EXACT = {"string": str, "int": int, "bool": bool, "float": float}
_HAS = frozenset({"hasAll", "hasAny", "hasOnly"})


def constant(value: Value) -> Compiled:
    return lambda rt: value


def constant_of(node: tree.Expr) -> tuple[Value] | None:
    """The value of a literal, wrapped, or of a list or map of literals. None for anything else."""
    match node:
        case tree.Literal(value=value):
            return (value,)
        case tree.Paren(inner=inner):
            return constant_of(inner)
        case tree.ListLiteral(items=items):
            found = [constant_of(item) for item in items]
            return None if None in found else ([one[0] for one in found if one],)
        case tree.MapLiteral(entries=entries):
            return _constant_map(entries)
    return None


def _constant_map(entries: tuple[tuple[tree.Expr, tree.Expr], ...]) -> tuple[Value] | None:
    made: dict[str, Value] = {}
    for key_node, value_node in entries:
        key, value = constant_of(key_node), constant_of(value_node)
        if key is None or value is None or type(key[0]) is not str:
            return None
        made[key[0]] = value[0]
    return (made,)


def is_cheap(node: tree.Expr) -> bool:
    """Whether evaluating this takes next to nothing and asks nobody: names, members and literals."""
    match node:
        case tree.Name():
            return True
        case tree.Member(receiver=receiver):
            return is_cheap(receiver)
        case tree.Paren(inner=inner):
            return is_cheap(inner)
    return constant_of(node) is not None


def local_member(slot: int, name: str) -> Compiled:
    """`x.name` of an argument or variable."""

    def read(rt: Runtime) -> Value:
        frame = rt.locals
        value = frame[slot]
        if type(value) is Thunk:
            value = frame[slot] = value.force(rt)
        kind = type(value)
        if kind is dict or kind is LazyMap:
            try:
                return value[name]
            except KeyError:
                raise EvaluationError(f"Property {name} is undefined on object.") from None
        return member(value, name)

    return read


def field(document: Compiled, name: str) -> Compiled:
    """`resource.data.name`."""

    def read(rt: Runtime) -> Value:
        value = document(rt)
        value = value.data if type(value) is DocumentMap else member(value, "data")
        kind = type(value)
        if kind is dict or kind is LazyMap:
            try:
                return value[name]
            except KeyError:
                raise EvaluationError(f"Property {name} is undefined on object.") from None
        return member(value, name)

    return read


def auth_uid(rt: Runtime) -> Value:
    """`request.auth.uid`."""
    auth = rt.request["auth"]
    return auth["uid"] if type(auth) is dict else member(auth, "uid")


def equals_constant(operand: Compiled, value: Value, wanted: bool) -> Compiled:
    """`x == 'a'` and `x != 'a'` for a string, bool or int."""
    kind = type(value)

    def run(rt: Runtime) -> Value:
        one = operand(rt)
        if type(one) is kind:
            return (one == value) is wanted
        return equal(one, value) is wanted

    return run


def compares_int(op: str, operand: Compiled, bound: int) -> Compiled:
    """`x < 10`."""
    test = _COMPARISONS[op]

    def run(rt: Runtime) -> Value:
        value = operand(rt)
        return test(value, bound) if type(value) is int else compare(op, value, bound)

    return run


def is_exactly(operand: Compiled, name: str, otherwise: Callable[[Value], bool]) -> Compiled:
    """`x is string` and the like, `otherwise` being the general test of a value."""
    wanted = _EXACT.get(name)
    if wanted is None:
        return lambda rt: otherwise(operand(rt))

    def run(rt: Runtime) -> Value:
        value = operand(rt)
        return True if type(value) is wanted else otherwise(value)

    return run


def constant_in(key: str, holder: Compiled) -> Compiled:
    """`'f' in x`."""

    def run(rt: Runtime) -> Value:
        held = holder(rt)
        kind = type(held)
        return key in held if kind is dict or kind is LazyMap else contained(key, held)

    return run


def size_of(receiver: Compiled) -> Compiled:
    """`x.size()`."""

    def run(rt: Runtime) -> Value:
        value = receiver(rt)
        kind = type(value)
        if (kind is str and value.isascii()) or kind is list or kind is dict:
            return len(value)
        return call_method(value, "size", ())

    return run


def get_or_default(key: str, receiver: Compiled, default: Compiled) -> Compiled:
    """`x.get('f', d)`."""

    def run(rt: Runtime) -> Value:
        value = receiver(rt)
        other = default(rt)
        kind = type(value)
        if kind is dict or kind is LazyMap:
            return value.get(key, other)
        return call_method(value, "get", (key, other))

    return run


def keys_have(has: str, receiver: Compiled, wanted: Compiled) -> Compiled:
    """`m.keys().hasAll(l)` and its kin without the sorted list of keys."""

    def run(rt: Runtime) -> Value:
        value = receiver(rt)
        kind = type(value)
        if not (kind is dict or kind is LazyMap):
            keys = call_method(value, "keys", ())
            return call_method(keys, has, (wanted(rt),))
        names = wanted(rt)
        if not _are_names(names):
            return call_method(call_method(value, "keys", ()), has, (names,))
        if has == "hasOnly":
            return all(key in names for key in value)
        if has == "hasAll":
            return all(name in value for name in names)
        return any(name in value for name in names)

    return run


def affected_have(has: str, left: Compiled, right: Compiled, wanted: Compiled) -> Compiled:
    """`a.diff(b).affectedKeys().hasOnly(l)` and its kin: only the keys that can matter are compared."""

    def run(rt: Runtime) -> Value:
        new, old = left(rt), right(rt)
        kind, other = type(new), type(old)
        if not ((kind is dict or kind is LazyMap) and (other is dict or other is LazyMap)):
            affected = call_method(call_method(new, "diff", (old,)), "affectedKeys", ())
            return call_method(affected, has, (wanted(rt),))
        names = wanted(rt)
        if not _are_names(names):
            return call_method(MapDiff(new, old).affected_keys(), has, (names,))
        if has == "hasOnly":
            return _only_these_differ(new, old, names)
        if has == "hasAll":
            return all(differs(new, old, name) for name in names)
        return any(differs(new, old, name) for name in names)

    return run


def _only_these_differ(
    new: Mapping[str, Value], old: Mapping[str, Value], names: list[str]
) -> bool:
    for key in old:
        if key not in names and differs(new, old, key):
            return False
    return all(key in old or key in names for key in new)


def _are_names(value: Value) -> bool:
    return type(value) is list and all(type(one) is str for one in value)


class Fused(NamedTuple):
    """How to make one closure of a call and of calls in its receiver.

    `parts`: the expressions that are left to compile, whose closures `make` takes. `own`: how many
    expressions are one now.
    """

    parts: tuple[tree.Expr, ...]
    make: Callable[..., Compiled]
    own: int


def fused_method(node: tree.MethodCall) -> Fused | None:
    name, args, receiver = node.name, node.args, node.receiver
    if name == "size" and not args:
        return Fused((receiver,), size_of, 1)
    if name == "get" and len(args) == 2:
        key = constant_of(args[0])
        if key is not None and type(key[0]) is str:
            return Fused((receiver, args[1]), partial(get_or_default, key[0]), 2)
    if name in _HAS and len(args) == 1 and isinstance(receiver, tree.MethodCall):
        return _fused_has(receiver, name, args[0])
    return None


def _fused_has(keys: tree.MethodCall, has: str, wanted: tree.Expr) -> Fused | None:
    if keys.args or _is_namespace_name(keys.receiver):
        return None
    if keys.name == "keys":
        return Fused((keys.receiver, wanted), partial(keys_have, has), 2)
    diff = keys.receiver
    if (
        keys.name == "affectedKeys"
        and isinstance(diff, tree.MethodCall)
        and diff.name == "diff"
        and len(diff.args) == 1
        and not _is_namespace_name(diff.receiver)
    ):
        return Fused((diff.receiver, diff.args[0], wanted), partial(affected_have, has), 3)
    return None


def _is_namespace_name(node: tree.Expr) -> bool:
    return isinstance(node, tree.Name) and node.name in NAMESPACES


def fused_binary(node: tree.Binary) -> Callable[[Compiled, Compiled], Compiled] | None:
    """For an operator with a literal beside it: what makes its closure of those of its operands."""
    op = node.op
    left, right = constant_of(node.left), constant_of(node.right)
    if op in ("==", "!=") and right is not None:
        value = right[0]
        if value is None:
            return lambda operand, _: null_test(operand, op == "==")
        if type(value) in (str, bool, int):
            return lambda operand, _: equals_constant(operand, value, op == "==")
    if op in _COMPARISONS and right is not None and type(right[0]) is int:
        bound = right[0]
        return lambda operand, _: compares_int(op, operand, bound)
    if op == "in" and left is not None and type(left[0]) is str:
        key = left[0]
        return lambda _, holder: constant_in(key, holder)
    return None
