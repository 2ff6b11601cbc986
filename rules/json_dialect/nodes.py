"""The tree of rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from rules import tree
from rules.source import Span


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One `.read`, `.write` or `.validate`. A bare `true` or `false` is a literal."""

    kind: str
    condition: tree.Expr
    span: Span


@dataclass(slots=True, eq=False)
class RuleNode:
    """A place in the rules: its own rules, named children, at most one `$` child."""

    rules: dict[str, Rule] = field(default_factory=dict)
    children: dict[str, RuleNode] = field(default_factory=dict)
    variable: str | None = None
    wildcard: RuleNode | None = None

    def step(self, name: str) -> RuleNode | None:
        """The node for a child; a literal name wins over the wildcard."""
        return self.children.get(name) or self.wildcard

    def all_rules(self) -> list[Rule]:
        """The rules here and below, in source order."""
        found: list[Rule] = []
        todo: list[RuleNode] = [self]
        while todo:
            node = todo.pop()
            found.extend(node.rules.values())
            todo.extend(node.children.values())
            if node.wildcard is not None:
                todo.append(node.wildcard)
        return sorted(found, key=lambda rule: rule.span.start)
