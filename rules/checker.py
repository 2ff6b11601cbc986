"""Static checks: what refuses a ruleset, and what it is warned of (protocol section 1)."""

from __future__ import annotations

from rules import tree
from rules.builtins import FREE_FUNCTIONS, NAMESPACE_FUNCTIONS
from rules.errors import Issue, Severity
from rules.regex import InvalidPattern, Pattern
from rules.scopes import GLOBAL_VARIABLES, NAMESPACES, Block, FunctionInfo, Program, Scope
from rules.source import Source, Span
from rules.static import (
    bare,
    constant_bool,
    expected,
    fits,
    function_arities,
    method_arities,
    names_in,
    static_type,
)

MAX_PARAMETERS = 7
MAX_LETS = 11
DOCUMENTED_LETS = 10
MAX_CALL_DEPTH = 20
MAX_CAPTURES = 20
MAX_SEGMENTS = 100
METHODS = {
    "read": ("get", "list"),
    "write": ("create", "update", "delete"),
    "get": ("get",),
    "list": ("list",),
    "create": ("create",),
    "update": ("update",),
    "delete": ("delete",),
}
_KNOWN_SERVICES = ("cloud.firestore", "firebase.storage")
_ROOTS = {
    "cloud.firestore": ("databases", None, "documents"),
    "firebase.storage": ("b", None, "o"),
}
_REGEX_METHODS = frozenset({"matches", "replace", "split"})
_LOOKUPS = frozenset({"get", "exists", "getAfter", "existsAfter"})


