"""Counts the values that expressions had, for `homefire rules coverage` and the emulator's endpoints.

The report has the shape of the Rules API's ExpressionReport (protocol section 8).
"""

from __future__ import annotations

import html
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from rules import tree
from rules.errors import EvaluationError
from rules.explain import plain
from rules.source import Source, Span
from rules.types import Value

_MAX_VALUES = 20


class Coverage:
    """Collects over many evaluations, from any thread. One collector serves one ruleset."""

    def __init__(self) -> None:
        self._counts: dict[tree.Expr, dict[str, int]] = {}
        self._lock = threading.Lock()

    def value(self, node: tree.Expr, value: Value) -> None:
        self._count(node, json.dumps({"value": plain(value)}, default=str, sort_keys=True))

    def error(self, node: tree.Expr, error: EvaluationError) -> None:
        self._count(node, json.dumps({"value": {"undefined": {"causeMessage": error.message}}}))

    def _count(self, node: tree.Expr, key: str) -> None:
        with self._lock:
            values = self._counts.setdefault(node, {})
            if key in values or len(values) < _MAX_VALUES:
                values[key] = values.get(key, 0) + 1

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()

    def values(self, node: tree.Expr) -> list[dict[str, Any]]:
        """`{"value": …, "count": n}` of one expression, in the order first seen."""
        with self._lock:
            counted = dict(self._counts.get(node, {}))
        return [{**json.loads(key), "count": count} for key, count in counted.items()]

    def report(self, source: Source, roots: Sequence[tree.Expr]) -> dict[str, Any]:
        """The Rules API's JSON: the file and a tree of expressions with their values."""
        return {
            "rules": {"files": [{"name": source.file_name, "content": source.text}]},
            "report": [self._node(source, root) for root in roots],
        }

    def _node(self, source: Source, node: tree.Expr) -> dict[str, Any]:
        made: dict[str, Any] = {"sourcePosition": source_position(source, node.span)}
        values = self.values(node)
        if values:
            made["values"] = values
        below = [self._node(source, part) for part in tree.children(node)]
        if below:
            made["children"] = below
        return made

    def visited(self, source: Source, roots: Sequence[tree.Expr]) -> list[dict[str, Any]]:
        """Each value of each of these expressions that was evaluated, with its place."""
        return [
            {"sourcePosition": source_position(source, root.span), "value": entry["value"]}
            for root in roots
            for entry in self.values(root)
        ]

    def summary(self, roots: Sequence[tree.Expr]) -> tuple[int, int]:
        """How many expressions ran at least once, and how many there are."""
        nodes = [node for root in roots for node in tree.walk(root)]
        return sum(1 for node in nodes if self.values(node)), len(nodes)

    def annotate(self, source: Source, roots: Sequence[tree.Expr]) -> str:
        """The source as text, each line with how often its expressions ran."""
        hits: dict[int, int] = {}
        for root in roots:
            for node in tree.walk(root):
                line, _ = source.position(node.span.start)
                ran = sum(entry["count"] for entry in self.values(node))
                hits[line] = max(hits.get(line, 0), ran)
        out = []
        for number, text in enumerate(source.text.split("\n"), 1):
            count = "" if number not in hits else str(hits[number]) if hits[number] else "never"
            out.append(f"{count:>7} {number:>4} | {text}")
        return "\n".join(out)

    def html(self, source: Source, roots: Sequence[tree.Expr]) -> str:
        """A page with the source; hovering over an expression shows its values."""
        ran, total = self.summary(roots)
        body = "".join(self._marked(source, roots))
        return _PAGE.format(name=html.escape(source.file_name), ran=ran, total=total, body=body)

    def _marked(self, source: Source, roots: Sequence[tree.Expr]) -> Iterator[str]:
        text, at = source.text, 0
        for root in sorted(roots, key=lambda node: node.span.start):
            yield html.escape(text[at : root.span.start])
            yield self._span(source, root)
            at = root.span.end
        yield html.escape(text[at:])

    def _span(self, source: Source, node: tree.Expr) -> str:
        values = self.values(node)
        kind = "ran" if values else "never"
        title = "\n".join(f"{_shown(entry['value'])} × {entry['count']}" for entry in values)
        inside, at = [], node.span.start
        for part in sorted(tree.children(node), key=lambda child: child.span.start):
            inside.append(html.escape(source.text[at : part.span.start]))
            inside.append(self._span(source, part))
            at = part.span.end
        inside.append(html.escape(source.text[at : node.span.end]))
        shown = html.escape(title or "never evaluated")
        return f'<span class="{kind}" title="{shown}">{"".join(inside)}</span>'


def _shown(value: Any) -> str:
    if isinstance(value, dict) and "undefined" in value:
        return f"error: {value['undefined']['causeMessage']}"
    return json.dumps(value, ensure_ascii=False)[:200]


def source_position(source: Source, span: Span) -> dict[str, Any]:
    line, column = source.position(span.start)
    return {
        "fileName": source.file_name,
        "line": line,
        "column": column,
        "currentOffset": span.start,
        "endOffset": span.end,
    }


_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Rules coverage: {name}</title>
<style>
body {{ font: 14px/1.5 ui-monospace, monospace; margin: 2rem; background: #fff; color: #222 }}
pre {{ white-space: pre-wrap }}
.ran {{ background: #e3f6e5 }}
.never {{ background: #fbe3e4 }}
.ran:hover, .never:hover {{ outline: 1px solid #666 }}
</style>
<h1>{name}</h1>
<p>{ran} of {total} expressions were evaluated. Green ran, red never did; point at one to see its values.</p>
<pre>{body}</pre>
"""
