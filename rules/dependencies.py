"""What the statements of a ruleset read, known without running them.

A read is "time", "resource", "new_resource", "query", "path", "lookups", or of the caller: "auth?" (whether
there is one), "auth.uid", "auth.token.<claim>" or "auth" (any of it).
"""

from __future__ import annotations

from rules import tree
from rules.builtins.namespaces import LOOKUP_FUNCTIONS
from rules.scopes import FunctionInfo, Scope

WHOLE = "auth"
PRESENCE = "auth?"
_REQUEST_PARTS = {
    "auth": WHOLE,
    "time": "time",
    "resource": "new_resource",
    "query": "query",
    "path": "path",
}
_EVERYTHING = frozenset({"auth", "time", "new_resource", "query", "path"})


def uses_of(reads: frozenset[str]) -> frozenset[str]:
    """Reads without their details: of the caller just "auth"."""
    return frozenset(WHOLE if read.startswith(WHOLE) else read for read in reads)


class DependencyFinder:
    """Remembers functions, so that each is looked through once."""

    def __init__(self) -> None:
        self._functions: dict[FunctionInfo, frozenset[str]] = {}

    def of_condition(self, condition: tree.Expr | None, scope: Scope) -> frozenset[str]:
        return frozenset() if condition is None else self._of(condition, scope, frozenset())

    def _of_function(self, info: FunctionInfo) -> frozenset[str]:
        known = self._functions.get(info)
        if known is not None:
            return known
        decl = info.decl
        names = frozenset(decl.parameters) | {let.name for let in decl.lets}
        # A let may read an outer name that a later let shadows, so it is read with parameters only:
        # that may find too much, never too little.
        outer = frozenset(decl.parameters)
        found = self._of(decl.result, info.scope, names)
        for let in decl.lets:
            found |= self._of(let.value, info.scope, outer)
        self._functions[info] = found
        return found

    def _of(self, root: tree.Expr, scope: Scope, names: frozenset[str]) -> frozenset[str]:
        found: set[str] = set()
        todo = [root]
        while todo:
            node = todo.pop()
            of_caller = self._of_caller(node, scope, names)
            if of_caller is not None:
                found.add(of_caller)
                continue
            if isinstance(node, tree.Member) and self._is_request(node.receiver, scope, names):
                part = _REQUEST_PARTS.get(node.name)
                found |= {part} if part else set()
                continue
            if isinstance(node, tree.Name):
                found |= self._of_name(node.name, scope, names)
            if isinstance(node, tree.Call):
                info = scope.function(node.name)
                if info is not None:
                    found |= self._of_function(info)
                elif node.name in LOOKUP_FUNCTIONS:
                    found.add("lookups")
            if isinstance(node, tree.MethodCall) and isinstance(node.receiver, tree.Name):
                found |= {"lookups"} if node.receiver.name == "firestore" else set()
            todo.extend(tree.children(node))
        return frozenset(found)

    def _of_caller(self, node: tree.Expr, scope: Scope, names: frozenset[str]) -> str | None:
        """The read of `request.auth == null`, `request.auth.uid` or `request.auth.token.x`."""
        if isinstance(node, tree.Binary) and node.op in ("==", "!="):
            sides = (node.left, node.right)
            null = any(isinstance(side, tree.Literal) and side.value is None for side in sides)
            asked = any(self._is_auth(side, scope, names) for side in sides)
            return PRESENCE if null and asked else None
        if not isinstance(node, tree.Member):
            return None
        receiver = node.receiver
        if node.name == "uid" and self._is_auth(receiver, scope, names):
            return "auth.uid"
        if (
            isinstance(receiver, tree.Member)
            and receiver.name == "token"
            and self._is_auth(receiver.receiver, scope, names)
        ):
            return f"auth.token.{node.name}"
        return None

    def _is_auth(self, node: tree.Expr, scope: Scope, names: frozenset[str]) -> bool:
        return (
            isinstance(node, tree.Member)
            and node.name == "auth"
            and self._is_request(node.receiver, scope, names)
        )

    def _is_request(self, node: tree.Expr, scope: Scope, names: frozenset[str]) -> bool:
        return (
            isinstance(node, tree.Name)
            and node.name == "request"
            and node.name not in names
            and scope.capture("request") is None
        )

    def _of_name(self, name: str, scope: Scope, names: frozenset[str]) -> frozenset[str]:
        if name in names:
            return frozenset()
        if scope.capture(name) is not None:
            return frozenset({"path"})
        if name == "request":
            return _EVERYTHING
        return frozenset({"resource"}) if name == "resource" else frozenset()
