"""From the dialect's tree to closures. Unlike the other language, an error is never absorbed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from rules import tree
from rules.errors import EvaluationError
from rules.json_dialect.snapshots import OPAQUE, Opaque, Snapshot, View, scalar
from rules.json_dialect.typing_rules import translate_regex
from rules.regex import Pattern
from rules.runtime import Tracer
from rules.types import Value, is_map
from rules.types.equality import utf16_key

MAX_STRING = 1 << 20


class JsonRuntime:
    """What one rule sees. `owner`: the path of the node that the rule stands at."""

    __slots__ = ("after", "auth", "before", "now", "owner", "query", "tracer", "variables")

    def __init__(
        self,
        auth: Value,
        now: float,
        before: View,
        after: View | None,
        query: Mapping[str, Value],
        tracer: Tracer | None,
    ) -> None:
        self.auth = auth
        self.now = now
        self.before = before
        self.after = after
        self.query = query
        self.tracer = tracer
        self.owner: tuple[str, ...] = ()
        self.variables: Mapping[str, str] = {}


JsonCode = Callable[[JsonRuntime], Any]


def compile_expression(node: tree.Expr, instrument: bool) -> JsonCode:
    run = _dispatch(node, instrument)
    return _traced(node, run) if instrument else run


def _traced(node: tree.Expr, run: JsonCode) -> JsonCode:
    def traced(rt: JsonRuntime) -> Value:
        try:
            value = run(rt)
        except EvaluationError as error:
            if rt.tracer is not None:
                rt.tracer.error(node, error)
            raise
        if rt.tracer is not None:
            rt.tracer.value(node, _shown(value))
        return value

    return traced


def _shown(value: Value) -> Value:
    """Snapshots and inner nodes as text: reports show places, never contents."""
    if isinstance(value, Snapshot):
        return f"<{'/' + '/'.join(value.path)}>"
    return repr(value) if isinstance(value, (Opaque, Pattern)) else value


def _dispatch(node: tree.Expr, instrument: bool) -> JsonCode:
    def sub(part: tree.Expr) -> JsonCode:
        return compile_expression(part, instrument)

    match node:
        case tree.Literal(value=value):
            return lambda rt: value
        case tree.Paren(inner=inner):
            return sub(inner)
        case tree.Name(name=name):
            return _name(name)
        case tree.Logical(op=op, operands=operands):
            return _logical(op, tuple(sub(one) for one in operands))
        case tree.Unary(op="!", operand=operand):
            return _not(sub(operand))
        case tree.Unary(operand=operand):
            return _negative(sub(operand))
        case tree.Binary(op=op, left=left, right=right):
            return _binary(op, sub(left), sub(right))
        case tree.Ternary(condition=condition, then=then, otherwise=otherwise):
            return _ternary(sub(condition), sub(then), sub(otherwise))
        case tree.Member(receiver=receiver, name=name):
            return _member(sub(receiver), name)
        case tree.Index(receiver=receiver, index=key):
            return _index(sub(receiver), sub(key))
        case tree.MethodCall():
            return _method(node, sub)
    raise TypeError(f"not an expression of the JSON dialect: {type(node).__name__}")


def _name(name: str) -> JsonCode:
    if name == "auth":
        return lambda rt: rt.auth
    if name == "now":
        return lambda rt: rt.now
    if name == "root":
        return lambda rt: Snapshot(rt.before, ())
    if name == "data":
        return lambda rt: Snapshot(rt.before, rt.owner)
    if name == "newData":
        return _new_data
    if name == "query":
        return lambda rt: rt.query
    return lambda rt: rt.variables[name]


def _new_data(rt: JsonRuntime) -> Value:
    if rt.after is None:
        raise EvaluationError("newData is not known in a read.")
    return Snapshot(rt.after, rt.owner)


def _bool(value: Value) -> bool:
    if value is True or value is False:
        return bool(value)
    raise EvaluationError("A boolean was expected.")


def _logical(op: str, operands: tuple[JsonCode, ...]) -> JsonCode:
    ends = op == "||"

    def run(rt: JsonRuntime) -> Value:
        for operand in operands:
            if _bool(operand(rt)) is ends:
                return ends
        return not ends

    return run


def _not(operand: JsonCode) -> JsonCode:
    return lambda rt: not _bool(operand(rt))


def _negative(operand: JsonCode) -> JsonCode:
    return lambda rt: -_number(operand(rt))


def _ternary(condition: JsonCode, then: JsonCode, otherwise: JsonCode) -> JsonCode:
    return lambda rt: then(rt) if _bool(condition(rt)) else otherwise(rt)


def _number(value: Value) -> float:
    if isinstance(value, float):
        return value
    raise EvaluationError("A number was expected.")


def strictly_equal(left: Value, right: Value) -> bool:
    """`==`: same type and same value. Inner nodes equal nothing."""
    return type(left) is type(right) and left is not OPAQUE and bool(left == right)


def _binary(op: str, left: JsonCode, right: JsonCode) -> JsonCode:
    if op == "==":
        return lambda rt: strictly_equal(left(rt), right(rt))
    if op == "!=":
        return lambda rt: not strictly_equal(left(rt), right(rt))
    if op == "+":
        return lambda rt: _add(left(rt), right(rt))
    if op in _ARITHMETIC:
        arithmetic = _ARITHMETIC[op]
        return lambda rt: arithmetic(_number(left(rt)), _number(right(rt)))
    return lambda rt: _compare(op, left(rt), right(rt))


def _add(left: Value, right: Value) -> Value:
    if isinstance(left, float) and isinstance(right, float):
        return left + right
    if isinstance(left, (float, str)) and isinstance(right, (float, str)):
        joined = _text(left) + _text(right)
        if len(joined) > MAX_STRING:
            raise EvaluationError("The string is too long.")
        return joined
    raise EvaluationError("'+' takes numbers and strings.")


def _text(value: float | str) -> str:
    """A number as JavaScript writes it."""
    if isinstance(value, str):
        return value
    if value != value or math.isinf(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if value == math.floor(value) and abs(value) < 1e21:
        return str(int(value))
    mantissa, e, exponent = repr(value).partition("e")
    if not e:
        return mantissa
    if -7 <= int(exponent) < 0:
        return f"{value:.20f}".rstrip("0") if value else "0"
    return f"{mantissa.removesuffix('.0')}e{'+' if int(exponent) > 0 else ''}{int(exponent)}"


def _divide(left: float, right: float) -> float:
    if right != 0:
        return left / right
    if left == 0 or left != left:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def _modulo(left: float, right: float) -> float:
    if right == 0 or math.isinf(left) or left != left or right != right:
        return math.nan
    return math.fmod(left, right)


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": _modulo,
}


def _compare(op: str, left: Value, right: Value) -> bool:
    """Two numbers or two strings; null compares false with anything."""
    if left is None or right is None:
        return False
    if isinstance(left, str) and isinstance(right, str):
        left, right = utf16_key(left), utf16_key(right)
    elif not (isinstance(left, float) and isinstance(right, float)):
        raise EvaluationError(f"'{op}' needs two numbers or two strings.")
    if op == "<":
        return bool(left < right)
    if op == "<=":
        return bool(left <= right)
    return bool(left > right) if op == ">" else bool(left >= right)


def _member(receiver: JsonCode, name: str) -> JsonCode:
    def run(rt: JsonRuntime) -> Value:
        value = receiver(rt)
        if name == "length" and isinstance(value, str):
            return float(len(value.encode("utf-16-be", "surrogatepass")) // 2)
        return _own(value, name)

    return run


def _own(value: Value, name: str) -> Value:
    """A member of a map; null when there is none, whatever the value is."""
    if not is_map(value):
        return None
    found = value.get(name)
    return found if is_map(found) else scalar(found)


def _index(receiver: JsonCode, key: JsonCode) -> JsonCode:
    def run(rt: JsonRuntime) -> Value:
        value = receiver(rt)
        name = key(rt)
        if not isinstance(name, str):
            raise EvaluationError("A key must be a string.")
        return _own(value, name)

    return run


def _string(value: Value) -> str:
    if isinstance(value, str):
        return value
    raise EvaluationError("A string was expected.")


def _snapshot(value: Value) -> Snapshot:
    if isinstance(value, Snapshot):
        return value
    raise EvaluationError("A snapshot was expected.")


_SNAPSHOT: dict[str, Callable[[Snapshot], Value]] = {
    "val": Snapshot.val,
    "parent": Snapshot.parent,
    "exists": Snapshot.exists,
    "isString": lambda s: isinstance(s.val(), str),
    "isNumber": lambda s: isinstance(s.val(), float),
    "isBoolean": lambda s: isinstance(s.val(), bool),
    "getPriority": lambda s: None,
}
_TEXT: dict[str, Callable[[str, str], Value]] = {
    "contains": lambda s, part: part in s,
    "beginsWith": lambda s, part: s.startswith(part),
    "endsWith": lambda s, part: s.endswith(part),
}


def _method(node: tree.MethodCall, sub: Callable[[tree.Expr], JsonCode]) -> JsonCode:
    name = node.name
    receiver = sub(node.receiver)
    if name in _SNAPSHOT:
        run = _SNAPSHOT[name]
        return lambda rt: run(_snapshot(receiver(rt)))
    if name == "hasChildren":
        return _has_children(node, receiver)
    if name == "matches":
        return _matches(node, receiver)
    args = tuple(sub(arg) for arg in node.args)
    if name == "child":
        return lambda rt: _snapshot(receiver(rt)).child(_string(args[0](rt)))
    if name == "hasChild":
        return lambda rt: _snapshot(receiver(rt)).child(_string(args[0](rt))).exists()
    if name in _TEXT:
        test = _TEXT[name]
        return lambda rt: test(_string(receiver(rt)), _string(args[0](rt)))
    if name == "toLowerCase":
        return lambda rt: _string(receiver(rt)).lower()
    if name == "toUpperCase":
        return lambda rt: _string(receiver(rt)).upper()
    if name == "replace":
        return lambda rt: _replace(*(_string(part(rt)) for part in (receiver, *args)))
    raise TypeError(f"unchecked method {name}")


def _replace(text: str, old: str, new: str) -> str:
    if len(text) + text.count(old) * len(new) > MAX_STRING:
        raise EvaluationError("The string is too long.")
    return text.replace(old, new) if old else text


def _has_children(node: tree.MethodCall, receiver: JsonCode) -> JsonCode:
    names: tuple[str, ...] = ()
    if node.args and isinstance(node.args[0], tree.ListLiteral):
        names = tuple(k.value for k in node.args[0].items if isinstance(k, tree.Literal))
    return lambda rt: _snapshot(receiver(rt)).has_children(names)


def _matches(node: tree.MethodCall, receiver: JsonCode) -> JsonCode:
    literal = node.args[0]
    if not isinstance(literal, tree.RegexLiteral):
        raise TypeError("unchecked argument of matches")
    pattern = translate_regex(literal)

    def run(rt: JsonRuntime) -> Value:
        text = _string(receiver(rt))
        try:
            return pattern.search(text)
        except UnicodeError as error:
            raise EvaluationError("The string is not well-formed Unicode.") from error

    return run
