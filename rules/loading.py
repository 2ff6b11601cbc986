"""The way in: from a text to a ruleset."""

from __future__ import annotations

from rules.checker import Checker
from rules.errors import RulesCompileError
from rules.evaluation import MatchRuleset
from rules.json_dialect import compile_json_rules
from rules.parser import parse
from rules.ruleset import Language, Ruleset
from rules.scopes import build_program
from rules.source import MAX_SOURCE_BYTES, Source, Span


def compile_rules(source: str, *, file_name: str = "firestore.rules") -> Ruleset:
    """Compile either language; the JSON dialect begins with `{`.

    Raises RulesCompileError with every issue found. Warnings of a good ruleset are in its `issues`.
    """
    text = Source(source, file_name)
    size = len(source.encode("utf-8", "surrogatepass"))
    if size >= MAX_SOURCE_BYTES:
        message = f"The source has {size} bytes; it must have fewer than {MAX_SOURCE_BYTES}."
        raise RulesCompileError([text.issue("ERROR", message, Span(0, 0))], text)
    try:
        if detect_language(source) == "json":
            return compile_json_rules(text)
        return _compile_match_rules(text)
    except RecursionError:
        # The parser bounds depth itself; this is for a caller that left it little stack.
        message = "The source is nested too deeply."
        raise RulesCompileError([text.issue("ERROR", message, Span(0, 0))], text) from None


def detect_language(source: str) -> Language:
    """By the first character that is neither space nor comment."""
    at, size = 0, len(source)
    while at < size:
        if source[at].isspace() or source[at] == "\ufeff":
            at += 1
        elif source.startswith("//", at):
            end = source.find("\n", at)
            at = size if end < 0 else end
        elif source.startswith("/*", at):
            end = source.find("*/", at + 2)
            at = size if end < 0 else end + 2
        else:
            return "json" if source[at] == "{" else "rules"
    return "rules"


def _compile_match_rules(text: Source) -> Ruleset:
    program = build_program(parse(text))
    issues = tuple(Checker(text, program).run())
    if any(issue.severity == "ERROR" for issue in issues):
        raise RulesCompileError(issues, text)
    return MatchRuleset(text, issues, program)
