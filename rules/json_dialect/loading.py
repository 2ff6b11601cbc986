"""From the text of a rules file to a ruleset of the JSON dialect."""

from __future__ import annotations

from rules import tree
from rules.errors import Issue, RulesCompileError, Severity
from rules.json_dialect.expressions import JsonExpressionParser
from rules.json_dialect.file_format import (
    Entry,
    JsonList,
    JsonNode,
    JsonObject,
    JsonReader,
    Scalar,
    Text,
)
from rules.json_dialect.nodes import Rule, RuleNode
from rules.json_dialect.ruleset import JsonRuleset
from rules.json_dialect.typing_rules import TypeChecker
from rules.source import Source, Span

_RULES = (".read", ".write", ".validate")
_FORBIDDEN = frozenset(".#$[]/")


class Loader:
    """Builds the tree of rules and collects issues."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.issues: list[Issue] = []

    def load(self) -> RuleNode:
        document = JsonReader(self._source).read()
        root = self._root_entry(document)
        node = self._node(root, frozenset()) if isinstance(root, JsonObject) else RuleNode()
        if any(issue.severity == "ERROR" for issue in self.issues):
            raise RulesCompileError(self.issues, self._source)
        return node

    def _add(self, severity: Severity, message: str, span: Span) -> None:
        self.issues.append(self._source.issue(severity, message, span))

    def _error(self, message: str, span: Span) -> None:
        self._add("ERROR", message, span)

    def _root_entry(self, document: JsonNode) -> JsonNode | None:
        span = document.span
        if not isinstance(document, JsonObject) or not document.entries:
            self._error('The file must be an object with the one key "rules".', span)
            return None
        for entry in document.entries:
            if entry.key.value != "rules":
                self._error(
                    f'Unknown key {entry.key.value!r}: the file must be an object with the one key "rules".',
                    entry.key.span,
                )
        found = next((e for e in document.entries if e.key.value == "rules"), None)
        if found is not None and not isinstance(found.value, JsonObject):
            self._error('"rules" must be an object.', found.value.span)
        return found.value if found is not None else None

    def _node(self, content: JsonObject, variables: frozenset[str]) -> RuleNode:
        node = RuleNode()
        for entry in content.entries:
            name = entry.key.value
            if name in _RULES:
                self._rule(node, entry, variables)
            elif name == ".indexOn":
                self._index_on(entry)
            elif name.startswith("."):
                self._error(f"Unknown rule '{name}'.", entry.key.span)
            else:
                self._child(node, entry, variables)
        return node

    def _child(self, node: RuleNode, entry: Entry, variables: frozenset[str]) -> None:
        name, content = entry.key.value, entry.value
        if not isinstance(content, JsonObject):
            self._error(f"'{name}' must be an object of rules.", content.span)
            return
        if not name.startswith("$"):
            if not name or _FORBIDDEN & set(name):
                self._error(
                    f"Invalid name '{name}': it is empty or holds one of . # $ [ ] /.",
                    entry.key.span,
                )
            node.children[name] = self._node(content, variables)
            return
        if node.wildcard is not None:
            self._error("A node may have only one $ wildcard.", entry.key.span)
        if name in variables:
            self._error(f"'{name}' is already the name of a wildcard above.", entry.key.span)
        if not name[1:].replace("_", "a").isalnum():
            self._error(f"Invalid name of a wildcard: '{name}'.", entry.key.span)
        node.variable = name
        node.wildcard = self._node(content, variables | {name})

    def _index_on(self, entry: Entry) -> None:
        """A hint for the Realtime Database; here indexes make themselves."""
        value = entry.value
        names = value.items if isinstance(value, JsonList) else (value,)
        if not all(isinstance(name, Text) for name in names):
            self._error(".indexOn must be a string or a list of strings.", value.span)

    def _rule(self, node: RuleNode, entry: Entry, variables: frozenset[str]) -> None:
        kind, value = entry.key.value, entry.value
        if isinstance(value, Scalar) and isinstance(value.value, bool):
            condition: tree.Expr = tree.Literal(value.span, 1, value.value)
            if value.value is True and kind == ".write":
                self._add("WARNING", "Anyone may write here and below.", entry.key.span)
        elif isinstance(value, Text):
            try:
                condition = JsonExpressionParser(self._source, value).parse()
            except RulesCompileError as error:
                self.issues.extend(error.issues)
                return
            checker = TypeChecker(self._source, kind, variables)
            checker.check(condition)
            self.issues.extend(checker.issues)
        else:
            self._error(f"{kind} must be a string or a boolean.", value.span)
            return
        node.rules[kind] = Rule(kind, condition, Span(entry.key.span.start, value.span.end))


def compile_json_rules(source: Source) -> JsonRuleset:
    """Raises RulesCompileError with every issue found."""
    loader = Loader(source)
    root = loader.load()
    return JsonRuleset(source, tuple(loader.issues), root)
