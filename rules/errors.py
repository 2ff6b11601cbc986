"""The errors of the rules engine, in one tree.

RulesError
 +- RulesCompileError        the source does not compile; carries its issues
 +- EvaluationError          a value of the language: absorbed by `||`, `&&` and other allow statements
 |   +- UnprovableError      only while a query is proven: the value is not pinned by the query
 +- EvaluationLimitError     ends the whole request as denied (1000 expressions, nesting)
 +- LookupNeeded             the host must fetch a document and evaluate again; never absorbed
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rules.source import Source

Severity = Literal["ERROR", "WARNING", "DEPRECATION"]


class RulesError(Exception):
    """Anything that the rules engine raises on purpose."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding of the compiler. Lines and columns are 1-based; offsets count characters."""

    severity: Severity
    description: str
    file_name: str
    line: int
    column: int
    offset: int
    end_offset: int

    def render(self, source: Source | str) -> str:
        """`file:line:column: SEVERITY: description`, the line of the source and a caret below the place."""
        text = source if isinstance(source, str) else source.text
        lines = text.split("\n")
        shown = lines[self.line - 1] if 0 < self.line <= len(lines) else ""
        shown = shown.rstrip("\r")
        lead = "".join("\t" if c == "\t" else " " for c in shown[: self.column - 1])
        width = max(1, min(self.end_offset - self.offset, len(shown) - self.column + 1))
        head = f"{self.file_name}:{self.line}:{self.column}: {self.severity}: {self.description}"
        return f"{head}\n{shown}\n{lead}{'^' * width}"


class RulesCompileError(RulesError):
    """The source was refused. `issues` holds every finding, at least one of them an ERROR."""

    def __init__(self, issues: Iterable[Issue], source: Source) -> None:
        self.issues: tuple[Issue, ...] = tuple(issues)
        self.source = source
        errors = [issue for issue in self.issues if issue.severity == "ERROR"]
        super().__init__(
            "Error compiling rules:\n"
            + "\n".join(f"L{issue.line}:{issue.column} {issue.description}" for issue in errors)
        )

    def render(self) -> str:
        """All issues with the lines they are about."""
        return "\n".join(issue.render(self.source) for issue in self.issues)


class EvaluationError(RulesError):
    """An expression has no value: one allow statement is not true, and nothing more (section 5)."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UnprovableError(EvaluationError):
    """While proving: the query does not pin this value, so the expression may go either way."""


class EvaluationLimitError(RulesError):
    """The request used up what one request may use; it is denied as a whole."""


class LookupNeeded(RulesError):
    """The host cannot answer this lookup yet: fetch it and evaluate again.

    `kind` is "get", "get_after", "has_documents" or "has_documents_after".
    """

    def __init__(self, kind: str, database: str, path: tuple[str, ...]) -> None:
        super().__init__(f"{kind} {database}:/{'/'.join(path)}")
        self.kind = kind
        self.database = database
        self.path = path