class Checker:
    """Collects the issues of one program."""

    def __init__(self, source: Source, program: Program) -> None:
        self.source = source
        self.program = program
        self.issues: list[Issue] = []
        self._used: set[FunctionInfo] = set()
        self._calls: dict[FunctionInfo, list[FunctionInfo]] = {}

    def run(self) -> list[Issue]:
        for decl in self.program.duplicates:
            self._error(f"Duplicate function name: {decl.name}.", decl.span)
        for service in self.program.file.services:
            if service.name not in _KNOWN_SERVICES:
                self._warn(
                    f"Unknown service '{service.name}': its rules grant nothing here.", service.span
                )
        for info in self.program.functions:
            self._function(info)
        for block in self.program.blocks:
            self._block(block)
        self._call_graph()
        for info in self.program.functions:
            if info not in self._used:
                self._warn(f"Unused function: {info.decl.name}.", info.decl.span)
        self.issues.sort(key=lambda issue: (issue.severity != "ERROR", issue.offset))
        return self.issues

    def _add(self, severity: Severity, message: str, span: Span) -> None:
        self.issues.append(self.source.issue(severity, message, span))

    def _error(self, message: str, span: Span) -> None:
        self._add("ERROR", message, span)

    def _warn(self, message: str, span: Span) -> None:
        self._add("WARNING", message, span)

    # --- declarations

    def _function(self, info: FunctionInfo) -> None:
        decl = info.decl
        self._calls[info] = []
        if len(decl.parameters) > MAX_PARAMETERS:
            self._error(f"A function takes at most {MAX_PARAMETERS} parameters.", decl.span)
        if len(set(decl.parameters)) != len(decl.parameters):
            self._error("Duplicate parameter name.", decl.span)
        if decl.lets and self.program.file.version == 1:
            message = "Let bindings are not allowed in rules_version '1'."
            self._error(message, decl.lets[0].span)
        if len(decl.lets) > MAX_LETS:
            self._error(f"A function declares at most {DOCUMENTED_LETS} variables.", decl.span)
        elif len(decl.lets) > DOCUMENTED_LETS:
            self._warn(f"Only {DOCUMENTED_LETS} variables are documented to work.", decl.span)
        names = set(decl.parameters)
        for let in decl.lets:
            self._expression(let.value, info.scope, names, info)
            names = names | {let.name}
        self._expression(decl.result, info.scope, names, info)
        self._unused_variables(decl)

    def _unused_variables(self, decl: tree.Function) -> None:
        used = names_in(decl.result).union(*(names_in(let.value) for let in decl.lets))
        for let in decl.lets:
            if let.name not in used:
                self._warn(f"Unused variable: {let.name}.", let.span)
        for name in decl.parameters:
            if name not in used:
                self._warn(f"Unused variable: {name}.", decl.span)

    def _block(self, block: Block) -> None:
        self._path(block)
        always: dict[str, tree.Allow] = {}
        for allow in block.match.allows:
            self._allow(allow, block)
            self._reachable(allow, always)

    def _reachable(self, allow: tree.Allow, always: dict[str, tree.Allow]) -> None:
        """`always`: the methods that the statements above allow whatever is asked."""
        granted = _methods(allow)
        if granted and granted <= always.keys():
            line, _ = self.source.position(always[min(granted)].span.start)
            message = f"Unreachable: line {line} always allows what this would."
            self._warn(message, allow.span)
        if allow.condition is None or constant_bool(allow.condition):
            always.update({method: allow for method in granted if method not in always})

    def _path(self, block: Block) -> None:
        span = block.match.span
        globs = [i for i, part in enumerate(block.path) if part.kind == "glob"]
        captures = [part for part in block.path if part.kind != "literal"]
        if len(globs) > 1:
            self._error("A path may hold only one recursive wildcard.", span)
        if self.program.file.version == 1 and globs and globs[0] != len(block.path) - 1:
            self._error("A recursive wildcard must be the last segment in rules_version '1'.", span)
        if len(captures) > MAX_CAPTURES:
            self._error(f"A path may hold at most {MAX_CAPTURES} wildcards.", span)
        if len(block.path) > MAX_SEGMENTS:
            self._error(f"A path may have at most {MAX_SEGMENTS} segments.", span)
        root = _ROOTS.get(block.service)
        if root and block.match.allows and not _reaches(block.path, root):
            expected = "/".join(part or "{…}" for part in root)
            self._warn(
                f"The path never matches: {block.service} paths begin with /{expected}.", span
            )

    def _allow(self, allow: tree.Allow, block: Block) -> None:
        for method, span in zip(allow.methods, allow.method_spans, strict=True):
            if method not in METHODS:
                self._warn(f"Unknown method '{method}': it never applies.", span)
        granted = _methods(allow)
        condition = allow.condition
        if condition is not None:
            self._expression(condition, block.scope, set(), None)
            self._condition(condition)
        always = condition is None or constant_bool(condition)
        if always and granted & {"create", "update", "delete"}:
            self._warn("Anyone may write here: the condition is always true.", allow.span)
        if condition is not None and "list" in granted:
            self._list_lookups(condition, block.scope)

    def _condition(self, condition: tree.Expr) -> None:
        inner = bare(condition)
        kind = static_type(inner)
        if kind and kind != "bool":
            self._warn("The condition is not a boolean, so it never grants.", condition.span)
        constant = constant_bool(inner)
        if constant is not None and not isinstance(inner, tree.Literal):
            word = "true" if constant else "false"
            self._warn(f"The condition is always {word}.", condition.span)

    def _list_lookups(self, node: tree.Expr, scope: Scope) -> None:
        """A lookup that depends on each document can never be proven for a query."""
        for part in tree.walk(node):
            if not isinstance(part, tree.Call) or part.name not in _LOOKUPS:
                continue
            names = (inner for arg in part.args for inner in tree.walk(arg))
            if scope.function(part.name) is None and any(map(_is_resource, names)):
                self._warn(
                    f"{part.name}() by a field of the document: a query passes only where it "
                    "pins that field with '=='.",
                    part.span,
                )

    # --- calls between functions

    def _call_graph(self) -> None:
        depth: dict[FunctionInfo, tuple[FunctionInfo, ...]] = {}
        state: dict[FunctionInfo, int] = {}
        for info in self.program.functions:
            self._visit(info, state, depth)

    def _visit(
        self,
        start: FunctionInfo,
        state: dict[FunctionInfo, int],
        longest: dict[FunctionInfo, tuple[FunctionInfo, ...]],
    ) -> None:
        """Depth first without recursion of our own: a chain of functions may be long."""
        stack: list[tuple[FunctionInfo, int]] = [(start, 0)]
        while stack:
            info, at = stack.pop()
            if at == 0:
                if state.get(info):
                    continue
                state[info] = 1
            calls = self._calls[info]
            if at < len(calls):
                stack.append((info, at + 1))
                callee = calls[at]
                if state.get(callee) == 1:
                    self._error("Recursive call is not allowed.", info.decl.span)
                elif state.get(callee) is None:
                    stack.append((callee, 0))
                continue
            state[info] = 2
            below = max((longest.get(callee, ()) for callee in calls), key=len, default=())
            longest[info] = (info, *below)[: MAX_CALL_DEPTH + 2]
            if len(below) == MAX_CALL_DEPTH + 1:
                chain = "->".join(one.decl.name for one in longest[info])
                self._error(
                    f"Maximum allowed call depth of {MAX_CALL_DEPTH} is reached for [{chain}] call stack.",
                    info.decl.span,
                )

    # --- expressions

    def _expression(
        self, root: tree.Expr, scope: Scope, names: set[str], inside: FunctionInfo | None
    ) -> None:
        for node in tree.walk(root):
            match node:
                case tree.Name():
                    self._name(node, scope, names)
                case tree.Call():
                    self._call(node, scope, inside)
                case tree.MethodCall():
                    self._method(node, scope, names)
                case tree.Binary() | tree.Unary() | tree.Logical():
                    self._operator(node)

    def _name(self, node: tree.Name, scope: Scope, names: set[str]) -> None:
        known = (
            node.name in names
            or node.name in GLOBAL_VARIABLES
            or scope.capture(node.name) is not None
        )
        if not known and node.name not in NAMESPACES:
            self._warn(f"Invalid variable name: {node.name}.", node.span)

    def _call(self, node: tree.Call, scope: Scope, inside: FunctionInfo | None) -> None:
        info = scope.function(node.name)
        if info is not None:
            self._used.add(info)
            if inside is not None and info not in self._calls[inside]:
                self._calls[inside].append(info)
            wanted = len(info.decl.parameters)
            if wanted != len(node.args):
                self._warn(
                    f"Invalid number of arguments for {node.name}: {len(node.args)}, expected {wanted}.",
                    node.span,
                )
            return
        builtin = FREE_FUNCTIONS.get(node.name)
        if builtin is None:
            self._warn(f"Invalid function name: {node.name}.", node.span)
        elif len(node.args) != 1:
            self._warn(
                f"Invalid number of arguments for {node.name}: {len(node.args)}, expected 1.",
                node.span,
            )

    def _method(self, node: tree.MethodCall, scope: Scope, names: set[str]) -> None:
        receiver = node.receiver
        if (
            isinstance(receiver, tree.Name)
            and receiver.name in NAMESPACES
            and receiver.name not in names
            and scope.capture(receiver.name) is None
        ):
            label = f"{receiver.name}.{node.name}"
            if (receiver.name, node.name) not in NAMESPACE_FUNCTIONS:
                self._warn(f"Invalid function name: {label}.", node.span)
            else:
                self._arity(node, label, function_arities(receiver.name, node.name))
            return
        counts = method_arities().get(node.name)
        if counts is None:
            self._warn(f"Invalid function name: {node.name}.", node.span)
        else:
            self._arity(node, node.name, counts)
        if node.name in _REGEX_METHODS and node.args:
            self._pattern(node.args[0])

    def _arity(self, node: tree.MethodCall, label: str, counts: frozenset[int]) -> None:
        if len(node.args) not in counts:
            self._warn(
                f"Invalid number of arguments for {label}: {len(node.args)}, "
                f"expected {expected(counts)}.",
                node.span,
            )

    def _pattern(self, node: tree.Expr) -> None:
        if isinstance(node, tree.Literal) and isinstance(node.value, str):
            try:
                Pattern(node.value)
            except InvalidPattern as error:
                self._error(
                    f"Invalid regular expression pattern. Pattern: {node.value}. RE2: {error}.",
                    node.span,
                )

    def _operator(self, node: tree.Expr) -> None:
        """Operands whose types are known from the text alone and do not fit."""
        if isinstance(node, tree.Logical):
            for operand in node.operands:
                self._want_bool(operand, node.op)
        elif isinstance(node, tree.Unary):
            kind = static_type(node.operand)
            good = ("bool",) if node.op == "!" else ("int", "float")
            if kind and kind not in good:
                self._warn(f"Unsupported operation error. Received: {node.op}{kind}.", node.span)
        elif isinstance(node, tree.Binary) and node.op != "in":
            left, right = static_type(node.left), static_type(node.right)
            if not left or not right or fits(node.op, left, right):
                return
            if node.op in ("==", "!="):
                message = f"A value of type {left} never equals one of type {right}."
            else:
                message = f"Unsupported operation error. Received: {left} {node.op} {right}."
            self._warn(message, node.span)

    def _want_bool(self, node: tree.Expr, op: str) -> None:
        kind = static_type(node)
        if kind and kind != "bool":
            self._warn(f"Type error: '{op}' takes bool, not {kind}.", node.span)


def _methods(allow: tree.Allow) -> set[str]:
    """What a statement is about, `read` and `write` spelled out."""
    return {one for method in allow.methods for one in METHODS.get(method, ())}


def _reaches(path: tuple[tree.Segment, ...], root: tuple[str | None, ...]) -> bool:
    for want, part in zip(root, path, strict=False):
        if part.kind == "glob":
            return True
        if part.kind == "literal" and part.text != want and want is not None:
            return False
    return len(path) > len(root)


def _is_resource(node: tree.Expr) -> bool:
    return isinstance(node, tree.Name) and node.name == "resource"
