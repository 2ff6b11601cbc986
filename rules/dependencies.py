"""What the statements of a ruleset read, known without running them."""

from __future__ import annotations

from rules import tree
from rules.builtins.namespaces import LOOKUP_FUNCTIONS
from rules.scopes import FunctionInfo, Scope

_REQUEST_PARTS = {
    "auth": "auth",
    "time": "time",
    "resource": "new_resource",
    "query": "query",
    "path": "path",
}
_EVERYTHING = frozenset({"auth", "time", "new_resource", "query", "path"})


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
