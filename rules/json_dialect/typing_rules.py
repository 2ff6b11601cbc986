"""What can be known of a rule before it runs: unknown names, wrong operands, wrong arguments."""

from __future__ import annotations

from rules import tree
from rules.errors import Issue, Severity
from rules.regex import InvalidPattern, Pattern
from rules.source import Source, Span

_SNAPSHOTS = frozenset({"root", "data", "newData"})
_SNAPSHOT_METHODS: dict[str, tuple[tuple[str, ...], str]] = {
    "val": ((), "any"),
    "child": (("string",), "snapshot"),
    "parent": ((), "snapshot"),
    "hasChild": (("string",), "bool"),
    "hasChildren": (("list?",), "bool"),
    "exists": ((), "bool"),
    "isString": ((), "bool"),
    "isNumber": ((), "bool"),
    "isBoolean": ((), "bool"),
    "getPriority": ((), "any"),
}
_STRING_METHODS: dict[str, tuple[tuple[str, ...], str]] = {
    "contains": (("string",), "bool"),
    "beginsWith": (("string",), "bool"),
    "endsWith": (("string",), "bool"),
    "replace": (("string", "string"), "string"),
    "toLowerCase": ((), "string"),
    "toUpperCase": ((), "string"),
    "matches": (("regex",), "bool"),
}
_QUERY_TYPES = {
    "orderByKey": "bool",
    "orderByValue": "bool",
    "orderByPriority": "bool",
    "orderByChild": "any",
    "startAt": "any",
    "endAt": "any",
    "equalTo": "any",
    "limitToFirst": "any",
    "limitToLast": "any",
}


class TypeChecker:
    """Types are bool, number, string, null, any, snapshot, map, query, list and regex."""

    def __init__(self, source: Source, kind: str, variables: frozenset[str]) -> None:
        self._source = source
        self._kind = kind
        self._variables = variables
        self.issues: list[Issue] = []

    def check(self, root: tree.Expr) -> None:
        result = self._type(root)
        if result not in ("bool", "any"):
            self._error(f"A rule must be a boolean, not {result}.", root.span)
        elif result == "any":
            self._add("WARNING", "The rule grants only where this is exactly true.", root.span)

    def _add(self, severity: Severity, message: str, span: Span) -> None:
        self.issues.append(self._source.issue(severity, message, span))

    def _error(self, message: str, span: Span) -> str:
        self._add("ERROR", message, span)
        return "any"

    def _type(self, node: tree.Expr) -> str:
        match node:
            case tree.Literal(value=value):
                names = {bool: "bool", float: "number", str: "string", type(None): "null"}
                return names[type(value)]
            case tree.Paren(inner=inner):
                return self._type(inner)
            case tree.Name():
                return self._name(node)
            case tree.Logical():
                for operand in node.operands:
                    self._bool(operand, f"An operand of {node.op}")
                return "bool"
            case tree.Unary(op="!"):
                self._bool(node.operand, "The operand of !")
                return "bool"
            case tree.Unary():
                return self._number(node.operand, "-")
            case tree.Binary():
                return self._binary(node)
            case tree.Ternary():
                self._bool(node.condition, "The condition of ?:")
                then, otherwise = self._type(node.then), self._type(node.otherwise)
                return then if then == otherwise else "any"
            case tree.Member():
                return self._member(node)
            case tree.Index():
                return self._index(node)
            case tree.MethodCall():
                return self._method(node)
            case tree.RegexLiteral():
                return self._regex(node)
            case tree.ListLiteral():
                return self._error("A list may only be the argument of hasChildren.", node.span)
        return self._error("This expression is not known here.", node.span)

    def _name(self, node: tree.Name) -> str:
        name = node.name
        if name in _SNAPSHOTS:
            if name == "newData" and self._kind == ".read":
                return self._error("newData is not known in .read.", node.span)
            return "snapshot"
        if name == "query":
            if self._kind != ".read":
                return self._error(f"query is not known in {self._kind}.", node.span)
            return "query"
        known = {"auth": "any", "now": "number"}.get(name)
        if known:
            return known
        if name in self._variables:
            return "string"
        return self._error(f"Unknown variable '{name}'.", node.span)

    def _bool(self, node: tree.Expr, what: str) -> None:
        kind = self._type(node)
        if kind != "bool":
            self._error(
                f"{what} must be boolean, not {kind}: compare it, as in '== true'.", node.span
            )

    def _number(self, node: tree.Expr, op: str) -> str:
        kind = self._type(node)
        if kind not in ("number", "any"):
            self._error(f"'{op}' takes numbers, not {kind}.", node.span)
        return "number"

    def _binary(self, node: tree.Binary) -> str:
        op = node.op
        if op in ("-", "*", "/", "%"):
            self._number(node.left, op)
            return self._number(node.right, op)
        left, right = self._type(node.left), self._type(node.right)
        for side, kind in ((node.left, left), (node.right, right)):
            if kind in ("snapshot", "list", "regex", "query"):
                self._error(f"'{op}' does not take a {kind}: did you mean .val()?", side.span)
        if op in ("==", "!="):
            return "bool"
        ordered = ("number", "string", "any") if op == "+" else ("number", "string", "null", "any")
        for side, kind in ((node.left, left), (node.right, right)):
            if kind not in (*ordered, "snapshot", "list", "regex", "query"):
                self._error(f"'{op}' does not take a {kind}.", side.span)
        if op == "+":
            if "string" in (left, right):
                return "string"
            return "number" if left == right == "number" else "any"
        if {left, right} == {"number", "string"}:
            self._error(f"'{op}' needs two numbers or two strings.", node.span)
        return "bool"

    def _member(self, node: tree.Member) -> str:
        kind = self._type(node.receiver)
        if kind == "query":
            found = _QUERY_TYPES.get(node.name)
            return found or self._error(f"query has no '{node.name}'.", node.span)
        if kind == "string" and node.name == "length":
            return "number"
        if kind == "any":
            return "any"
        return self._error(f"A {kind} has no property '{node.name}'.", node.span)

    def _index(self, node: tree.Index) -> str:
        kind = self._type(node.receiver)
        if self._type(node.index) not in ("string", "any", "number"):
            self._error("A key must be a string.", node.index.span)
        if kind != "any":
            return self._error(f"A {kind} cannot be indexed.", node.span)
        return "any"

    def _method(self, node: tree.MethodCall) -> str:
        kind = self._type(node.receiver)
        table = {
            "snapshot": _SNAPSHOT_METHODS,
            "string": _STRING_METHODS,
            "any": _STRING_METHODS,
        }.get(kind)
        signature = table.get(node.name) if table else None
        if signature is None:
            return self._error(f"A {kind} has no method '{node.name}'.", node.span)
        wanted, result = signature
        if wanted == ("list?",):
            self._children_argument(node)
        elif len(node.args) != len(wanted):
            self._error(
                f"{node.name} takes {len(wanted)} argument(s), not {len(node.args)}.", node.span
            )
        else:
            for arg, want in zip(node.args, wanted, strict=True):
                self._argument(arg, want, node.name)
        return result

    def _argument(self, arg: tree.Expr, want: str, name: str) -> None:
        kind = self._type(arg)
        if kind != want and not (want == "string" and kind == "any"):
            self._error(f"{name} takes a {want}, not {kind}.", arg.span)

    def _children_argument(self, node: tree.MethodCall) -> None:
        if not node.args:
            return
        keys = node.args[0]
        good = (
            len(node.args) == 1
            and isinstance(keys, tree.ListLiteral)
            and bool(keys.items)
            and all(isinstance(k, tree.Literal) and isinstance(k.value, str) for k in keys.items)
        )
        if not good:
            self._error("hasChildren takes a non-empty list of string literals.", node.span)

    def _regex(self, node: tree.RegexLiteral) -> str:
        try:
            translate_regex(node)
        except InvalidPattern as error:
            self._error(f"Invalid regular expression: {error}.", node.span)
        return "regex"


def translate_regex(node: tree.RegexLiteral) -> Pattern:
    """The RE2 pattern to search with. `^` and `$` stand only at the ends. Raises InvalidPattern."""
    body = node.pattern
    inner = body[1:] if body.startswith("^") else body
    if inner.endswith("$") and not _is_escaped(inner, len(inner) - 1):
        inner = inner[:-1]
    in_class, at = False, 0
    while at < len(inner):
        char = inner[at]
        if char == "\\":
            if inner[at + 1 : at + 2].isdigit():
                raise InvalidPattern("back-references are not supported")
            at += 2
            continue
        if char == "[":
            in_class = True
        elif char == "]":
            in_class = False
        elif not in_class and char in "^$":
            raise InvalidPattern("^ and $ may only stand at the ends")
        elif not in_class and inner.startswith("(?", at) and not inner.startswith("(?:", at):
            raise InvalidPattern("look-around and inline flags are not supported")
        at += 1
    return Pattern(body.replace("\\/", "/"), node.ignore_case)


def _is_escaped(text: str, at: int) -> bool:
    slashes = 0
    while at > 0 and text[at - 1] == "\\":
        slashes, at = slashes + 1, at - 1
    return slashes % 2 == 1
